"""Qualifications: that equipment, a carrier, a lane or a site was found fit, from when until when, and by whom.

The rules:

* A qualification holds from its first to its last moment, both included, unless it was withdrawn; then it holds up to
  the moment before. Whether it was in force is asked for the day on which something was done, not for today.
* Equipment is qualified and calibrated by the site that owns it. A carrier, a lane and a site are qualified by another
  site than themselves; whoever relies on them says whose word counts.
* Only the site that qualified withdraws it, once.

What was judged under a qualification stays as it was judged when that is withdrawn or comes late (ADR 0014).
This module reads no clock, no network and no database. Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.findings import Findings
from cellcustody.v1 import facilities_pb2 as facilities

__all__ = [
    "Qualification",
    "QualificationKind",
    "check_recorded",
    "check_withdrawn",
    "in_force",
    "qualified",
    "withdrawn",
]

_SITE_ID_BYTES: Final = 16


class QualificationKind(IntEnum):
    """What a qualification is of; the numbers are those of QualificationKind in the contract."""

    CALIBRATION = 1
    EQUIPMENT = 2
    COURIER = 3
    LANE = 4
    SITE = 5


@dataclass(frozen=True, slots=True)
class Qualification:
    """One qualification; `lane` is origin and destination, `by` the site whose word it is."""

    digest: bytes
    kind: int
    valid_from: int
    valid_until: int
    by: bytes
    reference: str = ""
    lane: tuple[bytes, bytes] | None = None
    hold_time_seconds: int = 0
    withdrawn_from: int | None = None
    withdrawn_by: bytes = b""

    def holds_at(self, at: int) -> bool:
        """Tells whether it was in force at a time."""
        is_withdrawn = self.withdrawn_from is not None and at >= self.withdrawn_from
        return self.valid_from <= at <= self.valid_until and not is_withdrawn


def in_force(
    qualifications: Iterable[Qualification],
    at: int,
    *kinds: QualificationKind,
    lane: tuple[bytes, bytes] | None = None,
    by: Collection[bytes] | None = None,
) -> tuple[Qualification, ...]:
    """Returns those of these kinds in force at a time; of the lane given, and by one of the sites given, if any is."""
    return tuple(
        one
        for one in qualifications
        if one.kind in kinds and one.holds_at(at) and one.lane == lane and (by is None or one.by in by)
    )


def _lane_of(body: facilities.QualificationRecorded) -> tuple[bytes, bytes] | None:
    return (body.lane.origin, body.lane.destination) if body.HasField("lane") else None


def qualified(act: Act, body: facilities.QualificationRecorded) -> Qualification:
    """Returns the qualification that a statement in effect records."""
    return Qualification(
        act.digest,
        body.kind,
        body.valid_from_unix_micros,
        body.valid_until_unix_micros,
        act.site,
        body.reference,
        _lane_of(body),
        body.hold_time_seconds,
    )


def withdrawn(qualifications: dict[bytes, Qualification], act: Act, body: facilities.QualificationWithdrawn) -> None:
    """Ends a qualification; the first word on it counts."""
    found = qualifications.get(body.qualification)
    if found is not None and found.withdrawn_from is None:
        qualifications[body.qualification] = replace(
            found, withdrawn_from=body.withdrawn_from_unix_micros, withdrawn_by=act.digest
        )


def check_recorded(
    act: Act, body: facilities.QualificationRecorded, kinds: Collection[QualificationKind], found: Findings
) -> None:
    """Adds what the rules find in a qualification of something that is qualified in one of these kinds."""
    kind = int(body.kind)
    if kind not in {int(one) for one in kinds}:
        found.add("QUALIFICATION_MISPLACED", act.leaves_of(1))
    if body.valid_until_unix_micros <= body.valid_from_unix_micros:
        found.add("QUALIFICATION_EMPTY", act.leaves_of(2, 3))
    lane = _lane_of(body)
    is_lane = kind == int(QualificationKind.LANE)
    if is_lane != (lane is not None) or (
        lane is not None and (lane[0] == lane[1] or any(len(end) != _SITE_ID_BYTES for end in lane))
    ):
        found.add("LANE_UNCLEAR", act.leaves_of(1, 4))


def check_withdrawn(
    qualifications: dict[bytes, Qualification],
    act: Act,
    body: facilities.QualificationWithdrawn,
    found: Findings,
) -> None:
    """Adds what the rules find in the withdrawal of a qualification."""
    one = qualifications.get(body.qualification)
    if one is None:
        found.add("QUALIFICATION_UNKNOWN", act.leaves_of(1))
        return
    if one.withdrawn_from is not None:
        found.add("QUALIFICATION_ENDED", act.leaves_of(1))
    if one.by != act.site:
        found.add("QUALIFICATION_OF_ANOTHER", act.leaves_of(1))
