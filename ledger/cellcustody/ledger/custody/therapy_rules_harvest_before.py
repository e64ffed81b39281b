"""Judge and evolve what comes before a collection: eligibility, studies, screening, slots, kits, linked courses.

The rules, as the policy pack asks for them:

* The last assessment of the patient counts. One that says no, or not now, stands against collection and study.
* Each marker that the pack names was tested on a sample near enough to the collection, or left out with the reason
  that the label gives, where the pack lets it.
* A collection has a slot that stands and is collected within its times, where the pack asks for one; a slot that is
  named counts in any case.
* A kit is received whole, unexpired, its labels counted in; it serves one collection.
* Another course of the same patient is linked under its own chain of identity identifier, and nothing else of it is
  taken over: consents, checks and materials stay where they are.

What nonconforming facts do: an assessment, a screening, a slot and a kit are what they are and are noted; a link that
breaks a rule links nothing.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.therapy_evolution import end_of
from cellcustody.ledger.custody.therapy_harvest_state import (
    CourseLink,
    EligibilityRecord,
    Kit,
    LabelSerial,
    Screening,
    Slot,
    Study,
)
from cellcustody.ledger.custody.therapy_judging import Judging, same_coi, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import options_pb2 as options

__all__ = ["ACTS", "check_before_collection", "check_trial_enrolled"]

_KIT_RECEIVED = harvest.KitReceived.DESCRIPTOR.full_name
_SLOT_RESERVED = harvest.SlotReserved.DESCRIPTOR.full_name
_STREAM_BYTES = 17
_MICROS_PER_DAY = 86_400_000_000


# Eligibility and studies.


def _check_assessed(judging: Judging, body: harvest.EligibilityAssessed) -> None:
    judging.enrolled()


def _evolve_assessed(state: TherapyState, act: Act, body: harvest.EligibilityAssessed, judged: Judged) -> None:
    # One against the rules makes nobody eligible; a no always counts.
    if judged.status is Status.CONFORMING or body.outcome != harvest.ELIGIBILITY_OUTCOME_ELIGIBLE:
        state.harvest.eligibility.append(EligibilityRecord(act.digest, body.outcome, end_of(act)))


def _is_ineligible(state: TherapyState, at: int) -> bool:
    last = state.harvest.last_eligibility(at)
    return last is not None and last.outcome != harvest.ELIGIBILITY_OUTCOME_ELIGIBLE


def check_trial_enrolled(state: TherapyState, act: Act, body: harvest.TrialEnrolled, found: Findings) -> None:
    """Adds what stands against taking the patient into a study."""
    if state.closed:
        found.add("THERAPY_CLOSED")
    if not body.study or not body.protocol:
        found.add("STUDY_UNNAMED", act.leaves_of(1, 2))
    if body.study in state.harvest.studies:
        found.add("IN_STUDY_ALREADY", act.leaves_of(1))
    if _is_ineligible(state, act.occurred_start):
        found.add("NOT_ELIGIBLE")


def _evolve_trial_enrolled(state: TherapyState, act: Act, body: harvest.TrialEnrolled, judged: Judged) -> None:
    state.harvest.studies.setdefault(body.study, Study(act.digest, body.study, body.protocol, act.occurred_start))


# Screening.


def _check_screened(judging: Judging, body: harvest.DonorScreened) -> None:
    if not judging.enrolled():
        return
    if body.sample_taken_at_unix_micros > end_of(judging.act):
        judging.find("SAMPLE_NOT_TAKEN_YET", 1)
    if any(not marker.evaluated for marker in body.markers) and not body.label_reason:
        judging.find("LABEL_REASON_MISSING", 2, 5)


def _evolve_screened(state: TherapyState, act: Act, body: harvest.DonorScreened, judged: Judged) -> None:
    state.harvest.screenings.append(
        Screening(
            act.digest,
            body.sample_taken_at_unix_micros,
            frozenset(marker.marker for marker in body.markers if marker.evaluated),
            frozenset(marker.marker for marker in body.markers if not marker.evaluated),
            body.biohazard,
            body.label_reason,
        )
    )


def _check_screening(judging: Judging) -> None:
    """Finds markers that the pack asks for and that no screening told of, or only one of an old sample."""
    asked = judging.pack.eligibility
    if not asked.markers:
        return
    start = judging.act.occurred_start
    told: set[str] = set()
    in_time: set[str] = set()
    for screening in judging.state.harvest.screenings:
        markers = set(screening.evaluated)
        if asked.not_evaluated_allowed and screening.label_reason:
            markers |= screening.left_out
        told |= markers
        if asked.max_age_days is None or abs(start - screening.sample_at) <= asked.max_age_days * _MICROS_PER_DAY:
            in_time |= markers
    if not asked.markers <= told:
        judging.find("SCREENING_MISSING")
    elif not asked.markers <= in_time:
        judging.find("SCREENING_TOO_OLD")


# Slots.


def _check_reserved(judging: Judging, body: harvest.SlotReserved) -> None:
    if judging.enrolled():
        _check_times(judging, body)


def _check_times(judging: Judging, body: harvest.SlotReserved | harvest.SlotMoved) -> None:
    if 0 < body.collect_until_unix_micros < body.collect_from_unix_micros:
        judging.find("SLOT_EMPTY", 3, 4)
    if 0 < body.pick_up_until_unix_micros < body.pick_up_from_unix_micros:
        judging.find("SLOT_EMPTY", 6, 7)


def _evolve_reserved(state: TherapyState, act: Act, body: harvest.SlotReserved, judged: Judged) -> None:
    state.harvest.slots[act.digest] = Slot(
        act.digest, body.slot, body.attempt or 1, body.collect_from_unix_micros, body.collect_until_unix_micros
    )


def _check_changed(judging: Judging, body: harvest.SlotMoved | harvest.SlotReleased) -> None:
    if not judging.enrolled():
        return
    reserved = judging.named(body.reserved, _SLOT_RESERVED, 1)
    slot = None if reserved is None else _slot(judging, reserved, 1)
    if slot is not None and slot.released_by:
        judging.find("SLOT_NOT_STANDING", 1)
    if isinstance(body, harvest.SlotMoved):
        _check_times(judging, body)


def _slot(judging: Judging, reserved: Act, field: int) -> Slot | None:
    slot = judging.state.harvest.slots.get(reserved.digest)
    if slot is None:
        judging.without_effect(reserved, field)
    return slot


def _evolve_moved(state: TherapyState, act: Act, body: harvest.SlotMoved, judged: Judged) -> None:
    slot = state.harvest.slots.get(state.current(body.reserved))
    if slot is not None and not slot.released_by:
        slot.collect_from = body.collect_from_unix_micros
        slot.collect_until = body.collect_until_unix_micros


def _evolve_released(state: TherapyState, act: Act, body: harvest.SlotReleased, judged: Judged) -> None:
    slot = state.harvest.slots.get(state.current(body.reserved))
    if slot is not None and not slot.released_by:
        slot.released_by = act.digest


def _check_slot(judging: Judging, body: harvest.CollectionStarted) -> None:
    if body.slot:
        reserved = judging.named(body.slot, _SLOT_RESERVED, 10)
        slot = None if reserved is None else _slot(judging, reserved, 10)
        if slot is None:
            return
        if slot.released_by:
            judging.find("SLOT_NOT_STANDING", 10)
        standing = [slot]
    elif judging.pack.slot_required:
        standing = [
            slot
            for slot in judging.state.harvest.slots.values()
            if not slot.released_by and slot.attempt == (body.attempt or 1)
        ]
        if not standing:
            judging.find("SLOT_MISSING")
            return
    else:
        return
    start = judging.act.occurred_start
    if not any(
        slot.collect_from <= start and (not slot.collect_until or start <= slot.collect_until) for slot in standing
    ):
        judging.find("SLOT_OUTSIDE")


# Kits.


def _check_kit_received(judging: Judging, body: harvest.KitReceived) -> None:
    if not judging.enrolled():
        return
    judging.own_unit(body.unit, 6)
    if body.expires_at_unix_micros and body.expires_at_unix_micros < end_of(judging.act):
        judging.find("KIT_EXPIRED", 3)
    if body.expires_at_unix_micros <= 0:
        judging.find("KIT_EXPIRY_UNKNOWN")
    if not body.intact:
        judging.find("KIT_NOT_WHOLE", 7)
    if body.labels_counted != len(set(body.label_serials)) or len(set(body.label_serials)) != len(body.label_serials):
        judging.find("KIT_LABELS_MISCOUNTED", 4, 5)
    if any(serial in judging.state.harvest.labels for serial in body.label_serials):
        judging.find("LABEL_SERIAL_TAKEN", 4)


def _evolve_kit_received(state: TherapyState, act: Act, body: harvest.KitReceived, judged: Judged) -> None:
    unit = unit_of(body.unit)
    state.harvest.kits[act.digest] = Kit(
        act.digest, body.lot.lot, body.lot.lot_number, body.expires_at_unix_micros, unit, end_of(act)
    )
    for serial in body.label_serials:
        state.harvest.labels.setdefault(serial, LabelSerial(serial, unit, act.digest, end_of(act)))


def _check_kit(judging: Judging, body: harvest.CollectionStarted) -> None:
    if not body.kit:
        if judging.pack.kit_required:
            judging.find("KIT_MISSING")
        return
    received = judging.named(body.kit, _KIT_RECEIVED, 9)
    if received is None:
        return
    kit = judging.state.harvest.kits.get(received.digest)
    if kit is None:
        judging.without_effect(received, 9)
        return
    if kit.unit.site != judging.act.site:
        judging.find("KIT_MISSING", 9)
    if kit.expires_at and kit.expires_at < judging.act.occurred_start:
        judging.find("KIT_EXPIRED", 9)
    if kit.used_by:
        judging.find("KIT_USED", 9)


def check_before_collection(judging: Judging, body: harvest.CollectionStarted) -> None:
    """Finds what had to be in place before a collection and was not."""
    if _is_ineligible(judging.state, judging.act.occurred_start):
        judging.find("NOT_ELIGIBLE")
    _check_screening(judging)
    _check_slot(judging, body)
    _check_kit(judging, body)


# Linked courses.


def _check_linked(judging: Judging, body: harvest.CourseLinked) -> None:
    if not judging.enrolled():
        return
    is_other = (
        len(body.course) == _STREAM_BYTES
        and body.course[0] == options.STREAM_KIND_THERAPY
        and body.course != judging.act.stream
    )
    if not is_other or not body.relation:
        judging.find("COURSE_LINK_INVALID", 1, 2)
    if not body.coi or same_coi(body.coi, judging.state.coi):
        judging.find("COURSE_LINK_INVALID", 3)


def _evolve_linked(state: TherapyState, act: Act, body: harvest.CourseLinked, judged: Judged) -> None:
    if judged.status is Status.CONFORMING:
        state.harvest.courses.append(CourseLink(act.digest, body.course, body.relation, body.coi))


ACTS: tuple[TherapyAct, ...] = (
    fact(harvest.EligibilityAssessed, check=_check_assessed, evolve=_evolve_assessed),
    authorisation(harvest.TrialEnrolled, evolve=_evolve_trial_enrolled),
    fact(harvest.DonorScreened, check=_check_screened, evolve=_evolve_screened),
    fact(harvest.SlotReserved, check=_check_reserved, evolve=_evolve_reserved),
    fact(harvest.SlotMoved, check=_check_changed, evolve=_evolve_moved, names=lambda body: (body.reserved,)),
    fact(harvest.SlotReleased, check=_check_changed, evolve=_evolve_released, names=lambda body: (body.reserved,)),
    fact(harvest.KitReceived, check=_check_kit_received, evolve=_evolve_kit_received),
    fact(harvest.CourseLinked, check=_check_linked, evolve=_evolve_linked),
)
