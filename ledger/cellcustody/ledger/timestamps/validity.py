"""Say which items of time evidence hold at a time of verification, decades later perhaps (the idea of RFC 4998).

The rules:

* A token is good until its path expires, or until one of its algorithms is held broken, whichever comes first.
* At `now` it holds if now is not after that; or if a later renewal covers its item, holds itself, and was made in time.
* An item counts if tokens of as many authorities hold as are asked for. Its time is the widest interval of those.
* What a renewal covers is what its proof was verified for; this module is given only that.

No clock: `now` is an argument. Without it nothing has expired, and tokens stand as of their own time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cellcustody.ledger.timestamps.algorithm_policy import AlgorithmPolicy
from cellcustody.ledger.timestamps.records import EvidenceItem, Renewal
from cellcustody.ledger.timestamps.tokens import VerifiedToken

__all__ = ["HeldItem", "good_until", "held_items"]


@dataclass(frozen=True, slots=True)
class HeldItem:
    """An item that counts: not before `earliest` and not after `latest` (aware, UTC) its record was there."""

    item: EvidenceItem
    earliest: datetime
    latest: datetime
    authorities: tuple[str, ...]
    is_renewed: bool


def good_until(item: EvidenceItem, token: VerifiedToken, policy: AlgorithmPolicy) -> datetime:
    """Returns until when a token over this item's record is good by itself."""
    own = {item.record.hash.policy_name} if isinstance(item.record, Renewal) else set()
    broken = policy.good_until(token.algorithms | own)
    return token.valid_until if broken is None else min(token.valid_until, broken)


def held_items(
    items: Sequence[EvidenceItem],
    tokens: Mapping[int, Sequence[VerifiedToken]],
    *,
    policy: AlgorithmPolicy,
    now: datetime | None,
    authorities_min: int = 1,
) -> dict[int, HeldItem]:
    """Returns the items that count, by number; `tokens` are those of each item that held as of their own time."""
    held: dict[int, HeldItem] = {}
    for item in sorted(items, key=lambda one: one.number, reverse=True):
        # Renewals come after what they cover, so that they are decided already.
        renewals = [
            one.latest
            for one in held.values()
            if isinstance(one.item.record, Renewal) and item.number < one.item.record.evidence_count
        ]
        counting: list[VerifiedToken] = []
        is_renewed = False
        for token in tokens.get(item.number, ()):
            until = good_until(item, token, policy)
            if now is None or now <= until:
                counting.append(token)
            elif any(renewed_at <= until for renewed_at in renewals):
                counting.append(token)
                is_renewed = True
        names = tuple(sorted({token.authority for token in counting}))
        if len(names) >= max(1, authorities_min):
            held[item.number] = HeldItem(
                item,
                min(token.earliest for token in counting),
                max(token.latest for token in counting),
                names,
                is_renewed,
            )
    return held
