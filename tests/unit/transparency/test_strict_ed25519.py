"""The strict Ed25519 profile against its attacks, Wycheproof and the vectors of `cryptography`."""

import json
from collections.abc import Iterator
from hashlib import sha512
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.strict_ed25519 import (
    LOW_ORDER_ENCODINGS,
    PublicKeyUnsafeError,
    SignatureInvalidError,
    check_public_key,
    verify_ed25519,
)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes_raw()
NEUTRAL = b"\x01" + bytes(31)


def decoded_leniently(encoding: bytes) -> tuple[int, int] | None:
    """The point that a decoder finds which reduces y and does not mind the sign of x = 0."""
    number = int.from_bytes(encoding, "little")
    y, sign = number % 2**255 % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (-x % P if x & 1 != sign else x), y


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = D * x * x * y * y % P
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def test_every_listed_encoding_has_order_dividing_eight() -> None:
    """The table is what it says: eight times each point is the neutral element."""
    for encoding in LOW_ORDER_ENCODINGS:
        point = decoded_leniently(encoding)
        assert point is not None
        assert doubled(doubled(doubled(point))) == (0, 1)


def test_the_table_of_low_order_encodings_is_complete() -> None:
    """Every encoding of every point of low order is listed: five y, both signs, reduced or not, make fourteen."""
    ys = {int.from_bytes(encoding, "little") % 2**255 % P for encoding in LOW_ORDER_ENCODINGS}
    assert len(ys) == 5  # y = 1, y = -1, y = 0, and two of order 8: eight points in all.
    spelled = {
        (written | sign << 255).to_bytes(32, "little")
        for y in ys
        for written in (y, y + P)
        if written < 2**255
        for sign in (0, 1)
    }
    assert spelled == LOW_ORDER_ENCODINGS
    assert len(spelled) == 14


def test_one_constant_signature_fits_every_message_under_the_neutral_key() -> None:
    """OpenSSL takes 01 and 31 zero bytes for a key, and one signature for all messages; the profile does not."""
    constant = NEUTRAL + bytes(32)
    for message in (b"released", b"rejected"):
        Ed25519PublicKey.from_public_bytes(NEUTRAL).verify(constant, message)
        with pytest.raises(PublicKeyUnsafeError):
            verify_ed25519(NEUTRAL, constant, message)
    with pytest.raises(PublicKeyUnsafeError):
        check_public_key(NEUTRAL)


@pytest.mark.parametrize("encoding", sorted(LOW_ORDER_ENCODINGS), ids=bytes.hex)
def test_low_order_points_are_refused_as_key_and_as_commitment(encoding: bytes) -> None:
    """None of the fourteen is a key, and none opens a signature."""
    with pytest.raises(PublicKeyUnsafeError):
        check_public_key(encoding)
    signature = SIGNER.sign(b"message")
    with pytest.raises(SignatureInvalidError):
        verify_ed25519(PUBLIC, encoding + signature[32:], b"message")


@pytest.mark.parametrize("excess", range(19))
@pytest.mark.parametrize("sign", [0, 1])
def test_coordinates_not_below_p_are_refused(excess: int, sign: int) -> None:
    """A key or R whose y is p or more is refused even where reducing it would give a good point."""
    encoding = (P + excess | sign << 255).to_bytes(32, "little")
    with pytest.raises(PublicKeyUnsafeError):
        check_public_key(encoding)
    with pytest.raises(SignatureInvalidError, match=r"not canonical|low order"):
        verify_ed25519(PUBLIC, encoding + bytes(32), b"message")


def test_the_other_form_of_a_signature_is_refused() -> None:
    """S and S + L satisfy the same equation; only the one below L is a signature."""
    signature = SIGNER.sign(b"message")
    verify_ed25519(PUBLIC, signature, b"message")
    raised = (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")
    with pytest.raises(SignatureInvalidError, match="group order"):
        verify_ed25519(PUBLIC, signature[:32] + raised, b"message")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_and_signatures_of_other_lengths_are_refused(size: int) -> None:
    """Nothing but 32 and 64 bytes is looked at."""
    with pytest.raises(PublicKeyUnsafeError):
        check_public_key(b"\x02" * size)
    with pytest.raises(SignatureInvalidError, match="64 bytes"):
        verify_ed25519(PUBLIC, b"\x02" * (size + 1), b"message")


def test_a_signature_that_opens_with_the_neutral_element_is_refused() -> None:
    """Its maker knows the key and leaves out the nonce; OpenSSL takes it, and it would give the key away."""
    scalar = int.from_bytes(sha512(bytes(range(32))).digest()[:32], "little")
    scalar = scalar & (1 << 254) - 8 | 1 << 254
    challenge = int.from_bytes(sha512(NEUTRAL + PUBLIC + b"message").digest(), "little")
    signature = NEUTRAL + (challenge * scalar % L).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, b"message")
    with pytest.raises(SignatureInvalidError, match="low order"):
        verify_ed25519(PUBLIC, signature, b"message")


@given(st.binary(max_size=64), st.integers(0, 511))
def test_any_bit_flip_of_a_signature_fails(message: bytes, bit: int) -> None:
    """A signature has exactly one form."""
    signature = bytearray(SIGNER.sign(message))
    verify_ed25519(PUBLIC, bytes(signature), message)
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalidError):
        verify_ed25519(PUBLIC, bytes(signature), message)


def test_wycheproof_agrees_in_every_verdict(vectors: Path) -> None:
    """None of the valid vectors has a low-order A or R, so the strict profile refuses none of them."""
    suite = json.loads((vectors / "wycheproof/ed25519_test.json").read_text())
    wrong = []
    for group in suite["testGroups"]:
        for case in group["tests"]:
            try:
                verify_ed25519(
                    bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
                )
                verdict = "valid"
            except SignatureInvalidError:
                verdict = "invalid"
            if verdict != case["result"]:
                wrong.append((case["tcId"], case["comment"]))
    assert wrong == []
    assert suite["numberOfTests"] == sum(len(group["tests"]) for group in suite["testGroups"]) >= 150


def reference_signatures() -> Iterator[tuple[bytes, bytes, bytes]]:
    """Key, message and signature of each line of the reference implementation's own vectors."""
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as lines:
        for line in lines:
            _, public_key, message, signed = line.split(":")[:4]
            yield bytes.fromhex(public_key), bytes.fromhex(message), bytes.fromhex(signed)[:64]


def test_the_reference_implementations_signatures_verify() -> None:
    """Strictness refuses no honest signature of the 1024."""
    count = 0
    for public_key, message, signature in reference_signatures():
        verify_ed25519(public_key, signature, message)
        count += 1
    assert count == 1024
