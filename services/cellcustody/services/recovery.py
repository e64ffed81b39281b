"""Gather what others hold of a log's lost tail, and bring it back under the last signed head.

The rules:

* The last signed head is the journal's; where the journal was lost as well, a checkpoint that somebody else kept is
  given, which has to be signed by the log's keys as the store's registry tells them.
* A copy is a database file of this ledger, a dossier, a folder with the paths of the log (what `audit` keeps), or a
  statement that its submitter signed into a file, which brings a body.
* While this runs the server is stopped: store and journal are held by one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.opening import open_registry
from cellcustody.ledger.recording.recovering import Copies, Recovered, recover_tail
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.recording.shown_records import kept_leaf_hashes
from cellcustody.ledger.statements import ClosedRecord, Opening, parse_statement
from cellcustody.ledger.store import HeadJournal, KeyStore, LedgerStore, Vault, open_sqlite
from cellcustody.ledger.transparency import Checkpoint, decode_bundle, parse_bundle_path, parse_checkpoint
from cellcustody.ledger.verification import open_dossier, verify_log_checkpoint
from cellcustody.services.configuration import Configuration
from cellcustody.services.log_keys import read_signed_statement
from cellcustody.services.open_ledger import open_store, read_anchor
from cellcustody.v1 import ledger_service_pb2

__all__ = ["recover"]

READ_AT_ONCE: Final = 500
FILE_BYTES_MAX: Final = 1 << 30  # A dossier or a database; a bundle has at most 16 MiB.
CHECKPOINT_BYTES_MAX: Final = 1_000_000
_ALL_CLASSES: Final = frozenset(range(1, 7))
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"
_ZIP_MAGIC: Final = b"PK\x03\x04"


def recover(
    configuration: Configuration,
    sources: Sequence[Path],
    environment: Mapping[str, str],
    *,
    checkpoint: Path | None = None,
) -> Recovered:
    """Brings back what the store lacks up to the last signed head, from these copies.

    Raises:
        RecoveryIncompleteError, RecoveryConflictError: it cannot be; nothing was recorded.
        ConfigurationError: a file is missing or none of these, or nothing tells the last signed head.
    """
    with ExitStack() as opened:
        key_store = KeyStore(configuration.ledger.key_store, configuration.keys.master_key(environment))
        opened.callback(key_store.close)
        vault = Vault(key_store)
        journal = opened.enter_context(HeadJournal(configuration.ledger.journal))
        store = open_store(configuration, environment)
        opened.callback(store.close)
        signed = _signed_head(configuration, journal, store, vault, checkpoint)
        copies = Copies()
        for source in sources:
            _read(source, copies, vault, store.head().size, signed.size)
        return recover_tail(store, vault, copies, size=signed.size, root_hash=signed.root)


def _signed_head(
    configuration: Configuration, journal: HeadJournal, store: LedgerStore, vault: Vault, given: Path | None
) -> Checkpoint:
    """Returns the last head that is known to have been signed: the journal's, or a later one that somebody kept."""
    note = journal.last()
    known = None if note is None else parse_checkpoint(note)
    if given is not None:
        raw = _content(given, CHECKPOINT_BYTES_MAX)
        anchor = read_anchor(configuration.ledger.anchor)
        verify_log_checkpoint(raw, open_registry(store, vault), anchor)
        shown = parse_checkpoint(raw)
        if known is None or shown.size > known.size:
            known = shown
    if known is None:
        raise ConfigurationError("nothing tells the last signed head: give a --checkpoint that somebody kept")
    return known


def _read(source: Path, copies: Copies, vault: Vault, start: int, end: int) -> None:
    if source.is_dir():
        _read_folder(source, copies, start, end)
        return
    try:
        with source.open("rb") as stream:
            magic = stream.read(len(_SQLITE_MAGIC))
    except OSError as defect:
        raise ConfigurationError("a copy cannot be read", value=source, cause=defect.strerror) from defect
    if magic == _SQLITE_MAGIC:
        _read_database(source, copies, vault, start, end)
    elif magic.startswith(_ZIP_MAGIC):
        for given in open_dossier(_content(source, FILE_BYTES_MAX)).entries:
            if start <= given.leaf_index < end:
                copies.add(str(source), given.leaf_index, given.entry, given.records or ())
    else:
        submission = read_signed_statement(source)
        copies.add_body(parse_statement(submission.envelope).digest, submission.openings)


def _read_database(source: Path, copies: Copies, vault: Vault, start: int, end: int) -> None:
    """Reads another database of this ledger, sealed under the same keys."""
    store = open_sqlite(source)
    try:
        at = start
        while at < min(end, store.head().size):
            for raw in store.entries(at, min(READ_AT_ONCE, end - at)):
                digest = parse_statement(read_entry(raw).envelope).digest
                openings = openings_of(store, vault, digest, _ALL_CLASSES)
                shown = {one.index for one in openings}
                hashes = kept_leaf_hashes(store, digest)
                closed = [ClosedRecord(index, one) for index, one in enumerate(hashes) if index not in shown]
                copies.add(str(source), at, raw, [*openings, *closed])
                at += 1
    finally:
        store.close()


def _read_folder(source: Path, copies: Copies, start: int, end: int) -> None:
    """Reads bundles of entries, and what is public of their bodies, under the log's own paths."""
    bundles = source / "tile" / "entries"
    found = sorted(path for path in bundles.rglob("*") if path.is_file()) if bundles.is_dir() else []
    if not found:
        raise ConfigurationError("a folder holds no bundles of entries", value=source)
    for path in found:
        bundle = parse_bundle_path(path.relative_to(source).as_posix())
        entries = decode_bundle(_content(path, FILE_BYTES_MAX), bundle.width)
        for leaf_index, raw in enumerate(entries, bundle.index * 256):
            if start <= leaf_index < end:
                copies.add(str(path), leaf_index, raw, _public_openings(source, leaf_index))


def _public_openings(source: Path, leaf_index: int) -> list[Opening | ClosedRecord]:
    path = source / "openings" / str(leaf_index)
    if not path.is_file():
        return []
    try:
        answer = ledger_service_pb2.GetEntryResponse.FromString(_content(path, FILE_BYTES_MAX))
    except DecodeError as defect:
        raise ConfigurationError("a file of openings holds none", value=path) from defect
    opened = [Opening(one.index, one.salt, one.record) for one in answer.openings]
    return [*opened, *(ClosedRecord(one.index, one.leaf_hash) for one in answer.closed)]


def _content(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as defect:
        raise ConfigurationError("a file cannot be read", value=path, cause=defect.strerror) from defect
    if len(content) > limit:
        raise ConfigurationError("a file is too large", value=path, limit=limit)
    return content
