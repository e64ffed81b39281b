"""Consent, identity at the chair, collection, labels, storage and transfer."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act, Finding, Status, UnitRef
from cellcustody.ledger.custody.holds import ScopeOfHold, hold_id
from cellcustody.ledger.custody.references import creates_key, din_key
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    APHERESIS,
    CELL_LAB,
    DAY,
    DIN,
    HOSPITAL,
    HOUR,
    MISMATCHING,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OTHER_DIN,
    OTHER_THERAPY,
    OUTWARD,
    PLANT,
    SECOND_NURSE,
    SUITE,
    UNREADABLE,
    Story,
    material,
    new,
)


def _ready_to_collect() -> Story:
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity()
    return story


def test_a_fact_before_enrolment_waits() -> None:
    """Nothing is held because the enrolment is still in an outbox."""
    story = Story()
    consent = story.consents()

    assert story.judged(consent).status is Status.AWAITING
    assert story.codes(consent) == {"THERAPY_UNKNOWN"}
    assert not story.case().state.holds


def test_a_fact_about_unknown_material_waits() -> None:
    """The bag may be in another outbox."""
    story = Story()
    story.enrols()
    label = story.labels("nowhere")

    assert story.codes(label) == {"MATERIAL_UNKNOWN"}
    assert not story.case().state.holds


def test_anothers_material_is_a_hard_gate_and_breaks_identity() -> None:
    """A bag that another therapy's stream created is another patient's."""
    story = Story().to_the_collection()
    label = story.labels("strange")
    case = story.case(creators={creates_key(material("strange")): frozenset((OTHER_THERAPY,))})

    assert {one.code for one in case.judged[label.digest].findings} == {"OTHER_PATIENTS_MATERIAL"}
    assert case.state.identity_broken
    assert material("strange") in case.state.foreign_materials


def test_a_bag_created_in_two_therapies_is_disputed_here_too() -> None:
    """Both streams find it, whoever came first."""
    story = _ready_to_collect()
    completed = story.completes_collection(story.starts_collection(), "apheresis")
    case = story.case(creators={creates_key(material("apheresis")): frozenset((OTHER_THERAPY,))})

    assert {one.code for one in case.judged[completed.digest].findings} == {"MATERIAL_CLAIMED_TWICE"}
    assert case.state.holds_on(material("apheresis"))


def test_a_bag_is_created_once_in_its_own_therapy() -> None:
    """The first creation stands."""
    story = _ready_to_collect()
    started = story.starts_collection()
    first = story.completes_collection(started, "apheresis")
    again = story.completes_collection(started, "apheresis")

    assert story.codes(first) == set()
    assert story.codes(again) == {"ALREADY_COMPLETED", "MATERIAL_CLAIMED_TWICE"}
    assert story.case().state.materials[material("apheresis")].created_by == first.digest


def test_a_donation_number_claimed_by_two_therapies_disputes_both() -> None:
    """However the number was read elsewhere."""
    story = _ready_to_collect()
    started = story.starts_collection()
    case = story.case(creators={din_key(DIN): frozenset((OTHER_THERAPY,))})

    assert {one.code for one in case.judged[started.digest].findings} == {"DIN_CLAIMED_TWICE"}


def test_each_day_has_a_donation_number_of_its_own() -> None:
    """Two days under one number are found on the later."""
    story = _ready_to_collect()
    story.completes_collection(story.starts_collection(), "day-1")
    story.checks_identity()
    second = story.starts_collection(day=2)
    assert story.codes(second) == {"DIN_REUSED"}

    other = _ready_to_collect()
    other.completes_collection(other.starts_collection(), "day-1")
    other.checks_identity()
    assert other.codes(other.starts_collection(day=2, din=OTHER_DIN)) == set()


def test_a_collection_bears_a_donation_number() -> None:
    """A collection without one is recorded and held."""
    story = _ready_to_collect()
    assert story.codes(story.starts_collection(din="")) == {"DIN_MISSING"}


def test_collection_needs_consent_in_force_at_its_time() -> None:
    """Consent to manufacture alone is none to collection."""
    story = Story()
    story.enrols()
    story.consents(harvest.CONSENT_SCOPE_MANUFACTURE)
    story.checks_identity()
    started = story.starts_collection()

    assert story.codes(started) == {"CONSENT_MISSING"}
    assert story.case().state.collections  # It was made all the same.


def test_a_consent_against_the_rules_permits_nothing() -> None:
    """Who may not record a consent has recorded none."""
    story = Story()
    story.enrols()
    story.tell(
        harvest.ConsentRecorded(scopes=[harvest.CONSENT_SCOPE_COLLECTION]),
        entry_findings=(Finding("CAPABILITY_MISSING"),),
    )
    assert not story.case().state.consent_in_force(harvest.CONSENT_SCOPE_COLLECTION, story.now)


def test_withdrawing_consent_holds_the_whole_therapy() -> None:
    """The hold's id can be computed by anyone; it covers every bag."""
    story = Story().to_the_collection()
    withdrawal = story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_MANUFACTURE]))
    state = story.case().state

    hold = state.holds[hold_id(withdrawal.digest, "CONSENT_WITHDRAWN")]
    assert hold.scope is ScopeOfHold.THERAPY
    assert state.holds_on(material("apheresis")) == (hold,)
    assert not state.consent_in_force(harvest.CONSENT_SCOPE_MANUFACTURE, story.now)
    assert state.consent_in_force(harvest.CONSENT_SCOPE_INFUSION, story.now)


def test_withdrawing_consent_to_data_stops_nothing() -> None:
    """The treatment goes on."""
    story = Story().to_the_collection()
    withdrawal = story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_DATA]))

    assert story.judged(withdrawal).status is Status.CONFORMING
    assert not story.case().state.holds


def test_collection_needs_a_check_at_the_chair() -> None:
    """A check elsewhere, or none, is not enough."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(harvest.IDENTITY_POINT_PROCESS)
    assert story.codes(story.starts_collection()) == {"IDENTITY_NOT_CHECKED"}


def test_a_check_serves_one_collection_only() -> None:
    """The second day needs a check of its own."""
    story = _ready_to_collect()
    story.completes_collection(story.starts_collection(), "day-1")
    assert story.codes(story.starts_collection(day=2, din=OTHER_DIN)) == {"IDENTITY_NOT_CHECKED"}


def test_an_unreadable_identifier_confirms_nobody() -> None:
    """The check stands, and is not good for collecting."""
    story = Story()
    story.enrols()
    story.consents()
    check = story.checks_identity(comparisons=UNREADABLE)
    started = story.starts_collection()

    assert story.judged(check).status is Status.CONFORMING
    assert story.codes(started) == {"IDENTITY_NOT_CHECKED"}
    assert not story.case().state.identity_broken


def test_one_identifier_is_not_enough() -> None:
    """Two must match, as at enrolment."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(comparisons=MISMATCHING[:1])
    assert story.codes(story.starts_collection()) == {"IDENTITY_NOT_CHECKED"}


def test_a_mismatch_at_the_chair_breaks_the_chain_of_identity() -> None:
    """Nobody collects until the patient is identified anew."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(comparisons=MISMATCHING)
    started = story.starts_collection()

    assert story.case().state.identity_broken
    assert "IDENTITY_BROKEN" in story.codes(started)


def test_another_identifier_on_the_wristband_breaks_the_chain_of_identity() -> None:
    """The identifier read is compared with the therapy's."""
    story = Story()
    story.enrols()
    check = story.checks_identity(coi_read=OTHER_COI)

    assert story.codes(check) == {"IDENTITY_MISMATCH"}
    assert [one.digest for one in story.case().state.identity_breaks] == [check.digest]


@pytest.mark.parametrize("read", ["&/CHA999925000001", "CHA9999 25 000001 G", "CHA999925000001G"])
def test_an_identifier_reads_the_same_scanned_printed_and_typed(read: str) -> None:
    """Data identifier, spaces and check character make no difference."""
    story = Story()
    story.enrols()
    assert story.codes(story.checks_identity(coi_read=read)) == set()


def test_collection_without_a_second_person_at_the_check_is_held() -> None:
    """The hard gate is on the act that relies on the check."""
    story = Story()
    story.enrols()
    story.consents()
    check = story.checks_identity(second=None)
    started = story.starts_collection()

    assert story.judged(check).status is Status.CONFORMING
    assert story.codes(started) == {"SECOND_PERSON_MISSING"}


@pytest.mark.parametrize("after", [16 * 60 * 1_000_000, -16 * 60 * 1_000_000])
def test_a_second_signature_outside_the_packs_time_is_none(after: int) -> None:
    """A quarter of an hour either way."""
    story = Story()
    story.enrols()
    story.consents()
    check = story.checks_identity(second=None)
    story.join(check, SECOND_NURSE, after=after)
    started = story.tell(harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS), at=check.occurred_start + HOUR)
    assert story.codes(started) == {"SECOND_PERSON_MISSING"}


def test_the_same_person_twice_is_one_person() -> None:
    """Different compares persons."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(second=NURSE)
    assert story.codes(story.starts_collection()) == {"SECOND_PERSON_MISSING"}


def test_a_completion_waits_for_the_start_it_names() -> None:
    """Its bags come into being with the start."""
    story = _ready_to_collect()
    started = story.starts_collection()
    completed = story.completes_collection(started, "apheresis")
    story.acts.remove(started)

    assert story.judged(completed).status is Status.AWAITING
    assert not story.case().state.materials


def test_a_completion_names_a_start() -> None:
    """Another statement is no start; the bags are there and held."""
    story = _ready_to_collect()
    check = story.acts[-2]
    completed = story.completes_collection(check, "apheresis")

    assert story.codes(completed) == {"OTHER_STATEMENT_NAMED"}
    assert story.case().state.holds_on(material("apheresis"))


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (common.MATERIAL_KIND_COLLECTION, set()),
        (common.MATERIAL_KIND_SAMPLE, set()),
        (common.MATERIAL_KIND_RETAIN, set()),
        (common.MATERIAL_KIND_PRODUCT, {"OUTPUT_KIND_WRONG"}),
        (common.MATERIAL_KIND_INTERMEDIATE, {"OUTPUT_KIND_WRONG"}),
        (common.MATERIAL_KIND_UNSPECIFIED, {"OUTPUT_KIND_WRONG"}),
    ],
)
def test_a_collection_makes_what_is_collected(kind: common.MaterialKind.ValueType, found: set[str]) -> None:
    """No product comes from the chair."""
    story = _ready_to_collect()
    completed = harvest.CollectionCompleted(
        started=story.starts_collection().digest, outputs=[new("bag", kind, 100)], unit=APHERESIS
    )
    assert story.codes(story.tell(completed)) == found


def test_a_collection_makes_at_least_one_bag() -> None:
    """And every bag has an id of 16 bytes."""
    story = _ready_to_collect()
    started = story.starts_collection()
    assert story.codes(story.completes_collection(started)) == {"NO_MATERIAL"}
    short = story.tell(
        harvest.CollectionCompleted(
            started=started.digest, outputs=[common.NewMaterial(material=b"short")], unit=APHERESIS
        )
    )
    assert "NO_MATERIAL" in story.codes(short)
    assert not story.case().state.materials


def test_a_collection_is_completed_where_it_was_started() -> None:
    """The site that started it goes on answering for the bags."""
    story = _ready_to_collect()
    started = story.starts_collection()
    completed = story.tell(
        harvest.CollectionCompleted(
            started=started.digest, outputs=[new("apheresis", common.MATERIAL_KIND_COLLECTION, 100)], unit=SUITE
        ),
        OPERATOR,
    )

    assert story.codes(completed) == {"NOT_CUSTODIAN"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(PLANT, "suite"),
    )


def test_a_signer_speaks_for_units_of_the_own_site() -> None:
    """A plant's operator cannot start a collection for the hospital."""
    story = _ready_to_collect()
    started = story.tell(harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS), OPERATOR)
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(started)


# Labels.


def test_a_label_bears_the_therapys_identifier() -> None:
    """Another one breaks the chain of identity, and the label is on the bag all the same."""
    story = _ready_to_collect()
    story.completes_collection(story.starts_collection(), "apheresis")
    label = story.labels("apheresis", coi=OTHER_COI)
    state = story.case().state

    assert story.codes(label) == {"LABEL_MISMATCH"}
    assert state.identity_broken
    found = state.materials[material("apheresis")].label
    assert found is not None
    assert found.coi == OTHER_COI


def test_a_label_bears_a_donation_number_that_the_cells_come_from() -> None:
    """A number of another collection is a mismatch."""
    story = _ready_to_collect()
    story.completes_collection(story.starts_collection(), "apheresis")
    assert story.codes(story.labels("apheresis", din=OTHER_DIN)) == {"LABEL_MISMATCH"}


def test_a_material_bears_one_label_at_a_time() -> None:
    """The second waits for the first to be voided."""
    story = Story().to_the_collection()
    first = story.acts[-1]
    assert story.codes(story.labels("apheresis")) == {"LABEL_STANDING"}

    other = Story().to_the_collection()
    voided = other.tell(harvest.LabelVoided(applied=other.acts[-1].digest))
    assert other.codes(voided) == set()
    assert other.case().state.materials[material("apheresis")].label is None
    assert other.codes(other.labels("apheresis")) == set()
    again = other.tell(harvest.LabelVoided(applied=first.digest))
    assert other.codes(again) == {"LABEL_NOT_STANDING"}


def test_labels_are_applied_and_voided_by_the_custodians_site() -> None:
    """A site that does not answer for the bag leaves its trace as possessor."""
    story = Story().to_the_collection()
    voided = story.tell(harvest.LabelVoided(applied=story.acts[-1].digest), OPERATOR)
    assert story.codes(voided) == {"NOT_CUSTODIAN"}
    label = story.labels("apheresis", signer=OPERATOR)
    assert story.codes(label) == {"NOT_CUSTODIAN"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(PLANT),
    )


# Storage and transfer.


def _stores(story: Story, unit: common.Unit, signer: bytes = NURSE) -> Act:
    return story.tell(
        harvest.MaterialStored(
            material=material("apheresis"), position=common.Position(unit=unit, place="tank-2/rack-4")
        ),
        signer,
    )


def test_storage_notes_the_place() -> None:
    """By the unit that answers."""
    story = Story().to_the_collection()
    assert story.codes(_stores(story, APHERESIS)) == set()
    assert story.case().state.materials[material("apheresis")].place == "tank-2/rack-4"


def test_storage_in_another_unit_needs_a_transfer_first() -> None:
    """The bag is where it is said to be; who answers stays."""
    story = Story().to_the_collection()
    assert story.codes(_stores(story, CELL_LAB)) == {"NOT_CUSTODIAN"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(HOSPITAL, "cell-lab"),
    )


def test_a_transfer_moves_accountability_at_once() -> None:
    """The receiving unit's person joins; until then it is shown as outstanding."""
    story = Story().to_the_collection()
    transfer = story.tell(
        harvest.UnitTransferred(materials=[material("apheresis")], releaser=APHERESIS, receiver=CELL_LAB)
    )
    case = story.case()
    assert case.judged[transfer.digest].status is Status.CONFORMING
    assert custody_of(case.state, material("apheresis"))[0] == UnitRef(HOSPITAL, "cell-lab")
    assert [(one.digest, one.missing) for one in case.outstanding()] == [(transfer.digest, 1)]

    story.join(transfer, SECOND_NURSE)
    assert story.case().outstanding() == ()


def test_a_transfer_by_a_unit_that_does_not_answer_moves_possession_alone() -> None:
    """Custody was not its to give."""
    story = Story().to_the_collection()
    transfer = story.tell(
        harvest.UnitTransferred(materials=[material("apheresis")], releaser=CELL_LAB, receiver=APHERESIS)
    )
    assert story.codes(transfer) == {"NOT_CUSTODIAN"}


def test_a_transfer_stays_within_a_site() -> None:
    """Between sites a consignment carries the material."""
    story = Story().to_the_collection()
    transfer = story.tell(
        harvest.UnitTransferred(materials=[material("apheresis")], releaser=APHERESIS, receiver=SUITE)
    )
    assert story.codes(transfer) == {"UNITS_OF_TWO_SITES"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(PLANT, "suite"),
    )


def test_nobody_works_on_a_packed_bag() -> None:
    """It is taken out first."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.codes(_stores(story, APHERESIS)) == {"MATERIAL_PACKED"}


def test_no_physical_act_follows_an_end() -> None:
    """Storing a destroyed bag is held; its end stands."""
    story = Story().to_the_collection()
    story.tell(returned.MaterialDestroyed(material=material("apheresis"), unit=APHERESIS))
    assert story.codes(_stores(story, APHERESIS)) == {"AFTER_TERMINAL_ACT"}
    assert story.case().state.materials[material("apheresis")].life is Life.DESTROYED


def test_nothing_is_collected_in_a_closed_therapy() -> None:
    """A new course is enrolled instead."""
    story = _ready_to_collect()
    story.tell(returned.TherapyClosed(kept_until_unix_micros=story.now + 30 * DAY))
    story.checks_identity()
    assert story.codes(story.starts_collection()) == {"THERAPY_CLOSED"}
    accession = story.tell(
        modification.MaterialAccessioned(batch=material("b"), materials=[material("x")], unit=SUITE), OPERATOR
    )
    assert story.judged(accession).status is Status.AWAITING
