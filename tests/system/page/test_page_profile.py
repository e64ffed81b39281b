"""The page holds signatures to the strict profile, which the browser's own cryptography does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
from verifier_page_driver import VerifierPage

from cellcustody.ledger.statements.keys import P256_ORDER, P256Signer, parse_public_key
from cellcustody.ledger.strict_ed25519 import LOW_ORDER_ENCODINGS

pytestmark = pytest.mark.system

FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
MESSAGE = b"what was signed"
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"page").digest())
PUBLIC = KEY.public_key().public_bytes_raw()


def test_sha_256_is_that_of_the_standard_library(page: VerifierPage) -> None:
    """Every length around the edges of a block."""
    samples = [bytes(range(256))[: length % 256] * (1 + length // 256) for length in range(300)]

    said: list[object] = [*page.profile("sha256", [(sample,) for sample in samples])]

    assert said == [hashlib.sha256(sample).hexdigest() for sample in samples]


def test_the_browser_alone_takes_the_key_that_fits_every_message(page: VerifierPage) -> None:
    """With A the neutral element one constant signature verifies in WebCrypto over anything; here it does not."""
    neutral = b"\x01" + bytes(31)
    constant = neutral + bytes(32)
    script = """(async () => {
        const key = await crypto.subtle.importKey("raw", bytes(K), "Ed25519", false, ["verify"]);
        return crypto.subtle.verify("Ed25519", key, bytes(S), bytes("YW55dGhpbmc="));
    })()"""
    encoded = json.dumps(neutral.hex()), json.dumps(constant.hex())
    script = script.replace("bytes(K)", f"unhexed({encoded[0]})").replace("bytes(S)", f"unhexed({encoded[1]})")
    page.page.evaluate("globalThis.unhexed = (t) => Uint8Array.from(t.match(/../g), (b) => parseInt(b, 16)); 0")

    assert page.page.evaluate(script) is True
    assert page.profile("ed25519", [(neutral, constant, b"anything")]) == [False]


def test_no_point_of_low_order_is_a_key_or_a_commitment(page: VerifierPage) -> None:
    """All 14 encodings, as A and as R."""
    signature = KEY.sign(MESSAGE)
    assert len(LOW_ORDER_ENCODINGS) == 14

    as_key = page.profile("ed25519", [(point, point + bytes(32), MESSAGE) for point in sorted(LOW_ORDER_ENCODINGS)])
    as_commitment = page.profile(
        "ed25519", [(PUBLIC, point + signature[32:], MESSAGE) for point in sorted(LOW_ORDER_ENCODINGS)]
    )

    assert as_key == as_commitment == [False] * 14
    assert page.profile("ed25519", [(PUBLIC, signature, MESSAGE)]) == [True]


def test_nothing_is_reduced(page: VerifierPage) -> None:
    """A y of p or more, and an S of the group order or more, are refused before the equation."""
    signature = KEY.sign(MESSAGE)
    too_large = [(FIELD_PRIME + n).to_bytes(32, "little") for n in (0, 1, 2, 5, 18)]
    s = int.from_bytes(signature[32:], "little") + GROUP_ORDER

    assert page.profile("ed25519", [(point, signature, MESSAGE) for point in too_large]) == [False] * 5
    assert page.profile("ed25519", [(PUBLIC, point + signature[32:], MESSAGE) for point in too_large]) == [False] * 5
    assert page.profile("ed25519", [(PUBLIC, signature[:32] + s.to_bytes(32, "little"), MESSAGE)]) == [False]


def test_p_256_has_one_form_of_a_signature(page: VerifierPage) -> None:
    """Low s alone, r and s in range, a point on the curve."""
    signer = P256Signer(hashlib.sha256(b"page").digest(), deterministic=True)
    point = signer.public_key_spki[26:]
    good = signer.sign(MESSAGE)
    r, s = good[:32], int.from_bytes(good[32:], "big")
    order = P256_ORDER.to_bytes(32, "big")
    bent = [
        r + (P256_ORDER - s).to_bytes(32, "big"),
        bytes(32) + good[32:],
        r + bytes(32),
        order + good[32:],
        r + order,
        good[:-1],
        good + b"\0",
    ]

    assert page.profile("p256", [(point, good, MESSAGE)]) == [True]
    assert page.profile("p256", [(point, one, MESSAGE) for one in bent]) == [False] * len(bent)
    off_curve = point[:-1] + bytes([point[-1] ^ 1])
    hybrid = b"\x06" + point[1:]
    assert page.profile("p256", [(off_curve, good, MESSAGE), (hybrid, good, MESSAGE)]) == [False, False]


def test_a_key_has_one_encoding(page: VerifierPage) -> None:
    """What the product parses the page parses, and nothing else."""
    ml_dsa = MLDSA65PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
    good = [
        bytes.fromhex("302a300506032b6570032100") + PUBLIC,
        P256Signer(bytes(31) + b"\x01").public_key_spki,
        bytes.fromhex("308207b2300b0609608648016503040312038207a100") + ml_dsa,
    ]
    bent = [key[:-1] for key in good] + [key + b"\0" for key in good] + [b"\x31" + key[1:] for key in good]
    for key in good:
        parse_public_key(key)

    assert page.profile("publicKey", [(key,) for key in good]) == [True] * 3
    assert page.profile("publicKey", [(key,) for key in bent]) == [False] * 9


@pytest.mark.parametrize("name", ["mlDsa44", "mlDsa65"])
def test_ml_dsa_is_that_of_an_independent_library(page: VerifierPage, name: str) -> None:
    """Signatures made by `cryptography` verify; with any of a sample of bits turned they do not."""
    kind = MLDSA44PrivateKey if name == "mlDsa44" else MLDSA65PrivateKey
    calls = []
    for n in range(12):
        private = kind.from_seed_bytes(hashlib.sha256(b"%d" % n).digest())
        message = bytes(range(n * 20))
        calls.append((private.public_key().public_bytes_raw(), private.sign(message), message))

    assert page.profile(name, calls) == [True] * 12

    key, signature, message = calls[3]
    places = [*range(0, len(signature), 61), *range(len(signature) - 90, len(signature))]
    turned = [(key, _turned(signature, at), message) for at in places]
    turned += [(_turned(key, at), signature, message) for at in range(0, len(key), 131)]
    turned += [(key, signature, message + b"\0"), (key, signature[:-1], message), (key[:-1], signature, message)]

    assert page.profile(name, turned) == [False] * len(turned)


def _turned(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_wycheproof_ed25519(page: VerifierPage, vectors: Path) -> None:
    """Every verdict as stated."""
    calls, expected = _wycheproof(vectors / "wycheproof/ed25519_test.json", "pk")

    assert len(calls) > 100
    assert page.profile("ed25519", calls) == [result == "valid" for result, _ in expected]


def test_wycheproof_p_256(page: VerifierPage, vectors: Path) -> None:
    """Every verdict as stated, and low s."""
    calls, expected = _wycheproof(vectors / "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", "uncompressed")

    assert len(calls) > 200
    assert page.profile("p256", calls) == [
        result == "valid" and int.from_bytes(signature[32:], "big") <= P256_ORDER // 2 for result, signature in expected
    ]


def _wycheproof(path: Path, key: str) -> tuple[list[tuple[bytes, ...]], list[tuple[str, bytes]]]:
    calls: list[tuple[bytes, ...]] = []
    expected = []
    for group in json.loads(path.read_bytes())["testGroups"]:
        for test in group["tests"]:
            signature = bytes.fromhex(test["sig"])
            calls.append((bytes.fromhex(group["publicKey"][key]), signature, bytes.fromhex(test["msg"])))
            expected.append((test["result"], signature))
    return calls, expected
