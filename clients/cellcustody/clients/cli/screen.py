"""Print for people: tables, findings, what is about to be signed. Nothing that was read is taken for markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from cellcustody.clients.answers import Recorded
from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.errors import ExplainedFinding
from cellcustody.clients.showing import Showing
from cellcustody.ledger.custody.act import Status
from cellcustody.v1 import common_pb2

__all__ = [
    "confirm_on_screen",
    "finding_in_words",
    "moment",
    "print_recorded",
    "print_table",
    "say",
    "short",
    "unit_in_words",
]

_CONSOLE: Final = Console(markup=False, highlight=False, emoji=False)
_SHORT_LENGTH: Final = 12  # Enough of an id to tell two apart in one table.
_LOUD: Final = frozenset({Status.NONCONFORMING, Status.AWAITING})


def say(text: str, *, style: str | None = None) -> None:
    """Prints a text."""
    _CONSOLE.print(text, style=style, soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table, or that there is nothing."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")  # An id cut short cannot be copied.
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        _CONSOLE.print(table)
    else:
        say(f"{title}: none")


def confirm_on_screen(showing: Showing) -> bool:
    """Shows what will be signed and asks."""
    say(showing.text)
    try:
        return typer.confirm("Sign this?", err=True)
    except typer.Abort:  # Nobody is there to answer, or the answer was broken off: both are no yes.
        return False


def print_recorded(recorded: Recorded, *, as_json_text: bool) -> None:
    """Prints what became of a statement."""
    if as_json_text:
        typer.echo(
            as_json(
                {
                    "position": recorded.position,
                    "statement_id": recorded.statement_id.hex(),
                    "statement_digest": recorded.statement_digest.hex(),
                    "stream": recorded.stream.hex(),
                    "status": recorded.status.name,
                    "already_recorded": recorded.already_recorded,
                    "findings": [
                        {
                            "code": finding.code,
                            "strength": finding.strength,
                            "explanation": finding.explanation,
                            "values": dict(finding.values),
                        }
                        for finding in recorded.findings
                    ],
                    "holds_opened": [hold.hex() for hold in recorded.holds_opened],
                    "puts_in_effect": recorded.puts_in_effect.hex(),
                    "receipt": recorded.receipt.decode(errors="replace"),
                    "witnessed": recorded.witnessed,
                }
            )
        )
        return
    style = "bold red" if recorded.status in _LOUD else "green"
    again = " (it was recorded before)" if recorded.already_recorded else ""
    say(f"{recorded.status.name} at position {recorded.position}{again}", style=style)
    say(f"statement {recorded.statement_digest.hex()} in stream {recorded.stream.hex()}")
    if recorded.puts_in_effect:
        say(f"puts in effect {recorded.puts_in_effect.hex()}")
    for finding in recorded.findings:
        say(finding_in_words(finding), style="red" if finding.strength != "ADVISORY" else None)
    for hold in recorded.holds_opened:
        say(f"hold opened: {hold.hex()}", style="red")


def finding_in_words(finding: ExplainedFinding) -> str:
    """Returns a finding on one line with its values."""
    values = "; ".join(f"{name}: {value}" for name, value in finding.values)
    return f"{finding.strength} {finding.code}: {finding.explanation}" + (f" ({values})" if values else "")


def short(raw: bytes) -> str:
    """Returns the beginning of an id for a table, or a dash."""
    return raw.hex()[:_SHORT_LENGTH] if raw else "-"


def moment(unix_micros: int, offset_minutes: int = 0) -> str:
    """Returns a time to the second with its offset from UTC; microseconds since 1970 in."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_micros, minutes=offset_minutes)
    sign = "-" if offset_minutes < 0 else "+"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{local:%Y-%m-%d %H:%M:%S}{sign}{hours:02d}:{minutes:02d}"


def unit_in_words(unit: common_pb2.Unit) -> str:
    """Returns a unit as short site id and name, or a dash."""
    return f"{short(unit.site)}/{unit.unit or '*'}" if unit.site else "-"
