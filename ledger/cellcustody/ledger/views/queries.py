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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.readiness_certificates import ReadinessCertificate
from cellcustody.ledger.views import watching
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import (
    LotNotFoundError,
    QuestionIncompleteError,
    ReadNotPermittedError,
    ViewBehindError,
)
from cellcustody.ledger.views.follower import Follower, LedgerSource
from cellcustody.ledger.views.gaps import custody_gaps
from cellcustody.ledger.views.inspecting import Inspection
from cellcustody.ledger.views.messages import material_custody
from cellcustody.ledger.views.past import TherapyPast
from cellcustody.ledger.views.readiness import Readiness
from cellcustody.ledger.views.reading import read_one
from cellcustody.ledger.views.summaries import SiteName, Summary
from cellcustody.ledger.views.tables import Value
from cellcustody.v1 import common_pb2, ledger_service_pb2, options_pb2
from cellcustody.v1 import custody_query_service_pb2 as pb

__all__ = ["ROWS_MAX", "Views"]

ROWS_MAX: Final = 2_000  # Of one kind in one answer, so that it stays under gRPC's message limit of 4 MiB.
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

    def _summary(self, reader: Reader) -> Summary:
        return Summary(reader.classes, self._site_name)

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
            answer.batches.extend(_batches(batches, reader))
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
        return pb.GetHistoryResponse(
            position=known_at, items=past.items(case, self._summary(reader)), gaps=custody_gaps(case)
        )

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
            answer.open_handoffs.extend(_handoffs(handoffs, now_micros))
            return answer

    def get_holdings(
        self, request: pb.GetHoldingsRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.GetHoldingsResponse:
        """Returns what a unit, or a whole site, answers for or has: materials, and containers on the way.

        Raises:
            ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            asked.refuse_other_sites(request.unit.site)
            at_unit, parameters = asked.at_unit(("custodian", "possessor"), request.unit)
            visible, of_reader = asked.visible("material", reader.therapies)
            sql = f"SELECT answer FROM material WHERE {at_unit} AND has_ended = 0 AND {visible} LIMIT {ROWS_MAX}"
            materials = asked.snapshot.blobs(sql, [*parameters, *of_reader])
            visible, of_reader = asked.visible("container", reader.consignments)
            sql = f"SELECT answer, stream FROM container WHERE {at_unit} AND is_open = 1 AND {visible} LIMIT {ROWS_MAX}"
            containers = asked.snapshot.rows(sql, [*parameters, *of_reader])
            return pb.GetHoldingsResponse(
                position=asked.position,
                materials=map(pb.MaterialCustody.FromString, materials),
                containers=[
                    pb.ContainerHolding(consignment=stream, container=pb.ContainerCustody.FromString(answer))
                    for answer, stream in containers
                    if isinstance(answer, bytes) and isinstance(stream, bytes)
                ],
            )

    def get_worklist(
        self, request: pb.GetWorklistRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.GetWorklistResponse:
        """Returns what waits for a unit, or for a whole site.

        Raises:
            ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        unit = request.unit
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            asked.refuse_other_sites(unit.site)
            answer = pb.GetWorklistResponse(
                position=asked.position,
                incoming=_handoffs(self._handoffs_of(asked, "receiver", request), now_micros),
                outgoing=_handoffs(self._handoffs_of(asked, "releaser", request), now_micros),
                to_release=_batches(self._batches_of(asked, unit.site), reader),
            )
            sql = "SELECT answer, stream FROM outstanding WHERE site = ? ORDER BY due"
            answer.awaiting_signature.extend(
                map(pb.OutstandingSignature.FromString, self._seen(asked, sql, [unit.site]))
            )
            at_unit, parameters = asked.at_unit(("",), unit)
            sql = f"SELECT DISTINCT answer, stream FROM hold_on JOIN hold USING (stream, hold) WHERE {at_unit}"
            answer.alerts.extend(map(pb.HoldRecord.FromString, self._seen(asked, sql, parameters)))
            answer.alerts.extend(map(pb.HoldRecord.FromString, self._lot_holds_at(asked, unit)))
            sql = f"SELECT DISTINCT answer, stream, occurred FROM attention WHERE {at_unit} ORDER BY occurred DESC"
            refused = self._seen(asked, sql, parameters)
        answer.refused.extend(self._told_again(pb.HistoryItem.FromString(one), reader) for one in refused)
        return answer

    def _lot_holds_at(self, asked: Asked, unit: common_pb2.Unit) -> list[bytes]:
        """Returns the holds on lots that went into what a unit answers for or has."""
        at_unit, parameters = asked.at_unit(("custodian", "possessor"), unit)
        sql = (
            "SELECT DISTINCT hold.answer, material.stream FROM material "
            "JOIN lot_material USING (stream, material) JOIN lot_use USING (stream, statement_digest, ordinal) "
            f"JOIN hold ON hold.stream = lot_use.lot WHERE {at_unit} AND material.has_ended = 0"
        )
        return list(dict.fromkeys(self._seen(asked, sql, parameters)))

    def _told_again(self, item: pb.HistoryItem, reader: Reader) -> pb.HistoryItem:
        """Returns an item with its summary, in what this reader may see."""
        told = read_one(self._source, item.leaf_index, self._source.store.entry(item.leaf_index))
        item.summary = self._summary(reader).of(told.act)
        return item

    @staticmethod
    def _handoffs_of(asked: Asked, side: str, request: pb.GetWorklistRequest) -> list[bytes]:
        at_unit, parameters = asked.at_unit((side,), request.unit)
        visible, of_reader = asked.visible("handoff", asked.reader.consignments)
        sql = f"SELECT answer FROM handoff WHERE {at_unit} AND {visible} ORDER BY since LIMIT {ROWS_MAX}"
        return asked.snapshot.blobs(sql, [*parameters, *of_reader])

    def _batches_of(self, asked: Asked, site: bytes) -> list[bytes]:
        """Returns the batches that wait for quality at a site that makes them, or that releases for their therapy."""
        registered = self._source.registry.latest.site(site)
        releases = registered is not None and options_pb2.CAPABILITY_RELEASE in registered.capabilities
        here = "EXISTS (SELECT 1 FROM party WHERE party.stream = batch.stream AND party.site = ?)" if releases else "0"
        visible, of_reader = asked.visible("batch", asked.reader.therapies)
        sql = (
            f"SELECT answer FROM batch WHERE is_to_release = 1 AND (site = ? OR {here}) AND {visible} LIMIT {ROWS_MAX}"
        )
        return asked.snapshot.blobs(sql, [site, *([site] if releases else []), *of_reader])

    @staticmethod
    def _seen(asked: Asked, sql: str, parameters: Sequence[Value]) -> list[bytes]:
        """Returns the answers (first column) of streams (second column) that the reader sees."""
        return [
            row[0]
            for row in asked.snapshot.rows(f"{sql} LIMIT {ROWS_MAX}", parameters)
            if isinstance(row[0], bytes) and isinstance(row[1], bytes) and asked.sees(row[1])
        ]

    def list_open_handoffs(
        self, request: pb.ListOpenHandoffsRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.ListOpenHandoffsResponse:
        """Returns the releases that nobody has answered, oldest first, with their age.

        Raises:
            ReadNotPermittedError, ViewBehindError.
        """
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            condition, parameters = asked.visible("handoff", reader.consignments)
            if request.site:
                asked.refuse_other_sites(request.site)
                condition = f"(releaser_site = ? OR receiver_site = ?) AND {condition}"
                parameters = (request.site, request.site, *parameters)
            sql = f"SELECT answer FROM handoff WHERE {condition} ORDER BY since LIMIT {ROWS_MAX}"
            found = asked.snapshot.blobs(sql, parameters)
            return pb.ListOpenHandoffsResponse(position=asked.position, handoffs=_handoffs(found, now_micros))

    # Traces ---------------------------------------------------------------------------------------------------------

    def trace_lot(self, request: pb.TraceLotRequest, reader: Reader, *, wait_seconds: float) -> pb.TraceLotResponse:
        """Returns where a lot went: the therapies, steps and materials that descend from it.

        Raises:
            LotNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        if not request.lot_number:
            raise QuestionIncompleteError("the question names no lot")
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            _refuse_without_lots(asked)
            visible, of_reader = asked.visible("lot_use", reader.therapies)
            condition = f"lot_number = ? AND {visible}"
            uses = self._lot_uses(asked, condition, [request.lot_number, *of_reader])
            if not uses:
                raise LotNotFoundError(
                    "no step of a therapy that this site takes part in used this lot", asked=request.lot_number
                )
            return pb.TraceLotResponse(position=asked.position, uses=uses)

    def trace_therapy(
        self, request: pb.TraceTherapyRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.TraceTherapyResponse:
        """Returns the lots used in a therapy.

        Raises:
            TherapyNotFoundError, ReadNotPermittedError, QuestionIncompleteError, ViewBehindError.
        """
        with self._asked(reader, request.position_min, wait_seconds) as asked:
            _refuse_without_lots(asked)
            stream = asked.therapy(request.therapy)
            return pb.TraceTherapyResponse(position=asked.position, uses=self._lot_uses(asked, "stream = ?", [stream]))

    @staticmethod
    def _lot_uses(asked: Asked, condition: str, parameters: Sequence[Value]) -> list[pb.LotTrace]:
        uses: list[pb.LotTrace] = []
        sql = f"SELECT answer, stream, statement_digest, ordinal FROM lot_use WHERE {condition} LIMIT {ROWS_MAX}"
        for answer, *key in asked.snapshot.rows(sql, parameters):
            if not isinstance(answer, bytes):
                continue
            use = pb.LotTrace.FromString(answer)
            descending = asked.snapshot.blobs(
                "SELECT answer FROM lot_material JOIN material USING (stream, material) "
                "WHERE lot_material.stream = ? AND statement_digest = ? AND ordinal = ?",
                key,
            )
            use.materials.extend(map(pb.MaterialCustody.FromString, descending))
            uses.append(use)
        return uses

    # News -----------------------------------------------------------------------------------------------------------

    def watch(
        self, request: pb.WatchRequest, reader_of: Callable[[], Reader], stop: threading.Event
    ) -> Iterator[pb.WatchResponse]:
        """Yields what happens, from a position on, as far as the caller may read, until `stop` is set.

        `reader_of` is asked for each piece of news, so that a right taken away is gone at once.

        Raises:
            ReadNotPermittedError: the caller may not read the one stream asked for.
        """
        return watching.watch(
            self._source, self.follower, request, reader_of, lambda reader: self._summary(reader), stop
        )


def _refuse_without_lots(asked: Asked) -> None:
    asked.refuse_without_therapies()
    if not asked.reader.may_read(DisclosureClass.OPERATIONAL):
        raise ReadNotPermittedError("lots in use are for sites at work and regulators", site=asked.reader.site)


def _batches(answers: Sequence[bytes], reader: Reader) -> list[pb.BatchRecord]:
    batches = [pb.BatchRecord.FromString(answer) for answer in answers]
    if not reader.may_read(DisclosureClass.QUALITY):
        for batch in batches:
            batch.ClearField("results")
    return batches


def _handoffs(answers: Sequence[bytes], now_micros: int) -> list[pb.OpenHandoff]:
    handoffs = [pb.OpenHandoff.FromString(answer) for answer in answers]
    for one in handoffs:
        one.age_seconds = max(0, now_micros - one.since_unix_micros) // _MICROS
        one.overdue = one.age_seconds > DEFAULT_PACK.handoff_acceptance_seconds
    return handoffs
