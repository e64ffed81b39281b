"""Reach a server over mutual TLS, and turn whatever goes wrong into the errors of this package.

The rules:

* Both sides show certificates; there is no way to connect without.
* Every call has a deadline of its own, given with `timeout=` (service-config timeouts do not work in grpcio).
* Before the first call, and after a connection was lost, the connection is awaited; where there is none, nothing was
  sent, and that is `ServerUnavailable`. Once something was sent and no answer came, an append is `OutcomeUnknown`.
* A server's own word (google.rpc.ErrorInfo) decides before the status code does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import grpc

from cellcustody.clients.errors import (
    AccessDenied,
    Busy,
    ExplainedFinding,
    LedgerStopped,
    MessageTooLarge,
    NotFound,
    OutcomeUnknown,
    RequestInvalid,
    ServerFailed,
    ServerUnavailable,
    StatementRefused,
)
from cellcustody.clients.rpc_status import StatusDetails, read_status_details
from cellcustody.ledger.errors import ClientError, ConfigurationError

__all__ = ["Connection", "TlsFiles", "connect"]

TIMEOUT_SECONDS: Final = 30.0
KEEPALIVE_MILLISECONDS: Final = 330_000  # Servers take pings less than five minutes apart for abuse unless told not to.
RECEIVED_BYTES_MAX: Final = 32 * 1024 * 1024  # The whole history of a therapy in one answer.
_DETAILS_KEY: Final = "grpc-status-details-bin"
_RETRYABLE: Final = "retryable"
_PROBE: Final = "/grpc.health.v1.Health/Check"  # Changes nothing; any answer, even a refusal, shows that one is there.
_NOBODY_ANSWERED: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
_DRAINING: Final = "DRAINING"  # The one way in which a server says that it is there and took nothing.
_STOPPED: Final = "LEDGER_STOPPED"
_TOO_LARGE: Final = "larger than max"  # gRPC's own words, on both sides, under the code that overload has too.
_ANSWER_TOO_LARGE: Final = "CLIENT:"  # So begin gRPC's words where it was this side that did not take the message.
_REFUSAL_CODES: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)


class UnaryCall(Protocol[RequestT_contra, ResponseT_co]):
    """One rpc with one answer, as a generated stub has it."""

    def __call__(self, request: RequestT_contra, timeout: float | None = None, /) -> ResponseT_co: ...


class StreamCall(Protocol[RequestT_contra, ResponseT_co]):
    """One rpc with a stream of answers, as a generated stub has it."""

    def __call__(self, request: RequestT_contra, timeout: float | None = None, /) -> Iterator[ResponseT_co]: ...


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: who is trusted to be the server, and the certificate and key with which this site shows itself."""

    ca: Path
    certificate: Path
    key: Path


class Connection:
    """A channel to one server; made by `connect`, closed by leaving its context."""

    def __init__(self, channel: grpc.Channel, *, target: str, timeout_seconds: float, wait_for_ready: bool) -> None:
        self.channel = channel
        self.timeout_seconds = timeout_seconds
        self._target = target
        self._is_ready = False
        self._waits = wait_for_ready  # A connection that was there once is given time to come back.

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel; calls under way end."""
        self.channel.close()

    def ask(
        self, rpc: UnaryCall[RequestT, ResponseT], request: RequestT, *, timeout_seconds: float | None = None
    ) -> ResponseT:
        """Returns the answer to a question.

        Raises:
            ServerUnavailable, Busy, AccessDenied, NotFound, RequestInvalid, MessageTooLarge,
                ServerFailed: there is none.
        """
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        self.wait_until_ready(timeout)
        try:
            return rpc(request, timeout)
        except grpc.RpcError as error:
            raise self._of_question(error) from error

    def ask_stream(
        self,
        rpc: StreamCall[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout_seconds: float | None = None,
        on_metadata: Callable[[Mapping[str, str]], None] | None = None,
    ) -> Iterator[ResponseT]:
        """Yields the answers of a stream; `timeout_seconds` bounds the whole of it, and None leaves it open.

        `on_metadata` is given the texts that the server sends ahead of the first answer.

        Raises:
            ServerUnavailable, Busy, AccessDenied, NotFound, RequestInvalid, MessageTooLarge,
                ServerFailed: as it ends.
        """
        self.wait_until_ready(self.timeout_seconds)
        try:
            call = rpc(request, timeout_seconds)
            try:
                if on_metadata is not None and isinstance(call, grpc.Call):
                    on_metadata({key: value for key, value in call.initial_metadata() if isinstance(value, str)})
                yield from call
            finally:
                if isinstance(call, grpc.Call):
                    call.cancel()  # Whoever stops reading early must not leave the server writing.
        except grpc.RpcError as error:
            raise self._of_question(error) from error

    def append(
        self, rpc: UnaryCall[RequestT, ResponseT], request: RequestT, *, timeout_seconds: float | None = None
    ) -> ResponseT:
        """Returns the answer to an append.

        Raises:
            StatementRefused: nothing of it is in the log.
            OutcomeUnknown: it may be; the same request, unchanged, settles it.
            ServerUnavailable, Busy, AccessDenied, MessageTooLarge: nothing was written.
        """
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        self.wait_until_ready(timeout)
        try:
            return rpc(request, timeout)
        except grpc.RpcError as error:
            raise self._of_append(error) from error

    def wait_until_ready(self, timeout_seconds: float) -> None:
        """Returns once the server can be reached.

        Raises:
            ServerUnavailable: it cannot within the time given; nothing was sent.
        """
        if self._is_ready:
            return
        probe: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(_PROBE)
        try:
            probe(b"", timeout=timeout_seconds, wait_for_ready=self._waits)
        except grpc.RpcError as error:
            code, message, _ = self._read(error)
            if code in _NOBODY_ANSWERED:
                raise ServerUnavailable("no connection could be made", target=self._target, because=message) from error
        self._is_ready = self._waits = True

    def _of_question(self, error: grpc.RpcError) -> ClientError:
        code, message, details = self._read(error)
        values = dict(details.metadata)
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED | grpc.StatusCode.CANCELLED:
                return ServerUnavailable(message, target=self._target)
            case grpc.StatusCode.NOT_FOUND:
                return NotFound(message, **values)
            case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
                return AccessDenied(message, **values)
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return MessageTooLarge(message) if _TOO_LARGE in message else Busy(message, **values)
            case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE | grpc.StatusCode.FAILED_PRECONDITION:
                named = set(values.values())  # A rule that ErrorInfo names already is no field, and is told once.
                values |= {bad.name: bad.description for bad in details.bad_fields if bad.name not in named}
                return RequestInvalid(message, **values)
            case _:
                return ServerFailed(message, code=code.name, **{k: v for k, v in values.items() if k != "code"})

    def _of_append(self, error: grpc.RpcError) -> ClientError:
        code, message, details = self._read(error)
        values = dict(details.metadata)
        if code is grpc.StatusCode.PERMISSION_DENIED:
            return AccessDenied(message, **values)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return self._of_exhaustion(message, values)
        if details.reason == _STOPPED:
            return LedgerStopped(f"{message} ({values.get('cause', 'it says no more')})")
        if details.reason == _DRAINING:
            return ServerUnavailable(message, target=self._target)
        if code in _REFUSAL_CODES:
            return _refusal(code, message, details)
        # The statement was on its way and nobody said what became of it.
        return OutcomeUnknown(f"no answer to an append ({code.name}: {message})")

    @staticmethod
    def _of_exhaustion(message: str, values: Mapping[str, str]) -> ClientError:
        if _TOO_LARGE not in message:
            return Busy(message, **values)
        if message.startswith(_ANSWER_TOO_LARGE):
            return OutcomeUnknown(f"the answer to an append was too large to take ({message})")
        return MessageTooLarge(message)

    def _read(self, error: grpc.RpcError) -> tuple[grpc.StatusCode, str, StatusDetails]:
        if not isinstance(error, grpc.Call):
            return grpc.StatusCode.UNKNOWN, str(error), StatusDetails()
        code = error.code() or grpc.StatusCode.UNKNOWN
        if code is grpc.StatusCode.UNAVAILABLE:
            self._is_ready = False
        details = StatusDetails()
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS_KEY and isinstance(value, bytes):
                details = read_status_details(value)
        return code, error.details() or code.name, details


def connect(
    *,
    target: str,
    tls: TlsFiles,
    timeout_seconds: float = TIMEOUT_SECONDS,
    wait_for_ready: bool = False,
    server_name: str | None = None,
) -> Connection:
    """Returns a connection to the server at `target`, such as `ledger.example:8443`.

    Args:
        target: host and port.
        tls: the PEM files of both sides' trust.
        timeout_seconds: deadline of each call that names none of its own, and of connecting.
        wait_for_ready: True gives a server that is about to start the time of the first call to be there.
        server_name: the name in the server's certificate, where it is not the host of `target`.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    credentials = grpc.ssl_channel_credentials(_pem(tls.ca), _pem(tls.key), _pem(tls.certificate))
    options: list[tuple[str, str | int]] = [
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.max_receive_message_length", RECEIVED_BYTES_MAX),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.enable_retries", 0),  # A retry is ours to make: it must carry the same statement id, and be known of.
        ("grpc.use_local_subchannel_pool", 1),  # Two sites in one process must not share a connection's identity.
    ]
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    channel = grpc.secure_channel(target, credentials, options=options)
    return Connection(channel, target=target, timeout_seconds=timeout_seconds, wait_for_ready=wait_for_ready)


def retry_appends(
    attempt: Callable[[], ResponseT], *, attempts: int, pause: Callable[[float], None], pause_seconds: float
) -> ResponseT:
    """Returns what `attempt` returns, making it again while its outcome is unknown; the last error is raised.

    It is right only for requests that the ledger tells apart by statement id, and for a deadline that has not passed
    for good: each attempt has its own. Pauses double. A ledger that has stopped is not asked again.
    """
    for number in range(attempts):
        try:
            return attempt()
        except LedgerStopped:
            raise
        except (OutcomeUnknown, Busy):
            if number + 1 == attempts:
                raise
            pause(pause_seconds * 2**number)
    raise AssertionError("at least one attempt is made")


def _refusal(code: grpc.StatusCode, message: str, details: StatusDetails) -> StatementRefused:
    findings = tuple(
        ExplainedFinding(violation.name, violation.subject, violation.description)
        for violation in details.preconditions
    )
    values = {name: value for name, value in details.metadata.items() if name != _RETRYABLE}
    values |= {violation.name: violation.description for violation in details.bad_fields}
    retryable = details.metadata.get(_RETRYABLE) == "true" or details.has_retry_info or code is grpc.StatusCode.ABORTED
    return StatementRefused(
        message,
        refusal_reason=details.reason or code.name,
        refused_values=values,
        findings=findings,
        retryable=retryable,
    )


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("a TLS file cannot be read", path=path, because=refusal.strerror) from refusal
