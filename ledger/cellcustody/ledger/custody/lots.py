"""Judge and evolve the stream of a lot: what it is, whether it may be used, what holds stand on it.

The rules:

* A lot is registered once and first; its kind is one that the pack knows.
* Its standing at a time is quality's last word on it, and expired from its expiry on unless it was recalled.
* A registered lot may be used once quality has released it, while no hold stands and before it expires. A recalled lot
  is never used again.
* What a lot went into is found from the therapies' side; its stream names none.

This module reads no clock, no network and no database: everything it needs is passed in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.authorisations import News, check_common, evolve_common
from cellcustody.ledger.custody.common_acts import check_common_fact, named_by_common
from cellcustody.ledger.custody.findings import Findings, is_blocking
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["LotRules", "LotStanding", "LotState", "judge_lot_authorisation"]


class LotStanding(StrEnum):
    """What quality has said of a lot; EXPIRED is never said, for time says it."""

    REGISTERED = "registered"
    RELEASED = "released"
    QUARANTINED = "quarantined"
    RECALLED = "recalled"
    EXPIRED = "expired"


_STANDINGS = {
    modification.LOT_STATUS_RELEASED: LotStanding.RELEASED,
    modification.LOT_STATUS_QUARANTINED: LotStanding.QUARANTINED,
    modification.LOT_STATUS_RECALLED: LotStanding.RECALLED,
}


@dataclass(slots=True)
class LotState(FoldState):
    """A lot as its acts leave it; `expires_at` in microseconds since 1970-01-01T00:00:00Z, None if not registered."""

    stream: bytes = b""
    lot_number: str = ""
    kind: str = ""
    expires_at: int | None = None
    standing: LotStanding = LotStanding.REGISTERED
    registered_by: bytes | None = None
    recalled_at: int | None = None
    recalled_by: bytes = b""

    def standing_at(self, at: int) -> LotStanding:
        """Returns the lot's standing at a time, in microseconds, by all that quality has said of it since."""
        has_expired = self.expires_at is not None and at >= self.expires_at
        return LotStanding.EXPIRED if has_expired and self.standing is not LotStanding.RECALLED else self.standing

    def is_usable(self, at: int) -> bool:
        """Tells whether the lot may be used at a time, in microseconds."""
        return (
            self.standing is LotStanding.RELEASED
            and not self.holds
            and self.expires_at is not None
            and at < self.expires_at
        )


class LotRules:
    """The rules of one lot's stream, for `Fold`."""

    def __init__(self, stream: bytes, *, pack: PolicyPack = DEFAULT_PACK) -> None:
        self._stream = stream
        self._pack = pack

    def new_state(self) -> LotState:
        """Returns the state of a lot of which nothing is known."""
        return LotState(stream=self._stream)

    def opens(self, act: Act) -> bool:
        """Tells whether the act registers the lot."""
        return isinstance(act.body, modification.LotRegistered)

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns what an act common to all streams names; no other fact about a lot names another."""
        return named_by_common(act)

    def check(self, state: LotState, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in a fact, in order of code."""
        found = Findings()
        match act.body:
            case modification.LotRegistered() as body:
                if state.registered_by is not None:
                    found.add("LOT_ALREADY_REGISTERED")
                if body.kind not in self._pack.lot_kinds:
                    found.add("LOT_KIND_UNKNOWN", act.leaves_of(2))
            case quality.HoldPlaced() | quality.DeviationRaised():
                if state.registered_by is None:
                    found.add("LOT_NOT_REGISTERED")
            case _ if check_common_fact(state, act, self._pack, found):
                pass
            case _:
                found.add("BODY_NOT_OF_LOT")
        return found.result()

    def evolve(self, state: LotState, act: Act, judged: Judged) -> None:
        """Lets the act change the state, by its judgement alone."""
        match act.body:
            case modification.LotRegistered() as body if state.registered_by is None:
                state.registered_by = act.digest
                state.lot_number = body.lot_number
                state.kind = body.kind
                state.expires_at = body.expires_at_unix_micros
            case modification.LotStatusChanged() as body:
                if state.standing is not LotStanding.RECALLED:
                    state.standing = _STANDINGS.get(body.status, state.standing)
                    if state.standing is LotStanding.RECALLED:
                        state.recalled_at = act.occurred_start
                        state.recalled_by = act.digest
            case quality.HoldPlaced():
                state.open_hold(_hold(state.stream, act, "HOLD_PLACED", ScopeOfHold.LOT))
            case _:
                evolve_common(state, act, judged)
        if judged.status is Status.NONCONFORMING:
            for finding in judged.findings:
                if is_blocking(finding.code):
                    state.open_hold(_hold(state.stream, act, finding.code, ScopeOfHold.LOT))


def _hold(stream: bytes, act: Act, code: str, scope: ScopeOfHold) -> Hold:
    return Hold(hold_id(act.digest, code), code, act.digest, stream, scope, act.occurred_start)


def judge_lot_authorisation(
    state: LotState, act: Act, pack: PolicyPack, news: Collection[News] = ()
) -> tuple[Finding, ...]:
    """Returns what the rules find in an authorisation against the lot as it is now, in order of code."""
    if state.registered_by is None:
        return (Finding("LOT_NOT_REGISTERED"),)
    found = Findings()
    check_common(state, act, pack, news, found)
    match act.body:
        case modification.LotStatusChanged() as body:
            if state.standing is LotStanding.RECALLED and body.status != modification.LOT_STATUS_RECALLED:
                found.add("LOT_RECALL_STANDS", act.leaves_of(1))
        case (
            quality.HoldLifted()
            | quality.StatementCorrected()
            | quality.StatementRetracted()
            | quality.DeviationClosed()
        ):
            pass
        case _:
            found.add("BODY_NOT_OF_LOT")
    return found.result()
