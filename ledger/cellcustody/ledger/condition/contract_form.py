"""Put a summary into the form in which it enters the ledger: the contract's LoggerSummary, the file by digest.

The rules:

* Temperatures become quantities in Cel with an exponent of -3: exact, no float.
* What is not known stays absent; a file that could not be read has a summary that says UNKNOWN and nothing else.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.condition.summary import Summary
from cellcustody.v1 import common_pb2 as common

__all__ = ["LOGGER_FILE", "celsius", "logger_summary", "unreadable_logger"]

LOGGER_FILE: Final = "logger-file"
_SECONDS_MAX: Final = 2**32 - 1


def celsius(millicelsius: int, basis: common.QuantityBasis.ValueType) -> common.Quantity:
    """Returns a temperature as a quantity."""
    return common.Quantity(
        mantissa=millicelsius, exponent=-3, unit="Cel", comparator=common.COMPARATOR_EQUAL, basis=basis
    )


def logger_summary(summary: Summary, *, media_type: str = "text/csv") -> common.LoggerSummary:
    """Returns the summary as a body carries it."""
    measured, calculated = common.QUANTITY_BASIS_MEASURED, common.QUANTITY_BASIS_CALCULATED
    nominal = common.QUANTITY_BASIS_NOMINAL
    head, band = summary.head, summary.band
    least = None if band is None else band.least
    most = None if band is None else band.most
    return common.LoggerSummary(
        logger=head.logger,
        file=common.Document(sha256=summary.sha256, kind=LOGGER_FILE, media_type=media_type),
        temperature_min=None if summary.least is None else celsius(summary.least, measured),
        temperature_max=None if summary.most is None else celsius(summary.most, measured),
        temperature_mean_kinetic=None if summary.mean_kinetic is None else celsius(summary.mean_kinetic, calculated),
        out_of_band_seconds=min(summary.outside_seconds, _SECONDS_MAX),
        gap_seconds=min(summary.gap_seconds, _SECONDS_MAX),
        readings=summary.readings,
        condition=common.Condition.ValueType(summary.shown),
        layout=head.layout,
        channel=head.channel,
        first_reading_unix_micros=summary.first_at or 0,
        last_reading_unix_micros=summary.last_at or 0,
        interval_seconds=head.interval_seconds,
        band_min=None if least is None else celsius(least, nominal),
        band_max=None if most is None else celsius(most, nominal),
        above_band_seconds=min(summary.above_seconds, _SECONDS_MAX),
        below_band_seconds=min(summary.below_seconds, _SECONDS_MAX),
        longest_out_of_band_seconds=min(summary.longest_outside_seconds, _SECONDS_MAX),
        gaps=summary.gaps,
        longest_gap_seconds=min(summary.longest_gap_seconds, _SECONDS_MAX),
        activation_energy_joules_per_mole=summary.energy_joules_per_mole,
        clock_ahead_seconds=summary.clock_ahead_seconds,
    )


def unreadable_logger(logger: str, sha256: bytes = b"") -> common.LoggerSummary:
    """Returns the summary of a logger that is missing, has stopped, or whose file (if any) was refused: unknown."""
    file = common.Document(sha256=sha256, kind=LOGGER_FILE) if sha256 else None
    return common.LoggerSummary(logger=logger, file=file, condition=common.CONDITION_UNKNOWN)
