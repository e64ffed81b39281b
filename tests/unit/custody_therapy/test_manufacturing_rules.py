"""Accession, steps, division and results."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act, Finding, Status, UnitRef
from cellcustody.ledger.custody.genealogy import ancestors, descendants
from cellcustody.ledger.custody.holds import ScopeOfHold
from cellcustody.ledger.custody.references import creates_key
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    APHERESIS,
    DAY,
    HOSPITAL,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OTHER_THERAPY,
    PLANT,
    SECOND_REVIEWER,
    SUITE,
    Story,
    material,
    new,
    volume,
)

INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE


def _hold(story: Story, *names: str) -> Act:
    ids = [material(name) for name in names]
    return story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=ids)), OPERATOR)


def _selects(story: Story, *inputs: str) -> Act:
    return story.performs(modification.SelectionPerformed, inputs or ("apheresis",), [new("s", INTERMEDIATE, 90)])


def _ready() -> Story:
    story = Story().to_the_plant()
    story.accessions("apheresis")
    return story


# Accession.


def test_manufacture_needs_consent() -> None:
    """At accession and at each step."""
    story = Story()
    story.enrols()
    story.consents(harvest.CONSENT_SCOPE_COLLECTION)
    story.collects("apheresis")
    accession = story.accessions("apheresis", unit=APHERESIS, signer=NURSE)
    assert story.codes(accession) == {"CONSENT_MISSING"}
    step = story.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 9)], signer=NURSE, unit=APHERESIS
    )
    assert "CONSENT_MISSING" in story.codes(step)


def test_a_site_that_takes_no_part_manufactures_nothing() -> None:
    """The enrolment names who takes part."""
    story = Story()
    enrolled = story.enrols()
    assert isinstance(enrolled.body, harvest.TherapyEnrolled)
    del enrolled.body.participants[:]
    story.consents()
    story.collects("apheresis")
    accession = story.accessions("apheresis")
    assert "SITE_NOT_TAKING_PART" in story.codes(accession)


def test_only_the_custodian_takes_material_into_a_batch() -> None:
    """The plant has the bag, and the hospital answers for it."""
    story = Story().to_the_collection()
    accession = story.accessions("apheresis")
    assert story.codes(accession) == {"NOT_CUSTODIAN"}
    assert custody_of(story.case().state, material("apheresis")) == (
        UnitRef(HOSPITAL, "apheresis"),
        UnitRef(PLANT, "suite"),
    )


def test_a_batch_belongs_to_one_therapy() -> None:
    """Another therapy's claim to its id disputes it here too."""
    story = _ready()
    case = story.case(creators={creates_key(material("batch")): frozenset((OTHER_THERAPY,))})
    assert {one.code for one in case.judged[story.acts[-1].digest].findings} == {"BATCH_CLAIMED_TWICE"}


def test_a_material_belongs_to_one_batch_and_a_batch_to_one_site() -> None:
    """Found on the second accession."""
    story = _ready()
    assert story.codes(story.accessions("apheresis", batch="other")) == {"IN_ANOTHER_BATCH"}
    elsewhere = story.accessions("apheresis", unit=APHERESIS, signer=NURSE)
    assert "BATCH_OF_ANOTHER_SITE" in story.codes(elsewhere)


def test_fresh_cells_do_not_wait_longer_than_the_pack_lets_them() -> None:
    """Two days in the sample pack."""
    story = Story().to_the_plant()
    story.now += 2 * DAY
    assert story.codes(story.accessions("apheresis")) == {"BUDGET_EXCEEDED"}


def test_an_accession_names_materials() -> None:
    """An empty batch is none."""
    story = Story().to_the_plant()
    assert story.codes(story.accessions()) == {"NO_MATERIAL"}


def test_a_broken_chain_of_identity_stops_manufacture() -> None:
    """Accession and step alike."""
    story = Story().to_the_plant()
    story.checks_identity(harvest.IDENTITY_POINT_PROCESS, coi_read=OTHER_COI, comparisons=())
    assert "IDENTITY_BROKEN" in story.codes(story.accessions("apheresis"))
    assert "IDENTITY_BROKEN" in story.codes(_selects(story))


# Steps.


def test_a_step_uses_up_what_went_in_and_makes_what_came_out() -> None:
    """Genealogy leads both ways."""
    case = Story().to_the_product().case()
    state = case.state
    assert state.materials[material("apheresis")].life is Life.USED
    assert material("apheresis") in ancestors(state, material("bag-1"))
    assert {material("bag-1"), material("bag-2"), material("sample")} <= set(
        descendants(state, [material("apheresis")])
    )
    assert [step.kind for step in state.batches[material("batch")].steps] == [
        "selection",
        "activation",
        "modification",
        "expansion",
        "formulation",
    ]


def test_a_step_waits_for_its_batch() -> None:
    """The accession may be in another outbox."""
    story = Story().to_the_plant()
    step = _selects(story)
    assert story.judged(step).status is Status.AWAITING
    assert story.codes(step) == {"BATCH_UNKNOWN"}


def test_a_step_takes_materials_of_its_batch() -> None:
    """A bag that was not taken in is held with what came of it."""
    story = Story().to_the_plant("apheresis", "spare")
    story.accessions("apheresis")
    assert story.codes(_selects(story, "spare")) >= {"NOT_IN_BATCH"}
    assert story.case().state.holds_on(material("s"))


def test_a_step_names_what_went_in() -> None:
    """Cells do not come of nothing."""
    story = _ready()
    assert story.codes(story.performs(modification.SelectionPerformed, [], [new("s", INTERMEDIATE, 9)])) == {
        "NO_MATERIAL"
    }


def test_used_cells_are_not_used_again() -> None:
    """A hard gate: two steps cannot both have had them."""
    story = _ready()
    _selects(story)
    again = story.performs(modification.SelectionPerformed, ["apheresis"], [new("again", INTERMEDIATE, 90)])
    assert "AFTER_TERMINAL_ACT" in story.codes(again)


def test_a_hold_stops_processing() -> None:
    """The step is recorded and what it made is held too."""
    story = _ready()
    _hold(story, "apheresis")
    assert "HOLD_OPEN" in story.codes(_selects(story))
    assert story.case().state.holds_on(material("s"))


def test_a_hold_on_a_parent_covers_its_children() -> None:
    """A hold placed when the parent is long used up finds the product."""
    story = Story().to_the_product()
    _hold(story, "apheresis")
    state = story.case().state
    assert state.holds_on(material("bag-1"))


def test_a_step_is_its_custodians() -> None:
    """What the other site made stays with who answered for what went in."""
    story = _ready()
    step = story.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 90)], signer=NURSE, unit=APHERESIS
    )
    assert "NOT_CUSTODIAN" in story.codes(step)
    assert custody_of(story.case().state, material("s")) == (UnitRef(PLANT, "suite"), UnitRef(HOSPITAL, "apheresis"))


def test_steps_follow_their_order() -> None:
    """Expanded cells are not selected any more, and unmodified cells are not formulated."""
    story = _ready()
    story.performs(modification.ExpansionPerformed, ["apheresis"], [new("expanded", INTERMEDIATE, 900)])
    back = story.performs(modification.SelectionPerformed, ["expanded"], [new("s", INTERMEDIATE, 90)])
    assert "STEP_OUT_OF_ORDER" in story.codes(back)

    other = _ready()
    early = other.performs(modification.FormulationPerformed, ["apheresis"], [new("f", INTERMEDIATE, 90)])
    assert "STEP_OUT_OF_ORDER" in other.codes(early)


def test_a_pack_may_ask_for_a_check_before_cells_are_opened() -> None:
    """Of each material that goes in, by the site that opens it."""
    story = _ready()
    step = story.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 90)], is_compared=False
    )
    assert story.codes(step) == {"PROCESS_CHECK_MISSING"}
    assert story.judged(step).status is Status.NONCONFORMING

    checked = _ready()
    checked.compares("apheresis")
    step = checked.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 90)], is_compared=False
    )
    assert checked.codes(step) == set()

    of_another = _ready()
    of_another.compares("spare")
    step = of_another.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 90)], is_compared=False
    )
    assert of_another.codes(step) == {"PROCESS_CHECK_MISSING"}


def test_nothing_is_worked_on_in_a_decided_batch() -> None:
    """Nor taken into it."""
    story = Story().to_the_plant("apheresis", "spare")
    story.accessions("apheresis")
    story.tell(modification.BatchRejected(batch=material("batch")), SECOND_REVIEWER, role="quality_reviewer")
    assert "BATCH_DECIDED" in story.codes(_selects(story))
    assert story.codes(story.accessions("spare")) == {"BATCH_DECIDED"}


def test_lots_lead_to_what_was_made_with_them() -> None:
    """The vector lot among them."""
    story = _ready()
    act = story.tell(
        modification.ModificationPerformed(
            batch=material("batch"),
            inputs=[material("apheresis")],
            outputs=[new("modified", INTERMEDIATE, 90)],
            unit=SUITE,
            lots=[common.LotUse(lot_number="R-1", kind="reagent")],
            vector_lot=common.LotUse(lot_number="V-1", kind="vector"),
        ),
        OPERATOR,
    )
    uses = story.case().state.lots
    assert [(one.lot_number, one.digest, one.outputs) for one in uses] == [
        ("R-1", act.digest, (material("modified"),)),
        ("V-1", act.digest, (material("modified"),)),
    ]


# Division.


@pytest.mark.parametrize(
    ("step", "kind", "is_found"),
    [
        (modification.SelectionPerformed, INTERMEDIATE, False),
        (modification.SelectionPerformed, common.MATERIAL_KIND_PRODUCT, True),
        (modification.ExpansionPerformed, common.MATERIAL_KIND_PRODUCT, True),
        (modification.FormulationPerformed, common.MATERIAL_KIND_PRODUCT, False),
        (modification.FormulationPerformed, INTERMEDIATE, False),
        (modification.FormulationPerformed, common.MATERIAL_KIND_COLLECTION, True),
    ],
)
def test_a_step_makes_intermediates_and_formulation_product(
    step: type[modification.SelectionPerformed | modification.ExpansionPerformed | modification.FormulationPerformed],
    kind: common.MaterialKind.ValueType,
    is_found: bool,
) -> None:
    """What no step makes is recorded and held."""
    story = _ready()
    performed = story.performs(step, ["apheresis"], [new("made", kind, 90)])
    assert ("OUTPUT_KIND_WRONG" in story.codes(performed)) == is_found


def _divides(
    story: Story, *millilitres: int, left: common.Quantity | None = None, lost: common.Quantity | None = None
) -> Act:
    outputs = [new(f"part-{index}", INTERMEDIATE, one) for index, one in enumerate(millilitres)]
    return story.divides("apheresis", outputs, left=left, lost=lost)


def test_a_division_conserves_within_the_packs_tolerance() -> None:
    """Five in a hundred, exactly."""
    for parts, codes in (
        ((95,), set()),
        ((94,), {"VOLUME_IMBALANCE"}),
        ((60, 45), set()),
        ((60, 46), {"VOLUME_IMBALANCE"}),
    ):
        story = Story().to_the_plant()
        assert story.codes(_divides(story, *parts)) == codes


def test_what_is_left_and_lost_counts() -> None:
    """What is left stays in the divided material."""
    story = Story().to_the_plant()
    assert story.codes(_divides(story, 30, left=volume(60), lost=volume(10))) == set()
    left = story.case().state.materials[material("apheresis")]
    assert left.life is Life.AVAILABLE
    assert left.quantity is not None
    assert left.quantity.value == 60


def test_different_units_are_never_added() -> None:
    """Not even where the numbers fit."""
    story = Story().to_the_plant()
    assert story.codes(_divides(story, 90, lost=volume(10, unit="L"))) == {"UNIT_MISMATCH"}


@pytest.mark.parametrize(
    "quantity",
    [
        None,
        common.Quantity(mantissa=100, unit="mL", comparator=common.COMPARATOR_AT_LEAST),
        common.Quantity(mantissa=1, exponent=2_000_000_000, unit="mL", comparator=common.COMPARATOR_EQUAL),
    ],
)
def test_unknown_is_never_in_balance(quantity: common.Quantity | None) -> None:
    """A missing, open-ended or absurd quantity is unknown."""
    story = Story().to_the_plant()
    output = common.NewMaterial(material=material("part"), kind=INTERMEDIATE, quantity=quantity)
    assert story.codes(story.divides("apheresis", [output])) == {"QUANTITY_UNKNOWN"}


def test_samples_may_be_taken_under_a_hold_and_bags_may_not() -> None:
    """Testing is never blocked."""
    story = Story().to_the_plant()
    _hold(story, "apheresis")
    sampled = story.divides("apheresis", [new("sample", common.MATERIAL_KIND_SAMPLE, 10)], left=volume(90))
    assert story.codes(sampled) == set()
    bagged = story.divides("apheresis", [new("part", INTERMEDIATE, 90)])
    assert story.codes(bagged) == {"HOLD_OPEN"}


# Results.


def test_a_failing_result_holds_its_batch() -> None:
    """Every bag of it, whatever was released."""
    story = Story().to_the_product()
    failed = story.reports("sterility", modification.RESULT_OUTCOME_FAIL)
    state = story.case().state

    assert story.codes(failed) == {"RESULT_FAILED"}
    (hold,) = state.holds_on(material("bag-1"))
    assert hold.scope is ScopeOfHold.BATCH
    assert state.holds_on_batch(material("batch")) == (hold,)


def test_results_are_reported_on_samples_of_the_batch_by_who_has_them() -> None:
    """A bag is no sample, another batch's sample is another's, and a site without the sample cannot have tested it."""
    story = Story().to_the_product()
    assert story.codes(story.reports("identity", sample="bag-1")) == {"NOT_A_SAMPLE"}
    assert story.codes(story.reports("identity", signer=NURSE)) == {"NOT_CUSTODIAN"}
    assert story.codes(story.reports("identity", sample="unknown")) == {"MATERIAL_UNKNOWN"}
    assert story.codes(story.reports("identity", batch="unknown")) == {"BATCH_UNKNOWN"}


def test_a_sample_of_another_batch_says_nothing_about_this_one() -> None:
    """One taken before accession from what went in does."""
    story = Story().to_the_plant("apheresis", "spare")
    story.divides("apheresis", [new("early", common.MATERIAL_KIND_SAMPLE, 10)], left=volume(90))
    story.divides("spare", [new("strange", common.MATERIAL_KIND_SAMPLE, 10)], left=volume(90))
    story.accessions("apheresis")
    assert story.codes(story.reports("identity", sample="early")) == set()
    assert story.codes(story.reports("identity", sample="strange")) == {"NOT_IN_BATCH"}


def test_a_result_states_its_outcome() -> None:
    """None stated counts as invalid."""
    story = Story().to_the_product()
    result = story.reports("identity", modification.RESULT_OUTCOME_UNSPECIFIED)
    assert story.codes(result) == {"OUTCOME_MISSING"}


def test_a_passing_result_that_breaks_a_rule_does_not_count() -> None:
    """A failing one would."""
    story = Story().to_the_product()
    story.tell(
        modification.ResultReported(
            sample=material("sample"),
            batch=material("batch"),
            test="identity",
            outcome=modification.RESULT_OUTCOME_PASS,
        ),
        OPERATOR,
        entry_findings=(Finding("CAPABILITY_MISSING"),),
    )
    assert "identity" not in story.case().state.batches[material("batch")].results


def test_a_sample_ends_by_testing_and_may_still_be_reported_on() -> None:
    """Results follow a material's end."""
    story = Story().to_the_product()
    story.tell(returned.MaterialConsumed(material=material("sample"), unit=SUITE), OPERATOR)
    assert story.codes(story.reports("sterility")) == set()
