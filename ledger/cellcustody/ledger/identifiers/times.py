"""Read and print the date and time structures of a label.

* Day form (004, 006, 008): century digit, year, day of year, six characters. Day and time form (005, 007, 009): the
  same and hhmm, preferred for cell therapy.
* The century digit is 0, for 2000 to 2099; no other is taken, since no cell therapy is older.
* 2359 in the day and time form means that the time is not specified (for an expiry: the end of that day).
* These structures name no time zone. They are local to the facility that labelled; `at(zone)` makes an instant of
  them, and the caller must know the zone. A local time that occurs twice is taken as the earlier.
* The flexible form (031) says whether it is local time or UTC.
* Print: `31 DEC 2018 23:59`, English months whatever the locale; the time is left out where it is not specified.

Source: ICCBBA ST-001 6.2.2.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import ClassVar, Final, Self

from cellcustody.ledger.identifiers.errors import IdentifierMalformedError
from cellcustody.ledger.identifiers.reading import DIGIT, UPPER, Alphabet, Reader
from cellcustody.ledger.identifiers.structure import Structure

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
TIME_NOT_SPECIFIED: Final = time(23, 59)
_CENTURY: Final = Alphabet("0, for 2000 to 2099", frozenset("0"))


def _read_day_of_year(reader: Reader) -> date:
    reader.take(1, _CENTURY, "century")
    year = 2000 + int(reader.take(2, DIGIT, "year"))
    at = reader.position
    day_of_year = reader.take(3, DIGIT, "day of year")
    day = date(year, 1, 1) + timedelta(days=int(day_of_year) - 1)
    if day.year != year:
        reader.refuse(f"{year} has no such day", at=at, value=day_of_year)
    return day


def _read_clock(reader: Reader, *, separator: str = "") -> time:
    at = reader.position
    hours = reader.take(2, DIGIT, "hour")
    if int(hours) > 23:
        reader.refuse("hour must be 00 to 23", at=at, value=hours)
    reader.expect(separator, "separator")
    at = reader.position
    minutes = reader.take(2, DIGIT, "minute")
    if int(minutes) > 59:
        reader.refuse("minute must be 00 to 59", at=at, value=minutes)
    return time(int(hours), int(minutes))


def _read_calendar_day(reader: Reader) -> date:
    at = reader.position
    year = reader.take(4, DIGIT, "year")
    month = reader.take(2, DIGIT, "month")
    day = reader.take(2, DIGIT, "day")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        reader.refuse("no such day in the calendar", at=at, value=year + month + day)


def _read_printed_day(reader: Reader) -> date:
    """Returns the day of a printed `31DEC2018`, its spaces already taken out."""
    at = reader.position
    day = reader.take(2, DIGIT, "day")
    month_at = reader.position
    month = reader.take(3, UPPER, "month")
    if month not in MONTHS:
        reader.refuse("month must be JAN to DEC", at=month_at, value=month)
    year_at = reader.position
    year = reader.take(4, DIGIT, "year")
    if not year.startswith("20"):
        reader.refuse("the year must be 2000 to 2099", at=year_at, value=year)
    try:
        return date(int(year), MONTHS.index(month) + 1, int(day))
    except ValueError:
        reader.refuse("no such day in the calendar", at=at, value=day + month + year)


def print_day(day: date) -> str:
    """Returns a day as labels print it: `31 DEC 2018`."""
    return f"{day.day:02d} {MONTHS[day.month - 1]} {day.year:04d}"


def _day_content(day: date) -> str:
    if not 2000 <= day.year <= 2099:
        raise IdentifierMalformedError(
            identifier="date structure", offset=0, rule="the year must be 2000 to 2099", value=day.isoformat()
        )
    return f"0{day.year % 100:02d}{day.timetuple().tm_yday:03d}"


@dataclass(frozen=True, slots=True)
class DayStructure(Structure, ABC):
    """A day of the label, six characters of content."""

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _read_day_of_year(reader)

    @classmethod
    def of(cls, day: date) -> Self:
        """Returns the structure for `day`, a local day of the labelling facility."""
        return cls(_day_content(day))

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """Returns the structure typed from a label as `31 DEC 2018`."""
        reader = Reader.of_printed(text, identifier=cls.NAME)
        day = _read_printed_day(reader)
        reader.finish()
        return cls.of(day)

    @property
    def day(self) -> date:
        """Returns the local day."""
        return _read_day_of_year(self._reader(self.content))

    def format_print(self) -> str:
        """Returns the day as `31 DEC 2018`."""
        return print_day(self.day)


@dataclass(frozen=True, slots=True)
class DayTimeStructure(Structure, ABC):
    """A day and time of the label, ten characters of content, local to the facility that labelled."""

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _read_day_of_year(reader)
        _read_clock(reader)

    @classmethod
    def of(cls, day: date, clock: time | None) -> Self:
        """Returns the structure for a local day and time, in whole minutes; None leaves the time unspecified."""
        clock = TIME_NOT_SPECIFIED if clock is None else clock
        return cls(f"{_day_content(day)}{clock:%H%M}")

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """Returns the structure typed from a label as `31 DEC 2018 15:30`, or `31 DEC 2018` without a time."""
        reader = Reader.of_printed(text, identifier=cls.NAME)
        day = _read_printed_day(reader)
        clock = None
        if reader.remaining:
            clock = _read_clock(reader, separator=":")
        reader.finish()
        return cls.of(day, clock)

    @property
    def day(self) -> date:
        """Returns the local day."""
        return _read_day_of_year(self._reader(self.content))

    @property
    def clock(self) -> time | None:
        """Returns the local time of day, or None where it is not specified (2359)."""
        clock = time(int(self.content[6:8]), int(self.content[8:10]))
        return None if clock == TIME_NOT_SPECIFIED else clock

    def at(self, zone: tzinfo) -> datetime:
        """Returns the instant, given the zone of the facility that labelled; 23:59 where no time is specified."""
        return datetime.combine(self.day, self.clock or TIME_NOT_SPECIFIED, tzinfo=zone)

    def format_print(self) -> str:
        """Returns `31 DEC 2018 15:30`, or the day alone where no time is specified."""
        return print_day(self.day) if self.clock is None else f"{print_day(self.day)} {self.clock:%H:%M}"


@dataclass(frozen=True, slots=True)
class ExpiryDay(DayStructure):
    """The day on which the product expires (data structure 004)."""

    NAME: ClassVar[str] = "expiry date"
    NUMBER: ClassVar[str] = "004"
    DATA_IDENTIFIER: ClassVar[str] = "=>"


@dataclass(frozen=True, slots=True)
class ExpiryDateTime(DayTimeStructure):
    """The day and time at which the product expires (data structure 005)."""

    NAME: ClassVar[str] = "expiry date and time"
    NUMBER: ClassVar[str] = "005"
    DATA_IDENTIFIER: ClassVar[str] = "&>"


@dataclass(frozen=True, slots=True)
class CollectionDay(DayStructure):
    """The day of collection (data structure 006)."""

    NAME: ClassVar[str] = "collection date"
    NUMBER: ClassVar[str] = "006"
    DATA_IDENTIFIER: ClassVar[str] = "=*"


@dataclass(frozen=True, slots=True)
class CollectionDateTime(DayTimeStructure):
    """The day and time of collection (data structure 007)."""

    NAME: ClassVar[str] = "collection date and time"
    NUMBER: ClassVar[str] = "007"
    DATA_IDENTIFIER: ClassVar[str] = "&*"


@dataclass(frozen=True, slots=True)
class ProductionDay(DayStructure):
    """The day of production (data structure 008)."""

    NAME: ClassVar[str] = "production date"
    NUMBER: ClassVar[str] = "008"
    DATA_IDENTIFIER: ClassVar[str] = "=}"


@dataclass(frozen=True, slots=True)
class ProductionDateTime(DayTimeStructure):
    """The day and time of production (data structure 009)."""

    NAME: ClassVar[str] = "production date and time"
    NUMBER: ClassVar[str] = "009"
    DATA_IDENTIFIER: ClassVar[str] = "&}"


class FlexibleTimeKind(StrEnum):
    """What the time of a flexible date and time is the time of."""

    EXPIRY = "01"
    COLLECTION = "02"
    PRODUCTION = "03"
    CROSS_CLAMP = "04"
    PRESERVATION = "05"
    DEATH = "06"


_LOCAL_OR_UTC: Final = Alphabet("1 (local) or 2 (UTC)", frozenset("12"))
_FLEXIBLE_KINDS: Final = frozenset(FlexibleTimeKind)


@dataclass(frozen=True, slots=True)
class FlexibleDateTime(Structure):
    """A date and time that says what it is of, and whether it is local or UTC (data structure 031).

    Its printed text leaves out what it is of, so `parse_printed` reads the 16 characters of content instead.
    """

    NAME: ClassVar[str] = "flexible date and time"
    NUMBER: ClassVar[str] = "031"
    DATA_IDENTIFIER: ClassVar[str] = "=("

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(1, _LOCAL_OR_UTC, "time zone")
        reader.expect("0", "reserved digit")
        at = reader.position
        kind = reader.take(2, DIGIT, "kind of time")
        if kind not in _FLEXIBLE_KINDS:
            reader.refuse("kind of time must be 01 to 06", at=at, value=kind)
        _read_calendar_day(reader)
        _read_clock(reader)

    @classmethod
    def of(cls, kind: FlexibleTimeKind, instant: datetime) -> Self:
        """Returns the structure for an aware `instant`, in UTC and whole minutes (seconds are cut off)."""
        return cls(f"20{kind}{instant.astimezone(UTC):%Y%m%d%H%M}")

    @property
    def is_utc(self) -> bool:
        """Returns whether the time is UTC; otherwise it is local to the facility that labelled."""
        return self.content[0] == "2"

    @property
    def kind(self) -> FlexibleTimeKind:
        """Returns what the time is of."""
        return FlexibleTimeKind(self.content[2:4])

    @property
    def day(self) -> date:
        """Returns the day, local or UTC as `is_utc` says."""
        return date(int(self.content[4:8]), int(self.content[8:10]), int(self.content[10:12]))

    @property
    def clock(self) -> time:
        """Returns the time of day, local or UTC as `is_utc` says."""
        return time(int(self.content[12:14]), int(self.content[14:16]))

    def at(self, zone: tzinfo) -> datetime:
        """Returns the instant; `zone`, that of the labelling facility, counts only where the time is local."""
        return datetime.combine(self.day, self.clock, tzinfo=UTC if self.is_utc else zone)

    def format_print(self) -> str:
        """Returns `31 DEC 2018 15:30`, with ` UTC` where it is. What it is of stands beside it on the label."""
        return f"{print_day(self.day)} {self.clock:%H:%M}{' UTC' if self.is_utc else ''}"
