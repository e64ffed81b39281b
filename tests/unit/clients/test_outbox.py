"""What was signed without a network is delivered later, in order, once, and never lost."""

import sqlite3
from pathlib import Path

import grpc
import pytest
from tests.unit.clients.client_faults import CONSIGNMENT, BatchAnswer, FaultyServer, response_to

from cellcustody.clients import (
    LocalStore,
    Outbox,
    OutboxUnusable,
    OutcomeUnknown,
    QueuedActs,
    Recorded,
    Session,
    StatementRefused,
    deliver_statements,
    read_relay,
)
from cellcustody.clients.sealed import SealedFileError
from cellcustody.v1 import ledger_service_pb2, transport_pb2

CHEAP = 10
SECRET_PLACE = "car park of the A9999 annex"

Batch = ledger_service_pb2.AppendBatchRequest
Answered = ledger_service_pb2.AppendBatchResponse


@pytest.fixture
def outbox(store: LocalStore) -> Outbox:
    """An outbox in the device's memory."""
    return Outbox(store, "correct horse", cost_log2=CHEAP)


def drive(session: Session, outbox: Outbox, *places: str) -> list[bytes]:
    """Signs a checkpoint at each place while offline, and returns the digests."""
    acts = QueuedActs(session, outbox)
    return [
        acts.pass_checkpoint(CONSIGNMENT, transport_pb2.TransitCheckpointPassed(place=place)).statement_digest
        for place in places
    ]


def taking_all(first_position: int = 1) -> BatchAnswer:
    """Records every statement of a batch."""
    return answering({}, first_position)


def answering(refusals: dict[int, ledger_service_pb2.Refusal], first_position: int = 1) -> BatchAnswer:
    """Records a batch but for the members with these numbers."""

    def answer(request: Batch, context: grpc.ServicerContext) -> Answered:
        results = [
            ledger_service_pb2.BatchResult(refused=refusals[number])
            if number in refusals
            else ledger_service_pb2.BatchResult(recorded=response_to(statement, first_position + number))
            for number, statement in enumerate(request.statements)
        ]
        return Answered(results=results)

    return answer


FINAL = ledger_service_pb2.Refusal(reason="KEY_REVOKED", message="the key is revoked")
RETRYABLE = ledger_service_pb2.Refusal(reason="SEEN_MISSING", message="not here yet", retryable=True)


def test_statements_are_delivered_in_the_order_they_were_signed(
    server: FaultyServer, session: Session, outbox: Outbox
) -> None:
    """Each was seen by the next, so nobody can rearrange them."""
    digests = drive(session, outbox, "depot", "border", "airport")
    server.batch_answers = [taking_all()]

    with server.connect() as connection:
        outcomes = outbox.deliver(connection)

    assert [outcome.statement_digest for outcome in outcomes if isinstance(outcome, Recorded)] == digests
    assert [queued.state for queued in outbox.list()] == ["delivered"] * 3


def test_what_is_queued_outlives_the_program(session: Session, tmp_path: Path) -> None:
    """A new program with the passphrase finds the same signed bytes."""
    path = tmp_path / "device.sqlite"
    session.store = LocalStore(path)
    drive(session, Outbox(session.store, "correct horse", cost_log2=CHEAP), "depot")
    session.store.close()

    reopened = Outbox(LocalStore(path), "correct horse")

    statement = reopened.statement(1)
    assert statement.openings[0].record.endswith(b"depot")


def test_another_passphrase_opens_no_outbox(session: Session, tmp_path: Path) -> None:
    """It is refused at once and not at delivery."""
    path = tmp_path / "device.sqlite"
    Outbox(LocalStore(path), "correct horse", cost_log2=CHEAP)

    with pytest.raises(OutboxUnusable, match="passphrase"):
        Outbox(LocalStore(path), "battery staple")


def test_the_file_shows_no_content(session: Session, tmp_path: Path) -> None:
    """Openings are sealed; nothing of a body stands in the file."""
    path = tmp_path / "device.sqlite"
    session.store = LocalStore(path)
    drive(session, Outbox(session.store, "correct horse", cost_log2=CHEAP), SECRET_PLACE)
    session.store.close()

    assert SECRET_PLACE.encode() not in path.read_bytes()


def test_altered_openings_are_found_before_they_are_sent(session: Session, outbox: Outbox, store: LocalStore) -> None:
    """Whoever writes to the file cannot make this device deliver something else."""
    drive(session, outbox, "depot")
    with store.transaction() as connection:
        connection.execute("UPDATE outbox SET openings = zeroblob(80)")

    with pytest.raises(OutboxUnusable, match="altered"):
        outbox.statement(1)


def test_a_lost_answer_leaves_all_in_the_queue(server: FaultyServer, session: Session, outbox: Outbox) -> None:
    """The next delivery sends the same bytes, and the ledger says that it has them."""
    drive(session, outbox, "depot", "border")

    def lost(request: Batch, context: grpc.ServicerContext) -> Answered:
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    server.batch_answers = [lost, taking_all()]
    with server.connect() as connection:
        with pytest.raises(OutcomeUnknown):
            outbox.deliver(connection)
        assert len(outbox.list("queued")) == 2
        outbox.deliver(connection)

    assert server.received[:2] == server.received[2:]
    assert len(outbox.list("delivered")) == 2


def test_a_final_refusal_is_parked_with_its_reason(server: FaultyServer, session: Session, outbox: Outbox) -> None:
    """The others are delivered; the refused one stays, and can be put back after the cause was mended."""
    drive(session, outbox, "depot", "border", "airport")
    server.batch_answers = [answering({1: FINAL}), taking_all()]
    with server.connect() as connection:
        outbox.deliver(connection)
        (parked,) = outbox.list("parked")
        assert parked.reason == "KEY_REVOKED"

        outbox.requeue(parked.number)
        outbox.deliver(connection)

    assert [queued.state for queued in outbox.list()] == ["delivered"] * 3


def test_a_retryable_refusal_stays_in_the_queue(server: FaultyServer, session: Session, outbox: Outbox) -> None:
    """What it waits for may come from another site."""
    drive(session, outbox, "depot")
    server.batch_answers = [answering({0: RETRYABLE})]
    with server.connect() as connection:
        (outcome,) = outbox.deliver(connection)

    assert isinstance(outcome, StatementRefused) and outcome.retryable
    assert [(queued.state, queued.reason) for queued in outbox.list()] == [("queued", "SEEN_MISSING")]


def test_delivery_can_stop_at_the_first_refusal(server: FaultyServer, session: Session, outbox: Outbox) -> None:
    """Nothing after it is sent."""
    drive(session, outbox, "depot", "border", "airport")
    server.batch_answers = [taking_all(), answering({0: RETRYABLE})]
    with server.connect() as connection:
        outbox.deliver(connection, stop_at_refusal=True)

    assert [queued.state for queued in outbox.list()] == ["delivered", "queued", "queued"]
    assert len(server.received) == 2


def test_only_what_is_delivered_can_be_removed(server: FaultyServer, session: Session, outbox: Outbox) -> None:
    """Acknowledging removes delivered statements and leaves every other."""
    drive(session, outbox, "depot", "border")
    server.batch_answers = [answering({1: FINAL})]
    with server.connect() as connection:
        outbox.deliver(connection)

    assert outbox.acknowledge() == 1
    assert [queued.state for queued in outbox.list()] == ["parked"]


def test_another_site_delivers_what_an_offline_driver_signed(
    server: FaultyServer, session: Session, outbox: Outbox
) -> None:
    """The relay file opens under its own passphrase and carries the very same bytes."""
    digests = drive(session, outbox, "depot", "border")
    relayed = outbox.relay("told by telephone", cost_log2=CHEAP)
    server.batch_answers = [taking_all()]

    with server.connect() as connection:
        outcomes = deliver_statements(connection, read_relay(relayed, "told by telephone"))

    assert [outcome.statement_digest for outcome in outcomes if isinstance(outcome, Recorded)] == digests
    assert len(outbox.list("queued")) == 2
    with pytest.raises(SealedFileError):
        read_relay(relayed, "battery staple")


def test_a_full_disk_signs_nothing_into_the_void(session: Session, outbox: Outbox, store: LocalStore) -> None:
    """Where a statement cannot be kept, whoever signed it is told."""
    with store.transaction() as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    with pytest.raises((sqlite3.Error, OutboxUnusable)):
        drive(session, outbox, "depot")

    assert outbox.list() == ()
