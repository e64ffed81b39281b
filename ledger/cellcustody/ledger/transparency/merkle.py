"""Hash RFC 6962 trees and check their proofs, from plain numbers and bytes alone.

The rules:

* A leaf hash is SHA-256(00 || entry), a node is SHA-256(01 || left || right), the empty root is SHA-256("").
* Every hash is 32 bytes; any other length is refused before anything is hashed.
* An inclusion proof is checked as in RFC 9162, section 2.1.3.2: index below size, and exactly the siblings
  that the two numbers demand, no more and no fewer.
* A consistency proof is checked as in RFC 9162, section 2.1.4.2, from a tree of at least one leaf: nothing
  follows from an empty tree, so a proof from size 0 is refused rather than taken for evidence.
* Between equal sizes the proof is empty and the roots are equal.

Functions return nothing when a proof holds and raise when it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from cellcustody.ledger.transparency.encoding import HASH_SIZE_BYTES, UINT64_MAX
from cellcustody.ledger.transparency.errors import ConsistencyProofError, InclusionProofError

__all__ = [
    "EMPTY_ROOT",
    "consistency_path",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "prove_consistency",
    "prove_inclusion",
    "root_at",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT: Final = sha256(b"").digest()

# Answers the hash of the full subtree over leaves [index << height, (index + 1) << height).
NodeSource = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Returns the 32-byte hash of an entry as a leaf (RFC 6962, section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the 32-byte hash of an inner node over its two children (RFC 6962, section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Returns the root over leaf hashes of 32 bytes, in order."""
    if not leaf_hashes:
        return EMPTY_ROOT
    row = list(leaf_hashes)
    while len(row) > 1:
        # What is left over at the end of a row is the full subtree of the next: it goes up as it is.
        left_over = row[-1:] if len(row) % 2 else []
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)]
        row += left_over
    return row[0]


def prove_inclusion(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Returns the inclusion proof of the leaf at `index` in the tree over all the leaf hashes.

    Raises:
        InclusionProofError: there is no such leaf.
    """
    return inclusion_path(index, len(leaf_hashes), _node_source(leaf_hashes))


def prove_consistency(size1: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Returns the proof that the first `size1` leaves are a prefix of the tree over all the leaf hashes.

    Raises:
        ConsistencyProofError: `size1` is 0 or more than there are leaves.
    """
    return consistency_path(size1, len(leaf_hashes), _node_source(leaf_hashes))


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Returns if `proof` shows that the leaf hash stands at `index` in the tree of `size` leaves with `root`.

    Args:
        index: position of the leaf, from 0.
        size: number of leaves.
        leaf_hash: 32 bytes.
        proof: sibling hashes of 32 bytes, from the leaf's sibling to the root's child.
        root: 32 bytes.

    Raises:
        InclusionProofError: it does not.
    """
    # (1): Numbers and lengths.
    if not 0 <= index < size <= UINT64_MAX:
        raise InclusionProofError("the index is not in the tree", index=index, size=size)
    for name, value in (("leaf_hash", leaf_hash), ("root", root), *(("proof", step) for step in proof)):
        if len(value) != HASH_SIZE_BYTES:
            raise InclusionProofError("a hash is not 32 bytes", of=name, size_bytes=len(value))

    # (2): Climb from the leaf; each step consumes one sibling.
    position, last, climbed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise InclusionProofError("the proof is too long", index=index, size=size)
        if position & 1 or position == last:
            climbed = node_hash(sibling, climbed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            climbed = node_hash(climbed, sibling)
        position >>= 1
        last >>= 1

    # (3): Nothing is missing, and the climb ends at the root.
    if last != 0:
        raise InclusionProofError("the proof is too short", index=index, size=size)
    if climbed != root:
        raise InclusionProofError("the proof leads to another root", index=index, size=size, computed=climbed)


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Returns if `proof` shows that the tree of `size1` leaves with `root1` is a prefix of that of `size2`.

    Raises:
        ConsistencyProofError: it does not.
    """
    # (1): Numbers and lengths.
    if not 0 < size1 <= size2 <= UINT64_MAX:
        raise ConsistencyProofError("the sizes admit no proof", size1=size1, size2=size2)
    for name, value in (("root1", root1), ("root2", root2), *(("proof", step) for step in proof)):
        if len(value) != HASH_SIZE_BYTES:
            raise ConsistencyProofError("a hash is not 32 bytes", of=name, size_bytes=len(value))

    # (2): Equal sizes need no proof and admit none.
    if size1 == size2:
        if proof:
            raise ConsistencyProofError("the proof is too long", size1=size1, size2=size2)
        if root1 != root2:
            raise ConsistencyProofError("trees of one size have two roots", size=size1)
        return
    if not proof:
        raise ConsistencyProofError("the proof is too short", size1=size1, size2=size2)

    # (3): Where the smaller tree is one full subtree, its root is the start and is not in the proof.
    steps = list(proof)
    if size1 & (size1 - 1) == 0:
        steps.insert(0, root1)
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position >>= 1
        last >>= 1

    # (4): Climb both trees at once.
    climbed1 = climbed2 = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ConsistencyProofError("the proof is too long", size1=size1, size2=size2)
        if position & 1 or position == last:
            climbed1 = node_hash(step, climbed1)
            climbed2 = node_hash(step, climbed2)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            climbed2 = node_hash(climbed2, step)
        position >>= 1
        last >>= 1

    # (5): Nothing is missing, and both climbs end at their roots.
    if last != 0:
        raise ConsistencyProofError("the proof is too short", size1=size1, size2=size2)
    if climbed1 != root1 or climbed2 != root2:
        raise ConsistencyProofError("the proof leads to other roots", size1=size1, size2=size2)


def root_at(size: int, node: NodeSource) -> bytes:
    """Returns the root of the tree of the first `size` leaves, from the hashes of full subtrees."""
    return EMPTY_ROOT if size == 0 else _fold(0, size, node)


def inclusion_path(index: int, size: int, node: NodeSource) -> list[bytes]:
    """Returns the inclusion proof of leaf `index` in the tree of `size` leaves, from full subtrees.

    Raises:
        InclusionProofError: the index is not in the tree.
    """
    if not 0 <= index < size:
        raise InclusionProofError("the index is not in the tree", index=index, size=size)
    return _siblings(0, index, size, node)


def consistency_path(size1: int, size2: int, node: NodeSource) -> list[bytes]:
    """Returns the consistency proof between two sizes, from full subtrees.

    Raises:
        ConsistencyProofError: the sizes admit no proof.
    """
    if not 0 < size1 <= size2:
        raise ConsistencyProofError("the sizes admit no proof", size1=size1, size2=size2)
    if size1 == size2:
        return []
    # The last full subtree that ends at size1 belongs to both trees; its siblings lead to both roots.
    height = (size1 & -size1).bit_length() - 1
    position = (size1 >> height) - 1
    start = [] if position == 0 else [node(height, position)]
    return start + _siblings(height, position, size2, node)


def _siblings(height: int, position: int, size: int, node: NodeSource) -> list[bytes]:
    """Returns the siblings from the subtree at (height, position) up to the root's child."""
    siblings = []
    while (size - 1) >> height:
        sibling = position ^ 1
        if (sibling + 1) << height <= size:
            siblings.append(node(height, sibling))
        elif sibling << height < size:
            siblings.append(_fold(sibling << height, size, node))  # The one subtree that the right edge cuts.
        position >>= 1
        height += 1
    return siblings


def _fold(start: int, end: int, node: NodeSource) -> bytes:
    """Returns the hash over leaves [start, end), where start is aligned to a power of two not below end - start."""
    remaining = end - start
    folded: bytes | None = None
    while remaining:
        # The smallest full subtree lies rightmost; larger ones are joined on its left.
        height = (remaining & -remaining).bit_length() - 1
        remaining -= 1 << height
        left = node(height, (start + remaining) >> height)
        folded = left if folded is None else node_hash(left, folded)
    if folded is None:
        return EMPTY_ROOT
    return folded


def _node_source(leaf_hashes: Sequence[bytes]) -> NodeSource:
    """Returns a source that hashes every full subtree over the leaf hashes once."""
    rows = [list(leaf_hashes)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])
    return lambda height, index: rows[height][index]
