"""Verify one signature under the signature profile.

The rules:

* Ed25519 is strict: see `cellcustody.ledger.strict_ed25519`.
* P-256 with SHA-256: 64 bytes r || s, 1 <= r < n, 1 <= s <= (n - 1) / 2, then the equation (FIPS 186-5). The lower
  half only: n - s fits the same message, and a signature shall have one form.
* ML-DSA-65 (FIPS 204): 3,309 bytes, pure, empty context.

The arithmetic runs in OpenSSL without Python's lock, so threads verify on all cores.
"""

from __future__ import annotations

from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from cellcustody.ledger.statements.keys import P256_ORDER, KeyAlgorithm, PublicKey
from cellcustody.ledger.strict_ed25519 import SignatureInvalidError, verify_ed25519

__all__ = ["SignatureInvalidError", "verify"]

_P256_LOW_S_MAX: Final = P256_ORDER // 2  # n is odd: this is (n - 1) / 2, the greatest s below its own negation.
_P256_SHA256: Final = ECDSA(hashes.SHA256())


def verify(public_key: PublicKey, signature: bytes, message: bytes) -> None:
    """Returns if `signature` by `public_key` covers exactly `message` under the signature profile.

    Raises:
        SignatureInvalidError: it does not.
    """
    match public_key.algorithm:
        case KeyAlgorithm.ED25519:
            verify_ed25519(cast(bytes, public_key.handle), signature, message)
        case KeyAlgorithm.P256:
            _verify_p256(public_key, signature, message)
        case KeyAlgorithm.ML_DSA_65:
            _verify_ml_dsa_65(public_key, signature, message)


def _verify_p256(public_key: PublicKey, signature: bytes, message: bytes) -> None:
    if len(signature) != 64:
        raise SignatureInvalidError("a P-256 signature is 64 bytes", size_bytes=len(signature))
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not 1 <= r < P256_ORDER:
        raise SignatureInvalidError("the signature's r is out of range", key_id=public_key.key_id)
    if not 1 <= s <= _P256_LOW_S_MAX:
        raise SignatureInvalidError("the signature's s is not in the lower half", key_id=public_key.key_id)
    key = cast(EllipticCurvePublicKey, public_key.handle)
    try:
        key.verify(encode_dss_signature(r, s), message, _P256_SHA256)
    except InvalidSignature as refusal:
        raise _does_not_fit(public_key) from refusal


def _verify_ml_dsa_65(public_key: PublicKey, signature: bytes, message: bytes) -> None:
    if len(signature) != KeyAlgorithm.ML_DSA_65.signature_bytes:
        raise SignatureInvalidError("an ML-DSA-65 signature is 3,309 bytes", size_bytes=len(signature))
    key = cast(MLDSA65PublicKey, public_key.handle)
    try:
        key.verify(signature, message)
    except InvalidSignature as refusal:
        raise _does_not_fit(public_key) from refusal


def _does_not_fit(public_key: PublicKey) -> SignatureInvalidError:
    return SignatureInvalidError("the signature does not fit the key and the bytes", key_id=public_key.key_id)
