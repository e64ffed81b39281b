"""Find the statements of a stream without a pack of its own that wait for another person's signature.

The rules are those of `custody.signatures`, under the built-in pack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from cellcustody.ledger.custody import signatures
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.signatures import Outstanding

__all__ = ["outstanding_in"]

S = TypeVar("S", bound=FoldState)


def outstanding_in(fold: Fold[S]) -> Iterator[Outstanding]:
    """Yields what waits, in canonical order."""
    return signatures.outstanding_in(fold, DEFAULT_PACK)
