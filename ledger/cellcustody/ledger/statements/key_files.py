"""Keep private keys in files under a passphrase.

The rules:

* A file holds one secret of 32 bytes: an Ed25519 seed, a P-256 scalar or an ML-DSA seed. Its kind says what it signs:
  statements (`ed25519`, `p-256`, `ml-dsa-65`), notes of a log (`note-ed25519`, `note-ml-dsa-44`), or checkpoints of
  others as a witness (`cosignature-ed25519`, `note-ml-dsa-44`).
* The secret is sealed with AES-256-GCM under a key that scrypt (RFC 7914) makes of the passphrase. Everything else in
  the file is authenticated with it: kind, name, holder, public key, cost and salt cannot be exchanged unseen.
* The file is JSON with exactly the fields of its format; another field, or a cost outside the bounds, is refused
  before any work is done.
* Only the owner may read it: it is made with mode 0600, never over an existing file, and refused on reading when
  others may read it.
* After opening, the public key made from the secret must be the one that the file names.

Randomness is passed in. Passphrases are text, taken in Unicode normalisation form C.
"""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements.keys import Ed25519Signer, MlDsa65Signer, P256Signer, Signer
from cellcustody.ledger.transparency.notes import Ed25519Cosigner, Ed25519NoteSigner, MlDsa44NoteSigner, NoteSigner

__all__ = [
    "COST_DEFAULT",
    "COST_LIGHT",
    "Cost",
    "KeyFile",
    "KeyFileError",
    "KeyKind",
    "PassphraseWrongError",
    "create_key_file",
    "load_note_signer",
    "load_signer",
    "new_secret",
    "note_signer_of",
    "read_key_file",
    "signer_of",
]

FORMAT: Final = "cellcustody-key-1"
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 5.2.1.1.
TAG_BYTES: Final = 16
HOLDER_BYTES: Final = 16
FILE_BYTES_MAX: Final = 16_384  # The longest, with an ML-DSA-65 public key in hex, has under 5 KiB.
_BLOCK_SIZE: Final = 8  # scrypt's r; memory is 128 * r * n bytes.


@dataclass(frozen=True, slots=True)
class Cost:
    """What opening a file costs: scrypt's n as a power of two, and p; r is always 8."""

    n_log2: int
    p: int

    def __post_init__(self) -> None:
        # Above the upper bounds a forged file would take gigabytes or minutes before it is refused.
        if not (13 <= self.n_log2 <= 20 and 1 <= self.p <= 16):
            raise KeyFileError("the cost of a key file is out of bounds", n_log2=self.n_log2, p=self.p)


class KeyKind(StrEnum):
    """What a key file's secret is."""

    ED25519 = "ed25519"
    P256 = "p-256"
    ML_DSA_65 = "ml-dsa-65"
    NOTE_ED25519 = "note-ed25519"
    NOTE_ML_DSA_44 = "note-ml-dsa-44"
    COSIGNATURE_ED25519 = "cosignature-ed25519"

    @property
    def signs_notes(self) -> bool:
        """Tells whether this key signs checkpoints, as a log or as a witness; otherwise it signs statements."""
        return self in (KeyKind.NOTE_ED25519, KeyKind.NOTE_ML_DSA_44, KeyKind.COSIGNATURE_ED25519)


class KeyFileError(ConfigurationError):
    """Raised when a key file is missing, not in its exact form, open to others, or cannot be made."""

    reason = "KEY_FILE_INVALID"


class PassphraseWrongError(ConfigurationError):
    """Raised when a key file does not open: the passphrase is another, or something in the file was altered."""

    reason = "PASSPHRASE_WRONG"


COST_DEFAULT: Final = Cost(n_log2=15, p=3)
"""32 MiB and about 0.2 s: one of the settings of equal strength that OWASP's password storage sheet names."""

COST_LIGHT: Final = Cost(n_log2=13, p=1)
"""For passphrases that are drawn at random, where guessing is hopeless at any cost, and for tests."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file as read, still sealed."""

    kind: KeyKind
    name: str
    """The key name of a note key; a free label of another."""

    holder: bytes
    """The person or device that the key belongs to, 16 bytes, or empty."""

    public_key: str
    """The SubjectPublicKeyInfo in lower-case hex, or the verifier key text of a note key."""

    cost: Cost
    salt: bytes
    nonce: bytes
    sealed: bytes

    def head(self) -> dict[str, str | int]:
        """Everything but the sealed secret, as it stands in the file and is authenticated."""
        return {
            "format": FORMAT,
            "kind": self.kind.value,
            "name": self.name,
            "holder": self.holder.hex(),
            "public_key": self.public_key,
            "scrypt_n_log2": self.cost.n_log2,
            "scrypt_p": self.cost.p,
            "salt": self.salt.hex(),
            "nonce": self.nonce.hex(),
        }

    def secret(self, passphrase: str) -> bytes:
        """Returns the 32 bytes that the file keeps.

        Raises:
            PassphraseWrongError: it does not open.
        """
        cipher = AESGCM(_derive(passphrase, self.salt, self.cost))
        try:
            return cipher.decrypt(self.nonce, self.sealed, _authenticated(self.head()))
        except InvalidTag as refusal:
            raise PassphraseWrongError("the key file does not open", name=self.name, kind=self.kind) from refusal


def new_secret(random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """Returns 32 fresh random bytes, fit as the secret of every kind.

    A P-256 scalar lies below the order; random bytes miss that with a chance of 2^-32, so such are drawn again.
    """
    while True:
        secret = random_bytes(SECRET_BYTES)
        if b"\x00" * SECRET_BYTES < secret < b"\xff\xff\xff\xff" + b"\x00" * 28:
            return secret


def signer_of(kind: KeyKind, secret: bytes) -> Signer:
    """Returns the signer of statements that a secret makes.

    Raises:
        KeyFileError: keys of this kind sign notes.
    """
    match kind:
        case KeyKind.ED25519:
            return Ed25519Signer(secret)
        case KeyKind.P256:
            return P256Signer(secret)
        case KeyKind.ML_DSA_65:
            return MlDsa65Signer(secret)
        case KeyKind.NOTE_ED25519 | KeyKind.NOTE_ML_DSA_44 | KeyKind.COSIGNATURE_ED25519:
            raise KeyFileError("a key of this kind signs notes, not statements", kind=kind)
        case _:
            assert_never(kind)


def note_signer_of(kind: KeyKind, name: str, secret: bytes) -> NoteSigner:
    """Returns the signer of checkpoints that a secret makes; `name` is its key name.

    Raises:
        KeyFileError: keys of this kind sign statements.
    """
    match kind:
        case KeyKind.NOTE_ED25519:
            return Ed25519NoteSigner(name, Ed25519PrivateKey.from_private_bytes(secret))
        case KeyKind.NOTE_ML_DSA_44:
            return MlDsa44NoteSigner(name, MLDSA44PrivateKey.from_seed_bytes(secret))
        case KeyKind.COSIGNATURE_ED25519:
            return Ed25519Cosigner(name, Ed25519PrivateKey.from_private_bytes(secret))
        case KeyKind.ED25519 | KeyKind.P256 | KeyKind.ML_DSA_65:
            raise KeyFileError("a key of this kind signs statements, not notes", kind=kind)
        case _:
            assert_never(kind)


def create_key_file(
    path: Path | str,
    kind: KeyKind,
    secret: bytes,
    passphrase: str,
    *,
    name: str = "",
    holder: bytes = b"",
    cost: Cost = COST_DEFAULT,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> KeyFile:
    """Writes a secret to a new file that only its owner may read, durably, and returns what stands in it.

    Raises:
        KeyFileError: the file exists already or cannot be written, or the passphrase is empty.
    """
    if not passphrase:
        raise KeyFileError("a passphrase has at least one character", path=path)
    if len(holder) not in (0, HOLDER_BYTES):
        raise KeyFileError("a holder has 16 bytes", length=len(holder))
    salt, nonce = random_bytes(SALT_BYTES), random_bytes(NONCE_BYTES)
    opened = KeyFile(kind, name, holder, _public_text(kind, name, secret), cost, salt, nonce, b"")
    head = opened.head()
    sealed = AESGCM(_derive(passphrase, salt, cost)).encrypt(nonce, secret, _authenticated(head))
    text = json.dumps({**head, "sealed": sealed.hex()}, indent=1, ensure_ascii=False) + "\n"
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as defect:
        raise KeyFileError("the key file cannot be made", path=path, cause=defect.strerror) from defect
    return KeyFile(kind, name, holder, opened.public_key, cost, salt, nonce, sealed)


def read_key_file(path: Path | str) -> KeyFile:
    """Returns a key file, still sealed.

    Raises:
        KeyFileError: it is missing, open to others, or not in its exact form.
    """
    try:
        with open(path, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as defect:
        raise KeyFileError("the key file cannot be read", path=path, cause=defect.strerror) from defect
    if mode & 0o077:
        raise KeyFileError("the key file is open to others; set its mode to 0600", path=path)
    if len(raw) > FILE_BYTES_MAX:
        raise KeyFileError("the file is too large for a key file", path=path)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as defect:
        raise KeyFileError("the key file is not JSON", path=path) from defect
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise KeyFileError("the file is not a key file of this format", path=path)
    return _parse(content, path)


def load_signer(path: Path | str, passphrase: str) -> Signer:
    """Returns the signer of statements in a key file.

    Raises:
        KeyFileError: the file is not one, or its key signs notes.
        PassphraseWrongError: it does not open.
    """
    file = read_key_file(path)
    if file.kind.signs_notes:
        raise KeyFileError("a key of this kind signs notes, not statements", path=path, kind=file.kind)
    return signer_of(file.kind, _opened(file, passphrase, path))


def load_note_signer(path: Path | str, passphrase: str) -> NoteSigner:
    """Returns the signer of checkpoints in a key file.

    Raises:
        KeyFileError: the file is not one, or its key signs statements.
        PassphraseWrongError: it does not open.
    """
    file = read_key_file(path)
    if not file.kind.signs_notes:
        raise KeyFileError("a key of this kind signs statements, not notes", path=path, kind=file.kind)
    return note_signer_of(file.kind, file.name, _opened(file, passphrase, path))


def _opened(file: KeyFile, passphrase: str, path: Path | str) -> bytes:
    secret = file.secret(passphrase)
    if len(secret) != SECRET_BYTES or _public_text(file.kind, file.name, secret) != file.public_key:
        raise KeyFileError("the secret is not that of the public key in the file", path=path)
    return secret


def _public_text(kind: KeyKind, name: str, secret: bytes) -> str:
    if kind.signs_notes:
        return note_signer_of(kind, name, secret).vkey
    return signer_of(kind, secret).public_key_spki.hex()


def _derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    kdf = Scrypt(salt=salt, length=32, n=1 << cost.n_log2, r=_BLOCK_SIZE, p=cost.p)
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())


def _authenticated(head: dict[str, str | int]) -> bytes:
    return json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _parse(content: dict[object, object], path: Path | str) -> KeyFile:
    taken = dict(content)
    del taken["format"]

    def text(field: str) -> str:
        value = taken.pop(field, None)
        if not isinstance(value, str):
            raise KeyFileError("a field of the key file is missing or not text", path=path, field=field)
        return value

    def raw(field: str, *lengths: int) -> bytes:
        value = text(field)
        try:
            found = bytes.fromhex(value)
        except ValueError as defect:
            raise KeyFileError("a field of the key file is not hex", path=path, field=field) from defect
        if found.hex() != value or len(found) not in lengths:
            raise KeyFileError("a field of the key file has another length or form", path=path, field=field)
        return found

    def number(field: str) -> int:
        value = taken.pop(field, None)
        if not isinstance(value, int) or isinstance(value, bool):
            raise KeyFileError("a field of the key file is missing or not a number", path=path, field=field)
        return value

    kind_text = text("kind")
    try:
        kind = KeyKind(kind_text)
    except ValueError as defect:
        raise KeyFileError("no such kind of key", path=path, kind=kind_text) from defect
    file = KeyFile(
        kind=kind,
        name=text("name"),
        holder=raw("holder", 0, HOLDER_BYTES),
        public_key=text("public_key"),
        cost=Cost(number("scrypt_n_log2"), number("scrypt_p")),
        salt=raw("salt", SALT_BYTES),
        nonce=raw("nonce", NONCE_BYTES),
        sealed=raw("sealed", SECRET_BYTES + TAG_BYTES),
    )
    if taken:
        raise KeyFileError("the key file has fields too many", path=path, field=" ".join(sorted(map(str, taken))))
    return file
