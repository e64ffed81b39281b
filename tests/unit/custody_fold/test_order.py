"""The order of a fold: what stands before what, whatever arrived first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.fold import Fold

if TYPE_CHECKING:
    from tests.unit.custody_fold.conftest import Trails

NOWHERE = bytes(32)


def test_the_earlier_occurrence_stands_first(trails: Trails) -> None:
    """Three facts that nothing else orders, delivered backwards."""
    trails.appends(trails.passes("c", 3), trails.passes("b", 2), trails.passes("a", 1))
    assert trails.places == ["a", "b", "c"]


def test_the_smaller_digest_stands_first_at_the_same_time(trails: Trails) -> None:
    """Two facts at the same minute: the digest decides."""
    both = [trails.passes("a", 1), trails.passes("b", 1)]
    trails.appends(*both)
    assert [act.digest for act in trails.fold.order] == sorted(act.digest for act in both)


def test_what_was_seen_stands_before_whatever_the_clocks_say(trails: Trails) -> None:
    """A device whose clock runs behind has seen a later fact."""
    later = trails.passes("seen", 9)
    trails.appends(later, trails.passes("by a slow clock", 2, seen=later))
    assert trails.places == ["seen", "by a slow clock"]


def test_what_is_named_stands_before(trails: Trails) -> None:
    """A refusal with an early clock names a later fact."""
    named = trails.passes("named", 9)
    trails.appends(trails.refuses(named.digest, 2), named)
    assert trails.places == ["named", "refused"]


def test_the_opening_stands_first(trails: Trails) -> None:
    """An opening by a fast clock still stands before all else."""
    opened = trails.opens(9)
    trails.appends(trails.passes("a", 1), opened)
    assert trails.fold.order[0] == opened


def test_a_known_act_changes_nothing(trails: Trails) -> None:
    """Delivered twice, told once."""
    act = trails.passes("a", 1)
    trails.appends(act)
    assert trails.fold.append(act) == frozenset()
    assert trails.places == ["a"]


def test_an_act_that_sorts_last_is_the_only_one_checked(trails: Trails) -> None:
    """Facts that arrive in their order cost one check each; one that does not has the stream folded again."""
    for minute in range(2, 12):
        trails.fold.append(trails.passes(str(minute), minute))
    assert trails.rules.checked == 10
    last = trails.fold.order[-1]
    trails.fold.append(trails.passes("early, and yet last", 1, seen=last))
    assert trails.rules.checked == 11
    trails.fold.append(trails.passes("early", 1))
    assert trails.rules.checked == 11 + 12


def test_an_arrival_tells_which_earlier_facts_it_changed(trails: Trails) -> None:
    """A loop that was harmless is one after the earlier loop arrives."""
    first, second = trails.passes("loop", 1), trails.passes("loop", 5)
    changed = trails.appends(second, first)
    assert changed == [frozenset(), {second.digest}]
    assert trails.fold.judged[second.digest].status is Status.NONCONFORMING
    assert trails.fold.judged[first.digest].status is Status.CONFORMING


def test_a_preview_changes_nothing(trails: Trails) -> None:
    """What would be judged, and what would change, is told without taking the act in."""
    first, second = trails.passes("loop", 1), trails.passes("loop", 5)
    trails.appends(second)
    judged, changed = trails.fold.preview(first)
    assert judged.status is Status.CONFORMING
    assert changed == {second.digest}
    assert trails.places == ["loop"]
    assert list(trails.fold.acts) == [second.digest]


def test_a_fact_waits_for_what_it_names(trails: Trails) -> None:
    """The named statement is missing, then arrives."""
    named = trails.passes("a", 1)
    waiting = trails.refuses(named.digest, 2)
    changed = trails.appends(waiting)
    assert trails.fold.judged[waiting.digest].status is Status.AWAITING
    assert [one.code for one in trails.fold.judged[waiting.digest].findings] == ["PREDECESSOR_MISSING"]
    changed = trails.appends(named)
    assert changed == [{waiting.digest}]
    assert trails.places == ["a", "refused"]


def test_a_fact_waits_with_what_it_names(trails: Trails) -> None:
    """A waits for B, and B for C: both have effect when C arrives."""
    first = trails.passes("a", 1)
    second = trails.refuses(first.digest, 2)
    third = trails.refuses(second.digest, 3)
    trails.appends(third, second)
    assert trails.places == []
    assert trails.appends(first) == [{second.digest, third.digest}]
    assert trails.places == ["a", "refused", "refused"]


def test_a_fact_waits_for_what_its_own_stream_showed_its_signer(trails: Trails) -> None:
    """An outbox delivered out of order waits; what another stream showed does not hold a fact up."""
    first = trails.passes("a", 1)
    second = trails.passes("b", 2, seen=first)
    trails.appends(second)
    assert [one.code for one in trails.fold.judged[second.digest].findings] == ["SEEN_MISSING"]
    trails.appends(trails.elsewhere(trails.passes("c", 3, seen=NOWHERE)))
    trails.appends(first)
    assert trails.places == ["a", "b", "c"]


def test_custody_does_not_freeze_behind_a_lost_statement(trails: Trails) -> None:
    """Only who had seen the lost statement itself waits; who goes on from there does not."""
    waiting = trails.passes("waits", 2, seen=NOWHERE)
    trails.appends(waiting, trails.passes("goes on", 3, seen=waiting))
    assert trails.places == ["goes on"]


def test_a_statement_entered_anew_stands_for_the_refused_one(trails: Trails) -> None:
    """The first of an outbox was refused for its key; another signer enters it late, and the second has effect."""
    refused = bytes(range(32))
    trails.appends(trails.passes("b", 2, seen=refused))
    assert trails.places == []
    trails.appends(trails.passes("a", 9, refused=refused))
    assert trails.places == ["a", "b"]


def test_who_has_seen_a_rejudgement_has_seen_what_caused_it(trails: Trails) -> None:
    """The ledger's own entry has no place in the order, and is not missing to those who saw it."""
    cause = trails.passes("a", 5)
    revision = trails.revises(cause, 6)
    trails.appends(cause, revision, trails.passes("b", 1, seen=revision))
    assert trails.places == ["a", "b"]
    assert trails.fold.judged[revision.digest].status is Status.RECORDED


def test_co_signatures_are_noted_with_person_and_time(trails: Trails) -> None:
    """A co-signature before its statement waits; then who joined and when is known, the signer's own not counted."""
    act = trails.passes("a", 1)
    joined, own = trails.joins(act, 2, b"\x01" * 16), trails.joins(act, 3, act.signer)
    trails.appends(joined)
    assert trails.fold.judged[joined.digest].status is Status.AWAITING
    trails.appends(act, own)
    assert trails.fold.judged[joined.digest].status is Status.RECORDED
    assert [one.person for one in trails.fold.state.others_who_signed(act)] == [joined.signer]
    assert trails.fold.state.others_who_signed(act, within=60_000_000 - 1) == ()


def test_an_authorisation_has_effect_in_its_place(trails: Trails) -> None:
    """Pending it does nothing; put in effect, it does so where it stands, not where its last co-signature does."""
    pending = trails.establishes(2)
    trails.appends(trails.passes("a", 1), pending, trails.passes("c", 3))
    assert trails.places == ["a", "c"]
    trails.fold.mark_in_effect(pending.digest, 7)
    assert trails.places == ["a", "established", "c"]
    assert trails.fold.acts[pending.digest].in_effect_at == 7


def test_recorded_judgements_are_never_made_again(trails: Trails) -> None:
    """A view replays what was recorded, however the rules would judge today."""
    first, second = trails.passes("loop", 1), trails.passes("loop", 5)
    trails.appends(first, second)
    recorded = dict(trails.fold.judged)
    before = trails.rules.checked
    view = Fold(trails.rules, recorded=recorded)
    view.extend((second, first))
    assert trails.rules.checked == before
    assert view.judged == recorded
    assert view.state == trails.fold.state


def test_a_joined_authorisation_has_effect_from_its_last_co_signature(trails: Trails) -> None:
    """What happened while an authorisation was pending stands before its effect, in any order of folding."""
    pending = trails.establishes(10)
    between = trails.passes("hub", 20)
    joined = trails.joins(pending, 30, b"s" * 16)
    after = trails.passes("gate", 40)
    for act in (pending, between, joined):
        trails.fold.append(act)
    assert trails.fold.mark_in_effect(pending.digest, joined.leaf_index) == frozenset()
    trails.fold.append(after)
    assert trails.fold.state.places == ["hub", "established", "gate"]

    trails.fold.fold_again()
    assert trails.fold.state.places == ["hub", "established", "gate"]
    assert trails.fold.copy().state.places == ["hub", "established", "gate"]


# Words about statements: by clocks that run behind, and before what they are about has arrived.


def test_a_co_signature_stands_behind_what_it_joins_whatever_its_clock_says(trails: Trails) -> None:
    """Delivered first, too."""
    joined = trails.passes("a", 9)
    word = trails.joins(joined, 2, b"s" * 16)
    trails.appends(word, joined)
    assert [act.digest for act in trails.fold.order] == [joined.digest, word.digest]


def test_a_co_signature_stands_where_it_was_signed(trails: Trails) -> None:
    """What it says of an earlier time heals nothing that was done before it was said."""
    joined = trails.passes("a", 1)
    word = replace(trails.joins(joined, 2, b"s" * 16), signed_at=9 * 60_000_000)
    between = trails.passes("between", 5)
    trails.appends(joined, word, between)
    assert [act.digest for act in trails.fold.order] == [joined.digest, between.digest, word.digest]


def test_a_correction_stands_behind_both_that_it_names(trails: Trails) -> None:
    """By a slow clock; a retraction behind what it takes back."""
    original = trails.passes("wrong", 8)
    replacement = trails.passes("right", 9, replaces=original.digest)
    correction = trails.corrects(original.digest, replacement.digest, 2)
    trails.appends(correction, original, replacement)
    order = [act.digest for act in trails.fold.order]
    assert order.index(correction.digest) > max(order.index(original.digest), order.index(replacement.digest))
    taken_back = trails.passes("never", 12)
    retraction = trails.retracts(taken_back.digest, 3)
    trails.appends(retraction, taken_back)
    order = [act.digest for act in trails.fold.order]
    assert order.index(retraction.digest) > order.index(taken_back.digest)


def test_what_refers_to_a_corrected_fact_stands_behind_its_replacement(trails: Trails) -> None:
    """Also where the replacement was told by a later clock."""
    original = trails.passes("wrong", 1)
    named = trails.refuses(original.digest, 3)
    replacement = trails.passes("right", 7, replaces=original.digest)
    correction = trails.corrects(original.digest, replacement.digest, 8)
    trails.appends(original, named, replacement, correction)
    assert trails.places == ["right", "refused"]
    order = [act.digest for act in trails.fold.order]
    assert order.index(replacement.digest) < order.index(named.digest)


def test_a_correction_that_is_pending_corrects_nothing(trails: Trails) -> None:
    """Until its co-signature the original counts, and the replacement waits; nor does a retraction take back."""
    original = trails.passes("wrong", 1)
    replacement = trails.passes("right", 2, replaces=original.digest)
    pending = replace(trails.corrects(original.digest, replacement.digest, 3), in_effect_at=None)
    trails.appends(original, replacement, pending)
    assert trails.places == ["wrong"]
    assert trails.fold.judged[replacement.digest].status is Status.AWAITING
    trails.appends(replace(trails.retracts(original.digest, 4), in_effect_at=None))
    assert trails.places == ["wrong"]
    trails.fold.mark_in_effect(pending.digest, 9)
    assert trails.places == ["right"]


def test_a_re_judgement_that_was_seen_stands_for_what_caused_it(trails: Trails) -> None:
    """Whoever has seen it stands behind its cause; seen before it arrived, too."""
    cause = trails.passes("cause", 9)
    revised = trails.revises(cause, 10)
    behind = trails.passes("behind", 2, seen=revised)
    trails.appends(cause, behind)
    assert trails.fold.judged[behind.digest].status is Status.AWAITING
    assert trails.fold.append(revised) == {behind.digest}
    assert trails.places == ["cause", "behind"]
    assert revised not in trails.fold.order
    judged, changed = trails.fold.preview(trails.passes("last", 20))
    assert (judged.status, changed) == (Status.CONFORMING, frozenset())


def test_an_authorisation_that_was_completed_acts_where_it_was_completed(trails: Trails) -> None:
    """At its co-signature's place, behind what happened in between; without one, at its own."""
    between = trails.passes("between", 4)
    asked = trails.establishes(2)
    word = trails.joins(asked, 6, b"s" * 16)
    trails.appends(asked, between, word)
    trails.fold.mark_in_effect(asked.digest, word.leaf_index)
    assert trails.places == ["between", "established"]
    later = trails.passes("later", 8)
    trails.appends(later)
    assert trails.places == ["between", "established", "later"]
