"""Read and write what is stamped, and the items of a ledger's time evidence (docs/formats/timestamps.md).

The rules:

* A record is text with a fixed number of lines, each ended by a newline, numbers and base64 in their one spelling.
* A stamp tells a tree size, its root, and SHA-512 of the note that the log signed for it. A renewal tells the same tree
  under a newer hash, and the tree of all earlier items.
* An item is a `TimeEvidence` in the exact wire form. Its bytes are never made a second time.

What is read here is not believed: nothing in an item is, before a token over its record holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import parse_wire_form
from cellcustody.ledger.timestamps.errors import TimeRecordMalformedError
from cellcustody.ledger.timestamps.hashes import HASHES_BY_NAME, HashAlgorithm
from cellcustody.ledger.transparency import format_note, parse_note
from cellcustody.ledger.transparency.encoding import decode_base64, decode_decimal, encode_base64
from cellcustody.v1 import timestamps_pb2

__all__ = [
    "ITEM_BYTES_MAX",
    "RENEWAL_HASHES",
    "RENEWAL_KIND",
    "STAMP_HASH",
    "EvidenceItem",
    "Renewal",
    "Stamp",
    "encode_item",
    "format_record",
    "imprint_hashes",
    "log_note",
    "note_digest",
    "parse_item",
    "parse_record",
]

TOKENS_MAX: Final = 16
ITEM_BYTES_MAX: Final = 1 << 20  # Sixteen tokens, each with its certificates, and a record below one kilobyte.
RENEWAL_HASHES: Final = ("sha512", "sha3-512")
STAMP_HASH: Final = HASHES_BY_NAME["sha512"]
_STAMP: Final = "cellcustody-timestamp/v1"
_RENEWAL: Final = "cellcustody-renewal/v1"
RENEWAL_KIND: Final = _RENEWAL.encode()
_ROOT_BYTES: Final = 32
_NEWER_BYTES: Final = 64
_NUMBER_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """A checkpoint that was stamped: origin, size, root (32 bytes), SHA-512 of the log's own note (64 bytes)."""

    origin: str
    size: int
    root: bytes
    note_sha512: bytes


@dataclass(frozen=True, slots=True)
class Renewal:
    """A tree and the evidence before it, under a newer hash: both roots have 64 bytes."""

    origin: str
    size: int
    root: bytes
    hash: HashAlgorithm
    renewed_root: bytes
    evidence_count: int
    evidence_root: bytes


Record: TypeAlias = Stamp | Renewal


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One item of the sequence: its bytes, and what they say."""

    raw: bytes
    number: int
    record_bytes: bytes
    record: Record
    tokens: tuple[bytes, ...]


def imprint_hashes(record: Record) -> frozenset[str]:
    """Returns the names of the hashes with which this record may be stamped."""
    match record:
        case Stamp():
            return frozenset({"sha256", "sha384", "sha512"})
        case Renewal():
            return frozenset({record.hash.name, *RENEWAL_HASHES})


def log_note(note: bytes, origin: str) -> bytes:
    """Returns what the log itself signed of a checkpoint: the lines of witnesses are left out, the order stays.

    Raises:
        NoteMalformedError: it is no note.
    """
    parsed = parse_note(note)
    return format_note(parsed.text, [line for line in parsed.signatures if line.name == origin])


def note_digest(note: bytes, origin: str) -> bytes:
    """Returns SHA-512 of the log's own note, line 5 of a stamp."""
    return hashlib.sha512(log_note(note, origin)).digest()


def format_record(record: Record) -> bytes:
    """Returns the text that is stamped."""
    match record:
        case Stamp():
            lines = [_STAMP, record.origin, str(record.size), encode_base64(record.root)]
            lines.append(encode_base64(record.note_sha512))
        case Renewal():
            lines = [_RENEWAL, record.origin, str(record.size), encode_base64(record.root), record.hash.name]
            lines += [encode_base64(record.renewed_root), str(record.evidence_count)]
            lines.append(encode_base64(record.evidence_root))
    return "".join(f"{line}\n" for line in lines).encode()


def parse_record(raw: bytes) -> Record:
    """Returns what a stamped text says.

    Raises:
        TimeRecordMalformedError: it is not in its exact form.
    """
    try:
        lines = raw.decode().split("\n")
        if lines.pop() or len(lines) < 5 or not lines[1]:
            raise ValueError("lines are missing")
        kind, origin = lines[:2]
        size = decode_decimal(lines[2])
        root = _hash(lines[3], _ROOT_BYTES)
        if not 1 <= size <= _NUMBER_MAX or any(character < " " for character in origin):
            raise ValueError("size or origin")
        if kind == _STAMP and len(lines) == 5:
            return Stamp(origin, size, root, _hash(lines[4], _NEWER_BYTES))
        if kind == _RENEWAL and len(lines) == 8 and lines[4] in RENEWAL_HASHES:
            count = decode_decimal(lines[6])
            if count > _NUMBER_MAX:
                raise ValueError("too many items")
            renewed, evidence = _hash(lines[5], _NEWER_BYTES), _hash(lines[7], _NEWER_BYTES)
            return Renewal(origin, size, root, HASHES_BY_NAME[lines[4]], renewed, count, evidence)
        raise ValueError("another kind of record")
    except ValueError as defect:
        raise TimeRecordMalformedError("a stamped record is not in its exact form", defect=str(defect)) from defect


def encode_item(number: int, record: Record, tokens: tuple[bytes, ...]) -> bytes:
    """Returns the bytes of an item, made once and kept from then on.

    Raises:
        TimeRecordMalformedError: it would not be read again.
    """
    message = timestamps_pb2.TimeEvidence(number=number, record=format_record(record), tokens=tokens)
    raw = message.SerializeToString(deterministic=True)
    parse_item(raw)
    return raw


def parse_item(raw: bytes) -> EvidenceItem:
    """Returns what an item says.

    Raises:
        TimeRecordMalformedError: it is not in its exact form.
    """
    if len(raw) > ITEM_BYTES_MAX:
        raise TimeRecordMalformedError("an item is too long", length=len(raw), limit=ITEM_BYTES_MAX)
    try:
        message = parse_wire_form(timestamps_pb2.TimeEvidence, raw)
    except CellcustodyError as defect:
        raise TimeRecordMalformedError("an item is not in its exact form", defect=str(defect)) from defect
    record = parse_record(message.record)
    if not 1 <= len(message.tokens) <= TOKENS_MAX or message.number > _NUMBER_MAX:
        raise TimeRecordMalformedError("an item has 1 to 16 tokens", tokens=len(message.tokens))
    if isinstance(record, Renewal) and record.evidence_count > message.number:
        raise TimeRecordMalformedError("a renewal covers what came before it", number=message.number)
    return EvidenceItem(raw, message.number, message.record, record, tuple(message.tokens))


def _hash(text: str, size_bytes: int) -> bytes:
    raw = decode_base64(text)
    if len(raw) != size_bytes:
        raise ValueError("a hash of another length")
    return raw
