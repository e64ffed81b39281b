"""Hold records to the commitment that was signed, quickly.

The rules are those of `statements.commitment`; this reads them a second time, in one loop over records of common shape:
open, of a low field number, short. Where that loop does not accept, the exact check decides and names the defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cellcustody.ledger.statements import ClosedRecord, Commitment, DisclosedBody, Opening

__all__ = ["check_records"]

_SALT_BYTES: Final = 32
_ONE_BYTE: Final = 128  # Tags, lengths and values below this are one byte.
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


def _accepts(records: Sequence[Opening | ClosedRecord], commitment: Commitment) -> bool:
    numbers = commitment.field_numbers
    if len(records) != len(numbers) or not records:
        return False
    hashes: list[bytes] = []
    for index, record in enumerate(records):
        if record.index != index or not isinstance(record, Opening):
            return False
        raw, salt, tag = record.record, record.salt, numbers[index] << 3
        size = len(raw)
        if tag >= _ONE_BYTE or len(salt) != _SALT_BYTES or size < 2 or raw[1] >= _ONE_BYTE:
            return False
        is_short_length = raw[0] == tag | _LENGTH and raw[1] == size - 2
        is_short_varint = raw[0] == tag and size == 2
        if not (is_short_length or is_short_varint):
            return False
        hashes.append(sha256(_LEAF + salt + raw).digest())
    # Pairing neighbours and carrying an odd one up makes the tree of RFC 6962, section 2.1.
    while len(hashes) > 1:
        paired = [sha256(_NODE + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes) - 1, 2)]
        if len(hashes) & 1:
            paired.append(hashes[-1])
        hashes = paired
    return hashes[0] == commitment.root
