"""The command that reads a logger out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cellcustody.clients.cli.app import app
from cellcustody.clients.cli.plain import body_from_json
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import common_pb2, transport_pb2

NEUTRAL = """cellcustody-logger-file 1
logger: L-17
unit: Cel
interval-seconds: 60
readings: 4
time,temperature
2026-03-01T10:00:00Z,4.1
2026-03-01T10:01:00Z,8.1
2026-03-01T10:02:00Z,4.3
2026-03-01T10:03:00Z,4.2
"""
LEFT = ("--left", "2026-03-01T11:00+01:00")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A neutral file of four readings, one of them above 8 degrees."""
    file = tmp_path / "logger.txt"
    file.write_text(NEUTRAL)
    return file


def read(file: Path, *options: str) -> Result:
    """Runs the command on a neutral file."""
    return CliRunner().invoke(app, ["logger", "read", str(file), "--layout", "neutral-1", *options])


def test_what_a_file_shows_is_printed_for_people(file: Path) -> None:
    """Condition, extremes and times outside, in words."""
    shown = read(file, "--min", "2", "--max", "8.0")
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    for part in ("out of range", "8.100 Cel", "120 s (120 s above, 0 s below)", "4, every 60 s"):
        assert part in words


def test_the_summary_is_printed_as_an_inspection_carries_it(file: Path) -> None:
    """What comes out goes into ReceiptInspected as it stands."""
    told = json.loads(read(file, "--min", "2", "--max", "8", "--json").stdout)
    assert told["refused"] is None
    body = body_from_json(transport_pb2.ReceiptInspected, json.dumps({"loggers": [told["summary"]]}))
    assert isinstance(body, transport_pb2.ReceiptInspected)
    (summary,) = body.loggers
    assert summary.condition == common_pb2.CONDITION_OUT_OF_RANGE
    assert summary.file.sha256 == hashlib.sha256(file.read_bytes()).digest()
    assert (summary.above_band_seconds, summary.readings, summary.band_max.mantissa) == (120, 4, 8_000)


@pytest.mark.parametrize(
    ("options", "condition"),
    [
        ((), "CONDITION_UNKNOWN"),  # No band: nothing can be in range of it.
        (("--max", "8.1"), "CONDITION_IN_RANGE"),
        (("--max", "8.099"), "CONDITION_OUT_OF_RANGE"),
        (("--max", "8", "--grace", "120"), "CONDITION_IN_RANGE"),
        (("--max", "8", "--grace", "119"), "CONDITION_OUT_OF_RANGE"),
        (("--max", "9", "--clock-ahead", "300"), "CONDITION_IN_RANGE"),
        (("--max", "9", "--clock-ahead", "-301"), "CONDITION_UNKNOWN"),
        (("--max", "9", "--read-out-at", "2026-03-01T09:58:00Z"), "CONDITION_IN_RANGE"),
        (("--max", "9", "--read-out-at", "2026-03-01T09:57:59Z"), "CONDITION_UNKNOWN"),
        (("--max", "9", *LEFT, "--received", "2026-03-01T10:04:30Z"), "CONDITION_IN_RANGE"),
        (("--max", "9", *LEFT, "--received", "2026-03-01T10:04:31Z"), "CONDITION_UNKNOWN"),
    ],
)
def test_band_grace_clock_and_leg_decide(file: Path, options: tuple[str, ...], condition: str) -> None:
    """Each just met and just beyond."""
    done = read(file, "--json", *options)
    assert (done.exit_code, json.loads(done.stdout)["summary"]["condition"]) == (0, condition)


def test_a_refused_file_ends_with_2_and_its_summary_is_unknown(file: Path) -> None:
    """Line and reason on standard error; the digest enters all the same."""
    file.write_text(NEUTRAL.replace("10:02", "10:01"))
    done = read(file, "--max", "8", "--logger", "L-17", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 2
    assert (told["refused"]["reason"], told["refused"]["values"]["line"]) == ("LOGGER_TIMES_OUT_OF_ORDER", "9")
    assert told["summary"]["condition"] == "CONDITION_UNKNOWN"
    assert told["summary"]["logger"] == "L-17"
    assert told["summary"]["file"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "LOGGER_TIMES_OUT_OF_ORDER" in done.stderr and "line=9" in done.stderr


def test_another_loggers_file_is_refused(file: Path) -> None:
    """The name it was started with is held against the file's."""
    done = read(file, "--logger", "L-18")
    assert done.exit_code == 2 and "LOGGER_OF_ANOTHER_NAME" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--max", "8,0"),
        ("--max", "8.0001"),
        ("--max", "nan"),
        ("--left", "2026-03-01T10:00Z"),
        ("--left", "2026-03-01T10:00Z", "--received", "2026-03-01T09:00Z"),
        ("--read-out-at", "2026-03-01T10:00"),
    ],
)
def test_what_cannot_be_meant_is_not_guessed(file: Path, options: tuple[str, ...]) -> None:
    """Decimal commas, finer limits than readings, half a leg, times without offset."""
    assert isinstance(read(file, *options).exception, ConfigurationError)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without a traceback of the operating system."""
    assert isinstance(read(tmp_path / "none").exception, ConfigurationError)
