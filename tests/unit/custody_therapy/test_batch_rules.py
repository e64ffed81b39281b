"""Line clearance, start, further attempts, and the order of steps as the pack gives it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.batch_state import BatchStatus
from cellcustody.ledger.custody.holds import ScopeOfHold
from cellcustody.ledger.custody.process_areas import area_use
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification

from .packs import case_under, codes_under, pack_with, refused_with, step
from .stories import (
    APHERESIS,
    DAY,
    NURSE,
    OPERATOR,
    OTHER_THERAPY,
    PLANT,
    RETURN,
    REVIEWER,
    SECOND_OPERATOR,
    SUITE,
    Story,
    case_of,
    material,
    new,
    outcome,
)

INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE
BATCH_WIDE = pack_with(
    step("LineCleared", "MaterialAccessioned"),
    step("ManufacturingStarted", "LineCleared"),
    step("SelectionPerformed", "ManufacturingStarted", optional=True),
)


def _ready(*bags: str) -> Story:
    names = bags or ("apheresis",)
    story = Story().to_the_plant(*names)
    story.accessions(*names)
    return story


def _clears(story: Story, area: str = "isolator-1", *, clear: bool = True, signer: bytes = OPERATOR) -> Act:
    body = modification.LineCleared(batch=material("batch"), process_area=area, unit=SUITE, clear=clear)
    return story.tell(body, signer)


def _starts(story: Story, clearance: Act | None, *, area: str = " Isolator-1", record: str = "MBR-7 v3") -> Act:
    body = modification.ManufacturingStarted(
        batch=material("batch"),
        unit=SUITE,
        process_area=area,
        batch_record=record,
        line_clearance=b"" if clearance is None else clearance.digest,
    )
    return story.tell(body, OPERATOR)


def _selects(story: Story, *inputs: str, batch: str = "batch") -> Act:
    return story.performs(
        modification.SelectionPerformed, inputs or ("apheresis",), [new("s", INTERMEDIATE, 90)], batch=batch
    )


# Line clearance.


def test_a_cleared_line_is_started_on() -> None:
    """The batch is started, in the area that was cleared for it."""
    story = _ready()
    cleared = _clears(story)
    started = _starts(story, cleared)
    step_ = _selects(story)
    for act in (cleared, started, step_):
        assert codes_under(BATCH_WIDE, story, act) == set()
    assert case_under(BATCH_WIDE, story).state.batches[material("batch")].started_by == started.digest


def test_a_line_on_which_something_was_found_is_not_clear() -> None:
    """It holds the batch, and nobody starts on it."""
    story = _ready()
    cleared = _clears(story, clear=False)
    assert story.codes(cleared) == {"LINE_NOT_CLEAR"}
    (hold,) = story.case().state.holds_on_batch(material("batch"))
    assert hold.scope is ScopeOfHold.BATCH
    assert story.codes(_starts(story, cleared)) == {"LINE_NOT_CLEARED"}


def test_a_clearance_names_its_area() -> None:
    """Spaces are no name."""
    assert _codes(_clears, area="  ") == {"AREA_NOT_NAMED"}


def _codes(tell: object, **details: object) -> set[str]:
    story = _ready()
    assert callable(tell)
    return story.codes(tell(story, **details))


def test_clearance_and_start_wait_for_the_batch() -> None:
    """The accession may be in another outbox."""
    story = Story().to_the_plant()
    cleared = _clears(story)
    assert story.codes(cleared) == {"BATCH_UNKNOWN"}
    assert story.codes(_starts(story, cleared)) == {"BATCH_UNKNOWN"}


def test_a_clearance_is_the_plants_own() -> None:
    """Nobody clears another site's line."""
    assert _codes(_clears, signer=NURSE) == {"SIGNED_FOR_ANOTHER_SITE"}


def test_nothing_is_cleared_or_started_for_a_decided_batch() -> None:
    """Another attempt is another batch."""
    story = _ready()
    cleared = _clears(story)
    _terminates(story)
    assert story.codes(_clears(story)) == {"BATCH_DECIDED"}
    assert story.codes(_starts(story, cleared)) == {"BATCH_DECIDED"}


# Start.


def test_a_start_names_record_and_clearance() -> None:
    """The clearance only where the pack asks for it."""
    story = _ready()
    assert story.codes(_starts(story, None, record="")) == {"BATCH_RECORD_NOT_NAMED"}
    other = _ready()
    started = _starts(other, None)
    assert other.codes(started) == set()
    assert codes_under(BATCH_WIDE, other, started) == {"LINE_NOT_CLEARED"}


def test_a_start_is_in_the_area_that_was_cleared() -> None:
    """Another isolator is another line."""
    story = _ready()
    assert story.codes(_starts(story, _clears(story), area="isolator-2")) == {"LINE_NOT_CLEARED"}


def test_a_start_on_another_statement_is_none() -> None:
    """It names a clearance."""
    story = _ready()
    assert story.codes(_starts(story, story.acts[-1])) == {"OTHER_STATEMENT_NAMED"}


def test_a_start_waits_for_its_clearance() -> None:
    """In whatever order both are delivered, the end is the same."""
    story = _ready()
    cleared = _clears(story)
    started = _starts(story, cleared)
    without = case_of(story.without(cleared))
    assert without.judged[started.digest].status is Status.AWAITING
    backwards = [*story.without(cleared, started), started, cleared]
    assert outcome(case_of(backwards)) == outcome(story.case())


def test_a_batch_starts_once_at_its_own_site() -> None:
    """The second start is found."""
    story = _ready()
    cleared = _clears(story)
    _starts(story, cleared)
    first = story.acts[-1]
    assert story.codes(_starts(story, cleared)) == {"ALREADY_STARTED"}
    assert story.case().state.batches[material("batch")].started_by == first.digest


def test_fresh_cells_do_not_wait_longer_for_the_start() -> None:
    """Accessioned in time and started too late."""
    story = _ready()
    story.now += 2 * DAY
    assert story.codes(_starts(story, None)) == {"BUDGET_EXCEEDED"}


def test_a_step_waits_for_no_start_and_is_found_without_one() -> None:
    """Where the pack asks for a start."""
    story = _ready()
    step_ = _selects(story)
    assert story.codes(step_) == set()
    assert codes_under(BATCH_WIDE, story, step_) == {"MANUFACTURING_NOT_STARTED"}


def test_a_pair_of_operators_starts_where_the_pack_wants_one() -> None:
    """The second joins before anyone relies on it; a hard gate."""

    def pair(members: dict[str, object]) -> None:
        signing = members["co_signing"]
        assert isinstance(signing, dict)
        signing["ManufacturingStarted"] = {"number": 1, "roles": [], "window_seconds": 900}

    pack = pack_with(pair)
    alone = _ready()
    _starts(alone, None)
    assert codes_under(pack, alone, _selects(alone)) == {"SECOND_PERSON_MISSING"}

    joined = _ready()
    joined.join(_starts(joined, None), SECOND_OPERATOR)
    assert codes_under(pack, joined, _selects(joined)) == set()


# Order.


def test_what_the_pack_wants_before_is_done_along_each_line() -> None:
    """One of two inputs that was not modified is enough to be out of order."""
    story = _ready("apheresis", "spare")
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("modified", INTERMEDIATE, 90)])
    formulated = story.performs(modification.FormulationPerformed, ["modified", "spare"], [new("f", INTERMEDIATE, 90)])
    assert story.codes(formulated) == {"STEP_OUT_OF_ORDER"}
    alone = _ready()
    alone.performs(modification.ModificationPerformed, ["apheresis"], [new("modified", INTERMEDIATE, 90)])
    assert (
        alone.codes(alone.performs(modification.FormulationPerformed, ["modified"], [new("f", INTERMEDIATE, 90)]))
        == set()
    )


def test_nothing_goes_back() -> None:
    """Expanded cells are not selected any more, though selection may be repeated."""
    story = _ready()
    _selects(story)
    story.performs(modification.ModificationPerformed, ["s"], [new("m", INTERMEDIATE, 90)])
    back = story.performs(modification.SelectionPerformed, ["m"], [new("again", INTERMEDIATE, 90)])
    assert story.codes(back) == {"STEP_OUT_OF_ORDER"}


@pytest.mark.parametrize(("repeatable", "codes"), [(True, set()), (False, {"STEP_OUT_OF_ORDER"})])
def test_a_step_repeats_where_the_pack_lets_it(repeatable: bool, codes: set[str]) -> None:
    """Two expansions of one culture."""
    pack = pack_with(step("ExpansionPerformed", "ModificationPerformed", optional=True, repeatable=repeatable))
    story = _ready()
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("m", INTERMEDIATE, 90)])
    story.performs(modification.ExpansionPerformed, ["m"], [new("e1", INTERMEDIATE, 900)])
    second = story.performs(modification.ExpansionPerformed, ["e1"], [new("e2", INTERMEDIATE, 900)])
    assert codes_under(pack, story, second) == codes


def test_a_step_that_the_pack_does_not_have_is_found() -> None:
    """A pack without any order asks for none."""

    def only(members: dict[str, object]) -> None:
        members["steps"] = [one for one in members["steps"] if one["step"] == "TherapyEnrolled"]  # type: ignore[attr-defined]  # JSON.

    def none(members: dict[str, object]) -> None:
        members["steps"] = []

    story = _ready()
    act = _selects(story)
    assert codes_under(pack_with(only), story, act) == {"STEP_NOT_IN_PACK"}
    assert codes_under(pack_with(none), story, act) == set()


# Attempts.


def _terminates(story: Story, batch: str = "batch") -> Act:
    body = modification.BatchTerminated(
        batch=material(batch), cause=modification.TERMINATION_CAUSE_MANUFACTURING_FAILURE
    )
    return story.tell(body, REVIEWER, role="quality_reviewer", seen=story.acts[-1:])


def _second_attempt(story: Story, *bags: str, attempt: int = 2) -> Act:
    return story.tell(
        modification.MaterialAccessioned(
            batch=material("second"),
            batch_number="B-2",
            materials=[material(bag) for bag in bags],
            unit=SUITE,
            attempt=attempt,
        ),
        OPERATOR,
    )


def test_a_second_attempt_follows_the_end_of_the_first() -> None:
    """An open batch is terminated first, by a word that quality gave before."""
    early = Story().to_the_plant("apheresis", "spare")
    early.accessions("apheresis")
    second = _second_attempt(early, "spare")
    assert early.codes(second) == {"ATTEMPT_OUT_OF_ORDER"}
    _terminates(early)
    assert early.codes(second) == {"ATTEMPT_OUT_OF_ORDER"}

    story = Story().to_the_plant("apheresis", "spare")
    story.accessions("apheresis")
    _terminates(story)
    assert story.codes(_second_attempt(story, "spare")) == set()
    assert story.case().state.batches[material("batch")].status is BatchStatus.TERMINATED


def test_no_attempt_is_left_out() -> None:
    """A third needs a second."""
    story = Story().to_the_plant("apheresis", "spare")
    story.accessions("apheresis")
    _terminates(story)
    assert story.codes(_second_attempt(story, "spare", attempt=3)) == {"ATTEMPT_OUT_OF_ORDER"}


def test_what_was_not_worked_on_leaves_a_batch_that_failed() -> None:
    """What a step made does not."""
    story = _ready("apheresis", "spare")
    _selects(story)
    assert "IN_ANOTHER_BATCH" in story.codes(story.accessions("spare", batch="other"))
    failed = _ready("apheresis", "spare")
    _selects(failed)
    _terminates(failed)
    assert failed.codes(_second_attempt(failed, "spare")) == set()
    state = failed.case().state
    assert state.materials[material("spare")].batch == material("second")
    assert material("spare") not in state.batches[material("batch")].materials
    again = failed.tell(
        modification.MaterialAccessioned(
            batch=material("second"), batch_number="B-2", materials=[material("s")], unit=SUITE, attempt=2
        ),
        OPERATOR,
    )
    assert failed.codes(again) == {"IN_ANOTHER_BATCH"}


def test_a_batch_is_terminated_once_for_a_cause_and_only_while_it_is_open() -> None:
    """What was released is rejected, not given up."""
    story = _ready()
    body = modification.BatchTerminated(batch=material("batch"), cause=modification.TERMINATION_CAUSE_CONTAMINATION)
    assert refused_with(story, body) == set()
    assert refused_with(story, modification.BatchTerminated(batch=material("batch"))) == {"REASON_MISSING"}
    assert refused_with(
        story,
        modification.BatchTerminated(batch=material("x"), cause=modification.TERMINATION_CAUSE_CONTAMINATION),
    ) == {"BATCH_UNKNOWN"}
    _terminates(story)
    assert refused_with(story, body) == {"BATCH_DECIDED"}
    assert refused_with(Story().to_the_release(), body) == {"BATCH_DECIDED"}


def test_nothing_is_worked_on_in_a_terminated_batch() -> None:
    """Nor released from it."""
    story = Story().to_the_product()
    _terminates(story)
    assert "BATCH_DECIDED" in story.codes(
        story.performs(modification.ExpansionPerformed, ["bag-1"], [new("e", INTERMEDIATE, 60)])
    )
    release = modification.BatchReleased(batch=material("batch"), materials=[material("bag-1")])
    assert "BATCH_DECIDED" in refused_with(story, release)


def test_a_site_starts_its_own_batches() -> None:
    """A start elsewhere is found."""
    story = _ready()
    started = story.tell(
        modification.ManufacturingStarted(
            batch=material("batch"), unit=APHERESIS, process_area="hood", batch_record="MBR-7 v3"
        ),
        NURSE,
    )
    assert story.codes(started) == {"BATCH_OF_ANOTHER_SITE"}


def test_what_lies_in_a_container_is_not_accessioned() -> None:
    """It is received first."""
    story = Story().to_the_plant()
    story.opens_consignment(RETURN, SUITE, SUITE, OPERATOR)
    story.packs("apheresis", RETURN, SUITE, OPERATOR)
    assert story.codes(story.accessions("apheresis")) == {"MATERIAL_PACKED"}


@pytest.mark.parametrize(("late", "codes"), [(0, set()), (1, {"BUDGET_EXCEEDED"})])
def test_the_time_to_the_start_counts_from_the_collection(late: int, codes: set[str]) -> None:
    """Two days and no microsecond more."""
    story = Story().to_the_plant()
    collected = story.case().state.materials[material("apheresis")].collected_at
    assert collected is not None
    body = modification.MaterialAccessioned(
        batch=material("batch"), batch_number="B-1", materials=[material("apheresis")], unit=SUITE, attempt=1
    )
    assert story.codes(story.tell(body, OPERATOR, at=collected + 2 * DAY + late)) == codes


def test_batches_of_one_attempt_may_be_open_side_by_side() -> None:
    """Two parts of a collection, made in two batches."""
    story = Story().to_the_plant("apheresis", "spare")
    story.accessions("apheresis")
    _terminates(story)
    story.tell(
        modification.MaterialAccessioned(
            batch=material("third"), batch_number="B-3", materials=[material("apheresis")], unit=SUITE, attempt=2
        ),
        OPERATOR,
    )
    assert story.codes(_second_attempt(story, "spare")) == set()


def test_no_other_patients_cells_are_in_the_area_at_the_start() -> None:
    """Nor while it is cleared."""
    for tell in (_clears, lambda story: _starts(story, None)):
        story = _ready()
        act = tell(story)
        mine = area_use(act)
        assert mine is not None
        others = replace(mine, stream=OTHER_THERAPY)
        case = story.case()
        assert act.digest in case.references_changed(replace(case.references, area_uses=frozenset((others,))))
        assert {one.code for one in case.judged[act.digest].findings} == {"PROCESS_AREA_SHARED"}


def test_who_works_for_the_whole_site_answers_for_what_came_of_it() -> None:
    """The unit that worked, not the one that kept what went in."""
    story = _ready()
    story.performs(
        modification.SelectionPerformed, ["apheresis"], [new("s", INTERMEDIATE, 90)], unit=common.Unit(site=PLANT)
    )
    assert story.case().state.materials[material("s")].custodian == UnitRef(PLANT)


def test_a_line_cleared_for_another_batch_is_not_cleared_for_this_one() -> None:
    """Each batch has a clearance of its own."""
    story = _ready("apheresis", "spare")
    story.accessions("spare", batch="other")
    body = modification.LineCleared(batch=material("other"), process_area="isolator-1", unit=SUITE, clear=True)
    assert story.codes(_starts(story, story.tell(body, OPERATOR))) == {"LINE_NOT_CLEARED"}
