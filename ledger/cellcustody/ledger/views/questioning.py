"""Ask the views at one position: wait for it, find the streams, page them, fill the answer in for its reader.

The rules:

* An answer is made of statements' places; they are filled in last, by one teller, for this reader alone.
* A subject that leads to many streams is answered a few streams at a time, so that each page is as fast as the first.
* As known at an earlier position, accounts are made anew from what was recorded by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from google.protobuf.message import Message

from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.account import Account, Accounts
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import QuestionOfNowError, ViewBehindError
from cellcustody.ledger.views.follower import Follower, LedgerSource
from cellcustody.ledger.views.paging import Pages, position_of_token
from cellcustody.ledger.views.staff_names import StaffNames
from cellcustody.ledger.views.subjects import Scope, scope_of
from cellcustody.ledger.views.summaries import SiteName
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = [
    "LINES_MAX",
    "REMARKS_MAX",
    "REMARKS_SHOWN",
    "STREAMS_MAX",
    "STREAMS_SHOWN",
    "Questioning",
    "page_of",
    "refuse_past",
]

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


class Questioning:
    """What all questions over the views of one ledger have in common. Any thread may ask."""

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
        refuse_past(request, at=True, known_at=False)
        with self._asked(reader, self._position_min(request), wait_seconds) as (asked, teller):
            pages = page_of(asked, request, answer, STREAMS_MAX, STREAMS_SHOWN)
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

    @contextmanager
    def _remarks(
        self, request: pb.InspectRequest, reader: Reader, wait: float, answer: Message
    ) -> Iterator[tuple[Asked, Teller, Pages]]:
        refuse_past(request, at=True, known_at=True)
        with self._asked(reader, self._position_min(request), wait) as (asked, teller):
            yield asked, teller, page_of(asked, request, answer, REMARKS_MAX, REMARKS_SHOWN)


def page_of(asked: Asked, request: pb.InspectRequest, answer: Message, rows_max: int, rows_shown: int = 0) -> Pages:
    """Returns the page that is asked for; every question asks with the same message, so that its answer tells it."""
    return Pages(
        asked,
        request,
        size=request.page_size or rows_shown,
        token=request.page_token,
        rows_max=rows_max,
        question=answer.DESCRIPTOR.name,
    )


def refuse_past(request: pb.InspectRequest, *, at: bool, known_at: bool) -> None:
    """Returns if the question is not asked as of a time, or a position, that it has no answer for.

    Raises:
        QuestionOfNowError: it is.
    """
    if at and request.HasField("at_unix_micros"):
        raise QuestionOfNowError("as it was at a time is asked of holdings and of signers")
    if known_at and request.HasField("known_at_position"):
        raise QuestionOfNowError("this question is answered with all that is known now")
