"""Work out what a logger's file shows: extremes, mean kinetic temperature, time outside a band, gaps, and the leg.

The rules:

* A gap is a time between two readings of more than one and a half intervals; what lies beyond one interval is missing.
* The time between two readings counts as above (below) the band if either of the two is above (below) it: what lies
  between an outside and an inside reading is not known to be inside. Time may count as both. The longest time outside
  is one without a reading inside at both of its ends.
* A temperature at the end of the band is inside. Times are rounded up to whole seconds: nothing outside is zero.
* IN_RANGE is said only of a file with at least three readings, a band, no gap and no time outside longer than the grace
  given, that covers the leg where one is given: from its start to its end, each with an interval and a half to spare.
  OUT_OF_RANGE is said where more than the grace was outside. Anything else is UNKNOWN.
* The logger's clock is held against the reader's where both were read, and against the leg: readings after the file
  was read out, or a clock off by more than five minutes, leave the condition unknown.

All times are microseconds since 1970-01-01T00:00:00Z, durations whole seconds, temperatures thousandths of a degree
Celsius. Memory does not grow with the file beyond the count of distinct temperatures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, Final

from cellcustody.ledger.condition.layouts import Declared, Head, Layout, Reading, read_layout
from cellcustody.ledger.condition.lines import Lines
from cellcustody.ledger.condition.mean_kinetic import ACTIVATION_ENERGY_JOULES_PER_MOLE, mean_kinetic_millicelsius

__all__ = [
    "CLOCK_OFF_SECONDS_MAX",
    "READINGS_MIN",
    "Band",
    "Leg",
    "Shown",
    "Summary",
    "summarise",
    "summarise_readings",
]

MICROS_PER_SECOND: Final = 1_000_000
READINGS_MIN: Final = 3  # Two readings are a minimum and a maximum, and say nothing of the time between.
CLOCK_OFF_SECONDS_MAX: Final = 5 * 60  # The skew that the ledger itself tolerates.


class Shown(IntEnum):
    """What a file shows; the numbers are those of Condition in the contract."""

    IN_RANGE = 1
    OUT_OF_RANGE = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Band:
    """Limits in thousandths of a degree Celsius, ends included (None: no limit), and the grace in seconds."""

    least: int | None
    most: int | None
    grace_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Leg:
    """When the way that the file is to cover began and ended, microseconds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file shows. Times are None where it has no reading at all."""

    head: Head
    sha256: bytes
    readings: int
    first_at: int | None
    last_at: int | None
    least: int | None
    most: int | None
    mean_kinetic: int | None
    energy_joules_per_mole: int
    band: Band | None
    outside_seconds: int
    above_seconds: int
    below_seconds: int
    longest_outside_seconds: int
    gaps: int
    gap_seconds: int
    longest_gap_seconds: int
    clock_ahead_seconds: int | None
    shown: Shown


def summarise(
    stream: BinaryIO,
    layout: Layout,
    declared: Declared | None = None,
    *,
    band: Band | None = None,
    leg: Leg | None = None,
    read_out_at: int | None = None,
    clock_ahead_seconds: int | None = None,
    energy_joules_per_mole: int = ACTIVATION_ENERGY_JOULES_PER_MOLE,
) -> Summary:
    """Reads a file to its end and returns what it shows; `read_out_at` is when it was taken from the logger.

    Raises:
        LoggerFileMalformedError: the file is not in its layout; the line and the reason are named.
        ActivationEnergyError: the energy is no product's.
    """
    lines = Lines(stream)
    head, readings = read_layout(lines, layout, Declared() if declared is None else declared)
    tally = _Tally(head.interval_seconds * MICROS_PER_SECOND, band)
    for one in readings:
        tally.take(one)
    tally.end()
    return tally.summary(
        head, lines.sha256, leg=leg, read_out_at=read_out_at, clock_ahead=clock_ahead_seconds,
        energy=energy_joules_per_mole,
    )  # fmt: skip


def summarise_readings(head: Head, readings: Iterable[Reading], *, band: Band | None = None) -> Summary:
    """Returns what readings without a file show, as far as they go; for graphs and tests."""
    tally = _Tally(head.interval_seconds * MICROS_PER_SECOND, band)
    for one in readings:
        tally.take(one)
    tally.end()
    return tally.summary(
        head, b"", leg=None, read_out_at=None, clock_ahead=None, energy=ACTIVATION_ENERGY_JOULES_PER_MOLE
    )


class _Tally:
    """What has been counted so far, reading by reading."""

    def __init__(self, interval: int, band: Band | None) -> None:
        self._interval = interval
        self._band = band
        self._counts: Counter[int] = Counter()
        self._first: int | None = None
        self._last: Reading | None = None
        self._outside = self._above = self._below = self._running = self._longest = 0
        self._gaps = self._gap = self._longest_gap = 0

    def take(self, reading: Reading) -> None:
        """Counts one reading, which lies behind those taken before."""
        self._counts[reading.millicelsius] += 1
        before = self._last
        self._last = reading
        if before is None:
            self._first = reading.at
            return
        passed = reading.at - before.at
        if 2 * passed > 3 * self._interval:
            self._gaps += 1
            missing = passed - self._interval
            self._gap += missing
            self._longest_gap = max(self._longest_gap, missing)
        self._count(before, reading, passed)

    def _count(self, before: Reading, after: Reading, passed: int) -> None:
        is_above = self._is_above(before) or self._is_above(after)
        is_below = self._is_below(before) or self._is_below(after)
        self._above += passed if is_above else 0
        self._below += passed if is_below else 0
        if is_above or is_below:
            self._outside += passed
            self._running += passed
            self._longest = max(self._longest, self._running)
        if not (self._is_above(after) or self._is_below(after)):
            self._running = 0

    def end(self) -> None:
        """Counts a lone reading outside the band for one interval: it has no neighbour to count with."""
        if self._last is not None and self._last.at == self._first:
            self._count(self._last, self._last, self._interval)

    def _is_above(self, one: Reading) -> bool:
        return self._band is not None and self._band.most is not None and one.millicelsius > self._band.most

    def _is_below(self, one: Reading) -> bool:
        return self._band is not None and self._band.least is not None and one.millicelsius < self._band.least

    def summary(
        self,
        head: Head,
        sha256: bytes,
        *,
        leg: Leg | None,
        read_out_at: int | None,
        clock_ahead: int | None,
        energy: int,
    ) -> Summary:
        """Returns what was counted, judged."""
        return Summary(
            head=head,
            sha256=sha256,
            readings=self._counts.total(),
            first_at=self._first,
            last_at=None if self._last is None else self._last.at,
            least=min(self._counts, default=None),
            most=max(self._counts, default=None),
            mean_kinetic=mean_kinetic_millicelsius(self._counts, energy),
            energy_joules_per_mole=energy,
            band=self._band,
            outside_seconds=_seconds(self._outside),
            above_seconds=_seconds(self._above),
            below_seconds=_seconds(self._below),
            longest_outside_seconds=_seconds(self._longest),
            gaps=self._gaps,
            gap_seconds=_seconds(self._gap),
            longest_gap_seconds=_seconds(self._longest_gap),
            clock_ahead_seconds=clock_ahead,
            shown=self._shown(leg, read_out_at, clock_ahead),
        )

    def _shown(self, leg: Leg | None, read_out_at: int | None, clock_ahead: int | None) -> Shown:
        band = self._band
        if band is not None and _seconds(self._longest) > band.grace_seconds:
            return Shown.OUT_OF_RANGE
        if band is None or self._first is None or self._last is None or self._counts.total() < READINGS_MIN:
            return Shown.UNKNOWN
        if _seconds(self._longest_gap) > band.grace_seconds:
            return Shown.UNKNOWN
        if clock_ahead is not None and abs(clock_ahead) > CLOCK_OFF_SECONDS_MAX:
            return Shown.UNKNOWN
        if read_out_at is not None and self._last.at > read_out_at + CLOCK_OFF_SECONDS_MAX * MICROS_PER_SECOND:
            return Shown.UNKNOWN
        spare = self._interval * 3 // 2
        if leg is not None and (self._first > leg.start + spare or self._last.at < leg.end - spare):
            return Shown.UNKNOWN
        return Shown.IN_RANGE


def _seconds(micros: int) -> int:
    """Returns whole seconds, rounded up."""
    return -(-micros // MICROS_PER_SECOND)
