"""Trees of RFC 6962 under another hash than the log's: roots, and one proof for many leaves.

The rules are those of the dossier's shared proof, with a hash of choice: going down from the root, left before right,
a subtree without any proven leaf is one hash, a proven leaf its own, any other subtree is cut at the greatest power of
two below its width. Where nothing is proven the whole tree is one hash. Every hash is used and none is missing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from cellcustody.ledger.timestamps.errors import RenewalProofError
from cellcustody.ledger.timestamps.hashes import HashAlgorithm

__all__ = ["GrowingHashTree", "HashTree", "verify_shared_hash_proof"]

SIZE_MAX: Final = 1 << 63
CHUNK: Final = 256  # As many as an entry bundle has; what is held is a two-hundredth of all hashes.
CHUNK_HEIGHT: Final = 8
CHUNKS_KEPT_MAX: Final = 1_024  # A dossier has fewer entries; each chunk is read once for it.
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"

Read: TypeAlias = Callable[[int, int], Sequence[bytes]]
"""Returns so many items from a number on."""


class GrowingHashTree:
    """The root of items that come one after the other, in memory of one hash for each level."""

    def __init__(self, algorithm: HashAlgorithm) -> None:
        self._digest = algorithm.digest
        self._edge: list[tuple[int, bytes]] = []

    def append(self, item: bytes) -> None:
        """Takes the next item."""
        height, here = 0, self._digest(_LEAF + item)
        while self._edge and self._edge[-1][0] == height:
            here = self._digest(_NODE + self._edge.pop()[1] + here)
            height += 1
        self._edge.append((height, here))

    def root(self) -> bytes:
        """Returns the root over the items so far."""
        if not self._edge:
            return self._digest(b"")
        root = self._edge[-1][1]
        for _, left in reversed(self._edge[:-1]):
            root = self._digest(_NODE + left + root)
        return root


class HashTree:
    """A tree over items that are read when they are needed; held are hashes over 256 of them and above."""

    def __init__(
        self, algorithm: HashAlgorithm, size: int, read: Read, chunk_hashes: Sequence[bytes] | None = None
    ) -> None:
        """Takes the first `size` items of `read(start, count)`; `chunk_hashes` are those of every whole chunk.

        Without `chunk_hashes` every item is read once.
        """
        self.algorithm = algorithm
        self.size = size
        self._read = read
        whole = size // CHUNK
        if chunk_hashes is None or len(chunk_hashes) != whole:
            chunk_hashes = [self._chunk(index)[-1][0] for index in range(whole)]
        self.chunk_hashes = tuple(chunk_hashes)
        self._above = [list(self.chunk_hashes)]
        while len(self._above[-1]) > 1:
            self._above.append(_paired(algorithm, self._above[-1]))
        self._kept: OrderedDict[int, list[list[bytes]]] = OrderedDict()
        self.root = self._hash(0, size)

    @classmethod
    def over(cls, algorithm: HashAlgorithm, items: Sequence[bytes]) -> HashTree:
        """Returns the tree over items that are at hand."""
        return cls(algorithm, len(items), lambda start, count: items[start : start + count])

    def shared_proof(self, leaves: Sequence[int]) -> list[bytes]:
        """Returns the hashes that prove these leaves (strictly ascending, below the size)."""
        proof: list[bytes] = []
        self._collect(0, self.size, leaves, proof)
        return proof

    def _collect(self, start: int, end: int, leaves: Sequence[int], proof: list[bytes]) -> None:
        at = bisect_left(leaves, start)
        if at == len(leaves) or leaves[at] >= end:
            proof.append(self._hash(start, end))
        elif end - start > 1:
            middle = start + _left_width(end - start)
            self._collect(start, middle, leaves, proof)
            self._collect(middle, end, leaves, proof)

    def _hash(self, start: int, end: int) -> bytes:
        width = end - start
        if width == 0:
            return self.algorithm.digest(b"")
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            if height >= CHUNK_HEIGHT:
                return self._above[height - CHUNK_HEIGHT][start >> height]
            return self._kept_chunk(start // CHUNK)[height][start % CHUNK >> height]
        middle = start + _left_width(width)
        return self.algorithm.digest(_NODE + self._hash(start, middle) + self._hash(middle, end))

    def _kept_chunk(self, index: int) -> list[list[bytes]]:
        levels = self._kept.get(index)
        if levels is None:
            levels = self._kept[index] = self._chunk(index)
            if len(self._kept) > CHUNKS_KEPT_MAX:
                self._kept.popitem(last=False)
        return levels

    def _chunk(self, index: int) -> list[list[bytes]]:
        start = index * CHUNK
        count = min(CHUNK, self.size - start)
        items = self._read(start, count)
        if len(items) != count:
            raise RenewalProofError("items of the tree are not there", start=start, wanted=count, found=len(items))
        levels = [[self.algorithm.digest(_LEAF + item) for item in items]]
        while len(levels[-1]) > 1:
            levels.append(_paired(self.algorithm, levels[-1]))
        return levels


def _paired(algorithm: HashAlgorithm, level: Sequence[bytes]) -> list[bytes]:
    """Returns the full subtrees above a level; what is ragged at its right is made when it is asked for."""
    return [algorithm.digest(_NODE + level[at] + level[at + 1]) for at in range(0, len(level) - 1, 2)]


def verify_shared_hash_proof(
    algorithm: HashAlgorithm, leaves: Sequence[tuple[int, bytes]], size: int, proof: bytes, root: bytes
) -> None:
    """Returns if these leaves (index strictly ascending, bytes) are in the tree of `size` leaves with this root.

    Raises:
        RenewalProofError: they are not shown to be.
    """
    width = algorithm.size_bytes
    indexes = [index for index, _ in leaves]
    is_ascending = all(earlier < later for earlier, later in pairwise(indexes))
    if len(proof) % width or not is_ascending or not 0 < size <= SIZE_MAX or (indexes and indexes[-1] >= size):
        raise RenewalProofError(
            "a proof is whole hashes for ascending leaves of the tree", size=size, length=len(proof)
        )
    hashes = [proof[at : at + width] for at in range(0, len(proof), width)]
    hashes.reverse()

    def hash_of(start: int, end: int, first: int, last: int) -> bytes:
        if first == last:
            if not hashes:
                raise RenewalProofError("a proof ends too soon", size=size)
            return hashes.pop()
        if end - start == 1:
            return algorithm.digest(_LEAF + leaves[first][1])
        middle = start + _left_width(end - start)
        cut = bisect_left(indexes, middle, first, last)
        left = hash_of(start, middle, first, cut)
        return algorithm.digest(_NODE + left + hash_of(middle, end, cut, last))

    found = hash_of(0, size, 0, len(indexes))
    if hashes:
        raise RenewalProofError("a proof has hashes that are not used", left_over=len(hashes))
    if found != root:
        raise RenewalProofError("the leaves do not make the root", size=size)


def _left_width(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)
