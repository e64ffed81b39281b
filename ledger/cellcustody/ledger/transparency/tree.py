"""Read roots and proofs of any size out of stored tiles, and grow the tree at its right edge.

The rules:

* `TileTree` reads. Every hash it uses comes from a tile, and a tile of the wrong length is refused. It does not
  trust tiles: whoever reads them from elsewhere checks the root it computes against a signed checkpoint.
* `RightEdge` grows. It keeps, per level, the one partial tile with all hashes inside it, so that an append costs
  about two hashes however large the tree is, and a receipt for a leaf just appended reads nothing.
* The writer alone owns a `RightEdge`, in one thread. It works on a `copy()` and keeps that copy when the
  transaction commits; otherwise it drops it. Growth that did not commit leaves no trace.
* Only full tiles are ever hashed into the level above (C2SP tlog-tiles).

No I/O here: tiles come through the reader that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol

from cellcustody.ledger.transparency.encoding import HASH_SIZE_BYTES
from cellcustody.ledger.transparency.errors import ConsistencyProofError, InclusionProofError, TileContentError
from cellcustody.ledger.transparency.merkle import (
    EMPTY_ROOT,
    consistency_path,
    inclusion_path,
    node_hash,
    root_at,
)
from cellcustody.ledger.transparency.tiles import TILE_HEIGHT, TILE_WIDTH, tile_width
from cellcustody.ledger.values import value

__all__ = ["RightEdge", "TileReader", "TileTree", "TileWrite"]

TILES_CACHED_MAX: Final = 256  # A full tile with its inner hashes is about 40 kB of Python objects: 10 MB in all.
_TILES_FILLED_KEPT_MAX: Final = 16  # More than 2,048 leaves fill; receipts for older ones read their tiles.

_Rows = list[list[bytes]]  # Row r holds the hashes over 2^r consecutive hashes of a tile; row 0 is the tile.


class TileReader(Protocol):
    """Where tiles come from: a store, an HTTP client, a directory."""

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Returns the first `width` hashes of a tile, 32 bytes each.

        A source that keeps only the widest version of a tile cuts it: narrower versions are its prefixes.
        """
        ...


@value(frozen=True, slots=True)
class TileWrite:
    """A tile's whole new content after growth: `hashes` is 32 bytes for each of its 1 to 256 hashes."""

    level: int
    index: int
    hashes: bytes

    @property
    def width(self) -> int:
        """How many hashes the tile now holds."""
        return len(self.hashes) // HASH_SIZE_BYTES


class TileTree:
    """The tree as its tiles show it, at every size up to what the tiles hold; safe to use from many threads."""

    def __init__(self, reader: TileReader, *, tiles_cached_max: int = TILES_CACHED_MAX) -> None:
        self._reader = reader
        self._rows_of = lru_cache(maxsize=tiles_cached_max)(self._load)

    def root(self, size: int) -> bytes:
        """Returns the root of the first `size` leaves."""
        return root_at(size, lambda height, index: self.node(height, index, size))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Returns the proof that the leaf at `index` is in the tree of the first `size` leaves.

        Raises:
            InclusionProofError: the index is not in that tree.
            TileContentError: a tile is not of the length that its place demands.
        """
        return inclusion_path(index, size, lambda height, position: self.node(height, position, size))

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """Returns the proof that the first `size1` leaves are a prefix of the first `size2`.

        Raises:
            ConsistencyProofError: the sizes admit no proof.
            TileContentError: a tile is not of the length that its place demands.
        """
        return consistency_path(size1, size2, lambda height, position: self.node(height, position, size2))

    def leaf_hash(self, index: int, size: int) -> bytes:
        """Returns the hash of the leaf at `index`, read at tree size `size`."""
        if not 0 <= index < size:
            raise InclusionProofError("the index is not in the tree", index=index, size=size)
        return self.node(0, index, size)

    def node(self, height: int, index: int, size: int) -> bytes:
        """Returns the hash of the full subtree over leaves [index << height, (index + 1) << height)."""
        level, row = divmod(height, TILE_HEIGHT)
        tile_index = index >> (TILE_HEIGHT - row)
        rows = self._rows_of(level, tile_index, tile_width(level, tile_index, size))
        return rows[row][index - (tile_index << (TILE_HEIGHT - row))]

    def _load(self, level: int, index: int, width: int) -> _Rows:
        raw = self._reader.read_tile(level, index, width)
        return _rows_from(raw, level, index, width)


class RightEdge:
    """The growing end of the tree; see the rules of this module for who may hold one."""

    __slots__ = ("_filled", "_levels", "_older", "_size")

    def __init__(self, *, older: TileTree | None = None) -> None:
        """Begins an empty tree; `older` answers for full tiles that left memory, where proofs need them."""
        self._size = 0
        self._levels: list[_Rows] = []
        self._filled: dict[tuple[int, int], _Rows] = {}
        self._older = older

    @classmethod
    def resume(cls, reader: TileReader, size: int, *, older: TileTree | None = None) -> RightEdge:
        """Returns the right edge of a stored tree: one tile is read per level, however large the tree.

        The tiles are not trusted by being stored: compare `root()` with the last signed head before growing.

        Raises:
            TileContentError: a tile is not of the length that its place demands.
        """
        edge = cls(older=older if older is not None else TileTree(reader))
        edge._size = size
        level = 0
        while (count := size >> (TILE_HEIGHT * level)) > 0:
            index, width = divmod(count, TILE_WIDTH)
            raw = reader.read_tile(level, index, width) if width else b""
            edge._levels.append(_rows_from(raw, level, index, width))
            level += 1
        return edge

    def copy(self) -> RightEdge:
        """Returns an independent copy, to grow while the outcome of a transaction is open."""
        other = RightEdge(older=self._older)
        other._size = self._size
        other._levels = [[row.copy() for row in rows] for rows in self._levels]
        other._filled = self._filled.copy()  # Rows of full tiles never change again, so they are shared.
        return other

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    def append(self, leaf_hash: bytes) -> None:
        """Adds one leaf by its 32-byte hash."""
        if len(leaf_hash) != HASH_SIZE_BYTES:
            raise TileContentError("a leaf hash is 32 bytes", size_bytes=len(leaf_hash))
        self._size += 1
        level, carried = 0, leaf_hash
        while True:
            if level == len(self._levels):
                self._levels.append([[] for _ in range(TILE_HEIGHT + 1)])
            rows = self._levels[level]
            row = rows[0]
            row.append(carried)
            # Every pair that this hash completes is joined at once, as far up as it completes pairs.
            height = 0
            while not len(row) & 1:
                carried = sha256(b"\x01" + row[-2] + row[-1]).digest()
                height += 1
                row = rows[height]
                row.append(carried)
                if height == TILE_HEIGHT:
                    break
            if height < TILE_HEIGHT:
                return
            # The tile is full: its root is the next hash one level up, and an empty tile begins here.
            index = (self._size >> (TILE_HEIGHT * (level + 1))) - 1
            self._filled[(level, index)] = rows
            self._levels[level] = [[] for _ in range(TILE_HEIGHT + 1)]
            level += 1

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[TileWrite]:
        """Adds a group of leaves and returns every tile it touched, with its whole new content.

        They come level by level, lowest first, and left to right: the tiles of `tiles_touched`. Several calls may
        precede one commit as long as they add no more than 2,048 leaves together; one call may add any number.
        """
        while len(self._filled) > _TILES_FILLED_KEPT_MAX:
            del self._filled[next(iter(self._filled))]  # The oldest; never one of this group, not yet stored.
        before = self._size
        for leaf_hash in leaf_hashes:
            self.append(leaf_hash)
        writes = []
        for level, rows in enumerate(self._levels):
            shift = TILE_HEIGHT * level
            count_before, count = before >> shift, self._size >> shift
            if count == count_before:
                break  # What did not change at this level changed at none above it.
            for index in range(count_before // TILE_WIDTH, count // TILE_WIDTH):
                writes.append(TileWrite(level, index, b"".join(self._filled[(level, index)][0])))
            if rows[0]:
                writes.append(TileWrite(level, count // TILE_WIDTH, b"".join(rows[0])))
        return writes

    def root(self) -> bytes:
        """Returns the root of the whole tree."""
        folded: bytes | None = None
        for rows in self._levels:
            width = len(rows[0])
            for height in range(TILE_HEIGHT):
                if width >> height & 1:
                    left = rows[height][-1]
                    folded = left if folded is None else node_hash(left, folded)
        return EMPTY_ROOT if folded is None else folded

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Returns the proof that the leaf at `index` is in the whole tree.

        Raises:
            InclusionProofError: the index is not in the tree, or its tiles left memory and nobody answers for them.
        """
        return inclusion_path(index, self._size, self._node)

    def consistency_proof(self, size1: int) -> list[bytes]:
        """Returns the proof that the first `size1` leaves are a prefix of the whole tree.

        Raises:
            ConsistencyProofError: `size1` is 0 or beyond the tree.
        """
        if not 0 < size1 <= self._size:
            raise ConsistencyProofError("the sizes admit no proof", size1=size1, size2=self._size)
        return consistency_path(size1, self._size, self._node)

    def _node(self, height: int, index: int) -> bytes:
        level, row = divmod(height, TILE_HEIGHT)
        tile_index = index >> (TILE_HEIGHT - row)
        offset = index - (tile_index << (TILE_HEIGHT - row))
        if tile_index == self._size >> (TILE_HEIGHT * (level + 1)):
            return self._levels[level][row][offset]
        filled = self._filled.get((level, tile_index))
        if filled is not None:
            return filled[row][offset]
        if self._older is None:
            raise InclusionProofError("the tile left memory and no reader was given", level=level, index=tile_index)
        return self._older.node(height, index, self._size)


def _rows_from(raw: bytes, level: int, index: int, width: int) -> _Rows:
    """Returns all hashes over 2^r consecutive hashes of a tile, for r from 0 to 8."""
    if len(raw) != width * HASH_SIZE_BYTES:
        raise TileContentError(
            "the tile has not the length that its place demands",
            level=level,
            index=index,
            expected_bytes=width * HASH_SIZE_BYTES,
            found_bytes=len(raw),
        )
    row = [raw[i : i + HASH_SIZE_BYTES] for i in range(0, len(raw), HASH_SIZE_BYTES)]
    rows = [row]
    for _ in range(TILE_HEIGHT):
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)]
        rows.append(row)
    return rows
