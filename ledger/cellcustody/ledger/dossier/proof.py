"""Prove many leaves of one tree at once: the fewest nodes from which, with the leaves, the root follows.

The rules, which are the whole of the format:

* The tree over leaves [start, end) of more than one leaf has two children: it is cut at start + k, k being the greatest
  power of two below end - start (RFC 6962, section 2.1).
* Going down from the root, left before right: a subtree that holds none of the proven leaves is one node of the proof,
  its hash; a single proven leaf is its own leaf hash and no node; any other subtree is cut.
* The nodes stand in the order in which they are met, 32 bytes each. None is left over and none is missing.

`shared_proof` makes the nodes, for the builder; the verifier has its own reading of the same rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from cellcustody.ledger.transparency import node_hash

__all__ = ["NodeAt", "shared_proof"]

NodeAt = Callable[[int, int], bytes]
"""Returns the hash of the full subtree over leaves [index << height, (index + 1) << height), from (height, index)."""


def shared_proof(leaf_indexes: Sequence[int], size: int, node: NodeAt) -> list[bytes]:
    """Returns the nodes that prove these leaves (strictly ascending, below `size`) in the tree of `size` leaves."""
    nodes: list[bytes] = []
    _collect(0, size, leaf_indexes, node, nodes)
    return nodes


def _collect(start: int, end: int, leaves: Sequence[int], node: NodeAt, nodes: list[bytes]) -> None:
    at = bisect_left(leaves, start)
    if at == len(leaves) or leaves[at] >= end:
        nodes.append(_hash_of(start, end, node))
    elif end - start > 1:
        middle = start + _left_width(end - start)
        _collect(start, middle, leaves, node, nodes)
        _collect(middle, end, leaves, node, nodes)


def _hash_of(start: int, end: int, node: NodeAt) -> bytes:
    width = end - start
    if width & (width - 1) == 0:  # Cut as above, subtrees of such a width always start at a multiple of it.
        height = width.bit_length() - 1
        return node(height, start >> height)
    middle = start + _left_width(width)
    return node_hash(_hash_of(start, middle, node), _hash_of(middle, end, node))


def _left_width(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)
