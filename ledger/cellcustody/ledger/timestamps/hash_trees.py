"""Trees of RFC 6962 under another hash than the log's: roots, and one proof for many leaves.

The rules are those of the dossier's shared proof, with a hash of choice: going down from the root, left before right,
a subtree without any proven leaf is one hash, a proven leaf its own, any other subtree is cut at the greatest power of
two below its width. Where nothing is proven the whole tree is one hash. Every hash is used and none is missing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from cellcustody.ledger.timestamps.errors import RenewalProofError
from cellcustody.ledger.timestamps.hashes import HashAlgorithm

__all__ = ["HashTree", "hash_tree_root", "verify_shared_hash_proof"]

SIZE_MAX: Final = 1 << 63
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def hash_tree_root(algorithm: HashAlgorithm, items: Iterable[bytes]) -> bytes:
    """Returns the root over these items, in memory of one hash for each level."""
    digest = algorithm.digest
    edge: list[tuple[int, bytes]] = []
    for item in items:
        height, here = 0, digest(_LEAF + item)
        while edge and edge[-1][0] == height:
            here = digest(_NODE + edge.pop()[1] + here)
            height += 1
        edge.append((height, here))
    if not edge:
        return digest(b"")
    root = edge.pop()[1]
    while edge:
        root = digest(_NODE + edge.pop()[1] + root)
    return root


class HashTree:
    """A whole tree in memory, over hashes of its leaves, to make proofs from."""

    def __init__(self, algorithm: HashAlgorithm, items: Iterable[bytes]) -> None:
        self._digest = algorithm.digest
        level = [self._digest(_LEAF + item) for item in items]
        self._levels = [level]
        while len(level) > 1:  # Full subtrees alone; what is ragged at the right is made when it is asked for.
            level = [self._digest(_NODE + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
            self._levels.append(level)
        self._root = self._hash(0, self.size) if self.size else self._digest(b"")

    @property
    def size(self) -> int:
        """The count of leaves."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """The root over all leaves."""
        return self._root

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
            return self._digest(b"")
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self._levels[height][start >> height]
        middle = start + _left_width(width)
        return self._digest(_NODE + self._hash(start, middle) + self._hash(middle, end))


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
