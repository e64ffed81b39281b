"""A token that misbehaves: what it returns is put into form and verified, or nothing is signed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cellcustody.ledger.statements.keys import P256_ORDER, parse_public_key
from cellcustody.ledger.statements.pkcs11_signers import Pkcs11Signer, TokenError
from cellcustody.ledger.statements.signatures import verify

PRIVATE = ec.derive_private_key(7, ec.SECP256R1())
PUBLIC = parse_public_key(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


class _Key:
    """A token's key with a fault: `alter` changes the raw signature."""

    id = b"\x01"

    def __init__(self, alter: Callable[[int, int], tuple[int, int]]) -> None:
        self._alter = alter

    def sign(self, data: bytes, *, mechanism: object) -> bytes:
        r, s = decode_dss_signature(PRIVATE.sign(data, ec.ECDSA(Prehashed(hashes.SHA256()))))
        r, s = self._alter(r, s)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class _Session:
    def close(self) -> None: ...


def signer(alter: Callable[[int, int], tuple[int, int]]) -> Pkcs11Signer:
    return Pkcs11Signer(PUBLIC, _Session(), _Key(alter), Lock())  # type: ignore[arg-type]  # A faulty token.


def test_a_high_s_is_put_into_the_lower_half() -> None:
    signature = signer(lambda r, s: (r, max(s, P256_ORDER - s))).sign(b"message")
    verify(PUBLIC, signature, b"message")


def test_what_does_not_verify_does_not_leave() -> None:
    with pytest.raises(TokenError):
        signer(lambda r, s: (r ^ 1, s)).sign(b"message")


def test_another_length_does_not_leave() -> None:
    class Short(_Key):
        def sign(self, data: bytes, *, mechanism: object) -> bytes:
            return super().sign(data, mechanism=mechanism)[:-1]

    short = Pkcs11Signer(PUBLIC, _Session(), Short(lambda r, s: (r, s)), Lock())  # type: ignore[arg-type]
    with pytest.raises(TokenError):
        short.sign(b"message")
