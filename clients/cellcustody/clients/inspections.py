"""An inspector's questions, asked over a connection: each is one call, about whatever name is at hand.

The rules:

* A question is a constant of this module; it says which rpc answers it and with which message of the contract.
* A subject is written `kind:value`: coi, therapy, bag, din, lot, shipper, logger, person, site, consignment, equipment;
  any other word before the colon is the scheme of an alias. Without a colon it is a chain of identity identifier, or an
  id in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from cellcustody.clients.connection import Connection
from cellcustody.clients.session import unix_micros
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import common_pb2, custody_query_service_pb2
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1.inspection_service_pb2_grpc import InspectionServiceStub

__all__ = ["QUESTIONS", "Inspections", "Question", "subject_from_text"]

_Answer = TypeVar("_Answer", bound=Message)
_STREAM_DIGITS: Final = 34
_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Question(Generic[_Answer]):
    """One question: its name on the command line, its number among an inspector's questions, its rpc and its answer."""

    name: str
    number: int
    rpc: str
    answer: type[_Answer]
    words: str
    needs_subject: bool = True


HISTORY: Final = Question("history", 1, "InspectHistory", pb.InspectHistoryResponse, "everything, in order, with gaps")
HOLDINGS: Final = Question("holdings", 2, "InspectHoldings", pb.InspectHoldingsResponse, "who has what, now or then")
HANDOFFS: Final = Question("handoffs", 3, "InspectHandoffs", pb.InspectHandoffsResponse, "every handoff, both halves")
GAPS: Final = Question("gaps", 4, "InspectGaps", pb.InspectGapsResponse, "time without an accepted custodian")
PAIRS: Final = Question("pairs", 5, "InspectPairs", pb.InspectPairsResponse, "checks of two persons")
SIGNATURES: Final = Question(
    "signatures", 6, "InspectSignatures", pb.InspectSignaturesResponse, "manifest of signatures"
)
CORRECTIONS: Final = Question(
    "corrections", 8, "InspectCorrections", pb.InspectCorrectionsResponse, "corrections and late entries", False
)
EXCEPTIONS: Final = Question(
    "exceptions",
    9,
    "InspectExceptions",
    pb.InspectExceptionsResponse,
    "overrides, emergency credentials, nonconforming facts",
    False,
)
GENEALOGY: Final = Question(
    "genealogy", 10, "InspectGenealogy", pb.InspectGenealogyResponse, "parents, children, balance"
)
LABELS: Final = Question("labels", 11, "InspectLabels", pb.InspectLabelsResponse, "what became of every label")
CONDITIONS: Final = Question(
    "conditions", 12, "InspectConditions", pb.InspectConditionsResponse, "temperature of each leg"
)
BUDGETS: Final = Question(
    "budgets", 13, "InspectBudgets", pb.InspectBudgetsResponse, "time budgets against their limits"
)
QUALIFICATIONS: Final = Question(
    "qualifications", 14, "InspectQualifications", pb.InspectQualificationsResponse, "what was qualified on the day"
)
RELEASES: Final = Question(
    "releases", 15, "InspectReleases", pb.InspectReleasesResponse, "release, results then and since"
)
OUT_OF_SPECIFICATION: Final = Question(
    "out-of-specification",
    16,
    "InspectOutOfSpecification",
    pb.InspectOutOfSpecificationResponse,
    "use of material outside specification",
)
DEVIATIONS: Final = Question(
    "deviations", 17, "InspectDeviations", pb.InspectDeviationsResponse, "deviations, excursions, complaints", False
)
RECALL: Final = Question(
    "recall", 18, "InspectRecall", pb.InspectRecallResponse, "lot to bags with actions, or a therapy's parts"
)
CONSENT: Final = Question("consent", 19, "InspectConsent", pb.InspectConsentResponse, "consent at each point")
ELIGIBILITY: Final = Question("eligibility", 20, "InspectEligibility", pb.InspectEligibilityResponse, "donor screening")
INFUSIONS: Final = Question(
    "infusions", 21, "InspectInfusions", pb.InspectInfusionsResponse, "infusions, reactions, remainders"
)
FOLLOW_UP: Final = Question("follow-up", 22, "InspectFollowUp", pb.InspectFollowUpResponse, "visits done, due and late")
SIGNERS: Final = Question(
    "signers", 24, "InspectSigners", pb.InspectSignersResponse, "who may sign, on any date", False
)
VERSIONS: Final = Question("versions", 25, "InspectVersions", pb.InspectVersionsResponse, "what judged each statement")
CLOCKS: Final = Question("clocks", 26, "InspectClocks", pb.InspectClocksResponse, "clock sources and disagreements")
DOWNTIME: Final = Question(
    "downtime", 27, "InspectDowntime", pb.InspectDowntimeResponse, "downtime, entries from paper", False
)

QUESTIONS: Final[tuple[Question[Message], ...]] = (
    HISTORY,
    HOLDINGS,
    HANDOFFS,
    GAPS,
    PAIRS,
    SIGNATURES,
    CORRECTIONS,
    EXCEPTIONS,
    GENEALOGY,
    LABELS,
    CONDITIONS,
    BUDGETS,
    QUALIFICATIONS,
    RELEASES,
    OUT_OF_SPECIFICATION,
    DEVIATIONS,
    RECALL,
    CONSENT,
    ELIGIBILITY,
    INFUSIONS,
    FOLLOW_UP,
    SIGNERS,
    VERSIONS,
    CLOCKS,
    DOWNTIME,
)  # type: ignore[assignment]  # A question of one answer is a question of some answer: it only gives one.
"""Every question, by number. 7, 23 and 28 to 30 are asked of exports."""


def subject_from_text(text: str) -> pb.Subject:
    """Returns a subject as people write it.

    Raises:
        ConfigurationError: an id is not in hexadecimal, or not of its length.
    """
    kind, colon, value = text.partition(":")
    if not colon:
        return _of_id(text)
    match kind:
        case "coi":
            return pb.Subject(therapy=_alias("isbt128-coi", value))
        case "therapy" | "stream":
            stream = _id(value, _STREAM_DIGITS)
            return pb.Subject(therapy=custody_query_service_pb2.TherapyName(stream=stream))
        case "bag" | "material" | "sample":
            return pb.Subject(material=_id(value, _ID_DIGITS))
        case "consignment":
            return pb.Subject(consignment=_id(value, _STREAM_DIGITS))
        case "person" | "device":
            return pb.Subject(person=_id(value, _ID_DIGITS))
        case "site":
            return pb.Subject(site=_id(value, _ID_DIGITS))
        case "din":
            return pb.Subject(din=value)
        case "lot":
            return pb.Subject(lot=value)
        case "shipper":
            return pb.Subject(shipper=value)
        case "logger":
            return pb.Subject(logger=value)
        case "equipment":
            return pb.Subject(equipment=value)
        case _:
            return pb.Subject(therapy=_alias(kind, value))


def _of_id(text: str) -> pb.Subject:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return pb.Subject(therapy=_alias("isbt128-coi", text))
    match len(text), raw[:1]:
        case 34, b"\x02":
            return pb.Subject(consignment=raw)
        case 34, _:
            return pb.Subject(therapy=custody_query_service_pb2.TherapyName(stream=raw))
        case 32, _:
            return pb.Subject(material=raw)
        case _:
            return pb.Subject(therapy=_alias("isbt128-coi", text))


def _alias(scheme: str, value: str) -> custody_query_service_pb2.TherapyName:
    return custody_query_service_pb2.TherapyName(alias=common_pb2.Alias(scheme=scheme, value=value))


def _id(text: str, digits: int) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as refusal:
        raise ConfigurationError("an id is written in hexadecimal", text=text) from refusal
    if len(text) != digits:
        raise ConfigurationError("an id has another length", text=text, digits=len(text), digits_expected=digits)
    return raw


class Inspections:
    """Asks an inspector's questions; `position_min` is asked for each call, so that nobody is shown an older state."""

    def __init__(self, connection: Connection, position_min: Callable[[], int]) -> None:
        self._connection = connection
        self._position_min = position_min

    @cached_property
    def _stub(self) -> InspectionServiceStub:
        return InspectionServiceStub(self._connection.channel)

    def ask(
        self,
        question: Question[_Answer],
        subject: pb.Subject | str | None = None,
        *,
        at: datetime | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        known_at_position: int | None = None,
        page_size: int = 0,
        page_token: bytes = b"",
    ) -> _Answer:
        """Returns the answer to one question, or its first page, or the one after `page_token`."""
        request = pb.InspectRequest(
            subject=subject_from_text(subject) if isinstance(subject, str) else subject,
            at_unix_micros=None if at is None else unix_micros(at),
            from_unix_micros=None if since is None else unix_micros(since),
            until_unix_micros=None if before is None else unix_micros(before),
            known_at_position=known_at_position,
            position_min=self._position_min(),
            page_size=page_size,
            page_token=page_token,
        )
        answer: Message = self._connection.ask(getattr(self._stub, question.rpc), request)
        if not isinstance(answer, question.answer):
            raise TypeError(f"{question.rpc} answers with another message")
        return answer

    def alerts(self, *, site: bytes = b"", stream: bytes = b"") -> pb.ListAlertsResponse:
        """Returns the alerts that stand now, every page of them."""
        request = pb.ListAlertsRequest(site=site, stream=stream, position_min=self._position_min())
        whole = self._connection.ask(self._stub.ListAlerts, request)
        page = whole
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = self._connection.ask(self._stub.ListAlerts, request)
            whole.alerts.extend(page.alerts)
        whole.ClearField("next_page_token")
        return whole

    def watch_alerts(
        self, *, site: bytes = b"", stream: bytes = b"", timeout_seconds: float | None = None
    ) -> Iterator[pb.WatchAlertsResponse]:
        """Yields alerts as they begin, become due and end, until it is closed or `timeout_seconds` have passed."""
        request = pb.ListAlertsRequest(site=site, stream=stream)
        return self._connection.ask_stream(self._stub.WatchAlerts, request, timeout_seconds=timeout_seconds)

    def awaiting_signature(self, person: bytes) -> pb.ListAwaitingSignatureResponse:
        """Returns what a person may co-sign, every page of it."""
        request = pb.ListAwaitingSignatureRequest(person=person, position_min=self._position_min())
        whole = self._connection.ask(self._stub.ListAwaitingSignature, request)
        page = whole
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = self._connection.ask(self._stub.ListAwaitingSignature, request)
            whole.awaiting.extend(page.awaiting)
        whole.ClearField("next_page_token")
        return whole
