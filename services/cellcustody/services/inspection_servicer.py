"""InspectionService: an inspector's questions answered from the views, as far as the calling site may read.

The rules:

* Every question is one rpc of the contract and one method of the views' inspection, named alike; the table is made from
  the contract, so that an rpc without an answer stops the server from starting.
* Who asks is the site of the TLS key, as the registry stands now; a watch asks again each time it looks.
* Alerts are computed at the server's own time: a watch tells of one when its time comes, whether or not anything is
  recorded.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Final

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.views import Reader
from cellcustody.ledger.views.inspecting import Inspection
from cellcustody.services.access import Gate
from cellcustody.services.custody_query_servicer import asking_site, view_wait_seconds
from cellcustody.services.interceptors import caller_of_this_call
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["INSPECTION_SERVICE", "InspectionServicer"]

INSPECTION_SERVICE: Final = pb.DESCRIPTOR.services_by_name["InspectionService"]
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_Answering = Callable[[Message, Reader, int, float], Message]


class InspectionServicer:
    """InspectionService over the views of one ledger. `now` is in microseconds since 1970-01-01T00:00:00Z."""

    def __init__(self, inspection: Inspection, gate: Gate, now: Callable[[], int]) -> None:
        self._inspection = inspection
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

    def handler(self) -> grpc.GenericRpcHandler:
        """Returns the handler of all rpcs.

        Raises:
            ConfigurationError: the contract has a question that nothing answers.
        """
        handlers: dict[str, grpc.RpcMethodHandler[Message, Message]] = {}
        for method in INSPECTION_SERVICE.methods:
            request = GetMessageClass(method.input_type)
            if method.server_streaming:
                handlers[method.name] = grpc.unary_stream_rpc_method_handler(
                    self._watch_alerts,
                    request_deserializer=pb.ListAlertsRequest.FromString,
                    response_serializer=pb.WatchAlertsResponse.SerializeToString,
                )
                continue
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                self._answering(method.name),
                request_deserializer=request.FromString,
                response_serializer=_serialised,
            )
        return grpc.method_handlers_generic_handler(INSPECTION_SERVICE.full_name, handlers)

    def _answering(self, rpc: str) -> Callable[[Message, grpc.ServicerContext], Message]:
        answers: _Answering | None = getattr(self._inspection, _WORDS.sub("_", rpc).lower(), None)
        if answers is None:
            raise ConfigurationError("nothing answers a question of the contract", rpc=rpc)
        found = answers

        def answer(request: Message, context: grpc.ServicerContext) -> Message:
            reader = asking_site(caller_of_this_call())
            return found(request, reader, self._now(), view_wait_seconds(context))

        return answer

    def _watch_alerts(
        self, request: pb.ListAlertsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchAlertsResponse]:
        tls_key_id = caller_of_this_call().tls_key_id
        stop = threading.Event()
        with self._lock:
            self._watches.add(stop)
            if self._is_draining:
                stop.set()
        if not context.add_callback(stop.set):
            return  # The call has ended already.
        yield from self._inspection.watch_alerts(
            request, lambda: asking_site(self._gate.caller_with_key(tls_key_id)), self._now, stop
        )


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()
