"""Judge and evolve the stream of a site: what concerns it as a whole, and what others qualified it for.

The rules:

* A site's stream needs no opening: the registry enrolled the site.
* A hold on a site stands until it is lifted; while it stands, nothing is started there (the entry says SITE_ON_HOLD).
* Others qualify it: as a carrier, for a lane that it serves, for what it does there. Its own word about itself is none.
* Quality of the site reviews what was done under each emergency credential, once.
* Whether the site may act at all is the registry's word, not this stream's.

This module reads no clock, no network and no database: everything it needs is passed in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.authorisations import News, check_common, evolve_common
from cellcustody.ledger.custody.common_acts import check_common_fact, named_by_common
from cellcustody.ledger.custody.downtimes import Downtime, check_downtime, declared_by, evolve_downtime
from cellcustody.ledger.custody.findings import Findings, is_blocking
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.qualifications import (
    Qualification,
    QualificationKind,
    check_recorded,
    check_withdrawn,
    qualified,
    withdrawn,
)
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["SiteRules", "SiteState", "judge_site_authorisation"]

KINDS: Final = frozenset({QualificationKind.COURIER, QualificationKind.LANE, QualificationKind.SITE})


@dataclass(slots=True)
class SiteState(FoldState):
    """A site as the acts of its stream leave it; `deviations` are the references raised, in the order of the fold."""

    stream: bytes = b""
    deviations: tuple[str, ...] = ()
    qualifications: dict[bytes, Qualification] = field(default_factory=dict)
    # Emergency credentials by digest, with the review of each.
    reviews: dict[bytes, bytes] = field(default_factory=dict)
    downtimes: dict[bytes, Downtime] = field(default_factory=dict)

    @property
    def on_hold(self) -> bool:
        """Whether any hold stands on the site."""
        return bool(self.holds)


class SiteRules:
    """The rules of one site's stream, for `Fold`."""

    def __init__(self, stream: bytes, *, pack: PolicyPack = DEFAULT_PACK) -> None:
        self._stream = stream
        self._pack = pack

    def new_state(self) -> SiteState:
        """Returns the state of a site of which nothing is known."""
        return SiteState(stream=self._stream)

    def opens(self, act: Act) -> bool:
        """Tells that no act opens a site's stream."""
        return False

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns what an act common to all streams names; no other fact about a site names another."""
        return named_by_common(act) | declared_by(act)

    def check(self, state: SiteState, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in a fact."""
        if isinstance(act.body, quality.HoldPlaced | quality.DeviationRaised):
            return ()
        found = Findings()
        if check_downtime(state, state.downtimes, state.stream[1:], act, found):
            return found.result()
        if check_common_fact(state, act, self._pack, found):
            return found.result()
        return (Finding("BODY_NOT_OF_SITE"),)

    def evolve(self, state: SiteState, act: Act, judged: Judged) -> None:
        """Lets the act change the state, by its judgement alone."""
        match act.body:
            case quality.HoldPlaced():
                _open(state, act, "HOLD_PLACED")
            case quality.DeviationRaised() as body:
                state.deviations = (*state.deviations, body.reference)
            case facilities.QualificationRecorded() as body:
                state.qualifications[act.digest] = qualified(act, body)
            case facilities.QualificationWithdrawn() as body:
                withdrawn(state.qualifications, act, body)
            case facilities.EmergencyUseReviewed() as body:
                state.reviews.setdefault(body.grant, act.digest)
            case _:
                if not evolve_downtime(state, state.downtimes, act, judged):
                    evolve_common(state, act, judged)
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
    match act.body:
        case facilities.QualificationRecorded() as body:
            check_recorded(act, body, KINDS, found)
            if act.site == state.stream[1:]:
                found.add("QUALIFIED_BY_ITSELF")
        case facilities.QualificationWithdrawn() as body:
            check_withdrawn(state.qualifications, act, body, found)
        case facilities.EmergencyUseReviewed() as body:
            if body.grant in state.reviews:
                found.add("REVIEWED_ALREADY", act.leaves_of(1))
        case (
            quality.HoldLifted()
            | quality.StatementCorrected()
            | quality.StatementRetracted()
            | quality.DeviationClosed()
        ):
            pass
        case _:
            found.add("BODY_NOT_OF_SITE")
    return found.result()
