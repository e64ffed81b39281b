"""Read from an entry what the maps are made of: its stream, its place there, its hash, and the aliases of an enrolment.

Entries come from the log, which checked them when they were recorded; here they are only read, and fast. Who verifies
an entry does so elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from cellcustody.ledger.completeness.errors import HeadMapFalseError
from cellcustody.ledger.completeness.values import blinded_alias
from cellcustody.ledger.entries import EntryMalformedError, leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import Opening, partial_body
from cellcustody.v1 import entry_pb2, envelope_pb2, harvest_pb2, heads_pb2, statement_pb2

__all__ = ["ENROLMENT", "MAP", "EntryPlace", "LoggedMap", "aliases_in", "logged_map", "place_of"]

ENROLMENT: Final = harvest_pb2.TherapyEnrolled.DESCRIPTOR.full_name
MAP: Final = heads_pb2.HeadsMapped.DESCRIPTOR.full_name
_HASH_BYTES: Final = 32
_ALIASES_FIELD: Final = harvest_pb2.TherapyEnrolled.DESCRIPTOR.fields_by_name["aliases"].number


class EntryPlace(NamedTuple):
    """An entry's place, and what it is."""

    stream: bytes
    sequence: int
    leaf_hash: bytes
    body_type: str
    envelope: bytes


class LoggedMap(NamedTuple):
    """What a logged map states."""

    covered_size: int
    streams: int
    heads_root: bytes
    aliases: int
    aliases_root: bytes
    alias_key_commitment: bytes
    enrolments: int
    enrolments_erased: int


def place_of(entry: bytes) -> EntryPlace:
    """Returns where an entry stands in its stream, and what it is.

    Raises:
        EntryMalformedError: the bytes are no entry.
    """
    try:
        read = entry_pb2.Entry.FromString(entry)
        payload = statement_pb2.Payload.FromString(envelope_pb2.Envelope.FromString(read.envelope).payload)
    except DecodeError as defect:
        raise EntryMalformedError("the bytes are no entry", length=len(entry)) from defect
    header = payload.header
    return EntryPlace(header.stream, read.sequence, leaf_hash_of(entry), header.body_type, read.envelope)


def logged_map(openings: Sequence[Opening], *, leaf_index: int) -> LoggedMap:
    """Returns what the body of a map's statement states; the openings are all of it, verified or the ledger's own.

    Raises:
        HeadMapFalseError: it is no map: a root has another length, or it covers its own entry.
    """
    try:
        body = partial_body(heads_pb2.HeadsMapped, openings)
    except CellcustodyError as defect:
        raise HeadMapFalseError("the body is no map", leaf_index=leaf_index, defect=str(defect)) from defect
    return logged_map_of(body, leaf_index=leaf_index)


def logged_map_of(body: heads_pb2.HeadsMapped, *, leaf_index: int) -> LoggedMap:
    """Returns what a map's body states.

    Raises:
        HeadMapFalseError: it is no map: a root has another length, or it covers its own entry.
    """
    hashes = (body.heads_root, body.aliases_root, body.alias_key_commitment)
    if any(len(one) != _HASH_BYTES for one in hashes):
        raise HeadMapFalseError("roots and commitment of a map have 32 bytes each", leaf_index=leaf_index)
    if body.covered_size > leaf_index:
        raise HeadMapFalseError(
            "a map covers entries that were not there yet", leaf_index=leaf_index, covered_size=body.covered_size
        )
    return LoggedMap(
        body.covered_size,
        body.streams,
        body.heads_root,
        body.aliases,
        body.aliases_root,
        body.alias_key_commitment,
        body.enrolments,
        body.enrolments_erased,
    )


def aliases_in(openings: Sequence[Opening], field_numbers: Sequence[int], alias_key: bytes) -> frozenset[bytes] | None:
    """Returns the blinded aliases of an enrolment, or None where a record of them is not open."""
    wanted = {index for index, number in enumerate(field_numbers) if number == _ALIASES_FIELD}
    there = [opening for opening in openings if opening.index in wanted]
    if len(there) != len(wanted):
        return None
    body = partial_body(harvest_pb2.TherapyEnrolled, sorted(there, key=lambda opening: opening.index))
    return frozenset(blinded_alias(alias_key, alias.scheme, alias.value) for alias in body.aliases)
