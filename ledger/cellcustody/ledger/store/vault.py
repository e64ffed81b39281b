"""The vault: seals a statement's openings by subject and disclosure class, and compares identities by keyed MAC.

The rules:

* A ciphertext is a format byte, a random 12-byte nonce, and AES-256-GCM under the key of the subject and class.
  The statement digest, the class and the subject are associated data: a row moved to another statement, class or
  subject does not open.
* Where the key was shredded, nothing opens, and that is said; it is not mistaken for damage.
* An identity MAC is HMAC-SHA256 under a key derived by HKDF-SHA256 from the subject's IDENTITY key. It tells
  whether two values are the same patient's only while that key exists, and never what they are.
* The key that blinds aliases in the map of heads is derived likewise, from the keys of the log's own stream.
* Values are normalised by the caller; the kind of identifier is part of what is authenticated, with its length, so
  that no value of one kind equals one of another.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.store.errors import VaultDamagedError
from cellcustody.ledger.store.keystore import KEY_BYTES, NONCE_BYTES, DisclosureClass, KeyStore

SEALED_FORMAT: Final = b"\x01"


class Vault:
    """Seals and opens with the keys of a key store; the sealed rows lie in the ledger's store."""

    def __init__(self, keys: KeyStore, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._random_bytes = random_bytes

    def ensure_subjects(self, subjects: Iterable[bytes]) -> None:
        """Makes the keys of a group's new subjects durable; called before the group's rows are sealed."""
        self._keys.ensure_subjects(subjects)

    def seal(self, subject: bytes, disclosure_class: int, statement_digest: bytes, plaintext: bytes) -> bytes:
        """Returns the ciphertext of `plaintext` for that subject, class and statement.

        Raises:
            SubjectNotFoundError: `ensure_subjects` was not called for the subject.
            ShreddedError: the key was destroyed.
        """
        nonce = self._random_bytes(NONCE_BYTES)
        cipher = self._keys.cipher(subject, disclosure_class)
        return (
            SEALED_FORMAT
            + nonce
            + cipher.encrypt(nonce, plaintext, _bound(subject, disclosure_class, statement_digest))
        )

    def open(self, subject: bytes, disclosure_class: int, statement_digest: bytes, ciphertext: bytes) -> bytes:
        """Returns the plaintext sealed for that subject, class and statement.

        Raises:
            SubjectNotFoundError: the subject never had keys here.
            ShreddedError: the key was destroyed.
            VaultDamagedError: the key is there and the ciphertext does not open under it.
        """
        cipher = self._keys.cipher(subject, disclosure_class)
        nonce, sealed = ciphertext[1 : 1 + NONCE_BYTES], ciphertext[1 + NONCE_BYTES :]
        try:
            if ciphertext[:1] != SEALED_FORMAT or len(nonce) != NONCE_BYTES:
                raise InvalidTag
            return cipher.decrypt(nonce, sealed, _bound(subject, disclosure_class, statement_digest))
        except InvalidTag as error:
            raise VaultDamagedError(
                "a vault row does not open under its key",
                statement_digest=statement_digest,
                disclosure_class=disclosure_class,
            ) from error

    def shred(self, subject: bytes, disclosure_class: int) -> None:
        """Destroys the key of that subject and class for good; what was sealed under it is then noise."""
        self._keys.shred(subject, disclosure_class)

    def identity_mac(self, subject: bytes, kind: str, normalised_value: bytes | str) -> bytes:
        """Returns the keyed MAC of a normalised patient identifier of that kind, for comparing with others.

        Raises:
            SubjectNotFoundError: the subject never had keys here.
            ShreddedError: the subject's IDENTITY key was destroyed; nothing can be compared any more.
        """
        mac_key = self._derived(subject, b"cellcustody/identity-mac/v1\x00" + subject)
        value = normalised_value.encode() if isinstance(normalised_value, str) else normalised_value
        encoded_kind = kind.encode()
        return hmac.digest(mac_key, len(encoded_kind).to_bytes(2, "big") + encoded_kind + value, "sha256")

    def alias_key(self, subject: bytes, ledger_id: bytes) -> bytes:
        """Returns the key under which a ledger blinds its aliases, made from the subject's IDENTITY key (32 bytes).

        Raises:
            ShreddedError: that key was destroyed.
        """
        with suppress(StoreError):  # The process that records may be making the same subject's keys.
            self._keys.ensure_subjects([subject])
        return self._derived(subject, b"cellcustody/alias-key/v1\x00" + ledger_id)

    def _derived(self, subject: bytes, info: bytes) -> bytes:
        identity_key = self._keys.key(subject, DisclosureClass.IDENTITY)
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(identity_key)


def _bound(subject: bytes, disclosure_class: int, statement_digest: bytes) -> bytes:
    return b"cellcustody/vault-row/v1\x00" + statement_digest + bytes([disclosure_class]) + subject


__all__ = ["Vault"]
