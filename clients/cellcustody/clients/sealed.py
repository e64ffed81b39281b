"""Seal bytes under a passphrase, for what an outbox keeps and hands over.

The rules:

* scrypt (RFC 7914) makes a key from passphrase and salt; AES-256-GCM seals. Everything beside the ciphertext is
  authenticated with it, so nothing of a file can be swapped.
* The cost stands in the file, and a reader refuses one that is out of bounds before it spends memory on it.
* A file is JSON with sorted keys. It is written whole or not at all, readable by its owner alone, and never over
  another file.
* A wrong passphrase and an altered file look the same, as they must.

Randomness is passed in.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cellcustody.ledger.errors import ConfigurationError

__all__ = [
    "SCRYPT_COST_LOG2",
    "SealedFileError",
    "derive_key",
    "open_sealed",
    "read_sealed",
    "seal",
    "write_new_file",
]

SCRYPT_COST_LOG2: Final = 17
"""128 MiB and about half a second for each guess; what OWASP recommends for scrypt with r = 8, p = 1."""

_COST_LOG2_MIN: Final = 10  # Below this a passphrase is hardly hidden at all.
_COST_LOG2_MAX: Final = 20  # 1 GiB; a file that asks for more would only exhaust its reader.
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class SealedFileError(ConfigurationError):
    """Raised when a sealed file is not in its form, or the passphrase does not open it."""

    reason = "SEALED_FILE_UNUSABLE"


def derive_key(passphrase: str, salt: bytes, cost_log2: int) -> bytes:
    """Returns the 32 bytes that scrypt makes of a passphrase.

    Raises:
        SealedFileError: the passphrase is empty or the cost is out of bounds.
    """
    if not passphrase:
        raise SealedFileError("a passphrase is empty")
    if not _COST_LOG2_MIN <= cost_log2 <= _COST_LOG2_MAX:
        raise SealedFileError("the cost of scrypt is out of bounds", cost_log2=cost_log2)
    return Scrypt(salt=salt, length=_KEY_BYTES, n=1 << cost_log2, r=8, p=1).derive(passphrase.encode())


def seal(
    secret: bytes,
    passphrase: str,
    clear: Mapping[str, str],
    *,
    random_bytes: Callable[[int], bytes],
    cost_log2: int = SCRYPT_COST_LOG2,
) -> bytes:
    """Returns a sealed file of `secret`; `clear` stands readable in it and is authenticated with it."""
    salt, nonce = random_bytes(_SALT_BYTES), random_bytes(_NONCE_BYTES)
    head: dict[str, object] = {
        **clear,
        "cipher": "AES-256-GCM",
        "kdf": "scrypt",
        "kdf_cost_log2": cost_log2,
        "kdf_salt": _to_text(salt),
        "nonce": _to_text(nonce),
    }
    key = derive_key(passphrase, salt, cost_log2)
    head["ciphertext"] = _to_text(AESGCM(key).encrypt(nonce, secret, _canonical(head)))
    return json.dumps(head, sort_keys=True, indent=1).encode() + b"\n"


def read_sealed(raw: bytes) -> dict[str, str]:
    """Returns the clear texts of a sealed file, unauthenticated: it has not been opened.

    Raises:
        SealedFileError: it is none.
    """
    return {name: value for name, value in _parse(raw).items() if isinstance(value, str)}


def open_sealed(raw: bytes, passphrase: str) -> tuple[bytes, dict[str, str]]:
    """Returns what a sealed file hides, and its clear texts, both authenticated.

    Raises:
        SealedFileError: it is none, or the passphrase does not open it.
    """
    head = _parse(raw)
    cost_log2 = head.get("kdf_cost_log2")
    if head.get("cipher") != "AES-256-GCM" or head.get("kdf") != "scrypt" or not isinstance(cost_log2, int):
        raise SealedFileError("a sealed file names another cipher or derivation")
    ciphertext = _from_text(head.pop("ciphertext", None))
    salt, nonce = _from_text(head.get("kdf_salt")), _from_text(head.get("nonce"))
    if len(nonce) != _NONCE_BYTES:
        raise SealedFileError("a sealed file has another nonce", length=len(nonce))
    key = derive_key(passphrase, salt, cost_log2)
    try:
        secret = AESGCM(key).decrypt(nonce, ciphertext, _canonical(head))
    except InvalidTag as refusal:
        raise SealedFileError("the passphrase is wrong, or the file was altered") from refusal
    return secret, {name: value for name, value in head.items() if isinstance(value, str)}


def write_new_file(path: Path, content: bytes) -> None:
    """Writes a file that its owner alone may read, durably, and never over another.

    Raises:
        SealedFileError: there is a file of that name already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refusal:
        raise SealedFileError("the file cannot be created", path=path, because=refusal.strerror) from refusal
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _parse(raw: bytes) -> dict[str, object]:
    try:
        parsed: object = json.loads(raw)
    except (ValueError, RecursionError) as refusal:
        raise SealedFileError("a sealed file is JSON") from refusal
    if not isinstance(parsed, dict):
        raise SealedFileError("a sealed file is a JSON object")
    return {str(name): value for name, value in parsed.items()}


def _canonical(head: Mapping[str, object]) -> bytes:
    return json.dumps(dict(head), sort_keys=True, separators=(",", ":")).encode()


def _to_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from_text(text: object) -> bytes:
    if not isinstance(text, str):
        raise SealedFileError("a sealed file lacks a part")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as refusal:
        raise SealedFileError("a part of a sealed file is not base64") from refusal
