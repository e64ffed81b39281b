"""Who has a material and who answers for it, where an act breaks a rule or stands at its end."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Status, UnitRef
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .stories import (
    APHERESIS,
    CELL_LAB,
    HOSPITAL,
    NURSE,
    OTHER_THERAPY,
    OUTWARD,
    RETURN,
    SUITE,
    WARD,
    Story,
    case_of,
    material,
    new,
)

LAB, CHAIR = UnitRef(HOSPITAL, "cell-lab"), UnitRef(HOSPITAL, "apheresis")


def test_a_transfer_passes_what_was_the_releasers_and_no_more() -> None:
    """Of two bags that apheresis transfers one is the ward's: custody of the other passes, possession of both."""
    story = Story().to_the_collection("first", "second")
    story.tell(harvest.UnitTransferred(materials=[material("second")], releaser=APHERESIS, receiver=WARD))
    both = [material("first"), material("second")]
    transfer = story.tell(harvest.UnitTransferred(materials=both, releaser=APHERESIS, receiver=CELL_LAB))

    state = story.case().state
    assert story.codes(transfer) == {"NOT_CUSTODIAN"}
    assert custody_of(state, material("first")) == (LAB, LAB)
    assert custody_of(state, material("second")) == (UnitRef(HOSPITAL, "ward"), LAB)


@pytest.mark.parametrize(
    "body",
    [
        transport.MaterialReturned(
            material=material("apheresis"), unit=CELL_LAB, reason=transport.RETURN_REASON_UNUSED
        ),
        returned.MaterialArchived(material=material("apheresis"), position=common.Position(unit=CELL_LAB, place="a")),
        returned.RemainderRetained(material=material("apheresis"), position=common.Position(unit=CELL_LAB), study="S"),
    ],
)
def test_who_takes_it_back_or_keeps_it_has_it(body: Message) -> None:
    """The laboratory takes back, archives or keeps what apheresis answers for: it has it, and apheresis answers."""
    story = Story().to_the_collection()
    story.tell(body)

    state = story.case().state
    assert state.materials[material("apheresis")].life.has_ended
    assert custody_of(state, material("apheresis")) == (CHAIR, LAB)


@pytest.mark.parametrize(
    "body",
    [
        modification.MaterialDivided(
            material=material("another's"), outputs=[new("made", common.MATERIAL_KIND_SAMPLE, 10)], unit=SUITE
        ),
        returned.MaterialReconstituted(
            material=material("another's"), outputs=[new("made", common.MATERIAL_KIND_PRODUCT, 10)], unit=SUITE
        ),
    ],
)
def test_what_came_of_another_patients_material_is_there_and_is_held(body: Message) -> None:
    """The wrong bag is divided or washed: what came of it exists, so that what becomes of it waits for nothing."""
    story = Story().to_the_collection()
    creators = {b"C" + material("another's"): frozenset((OTHER_THERAPY,))}
    story.tell(body)
    moved = story.tell(harvest.MaterialMoved(material=material("made"), position=common.Position(unit=SUITE)))

    case = case_of(story.acts, creators=creators)
    assert case.state.materials[material("made")].life is Life.AVAILABLE
    assert case.state.holds_on(material("made"))
    assert case.judged[moved.digest].status is not Status.AWAITING


def test_a_consignment_stands_in_its_own_order_beside_others() -> None:
    """The opening had seen another consignment's act of later date; the therapy that cites both packs all the same."""
    story = Story().to_the_collection()
    later = story.tell(
        transport.ShockRecorded(container="shipper-1", kind=transport.SHOCK_KIND_TILT),
        stream=RETURN,
        at=story.now + 24 * 60 * 60 * 1_000_000,
    )
    story.now = later.occurred_start - 24 * 60 * 60 * 1_000_000
    story.tell(
        transport.ConsignmentOpened(
            unit=APHERESIS, destination=SUITE, containers=[common.Container(container="shipper-1")]
        ),
        stream=OUTWARD,
        seen=[later],
    )
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.judged(packed).status is Status.CONFORMING

    story.packs("apheresis", RETURN, APHERESIS, NURSE)  # From now on the therapy cites the other consignment too.
    assert story.judged(packed).status is Status.CONFORMING
