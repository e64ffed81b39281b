"""Time budgets are counted from recorded moments, up to a time that is passed in."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.policy_members import Budget
from cellcustody.ledger.views.time_budgets import Counted, budgets_of

from ..custody_therapy.stories import DAY, PACK, Story, material

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("used", "end", "limit", "state"),
    [
        (9, None, 10, "running"),
        (10, None, 10, "running"),
        (10, 10, 10, "kept"),
        (11, None, 10, "exceeded"),
        (11, 11, 10, "exceeded"),
        (11, None, None, "without_limit"),
    ],
)
def test_a_budget_is_kept_up_to_its_limit(used: int, end: int | None, limit: int | None, state: str) -> None:
    """The limit itself is within; without one nothing is exceeded."""
    assert Counted(Budget.INFUSION, b"", 0, end, used, limit).state == state


def _of(story: Story, now: int, budget: Budget, name: str) -> Counted:
    case = story.case()
    (found,) = [
        one for one in budgets_of(case.state, PACK, now) if (one.budget, one.material) == (budget, material(name))
    ]
    return found


def test_collected_cells_wait_until_they_go_into_a_step() -> None:
    """Running while they wait, and counted to the start of the first step from then on."""
    story = Story().to_the_collection()
    collected = next(act for act in story.acts if act.body_type.endswith("CollectionCompleted"))
    waiting = _of(story, collected.occurred_start + DAY, Budget.COLLECTION_TO_START, "apheresis")
    assert (waiting.end, waiting.start) == (None, collected.occurred_start)
    assert waiting.used_seconds == DAY // SECOND
    assert waiting.limit_seconds == PACK.budgets.collection_to_start_seconds

    story = Story().to_the_product()
    first = next(act for act in story.acts if act.body_type.endswith("SelectionPerformed"))
    begun = _of(story, first.occurred_start + 10 * DAY, Budget.COLLECTION_TO_START, "apheresis")
    assert begun.end == first.occurred_start and begun.state == "kept"
    assert first.digest in begun.statements


def test_a_thaw_runs_to_the_start_and_to_the_end_of_the_infusion() -> None:
    """Two budgets begin with the thaw; the infusion has one of its own."""
    story = Story().to_the_end()
    thawed = next(act for act in story.acts if act.body_type.endswith("MaterialThawed"))
    started = next(act for act in story.acts if act.body_type.endswith("InfusionStarted"))
    stopped = next(act for act in story.acts if act.body_type.endswith("InfusionStopped"))
    bag = next(one.material for one in story.case().state.infusions.values() if one.started_by == started.digest)
    found = {one.budget: one for one in budgets_of(story.case().state, PACK, story.now) if one.material == bag}

    assert (
        found[Budget.THAW_TO_INFUSION_START].used_seconds == (started.occurred_start - thawed.occurred_start) // SECOND
    )
    assert found[Budget.THAW_TO_INFUSION_END].used_seconds == (stopped.occurred_start - thawed.occurred_start) // SECOND
    assert found[Budget.INFUSION].end == stopped.occurred_start
    assert found[Budget.INFUSION].statements == (started.digest, stopped.digest)
