"""Tell one therapy to the ledger: sign each act as its person's client does, send it, and deliver some late.

The rules:

* Every act is drafted, shown and signed by the session of the person's own client, and sent over the connection of
  the person's own site. Runs of one site's acts that need no answer go in one batch.
* `seen` is what stands in the therapy's stream and in those of its consignments, as far as it has been sent.
* A share of facts is signed into the person's outbox instead and delivered some acts later; never beyond the next
  authorisation, which has to rest on what is in the log. A share is said wrongly first, and corrected.
* What falls to an act that cannot be late or wrong (an authorisation, one that two persons sign) falls to the next one
  that can, so that the shares are those of all acts.
* What breaks a rule on purpose is kept with its codes (`intended`), by digest.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from cellcustody.clients.answers import Recorded
from cellcustody.clients.connection import Connection
from cellcustody.clients.errors import OutcomeUnknown, StatementRefused
from cellcustody.clients.outbox import deliver_statements
from cellcustody.clients.session import ActOptions, SignedStatement
from cellcustody.clients.simulation.cast import Person
from cellcustody.clients.simulation.desks import Desks
from cellcustody.clients.simulation.quantities import MINUTE
from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.clients.simulation.summary import Deviation, Summary
from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import common_pb2, quality_pb2, statement_pb2

__all__ = ["Rates", "Telling"]

BATCH_COUNT_MAX: Final = 60
ATTEMPTS_COUNT: Final = 3
LOOKS_MAX: Final = 6
LOOK_PAUSE_SECONDS: Final = 0.05  # Doubled each time: answers follow the log by moments.
LATE_BY_ACTS: Final = (2, 7)  # How many acts later a late one is delivered.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often something goes otherwise than planned, as shares: of legs, acts, handoffs, acts, batches, bags."""

    excursions: float = 0.02
    corrections: float = 0.03
    handoffs: float = 0.01
    late: float = 0.05
    batches_failed: float = 0.04
    excursions_rejected: float = 0.3


@dataclass(slots=True)
class _Late:
    """A person's acts in the outbox, and how many acts may still pass before they are delivered."""

    by: Person
    left: int
    acts: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)


class Telling:
    """One therapy being told. Times are microseconds since 1970-01-01T00:00:00Z."""

    def __init__(self, desks: Desks, number: int, dice: Seeded, rates: Rates, *, begin: int) -> None:
        self.desks = desks
        self.cast = desks.cast
        self.number = number
        self.dice = dice
        self.rates = rates
        self.now = begin
        self.stream = new_stream_id(StreamKind.THERAPY, dice.take)
        self.summary = Summary(therapies=1)
        self.intended: dict[bytes, frozenset[str]] = {}
        self.consignments: list[bytes] = []
        self.position = 0
        self._last: dict[bytes, bytes] = {}
        self._pending: list[tuple[Person, SignedStatement, str]] = []
        self._late: list[_Late] = []
        self._revised: set[bytes] = set()
        self._owed_late = 0
        self._owed_corrections = 0

    def wait(self, micros: int) -> None:
        """Lets time pass."""
        self.now += micros

    def count(self, name: str, by: int = 1) -> None:
        """Counts something."""
        self.summary.counts[name] += by

    def tell(
        self,
        by: Person,
        body: Message,
        *,
        stream: bytes = b"",
        at: int | None = None,
        lasting: int = 0,
        join: Person | None = None,
        intends: Collection[str] = (),
        is_plain: bool = False,
    ) -> bytes:
        """Has a person tell an act, some minutes after the last or at a time, and returns its digest, 32 bytes.

        `lasting` makes the occurrence an interval; `join` is the second person, who joins two minutes later.
        `intends` are the codes that it is to be found nonconforming with; `is_plain` keeps it from being late or wrong.
        """
        self.now = self.now + self.dice.between(2, 6) * MINUTE if at is None else at
        stream = stream or self.stream
        contract = BODIES[body.DESCRIPTOR.full_name]
        self._owed_late += self.dice.happens(self.rates.late)
        self._owed_corrections += self.dice.happens(self.rates.corrections)
        may_slip = not (contract.is_authorisation or join or intends or is_plain)
        if may_slip and self._owed_corrections and contract.name != _DEVIATION:
            self._owed_corrections -= 1
            digest = self._tell_twice(by, stream, body, lasting)
        elif may_slip and self._owed_late:
            self._owed_late -= 1
            digest = self._queue(by, stream, body, lasting)
        else:
            sign = self._authorise if contract.is_authorisation else self._sign
            digest = sign(by, stream, body, lasting)
            if join is not None:
                self._join(join, by, stream, digest, contract.is_authorisation)
        if intends:
            self.intended[digest] = frozenset(intends)
        self._pass_late()
        if lasting:
            self.now += lasting
        return digest

    def open_consignment(self) -> bytes:
        """Returns the stream of a new consignment of this therapy."""
        stream = new_stream_id(StreamKind.CONSIGNMENT, self.dice.take)
        self.consignments.append(stream)
        return stream

    def finish(self) -> None:
        """Sends and delivers all that is left."""
        self.deliver_late()
        self.flush()

    # Signing.

    def _options(self, stream: bytes, at: int, lasting: int) -> ActOptions:
        self.desks.now = signed_at = _EPOCH + timedelta(microseconds=at + lasting)
        options = ActOptions(
            occurred_at=_EPOCH + timedelta(microseconds=at), signed_at=signed_at, seen=self._seen(stream)
        )
        if lasting:
            options["occurred_until"] = signed_at
        return options

    def _seen(self, stream: bytes) -> dict[bytes, bytes]:
        if stream != self.stream:
            return {stream: self._last[stream]} if stream in self._last else {}
        return dict(self._last)

    def _sign(self, by: Person, stream: bytes, body: Message, lasting: int) -> bytes:
        session = self.desks.client(by).session
        options = self._options(stream, self.now, lasting)
        signed = session.sign(session.draft(stream, body, options), options)
        self._send(by, signed, body.DESCRIPTOR.name)
        return signed.digest

    def _authorise(self, by: Person, stream: bytes, body: Message, lasting: int) -> bytes:
        """Has a person look, sign and send; whom the ledger tells of something unseen looks and signs again."""
        for again in range(LOOKS_MAX):
            is_watched = self._look(by, stream)
            last = self._last.get(stream)
            digest = self._sign(by, stream, body, lasting)
            if not is_watched or not self.flush(is_forgiven=again + 1 < LOOKS_MAX):
                break
            if last is not None:
                self._last[stream] = last
            # What comes after is to be the same whether or not somebody had to look again.
            self.desks.draw(Seeded(self.desks.ground.seed, "again", self.number, self.now, again).take)
            time.sleep(LOOK_PAUSE_SECONDS * 2**again)
        self.desks.draw(self.dice.take)
        return digest

    def _join(self, by: Person, first: Person, stream: bytes, digest: bytes, is_authorisation: bool) -> None:
        if by is first:
            raise ValueError("two persons are two")
        session = self.desks.client(by).session
        self.now += 2 * MINUTE
        self._owed_late += self.dice.happens(self.rates.late)  # Its share falls to another act.
        options = self._options(stream, self.now, 0)
        meaning = statement_pb2.MEANING_APPROVED if is_authorisation else statement_pb2.MEANING_VERIFIED
        draft = session.draft_co_signature(stream, digest, meaning, options, act="Co-signature of")
        self._send(by, session.sign(draft, options), "co-signature")

    def _tell_twice(self, by: Person, stream: bytes, body: Message, lasting: int) -> bytes:
        """Has an act told wrongly, told right and corrected; returns the digest of what stands."""
        wrong = type(body)()
        wrong.CopyFrom(body)
        _slip(wrong)
        _proceed(body)
        first = self._sign(by, stream, wrong, lasting)
        setattr(body, _REPLACES, first)
        right = self._sign(by, stream, body, lasting)
        self.now += MINUTE
        corrected = quality_pb2.StatementCorrected(
            corrected=first,
            replacement=right,
            circumstances=common_pb2.Circumstances(
                mode=common_pb2.ENTRY_MODE_DIRECT, reason="the version of the procedure was mistyped"
            ),
        )
        self.now += lasting
        self._owed_late += self.dice.happens(self.rates.late) + self.dice.happens(self.rates.late)
        self._authorise(by, stream, corrected, 0)
        self.now -= lasting
        self._revised |= {self.stream, stream}
        self.count("corrected")
        return right

    # Sending.

    def _send(self, by: Person, signed: SignedStatement, act: str) -> None:
        if self._pending and (self._pending[0][0].site is not by.site or len(self._pending) >= BATCH_COUNT_MAX):
            self.flush()
        self._pending.append((by, signed, act))
        self._last[signed.stream] = signed.digest

    def flush(self, *, is_forgiven: bool = False) -> bool:
        """Sends what waits to be sent; tells whether the last of it was refused for what its signer had not seen.

        Where that is forgiven, it counts as no refusal.
        """
        if not self._pending:
            return False
        connection = self.desks.connection(self._pending[0][0])
        outcomes = _delivered(connection, [signed for _, signed, _ in self._pending])
        is_unseen = _is_unseen(outcomes[-1])
        for (_, _, act), outcome in zip(self._pending, outcomes, strict=True):
            if is_forgiven and is_unseen and outcome is outcomes[-1]:
                self.count("looked again")
            else:
                self._note(act, outcome)
        self._pending.clear()
        return is_unseen

    def _note(self, act: str, outcome: Recorded | StatementRefused) -> None:
        self.count("acts")
        if isinstance(outcome, StatementRefused):
            codes = tuple(one.code for one in outcome.findings)
            self.summary.refusals.append(Deviation(self.number, act, f"refused, {outcome.refusal_reason}", codes))
            return
        self.summary.statements += 1
        self.position = max(self.position, outcome.position)
        if outcome.status is Status.AWAITING:
            self.count("waited")

    # Late.

    def _look(self, by: Person, concerned: bytes) -> bool:
        """Delivers what is late, and has whoever is about to authorise look where something may be unseen.

        A late or corrected statement may have the ledger judge others again, in a statement of its own, and where
        something is nonconforming any statement may; only reading shows that. An answer may be older than the last
        of these by moments. Tells whether there was anything to look at.
        """
        self.deliver_late()
        looked_at = {*self._last} if self.intended else set(self._revised)
        if concerned != self.stream:
            looked_at &= {concerned}  # A courier may read no therapy.
        if not looked_at:
            return False
        self.flush()
        client = self.desks.client(by)
        client.note_position(self.position)
        for stream in sorted(looked_at):
            answer = client.therapy(stream) if stream == self.stream else client.consignment(stream)
            self._last[stream] = answer.last_statement_digest
        self._revised -= looked_at
        return True

    def _queue(self, by: Person, stream: bytes, body: Message, lasting: int) -> bytes:
        outbox = self.desks.outbox(by)
        client = self.desks.client(by)
        queued = client.queued.act(stream, body, **self._options(stream, self.now, lasting))
        late = next((one for one in self._late if one.by is by), None)
        if late is None:
            late = _Late(by, self.dice.between(*LATE_BY_ACTS))
            self._late.append(late)
        late.acts[queued.statement_digest] = (stream, body.DESCRIPTOR.name)
        assert client.outbox is outbox
        self.count("late")
        return queued.statement_digest

    def _pass_late(self) -> None:
        due = []
        for late in self._late:
            late.left -= 1
            if late.left < 0:
                due.append(late)
        for late in due:
            self._deliver(late)

    def deliver_late(self) -> None:
        """Delivers whatever waits in an outbox."""
        for late in list(self._late):
            self._deliver(late)

    def _deliver(self, late: _Late) -> None:
        self._late.remove(late)
        self.flush()
        client = self.desks.client(late.by)
        for (digest, (stream, act)), outcome in zip(late.acts.items(), client.deliver(), strict=True):
            self._note(act, outcome)
            self._last[stream] = digest
            self._revised |= {self.stream, stream}
        self.desks.outbox(late.by).acknowledge()


_PROCEDURE: Final = "procedure"  # Every body of custody has these two fields.
_REPLACES: Final = "replaces"
_DEVIATION: Final = quality_pb2.DeviationRaised.DESCRIPTOR.full_name


def _is_unseen(outcome: Recorded | StatementRefused) -> bool:
    """Tells whether an authorisation was refused for nothing but what its signer had not seen."""
    return isinstance(outcome, StatementRefused) and {
        one.code for one in outcome.findings if one.strength != "ADVISORY"
    } == {"UNSEEN_DECISION"}


def _slip(body: Message) -> None:
    """Puts a slip of the pen into a body, one that breaks no rule."""
    _set_procedure(body, "SOP-017 version 3")


def _proceed(body: Message) -> None:
    _set_procedure(body, "SOP-017 version 4")


def _set_procedure(body: Message, text: str) -> None:
    setattr(body, _PROCEDURE, text)


def _delivered(connection: Connection, statements: list[SignedStatement]) -> list[Recorded | StatementRefused]:
    """Sends a batch, again where nobody answered; the ledger knows what it has by the statement ids."""
    for _ in range(ATTEMPTS_COUNT - 1):
        try:
            return deliver_statements(connection, statements)
        except OutcomeUnknown:
            continue
    return deliver_statements(connection, statements)
