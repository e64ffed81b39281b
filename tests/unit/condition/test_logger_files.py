"""Logger files: what is read of each layout, and what each fault is refused with."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime

import pytest

from cellcustody.ledger.condition import (
    LINE_BYTES_MAX,
    Declared,
    Layout,
    Lines,
    LoggerFileMalformedError,
    Reading,
    TemperatureUnit,
    read_layout,
)

NEUTRAL = """\
cellcustody-logger-file 1
logger: L-17
unit: Cel
interval-seconds: 300
readings: 3
time,temperature
2026-03-01T10:00:00Z,4.125
2026-03-01T11:05:00+01:00,4.5
2026-03-01T10:10:00Z,-0.001
"""
BLOCK = """\
"Shipment Report",,
Serial Number: 0123456789,,
Time Zone: UTC+01:00,,
Logging Interval: 00:05:00,,
Date Format: DD/MM/YYYY,,
Data Points: 3,,
Highest Temperature: 8.5,,
,,
Date,Time,Temperature (°F)
01/03/2026,11:00:00,41
01/03/2026,11:05:00,41.9
01/03/2026,11:10:00,32
"""
CHANNELS = """\
Timestamp,Shipper (°C),Ambient (°C),Humidity (%)
2026-03-01T10:00:00Z,-150.25,20.0,41
2026-03-01T10:01:00Z,,20.1,41
2026-03-01T10:02:00Z,-149.75,20.2,42
"""
MINUTELY = Declared(logger="L-9", channel="Shipper", interval_seconds=60)


def micros(*when: int) -> int:
    """Returns microseconds since 1970 of a time in UTC."""
    year, month, day, hour, minute = when
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000


def readings(text: str, layout: Layout, declared: Declared | None = None) -> list[Reading]:
    """Returns the readings of a file."""
    _, found = read_layout(Lines(io.BytesIO(text.encode())), layout, declared or Declared())
    return list(found)


def refused(text: str | bytes, layout: Layout, declared: Declared | None = None) -> tuple[str, str]:
    """Returns the reason and the line with which a file is refused."""
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(LoggerFileMalformedError) as refusal:
        list(read_layout(Lines(io.BytesIO(raw)), layout, declared or Declared())[1])
    return refusal.value.reason, refusal.value.values["line"]


def test_the_neutral_layout_says_everything_itself() -> None:
    """Times carry their offsets; temperatures are exact to a thousandth."""
    lines = Lines(io.BytesIO(NEUTRAL.encode()))
    head, found = read_layout(lines, Layout.NEUTRAL, Declared())
    assert (head.logger, head.unit, head.interval_seconds, head.count) == ("L-17", TemperatureUnit.CELSIUS, 300, 3)
    start = micros(2026, 3, 1, 10, 0)
    five_minutes = 300 * 1_000_000
    assert list(found) == [
        Reading(start, 4125, 7),
        Reading(start + five_minutes, 4500, 8),
        Reading(start + 2 * five_minutes, -1, 9),
    ]
    assert lines.sha256 == hashlib.sha256(NEUTRAL.encode()).digest()


def test_a_header_block_declares_zone_unit_and_form_of_dates() -> None:
    """Local times become instants; Fahrenheit becomes thousandths of a degree Celsius."""
    found = readings(BLOCK, Layout.HEADER_BLOCK)
    assert [one.millicelsius for one in found] == [5000, 5500, 0]
    assert found[0].at == micros(2026, 3, 1, 10, 0)


def test_line_ends_and_byte_order_marks_change_nothing_but_the_digest() -> None:
    """A file saved on another machine reads the same."""
    text = "\ufeff" + BLOCK.replace("\n", "\r\n")
    assert readings(text, Layout.HEADER_BLOCK) == readings(BLOCK, Layout.HEADER_BLOCK)


def test_one_channel_of_several_is_read_and_an_empty_cell_is_no_reading() -> None:
    """The cell that is empty leaves a gap behind."""
    found = readings(CHANNELS, Layout.ISO_CHANNELS, MINUTELY)
    assert [(one.millicelsius, one.line) for one in found] == [(-150_250, 2), (-149_750, 4)]


@pytest.mark.parametrize(
    ("text", "unit", "millicelsius"),
    [
        ("273.15", TemperatureUnit.KELVIN, 0),
        ("77.35", TemperatureUnit.KELVIN, -195_800),
        ("-320.4", TemperatureUnit.FAHRENHEIT, -195_778),
        ("36.5", TemperatureUnit.FAHRENHEIT, 2500),
        ("-273.15", TemperatureUnit.CELSIUS, -273_150),
        ("+8.0004", TemperatureUnit.CELSIUS, 8000),
    ],
)
def test_units_are_converted_exactly(text: str, unit: TemperatureUnit, millicelsius: int) -> None:
    """Kelvin and Celsius to the thousandth, Fahrenheit to the nearest."""
    declared = Declared(logger="L", unit=unit, interval_seconds=60)
    found = readings(f"Time,T\n2026-03-01T10:00:00Z,{text}\n", Layout.ISO_CHANNELS, declared)
    assert [one.millicelsius for one in found] == [millicelsius]


def local(*rows: str, zone: str = "Europe/Berlin") -> str:
    """Returns a file with a header block and these rows."""
    head = f"Serial Number: S\nTime Zone: {zone}\nUnit: C\nInterval: 30 min\nDate,Time,Temperature\n"
    return head + "".join(row + ",4\n" for row in rows)


def test_the_hour_that_exists_twice_goes_on() -> None:
    """At the end of summer time, each reading is the earliest that lies behind the one before it."""
    rows = ("2026-10-25,01:30", "2026-10-25,02:00", "2026-10-25,02:30", "2026-10-25,02:00", "2026-10-25,02:30")
    found = readings(local(*rows), Layout.HEADER_BLOCK)
    assert [(one.at - found[0].at) // 60_000_000 for one in found] == [0, 30, 60, 90, 120]


@pytest.mark.parametrize(
    ("rows", "line"),
    [(("2026-03-29,01:30", "2026-03-29,02:30"), "7"), (("2026-10-25,02:30",), "6")],
    ids=["skipped", "twice"],
)
def test_times_that_cannot_be_known_are_refused(rows: tuple[str, ...], line: str) -> None:
    """A local time that the zone skipped, and one that existed twice with nothing in front of it."""
    assert refused(local(*rows), Layout.HEADER_BLOCK) == ("LOGGER_TIME_AMBIGUOUS", line)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (NEUTRAL.replace("file 1", "file 2"), "LOGGER_FILE_MALFORMED", "1"),
        (NEUTRAL.replace("unit: Cel\n", ""), "LOGGER_FILE_MALFORMED", "5"),
        (NEUTRAL.replace("unit: Cel", "unit: Rankine"), "LOGGER_UNIT_UNKNOWN", "3"),
        (NEUTRAL.replace("unit: Cel", "colour: red"), "LOGGER_FILE_MALFORMED", "3"),
        (NEUTRAL.replace("unit: Cel", "logger: L-18"), "LOGGER_FILE_MALFORMED", "3"),
        (NEUTRAL.replace("seconds: 300", "seconds: 0"), "LOGGER_INTERVAL_UNKNOWN", "6"),
        (NEUTRAL.replace("10:10:00Z", "10:10:00"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.replace("10:10:00Z", "10:04:59Z"), "LOGGER_TIMES_OUT_OF_ORDER", "9"),
        (NEUTRAL.replace("10:10:00Z", "10:05:00Z"), "LOGGER_TIMES_OUT_OF_ORDER", "9"),
        (NEUTRAL.replace("-01T10:10", "-32T10:10"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.replace("-0.001", "-0,001"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.replace("-0.001", "n/a"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.replace("-0.001", "-273.151"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.replace("-0.001", "201"), "LOGGER_FILE_MALFORMED", "9"),
        (NEUTRAL.removesuffix("2026-03-01T10:10:00Z,-0.001\n"), "LOGGER_FILE_CUT_OFF", "8"),
        (NEUTRAL.partition("time,")[0], "LOGGER_FILE_CUT_OFF", "5"),
        ("", "LOGGER_FILE_MALFORMED", "1"),
        (NEUTRAL + "x" * (LINE_BYTES_MAX + 1), "LOGGER_FILE_TOO_LARGE", "10"),
    ],
)
def test_a_faulty_neutral_file_is_refused_with_its_line(text: str, reason: str, line: str) -> None:
    """Strict: nothing is mended."""
    assert refused(text, Layout.NEUTRAL) == (reason, line)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (BLOCK.replace("Time Zone: UTC+01:00,,\n", ""), "LOGGER_ZONE_UNKNOWN", "9"),
        (BLOCK.replace("UTC+01:00", "Middle/Earth"), "LOGGER_ZONE_UNKNOWN", "3"),
        (BLOCK.replace(" (°F)", ""), "LOGGER_UNIT_UNKNOWN", "9"),
        (BLOCK.replace("Highest Temperature: 8.5", "Unit: Celsius"), "LOGGER_FILE_MALFORMED", "9"),
        (BLOCK.replace("Logging Interval: 00:05:00,,\n", ""), "LOGGER_INTERVAL_UNKNOWN", "8"),
        (BLOCK.replace("Serial Number: 0123456789,,\n", ""), "LOGGER_OF_ANOTHER_NAME", "8"),
        (BLOCK.replace("DD/MM/YYYY", "DDMMYY"), "LOGGER_FILE_MALFORMED", "5"),
        (BLOCK.replace("01/03/2026,11:05:00", "2026-03-01,11:05:00"), "LOGGER_FILE_MALFORMED", "11"),
        (BLOCK.replace("11:05:00", "11h05"), "LOGGER_FILE_MALFORMED", "11"),
        (BLOCK.replace("41.9", "41.9,9"), "LOGGER_FILE_MALFORMED", "11"),
        (BLOCK.replace("Points: 3", "Points: 4"), "LOGGER_FILE_CUT_OFF", "12"),
        (BLOCK.replace("Date,Time,Temperature (°F)", "Date,Time,Humidity"), "LOGGER_FILE_MALFORMED", "9"),
        (BLOCK.partition("Date,")[0], "LOGGER_FILE_CUT_OFF", "8"),
    ],
)
def test_a_faulty_header_block_is_refused_with_its_line(text: str, reason: str, line: str) -> None:
    """What the file does not say is not assumed."""
    assert refused(text, Layout.HEADER_BLOCK) == (reason, line)


@pytest.mark.parametrize(
    ("text", "declared", "reason", "line"),
    [
        (CHANNELS, Declared(logger="L-9", interval_seconds=60), "LOGGER_OF_ANOTHER_NAME", "1"),
        (CHANNELS, Declared(logger="L-9", channel="Lid", interval_seconds=60), "LOGGER_OF_ANOTHER_NAME", "1"),
        (CHANNELS, Declared(logger="L-9", channel="Shipper"), "LOGGER_INTERVAL_UNKNOWN", "1"),
        (CHANNELS, Declared(channel="Shipper", interval_seconds=60), "LOGGER_OF_ANOTHER_NAME", "1"),
        (CHANNELS, Declared("L-9", "Humidity", None, None, 60), "LOGGER_UNIT_UNKNOWN", "1"),
        (CHANNELS, Declared("L-9", "Shipper", TemperatureUnit.KELVIN, None, 60), "LOGGER_UNIT_UNKNOWN", "1"),
        (CHANNELS.replace("Ambient", "Shipper"), MINUTELY, "LOGGER_FILE_MALFORMED", "1"),
        (CHANNELS.replace("20.1,41", "20.1"), MINUTELY, "LOGGER_FILE_MALFORMED", "3"),
        (CHANNELS.replace("10:02:00Z", "10:02:00"), MINUTELY, "LOGGER_ZONE_UNKNOWN", "4"),
        (CHANNELS.replace("10:02:00Z", "10:00:30Z"), MINUTELY, "LOGGER_TIMES_OUT_OF_ORDER", "4"),
        (CHANNELS.replace("Timestamp", "No"), MINUTELY, "LOGGER_FILE_MALFORMED", "1"),
        (CHANNELS.replace("-149.75", '"-149.75'), MINUTELY, "LOGGER_FILE_MALFORMED", "4"),
    ],
)
def test_a_faulty_file_of_channels_is_refused_with_its_line(
    text: str, declared: Declared, reason: str, line: str
) -> None:
    """The channel is asked for by name; a row has the columns of the heading."""
    assert refused(text, Layout.ISO_CHANNELS, declared) == (reason, line)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (Declared(logger="L-18"), "LOGGER_OF_ANOTHER_NAME"),
        (Declared(unit=TemperatureUnit.KELVIN), "LOGGER_UNIT_UNKNOWN"),
        (Declared(interval_seconds=60), "LOGGER_INTERVAL_UNKNOWN"),
    ],
)
def test_what_is_declared_agrees_with_what_the_file_says(declared: Declared, reason: str) -> None:
    """Two words on one thing are no word."""
    assert refused(NEUTRAL, Layout.NEUTRAL, declared)[0] == reason


def test_bytes_that_are_no_text_are_refused() -> None:
    """Neither another encoding nor a control character is guessed at."""
    assert refused(NEUTRAL.encode().replace(b"L-17", b"L\xe917"), Layout.NEUTRAL) == ("LOGGER_FILE_MALFORMED", "2")
    assert refused(NEUTRAL.replace("L-17", "L\x0017"), Layout.NEUTRAL) == ("LOGGER_FILE_MALFORMED", "2")
