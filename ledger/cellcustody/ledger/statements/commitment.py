"""Commit to a body record by record, open records, and hold what is shown to the root that was signed.

The rules:

* A body is cut at its top-level wire records, in byte order. A record is tag, length if any, and value, exactly as in
  the body: each element of a repeated message, string or bytes field is one, a packed scalar field is one.
* Records are counted from 0. The salt of record i is HMAC-SHA256(seed, i as 8 bytes big-endian), with a seed of 32
  random bytes for this statement alone, which never leaves the client.
* Leaf hash i is SHA-256(0x00 || salt i || record); nodes and the root of nothing are those of RFC 6962.
* The commitment is the root and each record's field number in order. An opening is (i, salt, record); its tag must
  carry the committed number.
* A record that is not shown is stood for by its leaf hash, so that any subset of openings verifies against the root.
* All openings together are the body's exact bytes.

Verification raises; a body is handed out only after it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from cellcustody.ledger.statements.errors import (
    CommitmentMalformedError,
    CommitmentMismatchError,
    OpeningInvalidError,
    OpeningMissingError,
    OversizeError,
    WireFormError,
    WireRule,
)
from cellcustody.ledger.statements.varints import (
    FIELD_NUMBER_MAX,
    WIRE_LENGTH,
    encode_varint,
    read_record_end,
    read_tag,
)
from cellcustody.ledger.transparency.merkle import EMPTY_ROOT, root_of
from cellcustody.ledger.values import value

__all__ = [
    "BODY_BYTES_MAX",
    "BODY_RECORDS_MAX",
    "EMPTY_COMMITMENT",
    "ClosedRecord",
    "Commitment",
    "DisclosedBody",
    "Opening",
    "commit",
    "cut_records",
    "disclose",
    "leaf_hash",
    "partial_body",
    "verify_openings",
]

BODY_BYTES_MAX: Final = 1 << 20
"""Limit on a statement's openings: records and their salts together. Files are named by digest instead."""

BODY_RECORDS_MAX: Final = 4096
"""Limit on a body's records, many more than any act of one person needs; each costs the writer a hash."""

SALT_BYTES: Final = 32
SEED_BYTES: Final = 32
_HASH_BYTES: Final = 32
_LEAF_PREFIX: Final = b"\x00"
_SHORT_HEADS: Final = {number: encode_varint(number << 3 | WIRE_LENGTH) for number in range(1, 64)}
"""The tag of a record with a length, by field number, for every number that a body of the contract has."""

MessageT = TypeVar("MessageT", bound=Message)


@value(frozen=True, slots=True)
class Commitment:
    """The signed root over a body's records, and the field number of each in order."""

    root: bytes
    field_numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.root) != _HASH_BYTES:
            raise CommitmentMalformedError("a root has 32 bytes", length=len(self.root))
        last = 1
        for number in self.field_numbers:
            if not last <= number <= FIELD_NUMBER_MAX:
                raise CommitmentMalformedError("field numbers are valid and never descend", number=number)
            last = number
        if not self.field_numbers and self.root != EMPTY_ROOT:
            raise CommitmentMalformedError("an empty body has the root of nothing", root=self.root)

    @property
    def is_empty(self) -> bool:
        """Tells whether the body has no record, as that of a co-signature."""
        return not self.field_numbers


EMPTY_COMMITMENT: Final = Commitment(EMPTY_ROOT, ())
"""The commitment of a co-signature, whose body is empty."""


@value(frozen=True, slots=True)
class Opening:
    """One record in the clear, with the salt that makes its leaf hash."""

    index: int
    salt: bytes
    record: bytes

    @property
    def leaf_hash(self) -> bytes:
        """The hash that this record has in the tree."""
        return leaf_hash(self.salt, self.record)


@dataclass(frozen=True, slots=True)
class ClosedRecord:
    """A record that is not shown: its place and its leaf hash, which tells nothing of it without the salt."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class DisclosedBody:
    """A body shown in none, some or all of its records; one member per record, in order."""

    records: tuple[Opening | ClosedRecord, ...]

    @property
    def openings(self) -> tuple[Opening, ...]:
        """The records in the clear."""
        return tuple(record for record in self.records if isinstance(record, Opening))

    @property
    def closed_indexes(self) -> tuple[int, ...]:
        """The numbers of the records that are not shown."""
        return tuple(record.index for record in self.records if isinstance(record, ClosedRecord))

    def verify(self, commitment: Commitment) -> None:
        """Returns if these records, shown and closed, are exactly those that were signed.

        Raises:
            OpeningMissingError: a record is neither shown nor stood for by its hash.
            OpeningInvalidError: a record is out of place, of a wrong size, or not of the committed field.
            CommitmentMismatchError: the leaf hashes do not make the signed root.
        """
        numbers = commitment.field_numbers
        if len(self.records) < len(numbers):
            raise OpeningMissingError("records are missing", count=len(self.records), committed=len(numbers))
        if len(self.records) > len(numbers):
            raise OpeningInvalidError("there are more records", count=len(self.records), committed=len(numbers))
        hashes: list[bytes] = []
        for index, record in enumerate(self.records):
            if record.index != index:
                raise OpeningInvalidError("a record is out of place", index=record.index, place=index)
            if isinstance(record, Opening):
                _check_opening(record, numbers[index])
            elif len(record.leaf_hash) != _HASH_BYTES:
                raise OpeningInvalidError("a leaf hash has 32 bytes", index=index, length=len(record.leaf_hash))
            hashes.append(record.leaf_hash)
        if root_of(hashes) != commitment.root:
            raise CommitmentMismatchError("the records do not make the signed root", root=commitment.root)


def leaf_hash(salt: bytes, record: bytes) -> bytes:
    """Returns the leaf hash of a record; it is an RFC 6962 leaf hash already and is not hashed again."""
    return hashlib.sha256(_LEAF_PREFIX + salt + record).digest()


def cut_records(body: bytes) -> tuple[tuple[int, bytes], ...]:
    """Returns (field number, record) for each top-level record of a body, in byte order.

    Raises:
        WireFormError: the body is not a sequence of whole records with shortest tags and lengths, in ascending order.
    """
    records: list[tuple[int, bytes]] = []
    at, end, last = 0, len(body), 0
    while at < end:
        start = at
        number, wire_type, at = read_tag(body, at, end)
        _, at = read_record_end(body, at, end, wire_type)
        if number < last:
            raise WireFormError("field numbers descend", rule=WireRule.FIELD_ORDER, offset=start)
        records.append((number, body[start:at]))
        last = number
    return tuple(records)


def commit(body: bytes, seed: bytes) -> tuple[Commitment, tuple[Opening, ...]]:
    """Returns the commitment to a body and the openings of all its records.

    `seed` is 32 random bytes drawn for this statement; the caller destroys it afterwards.

    Raises:
        WireFormError: the body cannot be cut into records.
        OversizeError: it has more records than `BODY_RECORDS_MAX`, or its openings were larger than `BODY_BYTES_MAX`.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError("a seed has 32 bytes")
    records = cut_records(body)
    openings = tuple(Opening(index, _salt(seed, index), record) for index, (_, record) in enumerate(records))
    _check_size(openings)
    root = root_of([opening.leaf_hash for opening in openings])
    return Commitment(root, tuple(number for number, _ in records)), openings


def verify_openings(commitment: Commitment, openings: Sequence[Opening]) -> bytes:
    """Returns the body's exact bytes after every record, shown in order, has been held to the commitment.

    Raises:
        OversizeError: the openings are more than `BODY_RECORDS_MAX` or larger than `BODY_BYTES_MAX`.
        OpeningMissingError, OpeningInvalidError, CommitmentMismatchError: see `DisclosedBody.verify`.
    """
    _check_size(openings)
    numbers = commitment.field_numbers
    if [opening.index for opening in openings] != list(range(len(numbers))):
        DisclosedBody(tuple(openings)).verify(commitment)  # Says which is missing, out of place or one too many.
        raise OpeningInvalidError("records are not those committed to", count=len(openings), committed=len(numbers))
    hashes: list[bytes] = []
    for opening in openings:
        _check_opening(opening, numbers[opening.index])
        hashes.append(hashlib.sha256(_LEAF_PREFIX + opening.salt + opening.record).digest())
    if root_of(hashes) != commitment.root:
        raise CommitmentMismatchError("the records do not make the signed root", root=commitment.root)
    return b"".join([opening.record for opening in openings])


def disclose(openings: Sequence[Opening], open_indexes: Collection[int]) -> DisclosedBody:
    """Returns a body with the records of `open_indexes` shown and the others closed, from all openings in order."""
    shown = frozenset(open_indexes)
    return DisclosedBody(
        tuple(
            opening if opening.index in shown else ClosedRecord(opening.index, opening.leaf_hash)
            for opening in openings
        )
    )


def partial_body(message_class: type[MessageT], openings: Iterable[Opening]) -> MessageT:
    """Returns a message that holds the shown records and nothing else; a closed field reads as unset.

    Which fields are unset because they are closed is told by `DisclosedBody.closed_indexes` and the committed field
    numbers. Openings must have been verified before.

    Raises:
        WireFormError: the records do not parse as this message.
    """
    data = b"".join(opening.record for opening in sorted(openings, key=lambda opening: opening.index))
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise WireFormError("records do not parse as the body", rule=WireRule.WIRE_TYPE, offset=0) from error


def _check_opening(opening: Opening, committed_number: int) -> None:
    if len(opening.salt) != SALT_BYTES:
        raise OpeningInvalidError("a salt has 32 bytes", index=opening.index, length=len(opening.salt))
    record = opening.record
    head = _SHORT_HEADS.get(committed_number)
    size = len(record) - 1 - (0 if head is None else len(head))
    if head is not None and 0 <= size < 128 and record.startswith(head) and record[len(head)] == size:
        return  # By far the most records: a value with a length of one byte.
    try:
        number, wire_type, at = read_tag(record, 0, len(record))
        _, end = read_record_end(record, at, len(record), wire_type)
    except WireFormError as defect:
        raise OpeningInvalidError(
            "an opening is no record", index=opening.index, rule=defect.rule, offset=defect.offset
        ) from defect
    if end != len(record):
        raise OpeningInvalidError("an opening is more than one record", index=opening.index)
    if number != committed_number:
        raise OpeningInvalidError(
            "an opening is of another field", index=opening.index, number=number, committed=committed_number
        )


def _check_size(openings: Sequence[Opening]) -> None:
    if len(openings) > BODY_RECORDS_MAX:
        raise OversizeError("a body has too many records", count=len(openings), limit=BODY_RECORDS_MAX)
    size = 0
    for opening in openings:
        size += len(opening.record) + len(opening.salt)
    if size > BODY_BYTES_MAX:
        raise OversizeError("a body's openings are too large", length=size, limit=BODY_BYTES_MAX)


def _salt(seed: bytes, index: int) -> bytes:
    return hmac.digest(seed, index.to_bytes(8, "big"), "sha256")
