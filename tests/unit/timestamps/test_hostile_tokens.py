"""Tokens that do not show what they claim, each named by what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trial_authority import AT, SHA512, STAMPED, authority, believed, draft, token

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.timestamps import (
    AuthorityUnknownError,
    TimeAuthority,
    TimeResponseError,
    TokenInvalidError,
    TokenMalformedError,
    accept_response,
    build_request,
    parse_token,
    verify_token,
)
from cellcustody.ledger.timestamps.der import SEQUENCE, encode, encode_integer
from cellcustody.ledger.timestamps.issuing import answer_request, sign_token

SHA1 = "1.3.14.3.2.26"


@pytest.mark.parametrize("kind", ["p256", "rsa", "ed25519"])
def test_an_honest_token_is_taken(kind: str) -> None:
    keys = authority(kind)
    verified = verify_token(token(keys), STAMPED, (believed(keys),))
    assert verified.gen_time == AT
    assert verified.latest - verified.earliest == timedelta(seconds=2)
    assert verified.valid_until == keys.certificate.not_valid_after_utc
    assert verified.path == (keys.certificate_der, keys.root_der)


def test_a_token_without_certificates_needs_them_from_elsewhere() -> None:
    keys = authority()
    raw = token(keys, with_certificates=False)
    with pytest.raises(AuthorityUnknownError):
        verify_token(raw, STAMPED, (believed(keys),))
    assert verify_token(raw, STAMPED, (believed(keys),), (keys.certificate_der,)).authority == "tsa.example"


def test_the_signing_certificate_itself_may_be_believed() -> None:
    keys = authority()
    verified = verify_token(token(keys), STAMPED, (TimeAuthority("tsa.example", (keys.certificate_der,)),))
    assert verified.path == (keys.certificate_der,)
    assert "sha-256" not in verified.algorithms  # Nothing rests on the signature of its issuer.


def test_a_wrong_imprint() -> None:
    with pytest.raises(TokenInvalidError, match="something else"):
        verify_token(token(), b"something else", (believed(authority()),))


def test_another_authority() -> None:
    with pytest.raises(AuthorityUnknownError):
        verify_token(token(authority("rsa")), STAMPED, (believed(authority()),))


def test_nobody_is_believed_without_an_anchor() -> None:
    with pytest.raises(AuthorityUnknownError):
        verify_token(token(), STAMPED, ())


def test_expired_when_it_signed() -> None:
    keys = authority(days=30)
    with pytest.raises(TokenInvalidError, match="not valid at the time"):
        verify_token(token(keys), STAMPED, (believed(keys),))


@pytest.mark.parametrize(
    ("usage", "is_critical"),
    [
        ((ExtendedKeyUsageOID.TIME_STAMPING,), False),
        ((ExtendedKeyUsageOID.CODE_SIGNING,), True),
        ((ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING), True),
        ((), True),
    ],
    ids=["not-critical", "code-signing", "time-stamps-and-more", "no-usage"],
)
def test_a_certificate_for_something_else(usage: tuple[x509.ObjectIdentifier, ...], is_critical: bool) -> None:
    keys = authority(usage=usage, is_usage_critical=is_critical)
    with pytest.raises(TokenInvalidError, match="time-stamps"):
        verify_token(token(keys), STAMPED, (believed(keys),))


def test_signed_by_the_root_itself() -> None:
    """A CA's key must not sign time-stamps, though it is the very key that is believed."""
    keys = authority()
    raw = token(keys, named_certificate=keys.root_der)
    with pytest.raises(TokenInvalidError):
        verify_token(raw, STAMPED, (believed(keys),))


def test_an_imprint_of_sha1() -> None:
    raw = token(imprint_oid=SHA1, imprint=hashlib.sha1(STAMPED, usedforsecurity=False).digest())
    with pytest.raises(TokenMalformedError, match="hash algorithm is not taken"):
        verify_token(raw, STAMPED, (believed(authority()),))


def test_an_imprint_shorter_than_its_hash() -> None:
    with pytest.raises(TokenMalformedError, match="as long as its hash"):
        verify_token(token(imprint=SHA512.digest(STAMPED)[:32]), STAMPED, (believed(authority()),))


def test_attributes_that_name_another_certificate() -> None:
    keys = authority()
    with pytest.raises(AuthorityUnknownError):
        verify_token(token(keys, named_certificate=b"another"), STAMPED, (believed(keys),))


def test_attributes_of_another_content() -> None:
    keys = authority()
    with pytest.raises(TokenMalformedError, match="or its type"):
        verify_token(token(keys, signed_type="1.2.840.113549.1.7.1"), STAMPED, (believed(keys),))
    with pytest.raises(TokenInvalidError, match="digest"):
        verify_token(token(keys, content_digest=bytes(64)), STAMPED, (believed(keys),))


def test_another_policy() -> None:
    keys = authority()
    with pytest.raises(TokenInvalidError, match="policy"):
        verify_token(token(keys), STAMPED, (believed(keys, "1.2.3.4"),))
    assert verify_token(token(keys, policy="1.2.3.4"), STAMPED, (believed(keys, "1.2.3.4"),)).policy == "1.2.3.4"


def test_an_hour_of_accuracy() -> None:
    keys = authority()
    with pytest.raises(TokenInvalidError, match="inexact"):
        verify_token(token(keys, accuracy_seconds=3_600), STAMPED, (believed(keys),))
    assert verify_token(token(keys, accuracy_seconds=None), STAMPED, (believed(keys),)).latest == AT + timedelta(
        seconds=1
    )


def test_a_time_in_whole_seconds_is_no_more_exact_than_that() -> None:
    keys = authority()
    whole = AT.replace(microsecond=0)
    verified = verify_token(token(keys, gen_time=whole, accuracy_seconds=0), STAMPED, (believed(keys),))
    assert verified.latest - whole == whole - verified.earliest == timedelta(seconds=1)
    exact = verify_token(token(keys, accuracy_seconds=0), STAMPED, (believed(keys),))
    assert exact.latest == exact.earliest == AT


def test_a_short_rsa_key() -> None:
    keys = authority("rsa-short")
    with pytest.raises(TokenInvalidError, match="too short"):
        verify_token(token(keys), STAMPED, (believed(keys),))


def test_trailing_bytes() -> None:
    with pytest.raises(TokenMalformedError):
        verify_token(token() + b"\0", STAMPED, (believed(authority()),))


def test_an_indefinite_length() -> None:
    raw = token()
    assert raw[0] == SEQUENCE and raw[1] == 0x82
    with pytest.raises(TokenMalformedError, match="indefinite"):
        verify_token(bytes((SEQUENCE, 0x80)) + raw[4:] + b"\0\0", STAMPED, (believed(authority()),))


def test_a_length_in_more_bytes_than_needed() -> None:
    raw = token()
    with pytest.raises(TokenMalformedError, match="fewest"):
        verify_token(bytes((SEQUENCE, 0x83, 0)) + raw[2:], STAMPED, (believed(authority()),))


def test_cut_off_anywhere() -> None:
    raw = token()
    for end in range(0, len(raw), 7):
        with pytest.raises(TokenMalformedError):
            parse_token(raw[:end])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_one_bit_turned_is_never_taken_for_the_same(data: st.DataObject) -> None:
    """A turned bit is refused, or is in what nothing rests on: what is said stays the same."""
    keys = authority("rsa")
    raw = _honest()
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    turned = bytearray(raw)
    turned[at // 8] ^= 1 << at % 8
    try:
        verified = verify_token(bytes(turned), STAMPED, (believed(keys),))
    except CellcustodyError:
        return
    honest = verify_token(raw, STAMPED, (believed(keys),))
    assert (verified.gen_time, verified.policy, verified.nonce) == (honest.gen_time, honest.policy, honest.nonce)
    assert verified.path == honest.path


_HONEST: list[bytes] = []


def _honest() -> bytes:
    if not _HONEST:
        _HONEST.append(token(authority("rsa")))
    return _HONEST[0]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_malformed(raw: bytes) -> None:
    with pytest.raises(TokenMalformedError):
        parse_token(raw)


# What is asked for on receipt. -------------------------------------------------------------------------------------


def test_an_answer_to_another_request() -> None:
    keys = authority()
    one, other = (build_request(STAMPED, SHA512, os.urandom(8)) for _ in range(2))
    answer = answer_request(one.der, keys, serial=1, now=AT)
    assert accept_response(answer, one, believed(keys), (), AT).verified.nonce == one.nonce
    with pytest.raises(TimeResponseError, match="another request"):
        accept_response(answer, other, believed(keys), (), AT)


def test_an_answer_without_the_nonce() -> None:
    keys = authority()
    request = build_request(STAMPED, SHA512, os.urandom(8))
    answer = encode(SEQUENCE, encode(SEQUENCE, encode_integer(0)), sign_token(draft(nonce=None), keys))
    with pytest.raises(TimeResponseError, match="another request"):
        accept_response(answer, request, believed(keys), (), AT)


def test_an_answer_by_a_clock_far_off() -> None:
    keys = authority()
    request = build_request(STAMPED, SHA512, os.urandom(8))
    answer = answer_request(request.der, keys, serial=1, now=AT)
    with pytest.raises(TimeResponseError, match="far from ours"):
        accept_response(answer, request, believed(keys), (), AT + timedelta(minutes=6))


def test_a_refusal_is_told_in_words() -> None:
    answer = answer_request(b"\x30\x00", authority(), serial=1, now=AT)
    request = build_request(STAMPED, SHA512, os.urandom(8))
    with pytest.raises(TimeResponseError, match="refuses"):
        accept_response(answer, request, believed(authority()), (), AT)


def test_a_token_with_another_hash_than_asked_for() -> None:
    keys = authority()
    request = build_request(STAMPED, SHA512, os.urandom(8))
    weaker = draft(imprint_oid="2.16.840.1.101.3.4.2.1", imprint=hashlib.sha256(STAMPED).digest(), nonce=request.nonce)
    answer = encode(SEQUENCE, encode(SEQUENCE, encode_integer(0)), sign_token(weaker, keys))
    with pytest.raises(TimeResponseError, match="another hash"):
        accept_response(answer, request, believed(keys), (), AT)
