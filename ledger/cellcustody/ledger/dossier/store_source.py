"""Read a ledger's store and vault as a dossier's builder wants them.

This module alone of the package knows the store; nothing that verifies imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cellcustody.ledger.dossier.building import GivenEntry
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.recording.shown_records import kept_leaf_hashes
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.store import LedgerStore, Vault
from cellcustody.ledger.transparency import TileTree

__all__ = ["StoreSource"]

READ_AT_ONCE: Final = 500
_ALL_CLASSES: Final = frozenset(range(1, 7))
_HASH_BYTES: Final = 32


class _StoredTiles:
    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Returns the first `width` hashes of a tile; fewer where the store has fewer, which the tree refuses."""
        return (self._store.tile(level, index) or b"")[: width * _HASH_BYTES]


class StoreSource:
    """A `DossierSource` over a store and its vault; for one dossier, for it keeps the tiles that it has read."""

    def __init__(self, store: LedgerStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._tree = TileTree(_StoredTiles(store))

    def stream_entries(self, stream: bytes, size: int) -> list[GivenEntry]:
        """Returns every entry of a stream at a leaf index below `size`, in order."""
        entries: list[GivenEntry] = []
        after = 0
        while True:
            rows = self._store.stream_entries(stream, after, READ_AT_ONCE)
            for row in rows:
                if row.leaf_index >= size:
                    return entries
                entries.append(GivenEntry(row.leaf_index, stream, row.sequence, row.entry))
                after = row.sequence
            if len(rows) < READ_AT_ONCE:
                return entries

    def openings(self, statement_digest: bytes) -> Sequence[Opening]:
        """Returns the openings of a statement that are still there, in order."""
        return openings_of(self._store, self._vault, statement_digest, _ALL_CLASSES)

    def closed_hashes(self, statement_digest: bytes) -> Sequence[bytes]:
        """Returns the leaf hashes of a statement's records in order, kept for bodies that may lose some to erasure."""
        return kept_leaf_hashes(self._store, statement_digest)

    def node(self, height: int, index: int, size: int) -> bytes:
        """Returns the hash of the full subtree over leaves [index << height, (index + 1) << height)."""
        return self._tree.node(height, index, size)
