"""Envelopes are DSSE as an independent implementation reads it, and nothing is believed because of a hint."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # not marked as exported

from cellcustody.ledger.errors import RefusedError
from cellcustody.ledger.statements.envelope import (
    ENVELOPE_BYTES_MAX,
    SIGNATURES_COUNT_MAX,
    EnvelopeSignature,
    PayloadType,
    encode_envelope,
    pae,
    parse_envelope,
    sign_envelope,
    verify_envelope,
)
from cellcustody.ledger.statements.errors import (
    EnvelopeMalformedError,
    KeyUnknownError,
    OversizeError,
    SignatureNotValidError,
    SignatureRepeatedError,
)
from cellcustody.ledger.statements.keys import Ed25519Signer, MlDsa65Signer, P256Signer

SEED = bytes(range(32))
ED25519 = Ed25519Signer(SEED)
P256 = P256Signer(SEED[::-1])
ML_DSA = MlDsa65Signer(SEED)
KEYS = {signer.key_id: signer.public_key for signer in (ED25519, P256, ML_DSA)}
PAYLOAD = b"accepted: 2 of 3"


def independent_key(keyid: str) -> SSlibKey:
    """Returns the Ed25519 key as securesystemslib holds it."""
    raw = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": raw.hex()})


def as_independent(raw: bytes) -> dsse.Envelope:
    """Returns our envelope as securesystemslib reads it from JSON."""
    envelope = parse_envelope(raw)
    return dsse.Envelope.from_dict(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type.value,
            "signatures": [
                {"keyid": signature.keyid, "sig": base64.b64encode(signature.sig).decode()}
                for signature in envelope.signatures
            ],
        }
    )


@given(st.binary(max_size=300), st.sampled_from(PayloadType) | st.text(max_size=20))
def test_the_signed_bytes_are_those_of_an_independent_dsse(payload: bytes, payload_type: PayloadType | str) -> None:
    name = payload_type.value if isinstance(payload_type, PayloadType) else payload_type
    assert pae(name, payload) == dsse.Envelope(payload, name, {}).pae()


def test_the_example_of_the_dsse_protocol() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_independent_dsse_verifies_our_envelope() -> None:
    key = independent_key(ED25519.key_id.hex())
    raw = sign_envelope(PAYLOAD, PayloadType.CUSTODY, [ED25519])
    assert list(as_independent(raw).verify([key], 1)) == [ED25519.key_id.hex()]


def test_we_verify_the_envelope_of_an_independent_dsse() -> None:
    key = independent_key(ED25519.key_id.hex())
    theirs = dsse.Envelope(PAYLOAD, PayloadType.CUSTODY.value, {})
    theirs.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(SEED), key))
    signatures = [
        EnvelopeSignature(bytes.fromhex(signature.signature), signature.keyid)
        for signature in theirs.signatures.values()
    ]
    envelope = parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, signatures))
    assert verify_envelope(envelope, KEYS.get) == (ED25519.key_id,)


def test_every_key_that_signed_is_told_in_ascending_order() -> None:
    raw = sign_envelope(PAYLOAD, PayloadType.POLICY, [P256, ML_DSA, ED25519])
    assert verify_envelope(parse_envelope(raw), KEYS.get) == tuple(sorted(KEYS))


def test_the_digest_is_that_of_the_signed_bytes_and_outlives_signing_again() -> None:
    first = parse_envelope(sign_envelope(PAYLOAD, PayloadType.CUSTODY, [P256]))
    again = parse_envelope(sign_envelope(PAYLOAD, PayloadType.CUSTODY, [P256]))
    assert first.raw != again.raw
    assert first.statement_digest == again.statement_digest
    assert first.statement_digest == hashlib.sha256(pae(PayloadType.CUSTODY.value, PAYLOAD)).digest()


def test_the_key_that_verified_counts_and_not_the_hint() -> None:
    """A hint may lead a directory to a key of another id; the id reported is that of the key."""
    sig = ED25519.sign(pae(PayloadType.CUSTODY.value, PAYLOAD))
    hint = bytes(32)
    envelope = parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, [EnvelopeSignature(sig, hint.hex())]))
    assert verify_envelope(envelope, {hint: ED25519.public_key}.get) == (ED25519.key_id,)


def test_a_hint_to_another_key_fails() -> None:
    sig = ED25519.sign(pae(PayloadType.CUSTODY.value, PAYLOAD))
    envelope = parse_envelope(
        encode_envelope(PAYLOAD, PayloadType.CUSTODY, [EnvelopeSignature(sig, P256.key_id.hex())])
    )
    with pytest.raises(SignatureNotValidError):
        verify_envelope(envelope, KEYS.get)


@pytest.mark.parametrize("keyid", ["", "zz", "00", ED25519.key_id.hex().upper(), "00" * 32])
def test_a_hint_that_leads_nowhere_is_an_unknown_key(keyid: str) -> None:
    sig = ED25519.sign(pae(PayloadType.CUSTODY.value, PAYLOAD))
    envelope = parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, [EnvelopeSignature(sig, keyid)]))
    with pytest.raises(KeyUnknownError):
        verify_envelope(envelope, KEYS.get)


def test_one_bad_signature_among_good_ones_fails() -> None:
    good = ED25519.sign(pae(PayloadType.CUSTODY.value, PAYLOAD))
    bad = P256.sign(b"something else")
    signatures = [EnvelopeSignature(good, ED25519.key_id.hex()), EnvelopeSignature(bad, P256.key_id.hex())]
    with pytest.raises(SignatureNotValidError):
        verify_envelope(parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, signatures)), KEYS.get)


def test_two_signatures_by_one_key_fail_though_both_verify() -> None:
    message = pae(PayloadType.CUSTODY.value, PAYLOAD)
    signatures = [EnvelopeSignature(P256.sign(message), P256.key_id.hex()) for _ in range(2)]
    with pytest.raises(SignatureRepeatedError):
        verify_envelope(parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, signatures)), KEYS.get)


def test_size_and_count_have_limits() -> None:
    one = [EnvelopeSignature(bytes(64), "")]
    overhead = len(encode_envelope(bytes(40_000), PayloadType.CUSTODY, one)) - 40_000
    largest = encode_envelope(bytes(ENVELOPE_BYTES_MAX - overhead), PayloadType.CUSTODY, one)
    assert len(parse_envelope(largest).raw) == ENVELOPE_BYTES_MAX
    with pytest.raises(OversizeError):
        parse_envelope(encode_envelope(bytes(ENVELOPE_BYTES_MAX - overhead + 1), PayloadType.CUSTODY, one))
    parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, one * SIGNATURES_COUNT_MAX))
    with pytest.raises(OversizeError):
        parse_envelope(encode_envelope(PAYLOAD, PayloadType.CUSTODY, one * (SIGNATURES_COUNT_MAX + 1)))


def test_an_empty_payload_or_signature_is_no_envelope() -> None:
    for raw in (
        encode_envelope(b"", PayloadType.CUSTODY, [EnvelopeSignature(bytes(64), "")]),
        encode_envelope(PAYLOAD, PayloadType.CUSTODY, [EnvelopeSignature(b"", "")]),
    ):
        with pytest.raises(EnvelopeMalformedError):
            parse_envelope(raw)


def test_every_bit_of_an_envelope_is_looked_at() -> None:
    """Any flipped bit ends in a refusal: of the form, of the hint, or of the signature."""
    raw = sign_envelope(PAYLOAD, PayloadType.CUSTODY, [ED25519])
    for bit in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RefusedError):
            verify_envelope(parse_envelope(bytes(altered)), KEYS.get)


def test_logged_kinds_are_told_from_the_others() -> None:
    not_logged = {payload_type.name for payload_type in PayloadType if not payload_type.is_logged}
    unlogged = {"KEY_POSSESSION", "READ_TOKEN", "READINESS_CERTIFICATE", "DOSSIER_MANIFEST", "VERIFICATION_REPORT"}
    assert not_logged == unlogged
