"""Packing, receipt and reported possession."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.references import container_keys
from cellcustody.ledger.custody.therapy_state import custody_of
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

from .stories import (
    APHERESIS,
    CELL_LAB,
    COI,
    COURIER,
    DRIVER,
    HOSPITAL,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OTHER_DIN,
    OTHER_THERAPY,
    OUTWARD,
    PLANT,
    RETURN,
    SUITE,
    VAN,
    Story,
    material,
)


def _ready_to_pack() -> Story:
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE, "shipper-1", "shipper-2")
    return story


def _under_way() -> Story:
    story = _ready_to_pack()
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    story.hands_over(OUTWARD, APHERESIS, SUITE, NURSE, OPERATOR)
    return story


def test_packing_into_an_unknown_consignment_waits() -> None:
    """Its opening may be in another outbox."""
    story = Story().to_the_collection()
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.judged(packed).status is Status.AWAITING
    assert story.codes(packed) == {"CONSIGNMENT_UNKNOWN"}


def test_a_bag_is_packed_once_at_a_time() -> None:
    """The last packing says where it lies."""
    story = _ready_to_pack()
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    again = story.packs("apheresis", OUTWARD, APHERESIS, NURSE, container="shipper-2")
    assert story.codes(again) == {"ALREADY_PACKED"}
    packed = story.case().state.materials[material("apheresis")].packed
    assert packed is not None
    assert packed.container == "shipper-2"


def test_a_container_is_one_that_the_consignment_has() -> None:
    """Another label is held."""
    story = _ready_to_pack()
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE, container="box-9")
    assert story.codes(packed) == {"UNKNOWN_CONTAINER"}


def test_only_the_bags_custodian_packs_it() -> None:
    """Another unit of the same site does not answer for it."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, CELL_LAB, SUITE, NURSE)
    packed = story.packs("apheresis", OUTWARD, CELL_LAB, NURSE)
    assert story.codes(packed) == {"NOT_CUSTODIAN"}


def test_only_the_containers_custodian_packs_into_it() -> None:
    """A container that the courier has cannot be packed by the hospital."""
    story = _ready_to_pack()
    story.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.codes(packed) == {"CONTAINER_NOT_HELD"}


def test_nothing_goes_into_a_sealed_container_or_a_closed_consignment() -> None:
    """Both are found together."""
    story = _ready_to_pack()
    story.tell(transport.SealApplied(container="shipper-1", seal="S-1"), stream=OUTWARD)
    assert story.codes(story.packs("apheresis", OUTWARD, APHERESIS, NURSE)) == {"CONTAINER_SEALED"}

    closed = _ready_to_pack()
    closed.tell(transport.ConsignmentClosed(unit=APHERESIS), stream=OUTWARD)
    assert closed.codes(closed.packs("apheresis", OUTWARD, APHERESIS, NURSE)) == {"CONSIGNMENT_CLOSED"}


def test_the_bag_is_read_when_it_is_packed() -> None:
    """Nothing read is unreadable; another identifier breaks the chain of identity."""
    story = _ready_to_pack()
    assert story.codes(story.packs("apheresis", OUTWARD, APHERESIS, NURSE, coi_read="")) == {"BAG_UNREADABLE"}

    wrong = _ready_to_pack()
    assert wrong.codes(wrong.packs("apheresis", OUTWARD, APHERESIS, NURSE, coi_read=OTHER_COI)) == {"IDENTITY_MISMATCH"}
    assert wrong.case().state.identity_broken


def _ready_to_return(*, released: bool) -> Story:
    story = Story()
    if released:
        story.to_the_release()
    else:
        story.to_the_product()
    story.opens_consignment(RETURN, SUITE, CELL_LAB, OPERATOR)
    return story


def test_a_product_is_dispatched_for_use_only_released_and_free_of_holds() -> None:
    """A collection on hold may be sent back; a product may not be sent to be infused."""
    unreleased = _ready_to_return(released=False)
    assert unreleased.codes(unreleased.packs("bag-1", RETURN, SUITE, OPERATOR)) == {"NOT_RELEASED"}

    held = _ready_to_return(released=True)
    held.tell(
        quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])), OPERATOR
    )
    assert held.codes(held.packs("bag-1", RETURN, SUITE, OPERATOR)) == {"HOLD_OPEN"}
    assert held.codes(held.packs("bag-2", RETURN, SUITE, OPERATOR)) == set()


def test_a_receipt_waits_for_its_packing() -> None:
    """And is found if the bag was received before or lies elsewhere."""
    story = _ready_to_pack()
    story.hands_over(OUTWARD, APHERESIS, SUITE, NURSE, OPERATOR, "shipper-1", "shipper-2")
    early = story.receives("apheresis", OUTWARD, SUITE, OPERATOR)
    assert story.codes(early) == {"PACKING_UNKNOWN"}

    twice = _under_way()
    twice.receives("apheresis", OUTWARD, SUITE, OPERATOR)
    assert twice.codes(twice.receives("apheresis", OUTWARD, SUITE, OPERATOR)) == {"ALREADY_RECEIVED"}

    elsewhere = _ready_to_pack()
    elsewhere.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    elsewhere.hands_over(OUTWARD, APHERESIS, SUITE, NURSE, OPERATOR, "shipper-1", "shipper-2")
    received = elsewhere.receives("apheresis", OUTWARD, SUITE, OPERATOR, container="shipper-2")
    assert elsewhere.codes(received) == {"NOT_PACKED_THERE"}

    unknown = _ready_to_pack()
    unknown.packs("apheresis", OUTWARD, APHERESIS, NURSE, container="box-9")
    received = unknown.receives("apheresis", OUTWARD, SUITE, OPERATOR, container="box-9")
    assert unknown.codes(received) == {"UNKNOWN_CONTAINER"}


def test_whoever_takes_a_bag_out_without_answering_for_the_container_has_it() -> None:
    """The courier goes on answering for it."""
    story = _ready_to_pack()
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    story.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
    received = story.receives("apheresis", OUTWARD, SUITE, OPERATOR)

    assert story.codes(received) == {"NOT_CUSTODIAN"}
    assert custody_of(story.case().state, material("apheresis")) == (UnitRef(COURIER), UnitRef(PLANT, "suite"))


def test_a_bag_that_is_not_whole_is_held() -> None:
    """Acceptance is never blocked: the plant answers for it."""
    story = _under_way()
    received = story.receives("apheresis", OUTWARD, SUITE, OPERATOR, intact=False)
    state = story.case().state

    assert story.codes(received) == {"BAG_BREACHED"}
    assert state.materials[material("apheresis")].breached
    assert custody_of(state, material("apheresis"))[0] == UnitRef(PLANT, "suite")
    assert state.holds_on(material("apheresis"))


def test_what_is_read_on_receipt_is_the_therapys_and_the_labels() -> None:
    """Identifier or donation number of another: the chain of identity is broken."""
    for coi_read, din_read in ((OTHER_COI, ""), ("", OTHER_DIN)):
        story = _under_way()
        received = story.receives("apheresis", OUTWARD, SUITE, OPERATOR, coi_read=coi_read, din_read=din_read)
        assert story.codes(received) == {"IDENTITY_MISMATCH"}
        assert story.case().state.identity_broken

    unread = _under_way()
    received = unread.receives("apheresis", OUTWARD, SUITE, OPERATOR, coi_read="", din_read="")
    assert unread.codes(received) == {"BAG_UNREADABLE"}
    assert not unread.case().state.identity_broken


def test_an_unlabelled_bag_is_compared_with_its_collections() -> None:
    """A donation number that the cells do not come from is a mismatch."""
    story = Story()
    story.enrols()
    story.consents()
    story.collects("apheresis")
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    story.hands_over(OUTWARD, APHERESIS, SUITE, NURSE, OPERATOR)
    received = story.receives("apheresis", OUTWARD, SUITE, OPERATOR, coi_read="", din_read=OTHER_DIN)
    assert story.codes(received) == {"IDENTITY_MISMATCH"}


def test_a_hold_on_a_container_covers_what_travelled_in_it_and_what_was_made_of_that() -> None:
    """An alarm on the way holds the cells even after they were taken out."""
    story = Story().to_the_plant()
    story.tell(transport.ExcursionAlarmed(container="shipper-1"), DRIVER, stream=OUTWARD)
    accession = story.accessions("apheresis")
    assert story.codes(accession) == set()
    held = story.case().state.holds_on(material("apheresis"))
    assert [hold.stream for hold in held] == [OUTWARD]


def _found(story: Story) -> Act:
    return story.tell(
        transport.PossessionReported(possessor=SUITE, materials=[material("apheresis")], place="dock"), OPERATOR
    )


def test_possession_is_whoever_says_so_and_custody_does_not_follow() -> None:
    """A bag found at the plant is out of its container; the hospital still answers for it."""
    story = _ready_to_pack()
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    found = _found(story)

    assert story.judged(found).status is Status.CONFORMING
    assert story.codes(found) == {"POSSESSION_DISPUTED"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(PLANT, "suite"),
    )


def test_containers_are_reported_in_their_own_stream() -> None:
    """A therapy's stream speaks of materials."""
    story = Story().to_the_collection()
    found = story.tell(transport.PossessionReported(possessor=APHERESIS, containers=["shipper-1"]))
    assert story.codes(found) == {"SCOPE_OF_ANOTHER_STREAM"}


def test_a_finding_names_the_leaves_it_is_about() -> None:
    """They lead to the field that was compared."""
    story = _ready_to_pack()
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE, coi_read=OTHER_COI)
    (finding,) = story.judged(packed).findings
    assert [packed.field_numbers[leaf] for leaf in finding.leaves] == [
        harvest.MaterialPacked.DESCRIPTOR.fields_by_name["coi_read"].number
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "is_found"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_two_patients_material_never_shares_an_open_container(mine: bool, theirs: bool, is_found: bool) -> None:
    """Sealed bags may travel together; one that is not sealed travels with nobody else's."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    packed = story.tell(
        harvest.MaterialPacked(
            material=material("apheresis"),
            consignment=OUTWARD,
            container="shipper-1",
            unit=APHERESIS,
            coi_read=COI,
            unsealed=mine,
        )
    )
    sealed, unsealed = container_keys(OUTWARD, "shipper-1")
    elsewhere = container_keys(OUTWARD, "shipper-2")
    others = frozenset((OTHER_THERAPY,))
    case = story.case(creators={unsealed if theirs else sealed: others, elsewhere[0]: others, elsewhere[1]: others})
    codes = {one.code for one in case.judged[packed.digest].findings}
    assert ("CONTAINER_SHARED_OPEN" in codes) == is_found
    assert story.codes(packed) == set()
