"""Corrected and retracted facts, and the cycles that only corrections can form."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.fold import Fold

if TYPE_CHECKING:
    from tests.unit.custody_fold.conftest import Trails


def test_a_replacement_waits_for_its_correction(trails: Trails) -> None:
    """Before the correction the first fact counts; behind it the replacement does."""
    wrong = trails.passes("wrong", 1)
    right = trails.passes("right", 1, replaces=wrong.digest)
    trails.appends(wrong, right)
    assert trails.places == ["wrong"]
    assert [one.code for one in trails.fold.judged[right.digest].findings] == ["CORRECTION_MISSING"]
    changed = trails.appends(trails.corrects(wrong.digest, right.digest, 9))
    assert changed == [{wrong.digest, right.digest}]
    assert trails.places == ["right"]
    assert trails.fold.superseded == {wrong.digest: right.digest}


def test_a_replacement_stands_where_the_corrected_fact_stood(trails: Trails) -> None:
    """Whoever signs the replacement has seen what followed; it stands before that all the same."""
    before = trails.passes("before", 8)
    wrong = trails.passes("wrong", 2, seen=before)
    after = trails.passes("after", 3, seen=wrong)
    right = trails.passes("right", 2, seen=after, replaces=wrong.digest)
    trails.appends(before, wrong, after, right, trails.corrects(wrong.digest, right.digest, 9))
    assert trails.places == ["before", "right", "after"]


def test_a_corrected_time_moves_the_replacement(trails: Trails) -> None:
    """The time was wrong: among what nothing else orders, the replacement stands by its own time."""
    wrong = trails.passes("moved", 1)
    right = trails.passes("moved", 5, replaces=wrong.digest)
    trails.appends(wrong, trails.passes("a", 3), right, trails.corrects(wrong.digest, right.digest, 9))
    assert trails.places == ["a", "moved"]


def test_a_corrected_time_leaves_the_replacement_before_what_had_seen_the_first(trails: Trails) -> None:
    """Whatever the corrected time is: what was said in the light of the first fact still stands behind it."""
    wrong = trails.passes("wrong", 1)
    after = trails.passes("after", 3, seen=wrong)
    right = trails.passes("right", 5, replaces=wrong.digest)
    trails.appends(wrong, after, right, trails.corrects(wrong.digest, right.digest, 9))
    assert trails.places == ["right", "after"]


def test_a_retracted_fact_has_no_effect_and_holds_up_what_rests_on_it(trails: Trails) -> None:
    """What names it is found; what has only seen it goes on."""
    gone = trails.passes("gone", 1)
    resting = trails.refuses(gone.digest, 2)
    trails.appends(gone, resting, trails.passes("goes on", 3, seen=gone), trails.retracts(gone.digest, 9))
    assert trails.places == ["refused", "goes on"]
    assert trails.fold.judged[gone.digest].status is Status.RECORDED
    assert [one.code for one in trails.fold.judged[resting.digest].findings] == ["NAMES_RETRACTED"]


def test_the_first_word_on_a_fact_counts(trails: Trails) -> None:
    """Two corrections of one fact, in whatever order they arrive: the one that took effect first stands."""
    wrong = trails.passes("wrong", 1)
    first, second = (trails.passes(place, 1, replaces=wrong.digest) for place in ("first", "second"))
    acts = (
        wrong,
        first,
        second,
        trails.corrects(wrong.digest, second.digest, 8),
        trails.corrects(wrong.digest, first.digest, 7),
    )
    trails.appends(*acts)
    assert trails.places == ["first"]


def test_a_correction_corrected_again_leaves_no_cycle(trails: Trails) -> None:
    """Only the last replacement has effect, and the stream is not folded again for what follows."""
    wrong = trails.passes("wrong", 1)
    better = trails.passes("better", 1, replaces=wrong.digest)
    right = trails.passes("right", 1, replaces=better.digest)
    trails.appends(wrong, better, trails.corrects(wrong.digest, better.digest, 7))
    trails.appends(right, trails.corrects(better.digest, right.digest, 8))
    assert trails.places == ["right"]
    before = trails.rules.checked
    trails.fold.append(trails.passes("after", 20))
    assert trails.rules.checked == before + 1


def test_a_cycle_that_corrections_form_ends_the_same_in_every_order(trails: Trails) -> None:
    """The replacement rests on what had seen the corrected fact: broken at the smallest key, and nothing hangs."""
    wrong = trails.refuses(bytes(range(32)), 1)
    after = trails.passes("after", 2, seen=wrong)
    right = trails.refuses(after.digest, 1)
    assert right.body is not None
    right.body.MergeFrom(type(right.body)(replaces=wrong.digest))
    acts = (wrong, after, right, trails.corrects(wrong.digest, right.digest, 9), trails.passes("far", 20))
    ends = set()
    for order in itertools.permutations(acts):
        fold = Fold(trails.rules)
        for act in order:
            fold.append(act)
        ends.add(tuple(act.digest for act in fold.order))
    assert len(ends) == 1
    assert len(next(iter(ends))) == len(acts)
