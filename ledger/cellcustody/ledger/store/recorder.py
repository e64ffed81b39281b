"""What the recorders of both back ends share: the order of a commit's steps, and every read.

The rules of a commit, all inside one transaction that the back end opens and ends:

1. The head moves by compare-and-swap on size, root and epoch: a stale writer stops before it writes anything.
2. The library's recorder inserts the events, whose state is the entry.
3. Leaves, claims, vault rows, identity MACs, tiles and links follow, one statement for each table.
4. The transaction commits. Whether it did is never guessed: after an error the head row is reread.

`on_step` is called with `before:<step>` and `after:<step>` around each of them (`head`, `events`, each table,
`commit`), so that a test can fail or cut the power anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from cellcustody.ledger.store.errors import EntryNotFoundError, HeadMovedError, TileRewrittenError
from cellcustody.ledger.store.model import (
    Claim,
    Commit,
    Head,
    IdentityMac,
    OperationalFinding,
    StatementPosition,
    StreamEntry,
    StreamHead,
    VaultRow,
)
from cellcustody.ledger.store.tables import TILE, Row, Table, Value, rows_of

CursorT = TypeVar("CursorT")

IDS_AT_ONCE = 256  # SQLite takes 999 parameters in its oldest builds; a group has at most this many members.

MOVE_HEAD = (
    "UPDATE head SET size = ?, root_hash = ?, epoch = ? WHERE head_id = 1 AND size = ? AND root_hash = ? AND epoch = ?"
)
RAISE_EPOCH = "UPDATE head SET epoch = epoch + 1 WHERE head_id = 1"
SELECT_HEAD = "SELECT size, root_hash, epoch FROM head WHERE head_id = 1"

_JOIN_EVENT = (
    "JOIN stored_events ON stored_events.originator_id = leaf.originator_id "
    "AND stored_events.originator_version = leaf.originator_version"
)
_SELECT_ENTRIES = (
    f"SELECT stored_events.state FROM leaf {_JOIN_EVENT} "
    "WHERE leaf.leaf_index >= ? AND leaf.leaf_index < ? ORDER BY leaf.leaf_index"
)
_SELECT_LEAF_HASHES = "SELECT leaf_hash FROM leaf WHERE leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index"
_SELECT_STREAM = (
    f"SELECT leaf.leaf_index, leaf.originator_version, stored_events.state FROM leaf {_JOIN_EVENT} "
    "WHERE leaf.originator_id = ? AND leaf.originator_version > ? ORDER BY leaf.originator_version LIMIT ?"
)
_SELECT_STREAM_HEAD = (
    "SELECT originator_version, leaf_hash, leaf_index FROM leaf WHERE originator_id = ? "
    "ORDER BY originator_version DESC LIMIT 1"
)
_SELECT_STATEMENT = "SELECT leaf_index, originator_id, originator_version, statement_digest FROM leaf WHERE "
_SELECT_VAULT = (
    "SELECT vault.subject, vault.disclosure_class, vault.ciphertext FROM leaf "
    "JOIN vault ON vault.leaf_index = leaf.leaf_index WHERE leaf.statement_digest = ? "
    "ORDER BY vault.subject, vault.disclosure_class"
)
_SELECT_MACS = "SELECT kind, mac FROM identity_mac WHERE stream = ? ORDER BY kind, mac"
_SELECT_TILE = "SELECT hashes FROM tile WHERE level = ? AND tile_index = ?"
_SELECT_CLAIM = "SELECT statement_digest FROM claim WHERE kind = ? AND claim_key = ?"
_SELECT_LINKED = "SELECT source_stream FROM stream_link WHERE target_stream = ? ORDER BY source_stream"
_SELECT_FINDINGS = (
    "SELECT code, statement_id, statement_digest, recorded_at_us, detail FROM operational_finding "
    "ORDER BY recorded_at_us DESC, statement_digest LIMIT ?"
)


def _no_step(_step: str) -> None:
    """Does nothing: what runs around the steps of a commit outside tests."""


class LedgerRecorder(ABC, Generic[CursorT]):
    """Writes one group step by step, and reads; a back end adds its transaction and its connections."""

    on_step: Callable[[str], None] = staticmethod(_no_step)

    # What a back end provides.

    @abstractmethod
    def raise_epoch(self) -> Head:
        """Takes the writer's place and returns the head with the epoch raised."""

    @abstractmethod
    def settled_head(self) -> Head:
        """Returns the head when no transaction of this writer can still be on its way."""

    @abstractmethod
    def is_unique_violation(self, error: Exception) -> bool:
        """Tells whether `error` says that a unique constraint was violated."""

    @abstractmethod
    def is_fatal(self, error: Exception) -> bool:
        """Tells whether `error` says that the disk or the file can no longer be trusted."""

    @abstractmethod
    def keep_finding(self, finding: OperationalFinding) -> None:
        """Writes an operational finding in a transaction of its own."""

    @abstractmethod
    def truncate_log(self) -> None:
        """Empties the write-ahead log."""

    @abstractmethod
    def _select(self, sql: str, parameters: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        """Returns the rows of one query on a read connection."""

    @abstractmethod
    def _update(self, cursor: CursorT, sql: str, parameters: tuple[Value, ...]) -> int:
        """Runs one update in the transaction and returns how many rows it changed."""

    @abstractmethod
    def _insert_rows(self, cursor: CursorT, table: Table, rows: Sequence[Row]) -> int:
        """Inserts the rows in the transaction and returns how many rows it wrote."""

    # The steps of a commit.

    def _write_group(self, cursor: CursorT, group: Commit, write_events: Callable[[], None]) -> None:
        with self._step("head"):
            new, previous = group.new_head, group.previous_head
            moved = self._update(
                cursor,
                MOVE_HEAD,
                (new.size, new.root_hash, new.epoch, previous.size, previous.root_hash, previous.epoch),
            )
            if moved != 1:
                raise HeadMovedError(
                    "the head is not where this writer left it: another writer has taken over",
                    expected_size=previous.size,
                    expected_epoch=previous.epoch,
                )
        with self._step("events"):
            write_events()
        for table, rows in rows_of(group):
            with self._step(table.name):
                written = self._insert_rows(cursor, table, rows) if rows else 0
                if table is TILE and written != len(rows):
                    raise TileRewrittenError(
                        "a tile would lose or change hashes that it already holds", first_leaf=previous.size
                    )

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.on_step(f"before:{name}")
        yield
        self.on_step(f"after:{name}")

    # Reads.

    def head(self) -> Head:
        """Returns the head row."""
        return head_of(self._select(SELECT_HEAD, ()))

    def entry(self, leaf_index: int) -> bytes:
        """Returns the entry at `leaf_index`, or raises `EntryNotFoundError`."""
        rows = self._select(_SELECT_ENTRIES, (leaf_index, leaf_index + 1))
        if not rows:
            raise EntryNotFoundError("no entry has that leaf index", leaf_index=leaf_index)
        return _blob(rows[0][0])

    def entries(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` entries from `start` on."""
        return [_blob(state) for (state,) in self._select(_SELECT_ENTRIES, (start, start + limit))]

    def leaf_hashes(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` leaf hashes from `start` on."""
        return [_blob(leaf_hash) for (leaf_hash,) in self._select(_SELECT_LEAF_HASHES, (start, start + limit))]

    def stream_entries(self, stream: bytes, after_sequence: int, limit: int) -> list[StreamEntry]:
        """Returns up to `limit` entries of `stream` above `after_sequence`."""
        rows = self._select(_SELECT_STREAM, (stream.hex(), after_sequence, limit))
        return [StreamEntry(_whole(leaf), _whole(sequence), _blob(state)) for leaf, sequence, state in rows]

    def stream_head(self, stream: bytes) -> StreamHead | None:
        """Returns the last entry's place in `stream`, or None."""
        for sequence, leaf_hash, leaf_index in self._select(_SELECT_STREAM_HEAD, (stream.hex(),)):
            return StreamHead(_whole(sequence), _blob(leaf_hash), _whole(leaf_index))
        return None

    def find_statement(self, statement_digest: bytes) -> StatementPosition | None:
        """Returns where the statement with that digest was recorded, or None."""
        return self._position("statement_digest = ?", statement_digest)

    def find_statement_by_id(self, statement_id: bytes) -> StatementPosition | None:
        """Returns where the statement with that id was recorded, or None."""
        return self._position("statement_id = ?", statement_id)

    def recorded_ids(self, statement_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Returns those of these statement ids under which something was recorded."""
        found: set[bytes] = set()
        for start in range(0, len(statement_ids), IDS_AT_ONCE):
            asked = tuple(statement_ids[start : start + IDS_AT_ONCE])
            # Filled up to a power of two with what is asked already, so that few statements are ever compiled.
            asked += asked[-1:] * ((1 << (len(asked) - 1).bit_length()) - len(asked))
            sql = f"SELECT statement_id FROM leaf WHERE statement_id IN ({', '.join('?' * len(asked))})"
            found.update(_blob(statement_id) for (statement_id,) in self._select_to_write(sql, asked))
        return frozenset(found)

    def _select_to_write(self, sql: str, parameters: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        """Returns the rows of one query that the writer asks before a group; a back end may know a shorter way."""
        return self._select(sql, parameters)

    def _position(self, condition: str, key: bytes) -> StatementPosition | None:
        for leaf_index, stream, sequence, digest in self._select(_SELECT_STATEMENT + condition, (key,)):
            return StatementPosition(_whole(leaf_index), bytes.fromhex(str(stream)), _whole(sequence), _blob(digest))
        return None

    def vault_rows(self, statement_digest: bytes) -> list[VaultRow]:
        """Returns the sealed openings of a statement."""
        rows = self._select(_SELECT_VAULT, (statement_digest,))
        return [
            VaultRow(statement_digest, _blob(subject), _whole(number), _blob(ciphertext))
            for subject, number, ciphertext in rows
        ]

    def identity_macs(self, stream: bytes) -> list[IdentityMac]:
        """Returns the identity MACs of `stream`."""
        return [IdentityMac(stream, str(kind), _blob(mac)) for kind, mac in self._select(_SELECT_MACS, (stream,))]

    def tile(self, level: int, index: int) -> bytes | None:
        """Returns the hashes of a tile, or None."""
        for (hashes,) in self._select(_SELECT_TILE, (level, index)):
            return _blob(hashes)
        return None

    def claim(self, kind: str, key: bytes) -> bytes | None:
        """Returns the digest of the statement that holds the claim, or None."""
        for (digest,) in self._select(_SELECT_CLAIM, (kind, key)):
            return _blob(digest)
        return None

    def linked(self, stream: bytes) -> list[bytes]:
        """Returns the streams that cite `stream`."""
        return [_blob(source) for (source,) in self._select(_SELECT_LINKED, (stream,))]

    def operational_findings(self, limit: int) -> list[OperationalFinding]:
        """Returns up to `limit` operational findings, the latest first."""
        return [
            OperationalFinding(str(code), _blob(statement_id), _blob(digest), _whole(recorded_at_us), _blob(detail))
            for code, statement_id, digest, recorded_at_us, detail in self._select(_SELECT_FINDINGS, (limit,))
        ]

    def taken_claim(self, group: Commit) -> Claim | None:
        """Returns the first claim of `group` that is already held, or None; asked after a refusal only."""
        for entry in group.entries:
            if self.find_statement_by_id(entry.statement_id) is not None:
                return Claim("statement_id", entry.statement_id, entry.statement_digest)
            if self.find_statement(entry.statement_digest) is not None:
                return Claim("statement_digest", entry.statement_digest, entry.statement_digest)
        for claim in group.claims:
            if self.claim(claim.kind, claim.key) is not None:
                return claim
        return None


def head_of(rows: Sequence[tuple[Value, ...]]) -> Head:
    """Returns the head from the one row of its table."""
    ((size, root_hash, epoch),) = rows
    return Head(_whole(size), _blob(root_hash), _whole(epoch))


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a column of whole numbers holds {type(value).__name__}")
    return value


def _blob(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"a column of bytes holds {type(value).__name__}")
    return value


__all__ = ["RAISE_EPOCH", "SELECT_HEAD", "LedgerRecorder", "head_of"]
