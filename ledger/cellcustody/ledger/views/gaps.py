"""Find the intervals of a therapy in which nobody had accepted custody, or nobody had the thing.

The rules:

* Between two signatures of a handoff the releaser still answers: a release that is answered within the time that the
  pack allows is no gap. One that waits longer, or still waits, is a gap from the release on.
* A container or an unpacked material that nobody answers for, or that nobody says to have, is in a gap until somebody
  does. A material that has ended is in none.
* Times are those of occurrence, microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_state import ConsignmentState, Release, ReleaseStatus
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.views.folding import observe_therapy
from cellcustody.v1 import custody_query_service_pb2

__all__ = ["custody_gaps", "release_gaps"]

_ALLOWED_MICROS = DEFAULT_PACK.handoff_acceptance_seconds * MICROS_PER_SECOND  # Consignments have no pack of their own.


@dataclass(frozen=True, slots=True)
class _Opened:
    start: int
    digest: bytes


class _Watching:
    """Notes, after each act, what nobody answers for or has."""

    def __init__(self) -> None:
        self._open: dict[str, _Opened] = {}
        self.gaps: list[custody_query_service_pb2.CustodyGap] = []

    def look(self, state: TherapyState, act: Act) -> None:
        lacking = {
            f"container {label} of consignment {stream.hex()[:8]}"
            for stream, consignment in state.consignments.items()
            if not consignment.closed
            for label, container in consignment.containers.items()
            if container.custodian is None or container.possessor is None
        }
        lacking.update(
            f"material {material.material.hex()[:8]}"
            for material in state.materials.values()
            if material.packed is None
            and not material.life.has_ended
            and (material.custodian is None or material.possessor is None)
        )
        for subject in sorted(lacking - self._open.keys()):
            self._open[subject] = _Opened(act.occurred_start, act.digest)
        for subject in sorted(self._open.keys() - lacking):
            self.gaps.append(_gap(subject, self._open.pop(subject), act.occurred_start))

    def lasting(self) -> list[custody_query_service_pb2.CustodyGap]:
        """Returns the gaps that nobody has ended."""
        return [_gap(subject, opened, None) for subject, opened in sorted(self._open.items())]


def _gap(subject: str, opened: _Opened, end: int | None) -> custody_query_service_pb2.CustodyGap:
    return custody_query_service_pb2.CustodyGap(
        subject=subject, start_unix_micros=opened.start, end_unix_micros=end, statement_digest=opened.digest
    )


def _of_release(release: Release) -> custody_query_service_pb2.CustodyGap | None:
    end = None if release.status is ReleaseStatus.OPEN else release.answered_at
    if end is None and release.status is not ReleaseStatus.OPEN:
        return None  # Withdrawn, or settled by an authorisation: the releaser answered all the time.
    if end is not None and end - release.released_at <= _ALLOWED_MICROS:
        return None
    subject = f"release {release.digest.hex()[:8]} of {', '.join(release.containers)}, unanswered"
    return _gap(subject, _Opened(release.released_at, release.digest), end)


def release_gaps(consignment: ConsignmentState) -> list[custody_query_service_pb2.CustodyGap]:
    """Returns the releases of a consignment that waited longer than allowed, or still wait."""
    return [gap for gap in map(_of_release, consignment.releases.values()) if gap is not None]


def custody_gaps(case: TherapyCase) -> list[custody_query_service_pb2.CustodyGap]:
    """Returns the gaps of a therapy and its consignments, by start."""
    watching = _Watching()
    observe_therapy(case, watching.look)
    found = [*watching.gaps, *watching.lasting()]
    for consignment in case.state.consignments.values():
        found.extend(release_gaps(consignment))
    return sorted(found, key=lambda gap: (gap.start_unix_micros, gap.subject))
