"""Whatever a network or a ledger answers, a caller learns what to do next."""

import time

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.unit.clients.client_faults import CONSIGNMENT, FaultyServer, failing, information, recorded, response_to

from cellcustody.clients import (
    AccessDenied,
    Busy,
    LedgerStopped,
    MessageTooLarge,
    OutcomeUnknown,
    RequestInvalid,
    ServerUnavailable,
    Session,
    SiteClient,
    StatementRefused,
    TlsFiles,
    connect,
)
from cellcustody.clients.rpc_status import read_status_details
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import ledger_service_pb2, transport_pb2
from cellcustody.v1.transport_service_pb2_grpc import TransportServiceStub

RELEASED = transport_pb2.CustodyReleased(containers=["shipper-1"], count=1)


def site_at(server: FaultyServer, session: Session) -> SiteClient:
    """A site's client that does not wait between attempts."""
    return SiteClient(server.connect(), session, pause=lambda seconds: None)


def test_an_act_is_recorded_and_noted_for_the_next(server: FaultyServer, session: Session) -> None:
    """The typed method calls the act's own rpc over mutual TLS, and its digest is seen by what comes next."""
    server.answers = [recorded(7), recorded(8)]
    with site_at(server, session) as site:
        first = site.release_custody(CONSIGNMENT, RELEASED)
        site.release_custody(CONSIGNMENT, RELEASED)

    assert (first.position, first.leaf_index, first.status) == (7, 6, Status.CONFORMING)
    assert session.store.last_known(CONSIGNMENT) != first.statement_digest
    assert len(server.received) == 2


def test_a_lost_connection_is_mended_with_the_same_bytes(server: FaultyServer, session: Session) -> None:
    """The second attempt carries the same statement id, so the ledger can tell that it is one statement."""
    server.answers = [failing(grpc.StatusCode.UNAVAILABLE, "connection reset"), recorded()]
    with site_at(server, session) as site:
        site.release_custody(CONSIGNMENT, RELEASED)

    assert len(server.received) == 2
    assert server.received[0] == server.received[1]


def test_a_passed_deadline_is_an_unknown_outcome(server: FaultyServer, session: Session) -> None:
    """The error carries what was signed, and sending it again settles the matter."""

    def too_slow(
        request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        while context.is_active():
            time.sleep(0.01)
        return response_to(request, 7)

    server.answers = [too_slow, too_slow, too_slow, recorded(7)]
    with site_at(server, session) as site:
        with pytest.raises(OutcomeUnknown, match="retry with the same statement id") as unknown:
            site.release_custody(CONSIGNMENT, RELEASED, timeout_seconds=0.2)
        assert unknown.value.statement is not None

        settled = site.resubmit(unknown.value.statement)

    assert settled.statement_id == unknown.value.statement.statement_id
    assert len({request.envelope for request in server.received}) == 1


def test_a_refusal_names_reason_values_and_findings(server: FaultyServer, session: Session) -> None:
    """What the ledger says comes through whole, and a refusal is not tried again."""
    violation = error_details_pb2.PreconditionFailure.Violation(
        type="NOT_CUSTODIAN", subject="GATE", description="the releaser is not the custodian"
    )
    server.answers = [
        failing(
            grpc.StatusCode.FAILED_PRECONDITION,
            "a rule refuses this",
            information("RULES_REFUSED", releaser="ward-3"),
            error_details_pb2.PreconditionFailure(violations=[violation]),
        )
    ]
    with site_at(server, session) as site, pytest.raises(StatementRefused) as refusal:
        site.release_custody(CONSIGNMENT, RELEASED)

    assert refusal.value.refusal_reason == "RULES_REFUSED"
    assert refusal.value.values == {"releaser": "ward-3"}
    assert not refusal.value.retryable
    assert [(f.code, f.strength) for f in refusal.value.findings] == [("NOT_CUSTODIAN", "GATE")]
    assert "NOT_CUSTODIAN: the releaser is not the custodian" in str(refusal.value)
    assert len(server.received) == 1


def test_a_retryable_refusal_says_so(server: FaultyServer, session: Session) -> None:
    """The flag is not shown among the values."""
    server.answers = [
        failing(grpc.StatusCode.ABORTED, "not here yet", information("SEEN_MISSING", digest="11", retryable="true"))
    ]
    with site_at(server, session) as site, pytest.raises(StatementRefused) as refusal:
        site.release_custody(CONSIGNMENT, RELEASED)

    assert refusal.value.retryable
    assert refusal.value.values == {"digest": "11"}


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED", AccessDenied),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", Busy),
        (grpc.StatusCode.UNAVAILABLE, "DRAINING", ServerUnavailable),
        (grpc.StatusCode.PERMISSION_DENIED, "TLS_KEY_UNKNOWN", AccessDenied),
        (grpc.StatusCode.PERMISSION_DENIED, "CALL_NOT_PERMITTED", AccessDenied),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "LEDGER_BUSY", Busy),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", Busy),  # gRPC's own, where too many calls wait.
        (grpc.StatusCode.UNAVAILABLE, "LEDGER_STOPPED", LedgerStopped),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "OUTCOME_UNKNOWN", OutcomeUnknown),
        (grpc.StatusCode.INTERNAL, "", OutcomeUnknown),
        (grpc.StatusCode.UNAUTHENTICATED, "SIGNATURE_INVALID", StatementRefused),
        (grpc.StatusCode.ALREADY_EXISTS, "STATEMENT_ID_TAKEN", StatementRefused),
    ],
)
def test_each_answer_has_its_error(
    server: FaultyServer, session: Session, code: grpc.StatusCode, reason: str, expected: type[Exception]
) -> None:
    """The error says whether something may have been written."""
    details = (information(reason),) if reason else ()
    server.answers = [failing(code, "as told", *details)] * 3
    with site_at(server, session) as site, pytest.raises(expected):
        site.release_custody(CONSIGNMENT, RELEASED)


def test_a_message_too_large_for_the_server_is_no_refusal_and_no_overload(server: FaultyServer) -> None:
    """gRPC's server takes 4 MiB; sending it again would not help."""
    large = ledger_service_pb2.SubmitRequest(envelope=b"x" * 5_000_000)
    with server.connect() as connection, pytest.raises(MessageTooLarge):
        connection.append(TransportServiceStub(connection.channel).ReleaseCustody, large)

    assert server.received == []


def test_a_rule_that_a_question_breaks_is_told_once(server: FaultyServer) -> None:
    """Servers name it twice, for callers of either kind of detail; people read it once."""
    rule = "nothing may follow here"
    violations = [error_details_pb2.BadRequest.FieldViolation(field=rule, description="not well-formed")]
    server.answers = [
        failing(
            grpc.StatusCode.INVALID_ARGUMENT,
            "not well-formed",
            information("IDENTIFIER_MALFORMED", rule=rule),
            error_details_pb2.BadRequest(field_violations=violations),
        )
    ]
    with server.connect() as connection, pytest.raises(RequestInvalid) as refused:
        connection.ask(TransportServiceStub(connection.channel).ReleaseCustody, ledger_service_pb2.SubmitRequest())

    assert refused.value.values == {"rule": rule}


def test_a_ledger_that_has_stopped_is_asked_once(server: FaultyServer, session: Session) -> None:
    server.answers = [
        failing(
            grpc.StatusCode.UNAVAILABLE, "the ledger has stopped", information("LEDGER_STOPPED", cause="HEAD_MOVED")
        )
    ]
    with site_at(server, session) as site, pytest.raises(LedgerStopped, match="HEAD_MOVED") as stopped:
        site.release_custody(CONSIGNMENT, RELEASED)

    assert stopped.value.statement is not None
    assert len(server.received) == 1


def test_where_nobody_listens_nothing_was_sent(tls: TlsFiles, session: Session) -> None:
    """No connection is not an unknown outcome."""
    connection = connect(target="localhost:1", tls=tls, timeout_seconds=0.3)
    with SiteClient(connection, session) as site, pytest.raises(ServerUnavailable):
        site.release_custody(CONSIGNMENT, RELEASED)


def test_a_missing_certificate_is_named(tls: TlsFiles) -> None:
    """A file that cannot be read is found before anything is tried."""
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        connect(target="localhost:1", tls=TlsFiles(tls.ca, tls.ca.with_name("missing.pem"), tls.key))


def test_garbled_details_hide_no_refusal() -> None:
    """What can be read is read; the rest is absent."""
    details = read_status_details(b"\x12\x03abc\x1a\xff")

    assert details.message == "abc"
    assert details.reason == ""
