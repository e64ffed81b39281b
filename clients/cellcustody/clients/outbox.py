"""Sign without a network, keep what was signed, and deliver it later, in order.

The rules:

* What is queued is on the disk when `queue` returns (`local_store`), and stays there until it is acknowledged as
  delivered: no refusal, crash or full queue loses a signed statement.
* Envelopes hold no content and are kept as they are. Openings do; they are sealed with a key made from a passphrase,
  bound to their statement's digest.
* Delivery is in the order of queueing, and each has its own result. A retryable refusal leaves a statement in the
  queue; a final one parks it with its reason. Whether delivery goes on after a refusal is the caller's choice.
* The statement id makes delivery idempotent: after a lost answer, or after another site delivered the same statement,
  the ledger answers with the first position.
* An export for another site's client carries statements with their openings, sealed under a passphrase of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Unpack

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError, Message

from cellcustody.clients.acts import Acts
from cellcustody.clients.answers import Recorded, recorded_of, refusal_of
from cellcustody.clients.errors import OutboxUnusable, StatementRefused
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.sealed import SCRYPT_COST_LOG2, derive_key, open_sealed, seal
from cellcustody.clients.session import ActOptions, Draft, Session, SignedStatement, SigningOptions, unix_micros
from cellcustody.ledger.statements import Digest, Opening, StatementId, StreamId, parse_statement
from cellcustody.v1 import ledger_service_pb2, statement_pb2

if TYPE_CHECKING:
    from cellcustody.clients.connection import Connection

__all__ = ["Outbox", "Queued", "QueuedActs", "deliver_statements", "read_relay"]

BATCH_COUNT_MAX: Final = 100  # An answer with its receipts stays well under the message limit.
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024  # Half of gRPC's default limit of 4 MiB.
_RELAY_FORMAT: Final = "cellcustody-relay/1"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Queued:
    """A signed statement in the outbox; `state` is queued, parked or delivered."""

    number: int
    statement_id: bytes
    statement_digest: bytes
    stream: bytes
    body_type: str
    queued_at_unix_micros: int
    state: str
    reason: str = ""
    message: str = ""
    position: int = 0
    receipt: bytes = b""


class Outbox:
    """The queue of one device, in its local store."""

    def __init__(
        self,
        store: LocalStore,
        passphrase: str,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
        cost_log2: int = SCRYPT_COST_LOG2,
    ) -> None:
        """Opens the outbox, or makes it under this passphrase.

        Raises:
            OutboxUnusable: it was made under another passphrase.
        """
        self._store = store
        self._random_bytes = random_bytes
        self._cipher = AESGCM(self._key(passphrase, cost_log2))

    def _key(self, passphrase: str, cost_log2: int) -> bytes:
        with self._store.transaction() as connection:
            facts = dict(connection.execute("SELECT name, value FROM facts WHERE name LIKE 'outbox%'"))
            if facts:
                key = derive_key(passphrase, facts["outbox_salt"], int(facts["outbox_cost_log2"]))
                if hashlib.sha256(b"outbox" + key).digest() != facts["outbox_check"]:
                    raise OutboxUnusable("the passphrase does not open this outbox")
                return key
            salt = self._random_bytes(16)
            key = derive_key(passphrase, salt, cost_log2)
            rows = {
                "outbox_salt": salt,
                "outbox_cost_log2": str(cost_log2).encode(),
                "outbox_check": hashlib.sha256(b"outbox" + key).digest(),
            }
            connection.executemany("INSERT INTO facts VALUES (?, ?)", rows.items())
            return key

    def queue(self, statement: SignedStatement, *, queued_at_unix_micros: int) -> Queued:
        """Keeps a signed statement; it is on the disk when this returns. The same statement is kept once."""
        openings = ledger_service_pb2.SubmitRequest(openings=statement.request().openings).SerializeToString()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, openings, statement.digest)
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO outbox (statement_id, statement_digest, stream, body_type, queued_at_unix_micros,"
                " envelope, openings, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued')"
                " ON CONFLICT (statement_digest) DO NOTHING",
                (
                    statement.statement_id,
                    statement.digest,
                    statement.stream,
                    statement.body_type,
                    queued_at_unix_micros,
                    statement.envelope,
                    sealed,
                ),
            )
        self._store.note_written(statement.stream, statement.digest)
        return next(queued for queued in self.list() if queued.statement_digest == statement.digest)

    def list(self, *states: str) -> tuple[Queued, ...]:
        """Returns what the outbox holds, in order; of these states alone, where any are named."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                "SELECT number, statement_id, statement_digest, stream, body_type, queued_at_unix_micros,"
                " state, reason, message, position, receipt FROM outbox ORDER BY number"
            ).fetchall()
        return tuple(queued for queued in (Queued(*row) for row in rows) if not states or queued.state in states)

    def statement(self, number: int) -> SignedStatement:
        """Returns one signed statement with its openings.

        Raises:
            OutboxUnusable: there is none of this number, or its openings were altered.
        """
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT envelope, statement_digest, openings FROM outbox WHERE number = ?", (number,)
            ).fetchone()
        if row is None:
            raise OutboxUnusable("the outbox holds no statement of this number", number=number)
        envelope, digest, sealed = row
        try:
            raw = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], digest)
        except InvalidTag as refusal:
            raise OutboxUnusable("the openings of a queued statement were altered", number=number) from refusal
        request = ledger_service_pb2.SubmitRequest.FromString(raw)
        request.envelope = envelope
        return _statement_of(request)

    def deliver(
        self, connection: Connection, *, stop_at_refusal: bool = False, timeout_seconds: float | None = None
    ) -> tuple[Recorded | StatementRefused, ...]:
        """Delivers what is queued, in order, and returns what became of each statement that was sent.

        With `stop_at_refusal` one statement is sent at a time and the first refusal ends the delivery; without, they
        go in batches, and what is refused does not hold up what comes after.

        Raises:
            OutcomeUnknown, ServerUnavailable, Busy, AccessDenied: what was not answered stays queued.
        """
        outcomes: list[Recorded | StatementRefused] = []
        waiting = [queued.number for queued in self.list("queued")]
        for batch in _batches(waiting, self.statement, one_by_one=stop_at_refusal):
            statements = [statement for _, statement in batch]
            results = deliver_statements(connection, statements, timeout_seconds=timeout_seconds)
            for (number, _), outcome in zip(batch, results, strict=True):
                self._note(number, outcome)
            outcomes += results
            if stop_at_refusal and isinstance(results[-1], StatementRefused):
                break
        return tuple(outcomes)

    def acknowledge(self, *numbers: int) -> int:
        """Removes delivered statements, all or those of these numbers; returns how many. Others are never removed."""
        with self._store.transaction() as connection:
            removed = 0
            for queued in self.list("delivered"):
                if not numbers or queued.number in numbers:
                    removed += connection.execute("DELETE FROM outbox WHERE number = ?", (queued.number,)).rowcount
            return removed

    def requeue(self, number: int) -> None:
        """Puts a parked statement back in its place, after what it was refused for has been mended."""
        with self._store.transaction() as connection:
            changed = connection.execute(
                "UPDATE outbox SET state = 'queued', reason = '', message = '' WHERE number = ? AND state = 'parked'",
                (number,),
            ).rowcount
        if not changed:
            raise OutboxUnusable("no parked statement has this number", number=number)

    def relay(self, passphrase: str, *, cost_log2: int = SCRYPT_COST_LOG2) -> bytes:
        """Returns a file of everything queued, for another site's client to deliver; it stays queued here too."""
        statements = [self.statement(queued.number) for queued in self.list("queued")]
        batch = ledger_service_pb2.AppendBatchRequest(statements=[each.request() for each in statements])
        raw = batch.SerializeToString(deterministic=True)
        clear = {"format": _RELAY_FORMAT, "statements": str(len(statements))}
        return seal(raw, passphrase, clear, random_bytes=self._random_bytes, cost_log2=cost_log2)

    def _note(self, number: int, outcome: Recorded | StatementRefused) -> None:
        with self._store.transaction() as connection:
            match outcome:
                case Recorded():
                    connection.execute(
                        "UPDATE outbox SET state = 'delivered', reason = '', message = '', position = ?, receipt = ?"
                        " WHERE number = ?",
                        (outcome.position, outcome.receipt, number),
                    )
                case StatementRefused():
                    connection.execute(
                        "UPDATE outbox SET state = ?, reason = ?, message = ? WHERE number = ?",
                        (
                            "queued" if outcome.retryable else "parked",
                            outcome.refusal_reason,
                            str(outcome),
                            number,
                        ),
                    )


class QueuedActs(Acts[Queued]):
    """Every act, signed now and kept in an outbox."""

    def __init__(self, session: Session, outbox: Outbox) -> None:
        self.session = session
        self.outbox = outbox

    def act(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> Queued:
        """Drafts, shows and signs `body` as a statement of `stream`, 17 bytes, and keeps it."""
        return self._signed_and_kept(self.session.draft(stream, body, options), options)

    def co_sign(
        self,
        digest: bytes,
        stream: bytes,
        meaning: statement_pb2.Meaning.ValueType,
        *,
        act: str = "Co-signature of",
        **options: Unpack[SigningOptions],
    ) -> Queued:
        """Signs "I too, meaning `meaning`" of the statement `digest`, 32 bytes, in `stream`, and keeps it."""
        draft = self.session.draft_co_signature(stream, digest, meaning, options, act=act)
        return self._signed_and_kept(draft, options)

    def _signed_and_kept(self, draft: Draft, options: SigningOptions) -> Queued:
        signed = self.session.sign(draft, options)
        return self.outbox.queue(signed, queued_at_unix_micros=unix_micros(self.session.clock()))


def deliver_statements(
    connection: Connection, statements: Sequence[SignedStatement], *, timeout_seconds: float | None = None
) -> list[Recorded | StatementRefused]:
    """Sends statements in one batch, whoever signed them, and returns what became of each, in order.

    Raises:
        OutcomeUnknown, ServerUnavailable, Busy, AccessDenied: nothing is known of any; sending again settles it.
    """
    from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub

    request = ledger_service_pb2.AppendBatchRequest(statements=[statement.request() for statement in statements])
    stub: LedgerServiceStub = LedgerServiceStub(connection.channel)
    answer = connection.append(stub.AppendBatch, request, timeout_seconds=timeout_seconds)
    return [
        recorded_of(statement, result.recorded)
        if result.HasField("recorded")
        else refusal_of(statement, result.refused)
        for statement, result in zip(statements, answer.results, strict=True)
    ]


def read_relay(raw: bytes, passphrase: str) -> tuple[SignedStatement, ...]:
    """Returns the statements of another client's relay file, in order, for `deliver_statements`.

    Raises:
        SealedFileError: the passphrase does not open it.
        OutboxUnusable: it holds something else.
    """
    content, clear = open_sealed(raw, passphrase)
    if clear.get("format") != _RELAY_FORMAT:
        raise OutboxUnusable("not a relay file of this format", format=clear.get("format", ""))
    try:
        batch = ledger_service_pb2.AppendBatchRequest.FromString(content)
    except DecodeError as refusal:
        raise OutboxUnusable("a relay file holds no statements") from refusal
    return tuple(_statement_of(request) for request in batch.statements)


def _statement_of(request: ledger_service_pb2.SubmitRequest) -> SignedStatement:
    parsed = parse_statement(request.envelope)
    return SignedStatement(
        envelope=request.envelope,
        openings=tuple(Opening(o.index, o.salt, o.record) for o in request.openings),
        statement_id=StatementId(parsed.statement_id),
        digest=Digest(parsed.digest),
        stream=StreamId(parsed.stream),
        body_type=parsed.header.body_type,
    )


def _batches(
    numbers: Iterable[int], statement_of: Callable[[int], SignedStatement], *, one_by_one: bool
) -> Iterator[list[tuple[int, SignedStatement]]]:
    batch: list[tuple[int, SignedStatement]] = []
    size = 0
    for number in numbers:
        statement = statement_of(number)
        length = statement.request().ByteSize()
        if batch and (one_by_one or len(batch) >= BATCH_COUNT_MAX or size + length > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append((number, statement))
        size += length
    if batch:
        yield batch
