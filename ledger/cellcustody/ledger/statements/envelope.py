"""Read, verify and write DSSE envelopes: exact payload bytes, their type, and signatures over both.

The rules:

* The bytes are the exact wire form of `cellcustody.v1.Envelope`, at most `ENVELOPE_BYTES_MAX` long if it is logged.
* The payload type is one of the format's; the payload is not empty; there are one to four signatures, none empty.
* What is signed is the pre-authentication encoding (PAE) of DSSE v1 over payload type and payload.
* The statement digest is SHA-256 of that encoding, so signing again changes no digest.
* Every signature must verify. `keyid` is a hint to find the key and nothing else: what counts is the key that verified.

Bytes received are verified, hashed, stored and served as they came; nothing is serialised again to verify.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.statements.errors import (
    EnvelopeMalformedError,
    IdMalformedError,
    KeyUnknownError,
    OversizeError,
    PayloadTypeUnknownError,
    SignatureNotValidError,
    SignatureRepeatedError,
    WireFormError,
)
from cellcustody.ledger.statements.ids import Digest, KeyId, key_id_from_text
from cellcustody.ledger.statements.keys import PublicKey, Signer
from cellcustody.ledger.statements.signatures import SignatureInvalidError, verify
from cellcustody.ledger.statements.wireform import parse_wire_form
from cellcustody.ledger.values import value
from cellcustody.v1 import envelope_pb2

__all__ = [
    "ENVELOPE_BYTES_MAX",
    "SIGNATURES_COUNT_MAX",
    "Envelope",
    "EnvelopeSignature",
    "KeyLookup",
    "PayloadType",
    "encode_envelope",
    "pae",
    "parse_envelope",
    "parse_recorded_envelope",
    "sign_envelope",
    "verify_envelope",
]

ENVELOPE_BYTES_MAX: Final = 49_152
"""An entry is at most 65,535 bytes; this leaves 16 KiB of it for the ledger's judgement."""

SIGNATURES_COUNT_MAX: Final = 4
"""A signer holds one key, or two for a hybrid; room for a change of algorithms, and a bound on work per envelope."""

KeyLookup = Callable[[KeyId], PublicKey | None]
"""Finds a public key by the hint in an envelope; `dict.get` is one."""


class PayloadType(Enum):
    """Every kind of payload that any key of a ledger signs."""

    CUSTODY = "application/vnd.cellcustody.custody.v1+protobuf"
    CO_SIGNATURE = "application/vnd.cellcustody.co-signature.v1+protobuf"
    REGISTRY = "application/vnd.cellcustody.registry.v1+protobuf"
    POLICY = "application/vnd.cellcustody.policy.v1+protobuf"
    SCHEMA = "application/vnd.cellcustody.schema.v1+protobuf"
    JUDGEMENT = "application/vnd.cellcustody.judgement.v1+protobuf"
    HEAD_MAP = "application/vnd.cellcustody.head-map.v1+protobuf"
    ERASURE = "application/vnd.cellcustody.erasure.v1+protobuf"
    EXPORT = "application/vnd.cellcustody.export.v1+protobuf"
    TIME_EVIDENCE = "application/vnd.cellcustody.time-evidence.v1+protobuf"
    KEY_POSSESSION = "application/vnd.cellcustody.key-possession.v1+protobuf"
    READ_TOKEN = "application/vnd.cellcustody.read-token.v1+protobuf"
    READINESS_CERTIFICATE = "application/vnd.cellcustody.readiness-certificate.v1+protobuf"
    DOSSIER_MANIFEST = "application/vnd.cellcustody.dossier-manifest.v1+protobuf"
    VERIFICATION_REPORT = "application/vnd.cellcustody.verification-report.v1+protobuf"

    @property
    def is_logged(self) -> bool:
        """Tells whether an envelope of this type is a statement, which the log records."""
        return self._value_ not in _NOT_LOGGED


_NOT_LOGGED: Final = frozenset(
    {
        PayloadType.KEY_POSSESSION.value,
        PayloadType.READ_TOKEN.value,
        PayloadType.READINESS_CERTIFICATE.value,
        PayloadType.DOSSIER_MANIFEST.value,
        PayloadType.VERIFICATION_REPORT.value,
    }
)
_BY_NAME: Final = {payload_type.value: payload_type for payload_type in PayloadType}


@value(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope; `keyid` is the hint as it stands there, possibly empty."""

    sig: bytes
    keyid: str


@value(frozen=True, slots=True)
class Envelope:
    """A parsed envelope and the exact bytes it was parsed from. Nothing in it is believed until it is verified."""

    raw: bytes
    payload: bytes
    payload_type: PayloadType
    signatures: tuple[EnvelopeSignature, ...]
    signed_bytes: bytes
    """The pre-authentication encoding that the signatures cover."""

    statement_digest: Digest
    """SHA-256 of `signed_bytes`."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Returns DSSE's pre-authentication encoding (version 1) of a payload type and a payload."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def parse_envelope(raw: bytes, *, bytes_max: int = ENVELOPE_BYTES_MAX) -> Envelope:
    """Returns the envelope that `raw` is the exact wire form of. Verifies no signature.

    `bytes_max` is the limit of what is never in a log, and may be larger than an entry.

    Raises:
        OversizeError: it has more than `bytes_max` bytes or too many signatures.
        EnvelopeMalformedError: it is not in the exact wire form, or lacks a part.
        PayloadTypeUnknownError: the payload type is none of the format's.
    """
    if len(raw) > bytes_max:
        raise OversizeError("an envelope is too large", length=len(raw), limit=bytes_max)
    try:
        message = parse_wire_form(envelope_pb2.Envelope, raw)
    except WireFormError as defect:
        raise EnvelopeMalformedError(
            "an envelope is not in the exact wire form", rule=defect.rule, offset=defect.offset
        ) from defect
    return _checked_envelope(raw, message)


def parse_recorded_envelope(raw: bytes) -> Envelope:
    """Returns the envelope in bytes that this ledger recorded, whose wire form was held to the rules when they came.

    Raises:
        EnvelopeMalformedError, OversizeError, PayloadTypeUnknownError: it is no envelope.
    """
    try:
        message = envelope_pb2.Envelope.FromString(raw)
    except DecodeError as defect:
        raise EnvelopeMalformedError("bytes are no envelope", length=len(raw)) from defect
    return _checked_envelope(raw, message)


def _checked_envelope(raw: bytes, message: envelope_pb2.Envelope) -> Envelope:
    payload = message.payload
    if not payload:
        raise EnvelopeMalformedError("an envelope has no payload")
    signatures = tuple(EnvelopeSignature(signature.sig, signature.keyid) for signature in message.signatures)
    if not signatures or not all(signature.sig for signature in signatures):
        raise EnvelopeMalformedError("an envelope has no signature, or an empty one")
    if len(signatures) > SIGNATURES_COUNT_MAX:
        raise OversizeError("an envelope has too many signatures", count=len(signatures), limit=SIGNATURES_COUNT_MAX)
    name = message.payload_type
    payload_type = _BY_NAME.get(name)
    if payload_type is None:
        raise PayloadTypeUnknownError("a payload type is not known", payload_type=name)
    signed_bytes = pae(name, payload)
    digest = Digest(hashlib.sha256(signed_bytes).digest())
    return Envelope(raw, payload, payload_type, signatures, signed_bytes, digest)


def encode_envelope(payload: bytes, payload_type: PayloadType, signatures: Sequence[EnvelopeSignature]) -> bytes:
    """Returns the wire form of an envelope of these parts."""
    message = envelope_pb2.Envelope(
        payload=payload,
        payload_type=payload_type.value,
        signatures=[envelope_pb2.Signature(sig=signature.sig, keyid=signature.keyid) for signature in signatures],
    )
    return message.SerializeToString(deterministic=True)


def sign_envelope(payload: bytes, payload_type: PayloadType, signers: Sequence[Signer]) -> bytes:
    """Returns an envelope signed once by each signer, in ascending order of key id."""
    message = pae(payload_type.value, payload)
    ordered = sorted(signers, key=lambda signer: signer.key_id)
    signatures = [EnvelopeSignature(signer.sign(message), signer.key_id.hex()) for signer in ordered]
    return encode_envelope(payload, payload_type, signatures)


def verify_envelope(envelope: Envelope, key_lookup: KeyLookup) -> tuple[KeyId, ...]:
    """Returns the ids of the keys that signed, ascending, after every signature has verified.

    Raises:
        KeyUnknownError: a hint is absent, malformed, or leads to no key.
        SignatureNotValidError: a signature does not verify over the exact bytes.
        SignatureRepeatedError: one key signed twice.
    """
    verified: list[KeyId] = []
    for signature in envelope.signatures:
        key = _key_of(signature, key_lookup)
        try:
            verify(key, signature.sig, envelope.signed_bytes)
        except SignatureInvalidError as refusal:
            raise SignatureNotValidError(refusal.message, key_id=key.key_id) from refusal
        if key.key_id in verified:
            raise SignatureRepeatedError("a key signed twice", key_id=key.key_id)
        verified.append(key.key_id)
    return tuple(sorted(verified))


def _key_of(signature: EnvelopeSignature, key_lookup: KeyLookup) -> PublicKey:
    try:
        key = key_lookup(key_id_from_text(signature.keyid))
    except IdMalformedError as refusal:
        raise KeyUnknownError("a hint is no key id", keyid=signature.keyid) from refusal
    if key is None:
        raise KeyUnknownError("a hint leads to no known key", keyid=signature.keyid)
    return key
