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
from contextlib import contextmanager
from typing import Final, TypeVar

from google.protobuf.message import Message

from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.account import Account, Accounts
from cellcustody.ledger.views.alerts import alerts_at, watch_alerts
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import QuestionIncompleteError, QuestionOfNowError, ViewBehindError
from cellcustody.ledger.views.follower import Follower, LedgerSource
from cellcustody.ledger.views.inspection import (
    condition_questions,
    custody_questions,
    material_questions,
    patient_questions,
    quality_questions,
    recall_questions,
    registry_questions,
    remarked,
    signature_questions,
)
from cellcustody.ledger.views.paging import ROWS_MAX, Pages, position_of_token
from cellcustody.ledger.views.staff_names import StaffNames
from cellcustody.ledger.views.subjects import Scope, Wanted, scope_of
from cellcustody.ledger.views.summaries import SiteName
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["Inspection"]

WAIT_SECONDS_MAX: Final = 2.0
STREAMS_SHOWN: Final = 1  # Of one page unless more are asked for: to fold one anew takes some forty milliseconds.
STREAMS_MAX: Final = 50  # Of one page that asks for as many.
REMARKS_SHOWN: Final = 40  # Of one page unless more are asked for: each is read from the log by its leaf.
REMARKS_MAX: Final = 500  # Of one page that asks for as many.
LINES_MAX: Final = 500  # Of a recall's page: rows alone, nothing is read from the log.

_Answer = TypeVar(
    "_Answer",
    pb.InspectHistoryResponse,
    pb.InspectHandoffsResponse,
    pb.InspectGapsResponse,
    pb.InspectPairsResponse,
    pb.InspectSignaturesResponse,
    pb.InspectGenealogyResponse,
    pb.InspectLabelsResponse,
    pb.InspectConditionsResponse,
    pb.InspectBudgetsResponse,
    pb.InspectQualificationsResponse,
    pb.InspectReleasesResponse,
    pb.InspectOutOfSpecificationResponse,
    pb.InspectConsentResponse,
    pb.InspectEligibilityResponse,
    pb.InspectInfusionsResponse,
    pb.InspectFollowUpResponse,
    pb.InspectVersionsResponse,
    pb.InspectClocksResponse,
)
_Question = Callable[[_Answer, Account, Scope, Teller, int], None]


class Inspection:
    """The questions over the views of one ledger. Any thread may ask."""

    def __init__(self, follower: Follower, source: LedgerSource, site_name: SiteName) -> None:
        self._follower = follower
        self._source = source
        self._site_name = site_name
        self.staff = StaffNames(source)
        self._accounts = Accounts(source, follower.packs)

    @contextmanager
    def _asked(self, reader: Reader, position_min: int, wait_seconds: float) -> Iterator[tuple[Asked, Teller]]:
        if not self._follower.wait_for(position_min, min(wait_seconds, WAIT_SECONDS_MAX)):
            raise ViewBehindError(
                "the views have not reached this position yet; ask again",
                position_min=position_min,
                position=self._follower.position,
            )
        with self._follower.database.reading() as snapshot:
            asked = Asked(snapshot, reader)
            yield asked, Teller(self._source, asked, self._site_name, self.staff)

    def _position_min(self, request: pb.InspectRequest) -> int:
        return max(request.position_min, request.known_at_position, position_of_token(request.page_token))

    def _of_streams(
        self,
        answer: _Answer,
        question: _Question[_Answer],
        wanted: str,
        request: pb.InspectRequest,
        reader: Reader,
        now_micros: int,
        wait_seconds: float,
    ) -> _Answer:
        """Answers for the streams of one page."""
        _refuse_past(request, at=True, known_at=False)
        with self._asked(reader, self._position_min(request), wait_seconds) as (asked, teller):
            pages = _pages(asked, request, answer, STREAMS_MAX, STREAMS_SHOWN)
            scope = scope_of(asked, request, pages, wanted)
            answer.position = self._known(request, asked)
            for stream in scope.streams:
                account = self._accounts.of(stream, answer.position)
                if account.told:
                    teller.knows(account)
                    question(answer, account, scope, teller, now_micros)
            answer.next_page_token = pages.next_token
            teller.fill(answer)
        return answer

    @staticmethod
    def _known(request: pb.InspectRequest, asked: Asked) -> int:
        return request.known_at_position if request.HasField("known_at_position") else asked.position

    # Custody --------------------------------------------------------------------------------------------------------

    def inspect_history(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectHistoryResponse:
        """1: returns the whole history, with its gaps."""
        empty = pb.InspectHistoryResponse()
        return self._of_streams(empty, custody_questions.history, Wanted.CUSTODY, request, reader, now, wait)

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
            pages = _pages(asked, request, answer, STREAMS_MAX, STREAMS_SHOWN)
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

    def inspect_handoffs(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectHandoffsResponse:
        """3: returns every handoff."""
        empty = pb.InspectHandoffsResponse()
        return self._of_streams(empty, custody_questions.handoffs, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_gaps(self, request: pb.InspectRequest, reader: Reader, now: int, wait: float) -> pb.InspectGapsResponse:
        """4: returns the intervals without an accepted custodian."""
        empty = pb.InspectGapsResponse()
        return self._of_streams(empty, custody_questions.gaps, Wanted.CUSTODY, request, reader, now, wait)

    # Signatures and exceptions --------------------------------------------------------------------------------------

    def inspect_pairs(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectPairsResponse:
        """5: returns the checks of two persons."""
        empty = pb.InspectPairsResponse()
        return self._of_streams(empty, signature_questions.pairs, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_signatures(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectSignaturesResponse:
        """6: returns the manifest of signatures."""
        empty = pb.InspectSignaturesResponse()
        return self._of_streams(empty, signature_questions.signatures, Wanted.CUSTODY, request, reader, now, wait)

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

    @contextmanager
    def _remarks(
        self, request: pb.InspectRequest, reader: Reader, wait: float, answer: Message
    ) -> Iterator[tuple[Asked, Teller, Pages]]:
        _refuse_past(request, at=True, known_at=True)
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            yield asked, teller, _pages(asked, request, answer, REMARKS_MAX, REMARKS_SHOWN)

    # Materials, condition, quality, patient -------------------------------------------------------------------------

    def inspect_genealogy(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectGenealogyResponse:
        """10: returns the tree of materials."""
        empty = pb.InspectGenealogyResponse()
        return self._of_streams(empty, material_questions.genealogy, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_labels(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectLabelsResponse:
        """11: returns what became of labels."""
        empty = pb.InspectLabelsResponse()
        return self._of_streams(empty, material_questions.labels, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_conditions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectConditionsResponse:
        """12: returns temperature records."""
        empty = pb.InspectConditionsResponse()
        return self._of_streams(empty, condition_questions.conditions, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_budgets(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectBudgetsResponse:
        """13: returns time budgets."""
        empty = pb.InspectBudgetsResponse()
        return self._of_streams(empty, condition_questions.budgets, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_qualifications(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectQualificationsResponse:
        """14: returns qualifications in force on the day of use."""
        empty = pb.InspectQualificationsResponse()
        return self._of_streams(empty, condition_questions.qualifications, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_releases(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectReleasesResponse:
        """15: returns quality's decisions."""
        empty = pb.InspectReleasesResponse()
        return self._of_streams(empty, quality_questions.releases, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_out_of_specification(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectOutOfSpecificationResponse:
        """16: returns use of material outside specification."""
        empty = pb.InspectOutOfSpecificationResponse()
        question = quality_questions.out_of_specification
        return self._of_streams(empty, question, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_recall(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectRecallResponse:
        """18: returns where a lot went, or what a therapy rests on."""
        answer = pb.InspectRecallResponse()
        _refuse_past(request, at=True, known_at=True)
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            pages = _pages(asked, request, answer, LINES_MAX)
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

    def inspect_consent(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectConsentResponse:
        """19: returns the state of consent."""
        empty = pb.InspectConsentResponse()
        return self._of_streams(empty, patient_questions.consent, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_eligibility(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectEligibilityResponse:
        """20: returns donor screening."""
        empty = pb.InspectEligibilityResponse()
        return self._of_streams(empty, patient_questions.eligibility, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_infusions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectInfusionsResponse:
        """21: returns records of infusion."""
        empty = pb.InspectInfusionsResponse()
        return self._of_streams(empty, patient_questions.infusions, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_follow_up(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectFollowUpResponse:
        """22: returns the schedule of follow-up."""
        empty = pb.InspectFollowUpResponse()
        return self._of_streams(empty, patient_questions.follow_up, Wanted.THERAPIES, request, reader, now, wait)

    # The system -----------------------------------------------------------------------------------------------------

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

    def inspect_versions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectVersionsResponse:
        """25: returns the versions that judged each statement."""
        empty = pb.InspectVersionsResponse()
        return self._of_streams(empty, signature_questions.versions, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_clocks(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectClocksResponse:
        """26: returns clocks that were not the network's, or disagreed."""
        empty = pb.InspectClocksResponse()
        return self._of_streams(empty, signature_questions.clocks, Wanted.CUSTODY, request, reader, now, wait)

    # What waits -----------------------------------------------------------------------------------------------------

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


def _pages(asked: Asked, request: pb.InspectRequest, answer: Message, rows_max: int, rows_shown: int = 0) -> Pages:
    """Returns the page that is asked for; every question asks with the same message, so that its answer tells it."""
    return Pages(
        asked,
        request,
        size=request.page_size or rows_shown,
        token=request.page_token,
        rows_max=rows_max,
        question=answer.DESCRIPTOR.name,
    )


def _refuse_past(request: pb.InspectRequest, *, at: bool, known_at: bool) -> None:
    """Returns if the question is not asked as of a time, or a position, that it has no answer for.

    Raises:
        QuestionOfNowError: it is.
    """
    if at and request.HasField("at_unix_micros"):
        raise QuestionOfNowError("as it was at a time is asked of holdings and of signers")
    if known_at and request.HasField("known_at_position"):
        raise QuestionOfNowError("this question is answered with all that is known now")


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
