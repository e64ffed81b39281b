"""Refusals of logger files; each names the line, counted from 1, and what was found there.

A file that is refused has no summary, and what it should have shown is unknown: never in range.
"""

from __future__ import annotations

from cellcustody.ledger.errors import MalformedError

__all__ = [
    "ActivationEnergyError",
    "LoggerFileCutOffError",
    "LoggerFileMalformedError",
    "LoggerFileTooLargeError",
    "LoggerIntervalUnknownError",
    "LoggerOfAnotherNameError",
    "LoggerTimeAmbiguousError",
    "LoggerTimesOutOfOrderError",
    "LoggerUnitUnknownError",
    "LoggerZoneUnknownError",
]


class LoggerFileMalformedError(MalformedError):
    """Raised when a line of a logger file is not in the form that its layout has."""

    reason = "LOGGER_FILE_MALFORMED"


class LoggerFileTooLargeError(LoggerFileMalformedError):
    """Raised when a logger file, a line of it or the count of its readings is beyond what any leg needs."""

    reason = "LOGGER_FILE_TOO_LARGE"


class LoggerFileCutOffError(LoggerFileMalformedError):
    """Raised when a logger file ends before what it says to contain."""

    reason = "LOGGER_FILE_CUT_OFF"


class LoggerTimesOutOfOrderError(LoggerFileMalformedError):
    """Raised when a reading has the time of the one before it or an earlier one: somebody set the logger's clock."""

    reason = "LOGGER_TIMES_OUT_OF_ORDER"


class LoggerTimeAmbiguousError(LoggerFileMalformedError):
    """Raised when a local time did not exist, or existed twice and nothing says which of the two it is."""

    reason = "LOGGER_TIME_AMBIGUOUS"


class LoggerZoneUnknownError(LoggerFileMalformedError):
    """Raised when neither the file nor whoever reads it out says in which zone its times are, or both do otherwise."""

    reason = "LOGGER_ZONE_UNKNOWN"


class LoggerUnitUnknownError(LoggerFileMalformedError):
    """Raised when neither the file nor whoever reads it out says in which unit it measured, or both do otherwise."""

    reason = "LOGGER_UNIT_UNKNOWN"


class LoggerIntervalUnknownError(LoggerFileMalformedError):
    """Raised when neither the file nor whoever reads it out says how often it measured, or both do otherwise."""

    reason = "LOGGER_INTERVAL_UNKNOWN"


class LoggerOfAnotherNameError(LoggerFileMalformedError):
    """Raised when a file comes from another logger, or has another channel, than the one asked for."""

    reason = "LOGGER_OF_ANOTHER_NAME"


class ActivationEnergyError(MalformedError):
    """Raised when a mean kinetic temperature is asked for with an activation energy that no product has."""

    reason = "ACTIVATION_ENERGY_OUT_OF_RANGE"
