"""Read, write, sign and verify signed notes (C2SP signed-note).

The rules, in the order they are checked:

* A note is UTF-8 without control characters other than newline: a text ending in newline, an empty line, then one
  or more signature lines, each `— name base64(4-byte key id || signature)`. The last empty line divides.
* A signature line has the em dash, one space, a valid key name, one space, base64 in its one spelling, a newline.
* Signatures by unknown keys are ignored; a key is known by name and id together.
* Every signature by a known key is verified. If one fails, the whole note is refused.
* At least one known key must have signed. Before that, nothing in the text is believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cellcustody.ledger.transparency.encoding import decode_base64, encode_base64
from cellcustody.ledger.transparency.errors import NoteMalformedError, NoteUnsignedError, VerifierKeyMalformedError
from cellcustody.ledger.transparency.note_keys import (
    TIMESTAMP_SECONDS_MAX,
    NoteKeyType,
    VerifierKey,
    cosignature_v1_message,
    format_vkey,
    is_key_name,
    parse_vkey,
    subtree_v1_message,
)

__all__ = [
    "NOTE_SIGNATURES_MAX",
    "NOTE_SIZE_MAX_BYTES",
    "Ed25519Cosigner",
    "Ed25519NoteSigner",
    "Ed25519NoteSignerElsewhere",
    "MlDsa44NoteSigner",
    "Note",
    "NoteSignature",
    "NoteSigner",
    "VerifiedNote",
    "VerifiedSignature",
    "format_note",
    "parse_note",
    "parse_signature_line",
    "sign_note",
    "verify_note",
]

NOTE_SIZE_MAX_BYTES: Final = 1_000_000  # Far above 100 ML-DSA-44 signatures; a bound on what a stranger can send.
NOTE_SIGNATURES_MAX: Final = 100  # The specification asks for at least 16.
_SIGNATURE_PREFIX: Final = "\u2014 "
_KEY_ID_SIZE_BYTES: Final = 4
_CONTROL_CHARACTER: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name and 32-bit id, and the signature behind them."""

    name: str
    key_id: int
    signature: bytes

    def line(self) -> str:
        """The signature line with its newline."""
        encoded = encode_base64(self.key_id.to_bytes(_KEY_ID_SIZE_BYTES, "big") + self.signature)
        return f"{_SIGNATURE_PREFIX}{self.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it was read: nothing in it is verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that a known key made: that key, and the time it claims in seconds (0: no claim; None: no field)."""

    key: VerifierKey
    timestamp_seconds: int | None


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A note's text, and the signatures of known keys that cover it, in the note's order."""

    text: str
    signatures: tuple[VerifiedSignature, ...]


class NoteSigner(Protocol):
    """A key that signs notes; where it lives is its own affair."""

    @property
    def vkey(self) -> str:
        """The verifier key that others check its signatures with."""
        ...

    def sign(self, text: str, timestamp_seconds: int) -> NoteSignature:
        """Returns the signature over the text; the time is that of signing, where the type carries one."""
        ...


class Ed25519NoteSigner:
    """Signs notes under type 01."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.vkey: str = format_vkey(name, NoteKeyType.ED25519, private_key.public_key().public_bytes_raw())

    def sign(self, text: str, timestamp_seconds: int) -> NoteSignature:
        """Returns the signature; this type carries no time."""
        return _line(self.vkey, self._private_key.sign(text.encode()))


class Ed25519NoteSignerElsewhere:
    """Signs notes under type 01 with a key that is kept elsewhere, such as on a token."""

    def __init__(self, name: str, public_key: bytes, sign_message: Callable[[bytes], bytes]) -> None:
        """Takes the 32 bytes of the public key, and what returns the signature over a message."""
        self._sign_message = sign_message
        self.vkey: str = format_vkey(name, NoteKeyType.ED25519, public_key)

    def sign(self, text: str, timestamp_seconds: int) -> NoteSignature:
        """Returns the signature; this type carries no time."""
        return _line(self.vkey, self._sign_message(text.encode()))


class Ed25519Cosigner:
    """Cosigns checkpoints under type 04, as a witness does."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.vkey: str = format_vkey(name, NoteKeyType.ED25519_COSIGNATURE, private_key.public_key().public_bytes_raw())

    def sign(self, text: str, timestamp_seconds: int) -> NoteSignature:
        """Returns the cosignature; the text must be that of a checkpoint and the time not zero."""
        signature = self._private_key.sign(cosignature_v1_message(text, timestamp_seconds))
        return _line(self.vkey, _timestamp(timestamp_seconds) + signature)


class MlDsa44NoteSigner:
    """Signs checkpoints under type 06: as the log, under its origin, or as a witness, under its own name."""

    def __init__(self, name: str, private_key: MLDSA44PrivateKey) -> None:
        self._name = name
        self._private_key = private_key
        self.vkey: str = format_vkey(
            name, NoteKeyType.ML_DSA_44_COSIGNATURE, private_key.public_key().public_bytes_raw()
        )

    def sign(self, text: str, timestamp_seconds: int) -> NoteSignature:
        """Returns the cosignature; the text must be that of a checkpoint and the time not zero."""
        signature = self._private_key.sign(subtree_v1_message(self._name, text, timestamp_seconds))
        return _line(self.vkey, _timestamp(timestamp_seconds) + signature)


def parse_note(raw: bytes) -> Note:
    """Returns text and signatures of a note, unverified.

    Raises:
        NoteMalformedError: the bytes are not in the exact form.
    """
    if len(raw) > NOTE_SIZE_MAX_BYTES:
        raise NoteMalformedError("the note is too large", size_bytes=len(raw))
    if _CONTROL_CHARACTER.search(raw):
        raise NoteMalformedError("the note has a control character")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as refusal:
        raise NoteMalformedError("the note is not UTF-8") from refusal
    divide = whole.rfind("\n\n")
    if divide < 0:
        raise NoteMalformedError("no empty line divides text and signatures")
    text, lines = whole[: divide + 1], whole[divide + 2 :]
    if not lines.endswith("\n"):
        raise NoteMalformedError("the last signature line does not end in a newline")
    signature_lines = lines[:-1].split("\n")
    if len(signature_lines) > NOTE_SIGNATURES_MAX:
        raise NoteMalformedError("too many signatures", signatures=len(signature_lines))
    return Note(text, tuple(parse_signature_line(line + "\n") for line in signature_lines))


def parse_signature_line(line: str) -> NoteSignature:
    """Returns the signature that one line, with its newline, carries.

    Raises:
        NoteMalformedError: the line is not in the exact form.
    """
    if not line.startswith(_SIGNATURE_PREFIX) or not line.endswith("\n"):
        raise NoteMalformedError("a signature line does not begin with an em dash and a space", line=repr(line[:80]))
    name, divider, encoded = line[len(_SIGNATURE_PREFIX) : -1].partition(" ")
    if not divider or not is_key_name(name):
        raise NoteMalformedError("a signature line has no valid key name", line=repr(line[:80]))
    try:
        material = decode_base64(encoded)
    except ValueError as refusal:
        raise NoteMalformedError("a signature is not base64", key=name) from refusal
    if len(material) <= _KEY_ID_SIZE_BYTES:
        raise NoteMalformedError("a signature is missing behind its key id", key=name)
    return NoteSignature(name, int.from_bytes(material[:_KEY_ID_SIZE_BYTES], "big"), material[_KEY_ID_SIZE_BYTES:])


def format_note(text: str, signatures: Sequence[NoteSignature]) -> bytes:
    """Returns the bytes of a note.

    Raises:
        NoteMalformedError: text and signatures make no note that could be read again.
    """
    if not text.endswith("\n"):
        raise NoteMalformedError("the text does not end in a newline")
    raw = (text + "\n" + "".join(signature.line() for signature in signatures)).encode()
    if parse_note(raw) != Note(text, tuple(signatures)):
        raise NoteMalformedError("the note would be read differently")
    return raw


def sign_note(text: str, signers: Sequence[NoteSigner], *, timestamp_seconds: int) -> bytes:
    """Returns the bytes of a note signed by every signer, in their order; the time is seconds since the epoch."""
    return format_note(text, [signer.sign(text, timestamp_seconds) for signer in signers])


def verify_note(raw: bytes, vkeys: Sequence[str]) -> VerifiedNote:
    """Returns the text that known keys signed, and those signatures.

    Args:
        raw: the note.
        vkeys: the known keys, as verifier key texts.

    Raises:
        VerifierKeyMalformedError: a verifier key is malformed, or two different ones share name and id.
        NoteMalformedError: the note is not in its exact form.
        NoteSignatureError: the signature of a known key does not verify.
        NoteUnsignedError: no known key signed.
    """
    known: dict[tuple[str, int], VerifierKey] = {}
    for vkey in vkeys:
        key = parse_vkey(vkey)
        if known.setdefault((key.name, key.id), key) != key:
            raise VerifierKeyMalformedError("two keys share name and id", name=key.name, id=f"{key.id:08x}")

    note = parse_note(raw)
    verified = []
    for signature in note.signatures:
        signing_key = known.get((signature.name, signature.key_id))
        if signing_key is not None:
            timestamp_seconds = signing_key.verify(note.text, signature.signature)
            verified.append(VerifiedSignature(signing_key, timestamp_seconds))
    if not verified:
        raise NoteUnsignedError("no known key signed the note", signatures=len(note.signatures))
    return VerifiedNote(note.text, tuple(verified))


def _line(vkey: str, signature: bytes) -> NoteSignature:
    key = parse_vkey(vkey)
    return NoteSignature(key.name, key.id, signature)


def _timestamp(timestamp_seconds: int) -> bytes:
    """Returns the 8 bytes of a time that says something: zero would be no claim (tlog-cosignature)."""
    if not 0 < timestamp_seconds <= TIMESTAMP_SECONDS_MAX:
        raise NoteMalformedError("a cosignature needs a time", timestamp_seconds=timestamp_seconds)
    return timestamp_seconds.to_bytes(8, "big")
