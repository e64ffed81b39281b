"""Read logger files: three layouts, each to a head and a stream of readings in the order of the file.

The rules:

* The layout is named by whoever reads the file out, never guessed.
* Logger, unit, zone and interval come from the file, or are declared; where both say something, both say the same.
* Times only ever go on: a reading at the time of the one before it, or earlier, is refused.
* An empty cell is no reading, and so makes a gap. Anything else that is no number is refused.
* A file that says how many readings it has, has them.

The layouts are described in docs/formats/logger-file.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final

from cellcustody.ledger.condition.errors import (
    LoggerFileCutOffError,
    LoggerFileMalformedError,
    LoggerFileTooLargeError,
    LoggerIntervalUnknownError,
    LoggerOfAnotherNameError,
    LoggerTimesOutOfOrderError,
    LoggerUnitUnknownError,
    LoggerZoneUnknownError,
)
from cellcustody.ledger.condition.lines import Lines, cells_of
from cellcustody.ledger.condition.temperatures import TemperatureUnit, millicelsius, unit_named
from cellcustody.ledger.condition.times import DATE_FORMATS, instant, iso_time, local_time, zone_named

__all__ = ["READINGS_MAX", "Declared", "Head", "Layout", "Reading", "read_layout"]

READINGS_MAX: Final = 1_000_000  # A reading a second for eleven days.
_HEAD_LINES_MAX: Final = 200  # No logger has more to say of itself.
_INTERVAL_SECONDS_MAX: Final = 24 * 3600


class Layout(StrEnum):
    """The layouts that are read."""

    NEUTRAL = "neutral-1"
    HEADER_BLOCK = "header-block-1"
    ISO_CHANNELS = "iso-channels-1"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: microseconds since 1970, thousandths of a degree Celsius, and the line it stands on."""

    at: int
    millicelsius: int
    line: int


@dataclass(frozen=True, slots=True)
class Declared:
    """What whoever reads a file out says of it; None where the file itself must say it."""

    logger: str | None = None
    channel: str | None = None
    unit: TemperatureUnit | None = None
    zone: str | None = None
    interval_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a file before its readings; `count` is how many it says to have, `zone` None for offsets."""

    layout: Layout
    logger: str
    channel: str
    unit: TemperatureUnit
    interval_seconds: int
    zone: tzinfo | None
    count: int | None


def read_layout(lines: Lines, layout: Layout, declared: Declared) -> tuple[Head, Iterator[Reading]]:
    """Returns the head of a file and its readings, which are read as they are taken.

    Raises:
        LoggerFileMalformedError: the file is not in this layout; at once, or while readings are taken.
    """
    match layout:
        case Layout.NEUTRAL:
            head, rows = _neutral(lines, declared)
        case Layout.HEADER_BLOCK:
            head, rows = _header_block(lines, declared)
        case Layout.ISO_CHANNELS:
            head, rows = _iso_channels(lines, declared)
    return head, _in_order(rows, head)


Row = tuple[int, datetime, str]  # The line, the time as written, the temperature as written (empty: none).


def _in_order(rows: Iterator[Row], head: Head) -> Iterator[Reading]:
    last: int | None = None
    count = 0
    line = 0
    for line, time, text in rows:  # The last line is told when the file was cut off.
        at = instant(time, head.zone, last, line)
        if last is not None and at <= last:
            found = "the time of the reading before it" if at == last else "an earlier time than the reading before it"
            raise LoggerTimesOutOfOrderError(f"the reading has {found}", line=line, time=time)
        last = at
        count += 1
        if count > READINGS_MAX:
            raise LoggerFileTooLargeError("the file has too many readings", line=line, readings_max=READINGS_MAX)
        if text:
            yield Reading(at, millicelsius(text, head.unit, line), line)
    if head.count is not None and count != head.count:
        raise LoggerFileCutOffError("the file has not the readings it says", line=line, said=head.count, found=count)


# What file and reader say of the same ------------------------------------------------------------------------------


def _head(layout: Layout, said: Mapping[str, tuple[str, int]], declared: Declared, line: int, channel: str) -> Head:
    logger, _ = said.get("logger", ("", line))
    if declared.logger is not None and logger and logger != declared.logger:
        raise LoggerOfAnotherNameError(
            "the file is of another logger", line=line, asked_for=declared.logger, found=logger
        )
    logger = logger or declared.logger or ""
    if not logger:
        raise LoggerOfAnotherNameError("neither the file nor its reader names the logger", line=line)
    count = _whole(*said["count"]) if "count" in said else None
    return Head(layout, logger, channel, _unit(said, declared, line), _interval(said, declared, line),
                _zone(said, declared, line), count)  # fmt: skip


def _unit(said: Mapping[str, tuple[str, int]], declared: Declared, line: int) -> TemperatureUnit:
    found = unit_named(*said["unit"]) if "unit" in said else None
    if found is None and declared.unit is None:
        raise LoggerUnitUnknownError("nothing says in which unit the logger measured", line=line)
    if found is not None and declared.unit not in (None, found):
        raise LoggerUnitUnknownError("the file says another unit than declared", line=said["unit"][1], unit=found)
    return found or declared.unit or TemperatureUnit.CELSIUS


def _zone(said: Mapping[str, tuple[str, int]], declared: Declared, line: int) -> tzinfo | None:
    found = zone_named(*said["zone"]) if "zone" in said else None
    asked = None if declared.zone is None else zone_named(declared.zone, 0)
    if found is not None and asked is not None and str(found) != str(asked):
        raise LoggerZoneUnknownError("the file says another zone than declared", line=said["zone"][1], zone=found)
    return found or asked


def _interval(said: Mapping[str, tuple[str, int]], declared: Declared, line: int) -> int:
    found = _seconds(*said["interval"]) if "interval" in said else None
    if found is None and declared.interval_seconds is None:
        raise LoggerIntervalUnknownError("nothing says how often the logger measured", line=line)
    if found is not None and declared.interval_seconds not in (None, found):
        raise LoggerIntervalUnknownError(
            "the file says another interval than declared", line=said["interval"][1], seconds=found
        )
    result = found or declared.interval_seconds or 0
    if not 1 <= result <= _INTERVAL_SECONDS_MAX:
        raise LoggerIntervalUnknownError("no logger measures so often or so seldom", line=line, seconds=result)
    return result


def _whole(text: str, line: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise LoggerFileMalformedError("a whole number is expected", line=line, value=text)
    return int(text)


def _seconds(text: str, line: int) -> int:
    """Returns an interval written as 300, 300 s, 5 min or 00:05:00."""
    clock = re.fullmatch(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})", text)
    if clock is not None:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    found = re.fullmatch(r"([0-9]{1,6})\s*(s|sec|seconds|min|minutes)?", text, re.IGNORECASE)
    if found is None:
        raise LoggerFileMalformedError("the interval is not in a form that is known", line=line, interval=text)
    return int(found[1]) * (60 if (found[2] or "s").lower().startswith("m") else 1)


# The layouts -------------------------------------------------------------------------------------------------------

_NEUTRAL_FIRST: Final = "cellcustody-logger-file 1"
_NEUTRAL_KEYS: Final = {"logger": "logger", "unit": "unit", "interval-seconds": "interval", "readings": "count"}


def _neutral(lines: Lines, declared: Declared) -> tuple[Head, Iterator[Row]]:
    if next(lines, "") != _NEUTRAL_FIRST:
        raise LoggerFileMalformedError("the file is no neutral logger file", line=1, expected=_NEUTRAL_FIRST)
    said: dict[str, tuple[str, int]] = {}
    for text in lines:
        if text == "time,temperature":
            break
        key, _, value = text.partition(": ")
        name = _NEUTRAL_KEYS.get(key)
        if name is None or not value or name in said:
            raise LoggerFileMalformedError("the line of the head is unknown or stands twice", line=lines.number)
        said[name] = (value, lines.number)
    else:
        raise LoggerFileCutOffError("the file ends in its head", line=lines.number)
    for name in _NEUTRAL_KEYS.values():
        if name not in said:
            raise LoggerFileMalformedError("the head does not say all it must", line=lines.number, missing=name)
    return _head(Layout.NEUTRAL, said, declared, lines.number, ""), _neutral_rows(lines)


def _neutral_rows(lines: Lines) -> Iterator[Row]:
    for text in lines:
        time, comma, temperature = text.partition(",")
        found = iso_time(time, lines.number) if comma else None
        if found is None or found.tzinfo is None or "," in temperature:
            raise LoggerFileMalformedError("a time with its offset and a temperature are expected", line=lines.number)
        yield lines.number, found, temperature


# How the makers of loggers name what their header blocks say, in lower case.
_BLOCK_KEYS: Final = {
    "serial number": "logger",
    "serial no": "logger",
    "sn": "logger",
    "logger id": "logger",
    "device id": "logger",
    "time zone": "zone",
    "timezone": "zone",
    "temperature unit": "unit",
    "unit": "unit",
    "logging interval": "interval",
    "log interval": "interval",
    "interval": "interval",
    "data points": "count",
    "readings": "count",
    "number of readings": "count",
    "date format": "date",
}
_UNIT_IN_HEADING: Final = re.compile(r"Temp(?:erature)?\.?\s*(?:[\[(]\s*(?P<unit>[^\])]+?)\s*[\])])?", re.IGNORECASE)


def _header_block(lines: Lines, declared: Declared) -> tuple[Head, Iterator[Row]]:
    said: dict[str, tuple[str, int]] = {}
    for text in lines:
        if lines.number > _HEAD_LINES_MAX:
            raise LoggerFileMalformedError("no heading Date,Time,Temperature was found", line=lines.number)
        cells = cells_of(text, lines.number)
        if len(cells) == len(("date", "time", "temperature")) and [one.lower() for one in cells[:2]] == [
            "date",
            "time",
        ]:
            heading = _UNIT_IN_HEADING.fullmatch(cells[2])
            if heading is None:
                raise LoggerFileMalformedError("the third column is no temperature", line=lines.number, found=cells[2])
            if heading["unit"]:
                _say(said, "unit", heading["unit"], lines.number)
            break
        _say_of_block(said, text, cells, lines.number)
    else:
        raise LoggerFileCutOffError("the file ends in its header block", line=lines.number)
    date_format = said.get("date", ("YYYY-MM-DD", 0))[0].upper()
    if date_format not in DATE_FORMATS:
        raise LoggerFileMalformedError("the date format is not known", line=said["date"][1], form=date_format)
    return _head(Layout.HEADER_BLOCK, said, declared, lines.number, ""), _block_rows(lines, date_format)


def _say_of_block(said: dict[str, tuple[str, int]], text: str, cells: list[str], line: int) -> None:
    key, colon, value = text.partition(":")
    if len(cells) > 1 and (not colon or "," in key):
        key, value = cells[0], cells[1]
    name = _BLOCK_KEYS.get(key.strip().strip('"').rstrip(":").lower())
    value = value.strip().strip('"').rstrip(",").strip()
    if name is not None and value:
        _say(said, name, value, line)


def _say(said: dict[str, tuple[str, int]], name: str, value: str, line: int) -> None:
    before = said.setdefault(name, (value, line))
    if before[0].lower() != value.lower() and not (
        name == "unit" and unit_named(before[0], line) is unit_named(value, line)
    ):
        raise LoggerFileMalformedError("the file says two things of itself", line=line, first=before[0], then=value)


def _block_rows(lines: Lines, date_format: str) -> Iterator[Row]:
    for text in lines:
        if not text.strip():
            continue
        cells = cells_of(text, lines.number)
        if len(cells) != len(("date", "time", "temperature")):
            raise LoggerFileMalformedError("a date, a time and a temperature are expected", line=lines.number)
        yield lines.number, local_time(cells[0], cells[1], date_format, lines.number), cells[2]


_TIME_HEADINGS: Final = frozenset({"timestamp", "time", "datetime", "date time", "date/time"})
_CHANNEL_HEADING: Final = re.compile(r"(?P<name>[^(\[]*?)\s*(?:[\[(]\s*(?P<unit>[^\])]+?)\s*[\])])?")


def _iso_channels(lines: Lines, declared: Declared) -> tuple[Head, Iterator[Row]]:
    heading = cells_of(next(lines, ""), 1)
    if not heading or heading[0].lower() not in _TIME_HEADINGS:
        raise LoggerFileMalformedError("the first column is no time", line=1, found=heading[0] if heading else "")
    names: list[str] = []
    units: list[str] = []
    for cell in heading[1:]:
        found = _CHANNEL_HEADING.fullmatch(cell)
        if found is None or not found["name"] or found["name"] in names:
            raise LoggerFileMalformedError("the heading of a channel is empty or stands twice", line=1, found=cell)
        names.append(found["name"])
        units.append(found["unit"] or "")
    if declared.channel is None and len(names) != 1:
        raise LoggerOfAnotherNameError("the file has several channels, and none was asked for", line=1, found=names)
    channel = names[0] if declared.channel is None and names else declared.channel
    if channel is None or channel not in names:
        raise LoggerOfAnotherNameError("the file has no such channel", line=1, asked_for=channel, found=names)
    place = names.index(channel)
    said = {"unit": (units[place], 1)} if units[place] else {}
    return _head(Layout.ISO_CHANNELS, said, declared, 1, channel), _channel_rows(lines, place + 1, len(heading))


def _channel_rows(lines: Lines, place: int, width: int) -> Iterator[Row]:
    for text in lines:
        if not text.strip():
            continue
        cells = cells_of(text, lines.number)
        if len(cells) != width:
            raise LoggerFileMalformedError(
                "the row has not the columns of the heading", line=lines.number, expected=width, found=len(cells)
            )
        yield lines.number, iso_time(cells[0], lines.number), cells[place]
