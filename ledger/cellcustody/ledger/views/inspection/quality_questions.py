"""What quality decided, on what it knew then and has learnt since.

The rules:

* A release is told with every result of its batch: those recorded before it took effect, those after, and those that
  came after a bag was infused, with who was told of them and who said that they know.
* What is open are the pack's tests for release without a last, final result that passes.
* A release outside specification is told with the request, the risk evaluation, what the patient was told, the
  authority's notification, and what became of the bags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.therapy_state import BatchState, ResultVerdict, TherapyState
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.messages import batch_record
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import common_pb2, custody_query_service_pb2
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["out_of_specification", "releases", "result_lines"]

_OUTCOMES: Final = {
    value.number: value.name.removeprefix("RESULT_OUTCOME_").lower()
    for value in modification.ResultOutcome.DESCRIPTOR.values
}


def releases(answer: pb.InspectReleasesResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds quality's decision on every batch."""
    state = account.therapy
    if state is None:
        return
    for batch in state.batches.values():
        if scope.material and not _is_of(state, batch, scope.material):
            continue
        record = answer.releases.add(therapy=account.stream, batch=batch_record(batch))
        decision = account.told.get(batch.decided_by)
        reads_quality = DisclosureClass.QUALITY in teller.classes_in(account.stream)
        if not reads_quality:
            record.batch.ClearField("results")
        if decision is not None:
            record.decision.CopyFrom(bare(decision))
            record.approvals.extend(map(bare, account.co_signatures(decision.act.digest)))
            if teller.may_read(decision, DisclosureClass.QUALITY):
                _add_certificate(record, decision)
        record.results.extend(result_lines(account, batch, decision, teller))
        if reads_quality:
            record.open_tests.extend(_open_tests(account, batch))


def _is_of(state: TherapyState, batch: BatchState, material: bytes) -> bool:
    found = state.materials.get(material)
    return material in batch.materials or (found is not None and found.batch == batch.batch)


def _add_certificate(record: pb.ReleaseRecord, decision: Told) -> None:
    body = decision.act.body
    if isinstance(
        body,
        modification.BatchReleased | modification.BatchReleasedConditionally | modification.OutOfSpecificationReleased,
    ) and body.HasField("certificate"):
        record.certificate.CopyFrom(body.certificate)


def result_lines(account: Account, batch: BatchState, decision: Told | None, teller: Teller) -> Iterator[pb.ResultLine]:
    """Yields every result reported on a batch, by time."""
    state = account.therapy
    if state is None:
        return
    infused = [one.started_at for one in state.infusions.values() if _is_of(state, batch, one.material)]
    decided = None if decision is None else decision.act.in_effect_at
    for told in account.standing(alone=True):
        body = told.act.body
        if not isinstance(body, modification.ResultReported) or body.batch != batch.batch:
            continue
        line = pb.ResultLine(
            statement=bare(told),
            known_at_release=decided is not None and told.act.leaf_index < decided,
            after_infusion=bool(infused) and told.recorded_at > min(infused),
            told=_told_of(account, told.act.digest),
        )
        if teller.may_read(told, DisclosureClass.QUALITY):
            line.test = body.test
            interim = body.interim or body.phase == modification.RESULT_PHASE_INTERIM
            line.outcome = _OUTCOMES.get(body.outcome, "") + (" (interim)" if interim else "")
        yield line


def _told_of(account: Account, result: bytes) -> Iterator[custody_query_service_pb2.HistoryItem]:
    notices = set()
    for told in account.standing(alone=True):
        body = told.act.body
        if isinstance(body, returned.ResultNotified) and body.result == result:
            notices.add(told.act.digest)
            yield bare(told)
        elif isinstance(body, returned.ResultAcknowledged) and body.notification in notices:
            yield bare(told)


def _open_tests(account: Account, batch: BatchState) -> list[str]:
    found = []
    for test in sorted(account.pack.required_tests):
        results = batch.results.get(test)
        if not results or results[-1].verdict is not ResultVerdict.PASS or results[-1].interim:
            found.append(test)
    return found


def out_of_specification(
    answer: pb.InspectOutOfSpecificationResponse, account: Account, scope: Scope, teller: Teller, now: int
) -> None:
    """Adds every release outside specification, and every bag used though it was not whole."""
    for told in account.in_time(alone=True):
        body = told.act.body
        if not isinstance(body, modification.OutOfSpecificationReleased) and not (
            isinstance(body, returned.BreachDecided) and body.decision == returned.BREACH_DECISION_USE
        ):
            continue
        if not scope.admits(told):
            continue
        record = answer.uses.add(authorisation=bare(told), approvals=map(bare, account.co_signatures(told.act.digest)))
        materials: set[bytes] = set(teller.materials_of(told))
        if isinstance(body, modification.OutOfSpecificationReleased):
            materials.update(body.materials)
            steps = (body.request, body.risk_evaluation, body.patient_information, body.authority_notification)
            for digest in steps:
                if digest in account.told:
                    record.steps.append(bare(account.told[digest]))
                    _add_documents(record, account.told[digest], teller)
        record.outcome.extend(_outcome(account, materials, told.act.occurred_start))


def _add_documents(record: pb.OutOfSpecificationRecord, told: Told, teller: Teller) -> None:
    if not teller.may_read(told, DisclosureClass.QUALITY):
        return
    document: common_pb2.Document | None = None
    match told.act.body:
        case modification.RiskEvaluated() as body:
            document = body.evaluation
            record.particulars.add(name="risk acceptable", value="yes" if body.acceptable else "no")
        case modification.PatientInformed() as body:
            document = body.information
            record.particulars.add(name="patient agrees", value="yes" if body.agrees else "no")
        case modification.AuthorityNotified() as body:
            document = body.notification
            record.particulars.add(name="authority", value=body.authority)
            record.particulars.add(name="reference", value=body.reference)
        case _:
            pass
    if document is not None and document.sha256:
        record.documents.append(document)


def _outcome(account: Account, materials: set[bytes], since: int) -> Iterator[custody_query_service_pb2.HistoryItem]:
    for told in account.standing(alone=True):
        if told.act.occurred_start < since:
            continue
        match told.act.body:
            case returned.InfusionStarted() | returned.InfusionStopped() as body if body.material in materials:
                yield bare(told)
            case returned.ReactionObserved() | returned.ToxicityGraded() | returned.AdverseEventReported():
                yield bare(told)
            case _:
                pass
