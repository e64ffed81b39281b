"""Read the times of a logger file: microseconds since 1970-01-01T00:00:00Z, from local times in a declared zone.

The rules:

* A zone is an offset from UTC, such as UTC+01:00, or an IANA name, such as Europe/Berlin. None is ever assumed.
* A time with an offset of its own needs no zone. One without is local time of the declared zone.
* A local time that the zone skipped did not exist, and is refused. One that existed twice is the earlier of the two
  that lies behind the reading before it; as the first of a file it is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cellcustody.ledger.condition.errors import (
    LoggerFileMalformedError,
    LoggerTimeAmbiguousError,
    LoggerZoneUnknownError,
)

__all__ = ["DATE_FORMATS", "instant", "iso_time", "local_time", "zone_named"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s?([+-])([01][0-9]|2[0-3]):?([0-5][0-9])")
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\s?([AP]M))?", re.IGNORECASE)
_HALF_DAY_HOURS: Final = 12

DATE_FORMATS: Final = {
    "YYYY-MM-DD": (re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"), (0, 1, 2)),
    "DD.MM.YYYY": (re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})"), (2, 1, 0)),
    "DD/MM/YYYY": (re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})"), (2, 1, 0)),
    "MM/DD/YYYY": (re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})"), (2, 0, 1)),
}
"""How a date may be written: its pattern, and where year, month and day stand in it."""


def zone_named(name: str, line: int) -> tzinfo:
    """Returns the zone of that name or offset.

    Raises:
        LoggerZoneUnknownError: there is none such.
    """
    text = name.strip()
    if text.upper() in ("UTC", "GMT", "Z"):
        return UTC
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        distance = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-distance if sign == "-" else distance)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LoggerZoneUnknownError("there is no such zone", line=line, zone=name) from None


def iso_time(text: str, line: int) -> datetime:
    """Returns a time as ISO 8601 writes it, aware if it has an offset.

    Raises:
        LoggerFileMalformedError: it is none.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise LoggerFileMalformedError("the time is not in ISO 8601 form", line=line, time=text)
    *parts, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(part) for part in parts)
    micros = int((fraction or "0").ljust(6, "0"))
    zone = None if offset is None else zone_named(offset, line)
    try:
        return datetime(year, month, day, hour, minute, second, micros, zone)
    except ValueError as failure:
        raise LoggerFileMalformedError("there is no such time", line=line, time=text, failure=failure) from None


def local_time(date: str, clock: str, date_format: str, line: int) -> datetime:
    """Returns a date and a time of day, without a zone.

    Raises:
        LoggerFileMalformedError: one of them is not in its form.
    """
    pattern, places = DATE_FORMATS[date_format]
    day_found, clock_found = pattern.fullmatch(date), _CLOCK.fullmatch(clock)
    if day_found is None:
        raise LoggerFileMalformedError("the date is not in its form", line=line, date=date, form=date_format)
    if clock_found is None:
        raise LoggerFileMalformedError("the time of day is not in its form", line=line, time=clock)
    year, month, day = (int(day_found.groups()[place]) for place in places)
    hour, minute, second = int(clock_found[1]), int(clock_found[2]), int(clock_found[3] or 0)
    half = (clock_found[4] or "").upper()
    if half:
        if not 1 <= hour <= _HALF_DAY_HOURS:
            raise LoggerFileMalformedError("there is no such time", line=line, time=clock)
        hour = hour % _HALF_DAY_HOURS + (_HALF_DAY_HOURS if half == "PM" else 0)
    try:
        return datetime(year, month, day, hour, minute, second)  # The zone is applied by `instant`.
    except ValueError as failure:
        raise LoggerFileMalformedError("there is no such time", line=line, time=f"{date} {clock}") from failure


def instant(time: datetime, zone: tzinfo | None, after: int | None, line: int) -> int:
    """Returns microseconds since 1970 of a time; `after` is the reading before it, microseconds.

    Raises:
        LoggerZoneUnknownError: the time has no offset, and no zone is declared.
        LoggerTimeAmbiguousError: the time did not exist in its zone, or which of two it is cannot be known.
    """
    if time.tzinfo is not None:
        return _micros(time)
    if zone is None:
        raise LoggerZoneUnknownError("the time has no offset, and no zone is declared", line=line, time=time)
    first, second = (_micros(time.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first == second:
        return first
    local = (_EPOCH + timedelta(microseconds=first)).astimezone(zone).replace(tzinfo=None)
    if local != time:
        raise LoggerTimeAmbiguousError("the time did not exist in its zone", line=line, time=time)
    if after is None:
        raise LoggerTimeAmbiguousError("the time existed twice in its zone", line=line, time=time)
    return first if first > after else second


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
