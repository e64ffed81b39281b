"""Judge and evolve the times in which a site worked on paper, in that site's stream.

The rules:

* A site speaks of its own downtime. It is ended once, by a statement that names its declaration and lies behind it.
* Each form that was handed out is told of at the end, once: used and to be entered, or not used and destroyed. One that
  is told of otherwise, or not at all, is shown.
* A downtime lasts from the start of its declaration's occurrence to that of its end; until then it lasts on.

What nonconforming facts do: a downtime said for another site is not its own, and changes nothing. The rest stands.
Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.findings import Findings, codes_of
from cellcustody.ledger.custody.fold_state import FoldState
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["Downtime", "check_downtime", "declared_by", "evolve_downtime"]


@dataclass(slots=True)
class Downtime:
    """A time in which a site worked on paper; `ended_by` is empty while it lasts."""

    declared_by: bytes
    reference: str
    system: str
    started_at: int
    forms: frozenset[str]
    ended_by: bytes = b""
    ended_at: int | None = None
    forms_used: frozenset[str] = frozenset()
    forms_void: frozenset[str] = frozenset()

    def lasted_at(self, moment: int) -> bool:
        """Tells whether the site worked on paper then."""
        return self.started_at <= moment and (self.ended_at is None or moment <= self.ended_at)


def declared_by(act: Act) -> frozenset[bytes]:
    """Returns the digest of the declaration that an end names."""
    return frozenset((act.body.declared,)) if isinstance(act.body, transport.DowntimeEnded) else frozenset()


def check_downtime(
    state: FoldState, downtimes: Mapping[bytes, Downtime], site: bytes, act: Act, found: Findings
) -> bool:
    """Adds what the rules find in a word on a downtime of `site`; tells whether it was one."""
    match act.body:
        case transport.DowntimeDeclared() as body:
            forms = list(body.forms)
            if len(set(forms)) != len(forms) or "" in forms:
                found.add("FORMS_NOT_DISTINCT", act.leaves_of(3))
        case transport.DowntimeEnded() as body:
            _check_ended(state, downtimes, act, body, found)
        case _:
            return False
    if act.site != site:
        found.add("DOWNTIME_OF_ANOTHER_SITE")
    return True


def _check_ended(
    state: FoldState, downtimes: Mapping[bytes, Downtime], act: Act, body: transport.DowntimeEnded, found: Findings
) -> None:
    digest = state.current(body.declared)
    downtime = downtimes.get(digest)
    if downtime is None:
        found.add("OTHER_STATEMENT_NAMED" if digest in state.placed else "PREDECESSOR_MISSING", act.leaves_of(1))
        return
    if downtime.ended_by:
        found.add("DOWNTIME_ENDED_BEFORE", act.leaves_of(1))
    if act.occurred_start < downtime.started_at:
        found.add("DOWNTIME_ENDS_BEFORE_START", act.leaves_of(1))
    told = [*body.forms_used, *body.forms_void]
    if len(set(told)) != len(told) or set(told) != downtime.forms:
        found.add("FORMS_UNACCOUNTED", act.leaves_of(2, 3) or act.leaves_of(1))


def evolve_downtime(state: FoldState, downtimes: dict[bytes, Downtime], act: Act, judged: Judged) -> bool:
    """Lets a word on a downtime have its effect; tells whether it was one."""
    is_own = "DOWNTIME_OF_ANOTHER_SITE" not in codes_of(judged.findings)
    match act.body:
        case transport.DowntimeDeclared() as body:
            if is_own:
                downtimes[act.digest] = Downtime(
                    act.digest, body.reference, body.system, act.occurred_start, frozenset(body.forms)
                )
        case transport.DowntimeEnded() as body:
            downtime = downtimes.get(state.current(body.declared))
            if is_own and downtime is not None and not downtime.ended_by:
                downtime.ended_by = act.digest
                downtime.ended_at = act.occurred_start
                downtime.forms_used = frozenset(body.forms_used)
                downtime.forms_void = frozenset(body.forms_void)
        case _:
            return False
    return True
