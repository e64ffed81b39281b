"""The views' tables: one set of rows for each stream, keyed and indexed by the question that they answer.

The rules:

* The first column of every table is the stream that the row is a function of; a stream's rows are replaced as one set.
* `answer` is the message that a query returns, serialised deterministically, so that equal rows are equal bytes.
* Columns beside it exist to find rows by, and nothing else.
* A change of any table, or of what a row means, raises SCHEMA_VERSION; a file of another version is rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ALERT",
    "ALIAS",
    "ATTENTION",
    "BATCH",
    "CITATION",
    "CONSIGNMENT",
    "CONTAINER",
    "HANDOFF",
    "HOLD",
    "HOLD_ON",
    "LOT",
    "LOT_MATERIAL",
    "LOT_USE",
    "MATERIAL",
    "NAMED",
    "OUTSTANDING",
    "PARTY",
    "QUALIFIED",
    "REMARK",
    "SCHEMA_VERSION",
    "TABLES",
    "THERAPY",
    "Row",
    "Table",
    "Value",
]

SCHEMA_VERSION: Final = 5

Value = int | str | bytes
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: columns as `name TYPE`, how many of the first make the key, and the indexes on the others."""

    name: str
    columns: tuple[str, ...]
    key_columns: int
    indexes: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names in order."""
        return tuple(column.split()[0] for column in self.columns)

    @property
    def create(self) -> tuple[str, ...]:
        """The statements that make the table and its indexes."""
        key = ", ".join(self.column_names[: self.key_columns])
        columns = ", ".join(f"{column} NOT NULL" for column in self.columns)
        return (
            f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID",
            *(
                f"CREATE INDEX {self.name}_by_{number} ON {self.name} ({index})"
                for number, index in enumerate(self.indexes)
            ),
        )

    @property
    def upsert(self) -> str:
        """The statement that writes one row in place of one with the same key."""
        return f"INSERT OR REPLACE INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"

    @property
    def delete(self) -> str:
        """The statement that deletes one row by its key."""
        named = " AND ".join(f"{name} = ?" for name in self.column_names[: self.key_columns])
        return f"DELETE FROM {self.name} WHERE {named}"


_UNITS = ("custodian_site BLOB", "custodian_unit TEXT", "possessor_site BLOB", "possessor_unit TEXT")
_BY_UNITS = ("custodian_site, custodian_unit", "possessor_site, possessor_unit")

THERAPY: Final = Table(
    "therapy",
    ("stream BLOB", "entries INTEGER", "last_digest BLOB", "first INTEGER", "last INTEGER", "answer BLOB"),
    1,
    ("last, first",),
)
ALIAS: Final = Table("alias", ("stream BLOB", "scheme TEXT", "value TEXT"), 3, ("scheme, value",))
PARTY: Final = Table("party", ("stream BLOB", "site BLOB"), 2, ("site, stream",))
MATERIAL: Final = Table(
    "material",
    ("stream BLOB", "material BLOB", *_UNITS, "has_ended INTEGER", "answer BLOB"),
    2,
    ("material", *_BY_UNITS),
)
HOLD: Final = Table("hold", ("stream BLOB", "hold BLOB", "answer BLOB"), 2, ("hold",))
HOLD_ON: Final = Table("hold_on", ("stream BLOB", "hold BLOB", "site BLOB", "unit TEXT"), 4, ("site, unit",))
BATCH: Final = Table(
    "batch",
    ("stream BLOB", "batch BLOB", "site BLOB", "unit TEXT", "is_to_release INTEGER", "answer BLOB"),
    2,
    ("is_to_release, site",),
)
OUTSTANDING: Final = Table(
    "outstanding",
    ("stream BLOB", "statement_digest BLOB", "site BLOB", "due INTEGER", "answer BLOB"),
    2,
    ("site, due",),
)
LOT_USE: Final = Table(
    "lot_use",
    ("stream BLOB", "statement_digest BLOB", "ordinal INTEGER", "lot_number TEXT", "lot BLOB", "answer BLOB"),
    3,
    ("lot_number", "lot"),
)
LOT_MATERIAL: Final = Table(
    "lot_material", ("stream BLOB", "statement_digest BLOB", "ordinal INTEGER", "material BLOB"), 4
)
CITATION: Final = Table("citation", ("stream BLOB", "consignment BLOB"), 2, ("consignment",))
CONSIGNMENT: Final = Table(
    "consignment",
    ("stream BLOB", "entries INTEGER", "last_digest BLOB", "first INTEGER", "last INTEGER", "answer BLOB"),
    1,
    ("last, first",),
)
CONTAINER: Final = Table(
    "container", ("stream BLOB", "container TEXT", *_UNITS, "is_open INTEGER", "answer BLOB"), 2, _BY_UNITS
)
HANDOFF: Final = Table(
    "handoff",
    (
        "stream BLOB",
        "release BLOB",
        "releaser_site BLOB",
        "releaser_unit TEXT",
        "receiver_site BLOB",
        "receiver_unit TEXT",
        "since INTEGER",
        "answer BLOB",
    ),
    2,
    ("releaser_site, since", "receiver_site, since", "since"),
)
ATTENTION: Final = Table(
    "attention",
    ("stream BLOB", "statement_digest BLOB", "site BLOB", "unit TEXT", "occurred INTEGER", "answer BLOB"),
    4,
    ("site, occurred",),
)

NAMED: Final = Table("named", ("stream BLOB", "kind TEXT", "value TEXT"), 3, ("kind, value",))
"""By what else a stream is found: donation numbers, shippers, loggers, equipment, and who signed in it."""

REMARK: Final = Table(
    "remark",
    (
        "stream BLOB",
        "kind TEXT",
        "statement_digest BLOB",
        "occurred INTEGER",
        "site BLOB",
        "signer BLOB",
        "stands INTEGER",
        "answer BLOB",
    ),
    3,
    ("kind, occurred", "site, kind, occurred", "signer, kind, occurred"),
)
"""What an inspector asks for across all streams: overrides, what broke a rule, corrections, what came late."""

ALERT: Final = Table(
    "alert",
    ("stream BLOB", "alert BLOB", "site BLOB", "warns INTEGER", "due INTEGER", "answer BLOB"),
    3,
    ("warns", "site, warns", "due, stream, alert"),
)
"""What will want attention from a time on, for each site that is to act; no clock is read to write it."""

LOT: Final = Table(
    "lot",
    ("stream BLOB", "lot_number TEXT", "standing TEXT", "is_held INTEGER", "recalled_leaf INTEGER", "answer BLOB"),
    1,
    ("lot_number", "standing"),
)

QUALIFIED: Final = Table(
    "qualified",
    (
        "stream BLOB",
        "statement_digest BLOB",
        "kind TEXT",
        "name TEXT",
        "holder BLOB",
        "origin BLOB",
        "destination BLOB",
        "valid_from INTEGER",
        "valid_until INTEGER",
        "withdrawn_from INTEGER",
        "leaf_index INTEGER",
    ),
    2,
    ("kind, name", "kind, holder", "kind, origin, destination"),
)
"""What was found fit, from when until when; `withdrawn_from` is beyond all times where it was not withdrawn."""

TABLES: Final = (
    THERAPY,
    ALIAS,
    PARTY,
    MATERIAL,
    HOLD,
    HOLD_ON,
    BATCH,
    OUTSTANDING,
    LOT_USE,
    LOT_MATERIAL,
    CITATION,
    CONSIGNMENT,
    CONTAINER,
    HANDOFF,
    ATTENTION,
    NAMED,
    REMARK,
    ALERT,
    LOT,
    QUALIFIED,
)
