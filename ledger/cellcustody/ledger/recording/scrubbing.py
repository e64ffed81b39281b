"""Read a whole store again and hold it against itself and its last signed head: what a disk did to it comes to light.

The rules:

* Every entry below the head is there, in its exact form, under its own leaf hash, stream and sequence, chained to the
  one before it in its stream; together they make the head's root, and the root of the last checkpoint that left.
* Every tile holds the hashes that the entries make.
* Every row of the vault opens, and what it holds was signed; what was erased is counted.
* Every statement is found under its digest and id.
* The first damage ends it and is named with its leaf. Nothing is mended here: a damaged store is restored from a
  backup, and what the backup lacks is recovered.

Reading goes on beside a running writer: the head is taken once, and what comes after it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import ZERO_HASH, ReadEntry, leaf_hash_of, read_entry
from cellcustody.ledger.errors import CellcustodyError, FatalStoreError
from cellcustody.ledger.recording.sealing import LEAF_HASHES, decode_openings
from cellcustody.ledger.recording.shown_records import closed_records
from cellcustody.ledger.statements import ClosedRecord, DisclosedBody, Opening, ParsedStatement, parse_statement
from cellcustody.ledger.store import Head, LedgerStore, ShreddedError, Vault
from cellcustody.ledger.transparency import RightEdge, TileWrite

__all__ = ["Scrubbed", "StoreDamagedError", "scrub"]

READ_AT_ONCE: Final = 512


class StoreDamagedError(FatalStoreError):
    """Raised when what is stored is not what was recorded; `leaf_index` says where, `defect` what differs."""

    reason = "STORE_DAMAGED"


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What was read and found right. `bodies_erased` are those of which records are gone, as an erasure leaves them."""

    head: Head
    entries: int
    tiles: int
    bodies: int
    bodies_erased: int


def scrub(
    store: LedgerStore,
    vault: Vault | None,
    *,
    signed: tuple[int, bytes] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scrubbed:
    """Returns what was found right, when everything was.

    Without a vault bodies are left alone. `signed` is the (tree size, root) of the last checkpoint that left.
    `progress` is told how many entries of how many were read.

    Raises:
        StoreDamagedError: the first damage.
        StoreError: the store does not answer.
    """
    head = store.head()
    edge = RightEdge()
    chains: dict[bytes, tuple[int, bytes]] = {}
    tiles: dict[tuple[int, int], bytes] = {}
    tile_count = bodies = erased = 0
    while edge.size < head.size:
        start = edge.size
        wanted = min(READ_AT_ONCE, head.size - start)
        entries, rows = store.entries(start, wanted), store.leaf_hashes(start, wanted)
        if len(entries) != wanted or len(rows) != wanted:
            raise StoreDamagedError(
                "entries below the head are not there", leaf_index=start + min(len(entries), len(rows))
            )
        for leaf_index, (raw, row) in enumerate(zip(entries, rows, strict=True), start):
            statement, entry = _entry(leaf_index, raw, row)
            _check_chain(leaf_index, statement, entry, chains)
            chains[statement.stream] = (entry.sequence, row)
            _check_places(store, leaf_index, statement)
            if vault is not None and statement.commitment.field_numbers:
                bodies += 1
                erased += _check_body(store, vault, leaf_index, statement)
        for write in edge.extend(rows):
            tiles[write.level, write.index] = write.hashes
            if write.width == 256:
                tile_count += _check_tile(store, write)
                del tiles[write.level, write.index]
        if signed is not None and start < signed[0] <= edge.size:
            _check_signed(store, signed)
        if progress is not None:
            progress(edge.size, head.size)
    if edge.root() != head.root_hash:
        raise StoreDamagedError(
            "the entries do not make the head's root", leaf_index=head.size - 1, head_root=head.root_hash
        )
    if signed is not None and signed[0] > head.size:
        raise StoreDamagedError("a signed head has more entries", leaf_index=head.size, signed_size=signed[0])
    for (level, index), hashes in tiles.items():
        tile_count += _check_tile(store, TileWrite(level, index, hashes))
    for stream, (sequence, leaf_hash) in chains.items():
        found = store.stream_head(stream)
        if found is None or (found.sequence, found.leaf_hash) != (sequence, leaf_hash):
            raise StoreDamagedError("a stream ends elsewhere than its entries", stream=stream, sequence=sequence)
    return Scrubbed(head, head.size, tile_count, bodies, erased)


def _entry(leaf_index: int, raw: bytes, row: bytes) -> tuple[ParsedStatement, ReadEntry]:
    if leaf_hash_of(raw) != row:
        raise StoreDamagedError(
            "an entry is not what its leaf hash says", leaf_index=leaf_index, stored=row, computed=leaf_hash_of(raw)
        )
    try:
        entry = read_entry(raw)
        return parse_statement(entry.envelope), entry
    except CellcustodyError as defect:
        raise StoreDamagedError("an entry is not in its form", leaf_index=leaf_index, defect=str(defect)) from defect


def _check_chain(
    leaf_index: int, statement: ParsedStatement, entry: ReadEntry, chains: dict[bytes, tuple[int, bytes]]
) -> None:
    sequence, previous = chains.get(statement.stream, (0, ZERO_HASH))
    if (entry.sequence, entry.previous_leaf_hash) != (sequence + 1, previous):
        raise StoreDamagedError(
            "an entry does not follow the one before it in its stream",
            leaf_index=leaf_index,
            stream=statement.stream,
            sequence=entry.sequence,
            expected=sequence + 1,
        )


def _check_places(store: LedgerStore, leaf_index: int, statement: ParsedStatement) -> None:
    for found in (store.find_statement(statement.digest), store.find_statement_by_id(statement.statement_id)):
        if found is None or found.leaf_index != leaf_index:
            raise StoreDamagedError(
                "a statement is not found where it is recorded", leaf_index=leaf_index, digest=statement.digest
            )


def _check_body(store: LedgerStore, vault: Vault, leaf_index: int, statement: ParsedStatement) -> bool:
    """Returns whether records of the body are gone, as an erasure leaves them."""
    digest, count = statement.digest, len(statement.commitment.field_numbers)
    try:
        there = _openings(store, vault, digest)
        closed = closed_records(store, statement, there, {one.index for one in there})
        if len(there) + len(closed) < count:
            raise StoreDamagedError(
                "records of a body are not there", leaf_index=leaf_index, there=len(there), of=count
            )
        records: list[Opening | ClosedRecord] = sorted([*there, *closed], key=_place)
        DisclosedBody(tuple(records)).verify(statement.commitment)
    except StoreDamagedError:
        raise
    except CellcustodyError as defect:
        raise StoreDamagedError(
            "a body is not what was signed", leaf_index=leaf_index, digest=digest, defect=str(defect)
        ) from defect
    return len(there) < count


def _openings(store: LedgerStore, vault: Vault, digest: bytes) -> list[Opening]:
    """Returns the openings that are left; a key that was destroyed closes some, one that is missing is damage."""
    openings: list[Opening] = []
    for row in store.vault_rows(digest):
        if row.disclosure_class == LEAF_HASHES:
            continue
        if row.disclosure_class == DisclosureClass.PUBLIC:
            plaintext = row.ciphertext
        else:
            try:
                plaintext = vault.open(row.subject, row.disclosure_class, digest, row.ciphertext)
            except ShreddedError:
                continue
        openings.extend(decode_openings(plaintext))
    return openings


def _place(record: Opening | ClosedRecord) -> int:
    return record.index


def _check_tile(store: LedgerStore, write: TileWrite) -> int:
    stored = store.tile(write.level, write.index)
    if stored is None or stored[: len(write.hashes)] != write.hashes:
        raise StoreDamagedError("a tile is not what its entries make", level=write.level, index=write.index)
    return 1


def _check_signed(store: LedgerStore, signed: tuple[int, bytes]) -> None:
    size, root = signed
    edge = RightEdge()
    for start in range(0, size, READ_AT_ONCE):
        edge.extend(store.leaf_hashes(start, min(READ_AT_ONCE, size - start)))
    if edge.root() != root:
        raise StoreDamagedError(
            "the entries do not make the root that was signed", leaf_index=size - 1, signed=root, computed=edge.root()
        )
