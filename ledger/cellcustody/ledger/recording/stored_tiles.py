"""Read the tree's tiles out of the store that records them."""

from __future__ import annotations

from cellcustody.ledger.store import LedgerStore
from cellcustody.ledger.transparency.encoding import HASH_SIZE_BYTES

__all__ = ["TilesOfStore"]


class TilesOfStore:
    """Reads hash tiles out of the store; a narrower tile is a prefix of the widest that is kept."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Returns the first `width` hashes of a tile; fewer where the store has fewer, which the tree refuses."""
        return (self._store.tile(level, index) or b"")[: width * HASH_SIZE_BYTES]
