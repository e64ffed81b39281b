"""List what units hold, what waits for them, and where lots went; each list whole, a page at a time.

The rules:

* A list is taken from rows in the order of a key, page by page; an answer without a token is whole.
* Where an answer has several lists, a page goes through them one after the other.
* Rows of streams that the reader does not see are never counted, and never told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import LotNotFoundError, QuestionIncompleteError, ReadNotPermittedError
from cellcustody.ledger.views.paging import Pages, position_of_token
from cellcustody.ledger.views.reading import LedgerSource
from cellcustody.ledger.views.tables import Value
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as pb
from cellcustody.v1 import options_pb2

__all__ = ["Lists", "batches_for", "open_handoffs_at"]

_MICROS: Final = 1_000_000
_LOT_KEYS: Final = ("stream", "statement_digest", "ordinal")

_Asking = Callable[[Reader, int, float], AbstractContextManager[Asked]]


class Lists:
    """The questions that are answered by lists. `asked` opens the views at a position, `teller` tells statements."""

    def __init__(self, source: LedgerSource, asked: _Asking, teller: Callable[[Asked], Teller]) -> None:
        self._source = source
        self._asked = asked
        self._teller = teller

    def get_holdings(
        self, request: pb.GetHoldingsRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.GetHoldingsResponse:
        """Returns what a unit, or a whole site, answers for or has: materials, and containers on the way.

        Raises:
            ReadNotPermittedError, QuestionIncompleteError, PageTokenInvalidError, ViewBehindError.
        """
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait_seconds) as asked:
            asked.refuse_other_sites(request.unit.site)
            pages = Pages(asked, request, size=request.page_size, token=request.page_token)
            answer = pb.GetHoldingsResponse(position=asked.position)
            at_unit, parameters = asked.at_unit(("custodian", "possessor"), request.unit)
            visible, of_reader = asked.visible("material", reader.therapies)
            sql = f"SELECT answer, stream, material FROM material WHERE {at_unit} AND has_ended = 0 AND {visible}"
            for row in pages.rows(0, sql, [*parameters, *of_reader], ("stream", "material")):
                answer.materials.append(pb.MaterialCustody.FromString(_blob(row[0])))
            visible, of_reader = asked.visible("container", reader.consignments)
            sql = f"SELECT answer, stream, container FROM container WHERE {at_unit} AND is_open = 1 AND {visible}"
            for row in pages.rows(1, sql, [*parameters, *of_reader], ("stream", "container")):
                container = pb.ContainerCustody.FromString(_blob(row[0]))
                answer.containers.add(consignment=_blob(row[1]), container=container)
            answer.next_page_token = pages.next_token
            return answer

    def get_worklist(
        self, request: pb.GetWorklistRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.GetWorklistResponse:
        """Returns what waits for a unit, or for a whole site.

        Raises:
            ReadNotPermittedError, QuestionIncompleteError, PageTokenInvalidError, ViewBehindError.
        """
        unit = request.unit
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait_seconds) as asked:
            asked.refuse_other_sites(unit.site)
            pages = Pages(asked, request, size=request.page_size, token=request.page_token)
            answer = pb.GetWorklistResponse(position=asked.position)
            incoming, outgoing = (
                open_handoffs_at(self._handoffs_of(asked, pages, number, side, request), now_micros)
                for number, side in enumerate(("receiver", "releaser"))
            )
            answer.incoming.extend(incoming)
            answer.outgoing.extend(outgoing)
            answer.to_release.extend(batches_for(self._batches_of(asked, pages, unit.site), reader))
            sql = "SELECT answer, due, stream, statement_digest FROM outstanding WHERE site = ?"
            for raw in _seen(asked, pages.rows(3, sql, [unit.site], ("due", "stream", "statement_digest")), 2):
                answer.awaiting_signature.append(pb.OutstandingSignature.FromString(raw))
            at_unit, parameters = asked.at_unit(("",), unit)
            keys: tuple[str, ...] = ("stream", "hold")
            sql = f"SELECT DISTINCT answer, stream, hold FROM hold_on JOIN hold USING (stream, hold) WHERE {at_unit}"
            for raw in _seen(asked, pages.rows(4, sql, parameters, keys), 1):
                answer.alerts.append(pb.HoldRecord.FromString(raw))
            for raw in self._lot_holds_at(asked, pages, request):
                answer.alerts.append(pb.HoldRecord.FromString(raw))
            keys = ("occurred", "stream", "statement_digest")
            sql = f"SELECT DISTINCT answer, {', '.join(keys)} FROM attention WHERE {at_unit}"
            refused = list(_seen(asked, pages.rows(6, sql, parameters, keys), 2))
            answer.next_page_token = pages.next_token
            teller = self._teller(asked)
            for raw in reversed(refused):  # The latest first, as a person looks at them.
                answer.refused.append(pb.HistoryItem.FromString(raw))
                teller.tell_again(answer.refused[-1])
        return answer

    @staticmethod
    def _lot_holds_at(asked: Asked, pages: Pages, request: pb.GetWorklistRequest) -> Iterator[bytes]:
        """Yields the holds on lots that went into what a unit answers for or has."""
        at_unit, parameters = asked.at_unit(("custodian", "possessor"), request.unit)
        visible, of_reader = asked.visible("material", asked.reader.therapies)
        sql = (
            "SELECT answer, stream, hold FROM hold WHERE stream IN (SELECT lot_use.lot FROM material "
            "JOIN lot_material USING (stream, material) JOIN lot_use USING (stream, statement_digest, ordinal) "
            f"WHERE {at_unit} AND material.has_ended = 0 AND {visible})"
        )
        for row in pages.rows(5, sql, [*parameters, *of_reader], ("stream", "hold")):
            yield _blob(row[0])

    @staticmethod
    def _handoffs_of(
        asked: Asked, pages: Pages, section: int, side: str, request: pb.GetWorklistRequest
    ) -> Sequence[bytes]:
        at_unit, parameters = asked.at_unit((side,), request.unit)
        visible, of_reader = asked.visible("handoff", asked.reader.consignments)
        keys = ("since", "stream", '"release"')
        sql = f"SELECT answer, {', '.join(keys)} FROM handoff WHERE {at_unit} AND {visible}"
        return [_blob(row[0]) for row in pages.rows(section, sql, [*parameters, *of_reader], keys)]

    def _batches_of(self, asked: Asked, pages: Pages, site: bytes) -> list[bytes]:
        """Returns the batches that wait for quality at a site that makes them, or that releases for their therapy."""
        registered = self._source.registry.latest.site(site)
        releases = registered is not None and options_pb2.CAPABILITY_RELEASE in registered.capabilities
        here = "EXISTS (SELECT 1 FROM party WHERE party.stream = batch.stream AND party.site = ?)" if releases else "0"
        visible, of_reader = asked.visible("batch", asked.reader.therapies)
        sql = f"SELECT answer, stream, batch FROM batch WHERE is_to_release = 1 AND (site = ? OR {here}) AND {visible}"
        parameters = [site, *([site] if releases else []), *of_reader]
        return [_blob(row[0]) for row in pages.rows(2, sql, parameters, ("stream", "batch"))]

    def list_open_handoffs(
        self, request: pb.ListOpenHandoffsRequest, reader: Reader, *, now_micros: int, wait_seconds: float
    ) -> pb.ListOpenHandoffsResponse:
        """Returns the releases that nobody has answered, oldest first, with their age.

        Raises:
            ReadNotPermittedError, PageTokenInvalidError, ViewBehindError.
        """
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait_seconds) as asked:
            condition, parameters = asked.visible("handoff", reader.consignments)
            if request.site:
                asked.refuse_other_sites(request.site)
                condition = f"(releaser_site = ? OR receiver_site = ?) AND {condition}"
                parameters = (request.site, request.site, *parameters)
            pages = Pages(asked, request, size=request.page_size, token=request.page_token)
            keys = ("since", "stream", '"release"')
            sql = f"SELECT answer, {', '.join(keys)} FROM handoff WHERE {condition}"
            found = [_blob(row[0]) for row in pages.rows(0, sql, parameters, keys)]
            return pb.ListOpenHandoffsResponse(
                position=asked.position,
                handoffs=open_handoffs_at(found, now_micros),
                next_page_token=pages.next_token,
            )

    # Traces ---------------------------------------------------------------------------------------------------------

    def trace_lot(self, request: pb.TraceLotRequest, reader: Reader, *, wait_seconds: float) -> pb.TraceLotResponse:
        """Returns where a lot went: the therapies, steps and materials that descend from it.

        Raises:
            LotNotFoundError, ReadNotPermittedError, QuestionIncompleteError, PageTokenInvalidError, ViewBehindError.
        """
        if not request.lot_number:
            raise QuestionIncompleteError("the question names no lot")
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait_seconds) as asked:
            _refuse_without_lots(asked)
            pages = Pages(asked, request, size=request.page_size, token=request.page_token)
            visible, of_reader = asked.visible("lot_use", reader.therapies)
            uses = _lot_uses(asked, pages, f"lot_number = ? AND {visible}", [request.lot_number, *of_reader])
            if not uses and not request.page_token:
                raise LotNotFoundError(
                    "no step of a therapy that this site takes part in used this lot", asked=request.lot_number
                )
            return pb.TraceLotResponse(position=asked.position, uses=uses, next_page_token=pages.next_token)

    def trace_therapy(
        self, request: pb.TraceTherapyRequest, reader: Reader, *, wait_seconds: float
    ) -> pb.TraceTherapyResponse:
        """Returns the lots used in a therapy.

        Raises:
            TherapyNotFoundError, ReadNotPermittedError, QuestionIncompleteError, PageTokenInvalidError,
            ViewBehindError.
        """
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait_seconds) as asked:
            _refuse_without_lots(asked)
            stream = asked.therapy(request.therapy)
            pages = Pages(asked, request, size=request.page_size, token=request.page_token)
            uses = _lot_uses(asked, pages, "stream = ?", [stream])
            return pb.TraceTherapyResponse(position=asked.position, uses=uses, next_page_token=pages.next_token)


def _lot_uses(asked: Asked, pages: Pages, condition: str, parameters: Sequence[Value]) -> list[pb.LotTrace]:
    uses: list[pb.LotTrace] = []
    sql = f"SELECT answer, {', '.join(_LOT_KEYS)} FROM lot_use WHERE {condition}"
    for answer, *key in pages.rows(0, sql, parameters, _LOT_KEYS):
        use = pb.LotTrace.FromString(_blob(answer))
        descending = asked.snapshot.blobs(
            "SELECT answer FROM lot_material JOIN material USING (stream, material) "
            "WHERE lot_material.stream = ? AND statement_digest = ? AND ordinal = ?",
            key,
        )
        use.materials.extend(map(pb.MaterialCustody.FromString, descending))
        uses.append(use)
    return uses


def _blob(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("this column is a blob")
    return value


def _seen(asked: Asked, rows: Sequence[tuple[Value, ...]], stream: int) -> Iterator[bytes]:
    """Yields the answers (first column) of streams (column `stream`) that the reader sees."""
    for row in rows:
        if asked.sees(_blob(row[stream])):
            yield _blob(row[0])


def _refuse_without_lots(asked: Asked) -> None:
    asked.refuse_without_therapies()
    if not asked.reader.may_read(DisclosureClass.OPERATIONAL):
        raise ReadNotPermittedError("lots in use are for sites at work and regulators", site=asked.reader.site)


def batches_for(answers: Sequence[bytes], reader: Reader) -> list[pb.BatchRecord]:
    """Returns batches as a reader may read them."""
    batches = [pb.BatchRecord.FromString(answer) for answer in answers]
    if not reader.may_read(DisclosureClass.QUALITY):
        for batch in batches:
            batch.ClearField("results")
    return batches


def open_handoffs_at(answers: Sequence[bytes], now_micros: int) -> list[pb.OpenHandoff]:
    """Returns open handoffs with their age at a time, microseconds."""
    handoffs = [pb.OpenHandoff.FromString(answer) for answer in answers]
    for one in handoffs:
        one.age_seconds = max(0, now_micros - one.since_unix_micros) // _MICROS
        one.overdue = one.age_seconds > DEFAULT_PACK.handoff_acceptance_seconds
    return handoffs
