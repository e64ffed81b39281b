"""What acts say they used, and the keys that link a therapy's stream to what stands elsewhere."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.manufacturing_acts import lots_of
from cellcustody.ledger.custody.process_areas import area_keys, area_use
from cellcustody.ledger.custody.references import (
    cited_streams,
    container_keys,
    course_key,
    creates_key,
    din_key,
    names_key,
    reference_keys,
    registers_key,
    uses_key,
)
from cellcustody.ledger.custody.uses import equipment_used, lots_used
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import DIN, OPERATOR, OTHER_THERAPY, OUTWARD, SUITE, Story, material, new

LOT = bytes([3]) + b"l" * 16
CELLS, VECTOR = common.LotUse(lot=LOT, lot_number="A"), common.LotUse(lot_number="V")
INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE


@pytest.mark.parametrize(
    ("body", "lots"),
    [
        (modification.ModificationPerformed(lots=[CELLS, VECTOR]), ((6, CELLS), (6, VECTOR))),
        (modification.ModificationPerformed(lots=[CELLS], vector_lot=VECTOR), ((6, CELLS), (20, VECTOR))),
        (modification.ActivationPerformed(), ()),
        (modification.ActivationPerformed(presenting_cell_lot=CELLS), ((23, CELLS),)),
        (modification.ActivationPerformed(antigen_lot=VECTOR), ((24, VECTOR),)),
        (modification.FillPerformed(lots=[VECTOR], cryoprotectant_lot=CELLS), ((6, VECTOR), (22, CELLS))),
        (modification.FillPerformed(), ()),
        (modification.SelectionPerformed(lots=[VECTOR]), ((6, VECTOR),)),
    ],
)
def test_the_lots_of_a_step_are_those_it_names(body: Message, lots: tuple[tuple[int, common.LotUse], ...]) -> None:
    """Each with the number of its field, and none that is not there."""
    assert lots_used(body) == lots
    assert lots_of(body) == lots


def test_other_acts_use_lots_too_and_most_use_none() -> None:
    """A kit is of one; a closure, a co-signature and a hold of none."""
    assert lots_used(harvest.KitReceived(lot=CELLS)) != ()
    assert [one for _, one in lots_used(harvest.KitReceived(lot=CELLS))] == [CELLS]
    for body in (None, harvest.KitReceived(), returned.TherapyClosed(), quality.HoldPlaced()):
        assert lots_used(body) == ()
        assert lots_of(body) == ()
    assert lots_of(harvest.KitReceived(lot=CELLS)) == ()


def test_equipment_is_what_a_body_names_as_such() -> None:
    """By its asset; an empty name is none."""
    started = harvest.CryopreservationStarted.DESCRIPTOR.fields_by_name["equipment"]
    assert equipment_used(harvest.CryopreservationStarted(equipment="freezer-1")) == ((started.number, "freezer-1"),)
    assert equipment_used(harvest.CryopreservationStarted()) == ()
    step = modification.ExpansionPerformed.DESCRIPTOR.fields_by_name["equipment"].number
    used = equipment_used(modification.ExpansionPerformed(equipment=["BIO-1", "", "BIO-2"]))
    assert used == ((step, "BIO-1"), (step, "BIO-2"))
    for body in (None, returned.TherapyClosed(), quality.HoldPlaced()):
        assert equipment_used(body) == ()


SCOPE_OF_BAG = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag")])
SCOPE_OF_BATCH = quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[material("batch")])


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (harvest.CollectionStarted(din=DIN), {din_key(DIN)}),
        (harvest.CollectionStarted(), set()),
        (harvest.CourseLinked(course=OTHER_THERAPY), {course_key(OTHER_THERAPY)}),
        (harvest.CourseLinked(course=b"short"), set()),
        (
            modification.MaterialAccessioned(batch=material("batch"), materials=[material("bag")]),
            {creates_key(material("batch")), names_key(material("bag"))},
        ),
        (
            harvest.MaterialPacked(material=material("bag"), consignment=OUTWARD, container="box"),
            {OUTWARD, names_key(material("bag")), container_keys(OUTWARD, "box")[0]},
        ),
        (
            harvest.MaterialPacked(material=material("bag"), consignment=OUTWARD, container="box", unsealed=True),
            {OUTWARD, names_key(material("bag")), container_keys(OUTWARD, "box")[1]},
        ),
        (harvest.MaterialReceived(material=material("bag"), consignment=b"short"), {names_key(material("bag"))}),
        (harvest.MaterialReceived(consignment=OUTWARD), {OUTWARD}),
        (
            harvest.CryopreservationStarted(equipment="freezer-1", materials=[material("bag")]),
            {uses_key("freezer-1"), names_key(material("bag"))},
        ),
        (
            harvest.CryopreservationCompleted(materials=[material("bag")], failed=[material("other")]),
            {names_key(material("bag")), names_key(material("other"))},
        ),
        (quality.HoldPlaced(scope=SCOPE_OF_BAG), {names_key(material("bag"))}),
        (quality.HoldPlaced(scope=SCOPE_OF_BATCH), set()),
        (
            modification.MaterialDivided(material=material("whole"), outputs=[new("part", INTERMEDIATE, 1)]),
            {names_key(material("whole")), creates_key(material("part"))},
        ),
        (
            modification.MaterialDivided(material=material("part"), outputs=[new("part", INTERMEDIATE, 1)]),
            {creates_key(material("part"))},
        ),
        (harvest.KitReceived(lot=CELLS), {LOT}),
        (harvest.KitReceived(lot=VECTOR), set()),
        (facilities.EquipmentRegistered(asset="BIO-7"), {registers_key("BIO-7")}),
        (returned.TherapyClosed(), set()),
    ],
)
def test_an_act_links_its_stream_to_what_it_names(body: Message, keys: set[bytes]) -> None:
    """To each consignment, lot, material, donation, course and asset, and to nothing else."""
    assert reference_keys(Story().tell(body)) == keys


def test_a_step_links_its_stream_to_its_process_area_too() -> None:
    """So that another patient's use of it at the same time is found."""
    body = modification.ExpansionPerformed(batch=material("batch"), unit=SUITE, process_area="isolator-1")
    act = Story().tell(body, OPERATOR)
    use = area_use(act)
    assert use is not None
    assert reference_keys(act) >= area_keys(use)
    assert reference_keys(act) - area_keys(use) == set()


def test_a_citation_is_a_whole_stream() -> None:
    """Of a consignment or a lot; what is shorter is no stream."""
    assert cited_streams(Story().tell(harvest.MaterialPacked(consignment=OUTWARD))) == {OUTWARD}
    assert cited_streams(Story().tell(harvest.MaterialPacked(consignment=OUTWARD[:-1]))) == frozenset()
    assert cited_streams(Story().tell(harvest.KitReceived(lot=CELLS))) == {LOT}
