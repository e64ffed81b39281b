"""A statement goes the whole way from draft to reading, and each stage refuses before the next one looks."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cellcustody.ledger.errors import FormRefusedError, RefusedError, SignatureRefusedError
from cellcustody.ledger.statements import (
    Ed25519Signer,
    MlDsa65Signer,
    P256Signer,
    PayloadType,
    Signer,
    StatementDraft,
    StreamId,
    StreamKind,
    build_payload,
    commit,
    draft_statement,
    errors,
    new_statement_id,
    new_stream_id,
    open_body,
    pae,
    parse_envelope,
    parse_statement,
    read_statement,
    sign_envelope,
    sign_statement,
)
from cellcustody.ledger.statements.envelope import EnvelopeSignature, encode_envelope
from cellcustody.v1 import entry_pb2, statement_pb2

NURSE = Ed25519Signer(bytes(range(32)))
CARD = P256Signer(bytes(range(1, 33)))
HYBRID = MlDsa65Signer(bytes(range(2, 34)))
KEYS = {signer.key_id: signer.public_key for signer in (NURSE, CARD, HYBRID)}
THERAPY = new_stream_id(StreamKind.THERAPY, lambda n: bytes(range(1, n + 1)))
BODY = entry_pb2.Judgement(rule_set=1, findings=[entry_pb2.Finding(code="SEAL_BROKEN", leaves=[2])])


def header(*signers: Signer, stream: StreamId = THERAPY, co_signs: bytes = b"") -> statement_pb2.Header:
    """Returns a header that nothing is wrong with."""
    made = statement_pb2.Header(
        ledger_id=bytes(range(16)),
        statement_id=new_statement_id(1_767_261_600_000, os.urandom),
        stream=stream,
        body_type="" if co_signs else "cellcustody.v1.Judgement",
        occurred_at=statement_pb2.Occurrence(
            start_unix_micros=1_767_261_600_000_000,
            zone="UTC",
            clock_source=statement_pb2.CLOCK_SOURCE_DEVICE,
        ),
        signed_at=statement_pb2.ClockReading(
            unix_micros=1_767_261_600_000_000, zone="UTC", clock_source=statement_pb2.CLOCK_SOURCE_DEVICE
        ),
        device=bytes(range(16)),
        device_counter=1,
        signer=statement_pb2.Signer(
            signer_id=bytes(range(16)),
            key_ids=sorted(signer.key_id for signer in signers),
            role="courier_driver",
            meaning=statement_pb2.MEANING_ACCEPTED,
            authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN,
        ),
        schema_digest=bytes(range(32)),
    )
    if co_signs:
        made.co_signature.statement_digest = co_signs
    return made


def drafted(*signers: Signer) -> StatementDraft:
    return draft_statement(header(*signers), BODY, os.urandom(32))


@pytest.mark.parametrize("signers", [(NURSE,), (CARD,), (HYBRID,), (CARD, HYBRID), (NURSE, CARD, HYBRID)])
def test_a_statement_goes_the_whole_way(signers: tuple[Signer, ...]) -> None:
    draft = drafted(*signers)
    raw = sign_statement(draft.payload, PayloadType.CUSTODY, signers)
    statement = read_statement(raw, KEYS.get)
    assert statement.envelope.raw == raw
    assert statement.key_ids == tuple(sorted(signer.key_id for signer in signers))
    assert (statement.stream, statement.payload_type) == (THERAPY, PayloadType.CUSTODY)
    assert statement.joined_digest is None
    assert open_body(statement, draft.openings, entry_pb2.Judgement) == BODY
    assert parse_statement(raw) == statement


def test_a_second_person_joins_by_digest() -> None:
    """A co-signature has an empty body and names what it joins."""
    first = read_statement(sign_statement(drafted(NURSE).payload, PayloadType.CUSTODY, [NURSE]), KEYS.get)
    draft = draft_statement(header(CARD, co_signs=first.digest), None, b"")
    joined = read_statement(sign_statement(draft.payload, PayloadType.CO_SIGNATURE, [CARD]), KEYS.get)
    assert joined.joined_digest == first.digest
    assert joined.commitment.is_empty
    assert draft.openings == ()


def test_what_was_seen_is_read_back() -> None:
    draft_header = header(NURSE)
    draft_header.seen.add(stream=THERAPY, statement_digest=bytes(range(32)))
    draft = draft_statement(draft_header, BODY, os.urandom(32))
    statement = read_statement(sign_statement(draft.payload, PayloadType.CUSTODY, [NURSE]), KEYS.get)
    assert statement.seen == ((THERAPY, bytes(range(32))),)
    assert statement.statement_id == draft_header.statement_id


def test_a_signer_cannot_sign_for_keys_it_does_not_declare() -> None:
    draft = drafted(NURSE)
    for signers in ((CARD,), (NURSE, CARD)):
        with pytest.raises(errors.KeyIdsDisagreeError):
            sign_statement(draft.payload, PayloadType.CUSTODY, signers)


def test_a_signer_does_not_sign_what_a_ledger_would_refuse() -> None:
    wrong = header(NURSE)
    wrong.signer.ClearField("role")
    with pytest.raises(errors.HeaderInvalidError):
        sign_statement(draft_statement(wrong, BODY, os.urandom(32)).payload, PayloadType.CUSTODY, [NURSE])


def test_a_draft_is_of_the_body_that_its_header_names() -> None:
    with pytest.raises(ValueError, match="another body type"):
        draft_statement(header(NURSE), entry_pb2.Finding(code="A"), os.urandom(32))
    with pytest.raises(ValueError, match="another body type"):
        draft_statement(header(NURSE), None, os.urandom(32))


def test_text_that_is_not_normalised_is_not_signed() -> None:
    with pytest.raises(errors.WireFormError):
        draft_statement(
            header(NURSE), entry_pb2.Judgement(findings=[entry_pb2.Finding(code="u\u0308")]), os.urandom(32)
        )


def test_a_body_in_another_wire_form_is_refused_though_the_commitment_fits() -> None:
    """Who commits to a body with an unknown field is refused when it is opened."""
    commitment, openings = commit(b"\x08\x01\xf8\x07\x01", os.urandom(32))
    payload = build_payload(header(NURSE), commitment)
    statement = read_statement(sign_statement(payload, PayloadType.CUSTODY, [NURSE]), KEYS.get)
    with pytest.raises(errors.WireFormError):
        open_body(statement, openings, entry_pb2.Judgement)


def test_openings_of_another_statement_do_not_open_this_one() -> None:
    """Two statements of the same body have other salts."""
    one, other = drafted(NURSE), drafted(NURSE)
    statement = read_statement(sign_statement(one.payload, PayloadType.CUSTODY, [NURSE]), KEYS.get)
    with pytest.raises(errors.CommitmentMismatchError):
        open_body(statement, other.openings, entry_pb2.Judgement)
    with pytest.raises(errors.OpeningMissingError):
        open_body(statement, one.openings[:-1], entry_pb2.Judgement)


def unsigned(payload: bytes) -> bytes:
    return encode_envelope(payload, PayloadType.CUSTODY, [EnvelopeSignature(CARD.sign(b"else"), NURSE.key_id.hex())])


def broken_header() -> bytes:
    made = statement_pb2.Payload.FromString(drafted(NURSE).payload)
    made.header.stream = b""
    return made.SerializeToString(deterministic=True)


def undeclared_and_broken() -> bytes:
    made = statement_pb2.Payload.FromString(broken_header())
    del made.header.signer.key_ids[:]
    return made.SerializeToString(deterministic=True)


STAGES: dict[str, tuple[Callable[[], bytes], type[RefusedError]]] = {
    "size before form": (lambda: bytes(100_000), errors.OversizeError),
    "form before signature": (lambda: unsigned(b"junk") + b"\x00", errors.EnvelopeMalformedError),
    "signature before wire form": (lambda: unsigned(b"junk"), errors.SignatureNotValidError),
    "wire form before key ids": (
        lambda: sign_envelope(b"junk", PayloadType.CUSTODY, [NURSE]),
        errors.WireFormError,
    ),
    "key ids before header": (
        lambda: sign_envelope(undeclared_and_broken(), PayloadType.CUSTODY, [NURSE]),
        errors.KeyIdsDisagreeError,
    ),
    "header last": (
        lambda: sign_envelope(broken_header(), PayloadType.CUSTODY, [NURSE]),
        errors.HeaderInvalidError,
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_refuses_before_the_next_looks(name: str) -> None:
    made, expected = STAGES[name]
    with pytest.raises(expected):
        read_statement(made(), KEYS.get)


def test_every_declared_key_must_have_signed() -> None:
    """A signature stripped on the way, or one added by a stranger, is found; so is one moved to another payload."""
    payload = drafted(CARD, HYBRID).payload
    envelope = parse_envelope(sign_envelope(payload, PayloadType.CUSTODY, [CARD, HYBRID]))
    for kept in envelope.signatures:
        with pytest.raises(errors.KeyIdsDisagreeError):
            read_statement(encode_envelope(payload, PayloadType.CUSTODY, [kept]), KEYS.get)
    added = EnvelopeSignature(NURSE.sign(pae(PayloadType.CUSTODY.value, payload)), NURSE.key_id.hex())
    with pytest.raises(errors.KeyIdsDisagreeError):
        read_statement(encode_envelope(payload, PayloadType.CUSTODY, [*envelope.signatures, added]), KEYS.get)


def test_every_bit_of_a_statement_is_looked_at() -> None:
    """Any flipped bit of the envelope ends in a refusal."""
    raw = sign_statement(drafted(NURSE).payload, PayloadType.CUSTODY, [NURSE])
    for bit in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RefusedError):
            read_statement(bytes(altered), KEYS.get)


def test_every_refusal_has_its_own_reason_on_its_branch() -> None:
    """Reasons are documented and sent over the wire: none is used twice, and each hangs on form or signature."""
    refusals = [
        found
        for name in errors.__all__
        if isinstance(found := getattr(errors, name), type) and issubclass(found, RefusedError)
    ]
    assert len({refusal.reason for refusal in refusals}) == len(refusals) == 13
    assert all(issubclass(refusal, FormRefusedError | SignatureRefusedError) for refusal in refusals)
