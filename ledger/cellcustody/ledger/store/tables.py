"""The store's tables, defined once for both back ends; `docs/formats/store.md` describes them for operators.

The rules:

* `stored_events` is the event-sourcing library's table and belongs to it; all others are defined here.
* `leaf` gives every event its gapless place in the log. The library's own notification ids may have gaps.
* `head` has one row. It is moved by compare-and-swap and never deleted.
* A tile is only ever extended: its upsert refuses to shorten or change what is there.
* Streams are hex text in `stored_events` and `leaf`, where the library wants text, and 17 bytes elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cellcustody.ledger.store.model import Commit

Value = int | str | bytes
Row = tuple[Value, ...]


class ColumnType(Enum):
    """A column's type in SQLite (strict tables) and in PostgreSQL."""

    INTEGER = ("INTEGER", "bigint")
    TEXT = ("TEXT", "text")
    BLOB = ("BLOB", "bytea")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns in order, its constraints, and what an insert does on a conflict."""

    name: str
    columns: tuple[tuple[str, ColumnType], ...]
    constraints: tuple[str, ...]
    on_conflict: str = ""

    def create_sqlite(self) -> str:
        """Returns the statement that creates the table in SQLite."""
        columns = [f"{name} {kind.value[0]} NOT NULL" for name, kind in self.columns]
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join([*columns, *self.constraints])}) STRICT"

    def create_postgres(self) -> str:
        """Returns the statement that creates the table in PostgreSQL."""
        columns = [f"{name} {kind.value[1]} NOT NULL" for name, kind in self.columns]
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join([*columns, *self.constraints])})"

    def insert_sqlite(self) -> str:
        """Returns the insert of one row, run with `executemany`."""
        places = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {self.name} ({self._names()}) VALUES ({places}) {self.on_conflict}"

    def insert_postgres(self) -> str:
        """Returns the insert of any number of rows, one binary array per column, in one round trip."""
        places = ", ".join(f"%b::{kind.value[1]}[]" for _, kind in self.columns)
        return f"INSERT INTO {self.name} ({self._names()}) SELECT * FROM unnest({places}) {self.on_conflict}"

    def _names(self) -> str:
        return ", ".join(name for name, _ in self.columns)


INTEGER, TEXT, BLOB = ColumnType.INTEGER, ColumnType.TEXT, ColumnType.BLOB

HEAD: Final = Table(
    "head",
    (("head_id", INTEGER), ("size", INTEGER), ("root_hash", BLOB), ("epoch", INTEGER)),
    ("PRIMARY KEY (head_id)", "CHECK (head_id = 1)"),
    "ON CONFLICT (head_id) DO NOTHING",
)
LEAF: Final = Table(
    "leaf",
    (
        ("leaf_index", INTEGER),
        ("originator_id", TEXT),
        ("originator_version", INTEGER),
        ("leaf_hash", BLOB),
        ("statement_id", BLOB),
        ("statement_digest", BLOB),
    ),
    (
        "PRIMARY KEY (leaf_index)",
        "UNIQUE (originator_id, originator_version)",
        "UNIQUE (statement_id)",
        "UNIQUE (statement_digest)",
    ),
)
CLAIM: Final = Table(
    "claim",
    (("kind", TEXT), ("claim_key", BLOB), ("statement_digest", BLOB)),
    ("PRIMARY KEY (kind, claim_key)",),
)
# Keyed by leaf index rather than by digest: rows are then appended on the right edge of every index.
VAULT: Final = Table(
    "vault",
    (("leaf_index", INTEGER), ("subject", BLOB), ("disclosure_class", INTEGER), ("ciphertext", BLOB)),
    ("PRIMARY KEY (leaf_index, subject, disclosure_class)",),
)
IDENTITY_MAC: Final = Table(
    "identity_mac",
    (("stream", BLOB), ("kind", TEXT), ("mac", BLOB)),
    ("PRIMARY KEY (stream, kind, mac)",),
    "ON CONFLICT (stream, kind, mac) DO NOTHING",
)
TILE: Final = Table(
    "tile",
    (("level", INTEGER), ("tile_index", INTEGER), ("hashes", BLOB)),
    ("PRIMARY KEY (level, tile_index)",),
    "ON CONFLICT (level, tile_index) DO UPDATE SET hashes = excluded.hashes "
    "WHERE substr(excluded.hashes, 1, length(tile.hashes)) = tile.hashes",
)
STREAM_LINK: Final = Table(
    "stream_link",
    (("target_stream", BLOB), ("source_stream", BLOB)),
    ("PRIMARY KEY (target_stream, source_stream)",),
    "ON CONFLICT (target_stream, source_stream) DO NOTHING",
)
OPERATIONAL_FINDING: Final = Table(
    "operational_finding",
    (
        ("code", TEXT),
        ("statement_id", BLOB),
        ("statement_digest", BLOB),
        ("recorded_at_us", INTEGER),
        ("detail", BLOB),
    ),
    ("PRIMARY KEY (code, statement_id, statement_digest)",),
    "ON CONFLICT (code, statement_id, statement_digest) DO NOTHING",
)

TABLES: Final = (HEAD, LEAF, CLAIM, VAULT, IDENTITY_MAC, TILE, STREAM_LINK, OPERATIONAL_FINDING)


def rows_of(group: Commit) -> tuple[tuple[Table, Sequence[Row]], ...]:
    """Returns the rows of `group` by table, in the order in which they are written."""
    leaf_by_digest = {entry.statement_digest: entry.leaf_index for entry in group.entries}
    return (
        (
            LEAF,
            [
                (e.leaf_index, e.stream.hex(), e.sequence, e.leaf_hash, e.statement_id, e.statement_digest)
                for e in group.entries
            ],
        ),
        (CLAIM, [(c.kind, c.key, c.statement_digest) for c in group.claims]),
        (
            VAULT,
            [
                (leaf_by_digest[v.statement_digest], v.subject, v.disclosure_class, v.ciphertext)
                for v in group.vault_rows
            ],
        ),
        (IDENTITY_MAC, [(m.stream, m.kind, m.mac) for m in group.identity_macs]),
        (TILE, [(t.level, t.index, t.hashes) for t in group.tiles]),
        (STREAM_LINK, [(link.target_stream, link.source_stream) for link in group.links]),
    )


__all__ = ["HEAD", "OPERATIONAL_FINDING", "TABLES", "TILE", "Row", "Table", "Value", "rows_of"]
