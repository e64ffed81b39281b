"""Verify Ed25519 signatures under the one strict profile that every key and note of the ledger is held to.

The rules, in the order they are checked:

* A key A and a signature's R are 32 bytes each, S is 32 bytes: nothing shorter or longer is looked at.
* A and R are canonical: their y coordinate, the lower 255 bits, is below p = 2^255 - 19. Nothing is reduced.
* Neither A nor R is one of the 14 encodings of a point of low order. With A = 01 and 31 zero bytes one constant
  signature would fit every message, and OpenSSL and WebCrypto both accept such a key.
* S is below the group order L (RFC 8032, section 5.1.7), so that a signature has one form only.
* Then the cofactorless equation of RFC 8032 is checked by `cryptography`.

The same checks stand at enrolment of a key (`check_public_key`) and at every verification. No I/O, no clock.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cellcustody.ledger.errors import VerificationError

__all__ = [
    "LOW_ORDER_ENCODINGS",
    "PUBLIC_KEY_SIZE_BYTES",
    "SIGNATURE_SIZE_BYTES",
    "PublicKeyUnsafeError",
    "SignatureInvalidError",
    "check_public_key",
    "verify_ed25519",
]

PUBLIC_KEY_SIZE_BYTES: Final = 32
SIGNATURE_SIZE_BYTES: Final = 64

_FIELD_PRIME: Final = 2**255 - 19
_GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_SIGN_BIT_CLEARED: Final = 2**255 - 1  # The top bit of an encoding is the sign of x, the other 255 are y.
_KEYS_CACHED_MAX: Final = 4096  # Parsing a key costs more than looking it up; a large ledger has a few thousand.

# The eight points whose order divides 8, with every encoding that a lenient decoder takes for one of them.
LOW_ORDER_ENCODINGS: Final = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "0100000000000000000000000000000000000000000000000000000000000000",  # (0, 1), the neutral element
        "0100000000000000000000000000000000000000000000000000000000000080",  # the same, sign of x = 0 set
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # the same, y = p + 1
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # the same, y = p + 1, sign set
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # (0, -1), order 2
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # the same, sign of x = 0 set
        "0000000000000000000000000000000000000000000000000000000000000000",  # y = 0, order 4
        "0000000000000000000000000000000000000000000000000000000000000080",  # y = 0, order 4, other sign
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = p
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # y = p, other sign
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",  # order 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  # order 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",  # order 8
    )
)


class SignatureInvalidError(VerificationError):
    """Raised when a signature does not verify for the key and the exact bytes."""

    reason = "SIGNATURE_INVALID"


class PublicKeyUnsafeError(SignatureInvalidError):
    """Raised when a public key is not canonical, of low order, not on the curve, or not 32 bytes."""

    reason = "PUBLIC_KEY_UNSAFE"


@lru_cache(maxsize=_KEYS_CACHED_MAX)
def _parsed_key(public_key: bytes) -> Ed25519PublicKey:
    """Returns the key object of a checked key. Refused keys raise and so never enter the cache."""
    if len(public_key) != PUBLIC_KEY_SIZE_BYTES:
        raise PublicKeyUnsafeError("an Ed25519 public key is 32 bytes", size_bytes=len(public_key))
    if public_key in LOW_ORDER_ENCODINGS:
        raise PublicKeyUnsafeError("the public key is a point of low order", public_key=public_key)
    if int.from_bytes(public_key, "little") & _SIGN_BIT_CLEARED >= _FIELD_PRIME:
        raise PublicKeyUnsafeError("the public key is not canonical", public_key=public_key)
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError as refusal:
        raise PublicKeyUnsafeError("the public key cannot be parsed", public_key=public_key) from refusal


def check_public_key(public_key: bytes) -> None:
    """Returns if the 32 bytes are a canonical key that is not of low order.

    Whether the point is on the curve is told by the first verification: OpenSSL parses any 32 bytes. An enrolment
    therefore also demands proof of possession.

    Raises:
        PublicKeyUnsafeError: the key is refused.
    """
    _parsed_key(bytes(public_key))


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Returns if the 64-byte signature by the 32-byte key covers exactly `message` under the strict profile.

    Raises:
        PublicKeyUnsafeError: the key itself is refused.
        SignatureInvalidError: the signature is refused.
    """
    # (1): The key, checked once and then remembered.
    key = _parsed_key(public_key)

    # (2): The form of R and S, before any arithmetic.
    if len(signature) != SIGNATURE_SIZE_BYTES:
        raise SignatureInvalidError("an Ed25519 signature is 64 bytes", size_bytes=len(signature))
    commitment = signature[:32]
    if commitment in LOW_ORDER_ENCODINGS:
        raise SignatureInvalidError("the signature's R is a point of low order", public_key=public_key)
    if int.from_bytes(commitment, "little") & _SIGN_BIT_CLEARED >= _FIELD_PRIME:
        raise SignatureInvalidError("the signature's R is not canonical", public_key=public_key)
    if int.from_bytes(signature[32:], "little") >= _GROUP_ORDER:
        raise SignatureInvalidError("the signature's S is not below the group order", public_key=public_key)

    # (3): The equation.
    try:
        key.verify(signature, message)
    except InvalidSignature as refusal:
        raise SignatureInvalidError(
            "the signature does not fit the key and the bytes", public_key=public_key
        ) from refusal
