"""Stand before every call: log it, turn errors into statuses, and let in only who may call.

The rules:

* Outermost is the log: one line for each call with its duration and what came of it.
* Then errors: a CellcustodyError becomes the status that the table says, with details in `grpc-status-details-bin`.
  Anything else becomes INTERNAL without a word about it; its class and place go to the log.
* Innermost is the gate: the caller's TLS key is looked up in the registry as it stands now, for every call.
* Streams that answer without end are counted: each holds a thread, and calls at a bedside must find one free.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Never, Protocol, TypeVar, cast

import grpc

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.services.access import Caller, Gate
from cellcustody.services.error_status import ServerBusyError, status_code_of, status_details_of
from cellcustody.services.structured_log import StructuredLog

__all__ = ["ErrorsInterceptor", "GateInterceptor", "LogInterceptor", "caller_of_this_call"]

_DETAILS_KEY: Final = "grpc-status-details-bin"

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)


class _Answering(Protocol[RequestT_contra, ResponseT_co]):
    """What an interceptor wraps around: an rpc with one request, whatever the form of its answer."""

    def __call__(self, request: RequestT_contra, context: grpc.ServicerContext, /) -> ResponseT_co: ...


class _WithCode(Protocol):
    """What grpcio's context has and its stubs forgot: the status set so far, None before."""

    def code(self) -> grpc.StatusCode | None: ...


class _ThisCall(threading.local):
    """What the interceptors tell the servicer, which runs in the same thread, and the log."""

    caller: Caller | None = None
    reason: str | None = None


_THIS_CALL: Final = _ThisCall()


def caller_of_this_call() -> Caller:
    """Returns who makes the call that this thread answers, as the gate let them in."""
    caller = _THIS_CALL.caller
    if caller is None:
        raise RuntimeError("no call is being answered in this thread")
    return caller


class _Interceptor(grpc.ServerInterceptor):
    """Wraps every rpc, whichever of the four shapes it has."""

    def __init__(self) -> None:
        # Handlers wrapped before, by method: wrapping one takes longer than an append can spare.
        self._wrapped: dict[str, tuple[object, object]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[RequestT, ResponseT] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT] | None:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return cast("grpc.RpcMethodHandler[RequestT, ResponseT]", known[1])
        wrapped = self._wrap(method, handler)
        self._wrapped[method] = (handler, wrapped)  # No more of them than methods: what is not served has no handler.
        return wrapped

    def _wrap(
        self, method: str, handler: grpc.RpcMethodHandler[RequestT, ResponseT]
    ) -> grpc.RpcMethodHandler[RequestT, ResponseT] | None:
        reading, writing = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._one(method, handler.unary_unary), reading, writing)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._many(method, handler.unary_stream), reading, writing)
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._one(method, handler.stream_unary), reading, writing)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._many(method, handler.stream_stream), reading, writing)
        return None

    def _one(self, method: str, answer: _Answering[RequestT, ResponseT]) -> _Answering[RequestT, ResponseT]:
        """Returns `answer` wrapped, for rpcs with one answer."""
        raise AssertionError("each interceptor wraps in its own way")

    def _many(
        self, method: str, answer: _Answering[RequestT, Iterator[ResponseT]]
    ) -> _Answering[RequestT, Iterator[ResponseT]]:
        """Returns `answer` wrapped, for rpcs with a stream of answers."""
        raise AssertionError("each interceptor wraps in its own way")


class LogInterceptor(_Interceptor):
    """Writes one line for each call."""

    def __init__(self, log: StructuredLog, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._log = log
        self._monotonic = monotonic

    def _one(self, method: str, answer: _Answering[RequestT, ResponseT]) -> _Answering[RequestT, ResponseT]:
        def logged(request: RequestT, context: grpc.ServicerContext) -> ResponseT:
            started = self._begin()
            try:
                return answer(request, context)
            finally:
                self._end(method, context, started)

        return logged

    def _many(
        self, method: str, answer: _Answering[RequestT, Iterator[ResponseT]]
    ) -> _Answering[RequestT, Iterator[ResponseT]]:
        def logged(request: RequestT, context: grpc.ServicerContext) -> Iterator[ResponseT]:
            started = self._begin()
            try:
                yield from answer(request, context)
            finally:
                self._end(method, context, started)

        return logged

    def _begin(self) -> float:
        _THIS_CALL.caller = None
        _THIS_CALL.reason = None
        return self._monotonic()

    def _end(self, method: str, context: grpc.ServicerContext, started: float) -> None:
        caller = _THIS_CALL.caller
        code = cast(_WithCode, context).code() or grpc.StatusCode.OK
        self._log.write_call(
            method=method,
            status=code.name,
            reason=_THIS_CALL.reason,
            site=caller.site_id.hex() or None if caller is not None else None,
            duration_ms=round((self._monotonic() - started) * 1000, 3),
        )


class ErrorsInterceptor(_Interceptor):
    """Turns errors into statuses with details."""

    def __init__(self, log: StructuredLog) -> None:
        super().__init__()
        self._log = log

    def _one(self, method: str, answer: _Answering[RequestT, ResponseT]) -> _Answering[RequestT, ResponseT]:
        def mapped(request: RequestT, context: grpc.ServicerContext) -> ResponseT:
            try:
                return answer(request, context)
            except Exception as error:
                self._end(method, context, error)

        return mapped

    def _many(
        self, method: str, answer: _Answering[RequestT, Iterator[ResponseT]]
    ) -> _Answering[RequestT, Iterator[ResponseT]]:
        def mapped(request: RequestT, context: grpc.ServicerContext) -> Iterator[ResponseT]:
            try:
                yield from answer(request, context)
            except Exception as error:
                self._end(method, context, error)

        return mapped

    def _end(self, method: str, context: grpc.ServicerContext, error: Exception) -> Never:
        if cast(_WithCode, context).code() is not None:  # A servicer of a library aborted by itself; its status stands.
            raise error
        if isinstance(error, CellcustodyError) and status_code_of(error) is not grpc.StatusCode.INTERNAL:
            details = status_details_of(error)
            _THIS_CALL.reason = error.reason
            context.set_trailing_metadata(((_DETAILS_KEY, details.serialised),))
            context.abort(details.code, details.message)
        self._log.unexpected("unexpected", error, method=method)
        _THIS_CALL.reason = "INTERNAL"
        context.abort(grpc.StatusCode.INTERNAL, "the server failed; its log says where")


class GateInterceptor(_Interceptor):
    """Lets in who may call, and counts streams."""

    def __init__(self, gate: Gate, streams_max: int) -> None:
        super().__init__()
        self._gate = gate
        self._streams = threading.BoundedSemaphore(streams_max)
        self._streams_max = streams_max

    def _one(self, method: str, answer: _Answering[RequestT, ResponseT]) -> _Answering[RequestT, ResponseT]:
        def admitted(request: RequestT, context: grpc.ServicerContext) -> ResponseT:
            _THIS_CALL.caller = self._gate.admit(method, context)
            return answer(request, context)

        return admitted

    def _many(
        self, method: str, answer: _Answering[RequestT, Iterator[ResponseT]]
    ) -> _Answering[RequestT, Iterator[ResponseT]]:
        def admitted(request: RequestT, context: grpc.ServicerContext) -> Iterator[ResponseT]:
            _THIS_CALL.caller = self._gate.admit(method, context)
            if not self._streams.acquire(blocking=False):
                raise ServerBusyError("as many streams run as this server holds", limit=self._streams_max)
            try:
                yield from answer(request, context)
            finally:
                self._streams.release()

        return admitted
