"""Answer an inspector's questions, each in one call: find the subject, answer for its streams, fill in for the reader.

The rules:

* A question about one stream's insides is answered from its account, folded once and kept; one across streams from
  rows. Nothing reads the whole log.
* An answer is made of statements' places; they are filled in last, by one teller, for this reader alone.
* A subject that leads to many streams is answered a few streams at a time, so that each page is as fast as the first.
* Every answer reflects one position. As known at an earlier one, accounts are made anew from what was recorded by then.
* `now_micros` is the time at the reader's server, microseconds since 1970-01-01T00:00:00Z; nothing here reads a clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.alerts import alerts_at, watch_alerts
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import QuestionIncompleteError
from cellcustody.ledger.views.inspection import (
    custody_questions,
    recall_questions,
    registry_questions,
    remarked,
)
from cellcustody.ledger.views.paging import ROWS_MAX, Pages, position_of_token
from cellcustody.ledger.views.questioning import (
    LINES_MAX,
    REMARKS_MAX,
    REMARKS_SHOWN,
    STREAMS_MAX,
    STREAMS_SHOWN,
    page_of,
    refuse_past,
)
from cellcustody.ledger.views.stream_questions import StreamQuestions
from cellcustody.ledger.views.subjects import Wanted, scope_of
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["Inspection"]


class Inspection(StreamQuestions):
    """The questions over the views of one ledger. Any thread may ask."""

    def inspect_holdings(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectHoldingsResponse:
        """2: returns who has what; of a site, what it holds now."""
        at = request.at_unix_micros if request.HasField("at_unix_micros") else None
        answer = pb.InspectHoldingsResponse()
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            is_now = at is None and not request.HasField("known_at_position")
            if request.subject.WhichOneof("subject") == "site" and is_now:
                asked.refuse_other_sites(request.subject.site)
                self._held_by(answer, asked, request)
                return answer
            pages = page_of(asked, request, answer, STREAMS_MAX, STREAMS_SHOWN)
            scope = scope_of(asked, request, pages, Wanted.CUSTODY)
            answer.position = self._known(request, asked)
            for stream in scope.streams:
                account = self._accounts.of(stream, answer.position)
                if account.told:
                    custody_questions.holdings(answer, account, scope, teller, now, at)
            if scope.site:
                _leave_only(answer, scope.site)
            answer.next_page_token = pages.next_token
        return answer

    @staticmethod
    def _held_by(answer: pb.InspectHoldingsResponse, asked: Asked, request: pb.InspectRequest) -> None:
        pages = Pages(asked, request, size=request.page_size, token=request.page_token)
        site = request.subject.site
        held = "(custodian_site = ? OR possessor_site = ?)"
        visible, of_reader = asked.visible("material", asked.reader.therapies)
        sql = f"SELECT answer, stream, material FROM material WHERE {held} AND has_ended = 0 AND {visible}"
        for row in pages.rows(0, sql, [site, site, *of_reader], ("stream", "material")):
            if isinstance(row[0], bytes):
                answer.materials.append(custody.MaterialCustody.FromString(row[0]))
        visible, of_reader = asked.visible("container", asked.reader.consignments)
        sql = f"SELECT answer, stream, container FROM container WHERE {held} AND is_open = 1 AND {visible}"
        for row in pages.rows(1, sql, [site, site, *of_reader], ("stream", "container")):
            if isinstance(row[0], bytes) and isinstance(row[1], bytes):
                container = custody.ContainerCustody.FromString(row[0])
                answer.containers.add(consignment=row[1], container=container)
        answer.position = asked.position
        answer.next_page_token = pages.next_token

    def inspect_corrections(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectCorrectionsResponse:
        """8: returns corrections, retractions and late entries."""
        answer = pb.InspectCorrectionsResponse()
        with self._remarks(request, reader, wait, answer) as (asked, teller, pages):
            remarked.corrections(answer, asked, request, pages, teller)
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def inspect_exceptions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectExceptionsResponse:
        """9: returns overrides, emergency credentials and nonconforming facts."""
        answer = pb.InspectExceptionsResponse()
        with self._remarks(request, reader, wait, answer) as (asked, teller, pages):
            remarked.exceptions(answer, asked, request, pages, teller, now)
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def inspect_deviations(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectDeviationsResponse:
        """17: returns deviations, complaints and excursions."""
        answer = pb.InspectDeviationsResponse()
        with self._remarks(request, reader, wait, answer) as (asked, teller, pages):
            remarked.deviations(answer, asked, request, pages, teller)
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def inspect_downtime(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectDowntimeResponse:
        """27: returns downtime, and what was entered from paper."""
        answer = pb.InspectDowntimeResponse()
        with self._remarks(request, reader, wait, answer) as (asked, teller, pages):
            registry_questions.downtime(answer, asked, request, pages, teller)
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def inspect_recall(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectRecallResponse:
        """18: returns where a lot went, or what a therapy rests on."""
        answer = pb.InspectRecallResponse()
        refuse_past(request, at=True, known_at=True)
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            pages = page_of(asked, request, answer, LINES_MAX)
            answer.position = asked.position
            if request.subject.WhichOneof("subject") == "lot":
                recall_questions.recall_of_lot(answer, asked, request, pages, teller)
            else:
                scope = scope_of(asked, request, pages, Wanted.THERAPIES)
                if len(scope.streams) > 1:
                    raise QuestionIncompleteError("a trace is asked of one therapy, or of a lot")
                for stream in scope.streams:
                    account = self._accounts.of(stream, answer.position)
                    teller.knows(account)
                    recall_questions.trace_of_therapy(answer, account, teller)
            answer.next_page_token = pages.next_token
            teller.fill(answer)
        return answer

    def inspect_signers(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectSignersResponse:
        """24: returns who may sign, on any date."""
        answer = pb.InspectSignersResponse()
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            asked.refuse_without_therapies()
            answer.position = position = asked.position
            if request.HasField("known_at_position"):
                position = request.known_at_position
            elif request.HasField("at_unix_micros"):
                position = registry_questions.position_at(self._source, position, request.at_unix_micros)
            registry_questions.signers(answer, request, self._source.registry, position, teller)
            teller.fill(answer)
        return answer

    def list_awaiting_signature(
        self, request: pb.ListAwaitingSignatureRequest, reader: Reader, now: int, wait: float
    ) -> pb.ListAwaitingSignatureResponse:
        """Returns what a person may co-sign, by due time."""
        answer = pb.ListAwaitingSignatureResponse()
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait) as (asked, teller):
            pages = Pages(
                asked,
                request,
                size=request.page_size or REMARKS_SHOWN,
                token=request.page_token,
                rows_max=REMARKS_MAX,
            )
            registered = self._source.registry.latest.person(request.person)
            person = registry_questions.refuse_other_persons(asked, registered)
            keys = ("due", "stream", "statement_digest")
            sql = (
                f"SELECT answer, {', '.join(keys)} FROM outstanding "
                "WHERE stream IN (SELECT stream FROM party WHERE site = ? "
                "UNION SELECT stream FROM outstanding WHERE site = ?)"
            )
            site = person.site or b""
            for raw, _, stream, digest in pages.rows(0, sql, [site, site], keys):
                if not (isinstance(raw, bytes) and isinstance(stream, bytes) and isinstance(digest, bytes)):
                    continue
                waiting = custody.OutstandingSignature.FromString(raw)
                roles = registry_questions.roles_to_join(person, waiting, now)
                found = self._source.store.find_statement(digest) if roles and asked.sees(stream) else None
                if found is not None:
                    place = custody.HistoryItem(leaf_index=found.leaf_index, statement_digest=digest)
                    answer.awaiting.add(outstanding=waiting, statement=place, roles=roles)
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def list_alerts(
        self, request: pb.ListAlertsRequest, reader: Reader, now: int, wait: float
    ) -> pb.ListAlertsResponse:
        """Returns the alerts that stand now."""
        answer = pb.ListAlertsResponse(at_unix_micros=now)
        position_min = max(request.position_min, position_of_token(request.page_token))
        with self._asked(reader, position_min, wait) as (asked, teller):
            pages = Pages(
                asked,
                request,
                size=request.page_size or REMARKS_SHOWN,
                token=request.page_token,
                rows_max=REMARKS_MAX,
            )
            answer.alerts.extend(alerts_at(asked, request, pages, teller, now))
            answer.position, answer.next_page_token = asked.position, pages.next_token
            teller.fill(answer)
        return answer

    def watch_alerts(
        self,
        request: pb.ListAlertsRequest,
        reader_of: Callable[[], Reader],
        now_of: Callable[[], int],
        stop: threading.Event,
    ) -> Iterator[pb.WatchAlertsResponse]:
        """Yields alerts as they begin, become due and end, until `stop` is set; `now_of` is the server's clock."""

        def list_now() -> tuple[int, int, list[pb.Alert]]:
            now = now_of()
            with self._asked(reader_of(), 0, 0) as (asked, teller):
                pages = Pages(asked, pb.ListAlertsRequest(), size=0, token=b"", rows_max=ROWS_MAX)
                found = pb.ListAlertsResponse(alerts=alerts_at(asked, request, pages, teller, now))
                teller.fill(found)
                return asked.position, now, list(found.alerts)

        return watch_alerts(self._follower, list_now, stop)


def _leave_only(answer: pb.InspectHoldingsResponse, site: bytes) -> None:
    """Leaves what a site answered for or had."""
    held = [one for one in answer.materials if site in (one.custodian.site, one.possessor.site)]
    del answer.materials[:]
    answer.materials.extend(held)
    containers = [
        one for one in answer.containers if site in (one.container.custodian.site, one.container.possessor.site)
    ]
    del answer.containers[:]
    answer.containers.extend(containers)
