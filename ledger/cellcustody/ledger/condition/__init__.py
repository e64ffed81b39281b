"""Condition of what was carried: loggers' files read strictly, and what they show worked out the same everywhere.

    summary = summarise(stream, Layout.NEUTRAL, band=Band(2_000, 8_000), leg=Leg(packed_at, received_at))
    body.loggers.append(logger_summary(summary))

The rules stand in `layouts` (what is read), `mean_kinetic` and `summary` (what is worked out). Nothing here reads a
clock or a network; files come in as streams.
"""

from cellcustody.ledger.condition.contract_form import LOGGER_FILE, celsius, logger_summary, unreadable_logger
from cellcustody.ledger.condition.errors import (
    ActivationEnergyError,
    LoggerFileCutOffError,
    LoggerFileMalformedError,
    LoggerFileTooLargeError,
    LoggerIntervalUnknownError,
    LoggerOfAnotherNameError,
    LoggerTimeAmbiguousError,
    LoggerTimesOutOfOrderError,
    LoggerUnitUnknownError,
    LoggerZoneUnknownError,
)
from cellcustody.ledger.condition.layouts import READINGS_MAX, Declared, Head, Layout, Reading, read_layout
from cellcustody.ledger.condition.lines import FILE_BYTES_MAX, LINE_BYTES_MAX, Lines
from cellcustody.ledger.condition.mean_kinetic import ACTIVATION_ENERGY_JOULES_PER_MOLE, mean_kinetic_millicelsius
from cellcustody.ledger.condition.summary import (
    CLOCK_OFF_SECONDS_MAX,
    READINGS_MIN,
    Band,
    Leg,
    Shown,
    Summary,
    summarise,
    summarise_readings,
)
from cellcustody.ledger.condition.temperatures import TemperatureUnit

__all__ = [
    "ACTIVATION_ENERGY_JOULES_PER_MOLE",
    "CLOCK_OFF_SECONDS_MAX",
    "FILE_BYTES_MAX",
    "LINE_BYTES_MAX",
    "LOGGER_FILE",
    "READINGS_MAX",
    "READINGS_MIN",
    "ActivationEnergyError",
    "Band",
    "Declared",
    "Head",
    "Layout",
    "Leg",
    "Lines",
    "LoggerFileCutOffError",
    "LoggerFileMalformedError",
    "LoggerFileTooLargeError",
    "LoggerIntervalUnknownError",
    "LoggerOfAnotherNameError",
    "LoggerTimeAmbiguousError",
    "LoggerTimesOutOfOrderError",
    "LoggerUnitUnknownError",
    "LoggerZoneUnknownError",
    "Reading",
    "Shown",
    "Summary",
    "TemperatureUnit",
    "celsius",
    "logger_summary",
    "mean_kinetic_millicelsius",
    "read_layout",
    "summarise",
    "summarise_readings",
    "unreadable_logger",
]
