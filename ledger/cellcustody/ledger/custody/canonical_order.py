"""Put acts in the one order that what stands in front of each, and their keys, allow.

The rules:

* An act stands behind all that is in front of it (Kahn's algorithm); of those free to
  stand next, the smallest key does.
* A cycle is broken at the smallest key of those left, so that the order depends on the set of acts alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

__all__ = ["Key", "in_order"]

# Not an opening act; start of the occurrence in microseconds; digest.
Key = tuple[int, int, bytes]


def in_order(keys: Mapping[bytes, Key], in_front: Mapping[bytes, set[bytes]]) -> tuple[list[bytes], bool]:
    """Returns the digests in order and whether a cycle had to be broken; the sets of `in_front` are used up."""
    behind: dict[bytes, list[bytes]] = {}
    for digest, edges in in_front.items():
        for one in edges:
            behind.setdefault(one, []).append(digest)
    heap = [(keys[digest], digest) for digest, edges in in_front.items() if not edges]
    heapq.heapify(heap)
    left = dict(in_front)
    ordered: list[bytes] = []
    is_cyclic = False
    while left:
        if not heap:
            is_cyclic = True
            smallest = min(left, key=lambda digest: keys[digest])
            heap.append((keys[smallest], smallest))
        _, digest = heapq.heappop(heap)
        if left.pop(digest, None) is None:
            continue
        ordered.append(digest)
        for one in behind.get(digest, ()):
            waits_for = left.get(one, set())
            if digest in waits_for:
                waits_for.discard(digest)
                if not waits_for:
                    heapq.heappush(heap, (keys[one], one))
    return ordered, is_cyclic
