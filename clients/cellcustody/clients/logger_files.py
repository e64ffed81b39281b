"""Read a logger out into the summary that an inspection carries: what `cellcustody.ledger.condition` makes of its file.

The rules:

* The band and the grace are those that the logger was started with; the leg is from its departure to its receipt.
* A file that is refused has a summary too: UNKNOWN, with the file's digest, so that the inspection can still be told.
  Why it was refused is told to the person at the screen; it is for them to look for another export.
* Nothing is sent: the file stays where it is, and its digest enters the ledger.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from cellcustody.ledger.condition import (
    ACTIVATION_ENERGY_JOULES_PER_MOLE,
    FILE_BYTES_MAX,
    Band,
    Declared,
    Layout,
    Leg,
    LoggerFileMalformedError,
    LoggerUnitUnknownError,
    logger_summary,
    summarise,
    unreadable_logger,
)
from cellcustody.ledger.custody.quantities import amount
from cellcustody.v1 import common_pb2, transport_pb2

__all__ = ["ReadOut", "band_of_logger", "read_logger_out"]

_THOUSANDTHS: Final = 1000


@dataclass(frozen=True, slots=True)
class ReadOut:
    """The summary of one logger's file, and why the file was refused if it was."""

    summary: common_pb2.LoggerSummary
    refusal: LoggerFileMalformedError | None = None


def band_of_logger(started: transport_pb2.LoggerStarted) -> Band:
    """Returns the band that a logger was started with, rounded inwards to thousandths of a degree Celsius.

    Raises:
        LoggerUnitUnknownError: a limit is no exact number of degrees Celsius.
    """
    least = _limit(started.band_min, "band_min") if started.HasField("band_min") else None
    most = _limit(started.band_max, "band_max") if started.HasField("band_max") else None
    return Band(
        None if least is None else -(-least * _THOUSANDTHS // 1),
        None if most is None else most * _THOUSANDTHS // 1,
        started.grace_seconds,
    )


def _band_to_judge_by(started: transport_pb2.LoggerStarted) -> Band | None:
    """Returns the band of a logger, or None of one that was started without: nothing can be said to be in range."""
    has_limit = started.HasField("band_min") or started.HasField("band_max")
    return band_of_logger(started) if has_limit else None


def _limit(limit: common_pb2.Quantity, name: str) -> Fraction:
    """Returns a limit of a band in Celsius; one in anything else would let every reading pass."""
    found = amount(limit, "Cel")
    if found is None:
        raise LoggerUnitUnknownError("the band has no limit in Celsius", limit=name, unit=limit.unit)
    return found


def read_logger_out(
    file: Path,
    layout: Layout,
    started: transport_pb2.LoggerStarted,
    *,
    declared: Declared | None = None,
    leg: Leg | None = None,
    read_out_at: int | None = None,
    clock_ahead_seconds: int | None = None,
    energy_joules_per_mole: int = ACTIVATION_ENERGY_JOULES_PER_MOLE,
) -> ReadOut:
    """Returns what a logger's file shows; `read_out_at` and the leg in microseconds since 1970-01-01T00:00:00Z.

    `declared` says what the file does not; the logger's name and interval are those it was started with.

    Raises:
        OSError: the file cannot be read.
        ActivationEnergyError: the energy is no product's.
        LoggerUnitUnknownError: a limit of the band is no exact number of degrees Celsius.
    """
    band = _band_to_judge_by(started)
    told = Declared() if declared is None else declared
    asked = Declared(
        told.logger or started.logger or None,
        told.channel,
        told.unit,
        told.zone,
        told.interval_seconds or started.interval_seconds or None,
    )
    with file.open("rb") as stream:
        try:
            summary = summarise(
                stream,
                layout,
                asked,
                band=band,
                leg=leg,
                read_out_at=read_out_at,
                clock_ahead_seconds=clock_ahead_seconds,
                energy_joules_per_mole=energy_joules_per_mole,
            )
        except LoggerFileMalformedError as refusal:
            return ReadOut(unreadable_logger(asked.logger or "", _digest_of(file)), refusal)
    return ReadOut(logger_summary(summary))


def _digest_of(file: Path) -> bytes:
    """Returns the digest of a file; empty for one too long to be a logger's."""
    if file.stat().st_size > FILE_BYTES_MAX:
        return b""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
