"""Answer the custody questions: who answers for what, who has it, what happened, what waits.

The rules:

* Every answer tells the position that it reflects; all of it comes from that one position. Whoever asks for a position
  that the views have not reached waits briefly, and is then told to ask again.
* What can be asked often is one look-up by index, however long the log is. What is asked about the past is folded from
  the few streams that it concerns.
* What a reader may see is decided here (`access`, `asking`), whoever carries the question.
* `now_micros` is the time at the reader's server, microseconds since 1970-01-01T00:00:00Z; nothing here reads a clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cellcustody.ledger.readiness_certificates import ReadinessCertificate
from cellcustody.ledger.views import watching
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import (
    ViewBehindError,
)
from cellcustody.ledger.views.follower import Follower, LedgerSource
from cellcustody.ledger.views.gaps import custody_gaps
from cellcustody.ledger.views.inspecting import Inspection
from cellcustody.ledger.views.listing import Lists, batches_for, open_handoffs_at
from cellcustody.ledger.views.messages import material_custody
from cellcustody.ledger.views.past import TherapyPast
from cellcustody.ledger.views.readiness import Readiness
from cellcustody.ledger.views.summaries import SiteName
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as pb
from cellcustody.v1 import ledger_service_pb2

__all__ = ["Views"]

WAIT_SECONDS_MAX: Final = 2.0  # For a position; views lag by milliseconds, so that longer means something is wrong.
_MICROS: Final = 1_000_000


def site_names(source: LedgerSource) -> SiteName:
    """Returns what tells the registered name of a site, or the beginning of its id."""

    def name_of(site: bytes) -> str:
        found = source.registry.latest.site(site)
        return site.hex()[:8] if found is None else found.name

    return name_of


class Views:
    """The views of one ledger, with the thread that follows it. Any thread may ask."""

    def __init__(self, follower: Follower, source: LedgerSource) -> None:
        """Takes ownership of `follower`, which the caller has started or drives itself."""
        self.follower = follower
        self._source = source
        self._site_name = site_names(source)
        self.inspection = Inspection(follower, source, self._site_name)
        self.lists = Lists(source, self._asked, self._teller)

    @classmethod
    def open(cls, path: Path | str, ledger: LedgerSource) -> Self:
        """Opens or makes the views in the file at `path` and starts following the ledger where they stopped.

        Raises:
            ViewsDamagedError: the file cannot be used; it may be deleted.
        """
        follower = Follower(path, ledger)
        follower.start()
        return cls(follower, ledger)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops following and closes the file; the ledger stays open."""
        self.follower.close()

    @property
    def position(self) -> int:
        """The position that the views reflect."""
        return self.follower.position

    def wait_for(self, position: int, timeout_seconds: float) -> bool:
        """Returns once the views reflect `position`, telling whether they do when the time is up."""
        return self.follower.wait_for(position, timeout_seconds)

    def drop_and_rebuild(self) -> None:
        """Drops all rows and follows the log from its first entry."""
        self.follower.drop_and_rebuild()

    @contextmanager
    def _asked(self, reader: Reader, position_min: int, wait_seconds: float) -> Iterator[Asked]:
        if not self.follower.wait_for(position_min, min(wait_seconds, WAIT_SECONDS_MAX)):
            raise ViewBehindError(
                "the views have not reached this position yet; ask again",
                position_min=position_min,
                position=self.follower.position,
            )
        with self.follower.database.reading() as snapshot:
            yield Asked(snapshot, reader)

    def _teller(self, asked: Asked) -> Teller:
        return Teller(self._source, asked, self._site_name, self.inspection.staff)

    def takes_part(self, stream: bytes, reader: Reader, *, position: int, wait_seconds: float) -> bool:
        """Tells whether a site takes part in a therapy or has touched a consignment, as it is at a position or later.

        Raises:
            ViewBehindError: it is not known to take part, and the views have not reached the position.
        """
        with self._asked(reader, 0, 0) as asked:
            if asked.takes_part(stream) or asked.position >= position:
                return asked.takes_part(stream)
        with self._asked(reader, position, wait_seconds) as asked:
            return asked.takes_part(stream)

    # Therapies and their past ---------------------------------------------------------------------------------------

    def get_therapy(
        self, request: pb.GetTherapyRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.GetTherapyResponse:
        """Returns a therapy with its materials, holds and batches.

        Raises:
            TherapyNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            stream = asked.therapy(request.therapy)
            rows = asked.snapshot.blobs
            (kept,) = rows("SELECT answer FROM therapy WHERE stream = ?", (stream,))
            answer = pb.GetTherapyResponse.FromString(kept)
            answer.position = asked.position
            answer.materials.extend(
                map(pb.MaterialCustody.FromString, rows("SELECT answer FROM material WHERE stream = ?", (stream,)))
            )
            # A consignment may carry other therapies too: of its holds, those that cover materials of this one.
            holds = rows("SELECT answer FROM hold WHERE stream = ?", (stream,))
            for hold in sorted({hold for material in answer.materials for hold in material.holds}):
                holds += rows("SELECT answer FROM hold WHERE hold = ? AND stream <> ?", (hold, stream))
            answer.holds.extend(map(pb.HoldRecord.FromString, holds))
            batches = rows("SELECT answer FROM batch WHERE stream = ?", (stream,))
            answer.batches.extend(batches_for(batches, reader))
            answer.outstanding.extend(
                map(
                    pb.OutstandingSignature.FromString,
                    rows("SELECT answer FROM outstanding WHERE stream = ? ORDER BY due", (stream,)),
                )
            )
            return answer

    def get_custody(
        self, request: pb.GetCustodyRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.GetCustodyResponse:
        """Returns custody of a therapy's materials or of one: now, at a time, or as known at a position.

        Raises:
            TherapyNotFoundError, MaterialNotFoundError: there is none.
            ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        position_min = max(request.position_min, request.known_at_position)
        with self._asked(reader, position_min, wait_seconds) as asked:
            named = request.therapy.WhichOneof("name") is not None
            stream = asked.therapy(request.therapy) if named else asked.therapy_of(request.material)
            position = asked.position
            if not request.HasField("at_unix_micros") and not request.HasField("known_at_position"):
                sql, parameters = "SELECT answer FROM material WHERE stream = ?", [stream]
                if request.material:
                    sql, parameters = f"{sql} AND material = ?", [stream, request.material]
                answers = asked.snapshot.blobs(sql, parameters)
                return pb.GetCustodyResponse(position=position, materials=map(pb.MaterialCustody.FromString, answers))
        known_at = request.known_at_position if request.HasField("known_at_position") else position
        past = TherapyPast(self._source, self.follower.packs, stream, known_at)
        at = request.at_unix_micros if request.HasField("at_unix_micros") else None
        state = past.case(at).state
        return pb.GetCustodyResponse(
            position=known_at,
            materials=[
                material_custody(state, stream, material)
                for material in sorted(state.materials.values(), key=lambda one: one.material)
                if not request.material or material.material == request.material
            ],
        )

    def get_history(
        self, request: pb.GetHistoryRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.GetHistoryResponse:
        """Returns a therapy's history with its consignments' acts, in order of occurrence, and the gaps in custody.

        Raises:
            TherapyNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        with self._asked(reader, max(request.position_min, request.known_at_position), wait_seconds) as asked:
            stream = asked.therapy(request.therapy)
            known_at = request.known_at_position if request.HasField("known_at_position") else asked.position
            past = TherapyPast(self._source, self.follower.packs, stream, known_at)
            case = past.case()
            items = past.items(case, self._teller(asked).item)
        return pb.GetHistoryResponse(position=known_at, items=items, gaps=custody_gaps(case))

    def get_readiness(
        self, request: pb.GetReadinessRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.GetReadinessResponse:
        """Returns whether a bag may be infused now: yes, or no with every reason.

        Raises:
            MaterialNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        ready = self._readiness(request.material, reader, request.position_min, now_micros, wait_seconds)
        return pb.GetReadinessResponse(
            position=ready.position,
            ready=not ready.findings,
            reasons=[
                ledger_service_pb2.ExplainedFinding(
                    code=one.code,
                    strength=one.strength,
                    explanation=one.explanation,
                    values=[ledger_service_pb2.NamedValue(name=name, value=value) for name, value in one.values],
                )
                for one in ready.explained
            ],
        )

    def readiness_certificate(
        self, request: pb.GetReadinessCertificateRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> ReadinessCertificate:
        """Returns what a readiness certificate says of a bag now, unsigned.

        Raises:
            BagNotReadyError, MaterialNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        ready = self._readiness(request.material, reader, request.position_min, now_micros, wait_seconds)
        return ready.certificate(self._source.registry.latest.ledger_id)

    def _readiness(
        self, material: bytes, reader: Reader, position_min: int, now_micros: int, wait_seconds: float
    ) -> Readiness:
        with self._asked(reader, position_min, wait_seconds) as asked:
            stream = asked.therapy_of(material)
            position = asked.position
        return Readiness.of(self._source, self.follower.packs, stream, material, position=position, at=now_micros)

    # Consignments and units -----------------------------------------------------------------------------------------

    def get_consignment(
        self, request: pb.GetConsignmentRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.GetConsignmentResponse:
        """Returns a consignment with its containers, holds and open handoffs.

        Raises:
            ConsignmentNotFoundError, QuestionIncompleteError, ViewBehindError.
        """
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            answer = pb.GetConsignmentResponse.FromString(asked.consignment(request.consignment))
            rows, stream = asked.snapshot.blobs, (request.consignment,)
            answer.position = asked.position
            answer.containers.extend(
                map(pb.ContainerCustody.FromString, rows("SELECT answer FROM container WHERE stream = ?", stream))
            )
            answer.holds.extend(map(pb.HoldRecord.FromString, rows("SELECT answer FROM hold WHERE stream = ?", stream)))
            handoffs = rows("SELECT answer FROM handoff WHERE stream = ? ORDER BY since", stream)
            answer.open_handoffs.extend(open_handoffs_at(handoffs, now_micros))
            return answer

    # News -----------------------------------------------------------------------------------------------------------

    def watch(
        self, request: pb.WatchRequest, reader_of: Callable[[], Reader], stop: threading.Event
    ) -> Iterator[pb.WatchResponse]:
        """Yields what happens, from a position on, as far as the caller may read, until `stop` is set.

        `reader_of` is asked for each piece of news, so that a right taken away is gone at once.

        Raises:
            ReadNotPermittedError: the caller may not read the one stream asked for.
        """
        return watching.watch(self._source, self.follower, request, reader_of, self._teller, stop)
