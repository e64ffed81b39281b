"""A site's client: typed calls for every act, and the questions a site asks.

The rules:

* An act is drafted, assessed where that is asked for, shown, confirmed, signed, and only then sent.
* Where no answer came, the same bytes are sent again a few times; then `OutcomeUnknown` is raised, which carries them
  for `resubmit`. The ledger tells by the statement id whether it has them.
* What the ledger answers is noted, so that the next statement says truly what was seen.

    with connect(target=..., tls=...) as connection, SiteClient(connection, session) as site:
        site.release_custody(consignment, transport_pb2.CustodyReleased(...))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Unpack

from google.protobuf.message import Message

from cellcustody.clients.acts import Acts
from cellcustody.clients.answers import Recorded, explained_findings, recorded_of
from cellcustody.clients.connection import Connection, UnaryCall, retry_appends
from cellcustody.clients.errors import ExplainedFinding, OutcomeUnknown, StatementRefused
from cellcustody.clients.outbox import Outbox, QueuedActs
from cellcustody.clients.queries import Questions
from cellcustody.clients.session import ActOptions, Draft, Session, SignedStatement, SigningOptions, openings_message
from cellcustody.clients.showing import Showing
from cellcustody.ledger.act_rpcs import ACT_RPCS
from cellcustody.ledger.custody.act import Status
from cellcustody.v1 import ledger_service_pb2, statement_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub

__all__ = ["Assessment", "Recorded", "SiteClient"]

ATTEMPTS_COUNT: Final = 3  # A lost connection is mended by then, or a person should know.
PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the ledger would find if a statement arrived now; `status` is None where it would be refused."""

    position: int
    status: Status | None
    findings: tuple[ExplainedFinding, ...]
    refusal_reason: str
    refusal_message: str
    co_signers_needed: int


class SiteClient(Questions, Acts[Recorded]):
    """One signer of one site, connected; a context manager that closes the connection."""

    def __init__(
        self,
        connection: Connection,
        session: Session,
        *,
        outbox: Outbox | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(connection, session.store)
        self.session = session
        self.outbox = outbox
        self._pause = pause
        self._ledger: LedgerServiceStub = LedgerServiceStub(connection.channel)

    def __enter__(self) -> SiteClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    @property
    def queued(self) -> QueuedActs:
        """The same acts, signed now and kept in the outbox until it is delivered."""
        if self.outbox is None:
            raise ValueError("this client was given no outbox")
        return QueuedActs(self.session, self.outbox)

    def act(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> Recorded:
        """Drafts, shows, signs and sends `body` as a statement of `stream`, 17 bytes.

        Raises:
            StatementRefused: the ledger did not take it.
            SigningDeclined: it was not confirmed, and nothing was signed.
            OutcomeUnknown: it may or may not be recorded; it carries what was signed, for `resubmit`.
            ServerUnavailable, Busy, AccessDenied: nothing was written.
        """
        draft = self.session.draft(stream, body, options)
        return self._signed_and_sent(draft, options)

    def co_sign(
        self,
        digest: bytes,
        stream: bytes,
        meaning: statement_pb2.Meaning.ValueType,
        *,
        act: str = "Co-signature of",
        **options: Unpack[SigningOptions],
    ) -> Recorded:
        """Says "I too, meaning `meaning`" of the statement `digest`, 32 bytes, in `stream`; `act` says what it is."""
        draft = self.session.draft_co_signature(stream, digest, meaning, options, act=act)
        return self._signed_and_sent(draft, options)

    def show(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> Showing:
        """Returns what would be signed, in words; a counter of the device is used up."""
        return self.session.draft(stream, body, options).showing

    def assess(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> Assessment:
        """Returns what the ledger would find if this were signed and arrived now; nothing is signed or written."""
        return self._assessed(self.session.draft(stream, body, options))

    def resubmit(
        self, statement: SignedStatement, *, timeout_seconds: float | None = None, witnessed: bool = False
    ) -> Recorded:
        """Sends what was signed before, unchanged; the answer is the first one's where it was recorded already.

        With `witnessed`, the answer comes when a quorum of witnesses has cosigned a checkpoint over the entry, or when
        the time is up: `Recorded.witnessed` says which. It is recorded in either case; sending it again asks again.
        """
        service, rpc = ACT_RPCS.get(statement.body_type, ("LedgerService", "Append"))
        call: UnaryCall[ledger_service_pb2.SubmitRequest, ledger_service_pb2.SubmitResponse]
        call = self.connection.channel.unary_unary(
            f"/cellcustody.v1.{service}/{rpc}",
            request_serializer=ledger_service_pb2.SubmitRequest.SerializeToString,
            response_deserializer=ledger_service_pb2.SubmitResponse.FromString,
        )
        try:
            answer = retry_appends(
                lambda: self.connection.append(
                    call, statement.request(await_witnessed=witnessed), timeout_seconds=timeout_seconds
                ),
                attempts=ATTEMPTS_COUNT,
                pause=self._pause,
                pause_seconds=PAUSE_SECONDS,
            )
        except OutcomeUnknown as error:
            raise type(error)(error.message.partition("; retry")[0], statement=statement) from error
        except StatementRefused as refusal:
            refusal.statement = statement
            raise
        recorded = recorded_of(statement, answer)
        self.store.note_written(statement.stream, recorded.statement_digest)
        self.note_position(recorded.position)
        return recorded

    def deliver(self, *, stop_at_refusal: bool = False) -> tuple[Recorded | StatementRefused, ...]:
        """Delivers what waits in the outbox, in order, and returns what became of each."""
        if self.outbox is None:
            raise ValueError("this client was given no outbox")
        return self.outbox.deliver(self.connection, stop_at_refusal=stop_at_refusal)

    def entry(
        self, *, leaf_index: int | None = None, statement_digest: bytes | None = None
    ) -> ledger_service_pb2.GetEntryResponse:
        """Returns one entry with what this site may read of its body."""
        request = (
            ledger_service_pb2.GetEntryRequest(leaf_index=leaf_index)
            if leaf_index is not None
            else ledger_service_pb2.GetEntryRequest(statement_digest=statement_digest or b"")
        )
        return self.connection.ask(self._ledger.GetEntry, request)

    def _signed_and_sent(self, draft: Draft, options: SigningOptions) -> Recorded:
        if options.get("assess"):
            found = self._assessed(draft)
            if found.refusal_reason:
                raise StatementRefused(
                    found.refusal_message, refusal_reason=found.refusal_reason, findings=found.findings
                )
        signed = self.session.sign(draft, options)
        return self.resubmit(
            signed, timeout_seconds=options.get("timeout_seconds"), witnessed=options.get("witnessed", False)
        )

    def _assessed(self, draft: Draft) -> Assessment:
        answer = self.connection.ask(
            self._ledger.Assess,
            ledger_service_pb2.AssessRequest(
                payload=draft.statement.payload,
                payload_type=draft.payload_type.value,
                openings=openings_message(draft.statement.openings),
            ),
        )
        status = answer.judgement.status
        return Assessment(
            position=answer.position,
            status=Status(status) if status else None,
            findings=explained_findings(answer.explained),
            refusal_reason=answer.refusal_reason,
            refusal_message=answer.refusal_message,
            co_signers_needed=answer.co_signers_needed,
        )
