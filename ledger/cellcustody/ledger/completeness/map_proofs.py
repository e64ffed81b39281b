"""Verify what a path says of a key under the root of a map. Plain types in; no I/O, no clock.

The rules:

* A path leads from where the way of the key ends up to the root; its length says at which depth that is.
* Present: the leaf of this key and value stands there. Absent: nothing does, or the leaf of one other key that shares
  the way so far.
* The lowest sibling is never empty: a leaf stands as high as it is alone.

A function returns if the proof holds, and raises if it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cellcustody.ledger.completeness.errors import MapProofError
from cellcustody.ledger.completeness.sparse_map import (
    ALIASES,
    EMPTY,
    HEADS,
    KEY_BYTES,
    MapEnd,
    MapTags,
    bit_of,
    leaf_of,
    node_of,
    value_digest,
)
from cellcustody.ledger.completeness.values import ALIAS_STREAM_BYTES, alias_value, head_value, stream_key
from cellcustody.v1 import dossier_pb2

__all__ = [
    "alias_proof",
    "stream_proof",
    "verify_absent",
    "verify_alias",
    "verify_present",
    "verify_stream",
]

_DEPTH_MAX: Final = 8 * KEY_BYTES
_HASH_BYTES: Final = 32


def verify_present(tags: MapTags, key: bytes, value: bytes, siblings: Sequence[bytes], root: bytes) -> None:
    """Returns if the map with this root has this value under the key.

    Raises:
        MapProofError: the path does not show it.
    """
    _check_form(key, siblings, root)
    _climb(tags, key, leaf_of(tags, key, value_digest(value)), siblings, root)


def verify_absent(
    tags: MapTags, key: bytes, siblings: Sequence[bytes], other: tuple[bytes, bytes] | None, root: bytes
) -> None:
    """Returns if the map with this root lacks the key; `other` is another key and its value's digest, if one is there.

    Raises:
        MapProofError: the path does not show it.
    """
    _check_form(key, siblings, root)
    if other is None:
        _climb(tags, key, EMPTY, siblings, root)
        return
    other_key, digest = other
    if len(other_key) != KEY_BYTES or len(digest) != _HASH_BYTES:
        raise MapProofError("another key and its digest have 32 bytes each", key=key)
    if other_key == key:
        raise MapProofError("the key itself stands there: it is not absent", key=key)
    depth = len(siblings)
    if any(bit_of(other_key, at) != bit_of(key, at) for at in range(depth)):
        raise MapProofError(
            "the other key stands beside the way, and says nothing of this one", key=key, other=other_key
        )
    _climb(tags, key, leaf_of(tags, other_key, digest), siblings, root)


def _check_form(key: bytes, siblings: Sequence[bytes], root: bytes) -> None:
    if len(key) != KEY_BYTES or len(root) != _HASH_BYTES:
        raise MapProofError("a key and a root have 32 bytes", key=key, root=root)
    if len(siblings) > _DEPTH_MAX:
        raise MapProofError("a path is no longer than a key has bits", siblings=len(siblings))
    if any(sibling == EMPTY or len(sibling) not in (0, _HASH_BYTES) for sibling in siblings):
        raise MapProofError("a sibling is a hash, or no bytes for an empty subtree", key=key)
    if siblings and not siblings[0]:
        raise MapProofError("a leaf or an empty subtree stands beside nothing", key=key)


def _climb(tags: MapTags, key: bytes, start: bytes, siblings: Sequence[bytes], root: bytes) -> None:
    found = start
    for depth, sibling in zip(range(len(siblings) - 1, -1, -1), siblings, strict=True):
        beside = sibling or EMPTY
        found = node_of(tags, beside, found) if bit_of(key, depth) else node_of(tags, found, beside)
    if found != root:
        raise MapProofError("the path does not lead to the root of the map", key=key, root=root, computed=found)


# Of streams and aliases, as the contract writes them.


def verify_stream(proof: dossier_pb2.StreamProof, root: bytes) -> None:
    """Returns if the map of heads with this root says of the stream what the proof says.

    Raises:
        MapProofError: it does not.
    """
    if not proof.entries:
        if proof.last_leaf_hash:
            raise MapProofError("a stream without entries has no last one", stream=proof.stream)
        verify_absent(HEADS, stream_key(proof.stream), proof.path.siblings, _other(proof.path), root)
        return
    if len(proof.last_leaf_hash) != _HASH_BYTES:
        raise MapProofError("a leaf hash has 32 bytes", stream=proof.stream)
    _check_nobody_else(proof.path)
    value = head_value(proof.stream, proof.entries, proof.last_leaf_hash)
    verify_present(HEADS, stream_key(proof.stream), value, proof.path.siblings, root)


def verify_alias(proof: dossier_pb2.AliasProof, root: bytes) -> None:
    """Returns if the map of aliases with this root says of the blinded alias what the proof says.

    Raises:
        MapProofError: it does not.
    """
    therapies = list(proof.therapies)
    if not therapies:
        verify_absent(ALIASES, proof.key, proof.path.siblings, _other(proof.path), root)
        return
    if therapies != sorted(set(therapies)) or any(len(one) != ALIAS_STREAM_BYTES for one in therapies):
        raise MapProofError("therapies ascend, each once, 17 bytes each", key=proof.key)
    _check_nobody_else(proof.path)
    verify_present(ALIASES, proof.key, alias_value(therapies), proof.path.siblings, root)


def _check_nobody_else(path: dossier_pb2.MapPath) -> None:
    if path.other_key or path.other_value_digest:
        raise MapProofError("where the key itself stands no other does")


def _other(path: dossier_pb2.MapPath) -> tuple[bytes, bytes] | None:
    if not path.other_key and not path.other_value_digest:
        return None
    return path.other_key, path.other_value_digest


def stream_proof(stream: bytes, end: MapEnd) -> dossier_pb2.StreamProof:
    """Returns what a map of heads says of a stream, in the contract's form."""
    if end.value is None:
        return dossier_pb2.StreamProof(stream=stream, path=_path(end))
    count = int.from_bytes(end.value[len(stream) : len(stream) + 8], "big")
    return dossier_pb2.StreamProof(
        stream=stream, entries=count, last_leaf_hash=end.value[len(stream) + 8 :], path=_path(end)
    )


def alias_proof(key: bytes, end: MapEnd) -> dossier_pb2.AliasProof:
    """Returns what a map of aliases says of a blinded alias, in the contract's form."""
    value = end.value or b""
    therapies = [value[at : at + ALIAS_STREAM_BYTES] for at in range(0, len(value), ALIAS_STREAM_BYTES)]
    return dossier_pb2.AliasProof(key=key, therapies=therapies, path=_path(end))


def _path(end: MapEnd) -> dossier_pb2.MapPath:
    path = dossier_pb2.MapPath(siblings=[b"" if sibling == EMPTY else sibling for sibling in end.siblings])
    if end.other is not None:
        path.other_key = end.other[0]
        path.other_value_digest = value_digest(end.other[1])
    return path
