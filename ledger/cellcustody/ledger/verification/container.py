"""Open a dossier: the ZIP, then the files in it, each in its exact form.

The rules:

* The names, their order and every fixed field are those of the layout; contents come from the local headers alone.
* The file built again from these contents is equal, byte for byte: so nothing hides between, before or after them.
* entries.bin is whole, and strictly ascending by leaf index; bodies.binpb is in the exact wire form, and ascending.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from cellcustody.ledger.dossier.layout import (
    BODIES,
    CHECKPOINT,
    ENTRIES,
    FILE_NAMES,
    LOCAL_HEADER,
    PROOF,
    README,
    README_TEXT,
    canonical_zip,
)
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import ClosedRecord, Opening, parse_wire_form
from cellcustody.ledger.verification.errors import DossierFormError
from cellcustody.v1 import dossier_pb2

__all__ = ["EntryToVerify", "OpenedDossier", "bodies_of", "open_dossier", "read_entries_file", "records_of"]

_HASH_BYTES: Final = 32
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_ENTRY_HEAD: Final = struct.Struct(">QH")

Records = tuple[Opening | ClosedRecord, ...]


class EntryToVerify(NamedTuple):
    """An entry as given: its place, its bytes, and the records of its body, or None where the body is not shown."""

    leaf_index: int
    entry: bytes
    records: Records | None = None


class OpenedDossier(NamedTuple):
    """A dossier's contents. Nothing in it is verified."""

    files: Mapping[str, bytes]
    entries: tuple[EntryToVerify, ...]
    proof: tuple[bytes, ...]

    @property
    def checkpoint(self) -> bytes:
        """The signed checkpoint."""
        return self.files[CHECKPOINT]


def open_dossier(data: bytes) -> OpenedDossier:
    """Returns what a dossier holds.

    Raises:
        DossierFormError: it is not in its exact form; `file` says where.
    """
    # (1): The files, read from the front.
    files: dict[str, bytes] = {}
    at = 0
    for name in FILE_NAMES:
        if at + LOCAL_HEADER.size > len(data):
            raise DossierFormError("the file ends before its contents do", file=name, offset=at)
        signature, *_, length, _, name_length, extra_length = LOCAL_HEADER.unpack_from(data, at)
        start = at + LOCAL_HEADER.size + name_length + extra_length
        found = data[at + LOCAL_HEADER.size : at + LOCAL_HEADER.size + name_length]
        if signature != _LOCAL_SIGNATURE or found != name.encode() or start + length > len(data):
            raise DossierFormError("another file stands here, or it is cut off", file=name, offset=at)
        files[name] = data[start : start + length]
        at = start + length

    # (2): Built again from its contents it is the same, so that every byte of the container is accounted for.
    again = canonical_zip([(name, files[name]) for name in FILE_NAMES])
    if again != data:
        offset = _first_difference(again, data)
        raise DossierFormError("the file is not what its contents make", offset=offset, length=len(data))
    if files[README] != README_TEXT:
        raise DossierFormError("the text for finders is another", file=README)

    # (3): The entries with their bodies, and the proof.
    bodies = _read_bodies(files[BODIES])
    entries = tuple(
        EntryToVerify(leaf_index, entry, bodies.pop(leaf_index, None))
        for leaf_index, entry in read_entries_file(files[ENTRIES])
    )
    if bodies:
        raise DossierFormError("a body belongs to no entry", file=BODIES, leaf_index=min(bodies))
    proof = files[PROOF]
    if len(proof) % _HASH_BYTES:
        raise DossierFormError("a proof is whole hashes", file=PROOF, length=len(proof))
    hashes = tuple(proof[i : i + _HASH_BYTES] for i in range(0, len(proof), _HASH_BYTES))
    return OpenedDossier(files, entries, hashes)


def read_entries_file(raw: bytes) -> list[tuple[int, bytes]]:
    """Returns the entries laid out as in entries.bin, each with its leaf index.

    Raises:
        DossierFormError: the layout is not kept.
    """
    entries: list[tuple[int, bytes]] = []
    at, last = 0, -1
    while at < len(raw):
        if at + _ENTRY_HEAD.size > len(raw):
            raise DossierFormError("the entries end inside a head", file=ENTRIES, offset=at)
        leaf_index, length = _ENTRY_HEAD.unpack_from(raw, at)
        start = at + _ENTRY_HEAD.size
        if start + length > len(raw):
            raise DossierFormError("the entries end inside an entry", file=ENTRIES, offset=at)
        if leaf_index <= last:
            raise DossierFormError("entries ascend by leaf index, each once", file=ENTRIES, leaf_index=leaf_index)
        entries.append((leaf_index, raw[start : start + length]))
        at, last = start + length, leaf_index
    return entries


def _first_difference(first: bytes, second: bytes) -> int:
    """Returns the offset at which two byte strings differ, which may be the end of the shorter one."""
    low, high = 0, min(len(first), len(second))  # Equal below `low`; where they differ at all, it is from there on.
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _read_bodies(raw: bytes) -> dict[int, Records]:
    try:
        message = parse_wire_form(dossier_pb2.DossierBodies, raw)
    except CellcustodyError as defect:
        raise DossierFormError("the bodies are not in their exact form", file=BODIES, defect=str(defect)) from defect
    return bodies_of(message)


def bodies_of(message: dossier_pb2.DossierBodies) -> dict[int, Records]:
    """Returns the records of each body by the leaf index of its entry.

    Raises:
        DossierFormError: bodies or records do not ascend.
    """
    bodies: dict[int, Records] = {}
    last = -1
    for body in message.bodies:
        if body.leaf_index <= last:
            raise DossierFormError("bodies ascend by leaf index, each once", file=BODIES, leaf_index=body.leaf_index)
        last = body.leaf_index
        bodies[last] = records_of(body)
        if not bodies[last]:
            raise DossierFormError("a body without records is left out", file=BODIES, leaf_index=last)
    return bodies


def records_of(body: dossier_pb2.DossierBody) -> Records:
    """Returns the records of a body in order; that they are gapless is seen when they are held to the commitment.

    Raises:
        DossierFormError: open or closed records do not ascend.
    """
    for part in (body.openings, body.closed):
        indexes = [record.index for record in part]
        if indexes != sorted(set(indexes)):
            raise DossierFormError("records ascend, each once", file=BODIES, leaf_index=body.leaf_index)
    openings = (Opening(opening.index, opening.salt, opening.record) for opening in body.openings)
    closed = (ClosedRecord(record.index, record.leaf_hash) for record in body.closed)
    return tuple(sorted((*openings, *closed), key=lambda record: record.index))
