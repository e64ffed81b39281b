"""What concerns the patient: consent, eligibility, infusions with reactions, follow-up.

The rules:

* Consent is told as it stood at each collection, at the start of manufacture, at each infusion, and at the time of
  asking; a withdrawal is told with what became of the material since.
* Reactions and doses are CLINICAL: they are opened from the vault for whoever may read them, and left out for others;
  that there was an observation is told to everyone who sees the therapy.
* A visit is due some days after the first infusion, as the pack says; what was recorded under its name answers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.after_infusion import DueState, visits
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.messages import material_custody
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import return_pb2 as returned

__all__ = ["consent", "eligibility", "follow_up", "infusions"]

_DAY_MICROS: Final = 86_400 * 1_000_000


_SCOPES: Final = {
    one.number: one.name.removeprefix("CONSENT_SCOPE_").lower() for one in harvest.ConsentScope.DESCRIPTOR.values
}
_ELIGIBILITY: Final = {
    one.number: one.name.removeprefix("ELIGIBILITY_OUTCOME_").lower()
    for one in harvest.EligibilityOutcome.DESCRIPTOR.values
}
_BIOHAZARD: Final = {
    one.number: one.name.removeprefix("BIOHAZARD_").lower() for one in harvest.Biohazard.DESCRIPTOR.values
}
_MARKER: Final = {
    one.number: one.name.removeprefix("MARKER_OUTCOME_").lower() for one in harvest.MarkerOutcome.DESCRIPTOR.values
}
_INFUSION: Final = {
    one.number: one.name.removeprefix("INFUSION_OUTCOME_").lower() for one in returned.InfusionOutcome.DESCRIPTOR.values
}
_VISITS: Final = {
    DueState.DONE: "done",
    DueState.NOT_YET: "upcoming",
    DueState.DUE: "due",
    DueState.OVERDUE: "overdue",
    DueState.FALLEN_AWAY: "fallen_away",
}
_REACTION: Final = {1: "CRS", 2: "ICANS", 3: "infusion", 4: "other"}


def consent(answer: pb.InspectConsentResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the state of consent at each point."""
    state = account.therapy
    if state is None:
        return
    has_withdrawal = False
    for told in account.standing(alone=True):
        match told.act.body:
            case harvest.ConsentRecorded() | harvest.ConsentWithdrawn() as body:
                answer.changes.append(bare(told))
                has_withdrawal = has_withdrawal or isinstance(body, harvest.ConsentWithdrawn)
            case harvest.CollectionStarted():
                answer.moments.append(_moment(state, account.stream, "collection", told))
            case returned.InfusionStarted():
                answer.moments.append(_moment(state, account.stream, "infusion", told))
            case _:
                pass
    for batch in state.batches.values():
        opened = account.told.get(batch.opened_by)
        if opened is not None:
            answer.moments.append(_moment(state, account.stream, "manufacture", opened))
    answer.moments.append(_moment(state, account.stream, "now", None, now))
    moments = sorted(answer.moments, key=lambda one: one.at_unix_micros)
    del answer.moments[:]
    answer.moments.extend(moments)
    if has_withdrawal:
        for material in state.materials.values():
            answer.affected.append(material_custody(state, account.stream, material))


def _moment(state: TherapyState, stream: bytes, name: str, told: Told | None, now: int = 0) -> pb.ConsentMoment:
    at = now if told is None else told.act.occurred_start
    named = sorted({change.scope for change in state.consents if change.at <= at})
    moment = pb.ConsentMoment(therapy=stream, moment=name, at_unix_micros=at)
    for number in named:
        words = _SCOPES.get(number, str(number))
        (moment.in_force if state.consent_in_force(number, at) else moment.not_in_force).append(words)
    if told is not None:
        moment.act.CopyFrom(bare(told))
    return moment


def eligibility(
    answer: pb.InspectEligibilityResponse, account: Account, scope: Scope, teller: Teller, now: int
) -> None:
    """Adds screenings, assessments and study enrolments."""
    for told in account.standing(alone=True):
        body = told.act.body
        if not isinstance(body, harvest.EligibilityAssessed | harvest.DonorScreened | harvest.TrialEnrolled):
            continue
        record = answer.records.add(therapy=account.stream, statement=bare(told))
        opened = teller.opened(told)
        match body:
            case harvest.EligibilityAssessed():
                record.outcome = _ELIGIBILITY.get(body.outcome, "")
                if teller.may_read(told, DisclosureClass.QUALITY):
                    record.particulars.add(name="criteria", value=body.criteria_version)
                if isinstance(opened, harvest.EligibilityAssessed):
                    for grounds in opened.grounds:
                        record.particulars.add(name="grounds", value=grounds)
            case harvest.DonorScreened():
                record.outcome = _BIOHAZARD.get(body.biohazard, "")
                record.reason = body.label_reason
                for marker in body.markers:
                    value = "evaluated" if marker.evaluated else "not evaluated"
                    record.particulars.add(name=marker.marker, value=value)
                if isinstance(opened, harvest.DonorScreened):
                    for result in opened.results:
                        record.particulars.add(name=result.marker, value=_MARKER.get(result.outcome, ""))
            case harvest.TrialEnrolled():
                record.outcome = "enrolled in a study"
                record.particulars.add(name="study", value=body.study)
                record.particulars.add(name="protocol", value=body.protocol)


def infusions(answer: pb.InspectInfusionsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every infused bag, and every reaction."""
    state = account.therapy
    if state is None:
        return
    for infusion in state.infusions.values():
        if scope.material and infusion.material != scope.material:
            continue
        bag = state.materials.get(infusion.material)
        record = answer.infusions.add(therapy=account.stream, outcome=_INFUSION.get(infusion.outcome, ""))
        if bag is not None:
            record.bag.CopyFrom(material_custody(state, account.stream, bag))
        for digest, place in ((infusion.started_by, record.started), (infusion.stopped_by, record.stopped)):
            if digest in account.told:
                place.CopyFrom(bare(account.told[digest]))
        _add_stop(record, account, infusion.stopped_by, teller)
        for told in account.standing(alone=True):
            _add_around(record, told, infusion.material, infusion.started_at, infusion.stopped_by)
    answer.reactions.extend(_reactions(account, state, teller))
    for kind in ("CRS", "ICANS"):
        graded = [one for one in answer.reactions if one.reaction == kind and one.grade]
        if graded:
            worst = max(graded, key=lambda one: (one.grade, -one.day))
            answer.maxima.add(name=kind, value=f"grade {worst.grade} on day {worst.day}")


def _add_stop(record: pb.InfusionRecord, account: Account, stopped_by: bytes, teller: Teller) -> None:
    told = account.told.get(stopped_by)
    if told is None:
        return
    if isinstance(told.act.body, returned.InfusionStopped) and told.act.body.HasField("remainder"):
        record.remainder.CopyFrom(told.act.body.remainder)
    opened = teller.opened(told)
    if isinstance(opened, returned.InfusionStopped) and opened.HasField("given"):
        record.given.CopyFrom(opened.given)


def _add_around(record: pb.InfusionRecord, told: Told, material: bytes, started_at: int, stopped_by: bytes) -> None:
    at = told.act.occurred_start
    match told.act.body:
        case returned.BedsideChecked() as body if body.material == material and at <= started_at:
            record.check.CopyFrom(bare(told))
        case returned.MaterialThawed() | returned.MaterialReconstituted() as body if body.material == material:
            record.preparations.append(bare(told))
        case returned.LymphodepletionStarted() | returned.LymphodepletionStopped() | returned.PremedicationGiven():
            if at <= started_at:
                record.preparations.append(bare(told))
        case returned.MaterialDestroyed() | returned.MaterialArchived() | returned.RemainderRetained() as body if (
            body.material == material
        ):
            record.remainder_ended_by.CopyFrom(bare(told))
        case _:
            pass


def _reactions(account: Account, state: TherapyState, teller: Teller) -> Iterator[pb.ReactionRecord]:
    started = [one.started_at for one in state.infusions.values()]
    for told in account.standing(alone=True):
        if not isinstance(
            told.act.body, returned.ReactionObserved | returned.ToxicityGraded | returned.AdverseEventReported
        ):
            continue
        record = pb.ReactionRecord(therapy=account.stream, statement=bare(told))
        if started:
            record.day = (told.act.occurred_start - min(started)) // _DAY_MICROS
        match teller.opened(told):
            case returned.ReactionObserved() as body:
                record.reaction, record.grade = _REACTION.get(body.reaction, ""), body.grade
            case returned.ToxicityGraded() as body:
                record.reaction, record.grade = _REACTION.get(body.toxicity, ""), body.grade
            case returned.AdverseEventReported() as body:
                record.reaction, record.grade = body.event, body.grade
            case _:
                pass
        yield record


def follow_up(answer: pb.InspectFollowUpResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the schedule with what was recorded."""
    if account.therapy is None:
        return
    scheduled = visits(account.therapy, account.pack, now)
    for visit in scheduled:
        records = [account.told[digest] for digest in visit.digests if digest in account.told]
        record = answer.visits.add(
            therapy=account.stream,
            visit=visit.visit,
            due_unix_micros=visit.due_at,
            until_unix_micros=visit.closes_at,
            state=_VISITS[visit.state],
        )
        if records:
            last = max(records, key=lambda one: one.act.sort_key)
            record.recorded.CopyFrom(bare(last))
            if visit.state is DueState.DONE and last.act.occurred_start > visit.closes_at:
                record.state = "done_late"
    named = {visit.visit for visit in scheduled}
    for told in account.standing(alone=True):
        if isinstance(told.act.body, returned.FollowUpRecorded) and told.act.body.visit not in named:
            answer.visits.add(therapy=account.stream, visit=told.act.body.visit, state="done", recorded=bare(told))
