"""What must be in place before cells are collected: eligibility, screening, slot, kit, day, and a fresh check."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from cellcustody.ledger.custody.act import Act, Finding, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.policy import Json, PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.custody.references import References, course_key, reference_keys
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

from .stories import (
    APHERESIS,
    COI,
    DAY,
    DIN,
    HOUR,
    MATCHING,
    MINUTE,
    OTHER_COI,
    OTHER_DIN,
    OTHER_THERAPY,
    OUTWARD,
    SECOND_MICROS,
    SECOND_NURSE,
    SUITE,
    THERAPY,
    Story,
    case_of,
    creators_of,
    folds_of,
    material,
    new,
)

CHECK_VALIDITY = 7200 * SECOND_MICROS


def pack_with(**members: Json) -> PolicyPack:
    """Returns the sample pack with some of its members changed; one that is an object is changed member by member."""
    pack: dict[str, Json] = json.loads(sample_pack_bytes())
    for name, value in members.items():
        before = pack[name]
        pack[name] = {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return PolicyPack.parse(canonical_json(pack))


def codes_under(pack: PolicyPack, story: Story, act: Act) -> set[str]:
    """Returns what is found in an act under a pack."""
    references = References(folds_of(story.acts), creators_of(story.acts))
    case = TherapyCase(THERAPY, pack, [one for one in story.acts if one.stream == THERAPY], references)
    return {finding.code for finding in case.judged[act.digest].findings}


def consented() -> Story:
    """Returns a story told up to the consent."""
    story = Story()
    story.enrols()
    story.consents()
    return story


def starts(story: Story, **fields: object) -> Act:
    """A collection starts after a check at the chair."""
    story.checks_identity()
    body = harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS)
    body.MergeFrom(harvest.CollectionStarted(**fields))  # type: ignore[arg-type]  # Fields by name, as a test gives them.
    return story.tell(body)


# Consent.


def test_a_consent_names_its_form() -> None:
    """Version and digest; without them it is shown, and counts all the same."""
    story = Story()
    story.enrols()
    bare = story.consents()
    form = common.Document(sha256=bytes(32), kind="consent-form")
    full = story.tell(
        harvest.ConsentRecorded(scopes=[harvest.CONSENT_SCOPE_COLLECTION], form_version="3", documents=[form])
    )
    other = story.tell(
        harvest.ConsentRecorded(
            scopes=[harvest.CONSENT_SCOPE_DATA], form_version="3", documents=[common.Document(kind="consent-form")]
        )
    )
    assert story.codes(bare) == story.codes(other) == {"CONSENT_WITHOUT_FORM"}
    assert story.codes(full) == set()
    assert story.case().state.consent_in_force(harvest.CONSENT_SCOPE_MANUFACTURE, story.now)


def test_consent_given_again_is_in_force_again() -> None:
    """From its own time; the hold of the withdrawal stands until it is lifted."""
    story = consented()
    story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_COLLECTION]))
    stopped = starts(story)
    story.consents(harvest.CONSENT_SCOPE_COLLECTION)
    state = story.case().state
    assert "CONSENT_MISSING" in story.codes(stopped)
    assert state.consent_in_force(harvest.CONSENT_SCOPE_COLLECTION, story.now)
    assert not state.consent_in_force(harvest.CONSENT_SCOPE_COLLECTION, stopped.occurred_start)
    assert [hold.code for hold in state.holds.values() if hold.code == "CONSENT_WITHDRAWN"]


# Eligibility and studies.


def _assesses(story: Story, outcome: harvest.EligibilityOutcome.ValueType, **told: object) -> Act:
    return story.tell(harvest.EligibilityAssessed(outcome=outcome), **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("no", [harvest.ELIGIBILITY_OUTCOME_NOT_ELIGIBLE, harvest.ELIGIBILITY_OUTCOME_DEFERRED])
def test_the_last_assessment_counts(no: harvest.EligibilityOutcome.ValueType) -> None:
    """A no stands until a yes; without any assessment nothing stands against collection."""
    story = consented()
    assert story.codes(starts(story)) == set()

    story = consented()
    _assesses(story, no)
    assert story.codes(starts(story)) == {"NOT_ELIGIBLE"}

    story = consented()
    _assesses(story, no)
    _assesses(story, harvest.ELIGIBILITY_OUTCOME_ELIGIBLE)
    assert story.codes(starts(story)) == set()


def test_an_assessment_against_the_rules_makes_nobody_eligible() -> None:
    """Who may not assess has said nothing that helps; a no from anybody counts."""
    wrong = (Finding("CAPABILITY_MISSING"),)
    story = consented()
    _assesses(story, harvest.ELIGIBILITY_OUTCOME_NOT_ELIGIBLE, entry_findings=wrong)
    _assesses(story, harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, entry_findings=wrong)
    assert "NOT_ELIGIBLE" in story.codes(starts(story))


def _judge_trial(story: Story, *, study: str = "NCT-1", protocol: str = "P-1") -> set[str]:
    body = harvest.TrialEnrolled(study=study, protocol=protocol)
    told = Story(list(story.acts), story.now)
    act = told.tell(body, is_in_effect=False)
    findings, _ = told.case().judge_authorisation(act)
    return {finding.code for finding in findings}


def test_a_patient_is_taken_into_a_study_once() -> None:
    """And only one that is named, of a patient whom nothing stands against."""
    story = consented()
    assert _judge_trial(story) == set()
    assert _judge_trial(story, study="") == _judge_trial(story, protocol="") == {"STUDY_UNNAMED"}
    story.tell(harvest.TrialEnrolled(study="NCT-1", protocol="P-1"))
    assert _judge_trial(story) == {"IN_STUDY_ALREADY"}
    assert _judge_trial(story, study="NCT-2") == set()
    _assesses(story, harvest.ELIGIBILITY_OUTCOME_NOT_ELIGIBLE)
    assert "NOT_ELIGIBLE" in _judge_trial(story, study="NCT-2")
    assert story.case().state.harvest.studies["NCT-1"].protocol == "P-1"

    ended = Story().to_the_end()
    assert "THERAPY_CLOSED" in _judge_trial(ended)


# Screening.

MARKERS = pack_with(eligibility={"markers": ["HBV", "HIV"], "max_age_days": 30, "not_evaluated_allowed": False})
LEFT_OUT = pack_with(eligibility={"markers": ["HBV", "HIV"], "max_age_days": 30, "not_evaluated_allowed": True})


def _screens(story: Story, *evaluated: str, left_out: tuple[str, ...] = (), age: int = DAY, reason: str = "") -> Act:
    markers = [harvest.MarkerTested(marker=one, evaluated=True) for one in evaluated]
    markers += [harvest.MarkerTested(marker=one) for one in left_out]
    body = harvest.DonorScreened(sample_taken_at_unix_micros=story.now - age, markers=markers, label_reason=reason)
    return story.tell(body)


def test_every_marker_of_the_policy_is_tested_before_collection() -> None:
    """By one sample or several; without markers in the policy nothing is asked."""
    story = consented()
    assert codes_under(MARKERS, story, starts(story)) == {"SCREENING_MISSING"}

    story = consented()
    _screens(story, "HIV")
    started = starts(story)
    assert codes_under(MARKERS, story, started) == {"SCREENING_MISSING"}
    assert story.codes(started) == set()

    story = consented()
    _screens(story, "HIV")
    _screens(story, "HBV", "syphilis")
    assert codes_under(MARKERS, story, starts(story)) == set()


def test_a_sample_is_near_the_collection() -> None:
    """Thirty days are in time, a microsecond more is not; sooner or later alike."""
    for age, found in ((30 * DAY, set()), (30 * DAY + 1, {"SCREENING_TOO_OLD"})):
        story = consented()
        screened = _screens(story, "HIV", "HBV", age=age - 30 * MINUTE)
        started = starts(story)
        # The story goes on ten minutes with each act: screening, check, its second person's, start.
        sampled = started.occurred_start - age
        assert isinstance(screened.body, harvest.DonorScreened)
        assert screened.body.sample_taken_at_unix_micros == sampled
        assert codes_under(MARKERS, story, started) == found


def test_a_marker_left_out_needs_the_labels_reason_and_a_policy_that_lets_it() -> None:
    """The reason is asked for in any case."""
    story = consented()
    silent = _screens(story, "HIV", left_out=("HBV",))
    assert story.codes(silent) == {"LABEL_REASON_MISSING"}
    assert codes_under(LEFT_OUT, story, starts(story)) == {"SCREENING_MISSING"}

    story = consented()
    told = _screens(story, "HIV", left_out=("HBV",), reason="for autologous use only")
    started = starts(story)
    assert story.codes(told) == set()
    assert codes_under(LEFT_OUT, story, started) == set()
    assert codes_under(MARKERS, story, started) == {"SCREENING_MISSING"}


def test_a_sample_is_taken_before_it_is_tested() -> None:
    """A sample of tomorrow was mistyped; one taken as it was tested was not."""
    story = consented()
    assert story.codes(_screens(story, "HIV", age=-10 * MINUTE)) == set()
    assert story.codes(_screens(story, "HIV", age=-10 * MINUTE - 1)) == {"SAMPLE_NOT_TAKEN_YET"}


# Slots.

SLOT_ASKED = pack_with(slot_required=True)


def _reserves(story: Story, *, since: int = 0, until: int = 0, attempt: int = 1) -> Act:
    return story.tell(
        harvest.SlotReserved(
            slot="S-17",
            unit=SUITE,
            attempt=attempt,
            collect_from_unix_micros=since and story.now + since,
            collect_until_unix_micros=until and story.now + until,
        )
    )


def test_a_collection_has_a_slot_where_the_policy_asks_for_one() -> None:
    """One that stands, for this attempt; the default pack asks for none."""
    story = consented()
    started = starts(story)
    assert codes_under(SLOT_ASKED, story, started) == {"SLOT_MISSING"}
    assert story.codes(started) == set()

    story = consented()
    _reserves(story)
    assert codes_under(SLOT_ASKED, story, starts(story)) == set()

    story = consented()
    _reserves(story, attempt=2)
    assert codes_under(SLOT_ASKED, story, starts(story)) == {"SLOT_MISSING"}


def test_a_slot_given_back_is_none() -> None:
    """Nor is it moved, given back or named once more."""
    story = consented()
    reserved = _reserves(story)
    released = story.tell(harvest.SlotReleased(reserved=reserved.digest))
    again = story.tell(harvest.SlotReleased(reserved=reserved.digest))
    moved = story.tell(harvest.SlotMoved(reserved=reserved.digest, collect_until_unix_micros=1))
    assert story.codes(released) == set()
    assert story.codes(again) == story.codes(moved) == {"SLOT_NOT_STANDING"}
    slot = story.case().state.harvest.slots[reserved.digest]
    assert (slot.released_by, slot.collect_until) == (released.digest, 0)
    assert codes_under(SLOT_ASKED, story, starts(story)) >= {"SLOT_MISSING"}
    assert "SLOT_NOT_STANDING" in story.codes(starts(story, slot=reserved.digest, din=OTHER_DIN, day=2))


def test_cells_are_collected_within_the_times_of_the_slot() -> None:
    """At its very end they still are; moving it makes other times."""
    story = consented()
    reserved = _reserves(story, since=HOUR, until=2 * HOUR)
    assert codes_under(SLOT_ASKED, story, starts(story)) == {"SLOT_OUTSIDE"}

    story = consented()
    reserved = _reserves(story, since=-HOUR, until=30 * MINUTE)  # The start comes thirty minutes after this `now`.
    assert codes_under(SLOT_ASKED, story, starts(story, slot=reserved.digest)) == set()
    story.checks_identity()
    late = story.tell(harvest.CollectionStarted(day=2, din=OTHER_DIN, unit=APHERESIS, slot=reserved.digest))
    assert story.codes(late) == {"SLOT_OUTSIDE"}

    story = consented()
    _reserves(story, since=30 * MINUTE)  # From the very start on, without an end.
    assert codes_under(SLOT_ASKED, story, starts(story)) == set()

    story = consented()
    reserved = _reserves(story, since=-2 * HOUR, until=-HOUR)
    story.tell(harvest.SlotMoved(reserved=reserved.digest, collect_until_unix_micros=story.now + HOUR))
    assert codes_under(SLOT_ASKED, story, starts(story)) == set()


def test_the_times_of_a_slot_begin_before_they_end() -> None:
    """Reserved or moved."""
    story = consented()
    reserved = _reserves(story)
    empty = story.tell(harvest.SlotReserved(collect_from_unix_micros=2, collect_until_unix_micros=1))
    moved = story.tell(
        harvest.SlotMoved(reserved=reserved.digest, pick_up_from_unix_micros=2, pick_up_until_unix_micros=1)
    )
    whole = story.tell(
        harvest.SlotReserved(
            collect_from_unix_micros=1,
            collect_until_unix_micros=1,
            pick_up_from_unix_micros=1,
            pick_up_until_unix_micros=1,
        )
    )
    endless = story.tell(harvest.SlotReserved(collect_from_unix_micros=1, pick_up_from_unix_micros=1))
    assert story.codes(empty) == story.codes(moved) == {"SLOT_EMPTY"}
    assert story.codes(whole) == story.codes(endless) == set()


def test_a_collection_waits_for_the_slot_and_the_kit_that_it_names() -> None:
    """Their statements may be in another outbox."""
    story = consented()
    assert story.codes(starts(story, slot=b"s" * 32)) == {"PREDECESSOR_MISSING"}
    assert story.codes(starts(story, kit=b"k" * 32)) == {"PREDECESSOR_MISSING"}
    assert not story.case().state.collections


# Kits.

KIT_ASKED = pack_with(kit_required=True)


def _receives(story: Story, *serials: str, counted: int | None = None, expires: int = DAY, intact: bool = True) -> Act:
    return story.tell(
        harvest.KitReceived(
            lot=common.LotUse(lot_number="K-1", kind="kit"),
            kit_serial="1",
            expires_at_unix_micros=story.now + expires,
            label_serials=serials,
            labels_counted=len(serials) if counted is None else counted,
            unit=APHERESIS,
            intact=intact,
        )
    )


def test_a_collection_uses_a_kit_once_where_the_policy_asks_for_one() -> None:
    """The lot of the kit is inside the bags."""
    story = consented()
    assert codes_under(KIT_ASKED, story, starts(story)) == {"KIT_MISSING"}

    story = consented()
    kit = _receives(story, "L1", "L2")
    started = starts(story, kit=kit.digest)
    story.completes_collection(started, "apheresis")
    again = starts(story, kit=kit.digest, day=1, din=OTHER_DIN, attempt=2)
    assert codes_under(KIT_ASKED, story, started) == set()
    assert story.codes(again) == {"KIT_USED"}
    state = story.case().state
    assert state.harvest.kits[kit.digest].used_by == started.digest
    assert [(one.lot_number, one.outputs) for one in state.lots] == [("K-1", (material("apheresis"),))]


def test_a_kit_is_received_whole_in_date_and_its_labels_counted_in() -> None:
    """At its very expiry it is in date; expiry has no override."""
    story = consented()
    assert story.codes(_receives(story, "L1", "L2")) == set()
    assert story.codes(_receives(story, "L1")) == {"LABEL_SERIAL_TAKEN"}
    assert story.codes(_receives(story, "L3", counted=2)) == {"KIT_LABELS_MISCOUNTED"}
    assert story.codes(_receives(story, "L4", "L4", counted=2)) == {"KIT_LABELS_MISCOUNTED"}
    assert story.codes(_receives(story, intact=False)) == {"KIT_NOT_WHOLE"}
    elsewhere = story.tell(harvest.KitReceived(unit=SUITE, intact=True, expires_at_unix_micros=story.now + DAY))
    assert story.codes(elsewhere) == {"SIGNED_FOR_ANOTHER_SITE"}
    assert "KIT_MISSING" in story.codes(starts(story, kit=elsewhere.digest))
    story = consented()
    assert story.codes(_receives(story, expires=10 * MINUTE)) == set()
    assert story.codes(_receives(story, expires=10 * MINUTE - 1)) == {"KIT_EXPIRED"}

    undated = story.tell(harvest.KitReceived(unit=APHERESIS, intact=True))
    assert story.codes(undated) == {"KIT_EXPIRY_UNKNOWN"}

    story = consented()
    kit = _receives(story, expires=30 * MINUTE)
    assert story.codes(starts(story, kit=kit.digest)) == set()
    story = consented()
    kit = _receives(story, expires=30 * MINUTE - 1)
    assert story.codes(starts(story, kit=kit.digest)) == {"KIT_EXPIRED"}


# The chair, the day and the attempt.


def test_a_check_at_the_chair_holds_for_the_policys_time() -> None:
    """Two hours are in time, a microsecond more is not."""
    for wait, found in ((CHECK_VALIDITY, set()), (CHECK_VALIDITY + 1, {"IDENTITY_CHECK_STALE"})):
        story = consented()
        check = story.checks_identity()
        body = harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS)
        assert story.codes(story.tell(body, at=check.occurred_start + wait)) == found


def test_a_check_may_end_as_the_collection_begins_and_serves_no_other() -> None:
    """At the very moment; the next collection needs a check of its own."""
    story = consented()
    body = harvest.IdentityChecked(point=harvest.IDENTITY_POINT_CHAIRSIDE, coi_read=COI)
    begun = story.now + 10 * MINUTE
    check = story.tell(body, until=begun + 5 * MINUTE, comparisons=MATCHING)
    story.join(check, SECOND_NURSE)
    first = harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS)
    second = harvest.CollectionStarted(day=2, din=OTHER_DIN, unit=APHERESIS)
    assert story.codes(story.tell(first, at=begun + 5 * MINUTE)) == set()
    assert story.codes(story.tell(second)) == {"IDENTITY_NOT_CHECKED"}


def test_a_day_of_an_attempt_has_one_collection() -> None:
    """A second collection of the same day is another attempt; attempts are counted without a gap."""
    story = consented()
    starts(story)
    assert story.codes(starts(story, din=OTHER_DIN)) == {"DAY_COLLECTED_ALREADY"}

    story = consented()
    starts(story, attempt=1)
    second = starts(story, din=OTHER_DIN, attempt=2)
    assert story.codes(second) == set()
    skipped = starts(story, din="A999925000003", attempt=4)
    assert story.codes(skipped) == {"ATTEMPT_SKIPPED"}
    assert [one.attempt for one in story.case().state.collections.values()] == [1, 2, 4]


# Linked courses.


def _links(story: Story, **changed: object) -> Act:
    fields = {
        "course": OTHER_THERAPY,
        "relation": harvest.COURSE_RELATION_PREVIOUS_COURSE,
        "coi": OTHER_COI,
        **changed,
    }
    return story.tell(harvest.CourseLinked(**fields))  # type: ignore[arg-type]


def test_another_course_is_linked_and_nothing_of_it_taken_over() -> None:
    """Either stream leads to the other by a key."""
    story = consented()
    linked = _links(story)
    state = story.case().state
    assert story.judged(linked).status is Status.CONFORMING
    assert [(one.course, one.coi) for one in state.harvest.courses] == [(OTHER_THERAPY, OTHER_COI)]
    assert state.coi == COI
    assert course_key(OTHER_THERAPY) in reference_keys(linked)


@pytest.mark.parametrize(
    "changed",
    [
        {"course": THERAPY},
        {"course": OUTWARD},
        {"course": b"x"},
        {"relation": harvest.COURSE_RELATION_UNSPECIFIED},
        {"coi": COI},
        {"coi": ""},
    ],
)
def test_a_course_is_not_linked_to_itself_or_to_what_is_none(changed: dict[str, object]) -> None:
    """A link that breaks a rule links nothing."""
    story = consented()
    linked = _links(story, **changed)
    assert story.codes(linked) == {"COURSE_LINK_INVALID"}
    assert not story.case().state.harvest.courses


def test_what_came_before_is_the_same_in_any_order_of_delivery() -> None:
    """A kit and a slot delivered behind the collection that used them are found in front of it."""
    story = consented()
    kit, slot = _receives(story, "L1"), _reserves(story)
    _screens(story, "HIV", "HBV")
    started = starts(story, kit=kit.digest, slot=slot.digest)
    forward, backward = case_of(story.acts), case_of(list(reversed(story.acts)))
    assert dict(forward.judged) == dict(backward.judged)
    assert forward.state.harvest == backward.state.harvest
    assert forward.judged[started.digest].status is Status.CONFORMING


def test_a_bag_of_nothing_is_a_bag_and_one_of_less_is_none() -> None:
    """A collection that was broken off leaves an empty bag."""
    for millilitres, found in ((0, set()), (-1, {"QUANTITY_NEGATIVE"})):
        story = consented()
        started = starts(story)
        outputs = [new("apheresis", common.MATERIAL_KIND_COLLECTION, millilitres)]
        body = harvest.CollectionCompleted(started=started.digest, outputs=outputs, unit=APHERESIS)
        assert story.codes(story.tell(body)) == found
