"""Hashes and signature schemes of time evidence, by the names that an algorithm policy uses.

The rules:

* Hashes are SHA-256, SHA-384, SHA-512 and the SHA3 of these lengths. No other is taken, SHA-1 nowhere but in naming a
  certificate, where it authenticates nothing by itself.
* Keys of authorities are RSA from 2,048 bits, ECDSA on P-256, P-384 or P-521, or Ed25519.

RFC 5754 (SHA-2 with CMS), RFC 8702 has no SHA3; the identifiers of SHA3 are NIST's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from cellcustody.ledger.timestamps.der import NULL, SEQUENCE, Reader, explicit
from cellcustody.ledger.timestamps.errors import TokenInvalidError

__all__ = [
    "HASHES_BY_NAME",
    "HASHES_BY_OID",
    "HASHES_BY_PRIMITIVE",
    "HashAlgorithm",
    "hash_of",
    "read_algorithm",
    "verify_signature",
]

RSA_BITS_MIN: Final = 2048  # NIST SP 800-57: below, less than 112 bits of strength.


@dataclass(frozen=True, slots=True)
class HashAlgorithm:
    """A hash: its name in policies and records, its object identifier, and how it is computed."""

    name: str
    policy_name: str
    oid: str
    digest: Callable[[bytes], bytes]
    primitive: hashes.HashAlgorithm
    size_bytes: int


def _row(name: str, policy_name: str, oid: str, primitive: hashes.HashAlgorithm) -> HashAlgorithm:
    maker = getattr(hashlib, name.replace("-", "_"))
    return HashAlgorithm(
        name, policy_name, oid, lambda raw: bytes(maker(raw).digest()), primitive, primitive.digest_size
    )


_NIST: Final = "2.16.840.1.101.3.4.2."
_ALL: Final = (
    _row("sha256", "sha-256", _NIST + "1", hashes.SHA256()),
    _row("sha384", "sha-384", _NIST + "2", hashes.SHA384()),
    _row("sha512", "sha-512", _NIST + "3", hashes.SHA512()),
    _row("sha3-256", "sha3-256", _NIST + "8", hashes.SHA3_256()),
    _row("sha3-384", "sha3-384", _NIST + "9", hashes.SHA3_384()),
    _row("sha3-512", "sha3-512", _NIST + "10", hashes.SHA3_512()),
)
HASHES_BY_OID: Final = {one.oid: one for one in _ALL}
HASHES_BY_NAME: Final = {one.name: one for one in _ALL}
HASHES_BY_PRIMITIVE: Final = {one.primitive.name: one for one in _ALL}

_RSA: Final = "1.2.840.113549.1.1.1"
_RSA_PSS: Final = "1.2.840.113549.1.1.10"
_MGF1: Final = "1.2.840.113549.1.1.8"
_RSA_WITH: Final = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "2.16.840.1.101.3.4.3.14": "sha3-256",
    "2.16.840.1.101.3.4.3.15": "sha3-384",
    "2.16.840.1.101.3.4.3.16": "sha3-512",
}
_ECDSA_WITH: Final = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "2.16.840.1.101.3.4.3.10": "sha3-256",
    "2.16.840.1.101.3.4.3.11": "sha3-384",
    "2.16.840.1.101.3.4.3.12": "sha3-512",
}
_ED25519: Final = "1.3.101.112"
_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})


def read_algorithm(inside: Reader) -> tuple[str, bytes]:
    """Returns identifier and parameters (all their bytes, empty where there are none) of an AlgorithmIdentifier."""
    sequence = inside.inside(SEQUENCE)
    oid = sequence.oid()
    parameters = b"" if sequence.is_at_end else sequence.any()[2]
    sequence.end()
    return oid, parameters


def verify_signature(
    key: CertificatePublicKeyTypes, algorithm: tuple[str, bytes], digest: HashAlgorithm, signature: bytes, signed: bytes
) -> frozenset[str]:
    """Returns the names of the algorithms on which this signature rests, which verifies.

    Raises:
        TokenInvalidError: it does not verify, or is of an algorithm or a key that is not taken.
    """
    oid, parameters = algorithm
    try:
        match key:
            case rsa.RSAPublicKey():
                if key.key_size < RSA_BITS_MIN:
                    raise TokenInvalidError("an RSA key is too short", bits=key.key_size)
                if oid == _RSA_PSS:
                    used = _verify_pss(key, parameters, signature, signed)
                    return frozenset({"rsa", used.policy_name, digest.policy_name})
                used = digest if oid == _RSA else _hash_with(oid, _RSA_WITH)
                _check_agrees(used, digest)
                key.verify(signature, signed, padding.PKCS1v15(), used.primitive)
                return frozenset({"rsa", used.policy_name})
            case ec.EllipticCurvePublicKey():
                if key.curve.name not in _CURVES:
                    raise TokenInvalidError("a curve is not taken", curve=key.curve.name)
                used = _hash_with(oid, _ECDSA_WITH)
                _check_agrees(used, digest)
                key.verify(signature, signed, ec.ECDSA(used.primitive))
                return frozenset({"ecdsa", used.policy_name})
            case ed25519.Ed25519PublicKey():
                if oid != _ED25519:
                    raise TokenInvalidError("a signature algorithm is not that of the key", algorithm=oid)
                key.verify(signature, signed)
                return frozenset({"ed25519", "sha-512", digest.policy_name})
            case _:
                raise TokenInvalidError("a key of this kind is not taken", kind=type(key).__name__)
    except InvalidSignature as wrong:
        raise TokenInvalidError("a token's signature does not verify") from wrong
    except UnsupportedAlgorithm as unsupported:
        raise TokenInvalidError("a signature algorithm is not supported here", algorithm=oid) from unsupported


def _hash_with(oid: str, known: Mapping[str, str]) -> HashAlgorithm:
    name = known.get(oid)
    if name is None:
        raise TokenInvalidError("a signature algorithm is not taken", algorithm=oid)
    return HASHES_BY_NAME[name]


def _check_agrees(used: HashAlgorithm, digest: HashAlgorithm) -> None:
    if used is not digest:
        raise TokenInvalidError("signature and digest algorithm disagree", signature=used.name, digest=digest.name)


def _verify_pss(key: rsa.RSAPublicKey, parameters: bytes, signature: bytes, signed: bytes) -> HashAlgorithm:
    """Verifies RSASSA-PSS as RFC 4055, section 3.1 has its parameters; the defaults there are SHA-1 and not taken."""
    inside = Reader(parameters).inside(SEQUENCE)
    used = _hash_in(Reader(inside.take(explicit(0))))
    mask = Reader(inside.take(explicit(1)))
    sequence = mask.inside(SEQUENCE)
    if sequence.oid() != _MGF1 or _hash_in(sequence) is not used:
        raise TokenInvalidError("another mask function than MGF1 with the same hash")
    mask.end()
    salt = 20
    if inside.next_tag() == explicit(2):
        number = Reader(inside.take(explicit(2)))
        salt = number.integer()
        number.end()
    inside.end()
    if not 0 <= salt <= used.size_bytes:
        raise TokenInvalidError("a salt is no longer than its hash", salt=salt)
    key.verify(signature, signed, padding.PSS(padding.MGF1(used.primitive), salt), used.primitive)
    return used


def _hash_in(inside: Reader) -> HashAlgorithm:
    oid, parameters = read_algorithm(inside)
    inside.end()
    return hash_of(oid, parameters)


def hash_of(oid: str, parameters: bytes) -> HashAlgorithm:
    """Returns the hash of an AlgorithmIdentifier; its parameters are absent or NULL (RFC 5754, section 2).

    Raises:
        TokenInvalidError: it is not one that is taken.
    """
    found = HASHES_BY_OID.get(oid)
    if found is None or parameters not in (b"", bytes((NULL, 0))):
        raise TokenInvalidError("a hash algorithm is not taken", algorithm=oid)
    return found
