"""Check what is read off a consignment: its seals, and the summaries of its loggers.

The rules:

* Each seal read is one that was applied to that container, and whole. A container that bears seals has each of them
  read when it is handed over.
* A summary says IN_RANGE only if it names its file and has readings of the whole leg: more than two, no gap, nothing
  out of band, and extremes within the band that was set when the logger was started. Otherwise it says what its
  numbers say. What lasted no longer than the grace that was set then is let pass, a gap as an excursion, provided that
  the summary counted against a band no wider.
* The leg is the ledger's own: readings begin before the container left (an interval and a half to spare) and go on
  until whoever inspects it came to answer for it. A logger's clock more than five minutes off knows neither.
* A container with no logger, or with a logger that has no summary, has an unknown condition.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.condition import CLOCK_OFF_SECONDS_MAX, READINGS_MIN
from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState, LoggerState
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.quantities import compared
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

__all__ = [
    "check_loggers",
    "check_seals",
    "condition_over_leg",
    "condition_shown",
    "is_no_wider",
    "leg_findings",
    "loggers_of",
]

MICROS_PER_SECOND = 1_000_000

_DIGEST_BYTES = 32


def check_seals(
    state: ConsignmentState,
    act: Act,
    readings: Iterable[common.SealReading],
    field: int,
    to_be_read: Iterable[str],
    found: Findings,
) -> None:
    """Finds seals that are broken, are not those applied, or (on the containers `to_be_read`) were not read."""
    leaves = act.leaves_of(field)
    read: dict[str, set[str]] = {}
    for index, reading in enumerate(readings):
        leaf = leaves[index : index + 1]
        read.setdefault(reading.container, set()).add(reading.seal)
        container = state.containers.get(reading.container)
        if container is None:
            found.add("UNKNOWN_CONTAINER", leaf)
            continue
        if reading.seal not in container.seals:
            found.add("SEAL_MISMATCH", leaf)
        if not reading.intact:
            found.add("SEAL_BROKEN", leaf)
    for label in to_be_read:
        sealed = state.containers.get(label)
        if sealed is not None and not sealed.seals <= read.get(label, set()):
            found.add("SEAL_NOT_READ")


def loggers_of(container: ContainerState) -> frozenset[str]:
    """Returns the loggers that a container should have a summary of."""
    declared = {container.declared_logger} if container.declared_logger else set()
    return frozenset(declared | set(container.loggers))


def condition_shown(summary: common.LoggerSummary, started: LoggerState | None) -> common.Condition.ValueType:
    """Returns what a summary's numbers show, which may be worse than what it says of itself."""
    grace = 0 if started is None else started.grace_seconds
    is_let_pass = _is_within_grace(summary, started, grace)
    says = summary.condition
    if (says == common.CONDITION_OUT_OF_RANGE or summary.out_of_band_seconds) and not is_let_pass:
        return common.CONDITION_OUT_OF_RANGE
    gap = summary.longest_gap_seconds or summary.gap_seconds
    is_known = (
        (says == common.CONDITION_IN_RANGE or (says == common.CONDITION_OUT_OF_RANGE and is_let_pass))
        and summary.readings >= READINGS_MIN
        and gap <= grace
        and len(summary.file.sha256) == _DIGEST_BYTES
    )
    if started is not None and not is_let_pass:
        for extreme, limit, is_given, outside in (
            (summary.temperature_min, started.band_min, summary.HasField("temperature_min"), -1),
            (summary.temperature_max, started.band_max, summary.HasField("temperature_max"), 1),
        ):
            if limit is None:
                continue
            how = compared(extreme, limit) if is_given else None
            if how == outside:
                return common.CONDITION_OUT_OF_RANGE
            is_known = is_known and how is not None
    return common.CONDITION_IN_RANGE if is_known else common.CONDITION_UNKNOWN


def _is_within_grace(summary: common.LoggerSummary, started: LoggerState | None, grace: int) -> bool:
    """Tells whether what was outside was outside no longer than the grace, counted against a band no wider."""
    if started is None or not summary.out_of_band_seconds:
        return False
    longest = summary.longest_out_of_band_seconds or summary.out_of_band_seconds
    return longest <= grace and is_no_wider(
        summary,
        None if started.band_min is None else started.band_min,
        None if started.band_max is None else started.band_max,
    )


def is_no_wider(
    summary: common.LoggerSummary, band_min: common.Quantity | None, band_max: common.Quantity | None
) -> bool:
    """Tells whether the band that a summary counted against lies within this one, so that its times are enough."""
    return (band_min is None or (summary.HasField("band_min") and compared(summary.band_min, band_min) in (0, 1))) and (
        band_max is None or (summary.HasField("band_max") and compared(summary.band_max, band_max) in (0, -1))
    )


def leg_findings(act: Act, container: ContainerState, summary: common.LoggerSummary) -> tuple[str, ...]:
    """Returns the codes of what keeps a summary from speaking for the whole leg, by the ledger's own times.

    A leg begins when the container left the unit that ships, and ends when whoever inspects came to answer for it.
    """
    codes = []
    started = container.loggers.get(summary.logger)
    # The shorter interval of the one set and the one told: a long one would cover whatever is asked.
    intervals = [one for one in (0 if started is None else started.interval_seconds, summary.interval_seconds) if one]
    spare = min(intervals, default=0) * 3 * MICROS_PER_SECOND // 2
    first, last = summary.first_reading_unix_micros, summary.last_reading_unix_micros
    begins_late = container.departed_at is not None and first > container.departed_at + spare
    if not first or not last or begins_late or last < container.custodian_since - spare:
        codes.append("LEG_NOT_COVERED")
    off = abs(summary.clock_ahead_seconds) if summary.HasField("clock_ahead_seconds") else 0
    if off > CLOCK_OFF_SECONDS_MAX or last > act.occurred_start + CLOCK_OFF_SECONDS_MAX * MICROS_PER_SECOND:
        codes.append("LOGGER_CLOCK_DISAGREES")
    return tuple(codes)


def condition_over_leg(
    act: Act, container: ContainerState, summary: common.LoggerSummary
) -> common.Condition.ValueType:
    """Returns what a summary shows of the leg that ends with the inspection `act`."""
    shown = condition_shown(summary, container.loggers.get(summary.logger))
    if shown == common.CONDITION_IN_RANGE and leg_findings(act, container, summary):
        return common.CONDITION_UNKNOWN
    return shown


def check_loggers(
    act: Act,
    body: transport.ReceiptInspected,
    containers: Iterable[tuple[ContainerState, tuple[int, ...]]],
    found: Findings,
) -> None:
    """Finds, for each container inspected, an excursion or a condition that is not known."""
    summaries = {one.logger: one for one in body.loggers}
    leaves = dict(zip((one.logger for one in body.loggers), act.leaves_of(4), strict=False))
    for container, leaf in containers:
        loggers = loggers_of(container)
        if not loggers:
            found.add("CONDITION_UNKNOWN", leaf)
        for logger in loggers:
            summary = summaries.get(logger)
            if summary is None:
                found.add("CONDITION_UNKNOWN", leaf)
                continue
            shown = condition_over_leg(act, container, summary)
            where = (*leaf, leaves[logger]) if logger in leaves else leaf
            if summary.condition != common.CONDITION_UNKNOWN:
                for code in leg_findings(act, container, summary):
                    found.add(code, where)
            if shown == common.CONDITION_OUT_OF_RANGE:
                found.add("EXCURSION", where)
            elif shown == common.CONDITION_UNKNOWN:
                found.add("CONDITION_UNKNOWN", where)
