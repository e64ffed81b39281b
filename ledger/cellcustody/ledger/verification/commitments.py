"""Hold records to the commitment that was signed, quickly.

The rules are those of `statements.commitment`; this reads them a second time, in one loop over records of common shape:
open, with a tag of at most two bytes, shorter than 128 bytes. Where that loop does not accept, the exact check decides
and names the defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cellcustody.ledger.statements import ClosedRecord, Commitment, DisclosedBody, Opening

__all__ = ["check_records"]

_SALT_BYTES: Final = 32
_ONE_BYTE: Final = 128  # Lengths and values below this are one byte.
_TWO_BYTES: Final = 1 << 14
_VARINT: Final = 0
_LENGTH: Final = 2
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def check_records(records: Sequence[Opening | ClosedRecord], commitment: Commitment) -> None:
    """Returns if these records, open and closed, are exactly those that were signed.

    Raises:
        FormRefusedError: they are not; the leaf class says why (see `DisclosedBody.verify`).
    """
    if not _accepts(records, commitment):
        DisclosedBody(tuple(records)).verify(commitment)


@lru_cache(maxsize=4096)
def _tags(number: int) -> tuple[bytes, bytes]:
    """Returns the tags of a field with a length and of one with a varint; empty where they are longer than 2 bytes."""
    tags = []
    for wire_type in (_LENGTH, _VARINT):
        tag = number << 3 | wire_type
        if tag < _ONE_BYTE:
            tags.append(bytes((tag,)))
        elif tag < _TWO_BYTES:
            tags.append(bytes((tag & 0x7F | 0x80, tag >> 7)))
        else:
            tags.append(b"")
    return tags[0], tags[1]


def _accepts(records: Sequence[Opening | ClosedRecord], commitment: Commitment) -> bool:
    numbers = commitment.field_numbers
    if len(records) != len(numbers) or not records:
        return False
    hashes: list[bytes] = []
    for index, record in enumerate(records):
        if record.index != index or not isinstance(record, Opening):
            return False
        raw, salt = record.record, record.salt
        with_length, with_varint = _tags(numbers[index])
        at, size = len(with_length), len(raw)
        if not at or len(salt) != _SALT_BYTES or size <= at or raw[at] >= _ONE_BYTE:
            return False
        tag = raw[:at]
        if not (tag == with_length and raw[at] == size - at - 1) and not (tag == with_varint and size == at + 1):
            return False
        hashes.append(sha256(_LEAF + salt + raw).digest())
    # Pairing neighbours and carrying an odd one up makes the tree of RFC 6962, section 2.1.
    while len(hashes) > 1:
        paired = [sha256(_NODE + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes) - 1, 2)]
        if len(hashes) & 1:
            paired.append(hashes[-1])
        hashes = paired
    return hashes[0] == commitment.root
