"""Check what is read off a consignment: its seals, and the summaries of its loggers.

The rules:

* Each seal read is one that was applied to that container, and whole. A container that bears seals has each of them
  read when it is handed over.
* A summary says IN_RANGE only if it has readings of the whole leg: more than two, no gap, nothing out of band, and
  extremes within the band that was set when the logger was started. Otherwise it says what its numbers say.
* A container with no logger, or with a logger that has no summary, has an unknown condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState, LoggerState
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.quantities import compared
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["READINGS_MIN", "check_loggers", "check_seals", "condition_shown", "loggers_of"]

READINGS_MIN = 3  # Two readings are a minimum and a maximum, and say nothing of the time between.


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
    """Returns what a summary shows, which may be worse than what it says of itself."""
    if summary.condition == common.CONDITION_OUT_OF_RANGE or summary.out_of_band_seconds:
        return common.CONDITION_OUT_OF_RANGE
    bands: Sequence[tuple[common.Quantity | None, common.Quantity | None, bool, int]] = ()
    if started is not None:
        bands = (
            (summary.temperature_min, started.band_min, summary.HasField("temperature_min"), -1),
            (summary.temperature_max, started.band_max, summary.HasField("temperature_max"), 1),
        )
    is_known = (
        summary.condition == common.CONDITION_IN_RANGE and summary.readings >= READINGS_MIN and not summary.gap_seconds
    )
    for extreme, limit, is_given, outside in bands:
        if limit is None or extreme is None:
            continue
        how = compared(extreme, limit) if is_given else None
        if how == outside:
            return common.CONDITION_OUT_OF_RANGE
        is_known = is_known and how is not None
    return common.CONDITION_IN_RANGE if is_known else common.CONDITION_UNKNOWN


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
            shown = condition_shown(summary, container.loggers.get(logger))
            where = (*leaf, leaves[logger]) if logger in leaves else leaf
            if shown == common.CONDITION_OUT_OF_RANGE:
                found.add("EXCURSION", where)
            elif shown == common.CONDITION_UNKNOWN:
                found.add("CONDITION_UNKNOWN", where)
