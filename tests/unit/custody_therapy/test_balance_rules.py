"""Pooling, filling, transfers and yields: what adds up, what grows, and what has loose ends."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.genealogy import Orphaned, open_materials, orphans
from cellcustody.ledger.custody.references import creates_key
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .packs import codes_under, limit, member, pack_with, step
from .stories import (
    APHERESIS,
    DIN,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OTHER_DIN,
    OTHER_THERAPY,
    SUITE,
    Story,
    material,
    new,
    volume,
)

COLLECTION = common.MATERIAL_KIND_COLLECTION
INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE
PRODUCT = common.MATERIAL_KIND_PRODUCT
SAMPLE = common.MATERIAL_KIND_SAMPLE
DOSE = {
    "unit": "{cells}",
    "min": "50",
    "max": "400",
    "per_kilogram": False,
    "components": [],
    "ratio_tolerance": "0",
}
FILLING = pack_with(
    step("FillPerformed", "FormulationPerformed", optional=True),
    step("CultureHarvested", "ExpansionPerformed", optional=True),
)


def _pool(
    *inputs: str,
    made: int = 200,
    kind: common.MaterialKind.ValueType = COLLECTION,
    lost: common.Quantity | None = None,
    unit: common.Unit = SUITE,
    containers: modification.ContainerCount | None = None,
) -> modification.MaterialPooled:
    return modification.MaterialPooled(
        inputs=[material(one) for one in inputs],
        output=new("pool", kind, made),
        unit=unit,
        process_area="isolator-1",
        lost=lost,
        containers=containers,
    )


def _two_days() -> Story:
    story = Story().to_the_plant("day-1", "day-2")
    story.compares("day-1", "day-2")
    return story


# Pooling.


def test_two_days_collections_become_one_pool() -> None:
    """Both are used up, and the pool comes from both."""
    story = _two_days()
    pooled = story.tell(_pool("day-1", "day-2"), OPERATOR)
    assert story.codes(pooled) == set()
    state = story.case().state
    assert {state.materials[material(one)].life for one in ("day-1", "day-2")} == {Life.USED}
    pool = state.materials[material("pool")]
    assert pool.parents == (material("day-1"), material("day-2"))
    assert pool.collected_at == state.materials[material("day-1")].collected_at


def test_a_pool_bears_the_donation_number_of_either_day() -> None:
    """A label with one of the two is right."""
    story = Story()
    story.enrols()
    story.consents()
    story.collects("day-1", din=DIN)
    story.collects("day-2", day=2, din=OTHER_DIN)
    story.compares("day-1", "day-2", signer=NURSE)
    pooled = story.tell(_pool("day-1", "day-2", unit=APHERESIS), NURSE)
    assert story.codes(pooled) == set()
    for din in (DIN, OTHER_DIN):
        trial = Story(list(story.acts), story.now)
        assert trial.codes(trial.labels("pool", din=din)) == set()


def test_material_of_two_patients_never_shares_a_parent() -> None:
    """A hard gate that breaks the chain of identity, in whichever therapy it is told."""
    story = _two_days()
    pooled = story.tell(_pool("day-1", "strange"), OPERATOR)
    case = story.case(creators={creates_key(material("strange")): frozenset((OTHER_THERAPY,))})
    codes = {one.code for one in case.judged[pooled.digest].findings}
    assert "OTHER_PATIENTS_MATERIAL" in codes
    assert case.state.identity_broken
    assert {(one.material, one.why) for one in orphans(case.state)} >= {
        (material("pool"), Orphaned.OTHER_PATIENTS_PARENT)
    }


def test_a_pool_is_of_several_and_of_their_kind() -> None:
    """The same bag twice is one."""
    story = _two_days()
    assert "POOL_OF_ONE" in story.codes(story.tell(_pool("day-1", "day-1", made=100), OPERATOR))
    other = _two_days()
    assert other.codes(other.tell(_pool("day-1", "day-2", kind=INTERMEDIATE), OPERATOR)) == {"OUTPUT_KIND_WRONG"}


@pytest.mark.parametrize(
    ("made", "lost", "codes"),
    [
        (200, None, set()),
        (190, None, set()),
        (190, volume(0), set()),
        (189, None, {"VOLUME_IMBALANCE"}),
        (189, volume(2), set()),
        (180, volume(-20), {"QUANTITY_NEGATIVE", "VOLUME_IMBALANCE"}),
        (211, None, {"VOLUME_IMBALANCE"}),
        (180, volume(20, unit="g"), {"UNIT_MISMATCH"}),
    ],
)
def test_a_pool_conserves(made: int, lost: common.Quantity | None, codes: set[str]) -> None:
    """Within five in a hundred of both together."""
    story = _two_days()
    assert story.codes(story.tell(_pool("day-1", "day-2", made=made, lost=lost), OPERATOR)) == codes


def test_a_pool_is_compared_held_and_answered_for_like_a_step() -> None:
    """By its custodian, after a check, and not under a hold."""
    unchecked = Story().to_the_plant("day-1", "day-2")
    assert unchecked.codes(unchecked.tell(_pool("day-1", "day-2"), OPERATOR)) == {"PROCESS_CHECK_MISSING"}
    held = _two_days()
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("day-2")])
    held.tell(quality.HoldPlaced(scope=scope), OPERATOR)
    assert held.codes(held.tell(_pool("day-1", "day-2"), OPERATOR)) == {"HOLD_OPEN"}
    strange = Story().to_the_collection("day-1", "day-2")
    strange.compares("day-1", "day-2")
    assert strange.codes(strange.tell(_pool("day-1", "day-2"), OPERATOR)) == {"NOT_CUSTODIAN"}


def test_what_is_in_different_batches_is_not_pooled() -> None:
    """Nor what is in a batch with what is in none."""
    story = _two_days()
    story.accessions("day-1")
    assert story.codes(story.tell(_pool("day-1", "day-2"), OPERATOR)) == {"IN_ANOTHER_BATCH"}
    both = _two_days()
    both.accessions("day-1", "day-2")
    assert both.codes(both.tell(_pool("day-1", "day-2"), OPERATOR)) == set()
    assert both.case().state.materials[material("pool")].batch == material("batch")


# Containers.


def _count(taken: int, filled: int, spoiled: int = 0, given_back: int = 0) -> modification.ContainerCount:
    return modification.ContainerCount(taken=taken, filled=filled, spoiled=spoiled, given_back=given_back)


@pytest.mark.parametrize(
    ("count", "codes"),
    [
        (_count(1, 1), set()),
        (_count(3, 1, 1, 1), set()),
        (_count(2, 1), {"CONTAINER_IMBALANCE"}),
        (_count(1, 1, 1), {"CONTAINER_IMBALANCE"}),
        (_count(2, 2), {"CONTAINER_IMBALANCE"}),
    ],
)
def test_containers_are_accounted_for(count: modification.ContainerCount, codes: set[str]) -> None:
    """Filled as many as were made, the rest spoiled or given back."""
    story = _two_days()
    assert story.codes(story.tell(_pool("day-1", "day-2", containers=count), OPERATOR)) == codes


def test_a_pack_may_tolerate_a_missing_container() -> None:
    """One, and not two."""
    pack = pack_with(member("container_tolerance", 1))
    for taken, codes in ((2, set()), (3, {"CONTAINER_IMBALANCE"})):
        story = _two_days()
        pooled = story.tell(_pool("day-1", "day-2", containers=_count(taken, 1)), OPERATOR)
        assert codes_under(pack, story, pooled) == codes


def test_a_division_accounts_for_its_containers_too() -> None:
    """Where they were counted."""
    story = Story().to_the_plant()
    divided = story.tell(
        modification.MaterialDivided(
            material=material("apheresis"),
            outputs=[new("part", COLLECTION, 100)],
            unit=SUITE,
            containers=_count(3, 1),
        ),
        OPERATOR,
    )
    assert story.codes(divided) == {"CONTAINER_IMBALANCE"}


# Filling.


def _formulated() -> Story:
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("modified", INTERMEDIATE, 90)])
    story.performs(modification.FormulationPerformed, ["modified"], [new("formulated", INTERMEDIATE, 120)])
    story.compares("formulated")
    return story


def _bag(name: str, millilitres: int, cells: int | None = None) -> common.NewMaterial:
    bag = new(name, PRODUCT, millilitres)
    if cells is not None:
        bag.dose.CopyFrom(volume(cells, unit="{cells}"))
    return bag


def _fills(story: Story, *bags: common.NewMaterial, **details: object) -> Act:
    body = modification.FillPerformed(
        batch=material("batch"),
        inputs=[material("formulated")],
        outputs=bags,
        unit=SUITE,
        process_area="isolator-1",
        containers=_count(len(bags), len(bags)),
        cryoprotectant_lot=common.LotUse(lot_number="DMSO-1", kind="cryoprotectant"),
    )
    for name, value in details.items():
        if value is None:
            body.ClearField(name)  # type: ignore[arg-type]  # The names are those of the body's fields.
        else:
            assert isinstance(value, common.Quantity)
            getattr(body, name).CopyFrom(value)
    return story.tell(body, OPERATOR)


def test_a_filling_makes_bags_with_their_doses() -> None:
    """And uses up what was filled; the lot leads to the bags."""
    story = _formulated()
    filled = _fills(story, _bag("bag-1", 60, 100), _bag("bag-2", 60, 100))
    assert codes_under(FILLING, story, filled) == set()
    state = story.case().state
    bag = state.materials[material("bag-1")]
    assert bag.dose is not None
    assert bag.dose.value == 100
    assert (bag.dose.unit, bag.made_by_step) == ("{cells}", "fill")
    assert state.materials[material("formulated")].life is Life.USED
    assert [(one.lot_number, one.outputs) for one in state.lots][-1] == (
        "DMSO-1",
        (material("bag-1"), material("bag-2")),
    )


@pytest.mark.parametrize(
    ("details", "codes"),
    [
        ({}, {"VOLUME_IMBALANCE"}),
        ({"lost": volume(14)}, set()),
        ({"lost": volume(14), "added": volume(0)}, set()),
        ({"lost": volume(8)}, set()),
        ({"lost": volume(7)}, {"VOLUME_IMBALANCE"}),
        ({"added": volume(20)}, {"VOLUME_IMBALANCE"}),
        ({"added": volume(-14)}, {"QUANTITY_NEGATIVE"}),
        ({"lost": volume(14), "containers": None}, {"CONTAINERS_NOT_COUNTED"}),
    ],
)
def test_a_filling_conserves(details: dict[str, object], codes: set[str]) -> None:
    """120 mL and what was added are 106 mL of bags and what was lost."""
    story = _formulated()
    filled = _fills(story, _bag("bag-1", 53), _bag("bag-2", 53), **details)
    assert codes_under(FILLING, story, filled) == codes


def test_a_filling_takes_in_what_is_added() -> None:
    """Cryoprotectant added at the filling counts as gone in."""
    story = _formulated()
    filled = _fills(story, _bag("bag-1", 80), _bag("bag-2", 80), added=volume(40))
    assert codes_under(FILLING, story, filled) == set()


def test_a_filling_gives_each_bag_its_dose_where_the_pack_limits_it() -> None:
    """A sample needs none."""
    pack = pack_with(step("FillPerformed", "FormulationPerformed", optional=True), member("dose", DOSE))
    story = _formulated()
    assert codes_under(pack, story, _fills(story, _bag("bag-1", 60, 100), _bag("bag-2", 60))) == {"DOSE_UNKNOWN"}
    other = _formulated()
    filled = _fills(other, _bag("bag-1", 110, 100), new("sample", SAMPLE, 10))
    assert codes_under(pack, other, filled) == set()


def test_a_filling_makes_no_intermediates() -> None:
    """Bags, samples and retains."""
    story = _formulated()
    assert codes_under(FILLING, story, _fills(story, new("rest", INTERMEDIATE, 120))) == {"OUTPUT_KIND_WRONG"}


def test_an_unknown_quantity_is_never_in_balance() -> None:
    """An output without one, and a step's output without one that is filled on."""
    story = _formulated()
    bag = common.NewMaterial(material=material("bag-1"), kind=PRODUCT)
    assert codes_under(FILLING, story, _fills(story, bag)) == {"QUANTITY_UNKNOWN"}
    unknown = Story().to_the_plant()
    unknown.accessions("apheresis")
    output = common.NewMaterial(material=material("formulated"), kind=INTERMEDIATE)
    unknown.performs(modification.ModificationPerformed, ["apheresis"], [output])
    unknown.compares("formulated")
    filled = _fills(unknown, _bag("bag-1", 60))
    assert codes_under(FILLING, unknown, filled) == {"QUANTITY_UNKNOWN", "STEP_OUT_OF_ORDER"}


# Transfers.


def _transfers(story: Story, *outputs: common.NewMaterial, added: int = 0, lost: int = 0) -> Act:
    return story.tell(
        modification.CultureTransferred(
            batch=material("batch"),
            inputs=[material("modified")],
            outputs=outputs,
            unit=SUITE,
            process_area="isolator-1",
            vessel_emptied="bag-7",
            vessels_filled=["bioreactor-2"],
            culture_day=3,
            added=volume(added) if added else None,
            lost=volume(lost) if lost else None,
        ),
        OPERATOR,
    )


def _cultured(*, is_compared: bool = True) -> Story:
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("modified", INTERMEDIATE, 100)])
    if is_compared:
        story.compares("modified")
    return story


def test_a_transfer_conserves_and_stands_nowhere_in_the_order() -> None:
    """Medium is added; the cells have still been modified."""
    story = _cultured()
    assert story.codes(_transfers(story, new("moved", INTERMEDIATE, 395), added=300, lost=5)) == set()
    moved = story.case().state.materials[material("moved")]
    assert moved.made_by_step == ""
    formulated = story.performs(modification.FormulationPerformed, ["moved"], [new("f", INTERMEDIATE, 100)])
    assert story.codes(formulated) == set()
    assert [one.kind for one in story.case().state.batches[material("batch")].steps] == [
        "modification",
        "transfer",
        "formulation",
    ]


def test_a_transfer_that_does_not_add_up_is_found() -> None:
    """Nothing grows in a transfer."""
    story = _cultured()
    assert story.codes(_transfers(story, new("moved", INTERMEDIATE, 300))) == {"VOLUME_IMBALANCE"}


def test_each_transfer_is_a_check_of_identity() -> None:
    """Of what is about to be transferred."""
    story = _cultured(is_compared=False)
    assert story.codes(_transfers(story, new("moved", INTERMEDIATE, 100))) == {"PROCESS_CHECK_MISSING"}


# Yields.


def _expands(
    story: Story,
    millilitres: int,
    *,
    cells_in: common.Quantity | None = None,
    cells_out: common.Quantity | None = None,
) -> Act:
    story.compares("modified")
    body = modification.ExpansionPerformed(
        batch=material("batch"),
        inputs=[material("modified")],
        outputs=[new("e", INTERMEDIATE, millilitres)],
        unit=SUITE,
        process_area="isolator-1",
        cells_in=cells_in,
        cells_out=cells_out,
    )
    return story.tell(body, OPERATOR)


def _grows(least: str, most: str, measurement: str | None = None) -> object:
    return {"ExpansionPerformed": {"min": least, "max": most, "measurement": measurement}}


@pytest.mark.parametrize(
    ("millilitres", "codes"),
    [(200, set()), (1000, set()), (199, {"YIELD_IMPLAUSIBLE"}), (1001, {"YIELD_IMPLAUSIBLE"})],
)
def test_a_yield_lies_within_the_packs_band(millilitres: int, codes: set[str]) -> None:
    """Of 100 mL at least twice and at most ten times as much, the ends included."""
    pack = pack_with(member("yield", _grows("2", "10")))
    story = _cultured(is_compared=False)
    assert codes_under(pack, story, _expands(story, millilitres)) == codes


def test_a_yield_in_cells_is_counted() -> None:
    """Where the pack asks for cells, volumes say nothing."""
    pack = pack_with(member("yield", _grows("2", "10", "total_nucleated_cells")))
    cells = {count: volume(count, unit="{cells}") for count in (100, 199, 500)}
    for given, codes in (
        ({"cells_in": cells[100], "cells_out": cells[500]}, set()),
        ({"cells_in": cells[100], "cells_out": cells[199]}, {"YIELD_IMPLAUSIBLE"}),
        ({"cells_in": cells[100]}, {"YIELD_UNKNOWN"}),
        ({"cells_in": cells[100], "cells_out": volume(500, unit="10*6")}, {"YIELD_UNKNOWN"}),
        ({"cells_in": volume(0, unit="{cells}"), "cells_out": cells[100]}, {"YIELD_UNKNOWN"}),
    ):
        story = _cultured(is_compared=False)
        assert codes_under(pack, story, _expands(story, 500, **given)) == codes


def test_what_grows_is_measured() -> None:
    """A nominal quantity is none."""
    story = _cultured(is_compared=False)
    story.compares("modified")
    output = new("e", INTERMEDIATE, 500)
    output.quantity.basis = common.QUANTITY_BASIS_NOMINAL
    expanded = story.performs(modification.ExpansionPerformed, ["modified"], [output])
    assert story.codes(expanded) == {"QUANTITY_NOT_MEASURED"}
    other = _cultured()
    nothing = common.NewMaterial(material=material("e"), kind=INTERMEDIATE)
    assert other.codes(other.performs(modification.ExpansionPerformed, ["modified"], [nothing])) == {
        "QUANTITY_NOT_MEASURED",
        "YIELD_UNKNOWN",
    }


# Activation and modification.


@pytest.mark.parametrize(
    ("details", "codes"),
    [
        ({"method": modification.ACTIVATION_METHOD_CD3_CD28}, set()),
        ({"method": modification.ACTIVATION_METHOD_ANTIGEN_PRIMING}, {"ANTIGEN_NOT_NAMED"}),
        ({"method": modification.ACTIVATION_METHOD_ANTIGEN_PRIMING, "antigen": "p53"}, {"ANTIGEN_NOT_NAMED"}),
        (
            {
                "method": modification.ACTIVATION_METHOD_ANTIGEN_PRIMING,
                "antigen": "p53",
                "antigen_lot": common.LotUse(lot_number="A-1", kind="antigen"),
            },
            set(),
        ),
        (
            {
                "method": modification.ACTIVATION_METHOD_PULSED_CELLS,
                "antigen": "p53",
                "antigen_lot": common.LotUse(lot_number="A-1", kind="antigen"),
            },
            {"PRESENTING_CELLS_NOT_NAMED"},
        ),
        (
            {
                "method": modification.ACTIVATION_METHOD_PULSED_CELLS,
                "antigen": "p53",
                "antigen_lot": common.LotUse(lot_number="A-1", kind="antigen"),
                "presenting_cell_lot": common.LotUse(lot_number="P-1", kind="presenting cells"),
            },
            set(),
        ),
    ],
)
def test_priming_names_antigen_and_presenting_cells(details: dict[str, object], codes: set[str]) -> None:
    """With their lots."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.compares("apheresis")
    body = modification.ActivationPerformed(
        batch=material("batch"),
        process_area="isolator-1",
        inputs=[material("apheresis")],
        outputs=[new("a", INTERMEDIATE, 90)],
        unit=SUITE,
        **details,  # type: ignore[arg-type]  # Names and values are those of the body's fields.
    )
    assert story.codes(story.tell(body, OPERATOR)) == codes


def _pulses(story: Story, cells: str) -> Act:
    return story.tell(
        modification.ActivationPerformed(
            batch=material("batch"),
            process_area="isolator-1",
            inputs=[material("apheresis")],
            outputs=[new("a", INTERMEDIATE, 90)],
            unit=SUITE,
            method=modification.ACTIVATION_METHOD_PULSED_CELLS,
            antigen="p53",
            antigen_lot=common.LotUse(lot_number="A-1", kind="antigen"),
            presenting_cells=material(cells),
        ),
        OPERATOR,
    )


def test_the_patients_own_presenting_cells_are_used_up_and_a_parent() -> None:
    """Like any other input: compared, in the batch, the patient's own."""
    story = Story().to_the_plant("apheresis", "monocytes")
    story.accessions("apheresis", "monocytes")
    story.compares("apheresis", "monocytes")
    assert story.codes(_pulses(story, "monocytes")) == set()
    state = story.case().state
    assert state.materials[material("monocytes")].life is Life.USED
    assert state.materials[material("a")].parents == (material("apheresis"), material("monocytes"))

    strange = Story().to_the_plant()
    strange.accessions("apheresis")
    strange.compares("apheresis")
    pulsed = _pulses(strange, "strange")
    case = strange.case(creators={creates_key(material("strange")): frozenset((OTHER_THERAPY,))})
    assert "OTHER_PATIENTS_MATERIAL" in {one.code for one in case.judged[pulsed.digest].findings}


def test_a_modification_names_its_vector() -> None:
    """Without a lot nobody could be told of its recall."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.compares("apheresis")
    body = modification.ModificationPerformed(
        batch=material("batch"),
        process_area="isolator-1",
        inputs=[material("apheresis")],
        outputs=[new("m", INTERMEDIATE, 90)],
        unit=SUITE,
    )
    assert story.codes(story.tell(body, OPERATOR)) == {"VECTOR_NOT_NAMED"}


# Loose ends.


def test_every_material_comes_to_an_end_of_its_own() -> None:
    """What has not is listed, oldest first; what was used up in making others has."""
    story = Story().to_the_product()
    state = story.case().state
    assert [one.material for one in open_materials(state)] == sorted(
        [material("bag-1"), material("bag-2"), material("sample")]
    )
    assert {one.why for one in orphans(state)} == {Orphaned.NOT_ENDED}
    story.tell(returned.MaterialConsumed(material=material("sample"), unit=SUITE), OPERATOR)
    assert {one.material for one in orphans(story.case().state)} == {material("bag-1"), material("bag-2")}


def test_what_was_made_of_nothing_is_an_orphan() -> None:
    """A step without inputs."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.performs(modification.SelectionPerformed, [], [new("s", INTERMEDIATE, 90)])
    assert (material("s"), Orphaned.PARENT_UNKNOWN) in {(one.material, one.why) for one in orphans(story.case().state)}


def test_the_limits_are_the_packs() -> None:
    """A wider tolerance lets a division pass that the sample pack does not."""
    story = Story().to_the_plant()
    divided = story.divides("apheresis", [new("part", COLLECTION, 90)])
    assert story.codes(divided) == {"VOLUME_IMBALANCE"}
    assert codes_under(pack_with(member("volume_tolerance", "0.1"), limit("identity")), story, divided) == set()


@pytest.mark.parametrize(("millilitres", "codes"), [(0, set()), (1, {"VOLUME_IMBALANCE"})])
def test_nothing_divides_into_nothing(millilitres: int, codes: set[str]) -> None:
    """And into nothing else."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("empty", INTERMEDIATE, 0)])
    assert story.codes(story.divides("empty", [new("part", INTERMEDIATE, millilitres)])) == codes


def test_nothing_is_pooled_while_the_chain_of_identity_is_broken() -> None:
    """Nobody knows whose cells these are."""
    story = _two_days()
    story.tell(
        harvest.IdentityChecked(
            point=harvest.IDENTITY_POINT_PROCESS, coi_read=OTHER_COI, materials=[material("day-1")]
        ),
        OPERATOR,
    )
    assert "IDENTITY_BROKEN" in story.codes(story.tell(_pool("day-1", "day-2"), OPERATOR))
