"""CustodyQueryService: questions answered from the views, as far as the calling site may read.

The rules:

* Who asks is the site of the TLS key, as the registry stands now; a stream asks again for each piece of news.
* What a site may read is the views' to decide. A caller without a site reads nothing here.
* A question waits for the position it wants no longer than its deadline allows.
* A watch ends when its caller goes away or the server drains.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Final

import grpc

from cellcustody.ledger.readiness_certificates import issue_certificate
from cellcustody.ledger.statements import Signer
from cellcustody.ledger.views import Reader, Views
from cellcustody.services.access import Caller, Gate, TlsKeyUnknownError
from cellcustody.services.disclosure import reader_of
from cellcustody.services.interceptors import caller_of_this_call
from cellcustody.v1 import custody_query_service_pb2 as pb
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceServicer

__all__ = ["CustodyQueryServicer", "asking_site", "view_wait_seconds"]

WAIT_SECONDS: Final = 2.0  # For a position, where a caller sets no deadline.
ANSWER_SECONDS: Final = 0.2  # Kept of a deadline for answering that the views are behind.


def asking_site(caller: Caller) -> Reader:
    """Returns who asks, as a reader.

    Raises:
        TlsKeyUnknownError: the TLS key speaks for no site.
    """
    if caller.site is None:
        raise TlsKeyUnknownError("this TLS key speaks for no site", tls_key_id=caller.tls_key_id)
    return reader_of(caller.site)


def view_wait_seconds(context: grpc.ServicerContext) -> float:
    """Returns how long an answer from the views may wait for them."""
    remaining: float | None = context.time_remaining()
    return WAIT_SECONDS if remaining is None else max(0.0, remaining - ANSWER_SECONDS)


class CustodyQueryServicer(CustodyQueryServiceServicer):
    """CustodyQueryService over the views of one ledger. `now` is in microseconds since 1970-01-01T00:00:00Z."""

    def __init__(self, views: Views, gate: Gate, now: Callable[[], int], service_signer: Signer) -> None:
        self._service_signer = service_signer
        self._views = views
        self._gate = gate
        self._now = now
        self._watches: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._is_draining = False

    def drain(self) -> None:
        """Ends every watch; a new one ends at once."""
        with self._lock:
            self._is_draining = True
            for stop in self._watches:
                stop.set()

    def GetTherapy(self, request: pb.GetTherapyRequest, context: grpc.ServicerContext) -> pb.GetTherapyResponse:
        return self._views.get_therapy(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def GetCustody(self, request: pb.GetCustodyRequest, context: grpc.ServicerContext) -> pb.GetCustodyResponse:
        return self._views.get_custody(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def GetHistory(self, request: pb.GetHistoryRequest, context: grpc.ServicerContext) -> pb.GetHistoryResponse:
        return self._views.get_history(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def GetConsignment(
        self, request: pb.GetConsignmentRequest, context: grpc.ServicerContext
    ) -> pb.GetConsignmentResponse:
        return self._views.get_consignment(
            request,
            asking_site(caller_of_this_call()),
            now_micros=self._now(),
            wait_seconds=view_wait_seconds(context),
        )

    def GetHoldings(self, request: pb.GetHoldingsRequest, context: grpc.ServicerContext) -> pb.GetHoldingsResponse:
        return self._views.lists.get_holdings(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def GetWorklist(self, request: pb.GetWorklistRequest, context: grpc.ServicerContext) -> pb.GetWorklistResponse:
        return self._views.lists.get_worklist(
            request,
            asking_site(caller_of_this_call()),
            now_micros=self._now(),
            wait_seconds=view_wait_seconds(context),
        )

    def ListOpenHandoffs(
        self, request: pb.ListOpenHandoffsRequest, context: grpc.ServicerContext
    ) -> pb.ListOpenHandoffsResponse:
        return self._views.lists.list_open_handoffs(
            request,
            asking_site(caller_of_this_call()),
            now_micros=self._now(),
            wait_seconds=view_wait_seconds(context),
        )

    def GetReadiness(self, request: pb.GetReadinessRequest, context: grpc.ServicerContext) -> pb.GetReadinessResponse:
        return self._views.get_readiness(
            request,
            asking_site(caller_of_this_call()),
            now_micros=self._now(),
            wait_seconds=view_wait_seconds(context),
        )

    def GetReadinessCertificate(
        self, request: pb.GetReadinessCertificateRequest, context: grpc.ServicerContext
    ) -> pb.GetReadinessCertificateResponse:
        certificate = self._views.readiness_certificate(
            request,
            asking_site(caller_of_this_call()),
            now_micros=self._now(),
            wait_seconds=view_wait_seconds(context),
        )
        return pb.GetReadinessCertificateResponse(
            position=certificate.position, certificate=issue_certificate(certificate, self._service_signer)
        )

    def TraceLot(self, request: pb.TraceLotRequest, context: grpc.ServicerContext) -> pb.TraceLotResponse:
        return self._views.lists.trace_lot(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def TraceTherapy(self, request: pb.TraceTherapyRequest, context: grpc.ServicerContext) -> pb.TraceTherapyResponse:
        return self._views.lists.trace_therapy(
            request, asking_site(caller_of_this_call()), wait_seconds=view_wait_seconds(context)
        )

    def Watch(self, request: pb.WatchRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchResponse]:
        tls_key_id = caller_of_this_call().tls_key_id
        stop = threading.Event()
        with self._lock:
            self._watches.add(stop)
            if self._is_draining:
                stop.set()
        if not context.add_callback(stop.set):
            return  # The call has ended already.
        yield from self._views.watch(request, lambda: asking_site(self._gate.caller_with_key(tls_key_id)), stop)
