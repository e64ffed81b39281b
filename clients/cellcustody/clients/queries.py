"""The custody questions, asked over a connection; every answer tells the position it reflects.

The rules:

* A question asks for a view at least as new as what this client itself wrote or read last, so that nobody is shown a
  state from before their own statement.
* What a server shows as a stream's last statement is noted in the device's store, for `seen`.
* Answers are the contract's own messages; a list that comes in pages is returned whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from cellcustody.clients.connection import Connection, UnaryCall
from cellcustody.clients.inspections import Inspections
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.session import unix_micros
from cellcustody.ledger.statements.ids import StreamKind
from cellcustody.v1 import common_pb2, custody_query_service_pb2, registry_service_pb2
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub
from cellcustody.v1.registry_service_pb2_grpc import RegistryServiceStub

_Listing = TypeVar(
    "_Listing",
    custody_query_service_pb2.GetHoldingsRequest,
    custody_query_service_pb2.GetWorklistRequest,
    custody_query_service_pb2.ListOpenHandoffsRequest,
    custody_query_service_pb2.TraceLotRequest,
    custody_query_service_pb2.TraceTherapyRequest,
)
_List = TypeVar(
    "_List",
    custody_query_service_pb2.GetHoldingsResponse,
    custody_query_service_pb2.GetWorklistResponse,
    custody_query_service_pb2.ListOpenHandoffsResponse,
    custody_query_service_pb2.TraceLotResponse,
    custody_query_service_pb2.TraceTherapyResponse,
)

__all__ = ["COI_SCHEME", "Questions", "therapy_name"]

COI_SCHEME = "isbt128-coi"


def therapy_name(therapy: bytes | str) -> custody_query_service_pb2.TherapyName:
    """Returns the name of a therapy: its stream, 17 bytes, or its chain of identity identifier as printed.

    An alias of another scheme is written `scheme:value`.
    """
    if isinstance(therapy, bytes):
        return custody_query_service_pb2.TherapyName(stream=therapy)
    scheme, colon, value = therapy.partition(":")
    alias = (
        common_pb2.Alias(scheme=scheme, value=value) if colon else common_pb2.Alias(scheme=COI_SCHEME, value=therapy)
    )
    return custody_query_service_pb2.TherapyName(alias=alias)


class Questions:
    """Whoever may read asks here."""

    def __init__(self, connection: Connection, store: LocalStore) -> None:
        self.connection = connection
        self.store = store
        self._position_min = 0

    @cached_property
    def _queries(self) -> CustodyQueryServiceStub:
        return CustodyQueryServiceStub(self.connection.channel)

    @cached_property
    def _registry(self) -> RegistryServiceStub:
        return RegistryServiceStub(self.connection.channel)

    @cached_property
    def inspections(self) -> Inspections:
        """An inspector's questions over the same connection."""
        return Inspections(self.connection, lambda: self._position_min)

    def note_position(self, position: int) -> None:
        """Later answers reflect at least this position."""
        self._position_min = max(self._position_min, position)

    def therapy(self, therapy: bytes | str) -> custody_query_service_pb2.GetTherapyResponse:
        """Returns a therapy with its materials, holds and batches, and notes what was seen."""
        answer = self.connection.ask(
            self._queries.GetTherapy,
            custody_query_service_pb2.GetTherapyRequest(therapy=therapy_name(therapy), position_min=self._position_min),
        )
        if answer.last_statement_digest:
            self.store.note_read(answer.stream, answer.last_statement_digest)
        self.store.note_links(answer.stream, tuple(answer.consignments))
        self.note_position(answer.position)
        return answer

    def consignment(self, consignment: bytes) -> custody_query_service_pb2.GetConsignmentResponse:
        """Returns a consignment with its handoffs, and notes what was seen."""
        answer = self.connection.ask(
            self._queries.GetConsignment,
            custody_query_service_pb2.GetConsignmentRequest(consignment=consignment, position_min=self._position_min),
        )
        if answer.last_statement_digest:
            self.store.note_read(consignment, answer.last_statement_digest)
        self.note_position(answer.position)
        return answer

    def refresh(self, stream: bytes) -> None:
        """Reads a therapy with its consignments, or a consignment, so that `seen` names what stands there now."""
        if StreamKind(stream[0]) is StreamKind.CONSIGNMENT:
            self.consignment(stream)
            return
        for consignment in self.therapy(stream).consignments:
            self.consignment(consignment)

    def custody(
        self,
        therapy: bytes | str | None = None,
        *,
        material: bytes = b"",
        at: datetime | None = None,
        known_at_position: int | None = None,
    ) -> custody_query_service_pb2.GetCustodyResponse:
        """Returns who answers for materials and who has them: now, as it was at a time, or as it was known then."""
        return self.connection.ask(
            self._queries.GetCustody,
            custody_query_service_pb2.GetCustodyRequest(
                therapy=None if therapy is None else therapy_name(therapy),
                material=material,
                at_unix_micros=None if at is None else unix_micros(at),
                known_at_position=known_at_position,
                position_min=self._position_min,
            ),
        )

    def history(
        self, therapy: bytes | str, *, known_at_position: int | None = None
    ) -> custody_query_service_pb2.GetHistoryResponse:
        """Returns the history of a therapy with its consignments, in order of occurrence."""
        return self.connection.ask(
            self._queries.GetHistory,
            custody_query_service_pb2.GetHistoryRequest(
                therapy=therapy_name(therapy), known_at_position=known_at_position, position_min=self._position_min
            ),
        )

    def holdings(self, site: bytes, unit: str = "") -> custody_query_service_pb2.GetHoldingsResponse:
        """Returns what a unit answers for or has; without a unit, the whole site."""
        return self._whole(
            self._queries.GetHoldings,
            custody_query_service_pb2.GetHoldingsRequest(
                unit=common_pb2.Unit(site=site, unit=unit), position_min=self._position_min
            ),
        )

    def worklist(self, site: bytes, unit: str = "") -> custody_query_service_pb2.GetWorklistResponse:
        """Returns what waits for a unit; without a unit, for the whole site."""
        return self._whole(
            self._queries.GetWorklist,
            custody_query_service_pb2.GetWorklistRequest(
                unit=common_pb2.Unit(site=site, unit=unit), position_min=self._position_min
            ),
        )

    def open_handoffs(self, site: bytes = b"") -> custody_query_service_pb2.ListOpenHandoffsResponse:
        """Returns releases that nobody has answered, with their age, oldest first."""
        return self._whole(
            self._queries.ListOpenHandoffs,
            custody_query_service_pb2.ListOpenHandoffsRequest(site=site, position_min=self._position_min),
        )

    def readiness(self, material: bytes) -> custody_query_service_pb2.GetReadinessResponse:
        """Returns whether a bag may be infused: yes, or no with every reason."""
        return self.connection.ask(
            self._queries.GetReadiness,
            custody_query_service_pb2.GetReadinessRequest(material=material, position_min=self._position_min),
        )

    def readiness_certificate(self, material: bytes) -> custody_query_service_pb2.GetReadinessCertificateResponse:
        """Returns a readiness certificate for one bag, as the server gave it; see `clients.readiness`."""
        return self.connection.ask(
            self._queries.GetReadinessCertificate,
            custody_query_service_pb2.GetReadinessCertificateRequest(
                material=material, position_min=self._position_min
            ),
        )

    def trace_lot(self, lot_number: str) -> custody_query_service_pb2.TraceLotResponse:
        """Returns the therapies in which a lot was used."""
        return self._whole(
            self._queries.TraceLot,
            custody_query_service_pb2.TraceLotRequest(lot_number=lot_number, position_min=self._position_min),
        )

    def trace_therapy(self, therapy: bytes | str) -> custody_query_service_pb2.TraceTherapyResponse:
        """Returns the lots used in a therapy."""
        return self._whole(
            self._queries.TraceTherapy,
            custody_query_service_pb2.TraceTherapyRequest(
                therapy=therapy_name(therapy), position_min=self._position_min
            ),
        )

    def _whole(self, rpc: UnaryCall[_Listing, _List], request: _Listing) -> _List:
        """Returns a list with all its pages; the position is that of the last."""
        whole = page = self.connection.ask(rpc, request)
        while page.next_page_token:
            request.page_token = page.next_page_token
            page = self.connection.ask(rpc, request)
            whole.MergeFrom(page)
        whole.ClearField("next_page_token")
        return whole

    def watch(
        self, *, after_position: int = 0, stream: bytes = b"", timeout_seconds: float | None = None
    ) -> Iterator[custody_query_service_pb2.WatchResponse]:
        """Yields what happens from a position on, until it is closed or `timeout_seconds` have passed."""
        return self.connection.ask_stream(
            self._queries.Watch,
            custody_query_service_pb2.WatchRequest(after_position=after_position, stream=stream),
            timeout_seconds=timeout_seconds,
        )

    def registry(self, *, position: int | None = None, site: bytes = b"") -> registry_service_pb2.GetRegistryResponse:
        """Returns the registry now or as of a position; of one site, where it is named."""
        return self.connection.ask(
            self._registry.GetRegistry, registry_service_pb2.GetRegistryRequest(position=position, site=site)
        )

    def policy(
        self, *, digest: bytes = b"", product: str = "", jurisdiction: str = ""
    ) -> registry_service_pb2.GetPolicyResponse:
        """Returns a policy pack by digest, or the newest for a product and jurisdiction."""
        return self.connection.ask(
            self._registry.GetPolicy,
            registry_service_pb2.GetPolicyRequest(policy_digest=digest, product=product, jurisdiction=jurisdiction),
        )
