"""Parse public keys, name them, and sign with private ones.

The rules:

* A public key is a SubjectPublicKeyInfo in DER; there is one accepted encoding per key, byte for byte.
* Three algorithms: Ed25519 (RFC 8410), P-256 as a named curve with an uncompressed point (RFC 5480), and ML-DSA-65
  (RFC 9881), each without further parameters.
* An Ed25519 key is canonical and not of low order; a P-256 point lies on the curve.
* A key id is SHA-256 of the SubjectPublicKeyInfo.
* A signer never hands out its private key. P-256 signatures leave it as 64 bytes r || s with s in the lower half.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.ledger.statements.ids import KeyId
from cellcustody.ledger.strict_ed25519 import PublicKeyUnsafeError, check_public_key

__all__ = [
    "P256_ORDER",
    "Ed25519Signer",
    "KeyAlgorithm",
    "MlDsa65Signer",
    "P256Signer",
    "PublicKey",
    "Signer",
    "low_s_signature",
    "parse_public_key",
]

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_KEYS_CACHED_MAX: Final = 4096  # A ledger of some hundred sites has a few thousand keys; parsing costs tens of µs.


class KeyAlgorithm(Enum):
    """The algorithms of the signature profile; the value is the one DER prefix of their SubjectPublicKeyInfo."""

    ED25519 = bytes.fromhex("302a300506032b6570032100")
    P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    ML_DSA_65 = bytes.fromhex("308207b2300b0609608648016503040312038207a100")

    @property
    def raw_key_bytes(self) -> int:
        """The length of the key that follows the prefix, in bytes."""
        match self:
            case KeyAlgorithm.ED25519:
                return 32
            case KeyAlgorithm.P256:
                return 65
            case KeyAlgorithm.ML_DSA_65:
                return 1952

    @property
    def signature_bytes(self) -> int:
        """The length of every signature, in bytes."""
        return 3309 if self is KeyAlgorithm.ML_DSA_65 else 64


_Handle = bytes | ec.EllipticCurvePublicKey | MLDSA65PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key in its exact encoding. Made by `parse_public_key` alone, so that every one is checked."""

    spki: bytes
    algorithm: KeyAlgorithm = field(compare=False)
    key_id: KeyId = field(compare=False)
    handle: _Handle = field(compare=False, repr=False)
    """What verification works with: the 32 bytes of an Ed25519 key, or OpenSSL's parsed key."""


@lru_cache(maxsize=_KEYS_CACHED_MAX)
def parse_public_key(spki: bytes) -> PublicKey:
    """Returns the key that `spki` is the one accepted DER encoding of.

    Raises:
        PublicKeyMalformedError: the encoding is another, the algorithm is not of the profile, or the key is unsafe.
    """
    for algorithm in KeyAlgorithm:
        prefix = algorithm.value
        if spki.startswith(prefix) and len(spki) == len(prefix) + algorithm.raw_key_bytes:
            raw = spki[len(prefix) :]
            return PublicKey(spki, algorithm, KeyId(hashlib.sha256(spki).digest()), _parse_raw(algorithm, raw))
    raise PublicKeyMalformedError("not the exact encoding of a key of the signature profile", length=len(spki))


def _parse_raw(algorithm: KeyAlgorithm, raw: bytes) -> _Handle:
    try:
        match algorithm:
            case KeyAlgorithm.ED25519:
                check_public_key(raw)
                return raw
            case KeyAlgorithm.P256:
                if raw[0] != 0x04:  # A compressed point is shorter; hybrid forms (06, 07) have this very length.
                    raise PublicKeyMalformedError("a P-256 point is uncompressed", form=raw[0])
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
            case KeyAlgorithm.ML_DSA_65:
                return MLDSA65PublicKey.from_public_bytes(raw)
    except (PublicKeyUnsafeError, ValueError) as refusal:
        raise PublicKeyMalformedError("the key is not a safe one", algorithm=algorithm.name) from refusal


class Signer(Protocol):
    """Signs with one key that it keeps to itself: in memory, in a card, behind a service."""

    @property
    def key_id(self) -> KeyId:
        """SHA-256 of the public key's SubjectPublicKeyInfo."""
        ...

    @property
    def public_key_spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo in DER."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Returns a signature over exactly `message`, in the form of the signature profile."""
        ...


class _KeptKey:
    """The public half of an in-memory signer."""

    def __init__(self, spki: bytes) -> None:
        self._public = parse_public_key(spki)

    @property
    def key_id(self) -> KeyId:
        return self._public.key_id

    @property
    def public_key(self) -> PublicKey:
        return self._public

    @property
    def public_key_spki(self) -> bytes:
        return self._public.spki

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_id={self.key_id.hex()})"


class Ed25519Signer(_KeptKey):
    """Signs with an Ed25519 key from its 32-byte seed; the same message gives the same signature."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        super().__init__(self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes) -> bytes:
        """Returns the 64 bytes R || S."""
        return self._private.sign(message)


class P256Signer(_KeptKey):
    """Signs with a P-256 key from its 32-byte scalar; with `deterministic`, nonces are those of RFC 6979."""

    def __init__(self, scalar: bytes, *, deterministic: bool = False) -> None:
        if len(scalar) != 32:
            raise ValueError("a P-256 scalar has 32 bytes")
        self._private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
        self._scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=deterministic)
        super().__init__(self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes) -> bytes:
        """Returns the 64 bytes r || s with s in the lower half of the order."""
        return low_s_signature(self._private.sign(message, self._scheme))


class MlDsa65Signer(_KeptKey):
    """Signs with an ML-DSA-65 key from its 32-byte seed and an empty context; signatures are hedged."""

    def __init__(self, seed: bytes) -> None:
        self._private = MLDSA65PrivateKey.from_seed_bytes(seed)
        super().__init__(self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes) -> bytes:
        """Returns the 3,309 bytes of FIPS 204."""
        return self._private.sign(message)


def low_s_signature(der_signature: bytes) -> bytes:
    """Returns a DER signature by a card or a library as raw r || s, with s replaced by n - s where that is lower."""
    r, s = decode_dss_signature(der_signature)
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")
