"""Judge and evolve the stream of a site: the holds and deviations that concern the site as a whole.

The rules:

* A site's stream needs no opening: the registry enrolled the site.
* A hold on a site stands until it is lifted; while it stands, nothing is started there (the entry says SITE_ON_HOLD).
* Whether the site may act at all is the registry's word, not this stream's.

This module reads no clock, no network and no database: everything it needs is passed in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.authorisations import News, check_common, evolve_common
from cellcustody.ledger.custody.findings import Findings, is_blocking
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["SiteRules", "SiteState", "judge_site_authorisation"]


@dataclass(slots=True)
class SiteState(FoldState):
    """A site as the acts of its stream leave it; `deviations` are the references raised, in the order of the fold."""

    stream: bytes = b""
    deviations: tuple[str, ...] = ()

    @property
    def on_hold(self) -> bool:
        """Whether any hold stands on the site."""
        return bool(self.holds)


class SiteRules:
    """The rules of one site's stream, for `Fold`."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def new_state(self) -> SiteState:
        """Returns the state of a site of which nothing is known."""
        return SiteState(stream=self._stream)

    def opens(self, act: Act) -> bool:
        """Tells that no act opens a site's stream."""
        return False

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns nothing: no fact about a site names another."""
        return frozenset()

    def check(self, state: SiteState, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in a fact."""
        if isinstance(act.body, quality.HoldPlaced | quality.DeviationRaised):
            return ()
        return (Finding("BODY_NOT_OF_SITE"),)

    def evolve(self, state: SiteState, act: Act, judged: Judged) -> None:
        """Lets the act change the state, by its judgement alone."""
        match act.body:
            case quality.HoldPlaced():
                _open(state, act, "HOLD_PLACED")
            case quality.DeviationRaised() as body:
                state.deviations = (*state.deviations, body.reference)
            case _:
                evolve_common(state, act)
        if judged.status is Status.NONCONFORMING:
            for finding in judged.findings:
                if is_blocking(finding.code):
                    _open(state, act, finding.code)


def _open(state: SiteState, act: Act, code: str) -> None:
    state.open_hold(
        Hold(hold_id(act.digest, code), code, act.digest, state.stream, ScopeOfHold.SITE, act.occurred_start)
    )


def judge_site_authorisation(
    state: SiteState, act: Act, pack: PolicyPack, news: Collection[News] = ()
) -> tuple[Finding, ...]:
    """Returns what the rules find in an authorisation against the site as it is now, in order of code."""
    found = Findings()
    check_common(state, act, pack, news, found)
    if not isinstance(act.body, quality.HoldLifted | quality.StatementCorrected | quality.StatementRetracted):
        found.add("BODY_NOT_OF_SITE")
    return found.result()
