"""The signature profile holds against vectors that nobody here wrote, and against keys made to cheat."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.errors import VerificationError
from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.ledger.statements.keys import (
    P256_ORDER,
    Ed25519Signer,
    KeyAlgorithm,
    MlDsa65Signer,
    P256Signer,
    PublicKey,
    parse_public_key,
)
from cellcustody.ledger.statements.signatures import SignatureInvalidError, verify
from cellcustody.ledger.strict_ed25519 import LOW_ORDER_ENCODINGS

SIGNERS = (
    Ed25519Signer(bytes(range(32))),
    P256Signer(bytes(range(1, 33))),
    P256Signer(bytes(range(2, 34)), deterministic=True),
    MlDsa65Signer(bytes(range(3, 35))),
)


def key_of(algorithm: KeyAlgorithm, raw: bytes) -> PublicKey:
    return parse_public_key(algorithm.value + raw)


def accepts(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        verify(key, signature, message)
    except SignatureInvalidError:
        return False
    return True


def has_low_s(signature: bytes) -> bool:
    return len(signature) == 64 and 1 <= int.from_bytes(signature[32:], "big") <= P256_ORDER // 2


@pytest.mark.parametrize("file", ["ed25519_test.json", "ecdsa_secp256r1_sha256_p1363_test.json"])
def test_wycheproof_verdicts_are_ours_and_low_s(vectors: Path, file: str) -> None:
    """The verdict is the vector's, and for P-256 also that s is low."""
    wrong: list[int] = []
    seen: Counter[bool] = Counter()
    for group in json.loads((vectors / "wycheproof" / file).read_bytes())["testGroups"]:
        spki = bytes.fromhex(group["publicKeyDer"])
        for test in group["tests"]:
            signature, message = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
            key = parse_public_key(spki)
            expected = test["result"] == "valid" and (key.algorithm is not KeyAlgorithm.P256 or has_low_s(signature))
            seen[expected] += 1
            if accepts(key, signature, message) != expected:
                wrong.append(test["tcId"])
    assert wrong == []
    assert min(seen[True], seen[False]) > 20, "both verdicts occur"


def test_ed25519_vectors_of_cryptography_verify() -> None:
    """RFC 8032's reference vectors verify, and no longer do for another message."""
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as lines:
        rows = [line.strip().split(":") for line in lines]
    assert len(rows) == 1024
    for _, public, message_hex, signed, _ in rows:
        key, message = key_of(KeyAlgorithm.ED25519, bytes.fromhex(public)), bytes.fromhex(message_hex)
        signature = bytes.fromhex(signed)[:64]
        verify(key, signature, message)
        assert not accepts(key, signature, message + b"\x00")


def ml_dsa_65_vectors() -> list[dict[str, str]]:
    """Returns the records of the known-answer file, each a name and hexadecimal or decimal text."""
    with cryptography_vectors.open_vector_file("asymmetric/MLDSA/kat_MLDSA_65_det_pure.rsp", "r") as lines:
        blocks = lines.read().split("count = ")[1:]
    return [dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line) for block in blocks]


def test_ml_dsa_65_vectors_of_cryptography() -> None:
    """Keys follow from their seeds; a signature made under a context is none here, for a ledger uses none."""
    records = ml_dsa_65_vectors()
    assert len(records) == 100
    for record in records:
        signer = MlDsa65Signer(bytes.fromhex(record["xi"]))
        key = key_of(KeyAlgorithm.ML_DSA_65, bytes.fromhex(record["pk"]))
        assert signer.public_key == key
        message, context = bytes.fromhex(record["msg"]), bytes.fromhex(record["ctx"])
        signature = bytes.fromhex(record["sm"])[: KeyAlgorithm.ML_DSA_65.signature_bytes]
        assert isinstance(key.handle, MLDSA65PublicKey)
        key.handle.verify(signature, message, context)
        assert accepts(key, signature, message) == (context == b"")
        verify(key, signer.sign(message), message)


def test_a_low_order_key_that_fits_every_message_is_no_key() -> None:
    """With A = 01 and zeros one constant signature fits all messages elsewhere; here it never becomes a key."""
    low, constant = b"\x01" + bytes(31), b"\x01" + bytes(63)
    Ed25519PublicKey.from_public_bytes(low).verify(constant, b"any message")
    Ed25519PublicKey.from_public_bytes(low).verify(constant, b"another message")
    with pytest.raises(PublicKeyMalformedError):
        key_of(KeyAlgorithm.ED25519, low)


@pytest.mark.parametrize("raw", sorted(LOW_ORDER_ENCODINGS), ids=bytes.hex)
def test_no_low_order_encoding_is_a_key(raw: bytes) -> None:
    with pytest.raises(PublicKeyMalformedError):
        key_of(KeyAlgorithm.ED25519, raw)


@pytest.mark.parametrize("signer", SIGNERS, ids=repr)
def test_a_signature_verifies_and_nothing_close_to_it_does(
    signer: Ed25519Signer | P256Signer | MlDsa65Signer,
) -> None:
    message = b"bag 2 of 3 accepted"
    signature = signer.sign(message)
    key = parse_public_key(signer.public_key_spki)
    verify(key, signature, message)
    assert len(signature) == key.algorithm.signature_bytes
    for at in (0, len(signature) // 2, len(signature) - 1):
        altered = bytearray(signature)
        altered[at] ^= 1
        assert not accepts(key, bytes(altered), message)
    assert not accepts(key, signature, message + b".")
    assert not accepts(key, signature[:-1], message)
    assert not accepts(key, signature + b"\x00", message)
    assert not accepts(key, b"", message)


@given(st.binary(max_size=40))
def test_p256_signers_give_low_s_and_its_negation_is_refused(message: bytes) -> None:
    signer = SIGNERS[1]
    key = parse_public_key(signer.public_key_spki)
    signature = signer.sign(message)
    assert has_low_s(signature)
    high = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert not accepts(key, high, message)


@pytest.mark.parametrize("value", [0, P256_ORDER, P256_ORDER + 1])
def test_p256_numbers_out_of_range_are_refused(value: int) -> None:
    key = parse_public_key(SIGNERS[1].public_key_spki)
    good = SIGNERS[1].sign(b"x")
    assert not accepts(key, value.to_bytes(32, "big") + good[32:], b"x")
    assert not accepts(key, good[:32] + value.to_bytes(32, "big"), b"x")


@pytest.mark.parametrize("signer", SIGNERS, ids=repr)
def test_a_key_is_its_one_der_encoding(signer: Ed25519Signer | P256Signer | MlDsa65Signer) -> None:
    """What is taken is what an independent encoder writes; any other byte string is not."""
    spki = signer.public_key_spki
    loaded = load_der_public_key(spki)
    assert loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
    for other in (spki + b"\x00", spki[:-1], b"", b"\x30\x81" + spki[1:]):
        with pytest.raises(PublicKeyMalformedError):
            parse_public_key(other)


def test_other_forms_of_a_p256_point_are_no_key() -> None:
    """Compressed and hybrid points, points off the curve, and other curves are refused."""
    private = ec.derive_private_key(7, ec.SECP256R1())
    compressed = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    hybrid = bytes((6 + (point[-1] & 1),)) + point[1:]
    off_curve = point[:-1] + bytes((point[-1] ^ 1,))
    p384 = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    for spki in (
        *(KeyAlgorithm.P256.value + raw for raw in (compressed, hybrid, off_curve, b"\x00" + bytes(64))),
        p384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        with pytest.raises(PublicKeyMalformedError):
            parse_public_key(spki)


def test_a_refused_signature_is_a_verification_error() -> None:
    """Whoever verifies proofs catches one class."""
    with pytest.raises(VerificationError):
        verify(parse_public_key(SIGNERS[0].public_key_spki), bytes(64), b"")


def test_a_signer_never_shows_its_private_key() -> None:
    for signer in SIGNERS:
        assert signer.key_id.hex() in repr(signer)
        assert bytes(range(8)).hex() not in repr(signer)
