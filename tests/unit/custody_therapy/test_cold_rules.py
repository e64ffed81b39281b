"""Fresh hold and freezing."""

from __future__ import annotations

import random

import pytest

from cellcustody.ledger.custody.act import Act, UnitRef
from cellcustody.ledger.custody.therapy_state import custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification

from .stories import (
    APHERESIS,
    HOSPITAL,
    NURSE,
    OPERATOR,
    OUTWARD,
    PLANT,
    SECOND_MICROS,
    SUITE,
    Story,
    case_of,
    material,
    new,
)

BUDGET = 172_800 * SECOND_MICROS  # The sample pack's fresh hold.
TRACE = common.Document(sha256=bytes(32), kind="rate-trace")


def _holds(story: Story, *bags: str, at: int | None = None) -> Act:
    position = common.Position(unit=APHERESIS, place="fridge-2")
    body = harvest.FreshHoldStarted(materials=[material(bag) for bag in bags], position=position)
    return story.tell(body, at=at)


def _freezes(story: Story, *bags: str, at: int | None = None) -> Act:
    body = harvest.CryopreservationStarted(
        materials=[material(bag) for bag in bags],
        unit=APHERESIS,
        equipment="freezer-1",
        cryoprotectant=common.LotUse(lot_number="C-1", kind="cryoprotectant"),
    )
    return story.tell(body, at=at)


def _froze(
    story: Story, started: Act, *bags: str, failed: tuple[str, ...] = (), trace: common.Document | None = TRACE
) -> Act:
    return story.tell(
        harvest.CryopreservationCompleted(
            started=started.digest,
            rate_trace=trace,
            materials=[material(bag) for bag in bags],
            failed=[material(bag) for bag in failed],
            position=common.Position(unit=APHERESIS, place="tank-1/rack-2"),
        )
    )


def test_bags_wait_fresh_and_are_frozen() -> None:
    """Where, since when, in which lot: all is known."""
    story = Story().to_the_collection("a", "b")
    held = _holds(story, "a", "b")
    started = _freezes(story, "a", "b")
    froze = _froze(story, started, "a", "b")
    assert story.codes(held) == story.codes(started) == story.codes(froze) == set()
    state = story.case().state
    assert state.harvest.fresh_since[material("a")] == held.occurred_start
    assert state.harvest.frozen_at[material("b")] == froze.occurred_start
    assert state.materials[material("a")].place == "tank-1/rack-2"
    assert [one.outputs for one in state.lots] == [(material("a"), material("b"))]


def test_fresh_cells_are_frozen_within_the_policys_time() -> None:
    """Counted from the start of the hold; from the collection where no hold was recorded."""
    for wait, found in ((BUDGET, set()), (BUDGET + 1, {"FRESH_HOLD_EXCEEDED"})):
        story = Story().to_the_collection("a")
        held = _holds(story, "a")
        assert story.codes(_freezes(story, "a", at=held.occurred_start + wait)) == found

        story = Story().to_the_collection("a")
        collected = story.case().state.materials[material("a")].collected_at
        assert collected is not None
        assert story.codes(_freezes(story, "a", at=collected + wait)) == found


def test_fresh_cells_are_sent_on_within_the_policys_time_and_frozen_ones_at_any() -> None:
    """Packing looks at the hold of what is fresh."""
    for is_frozen, found in ((False, {"FRESH_HOLD_EXCEEDED"}), (True, set())):
        story = Story().to_the_collection("a")
        held = _holds(story, "a")
        if is_frozen:
            _froze(story, _freezes(story, "a"), "a")
        story.now = held.occurred_start + BUDGET
        story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
        assert story.codes(story.packs("a", OUTWARD, APHERESIS, NURSE)) == found


def test_fresh_cells_are_worked_on_within_the_policys_time() -> None:
    """At the plant the same time runs on."""
    for more, found in ((0, set()), (1, {"FRESH_HOLD_EXCEEDED"})):
        story = Story().to_the_plant("a")
        collected = story.case().state.materials[material("a")].collected_at
        assert collected is not None
        story.accessions("a")
        output = [new("selected", common.MATERIAL_KIND_INTERMEDIATE, 90)]
        at = collected + BUDGET + more
        selected = story.performs(modification.SelectionPerformed, ["a"], output, at=at)
        assert story.codes(selected) & {"FRESH_HOLD_EXCEEDED"} == found


def test_what_is_frozen_is_neither_frozen_again_nor_held_fresh() -> None:
    """Its first freezing stands."""
    story = Story().to_the_collection("a")
    froze = _froze(story, _freezes(story, "a"), "a")
    assert story.codes(_holds(story, "a")) == {"FROZEN_ALREADY"}
    again = _freezes(story, "a")
    assert story.codes(again) == {"FROZEN_ALREADY"}
    _froze(story, again, "a")
    state = story.case().state
    assert state.harvest.frozen_at[material("a")] == froze.occurred_start
    assert material("a") not in state.harvest.fresh_since


def test_the_end_of_a_freezing_tells_of_each_material_and_keeps_the_trace() -> None:
    """One left out, one too many, one that failed, a trace that is missing."""
    story = Story().to_the_collection("a", "b")
    started = _freezes(story, "a")
    assert story.codes(_froze(story, started, "a", "b")) == {"FREEZING_INCOMPLETE"}

    story = Story().to_the_collection("a", "b")
    started = _freezes(story, "a", "b")
    assert story.codes(_froze(story, started, "a")) == {"FREEZING_INCOMPLETE"}

    story = Story().to_the_collection("a", "b")
    started = _freezes(story, "a", "b")
    failed = _froze(story, started, "a", failed=("b",))
    assert story.codes(failed) == {"FREEZING_FAILED"}
    assert material("b") not in story.case().state.harvest.frozen_at

    story = Story().to_the_collection("a")
    assert story.codes(_froze(story, _freezes(story, "a"), "a", trace=None)) == {"RATE_TRACE_MISSING"}


def test_a_freezing_ends_once_where_it_began() -> None:
    """The plant does not end what the hospital began."""
    story = Story().to_the_collection("a")
    started = _freezes(story, "a")
    first = _froze(story, started, "a")
    assert story.codes(_froze(story, started, "a")) == {"ALREADY_COMPLETED"}
    assert story.case().state.harvest.freezings[started.digest].completed_by == first.digest
    elsewhere = story.tell(
        harvest.CryopreservationCompleted(started=started.digest, rate_trace=TRACE, materials=[material("a")]),
        OPERATOR,
    )
    assert "NOT_CUSTODIAN" in story.codes(elsewhere)


@pytest.mark.parametrize(("before", "found"), [(0, set()), (1, {"ENDED_BEFORE_START"})])
def test_a_freezing_ends_after_it_began(before: int, found: set[str]) -> None:
    """A time copied wrong is shown for what it is."""
    story = Story().to_the_collection("a")
    started = _freezes(story, "a")
    body = harvest.CryopreservationCompleted(started=started.digest, rate_trace=TRACE, materials=[material("a")])
    assert story.codes(story.tell(body, at=started.occurred_start - before)) == found


def test_freezing_is_the_custodians_work() -> None:
    """Whoever does it without answering for the bag has it."""
    story = Story().to_the_collection("a")
    body = harvest.CryopreservationStarted(materials=[material("a")], unit=SUITE)
    assert story.codes(story.tell(body, OPERATOR)) == {"NOT_CUSTODIAN"}
    custodian, possessor = custody_of(story.case().state, material("a"))
    assert custodian == UnitRef(HOSPITAL, "apheresis")
    assert possessor == UnitRef(PLANT, "suite")


def test_what_lies_in_a_box_is_not_frozen() -> None:
    """Nor begun to be held fresh; it is on its way."""
    story = Story().to_the_collection("a")
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("a", OUTWARD, APHERESIS, NURSE)
    assert story.codes(_freezes(story, "a")) == story.codes(_holds(story, "a")) == {"MATERIAL_PACKED"}


def test_a_unit_speaks_for_itself() -> None:
    """Held, frozen and put away by another site's signer: each is found."""
    story = Story().to_the_collection("a")
    started = _freezes(story, "a")
    strange = common.Position(unit=APHERESIS, place="tank-9")
    told = (
        harvest.FreshHoldStarted(materials=[material("a")], position=strange),
        harvest.CryopreservationStarted(materials=[material("a")], unit=APHERESIS),
        harvest.CryopreservationCompleted(
            started=started.digest, rate_trace=TRACE, materials=[material("a")], position=strange
        ),
    )
    for body in told:
        assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(story.tell(body, OPERATOR))


def test_nothing_is_nothing_to_freeze() -> None:
    """A statement without a material is found."""
    story = Story().to_the_collection("a")
    assert story.codes(_freezes(story)) == {"NO_MATERIAL"}


def test_the_end_of_a_freezing_waits_for_its_start() -> None:
    """The start may be in another outbox; delivery in any order comes to the same."""
    story = Story().to_the_collection("a", "b")
    _holds(story, "a", "b")
    started = _freezes(story, "a", "b")
    froze = _froze(story, started, "a", "b")
    codes = {one.code for one in case_of(story.without(started)).judged[froze.digest].findings}
    assert codes == {"PREDECESSOR_MISSING"}
    expected = case_of(story.acts)
    for seed in range(20):
        acts = list(story.acts)
        random.Random(seed).shuffle(acts)
        case = case_of(acts)
        assert dict(case.judged) == dict(expected.judged)
        assert case.state.harvest == expected.state.harvest
