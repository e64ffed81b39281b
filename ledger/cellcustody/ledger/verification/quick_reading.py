"""Read statements of the common shape in fewer steps; where one is not of it, the exact reading decides.

The rules are those of `statements.read_statement`, read a second time for one signature by an Ed25519 key that the
registry knows by the hint's exact text. What is accepted here is accepted there:

* Envelope and payload are equal to their own deterministic serialisation without unknown fields, which is the exact
  wire form but for text and enums. All text of a header is held to printable ASCII by its own check, its enums are
  looked up here; the payload type is one of the table, and the hint one of the registry's.
* The signature is checked over the exact bytes, under the strict profile, before anything in the payload is believed.

A statement that is not accepted here is read again by the exact rules, which say what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import (
    Commitment,
    Digest,
    Envelope,
    EnvelopeSignature,
    KeyAlgorithm,
    ParsedStatement,
    PayloadType,
    PublicKey,
    pae,
    verify,
)
from cellcustody.ledger.statements.envelope import ENVELOPE_BYTES_MAX
from cellcustody.ledger.statements.headers import check_header
from cellcustody.v1 import envelope_pb2, statement_pb2

__all__ = ["read_quickly"]

_LOGGED: Final = {kind.value: kind for kind in PayloadType if kind.is_logged}
_MEANINGS: Final = frozenset(statement_pb2.Meaning.values())
_WAYS: Final = frozenset(statement_pb2.AuthenticationMethod.values())
_CLOCKS: Final = frozenset(statement_pb2.ClockSource.values())


def read_quickly(raw: bytes, keys: Mapping[str, PublicKey]) -> ParsedStatement | None:
    """Returns the statement in envelope bytes, verified, or None where the exact reading is to decide.

    `keys` has every key that is known, by its id in lower-case hexadecimal.
    """
    # (1): The envelope, and a key that this reading knows.
    if len(raw) > ENVELOPE_BYTES_MAX:
        return None
    try:
        message = envelope_pb2.Envelope.FromString(raw)
    except DecodeError:
        return None
    message.DiscardUnknownFields()
    if len(message.signatures) != 1 or message.SerializeToString(deterministic=True) != raw:
        return None
    signature = message.signatures[0]
    key = keys.get(signature.keyid)
    kind = _LOGGED.get(message.payload_type)
    payload_bytes = message.payload
    if key is None or kind is None or not payload_bytes or key.algorithm is not KeyAlgorithm.ED25519:
        return None

    # (2): The signature covers these very bytes. Nothing in the payload is believed before this step.
    signed_bytes = pae(message.payload_type, payload_bytes)
    try:
        verify(key, signature.sig, signed_bytes)
    except CellcustodyError:
        return None

    # (3): The payload, the header, the commitment.
    try:
        payload = statement_pb2.Payload.FromString(payload_bytes)
    except (DecodeError, UnicodeDecodeError):
        return None
    payload.DiscardUnknownFields()
    if payload.SerializeToString(deterministic=True) != payload_bytes:
        return None
    header = payload.header
    signer = header.signer
    if (
        list(signer.key_ids) != [key.key_id]
        or signer.meaning not in _MEANINGS
        or signer.authentication not in _WAYS
        or header.occurred_at.clock_source not in _CLOCKS
        or header.signed_at.clock_source not in _CLOCKS
    ):
        return None
    try:
        check_header(header, kind)
        commitment = Commitment(payload.body_root, tuple(payload.body_fields))
    except CellcustodyError:
        return None
    if kind is PayloadType.CO_SIGNATURE and not commitment.is_empty:
        return None
    envelope = Envelope(
        raw,
        payload_bytes,
        kind,
        (EnvelopeSignature(signature.sig, signature.keyid),),
        signed_bytes,
        Digest(sha256(signed_bytes).digest()),
    )
    return ParsedStatement(envelope, header, commitment, (key.key_id,))
