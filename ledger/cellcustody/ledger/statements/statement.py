"""Build statements and read them, stage by stage, believing nothing before its signature has verified.

The stages of reading, in order; the first that fails ends it with an error that says which:

1. Size and envelope form.
2. Every signature, over the exact bytes; a hint only helps to find the key.
3. The exact wire form of the payload.
4. The header declares exactly the keys that verified.
5. The header says nothing that no header may say (`headers`), and the commitment is well formed.
6. Where openings are given: they make the signed root, all together, and are the exact wire form of the body.

Whether the keys were the signer's at that position, and whether the act may be done, is judged later and elsewhere.
This module reads no clock, no network and no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from cellcustody.ledger.statements.commitment import EMPTY_COMMITMENT, Commitment, Opening, commit, verify_openings
from cellcustody.ledger.statements.envelope import (
    Envelope,
    KeyLookup,
    PayloadType,
    parse_envelope,
    parse_recorded_envelope,
    sign_envelope,
    verify_envelope,
)
from cellcustody.ledger.statements.errors import (
    CommitmentMalformedError,
    KeyIdsDisagreeError,
    PayloadTypeUnknownError,
    WireFormError,
    WireRule,
)
from cellcustody.ledger.statements.headers import check_header
from cellcustody.ledger.statements.ids import Digest, KeyId, StatementId, StreamId
from cellcustody.ledger.statements.keys import Signer
from cellcustody.ledger.statements.wireform import check_wire_form, parse_wire_form
from cellcustody.ledger.values import value
from cellcustody.v1 import statement_pb2

__all__ = [
    "ParsedStatement",
    "StatementDraft",
    "build_payload",
    "draft_statement",
    "open_body",
    "parse_recorded_statement",
    "parse_statement",
    "read_statement",
    "sign_statement",
]

MessageT = TypeVar("MessageT", bound=Message)


@value(frozen=True, slots=True)
class ParsedStatement:
    """A statement whose form is right; `read_statement` gives only those whose signatures have verified too."""

    envelope: Envelope
    header: statement_pb2.Header
    """As signed. Not to be changed: it is shared by whoever reads this statement."""

    commitment: Commitment
    key_ids: tuple[KeyId, ...]
    """The keys that the header declares, strictly ascending; after `read_statement`, the keys that verified."""

    statement_id: StatementId
    """The UUIDv7 that the client drew."""

    stream: StreamId
    """The one stream that this statement is filed in."""

    seen: tuple[tuple[StreamId, Digest], ...]
    """The last statement of each stream that the signer had, sorted by stream."""

    joined_digest: Digest | None
    """The statement that this co-signature joins, or None for every other statement."""

    @property
    def digest(self) -> Digest:
        """The statement digest: SHA-256 of the pre-authentication encoding."""
        return self.envelope.statement_digest

    @property
    def payload_type(self) -> PayloadType:
        """What kind of statement this is."""
        return self.envelope.payload_type


@dataclass(frozen=True, slots=True)
class StatementDraft:
    """What a signer is about to sign, and the openings that travel beside it."""

    payload: bytes
    openings: tuple[Opening, ...]


def draft_statement(header: statement_pb2.Header, body: Message | None, seed: bytes) -> StatementDraft:
    """Returns the payload that commits to `body`, and its openings; a co-signature has no body.

    `seed` is 32 random bytes drawn for this statement alone; the caller destroys it afterwards.

    Raises:
        WireFormError: header or body hold what cannot be written in the wire form, such as text that is not in NFC.
        OversizeError: the openings are too large.
        ValueError: the header names another body type.
    """
    if header.body_type != ("" if body is None else body.DESCRIPTOR.full_name):
        raise ValueError("the header names another body type")
    if body is None:
        return StatementDraft(build_payload(header, EMPTY_COMMITMENT), ())
    body_bytes = body.SerializeToString(deterministic=True)
    check_wire_form(type(body), body_bytes)
    commitment, openings = commit(body_bytes, seed)
    return StatementDraft(build_payload(header, commitment), openings)


def build_payload(header: statement_pb2.Header, commitment: Commitment) -> bytes:
    """Returns the payload bytes to be signed, in the exact wire form.

    Raises:
        WireFormError: the header holds what cannot be written in the wire form, such as text that is not in NFC.
    """
    payload = statement_pb2.Payload(
        header=header, body_root=commitment.root, body_fields=commitment.field_numbers
    ).SerializeToString(deterministic=True)
    check_wire_form(statement_pb2.Payload, payload)
    return payload


def sign_statement(payload: bytes, payload_type: PayloadType, signers: Sequence[Signer]) -> bytes:
    """Returns the envelope bytes of a statement, signed once by each key that its header declares.

    Nothing leaves this function that `read_statement` would refuse.

    Raises:
        KeyIdsDisagreeError: the signers' keys are not exactly those that the header declares.
        FormRefusedError: the payload is not one that a ledger takes; the leaf class says why.
    """
    raw = sign_envelope(payload, payload_type, signers)
    statement = parse_statement(raw)
    _check_key_ids(statement.key_ids, tuple(sorted(signer.key_id for signer in signers)))
    return raw


def read_statement(raw: bytes, key_lookup: KeyLookup) -> ParsedStatement:
    """Returns the statement in envelope bytes `raw`, or raises saying what is wrong.

    Raises:
        FormRefusedError: size, envelope, wire form, header or commitment; the leaf class says which.
        SignatureRefusedError: a key is unknown, a signature does not verify, or the header declares other keys.
    """
    # (1): Size and envelope form.
    envelope = _parse_logged_envelope(raw)

    # (2): The signatures cover these very bytes. Nothing in them is believed before this step.
    verified = verify_envelope(envelope, key_lookup)

    # (3): One exact wire form, so that what was signed can be said in one way only.
    payload = parse_wire_form(statement_pb2.Payload, envelope.payload)

    # (4): The keys that verified are those that the signer declared: none stripped, none added.
    _check_key_ids(_declared_key_ids(payload), verified)

    # (5): The header makes sense, and the commitment is one.
    return _checked_statement(envelope, payload)


def parse_statement(raw: bytes) -> ParsedStatement:
    """Returns the statement in envelope bytes whose signatures were verified before, such as those of an entry.

    Verifies no signature; whatever comes from outside goes through `read_statement`.

    Raises:
        FormRefusedError: size, envelope, wire form, header or commitment; the leaf class says which.
    """
    envelope = _parse_logged_envelope(raw)
    return _checked_statement(envelope, parse_wire_form(statement_pb2.Payload, envelope.payload))


def parse_recorded_statement(raw: bytes) -> ParsedStatement:
    """Returns the statement in envelope bytes out of this ledger's own store; a third of the work of `parse_statement`.

    Wire form and header were held to the rules before the statement was recorded, so they are not again. Whatever
    comes from anywhere else, a file or another ledger, goes through `read_statement` or `parse_statement`.

    Raises:
        FormRefusedError: the bytes are no statement.
    """
    envelope = parse_recorded_envelope(raw)
    try:
        payload = statement_pb2.Payload.FromString(envelope.payload)
    except DecodeError as defect:
        raise WireFormError("a payload does not parse", rule=WireRule.WIRE_TYPE, offset=0) from defect
    commitment = Commitment(payload.body_root, tuple(payload.body_fields))
    return _parsed(envelope, payload, commitment)


def open_body(statement: ParsedStatement, openings: Sequence[Opening], message_class: type[MessageT]) -> MessageT:
    """Returns the body after all its openings have been held to the commitment and to the wire form.

    `message_class` is the one that the header's body type names; giving another is a programming error.

    Raises:
        FormRefusedError: an opening is missing, invalid, or does not make the root, or the body's form is wrong.
        ValueError: the header names another body type.
    """
    if message_class.DESCRIPTOR.full_name != statement.header.body_type:
        raise ValueError("the header names another body type")
    return parse_wire_form(message_class, verify_openings(statement.commitment, openings))


def _parse_logged_envelope(raw: bytes) -> Envelope:
    envelope = parse_envelope(raw)
    if not envelope.payload_type.is_logged:
        raise PayloadTypeUnknownError("no statement has this payload type", payload_type=envelope.payload_type.value)
    return envelope


def _checked_statement(envelope: Envelope, payload: statement_pb2.Payload) -> ParsedStatement:
    check_header(payload.header, envelope.payload_type)
    commitment = Commitment(payload.body_root, tuple(payload.body_fields))
    if envelope.payload_type is PayloadType.CO_SIGNATURE and not commitment.is_empty:
        raise CommitmentMalformedError("a co-signature commits to no body", records=len(commitment.field_numbers))
    return _parsed(envelope, payload, commitment)


def _parsed(envelope: Envelope, payload: statement_pb2.Payload, commitment: Commitment) -> ParsedStatement:
    """Returns the statement with what of its header is asked for again and again, read once."""
    header = payload.header
    return ParsedStatement(
        envelope,
        header,
        commitment,
        _declared_key_ids(payload),
        StatementId(header.statement_id),
        StreamId(header.stream),
        tuple([(StreamId(seen.stream), Digest(seen.statement_digest)) for seen in header.seen]),
        Digest(header.co_signature.statement_digest) if header.HasField("co_signature") else None,
    )


def _declared_key_ids(payload: statement_pb2.Payload) -> tuple[KeyId, ...]:
    return tuple(KeyId(key_id) for key_id in payload.header.signer.key_ids)


def _check_key_ids(declared: tuple[KeyId, ...], verified: tuple[KeyId, ...]) -> None:
    if declared != verified:
        raise KeyIdsDisagreeError(
            "the header declares other keys than those that signed",
            declared=" ".join(key_id.hex() for key_id in declared),
            verified=" ".join(key_id.hex() for key_id in verified),
        )
