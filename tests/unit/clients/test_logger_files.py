"""A logger read out at a site: what an inspection will carry of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cellcustody.clients.logger_files import band_of_logger, read_logger_out
from cellcustody.ledger.condition import FILE_BYTES_MAX, Band, Declared, Layout, Leg, LoggerUnitUnknownError
from cellcustody.v1 import common_pb2, transport_pb2

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
MICROS = int(START.timestamp()) * 1_000_000


def celsius(mantissa: int, exponent: int = -1) -> common_pb2.Quantity:
    """Returns a temperature."""
    return common_pb2.Quantity(mantissa=mantissa, exponent=exponent, unit="Cel", comparator=common_pb2.COMPARATOR_EQUAL)


def started(**changed: object) -> transport_pb2.LoggerStarted:
    """Returns the start of a logger with a band of 2 to 8 degrees and a minute between readings."""
    body = transport_pb2.LoggerStarted(
        container="box", logger="L-1", interval_seconds=60, band_min=celsius(20), band_max=celsius(80)
    )
    for name, value in changed.items():
        setattr(body, name, value)
    return body


def written(folder: Path, *tenths: int) -> Path:
    """Writes a file of readings a minute apart, of one channel in Celsius."""
    file = folder / "logger.csv"
    rows = [f"{(START + timedelta(minutes=n)).isoformat()},{one / 10}" for n, one in enumerate(tenths)]
    file.write_text("\n".join(("Timestamp,Inside (°C)", *rows)), encoding="utf-8")
    return file


def test_a_file_becomes_the_summary_of_an_inspection(tmp_path: Path) -> None:
    """Name and interval are those the logger was started with; the file enters by its digest."""
    file = written(tmp_path, 21, 40, 62)
    leg = Leg(MICROS, MICROS + 120_000_000)
    read = read_logger_out(file, Layout.ISO_CHANNELS, started(), leg=leg, clock_ahead_seconds=1)
    assert read.refusal is None
    said = read.summary
    assert (said.logger, said.channel, said.readings) == ("L-1", "Inside", 3)
    assert said.condition == common_pb2.CONDITION_IN_RANGE
    assert said.file.sha256 == hashlib.sha256(file.read_bytes()).digest()
    assert (said.band_min.mantissa, said.band_max.mantissa, said.interval_seconds) == (2_000, 8_000, 60)


def test_the_grace_of_the_start_counts(tmp_path: Path) -> None:
    """Two minutes above the band, with two minutes of grace and with less."""
    file = written(tmp_path, 40, 90, 40)
    for grace, condition in ((120, common_pb2.CONDITION_IN_RANGE), (119, common_pb2.CONDITION_OUT_OF_RANGE)):
        said = read_logger_out(file, Layout.ISO_CHANNELS, started(grace_seconds=grace)).summary
        assert (said.condition, said.longest_out_of_band_seconds) == (condition, 120)


def test_a_file_that_is_refused_is_unknown_and_says_why(tmp_path: Path) -> None:
    """Its digest enters all the same; one far too long is not even that."""
    file = written(tmp_path, 40, 41, 42)
    file.write_text(file.read_text("utf-8") + "\nnonsense,1", encoding="utf-8")
    read = read_logger_out(file, Layout.ISO_CHANNELS, started())
    assert read.refusal is not None
    assert (read.refusal.reason, read.refusal.values["line"]) == ("LOGGER_FILE_MALFORMED", "5")
    assert read.summary.condition == common_pb2.CONDITION_UNKNOWN
    assert read.summary.file.sha256 == hashlib.sha256(file.read_bytes()).digest()
    assert read.summary.readings == 0

    huge = tmp_path / "huge.csv"
    with huge.open("wb") as sparse:
        sparse.truncate(FILE_BYTES_MAX + 1)
    read = read_logger_out(huge, Layout.NEUTRAL, started())
    assert read.refusal is not None
    assert not read.summary.HasField("file")


def test_another_loggers_file_is_refused(tmp_path: Path) -> None:
    """A neutral file names its logger."""
    file = tmp_path / "neutral.txt"
    file.write_text(
        "cellcustody-logger-file 1\nlogger: L-2\nunit: Cel\ninterval-seconds: 60\nreadings: 0\ntime,temperature\n"
    )
    read = read_logger_out(file, Layout.NEUTRAL, started())
    assert read.refusal is not None and read.refusal.reason == "LOGGER_OF_ANOTHER_NAME"
    read = read_logger_out(file, Layout.NEUTRAL, started(), declared=Declared(logger="L-2"))
    assert read.refusal is None
    assert read.summary.condition == common_pb2.CONDITION_UNKNOWN


@pytest.mark.parametrize(
    ("least", "most", "band"),
    [
        (celsius(20), celsius(80), Band(2_000, 8_000)),
        (celsius(-15_000_01, -4), celsius(80_009, -4), Band(-150_000, 8_000)),
        (None, celsius(-120, 0), Band(None, -120_000)),
    ],
)
def test_a_band_is_rounded_inwards(
    least: common_pb2.Quantity | None, most: common_pb2.Quantity | None, band: Band
) -> None:
    """Finer limits than thousandths never let more pass."""
    assert band_of_logger(transport_pb2.LoggerStarted(band_min=least, band_max=most)) == band


def test_a_band_in_another_unit_is_refused_not_passed_over() -> None:
    """A limit that is not understood would let every reading pass."""
    started_in_kelvin = started()
    started_in_kelvin.band_max.CopyFrom(common_pb2.Quantity(mantissa=281, unit="K"))
    with pytest.raises(LoggerUnitUnknownError):
        band_of_logger(started_in_kelvin)


def test_a_logger_started_without_a_band_shows_nothing(tmp_path: Path) -> None:
    """No reading is in range of no band."""
    without = transport_pb2.LoggerStarted(container="box", logger="L-1", interval_seconds=60)
    said = read_logger_out(written(tmp_path, 40, 41, 42), Layout.ISO_CHANNELS, without).summary
    assert said.condition == common_pb2.CONDITION_UNKNOWN
