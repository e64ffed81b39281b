"""The commands about temperature loggers: read a file out into the summary that an inspection of receipt carries.

The rules:

* Nothing is sent and nothing is signed, and no profile is needed: the file stays where it is, its digest is told.
* Layout, band and grace are those that the logger was started with, as whoever reads it out gives them; without a band
  the condition is unknown.
* A file that is refused ends with 2, and says at which line and why. Its summary, UNKNOWN with the file's digest, is
  printed all the same, so that the inspection can still be told.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cellcustody.clients.cli.context import AsJson
from cellcustody.clients.cli.plain import Plain, as_json, plain_of
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import moment, print_table, say
from cellcustody.clients.logger_files import ReadOut, read_logger_out
from cellcustody.clients.showing import quantity_in_words
from cellcustody.ledger.condition import (
    ACTIVATION_ENERGY_JOULES_PER_MOLE,
    Declared,
    Layout,
    Leg,
    TemperatureUnit,
    celsius,
)
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import common_pb2, transport_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["register"]

_REFUSED: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Read temperature loggers out.")
    group.callback()(_loggers)
    group.command("read")(read)
    app.add_typer(group, name="logger")


def _loggers() -> None:
    """Read temperature loggers out."""


def read(
    file: Annotated[Path, typer.Argument(help="The file that the logger's reader wrote.")],
    layout: Annotated[Layout, typer.Option(help="The file's layout; never guessed.")],
    logger: Annotated[str | None, typer.Option(help="The logger, as it was started; the file must be of it.")] = None,
    channel: Annotated[str | None, typer.Option(help="The channel, where the file has several.")] = None,
    unit: Annotated[TemperatureUnit | None, typer.Option(help="The unit, where the file does not say.")] = None,
    zone: Annotated[
        str | None, typer.Option(help="Zone of times without an offset: UTC+01:00, or a name such as Europe/Berlin.")
    ] = None,
    interval: Annotated[int | None, typer.Option(min=1, help="Seconds between readings, as started.")] = None,
    least: Annotated[str | None, typer.Option("--min", help="Lowest temperature of the band, in Celsius.")] = None,
    most: Annotated[str | None, typer.Option("--max", help="Highest temperature of the band, in Celsius.")] = None,
    grace: Annotated[int, typer.Option(min=0, help="Seconds outside without a break that are let pass.")] = 0,
    left: Annotated[str | None, typer.Option(help="When the container left, ISO 8601 with offset.")] = None,
    received: Annotated[str | None, typer.Option(help="When it was received, ISO 8601 with offset.")] = None,
    read_out_at: Annotated[str | None, typer.Option(help="When it was read out, by the reader's clock.")] = None,
    clock_ahead: Annotated[
        int | None, typer.Option(help="Seconds by which the logger's clock was ahead of the reader's.")
    ] = None,
    energy: Annotated[
        int, typer.Option(help="Activation energy for the mean kinetic temperature, J/mol.")
    ] = ACTIVATION_ENERGY_JOULES_PER_MOLE,
    json: AsJson = False,
) -> None:
    """Read a logger's file out: extremes, mean kinetic temperature, time outside the band, gaps, and what it shows.

    With --json the summary is printed as ReceiptInspected carries it in `loggers`. Ends with 2 if the file is refused.
    """
    if (left is None) != (received is None):
        raise ConfigurationError("a leg has both ends: give --left and --received")
    leg = None if left is None or received is None else Leg(_micros(left), _micros(received))
    if leg is not None and leg.end < leg.start:
        raise ConfigurationError("what was received left before", left=left, received=received)
    started = transport_pb2.LoggerStarted(
        logger=logger or "",
        interval_seconds=interval or 0,
        band_min=None if least is None else _celsius(least),
        band_max=None if most is None else _celsius(most),
        grace_seconds=grace,
    )
    try:
        found = read_logger_out(
            file,
            layout,
            started,
            declared=Declared(logger, channel, unit, zone, interval),
            leg=leg,
            read_out_at=None if read_out_at is None else _micros(read_out_at),
            clock_ahead_seconds=clock_ahead,
            energy_joules_per_mole=energy,
        )
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=file, because=refusal.strerror) from refusal
    if json:
        typer.echo(as_json({"summary": plain_of(found.summary), "refused": _refusal(found)}))
    else:
        print_table("Logger", ("what", "value"), _rows(found.summary))
    if found.refusal is not None:
        typer.echo(f"cellcustody: the file is refused, its condition is unknown: {found.refusal}", err=True)
        raise typer.Exit(_REFUSED)
    if not json and found.summary.condition == common_pb2.CONDITION_UNKNOWN:
        say("Unknown is never in range: quality decides on what travelled.")


def _refusal(found: ReadOut) -> Plain:
    if found.refusal is None:
        return None
    values: dict[str, Plain] = {name: str(value) for name, value in found.refusal.values.items()}
    return {"reason": found.refusal.reason, "values": values}


def _rows(summary: common_pb2.LoggerSummary) -> Iterator[tuple[str, str]]:
    condition = common_pb2.Condition.Name(summary.condition).removeprefix("CONDITION_")
    yield "condition", condition.replace("_", " ").lower()
    yield "logger", summary.logger + (f", channel {summary.channel}" if summary.channel else "")
    yield "file", summary.file.sha256.hex() or "-"
    if not summary.readings:
        yield "readings", "none"
        return
    yield "readings", f"{summary.readings}, every {summary.interval_seconds} s"
    yield "first", moment(summary.first_reading_unix_micros)
    yield "last", moment(summary.last_reading_unix_micros)
    for name in ("temperature_min", "temperature_max", "temperature_mean_kinetic", "band_min", "band_max"):
        if summary.HasField(name):
            yield name.replace("_", " "), quantity_in_words(getattr(summary, name))
    parts = f"{summary.above_band_seconds} s above, {summary.below_band_seconds} s below"
    longest = summary.longest_out_of_band_seconds
    yield "outside the band", f"{summary.out_of_band_seconds} s ({parts}), {longest} s without a break"
    yield "gaps", f"{summary.gaps}, {summary.gap_seconds} s in all, {summary.longest_gap_seconds} s the longest"
    if summary.HasField("clock_ahead_seconds"):
        yield "clock", f"{summary.clock_ahead_seconds} s ahead of the reader's"


def _micros(text: str) -> int:
    return (time_of(text) - _EPOCH) // timedelta(microseconds=1)


def _celsius(text: str) -> common_pb2.Quantity:
    """Returns a limit of the band; it has thousandths of a degree and no more."""
    try:
        thousandths = Decimal(text) * 1000
    except InvalidOperation as failure:
        raise ConfigurationError("a temperature is a decimal number", text=text) from failure
    if not thousandths.is_finite() or thousandths != int(thousandths):
        raise ConfigurationError("a temperature has at most three decimals", text=text)
    return celsius(int(thousandths), common_pb2.QUANTITY_BASIS_NOMINAL)
