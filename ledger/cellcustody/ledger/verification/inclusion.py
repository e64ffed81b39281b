"""Hold many leaves at once to one root, by the format's shared proof.

The rules: the tree over [start, end) of more than one leaf is cut at start + k, k the greatest power of two below its
width. A subtree without any of the leaves is the next hash of the proof; a single leaf is its own hash; any other is
cut. Every hash of the proof is used, and the root is the checkpoint's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from cellcustody.ledger.transparency import node_hash
from cellcustody.ledger.verification.errors import InclusionInvalidError

__all__ = ["verify_shared_proof"]


def verify_shared_proof(
    leaf_indexes: Sequence[int], leaf_hashes: Sequence[bytes], size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Returns if the leaves, strictly ascending by index, stand in the tree of `size` leaves with this root.

    Raises:
        InclusionInvalidError: they do not, or the proof has a hash too few or too many.
    """
    if not leaf_indexes or not 0 <= leaf_indexes[0] <= leaf_indexes[-1] < size:
        raise InclusionInvalidError("entries are below the size", size=size, entries=len(leaf_indexes))
    nodes = iter(proof)
    computed = _root_over(0, size, leaf_indexes, leaf_hashes, nodes)
    left_over = sum(1 for _ in nodes)
    if left_over:
        raise InclusionInvalidError("the proof has hashes too many", left_over=left_over)
    if computed != root:
        raise InclusionInvalidError("the entries do not lead to the checkpoint's root", root=root, computed=computed)


def _root_over(start: int, end: int, indexes: Sequence[int], hashes: Sequence[bytes], nodes: Iterator[bytes]) -> bytes:
    at = bisect_left(indexes, start)
    if at == len(indexes) or indexes[at] >= end:
        node = next(nodes, None)
        if node is None:
            raise InclusionInvalidError("the proof has hashes too few", proof_start=start, proof_end=end)
        return node
    width = end - start
    if width == 1:
        return hashes[at]
    middle = start + (1 << ((width - 1).bit_length() - 1))
    left = _root_over(start, middle, indexes, hashes, nodes)
    return node_hash(left, _root_over(middle, end, indexes, hashes, nodes))
