"""Lay a statement's openings into the vault by subject and class, and read back what is still there.

The rules:

* The subject of a field is the stream's, except that a field about a person belongs to that person (design, section 5).
* PUBLIC openings lie in the clear: anyone with the log may verify signatures with them.
* One row holds all openings of one (subject, class): index (4 bytes big-endian), salt (32 bytes), length of the record
  (4 bytes big-endian), record; one after the other, in order of index.
* Of a body with a record that may be erased while the ledger runs, all leaf hashes are kept beside the rows, in the
  clear, under the number 0, which is no class: without its salt a hash tells nothing, and with it every record that
  stays can still be shown to be signed after others are gone.
* What was shredded is absent when read; it is never an error to find less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cellcustody.ledger.contract import SHREDDABLE, BodyType, DisclosureClass
from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.statements import Opening, StreamKind

__all__ = [
    "LEAF_HASHES",
    "classes_in",
    "decode_leaf_hashes",
    "decode_openings",
    "encode_leaf_hashes",
    "encode_openings",
    "is_erasable",
    "subject_of_stream",
]

LEAF_HASHES: Final = 0
"""Where a disclosure class stands in a vault row, this says that the row holds leaf hashes."""

_HASH_BYTES: Final = 32

_SALT_BYTES: Final = 32
_HEAD_BYTES: Final = 4 + _SALT_BYTES + 4


def subject_of_stream(stream: bytes) -> bytes:
    """Returns the vault's subject of what a stream says: the stream itself."""
    return stream


def person_subject(person: bytes) -> bytes:
    """Returns the vault's subject of what is about a person: the id of that person's stream."""
    return b"\x05" + person


def classes_in(prepared: Prepared) -> list[tuple[bytes, DisclosureClass, list[Opening]]]:
    """Returns the openings of a statement grouped by (subject, class), in order of first appearance."""
    if prepared.body_type is None:
        return []
    stream = prepared.statement.stream
    groups: dict[tuple[bytes, DisclosureClass], list[Opening]] = {}
    numbers = prepared.statement.commitment.field_numbers
    body_type = prepared.body_type
    classes = body_type.classes
    about_person = body_type.about_person
    for opening in prepared.openings:
        number = numbers[opening.index]
        subject = _subject_of_person(body_type, opening) if number in about_person else stream
        groups.setdefault((subject, classes[number]), []).append(opening)
    return [(subject, disclosed, openings) for (subject, disclosed), openings in groups.items()]


def _subject_of_person(body_type: BodyType, opening: Opening) -> bytes:
    """Returns the subject of a record about a person: its own `person` id."""
    part = body_type.message_class.FromString(opening.record)
    for _, value in part.ListFields():
        named = value[0] if isinstance(value, Sequence) else value
        person = getattr(named, "person", b"")
        if isinstance(person, bytes) and len(person) == 16:
            return person_subject(person)
    raise StoreError("a field about a person names none", body_type=body_type.name, record=opening.index)


def is_erasable(disclosed: DisclosureClass, subject: bytes) -> bool:
    """Tells whether records of this class about this subject may be erased while the ledger runs."""
    return disclosed in SHREDDABLE or subject[0] == StreamKind.PERSON


def encode_leaf_hashes(openings: Sequence[Opening]) -> bytes:
    """Returns the leaf hashes of a whole body, joined in order."""
    return b"".join(opening.leaf_hash for opening in sorted(openings, key=lambda opening: opening.index))


def decode_leaf_hashes(joined: bytes) -> list[bytes]:
    """Returns the leaf hashes in a row."""
    return [joined[at : at + _HASH_BYTES] for at in range(0, len(joined), _HASH_BYTES)]


def encode_openings(openings: Sequence[Opening]) -> bytes:
    """Returns openings as one vault row's plaintext."""
    return b"".join(
        [
            part
            for o in openings
            for part in (o.index.to_bytes(4, "big"), o.salt, len(o.record).to_bytes(4, "big"), o.record)
        ]
    )


def decode_openings(plaintext: bytes) -> list[Opening]:
    """Returns the openings in one vault row's plaintext.

    Raises:
        StoreError: the row was not written by `encode_openings`.
    """
    openings: list[Opening] = []
    at, end = 0, len(plaintext)
    while at < end:
        index = int.from_bytes(plaintext[at : at + 4], "big")
        salt = plaintext[at + 4 : at + 4 + _SALT_BYTES]
        length = int.from_bytes(plaintext[at + 4 + _SALT_BYTES : at + _HEAD_BYTES], "big")
        at += _HEAD_BYTES
        if at + length > end:
            raise StoreError("a vault row ends inside a record", length=end)
        openings.append(Opening(index, salt, plaintext[at : at + length]))
        at += length
    return openings
