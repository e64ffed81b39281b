"""A sparse Merkle map: one root for a set of (key, value), and short proofs of what is in it and what is not.

The rules (docs/formats/head-map.md):

* A subtree over the keys that share their first d bits has 32 zero bytes as its hash where there is no such key, the
  hash of a leaf where there is one, whatever d, and else the hash of its two halves, cut at bit d.
* Leaves and nodes of each kind of map are hashed under tags of their own.
* So the root follows from the set alone, and under one root a key has one verdict.

Keys are hashes, so they spread evenly. They are kept in buckets by their first bits: a change hashes its bucket anew
and the few nodes above it. What keeps the buckets is behind `MapRows`: memory here, a file in `kept_maps`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from cellcustody.ledger.completeness.errors import HeadMapDamagedError

__all__ = [
    "ALIASES",
    "BUCKET_BITS",
    "EMPTY",
    "HEADS",
    "KEY_BYTES",
    "MapEnd",
    "MapRows",
    "MapTags",
    "RowsInMemory",
    "SparseMap",
    "Summary",
    "bit_of",
    "leaf_of",
    "map_root",
    "node_of",
    "value_digest",
]

KEY_BYTES: Final = 32
EMPTY: Final = bytes(32)
BUCKET_BITS: Final = 14  # 16,384 buckets: some 300 keys in each after five million streams, a millisecond to hash anew.
_BUCKETS: Final = 1 << BUCKET_BITS

Item = tuple[bytes, bytes]
"""A key and its value."""


class MapTags(NamedTuple):
    """What leaves and nodes of one kind of map are hashed under."""

    leaf: bytes
    node: bytes


HEADS: Final = MapTags(b"\x10", b"\x11")
ALIASES: Final = MapTags(b"\x20", b"\x21")


class Summary(NamedTuple):
    """A subtree's hash, and whether it is a single leaf, which then stands higher where it has no neighbour."""

    hash: bytes
    is_alone: bool


_NOTHING: Final = Summary(EMPTY, False)


class MapEnd(NamedTuple):
    """Where the way of a key ends: its value, or another key alone there, or neither; and the siblings, from there up.

    An empty subtree beside the way is `EMPTY`.
    """

    value: bytes | None
    other: Item | None
    siblings: list[bytes]


class MapRows(Protocol):
    """Keeps the buckets of one map."""

    def bucket(self, index: int) -> list[Item]:
        """Returns the keys of one bucket with their values, ascending."""

    def summaries(self) -> Iterable[tuple[int, Summary]]:
        """Returns the summary of every bucket that is not empty."""

    def write(self, index: int, changed: Mapping[bytes, bytes], summary: Summary) -> None:
        """Keeps changed values of a bucket, and its summary."""


def value_digest(value: bytes) -> bytes:
    """Returns the digest by which a leaf binds its value."""
    return hashlib.sha256(value).digest()


def leaf_of(tags: MapTags, key: bytes, digest: bytes) -> bytes:
    """Returns the hash of a leaf with this key and digest of a value."""
    return hashlib.sha256(tags.leaf + key + digest).digest()


def node_of(tags: MapTags, left: bytes, right: bytes) -> bytes:
    """Returns the hash of a subtree of more than one key from its two halves."""
    return hashlib.sha256(tags.node + left + right).digest()


def bit_of(key: bytes, depth: int) -> int:
    """Returns bit `depth` of a key, 0 being the most significant of its first byte."""
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def map_root(tags: MapTags, items: Mapping[bytes, bytes]) -> bytes:
    """Returns the root of a whole map, made at once."""
    return _summary(tags, sorted(items.items()), 0).hash


class SparseMap:
    """One map over its rows. Not for several threads at once."""

    def __init__(self, tags: MapTags, rows: MapRows) -> None:
        """Makes the nodes above the buckets from the summaries that are kept."""
        self._tags = tags
        self._rows = rows
        # A heap: the root is 1, the halves of n are 2n and 2n + 1, bucket b is 2^14 + b; empty ones are left out.
        self._nodes: dict[int, Summary] = {_BUCKETS + index: summary for index, summary in rows.summaries()}
        self._rise(set(self._nodes))

    @property
    def root(self) -> bytes:
        """The root of the map."""
        return self._at(1).hash

    def update(self, changes: Mapping[bytes, bytes]) -> int:
        """Sets values by key and returns how many keys are new.

        Raises:
            HeadMapDamagedError: the rows of a bucket are not those that its hash was made of.
        """
        by_bucket: dict[int, dict[bytes, bytes]] = {}
        for key, value in changes.items():
            by_bucket.setdefault(_bucket_of(key), {})[key] = value
        added = 0
        for index, changed in by_bucket.items():
            items = dict(self._sound(index))
            before = len(items)
            items.update(changed)
            added += len(items) - before
            summary = _summary(self._tags, sorted(items.items()), BUCKET_BITS)
            self._nodes[_BUCKETS + index] = summary
            self._rows.write(index, changed, summary)
        self._rise({_BUCKETS + index for index in by_bucket})
        return added

    def value(self, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        return dict(self._rows.bucket(_bucket_of(key))).get(key)

    def prove(self, key: bytes) -> MapEnd:
        """Returns where the way of a key ends, with what leads from there to the root.

        Raises:
            HeadMapDamagedError: the rows of a bucket are not those that its hash was made of.
        """
        siblings: list[bytes] = []
        node = 1
        while node < _BUCKETS:
            summary = self._at(node)
            if summary.hash == EMPTY or summary.is_alone:
                break
            right = bit_of(key, len(siblings))
            siblings.append(self._at(2 * node + 1 - right).hash)
            node = 2 * node + right
        if self._at(node).hash == EMPTY:
            return MapEnd(None, None, siblings[::-1])
        while node < _BUCKETS:  # One key is below: its bucket is the only one that is not empty.
            node = 2 * node if self._at(2 * node).hash != EMPTY else 2 * node + 1
        items = self._sound(node - _BUCKETS)
        while len(items) > 1:
            depth = len(siblings)
            at = _cut(items, depth)
            right = bit_of(key, depth)
            beside, items = (items[:at], items[at:]) if right else (items[at:], items[:at])
            siblings.append(_summary(self._tags, beside, depth + 1).hash)
        siblings.reverse()
        if not items:
            return MapEnd(None, None, siblings)
        found = items[0]
        return MapEnd(found[1], None, siblings) if found[0] == key else MapEnd(None, found, siblings)

    def _sound(self, index: int) -> list[Item]:
        items = self._rows.bucket(index)
        if _summary(self._tags, items, BUCKET_BITS) != self._at(_BUCKETS + index):
            raise HeadMapDamagedError("the rows of a bucket do not make its hash", bucket=index, keys=len(items))
        return items

    def _at(self, node: int) -> Summary:
        return self._nodes.get(node, _NOTHING)

    def _rise(self, changed: set[int]) -> None:
        """Makes the nodes above these anew, level by level."""
        while changed and changed != {1}:
            changed = {node >> 1 for node in changed}
            for node in changed:
                self._nodes[node] = _join(self._tags, self._at(2 * node), self._at(2 * node + 1))


class RowsInMemory:
    """Rows of a map that ends with the process: a monitor's, or a test's."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, bytes]] = {}

    def bucket(self, index: int) -> list[Item]:
        """Returns the keys of one bucket with their values, ascending."""
        return sorted(self._buckets.get(index, {}).items())

    def summaries(self) -> Iterable[tuple[int, Summary]]:
        """Returns nothing: such a map begins empty."""
        return ()

    def write(self, index: int, changed: Mapping[bytes, bytes], summary: Summary) -> None:
        """Keeps changed values of a bucket."""
        self._buckets.setdefault(index, {}).update(changed)


def _bucket_of(key: bytes) -> int:
    return int.from_bytes(key[:2], "big") >> (16 - BUCKET_BITS)


def _join(tags: MapTags, left: Summary, right: Summary) -> Summary:
    if right.hash == EMPTY and (left.is_alone or left.hash == EMPTY):
        return left if left.is_alone else _NOTHING
    if left.hash == EMPTY and right.is_alone:
        return right
    return Summary(node_of(tags, left.hash, right.hash), False)


def _summary(tags: MapTags, items: Sequence[Item], depth: int) -> Summary:
    """Returns the summary of keys that ascend and share their first `depth` bits."""
    if not items:
        return _NOTHING
    if len(items) == 1:
        key, value = items[0]
        return Summary(leaf_of(tags, key, value_digest(value)), True)
    at = _cut(items, depth)
    return _join(tags, _summary(tags, items[:at], depth + 1), _summary(tags, items[at:], depth + 1))


def _cut(items: Sequence[Item], depth: int) -> int:
    """Returns how many of the keys, which ascend and share their first `depth` bits, have 0 at that bit."""
    return bisect_left(items, 1, key=lambda item: bit_of(item[0], depth))
