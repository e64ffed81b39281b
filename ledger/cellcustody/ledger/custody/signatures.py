"""Find the statements that wait for another person's signature, and whether they wait for this one's.

The rules:

* An authorisation waits until as many other persons have joined as contract and pack ask for, nobody has declined, and
  the time for joining it is not over: then it has lapsed, and its signer signs a new one. Nothing is written for that.
* A fact waits until then too. Who joins it after the time counts no more, so it goes on waiting and is shown overdue.
* It waits for a person in a role that the pack asks for, who has not signed, joined or declined it.

Pure; times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cellcustody.ledger.custody.back_entry import co_signing_of
from cellcustody.ledger.custody.common_acts import co_signers_min
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.policy import PolicyPack

__all__ = ["Outstanding", "outstanding_in", "waits_for"]

S = TypeVar("S", bound=FoldState)
_MICROS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A statement that waits for another person's signature; `due` is the last moment at which one conforms.

    `roles` are those asked for (none: any), `said` the persons who joined or declined it.
    """

    digest: bytes
    body_type: str
    signer: bytes
    site: bytes
    missing: int
    due: int
    is_authorisation: bool = False
    roles: frozenset[str] = frozenset()
    said: frozenset[bytes] = frozenset()

    def has_lapsed(self, now: int) -> bool:
        """Tells whether it is an authorisation that nobody can join any more."""
        return self.is_authorisation and now > self.due

    def is_overdue(self, now: int) -> bool:
        """Tells whether whoever joins it now comes too late."""
        return now > self.due


def outstanding_in(fold: Fold[S], pack: PolicyPack, stream: bytes | None = None) -> Iterator[Outstanding]:
    """Yields what waits in a fold, or in one stream of a joint fold, in canonical order."""
    state = fold.state
    for act in fold.order:
        if act.joins is not None or act.digest in fold.superseded or (stream is not None and act.stream != stream):
            continue
        if act.is_authorisation and (act.in_effect_at is not None or act.digest in state.declines):
            continue
        needed = co_signing_of(pack, act.body_type, act.body, co_signers_min(act.body_type))
        if not needed.number:
            continue
        joined = frozenset(one.person for one in state.others_who_signed(act))
        missing = needed.number - len(joined)
        if missing <= 0:
            continue
        declined = frozenset(one.person for one in state.declines.get(act.digest, ()))
        due = act.signed_at + needed.window_seconds * _MICROS_PER_SECOND
        yield Outstanding(
            act.digest,
            act.body_type,
            act.signer,
            act.site,
            missing,
            due,
            act.is_authorisation,
            needed.roles,
            joined | declined,
        )


def waits_for(waiting: Outstanding, person: bytes, roles: Collection[str], now: int) -> bool:
    """Tells whether a statement waits at this time for the signature of a person who holds these roles."""
    if waiting.has_lapsed(now) or person == waiting.signer or person in waiting.said:
        return False
    return not waiting.roles or not waiting.roles.isdisjoint(roles)
