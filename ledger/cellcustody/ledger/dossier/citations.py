"""Find the streams that a statement of a therapy cites: consignments it was packed into, lots that were used in it.

A citation is a field of a body: `consignment`, or the `lot` of any LotUse. Only what is open can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message

from cellcustody.v1 import common_pb2

__all__ = ["cited_in"]

_STREAM_BYTES: Final = 17
_LOT_USE: Final = common_pb2.LotUse.DESCRIPTOR.full_name


def cited_in(body: Message) -> frozenset[bytes]:
    """Returns the stream ids (17 bytes) that the open part of a body cites."""
    return frozenset(stream for stream in _cited(body) if len(stream) == _STREAM_BYTES)


def _cited(body: Message) -> Iterator[bytes]:
    for field, value in body.ListFields():
        if field.name == "consignment" and isinstance(value, bytes):
            yield value
        inner = field.message_type
        if inner is not None and inner.full_name == _LOT_USE:
            for use in [value] if isinstance(value, common_pb2.LotUse) else value:
                yield use.lot
