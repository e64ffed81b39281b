"""Build a dossier from a ledger, as of one signed checkpoint.

The rules:

* What is given: the therapy's entries, those of the consignments and lots that it cites, and all of the registry,
  policies and schemas, each up to the checkpoint's size.
* Records of PUBLIC and of the classes asked for are open as far as they are still there; every other record is closed
  by its leaf hash. Where even that is gone, the whole body is left out and a verifier says so.
* The same checkpoint, entries, openings and classes give the same bytes: nothing is drawn and no clock is read.

Reading goes through `DossierSource`, so that the format knows no store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.dossier.citations import cited_in
from cellcustody.ledger.dossier.embedded import embedded_verifiers
from cellcustody.ledger.dossier.layout import (
    BODIES as BODIES_FILE,
)
from cellcustody.ledger.dossier.layout import (
    CHECKPOINT,
    ENTRIES,
    FILE_NAMES,
    FORMAT_VERSION,
    HEADS,
    MANIFEST,
    PROOF,
    README,
    README_TEXT,
    TIMESTAMPS,
    canonical_zip,
    encode_entries,
)
from cellcustody.ledger.dossier.proof import shared_proof
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import NotFoundError
from cellcustody.ledger.statements import (
    Opening,
    ParsedStatement,
    PayloadType,
    Signer,
    StreamKind,
    parse_statement,
    partial_body,
    sign_envelope,
    single_stream_id,
)
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.v1 import dossier_pb2, entry_pb2, options_pb2

__all__ = [
    "BuiltDossier",
    "DossierSource",
    "GivenEntry",
    "ReadBody",
    "TherapyUnknownError",
    "TimestampsOf",
    "build_dossier",
    "read_given",
    "shown_body",
    "streams_given",
]

TimestampsOf: TypeAlias = Callable[[Sequence[int], int], bytes]
"""Gives the time evidence for entries at these leaf indexes (ascending), under a checkpoint of this size."""

_ALWAYS: Final = (StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA)


class TherapyUnknownError(NotFoundError):
    """Raised when a therapy has no entry under the checkpoint."""

    reason = "THERAPY_UNKNOWN"


class GivenEntry(NamedTuple):
    """An entry as recorded."""

    leaf_index: int
    stream: bytes
    sequence: int
    entry: bytes


class DossierSource(Protocol):
    """What a builder reads of a ledger."""

    def stream_entries(self, stream: bytes, size: int) -> list[GivenEntry]:
        """Returns every entry of a stream at a leaf index below `size`, in order."""
        ...

    def openings(self, statement_digest: bytes) -> Sequence[Opening]:
        """Returns the openings of a statement that are still there, in order."""
        ...

    def closed_hashes(self, statement_digest: bytes) -> Sequence[bytes]:
        """Returns the leaf hashes of a statement's records in order, or nothing where they are not kept."""
        ...

    def node(self, height: int, index: int, size: int) -> bytes:
        """Returns the hash of the full subtree over leaves [index << height, (index + 1) << height)."""
        ...


class BuiltDossier(NamedTuple):
    """A dossier, and what is told of it beside it."""

    data: bytes
    statements: int
    streams: tuple[bytes, ...]
    position: int


class ReadBody(NamedTuple):
    """A statement with the openings of its body that are still there."""

    statement: ParsedStatement
    openings: Sequence[Opening]


def build_dossier(
    source: DossierSource,
    therapy: bytes,
    *,
    checkpoint: bytes,
    ledger_id: bytes,
    service_signer: Signer,
    open_classes: Collection[DisclosureClass] = (),
    timestamps: TimestampsOf | None = None,
    heads: bytes = b"",
) -> BuiltDossier:
    """Returns the dossier of a therapy (stream id, 17 bytes) under a signed checkpoint of the log.

    `timestamps` gives the content of the file of that name, `heads` is that of its; empty where there is none to give.

    Raises:
        TherapyUnknownError: the therapy has no entry under the checkpoint.
    """
    size = parse_checkpoint(checkpoint).size
    classes = frozenset({DisclosureClass.PUBLIC, *open_classes})

    # (1): The therapy, what it cites, and what makes the registry.
    streams = {stream: source.stream_entries(stream, size) for stream in streams_given(source, therapy, size)}
    bodies = {given.leaf_index: read_given(source, given) for entries in streams.values() for given in entries}
    given_entries = sorted(entry for entries in streams.values() for entry in entries)

    # (2): The files.
    shown = [
        shape
        for given in given_entries
        if (shape := shown_body(source, given.leaf_index, bodies[given.leaf_index], classes)) is not None
    ]
    leaves = [given.leaf_index for given in given_entries]
    nodes = shared_proof(leaves, size, lambda height, index: source.node(height, index, size))
    files = {
        README: README_TEXT,
        **embedded_verifiers(),
        CHECKPOINT: checkpoint,
        TIMESTAMPS: b"" if timestamps is None else timestamps(leaves, size),
        ENTRIES: encode_entries((given.leaf_index, given.entry) for given in given_entries),
        BODIES_FILE: dossier_pb2.DossierBodies(bodies=shown).SerializeToString(deterministic=True),
        PROOF: b"".join(nodes),
        HEADS: heads,
    }

    # (3): The manifest, signed by the ledger.
    manifest = dossier_pb2.DossierManifest(
        format_version=FORMAT_VERSION,
        ledger_id=ledger_id,
        therapy=therapy,
        position=size,
        open_classes=[options_pb2.DisclosureClass.ValueType(number) for number in sorted(classes)],
        streams=[
            dossier_pb2.DossierStream(
                stream=stream, entries=len(entries), last_leaf_hash=leaf_hash_of(entries[-1].entry)
            )
            for stream, entries in sorted(streams.items())
        ],
        files=[
            dossier_pb2.DossierFile(
                name=name, length_bytes=len(files[name]), sha256=hashlib.sha256(files[name]).digest()
            )
            for name in FILE_NAMES
            if name != MANIFEST
        ],
    )
    files[MANIFEST] = sign_envelope(
        manifest.SerializeToString(deterministic=True), PayloadType.DOSSIER_MANIFEST, [service_signer]
    )
    data = canonical_zip([(name, files[name]) for name in FILE_NAMES])
    return BuiltDossier(data, len(given_entries), tuple(sorted(streams)), size)


def streams_given(source: DossierSource, therapy: bytes, size: int) -> tuple[bytes, ...]:
    """Returns the streams that the dossier of a therapy gives at this size, ascending.

    Raises:
        TherapyUnknownError: the therapy has no entry below it.
    """
    own = source.stream_entries(therapy, size)
    if not own:
        raise TherapyUnknownError("no such therapy is recorded", therapy=therapy)
    cited = {stream for given in own for stream in _citations(read_given(source, given))}
    streams = {therapy, *cited, *(single_stream_id(kind) for kind in _ALWAYS)}
    return tuple(stream for stream in sorted(streams) if stream == therapy or source.stream_entries(stream, size))


def read_given(source: DossierSource, given: GivenEntry) -> ReadBody:
    """Returns the statement of an entry, with what is still there of its body."""
    statement = parse_statement(entry_pb2.Entry.FromString(given.entry).envelope)
    openings = source.openings(statement.digest) if statement.commitment.field_numbers else ()
    return ReadBody(statement, openings)


def _citations(body: ReadBody) -> frozenset[bytes]:
    found = BODIES.get(body.statement.header.body_type)
    if found is None:
        return frozenset()
    return cited_in(partial_body(found.message_class, body.openings))


def shown_body(
    source: DossierSource, leaf_index: int, body: ReadBody, classes: frozenset[DisclosureClass]
) -> dossier_pb2.DossierBody | None:
    """Returns a body with the records of these classes open, or None where nothing of it can be shown."""
    numbers = body.statement.commitment.field_numbers
    if not numbers:
        return None
    found = BODIES[body.statement.header.body_type]
    there = {opening.index: opening for opening in body.openings}
    hashes = source.closed_hashes(body.statement.digest) if len(there) < len(numbers) else ()
    shape = dossier_pb2.DossierBody(leaf_index=leaf_index)
    for index, number in enumerate(numbers):
        opening = there.get(index)
        if opening is not None and found.classes[number] in classes:
            shape.openings.append(entry_pb2.Opening(index=index, salt=opening.salt, record=opening.record))
        elif opening is not None:
            shape.closed.append(dossier_pb2.ClosedRecord(index=index, leaf_hash=opening.leaf_hash))
        elif len(hashes) == len(numbers):
            shape.closed.append(dossier_pb2.ClosedRecord(index=index, leaf_hash=hashes[index]))
        else:
            return None  # A record is erased and its hash with it: nothing of this body can be shown to be signed.
    return shape
