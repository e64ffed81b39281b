"""Find the statements of a stream without a pack of its own that wait for another person's signature.

The rules are those of a therapy (`TherapyCase.outstanding`), under the built-in pack: an authorisation not yet in
effect, and a fact that asks for other persons, wait until so many of them have joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from cellcustody.ledger.custody.case import Outstanding
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, co_signers_min

__all__ = ["outstanding_in"]

S = TypeVar("S", bound=FoldState)


def outstanding_in(fold: Fold[S]) -> Iterator[Outstanding]:
    """Yields what waits, in canonical order."""
    for act in fold.order:
        if act.joins is not None or act.digest in fold.superseded:
            continue
        if act.is_authorisation and act.in_effect_at is not None:
            continue
        needed = DEFAULT_PACK.co_signing_for(act.body_type, co_signers_min(act.body_type))
        missing = needed.number - len({one.person for one in fold.state.others_who_signed(act)})
        if needed.number and missing > 0:
            due = act.signed_at + needed.window_seconds * MICROS_PER_SECOND
            yield Outstanding(act.digest, act.body_type, act.signer, act.site, missing, due)
