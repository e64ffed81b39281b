"""Name, write and apply the keys that sign notes (C2SP signed-note, tlog-cosignature).

The rules:

* A key has a name, non-empty, without Unicode space, plus or control character. Its id is the first four bytes of
  SHA-256(name || 0A || type || public key). A verifier key (vkey) is `name+id+base64(type || public key)`, the id
  as eight lower-case hex digits; one that names another id than its own is refused.
* Type 01: Ed25519 over the note's text.
* Type 04: a timestamp of 8 bytes, big-endian, then Ed25519 over `cosignature/v1`, `time <seconds>` and the text.
* Type 06: such a timestamp, then ML-DSA-44 with empty context over the `subtree/v1` message: key name, timestamp,
  origin, start 0, end = size, root. It does not cover extension lines.
* Types 04 and 06 sign checkpoints only. A timestamp is seconds since the epoch, at most 2^63 - 1. Zero says nothing
  about time: it is accepted under type 06 and never written.
* Ed25519 is verified under the strict profile, keys included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from cellcustody.ledger.errors import MalformedError
from cellcustody.ledger.strict_ed25519 import SignatureInvalidError, check_public_key, verify_ed25519
from cellcustody.ledger.transparency.checkpoint_text import parse_checkpoint_text
from cellcustody.ledger.transparency.encoding import UINT64_MAX, decode_base64, encode_base64, is_utf8
from cellcustody.ledger.transparency.errors import NoteMalformedError, NoteSignatureError, VerifierKeyMalformedError

__all__ = [
    "NoteKeyType",
    "VerifierKey",
    "cosignature_v1_message",
    "format_vkey",
    "is_key_name",
    "key_id",
    "parse_vkey",
    "subtree_v1_message",
]

TIMESTAMP_SECONDS_MAX: Final = 2**63 - 1
_TIMESTAMP_SIZE_BYTES: Final = 8
_ED25519_SIGNATURE_SIZE_BYTES: Final = 64
_ML_DSA_44_SIGNATURE_SIZE_BYTES: Final = 2420
_ML_DSA_44_PUBLIC_KEY_SIZE_BYTES: Final = 1312
_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")
_VKEYS_CACHED_MAX: Final = 256


class NoteKeyType(IntEnum):
    """The signature types of C2SP signed-note that this log uses."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    ML_DSA_44_COSIGNATURE = 0x06


def is_key_name(name: str) -> bool:
    """Whether a note may name a key so: non-empty, no Unicode space, no plus, no control character."""
    return bool(name) and "+" not in name and is_utf8(name) and not any(c.isspace() or c < " " for c in name)


def key_id(name: str, key_type: int, public_key: bytes) -> int:
    """Returns the 32-bit id of a key under its name and type."""
    preimage = name.encode() + b"\n" + bytes([key_type]) + public_key
    return int.from_bytes(sha256(preimage).digest()[:4], "big")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that notes are verified with; `public_key` is 32 bytes (Ed25519) or 1312 bytes (ML-DSA-44)."""

    name: str
    type: NoteKeyType
    public_key: bytes

    @property
    def id(self) -> int:
        """The 32-bit key id."""
        return key_id(self.name, self.type, self.public_key)

    def verify(self, text: str, signature: bytes) -> int | None:
        """Returns the signature's timestamp in seconds, None where its type has none.

        Args:
            text: the note's text with its final newline.
            signature: what follows the key id in the signature line.

        Raises:
            NoteSignatureError: the signature does not verify.
        """
        try:
            match self.type:
                case NoteKeyType.ED25519:
                    verify_ed25519(self.public_key, signature, text.encode())
                    return None
                case NoteKeyType.ED25519_COSIGNATURE:
                    timestamp, inner = _cut_timestamp(signature, _ED25519_SIGNATURE_SIZE_BYTES)
                    verify_ed25519(self.public_key, inner, cosignature_v1_message(text, timestamp))
                    return timestamp
                case NoteKeyType.ML_DSA_44_COSIGNATURE:
                    timestamp, inner = _cut_timestamp(signature, _ML_DSA_44_SIGNATURE_SIZE_BYTES)
                    message = subtree_v1_message(self.name, text, timestamp)
                    _ml_dsa_44_key(self.public_key).verify(inner, message)
                    return timestamp
                case _:
                    assert_never(self.type)
        except (InvalidSignature, SignatureInvalidError, MalformedError) as refusal:
            raise NoteSignatureError("the signature of a known key does not verify", key=self.name) from refusal


def format_vkey(name: str, key_type: int, public_key: bytes) -> str:
    """Returns the verifier key text of a name, type (1, 4 or 6) and raw public key.

    Raises:
        VerifierKeyMalformedError: they make no key.
    """
    key = _checked(name, key_type, public_key)
    return f"{key.name}+{key.id:08x}+{encode_base64(bytes([key.type]) + key.public_key)}"


@lru_cache(maxsize=_VKEYS_CACHED_MAX)
def parse_vkey(vkey: str) -> VerifierKey:
    """Returns the key that a verifier key text gives.

    Raises:
        VerifierKeyMalformedError: the text is not in its exact form, or its id is not that of its key.
    """
    parts = vkey.split("+", 2)  # Base64 may hold plus signs, names may not.
    if len(parts) != 3:
        raise VerifierKeyMalformedError("a verifier key has three parts", vkey=repr(vkey))
    name, id_text, material_text = parts
    if _KEY_ID.fullmatch(id_text) is None:
        raise VerifierKeyMalformedError("the key id is not eight lower-case hex digits", vkey=repr(vkey))
    try:
        material = decode_base64(material_text)
    except ValueError as refusal:
        raise VerifierKeyMalformedError("the key material is not base64", vkey=repr(vkey)) from refusal
    if not material:
        raise VerifierKeyMalformedError("the key material is empty", vkey=repr(vkey))
    key = _checked(name, material[0], material[1:])
    if key.id != int(id_text, 16):
        raise VerifierKeyMalformedError("the key id is not that of the key", vkey=repr(vkey), computed=f"{key.id:08x}")
    return key


def cosignature_v1_message(text: str, timestamp_seconds: int) -> bytes:
    """Returns the bytes that an Ed25519 cosignature (type 04) covers.

    Raises:
        CheckpointMalformedError: the text is not that of a checkpoint.
        NoteMalformedError: the time is none.
    """
    parse_checkpoint_text(text)
    _check_timestamp(timestamp_seconds)
    return f"cosignature/v1\ntime {timestamp_seconds}\n{text}".encode()


def subtree_v1_message(key_name: str, text: str, timestamp_seconds: int) -> bytes:
    """Returns the bytes that an ML-DSA-44 cosignature (type 06) of a checkpoint covers.

    Raises:
        CheckpointMalformedError: the text is not that of a checkpoint.
        VerifierKeyMalformedError: name or origin is longer than the message can hold.
        NoteMalformedError: the time is none.
    """
    checkpoint = parse_checkpoint_text(text)
    _check_timestamp(timestamp_seconds)
    return b"".join(
        (
            _SUBTREE_LABEL,
            _short(key_name),
            timestamp_seconds.to_bytes(8, "big"),
            _short(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _check_timestamp(timestamp_seconds: int) -> None:
    # What is above 2^63 - 1 is refused where it is signed and where it is verified; here it only has to fit.
    if not 0 <= timestamp_seconds <= UINT64_MAX:
        raise NoteMalformedError("a time fits in 64 bits", timestamp_seconds=timestamp_seconds)


def _short(text: str) -> bytes:
    """Returns a string of 1 to 255 bytes behind its length (`opaque<1..2^8-1>` of RFC 8446)."""
    raw = text.encode()
    if not 1 <= len(raw) <= 255:
        raise VerifierKeyMalformedError("a name is longer than 255 bytes", size_bytes=len(raw))
    return bytes([len(raw)]) + raw


def _cut_timestamp(signature: bytes, inner_size_bytes: int) -> tuple[int, bytes]:
    if len(signature) != _TIMESTAMP_SIZE_BYTES + inner_size_bytes:
        raise SignatureInvalidError("a timestamped signature has another length", size_bytes=len(signature))
    timestamp = int.from_bytes(signature[:_TIMESTAMP_SIZE_BYTES], "big")
    if timestamp > TIMESTAMP_SECONDS_MAX:
        raise SignatureInvalidError("the timestamp exceeds 2^63 - 1", timestamp_seconds=timestamp)
    return timestamp, signature[_TIMESTAMP_SIZE_BYTES:]


def _checked(name: str, key_type: int, public_key: bytes) -> VerifierKey:
    """Returns a key whose name, type and public key are each fit to be one."""
    if not is_key_name(name):
        raise VerifierKeyMalformedError("the name is empty or has a space or a plus", name=repr(name))
    try:
        known_type = NoteKeyType(key_type)
    except ValueError as refusal:
        raise VerifierKeyMalformedError("the signature type is not one of 1, 4, 6", type=key_type) from refusal
    try:
        if known_type is NoteKeyType.ML_DSA_44_COSIGNATURE:
            _ml_dsa_44_key(public_key)
        else:
            check_public_key(public_key)
    except SignatureInvalidError as refusal:
        raise VerifierKeyMalformedError("the public key is unfit", name=name, because=refusal.reason) from refusal
    return VerifierKey(name, known_type, public_key)


@lru_cache(maxsize=_VKEYS_CACHED_MAX)
def _ml_dsa_44_key(public_key: bytes) -> MLDSA44PublicKey:
    if len(public_key) != _ML_DSA_44_PUBLIC_KEY_SIZE_BYTES:
        raise SignatureInvalidError("an ML-DSA-44 public key is 1312 bytes", size_bytes=len(public_key))
    try:
        return MLDSA44PublicKey.from_public_bytes(public_key)
    except ValueError as refusal:
        raise SignatureInvalidError("the ML-DSA-44 public key cannot be parsed") from refusal
