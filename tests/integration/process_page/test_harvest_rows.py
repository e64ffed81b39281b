"""Rows 1 to 8 of the process page: referral to fresh hold or freezing. Each story is named after its row."""

from __future__ import annotations

import pytest
from courses import DAY, MINUTE, codes, document, read, status
from eu_world import EuCourse, EuWorld, exact

from cellcustody.ledger.custody.act import Outcome, Status
from cellcustody.ledger.custody.therapy_harvest_state import LabelFate
from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality


def test_row_1_enrolment_claims_one_identifier_and_compares_two(course: EuCourse, eu: EuWorld) -> None:
    """Unique for the whole ledger, in its exact form, with at least two identifiers of the patient."""
    one = course.enrolment()
    del one.patient_identifiers[1:]
    with pytest.raises(RuleRefusedError) as refused:
        course.say(eu.physician, one)
    assert "PATIENT_IDENTIFIERS_TOO_FEW" in [finding.code for finding in refused.value.findings]
    course.enrols()
    state = course.state
    assert (state.coi, state.product, state.jurisdiction) == (course.coi, eu.pack.product, "EU")
    assert state.policy_digest == eu.pack.digest
    twin = eu.new_course()
    twin.coi = course.coi
    with pytest.raises(Exception, match=r"(?i)claim|identifier"):
        twin.say(eu.physician, twin.enrolment())


def test_row_2_consent_precedes_the_collection_and_its_withdrawal_holds(course: EuCourse, eu: EuWorld) -> None:
    """Without consent the collection is found; a withdrawal holds all, an override of it is refused."""
    course.prepares()
    withdrawn = course.say(eu.physician, harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_COLLECTION]))
    assert codes(withdrawn) == {"CONSENT_WITHDRAWN"}
    with pytest.raises(RuleRefusedError):
        course.say(eu.qualified_person, _override("CONSENT_MISSING", course))
    course.at_the_chair()
    assert "CONSENT_MISSING" in codes(course.say(eu.nurse, course.collection_start()))
    lifting = quality.HoldLifted(holds=withdrawn.holds_opened, disposition="asked again")
    with pytest.raises(RuleRefusedError) as refused:
        course.say(eu.reviewer, lifting)
    assert "CONSENT_MISSING" in [one.code for one in refused.value.findings]


def _override(gate: str, course: EuCourse) -> quality.GateOverridden:
    return quality.GateOverridden(
        gate=gate,
        scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
        valid_until_unix_micros=course.harness.clock + DAY,
        circumstances=common.Circumstances(reason="there is no time"),
    )


@pytest.mark.parametrize(
    ("age", "found"),
    [(29 * DAY, set()), (None, {"SCREENING_MISSING", "STEP_OUT_OF_ORDER"}), (31 * DAY, {"SCREENING_TOO_OLD"})],
)
def test_row_3_screening_is_there_and_near_the_collection(
    course: EuCourse, eu: EuWorld, age: int | None, found: set[str]
) -> None:
    """Each marker of the pack, on a sample at most thirty days away."""
    course.enrols()
    course.consents()
    if age is not None:
        course.does(eu.physician, course.screening(age=age))
    course.books_slot()
    course.receives_kit()
    course.at_the_chair()
    assert codes(course.say(eu.nurse, course.collection_start())) - {"STEP_OUT_OF_ORDER"} == found - {
        "STEP_OUT_OF_ORDER"
    }


def test_row_3_what_was_left_out_has_the_reason_that_the_label_gives(course: EuCourse, eu: EuWorld) -> None:
    """Named, with the reason; and under this pack it is not enough to collect on."""
    course.enrols()
    course.consents()
    body = course.screening(left_out=["htlv"])
    assert codes(course.say(eu.physician, body)) == {"LABEL_REASON_MISSING"}
    body.label_reason = "not evaluated for infectious substances"
    course.does(eu.physician, body)
    course.books_slot()
    course.receives_kit()
    course.at_the_chair()
    assert "SCREENING_MISSING" in codes(course.say(eu.nurse, course.collection_start()))


def test_row_3b_a_collection_has_a_slot_that_stands(course: EuCourse, eu: EuWorld) -> None:
    """Moved away from the day, and given back, it is none."""
    course.prepares()
    clock = course.harness.clock
    moved = harvest.SlotMoved(
        reserved=course.slot, collect_from_unix_micros=clock + 3 * DAY, collect_until_unix_micros=clock + 4 * DAY
    )
    course.does(eu.operator, moved)
    course.at_the_chair()
    assert codes(course.say(eu.nurse, course.collection_start())) == {"SLOT_OUTSIDE"}
    course.does(eu.operator, harvest.SlotReleased(reserved=course.slot, reason="another patient first"))
    again = course.collection_start(day=2)
    again.slot = b""
    assert "SLOT_MISSING" in codes(course.say(eu.nurse, again))


def test_row_4_a_kit_is_counted_in_whole_and_in_date(course: EuCourse, eu: EuWorld) -> None:
    """Its labels as many as its list names; its lot usable when it is received and when it is opened."""
    course.enrols()
    course.consents()
    short = course.kit_received()
    short.labels_counted = 2
    assert codes(course.say(eu.nurse, short)) == {"KIT_LABELS_MISCOUNTED"}
    stale = course.kit_received()
    stale.expires_at_unix_micros = course.harness.clock - DAY
    assert codes(course.say(eu.nurse, stale)) == {"KIT_EXPIRED"}
    open_kit = course.kit_received()
    open_kit.intact = False
    assert codes(course.say(eu.nurse, open_kit)) == {"KIT_NOT_WHOLE"}

    other = eu.new_course()
    lot = eu.new_lot("kit")
    other.enrols()
    other.consents()
    other.does(eu.physician, other.screening())
    other.books_slot()
    other.receives_kit(lot)
    eu.quality_says(lot.lot, modification.LOT_STATUS_RECALLED)
    other.at_the_chair()
    assert codes(other.say(eu.nurse, other.collection_start())) == {"LOT_NOT_USABLE"}


def test_row_4_a_kit_that_expires_before_it_is_opened(course: EuCourse, eu: EuWorld) -> None:
    """Expiry counts at the moment of use."""
    course.enrols()
    course.consents()
    course.does(eu.physician, course.screening())
    course.books_slot()
    body = course.kit_received()
    body.expires_at_unix_micros = course.harness.clock + 3 * MINUTE
    course.kit = course.does(eu.nurse, body).statement_digest
    course.at_the_chair()
    course.harness.tick(300)
    assert codes(course.say(eu.nurse, course.collection_start())) == {"KIT_EXPIRED"}


def test_row_5_the_patient_is_checked_at_the_chair_by_two(course: EuCourse, eu: EuWorld) -> None:
    """A hard gate: one person, one identifier, another's wristband, or a check too old, and no override."""
    course.prepares()
    with pytest.raises(RuleRefusedError) as refused:
        course.say(eu.qualified_person, _override("IDENTITY_NOT_CHECKED", course))
    assert "HARD_GATE_NO_OVERRIDE" in [one.code for one in refused.value.findings]
    course.say(eu.nurse, course.identity_check())
    assert codes(course.say(eu.nurse, course.collection_start())) == {"SECOND_PERSON_MISSING"}

    late = eu.new_course().prepares()
    late.at_the_chair()
    late.harness.tick(7200)
    assert codes(late.say(eu.nurse, late.collection_start())) == {"IDENTITY_CHECK_STALE"}

    one = eu.new_course().prepares()
    checked = one.say(eu.nurse, one.identity_check(identifiers=read([("medical_record_number", "A-4711")])))
    one.join(eu.second_nurse, checked)
    assert codes(one.say(eu.nurse, one.collection_start())) == {"IDENTITY_NOT_CHECKED"}

    wrong = eu.new_course().prepares()
    checked = wrong.say(eu.nurse, wrong.identity_check(identifiers=read([("wristband", "W-0000")])))
    assert [comparison.outcome for comparison in checked.judgement.comparisons] == [Outcome.MISMATCH]
    assert "IDENTIFIER_MISMATCH" in codes(checked)
    assert "IDENTITY_BROKEN" in codes(wrong.say(eu.nurse, wrong.collection_start()))


def test_row_5_one_person_does_not_stand_for_two(course: EuCourse, eu: EuWorld) -> None:
    """Whoever signed may not join, in whatever role."""
    course.prepares()
    checked = course.say(eu.nurse, course.identity_check())
    with pytest.raises(Exception, match=r"(?i)signed|person"):
        course.join(eu.nurse, checked)
    with pytest.raises(Exception, match=r"(?i)role|signed|person|rules"):
        course.join(eu.nurse, checked, role="physician")


def test_row_6_each_day_has_a_donation_number_of_its_own(course: EuCourse, eu: EuWorld) -> None:
    """Two days, two numbers, one chain of identity; a number used twice is found, in both therapies."""
    course.prepares()
    course.collects("day-1")
    first = course.din
    course.harness.tick(20 * 3600)
    course.receives_kit()
    course.collects("day-2", day=2)
    state = course.state
    assert len(state.dins) == 2
    assert {one.day for one in state.collections.values()} == {1, 2}

    thief = eu.new_course().prepares()
    thief.at_the_chair()
    body = thief.collection_start()
    body.din = first
    assert "DIN_CLAIMED_TWICE" in codes(thief.say(eu.nurse, body))
    assert any(hold.code == "DIN_CLAIMED_TWICE" for hold in course.state.holds.values())


def test_row_6_what_was_measured_and_what_went_wrong_is_kept(course: EuCourse, eu: EuWorld) -> None:
    """Device, software, volumes, counts and adverse events; less than nothing is found."""
    course.prepares()
    course.at_the_chair()
    started = course.does(eu.nurse, course.collection_start())
    body = harvest.CollectionCompleted(
        started=started.statement_digest,
        outputs=course.outputs(common.MATERIAL_KIND_COLLECTION, -100, "bag"),
        unit=eu.apheresis,
        blood_processed=exact(12, "L"),
        adverse_events=[harvest.CollectionEvent(kind="citrate reaction", grade=1, action="calcium")],
    )
    assert codes(course.say(eu.nurse, body)) == {"QUANTITY_NEGATIVE"}


def test_row_7_labels_are_read_back_by_another_and_add_up(course: EuCourse, eu: EuWorld) -> None:
    """Applied by one, scanned by another; printed is applied, voided and returned; nothing leaves without."""
    course.prepares()
    course.at_the_chair()
    started = course.does(eu.nurse, course.collection_start())
    outputs = course.outputs(common.MATERIAL_KIND_COLLECTION, 100, "bag", "bare")
    course.does(
        eu.nurse,
        harvest.CollectionCompleted(started=started.statement_digest, outputs=outputs, unit=eu.apheresis),
    )
    wrong = course.label("bag", course.spare[0])
    wrong.coi = ChainOfIdentity("CHA999925999999").printed_compact
    assert "LABEL_MISMATCH" in codes(eu_mislabels := course.say(eu.nurse, wrong))
    assert status(eu_mislabels) is Status.NONCONFORMING

    other = eu.new_course().prepares()
    other.at_the_chair()
    started = other.does(eu.nurse, other.collection_start())
    outputs = other.outputs(common.MATERIAL_KIND_COLLECTION, 100, "bag", "bare")
    other.does(
        eu.nurse,
        harvest.CollectionCompleted(started=started.statement_digest, outputs=outputs, unit=eu.apheresis),
    )
    applied = other.does(eu.nurse, other.label("bag", other.spare[0]))
    assert "READ_BACK_BY_SAME_PERSON" in codes(other.say(eu.nurse, other.read_back(applied, "bag")))
    stream = other.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    assert codes(other.say(eu.nurse, other.packing("bare", stream, eu.apheresis))) == {"LABEL_MISSING"}
    assert codes(other.say(eu.nurse, other.packing("bag", stream, eu.apheresis))) == {"LABEL_NOT_READ_BACK"}
    other.does(eu.nurse, harvest.LabelVoided(serials=[other.spare[1]], reason="smudged"))
    counted = labels.LabelsReconciled(unit=eu.apheresis, printed=3, applied=1, voided=1)
    assert codes(other.say(eu.nurse, counted)) == {"LABELS_DO_NOT_BALANCE"}
    other.does(eu.nurse, labels.LabelsReturned(serials=[other.spare[2]], unit=eu.apheresis))
    counted.returned = 1
    other.does(eu.nurse, counted)
    assert {one.fate for one in other.state.harvest.labels.values()} == {
        LabelFate.APPLIED,
        LabelFate.VOIDED,
        LabelFate.RETURNED,
    }


def test_row_8_fresh_cells_wait_no_longer_than_the_pack_lets_them(course: EuCourse, eu: EuWorld) -> None:
    """Seventy-two hours are let pass, a second more is found; quality may override it beforehand where it may."""
    course.to_the_collection()
    since = course.state.harvest.fresh_since[course.material("apheresis")]
    bags = [course.material("apheresis")]
    body = harvest.CryopreservationStarted(materials=bags, unit=eu.apheresis, cryoprotectant=eu.lots["cryoprotectant"])
    limit = since + 72 * 3600 * 1_000_000
    course.harness.clock = limit + 120 * 1_000_000
    begun = course.does(eu.nurse, body, at=limit)
    late = course.say(eu.nurse, body, at=limit + 1_000_000)
    assert "FRESH_HOLD_EXCEEDED" in codes(late)
    frozen = harvest.CryopreservationCompleted(started=begun.statement_digest, materials=bags)
    assert "RATE_TRACE_MISSING" in codes(course.say(eu.nurse, frozen))
    frozen.rate_trace.CopyFrom(document("rate-trace"))
    assert bags[0] in course.state.harvest.frozen_at
