"""Draft, show and sign statements: who signs, on which device, with which keys, and what was seen.

The rules:

* Nothing is signed that was not shown first, in words made from the very bytes to be signed, and confirmed.
* A statement id is drawn once, when a statement is drafted; sending again sends the same bytes.
* The seed of a body's commitment is drawn for one statement, and forgotten as soon as its openings are made.
* `seen` is what this device last had: of the statement's own stream, of the streams its body names, and of those known
  to bear on it. An authorisation rests on what was read from a server; a fact on whatever came last (`local_store`).
* A device's counter is on the disk before it is used.

Clock, zone, randomness and the confirming person are passed in; without `confirm` the caller answers for showing it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.message import Message

from cellcustody.clients.errors import SigningDeclined
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.showing import Showing, show_statement
from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements import (
    Digest,
    PayloadType,
    Signer,
    StatementDraft,
    StatementId,
    StreamId,
    StreamKind,
    draft_statement,
    new_statement_id,
    pae,
    sign_statement,
)
from cellcustody.ledger.statements.commitment import Opening
from cellcustody.v1 import entry_pb2, ledger_service_pb2, statement_pb2

if TYPE_CHECKING:
    from cellcustody.v1.statement_pb2 import AuthenticationMethod, ClockSource, Meaning

__all__ = [
    "ActOptions",
    "Draft",
    "Identity",
    "Session",
    "SignedStatement",
    "SigningOptions",
    "openings_message",
    "schema_digest",
    "system_clock",
    "unix_micros",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STREAM_ID_BYTES: Final = 17
_SEED_BYTES: Final = 32
_ASKS_NO_SEEN: Final = frozenset(
    {StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA, StreamKind.LOG}
)  # These are judged by their position in the log, and rest on nothing seen.
_SEEN_FROM_CONSIGNMENTS: Final = frozenset({StreamKind.CONSIGNMENT, StreamKind.SITE, StreamKind.EQUIPMENT})
_MEANINGS: Final[Mapping[str, int]] = {
    "CustodyReleased": statement_pb2.MEANING_RELEASED,
    "CustodyAccepted": statement_pb2.MEANING_ACCEPTED,
    "PossessionReported": statement_pb2.MEANING_RESPONSIBLE,
}  # Other facts say PERFORMED, other authorisations APPROVED, unless the signer says otherwise.

Confirm = Callable[[Showing], bool]
"""Shows a person what will be signed, and tells whether they confirm it."""


def system_clock() -> datetime:
    """Returns now, aware, in UTC."""
    return datetime.now(UTC)


def unix_micros(moment: datetime) -> int:
    """Returns an aware time as microseconds since 1970-01-01T00:00:00Z, exactly."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=1)
def schema_digest() -> bytes:
    """Returns the digest of the contract that this install carries: 32 bytes."""
    return hashlib.sha256(files("cellcustody.v1").joinpath("schema.binpb").read_bytes()).digest()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs, for which ledger and on which device. Ids are 16 bytes."""

    ledger_id: bytes
    signer: bytes
    device: bytes
    role: str
    name: str
    """As shown to the signer; it is not sent."""

    site: bytes = b""
    unit: str = ""
    authentication: AuthenticationMethod.ValueType = statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE


class SigningOptions(TypedDict, total=False):
    """What a call that signs may say beside what it signs."""

    occurred_at: datetime
    """When it happened, aware; absent: when it is signed."""

    occurred_until: datetime
    """The end of an interval, aware."""

    signed_at: datetime
    """Absent: by the session's clock."""

    seen: Mapping[bytes, bytes]
    """Digest by stream, instead of what the device last had."""

    role: str
    clock_source: ClockSource.ValueType
    policy_digest: bytes
    statement_id: bytes
    """A UUIDv7 drawn earlier; absent: drawn now."""

    assess: bool
    """True asks the ledger first what it would find; a refusal is raised before anything is signed."""

    confirm: Confirm
    timeout_seconds: float
    witnessed: bool
    """True waits, within the time, for a receipt that a quorum of witnesses stands behind; see `Recorded.witnessed`."""


class ActOptions(SigningOptions, total=False):
    """What a call of an act may say beside its body."""

    meaning: Meaning.ValueType
    """Absent: performed for a fact, approved for an authorisation, released and accepted for a handoff's halves."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement before it is signed, with what its signer is shown."""

    header: statement_pb2.Header
    payload_type: PayloadType
    statement: StatementDraft
    showing: Showing

    @property
    def digest(self) -> Digest:
        """The statement digest, which does not depend on the signature."""
        return Digest(hashlib.sha256(pae(self.payload_type.value, self.statement.payload)).digest())


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A signed statement with its openings, ready to be sent as often as it takes."""

    envelope: bytes
    openings: tuple[Opening, ...]
    statement_id: StatementId
    digest: Digest
    stream: StreamId
    body_type: str

    def request(self, *, await_witnessed: bool = False) -> ledger_service_pb2.SubmitRequest:
        """Returns the request that carries it, to be answered at once or when witnesses have cosigned."""
        return ledger_service_pb2.SubmitRequest(
            envelope=self.envelope, openings=openings_message(self.openings), await_witnessed=await_witnessed
        )


def openings_message(openings: Sequence[Opening]) -> list[entry_pb2.Opening]:
    """Returns openings in the contract's form."""
    return [entry_pb2.Opening(index=o.index, salt=o.salt, record=o.record) for o in openings]


@dataclass(slots=True)
class Session:
    """One signer at one device; keys and clock stay here."""

    identity: Identity
    signers: Sequence[Signer]
    zone: str
    store: LocalStore
    clock: Callable[[], datetime] = system_clock
    random_bytes: Callable[[int], bytes] = os.urandom
    confirm: Confirm | None = None
    names: Mapping[bytes, str] = field(default_factory=dict)
    """Names to show beside ids, such as those of sites."""

    clock_source: ClockSource.ValueType = statement_pb2.CLOCK_SOURCE_NETWORK

    def __post_init__(self) -> None:
        _zone_of(self.zone)

    def draft(self, stream: bytes, body: Message, options: ActOptions) -> Draft:
        """Returns the statement that `body` would become in `stream`, 17 bytes, unsigned.

        Raises:
            ConfigurationError: the contract has no such body.
            FormRefusedError: the body holds what cannot be written in the wire form.
        """
        name = body.DESCRIPTOR.full_name
        row = BODIES.get(name)
        if row is None:
            raise ConfigurationError("the contract has no such body", body_type=name)
        default_meaning = _MEANINGS.get(
            row.short_name,
            statement_pb2.MEANING_APPROVED if row.is_authorisation else statement_pb2.MEANING_PERFORMED,
        )
        seen = self._seen_for(stream, body, is_authorisation=row.is_authorisation)
        meaning = options.get("meaning", statement_pb2.Meaning.ValueType(default_meaning))
        header = self._header(stream, options, meaning=meaning, seen=seen)
        header.body_type = name
        kind = "authorisation" if row.is_authorisation else "fact"
        return self._drafted(header, row.payload_type, body, kind, act=None)

    def draft_co_signature(
        self, stream: bytes, digest: bytes, meaning: Meaning.ValueType, options: SigningOptions, *, act: str
    ) -> Draft:
        """Returns the co-signature that joins the statement `digest`, 32 bytes, in `stream`; `act` names it."""
        own: dict[bytes, bytes] = {} if StreamKind(stream[0]) in _ASKS_NO_SEEN else {stream: digest}
        header = self._header(stream, options, meaning=meaning, seen=own)
        header.co_signature.statement_digest = digest
        return self._drafted(header, PayloadType.CO_SIGNATURE, None, "co-signature", act=f"{act} [{digest.hex()}]")

    def sign(self, draft: Draft, options: SigningOptions) -> SignedStatement:
        """Shows the draft, has it confirmed, and returns it signed.

        Raises:
            SigningDeclined: it was not confirmed; nothing was signed.
        """
        confirm = options.get("confirm", self.confirm)
        if confirm is not None and not confirm(draft.showing):
            raise SigningDeclined("the statement was not confirmed", act=draft.showing.act)
        envelope = sign_statement(draft.statement.payload, draft.payload_type, self.signers)
        return SignedStatement(
            envelope=envelope,
            openings=draft.statement.openings,
            statement_id=StatementId(draft.header.statement_id),
            digest=draft.digest,
            stream=StreamId(draft.header.stream),
            body_type=draft.header.body_type,
        )

    def _drafted(
        self,
        header: statement_pb2.Header,
        payload_type: PayloadType,
        body: Message | None,
        kind: str,
        *,
        act: str | None,
    ) -> Draft:
        statement = draft_statement(header, body, self.random_bytes(_SEED_BYTES))
        signer_name = f"{self.identity.name} [{self.identity.signer.hex()}]"
        showing = show_statement(header, body, signer_name=signer_name, kind=kind, names=self.names, act=act)
        return Draft(header, payload_type, statement, showing)

    def _header(
        self, stream: bytes, options: SigningOptions, *, meaning: Meaning.ValueType, seen: Mapping[bytes, bytes]
    ) -> statement_pb2.Header:
        identity = self.identity
        signed_at = options.get("signed_at") or self.clock()
        occurred_at = options.get("occurred_at", signed_at)
        clock_source = options.get("clock_source", self.clock_source)
        statement_id = options.get("statement_id") or new_statement_id(
            unix_micros(signed_at) // 1000, self.random_bytes
        )
        header = statement_pb2.Header(
            ledger_id=identity.ledger_id,
            statement_id=statement_id,
            stream=stream,
            seen=[
                statement_pb2.Seen(stream=other, statement_digest=digest)
                for other, digest in sorted(options.get("seen", seen).items())
            ],
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=unix_micros(occurred_at),
                offset_minutes=self._offset_minutes(occurred_at),
                zone=self.zone,
                clock_source=clock_source,
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=unix_micros(signed_at),
                offset_minutes=self._offset_minutes(signed_at),
                zone=self.zone,
                clock_source=clock_source,
            ),
            device=identity.device,
            device_counter=self.store.next_counter(identity.device),
            signer=statement_pb2.Signer(
                signer_id=identity.signer,
                key_ids=sorted(signer.key_id for signer in self.signers),
                role=options.get("role", identity.role),
                meaning=meaning,
                authentication=identity.authentication,
            ),
            schema_digest=schema_digest(),
            policy_digest=options.get("policy_digest", b""),
        )
        if "occurred_until" in options:
            header.occurred_at.end_unix_micros = unix_micros(options["occurred_until"])
        return header

    def _seen_for(self, stream: bytes, body: Message, *, is_authorisation: bool) -> dict[bytes, bytes]:
        if StreamKind(stream[0]) in _ASKS_NO_SEEN:
            return {}
        streams = {stream, *self.store.links(stream), *_streams_named(body)}
        if StreamKind(stream[0]) is StreamKind.CONSIGNMENT:
            # A consignment's statement must not show whose therapies travel in it, nor what was used in them.
            streams = {other for other in streams if StreamKind(other[0]) in _SEEN_FROM_CONSIGNMENTS}
        seen: dict[bytes, bytes] = {}
        for other in streams:
            read = self.store.last_read(other) if is_authorisation else None
            digest = read or self.store.last_known(other)
            if digest is not None:
                seen[other] = digest
        return seen

    def _offset_minutes(self, moment: datetime) -> int:
        offset = moment.astimezone(_zone_of(self.zone)).utcoffset()
        return 0 if offset is None else int(offset.total_seconds() // 60)


@lru_cache(maxsize=64)
def _zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as refusal:
        raise ConfigurationError("no such time zone is known here", zone=name) from refusal


def _streams_named(body: Message) -> Iterator[bytes]:
    """Yields every stream that a body names: its values of 17 bytes are stream ids and nothing else."""
    for field_descriptor, value in body.ListFields():
        for item in value if field_descriptor.is_repeated else (value,):
            if isinstance(item, Message):
                yield from _streams_named(item)
            elif isinstance(item, bytes) and len(item) == _STREAM_ID_BYTES:
                yield item
