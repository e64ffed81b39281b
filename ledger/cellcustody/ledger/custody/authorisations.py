"""Judge and evolve the authorisations that every kind of stream takes: holds lifted, corrections, overrides.

The rules, in the order they are checked:

* The signer has seen a statement of each kind of stream that the pack asks for this body (STREAM_NOT_SEEN), and
  everything decision-relevant that is in the log (UNSEEN_DECISION).
* A HoldLifted names at least one hold, each of which stands, in a role that the pack lets lift it.
* A StatementCorrected names a fact that stands and a fact of the same kind of body that names it in `replaces`; a
  StatementRetracted names a fact that stands. Only the site that stated a fact corrects or retracts it.
* A DeviationClosed names a deviation of this stream that is not closed yet.
* A GateOverridden names a gate of the fold that the pack lets this role override, and has not run out; one for
  materials or batches names them. A hard gate has no override.

What an authorisation names and is not in the log yet is found with the strength AWAITING: the refusal is retryable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.common_acts import evolve_common_fact
from cellcustody.ledger.custody.findings import (
    Family,
    Findings,
    Strength,
    UnknownFindingError,
    rule_of,
)
from cellcustody.ledger.custody.fold import Fold, FoldState, Override, S, replaced_by_act
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["News", "check_common", "decision_news", "evolve_common"]

# The kinds of stream as policy packs write them, by the first byte of a stream id.
_KINDS: dict[int, str] = {
    options.STREAM_KIND_THERAPY: "therapy",
    options.STREAM_KIND_CONSIGNMENT: "consignment",
    options.STREAM_KIND_LOT: "lot",
    options.STREAM_KIND_SITE: "site",
    options.STREAM_KIND_EQUIPMENT: "equipment",
}


@dataclass(frozen=True, slots=True, order=True)
class News:
    """Something decision-relevant that stands at a leaf behind what the signer had seen of its stream."""

    leaf_index: int
    digest: bytes
    stream: bytes


def decision_news(
    fold: Fold[S],
    act: Act,
    concerns: Callable[[S, Act], bool],
    *,
    revised_at: Mapping[bytes, int] | None = None,
) -> tuple[News, ...]:
    """Returns the acts of the fold that may change the signer's mind and that the signer had not seen, oldest first.

    These are holds placed, nonconforming facts, corrections, retractions, rejections and other authorisations in
    effect, as far as `concerns(state, act)` says that they concern the same material. `revised_at` gives the leaf of
    the latest re-judgement of a fact, so that news of it counts from there.
    """
    had_seen = dict.fromkeys({one.stream for one in fold.order}, -1)
    for stream, digest in act.seen:
        known = fold.acts.get(digest)
        if known is not None:
            had_seen[stream] = known.leaf_index
    found: list[News] = []
    for one in fold.order:
        if one.digest == act.digest or one.joins is not None:
            continue
        leaf = one.leaf_index if one.in_effect_at is None else one.in_effect_at
        if revised_at is not None:
            leaf = max(leaf, revised_at.get(one.digest, leaf))
        if leaf <= had_seen[one.stream] or not _is_decisive(one, fold.judged[one.digest]):
            continue
        if concerns(fold.state, one):
            found.append(News(leaf, one.digest, one.stream))
    return tuple(sorted(found))


def _is_decisive(act: Act, judged: Judged) -> bool:
    if act.is_authorisation:
        return judged.status is Status.IN_EFFECT and not isinstance(act.body, quality.GateOverridden)
    return judged.status is Status.NONCONFORMING or isinstance(act.body, quality.HoldPlaced)


# An override with no ids covers the whole stream: it must say that it means that.
_SCOPES_OF_IDS = (quality.SCOPE_KIND_UNSPECIFIED, quality.SCOPE_KIND_MATERIAL, quality.SCOPE_KIND_BATCH)


def check_common(state: FoldState, act: Act, pack: PolicyPack, news: Collection[News], found: Findings) -> None:
    """Adds what the rules common to all streams find in an authorisation."""
    if pack.must_have_seen and not pack.must_see(act.body_type) <= {_KINDS.get(stream[0]) for stream, _ in act.seen}:
        found.add("STREAM_NOT_SEEN")
    if news:
        found.add("UNSEEN_DECISION")
    match act.body:
        case quality.HoldLifted() as body:
            _check_lifted(state, act, body, pack, found)
        case quality.StatementCorrected() as body:
            _check_corrected(state, act, body, found)
        case quality.StatementRetracted() as body:
            _check_target(state, act, body.retracted, found)
        case quality.GateOverridden() as body:
            _check_overridden(act, body, pack, found)
            _check_beforehand(state, act, body, found)
        case quality.DeviationClosed() as body:
            _check_deviation_closed(state, act, body, found)
        case _:
            pass


def _check_lifted(state: FoldState, act: Act, body: quality.HoldLifted, pack: PolicyPack, found: Findings) -> None:
    leaves = act.leaves_of(1)
    if not body.holds:
        found.add("HOLD_UNKNOWN")
    for index, one in enumerate(body.holds):
        hold = state.holds.get(one)
        if hold is None:
            found.add("HOLD_UNKNOWN", leaves[index : index + 1])
        elif not pack.may_lift(hold.code, act.role):
            found.add("LIFTING_NOT_PERMITTED", leaves[index : index + 1])


def _check_target(state: FoldState, act: Act, digest: bytes, found: Findings) -> Act | None:
    target = state.placed.get(digest)
    if target is None:
        found.add("TARGET_UNKNOWN", act.leaves_of(1))
        return None
    if target.is_authorisation or target.joins is not None:
        found.add("TARGET_NOT_A_FACT", act.leaves_of(1))
    if digest in state.replaced_by or digest in state.retracted:
        found.add("TARGET_SUPERSEDED", act.leaves_of(1))
    if target.site != act.site:
        found.add("TARGET_OF_ANOTHER_SITE", act.leaves_of(1))
    return target


def _check_corrected(state: FoldState, act: Act, body: quality.StatementCorrected, found: Findings) -> None:
    target = _check_target(state, act, body.corrected, found)
    replacement = state.placed.get(body.replacement)
    if replacement is None:
        found.add("REPLACEMENT_UNKNOWN", act.leaves_of(2))
        return
    if replaced_by_act(replacement) != body.corrected:
        found.add("REPLACEMENT_NAMES_ANOTHER", act.leaves_of(1, 2))
    if target is not None and replacement.body_type != target.body_type:
        found.add("REPLACEMENT_OF_ANOTHER_KIND", act.leaves_of(2))
    if body.replacement in state.replaced_by or body.replacement in state.retracted:
        found.add("TARGET_SUPERSEDED", act.leaves_of(2))


def _check_overridden(act: Act, body: quality.GateOverridden, pack: PolicyPack, found: Findings) -> None:
    try:
        rule = rule_of(body.gate)
    except UnknownFindingError:
        found.add("GATE_UNKNOWN", act.leaves_of(1))
        return
    if rule.strength is Strength.HARD_GATE:
        found.add("HARD_GATE_NO_OVERRIDE", act.leaves_of(1))
    elif rule.strength is not Strength.GATE or rule.family is not Family.FOLD:
        found.add("GATE_UNKNOWN", act.leaves_of(1))
    elif not pack.may_override(body.gate, act.role):
        found.add("OVERRIDE_NOT_PERMITTED", act.leaves_of(1))
    if body.scope.kind in _SCOPES_OF_IDS and not body.scope.ids:
        found.add("SCOPE_EMPTY", act.leaves_of(2))
    if body.valid_until_unix_micros <= act.signed_at:
        found.add("OVERRIDE_RUN_OUT", act.leaves_of(3))


def _check_beforehand(state: FoldState, act: Act, body: quality.GateOverridden, found: Findings) -> None:
    """Finds that a recorded fact was stopped already at the gate that this override would let it pass.

    The order of facts trusts the time of a signature; what stood in the log before the override arrived was not
    permitted beforehand, whatever that time says.
    """
    covered = frozenset(body.scope.ids)
    containers = frozenset(body.scope.containers)
    for hold in state.holds.values():
        stopped = state.placed.get(hold.statement_digest)
        if hold.code != body.gate or stopped is None:
            continue
        if not act.signed_at <= stopped.occurred_start <= body.valid_until_unix_micros:
            continue
        is_anywhere = not covered and not containers
        if is_anywhere or covered & (hold.materials | hold.batches) or containers & hold.containers:
            found.add("OVERRIDDEN_AFTERWARDS", act.leaves_of(1))
            return


def _check_deviation_closed(state: FoldState, act: Act, body: quality.DeviationClosed, found: Findings) -> None:
    digest = state.current(body.deviation)
    raised = state.placed.get(digest)
    if raised is None:
        found.add("TARGET_UNKNOWN", act.leaves_of(1))
    elif not isinstance(raised.body, quality.DeviationRaised) or digest in state.retracted:
        found.add("NO_DEVIATION", act.leaves_of(1))
    elif digest in state.deviations_closed:
        found.add("DEVIATION_CLOSED_ALREADY", act.leaves_of(1))


def evolve_common(state: FoldState, act: Act, judged: Judged | None = None) -> bool:
    """Lets an act common to all streams have its effect, a fact by its judgement; tells whether it was one."""
    match act.body:
        case quality.HoldLifted() as body:
            for hold in body.holds:
                state.lift_hold(hold, act.digest)
        case quality.GateOverridden() as body:
            state.overrides.append(
                Override(
                    body.gate,
                    act.digest,
                    body.valid_until_unix_micros,
                    frozenset(body.scope.ids),
                    frozenset(body.scope.containers),
                )
            )
        case quality.StatementCorrected() | quality.StatementRetracted():
            pass  # The fold itself leaves the corrected fact out and puts its replacement in.
        case quality.DeviationClosed() as body:
            state.deviations_closed.setdefault(state.current(body.deviation), act.digest)
        case _:
            return judged is not None and evolve_common_fact(state, act, judged)
    return True
