"""Collect the rows of one stream, each as the table has it."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.views import tables
from cellcustody.ledger.views.messages import hold_record
from cellcustody.ledger.views.tables import Row, Table, Value

__all__ = ["RowWriter", "serialised"]


class RowWriter:
    """Collects the rows of one stream by table and key."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream
        self.rows: dict[tuple[str, Row], Row] = {}

    def write(self, table: Table, *values: Value) -> None:
        """Adds one row; the stream is its first column."""
        row = (self.stream, *values)
        self.rows[(table.name, row[: table.key_columns])] = row

    def attend(self, digest: bytes, units: Iterable[UnitRef], occurred: int, item: Message) -> None:
        """Adds the rows of a fact that wants attention at these units."""
        answer = serialised(item)
        for unit in units:
            self.write(tables.ATTENTION, digest, unit.site, unit.unit, occurred, answer)

    def hold(self, hold: Hold, units: Iterable[UnitRef]) -> None:
        """Adds the rows of a hold that stands on what these units answer for."""
        self.write(tables.HOLD, hold.hold, serialised(hold_record(hold)))
        for unit in units:
            self.write(tables.HOLD_ON, hold.hold, unit.site, unit.unit)


def serialised(message: Message) -> bytes:
    """Returns the bytes of an answer, equal for equal answers."""
    return message.SerializeToString(deterministic=True)
