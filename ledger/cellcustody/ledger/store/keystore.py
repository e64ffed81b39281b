"""The keys of the vault: one random key for each (subject, disclosure class), wrapped under a master key.

The rules:

* The keys lie in a file of their own, outside the ledger's database and its backups, and the master key outside
  both. A backup of the ledger holds nothing that brings back what was shredded.
* Keys are random, never derived from the master key or the subject: a destroyed key cannot be made again.
* A subject is one row with the wrapped keys of every class. It is durable before the ledger commits anything
  sealed under it: `ensure_subjects` is called before the commit, once for a whole group.
* To shred a class, its wrapped key is cut out of the row, the old bytes are overwritten, and the write-ahead log
  is emptied; then it is forgotten in memory. A shredded key is never made anew.
* Unwrapped keys are kept in memory for a bounded number of subjects.

A wrapped key is the class number, a 12-byte nonce, and AES-256-GCM of the key (48 bytes) under the master key,
with the subject and the class as associated data: 61 bytes, so a row's length says how many classes are left.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from threading import RLock
from typing import Final, NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cellcustody.ledger.errors import ConfigurationError, StoreError
from cellcustody.ledger.store.errors import (
    KeyStoreMismatchError,
    ShreddedError,
    SubjectNotFoundError,
    VaultDamagedError,
)
from cellcustody.ledger.store.sqlite import connect_durably, truncate_write_ahead_log

MasterKey = NewType("MasterKey", bytes)

KEY_BYTES: Final = 32  # AES-256.
NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 5.2.1.1: the length for which GCM needs no extra hashing.
TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = 1 + NONCE_BYTES + KEY_BYTES + TAG_BYTES
SUBJECTS_IN_MEMORY_MAX: Final = 4_096  # About 3 MB; the therapies under way at any time are fewer.

_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS subject_keys (subject BLOB PRIMARY KEY, wrapped BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS master_key_check (check_id INTEGER PRIMARY KEY CHECK (check_id = 1), "
    "digest BLOB NOT NULL) STRICT",
)
_SELECT: Final = "SELECT wrapped FROM subject_keys WHERE subject = ?"


class DisclosureClass(IntEnum):
    """The classes by which bodies are opened and shredded; the numbers are those of the contract's option."""

    PUBLIC = 1
    CUSTODY = 2
    QUALITY = 3
    OPERATIONAL = 4
    CLINICAL = 5
    IDENTITY = 6


class KeyStore:
    """Keeps the subjects' keys, makes them durable, gives them to the vault, and destroys them."""

    def __init__(
        self,
        path: Path | str,
        master_key: MasterKey,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
        subjects_in_memory_max: int = SUBJECTS_IN_MEMORY_MAX,
    ) -> None:
        """Opens or makes the key store at `path`.

        Raises:
            KeyStoreMismatchError: it was written under another master key.
            DurabilityRefusedError: SQLite would not promise durability there.
        """
        self._master = AESGCM(master_key)
        self._random_bytes = random_bytes
        self._subjects_in_memory_max = subjects_in_memory_max
        self._unwrapped: OrderedDict[bytes, dict[int, bytes]] = OrderedDict()
        self._ciphers: dict[bytes, dict[int, AESGCM]] = {}  # Of subjects in `_unwrapped`, and gone with them.
        self._lock = RLock()
        if not Path(path).exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._connection = connect_durably(str(path))
        try:
            self._check_master_key(master_key)
        except BaseException:
            self._connection.close()
            raise

    def _check_master_key(self, master_key: MasterKey) -> None:
        digest = hmac.digest(master_key, b"cellcustody/master-key-check/v1", "sha256")
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _CREATE:
            self._connection.execute(statement)
        self._connection.execute("INSERT OR IGNORE INTO master_key_check VALUES (1, ?)", (digest,))
        self._connection.execute("COMMIT")
        (found,) = self._connection.execute("SELECT digest FROM master_key_check").fetchone()
        if not hmac.compare_digest(found, digest):
            raise KeyStoreMismatchError("the key store was written under another master key")

    def ensure_subjects(self, subjects: Iterable[bytes]) -> None:
        """Makes keys for those of `subjects` that have none, durably and in one transaction.

        Raises:
            StoreError: they could not be made durable; nothing may be sealed for them.
        """
        with self._lock:
            new = [s for s in dict.fromkeys(subjects) if s not in self._unwrapped and self._wrapped(s) is None]
            if not new:
                return
            made = {subject: self._new_keys() for subject in new}
            rows = [(subject, self._wrap_all(subject, keys)) for subject, keys in made.items()]
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany("INSERT INTO subject_keys VALUES (?, ?)", rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise StoreError("the subjects' keys could not be made durable", cause=error) from error
            for subject, keys in made.items():
                self._remember(subject, keys)

    def key(self, subject: bytes, disclosure_class: int) -> bytes:
        """Returns the key of that subject and class.

        Raises:
            SubjectNotFoundError: the subject never had keys here.
            ShreddedError: the key was destroyed.
            VaultDamagedError: the wrapped key does not open under the master key.
        """
        with self._lock:
            keys = self._unwrapped.get(subject)
            if keys is None:
                keys = self._load(subject)
                self._remember(subject, keys)
            else:
                self._unwrapped.move_to_end(subject)
            found = keys.get(disclosure_class)
            if found is None:
                raise ShreddedError(
                    "the key of that subject and class was destroyed",
                    subject=subject,
                    disclosure_class=disclosure_class,
                )
            return found

    def cipher(self, subject: bytes, disclosure_class: int) -> AESGCM:
        """Returns the cipher under the key of that subject and class.

        Raises:
            SubjectNotFoundError, ShreddedError, VaultDamagedError: see `key`.
        """
        with self._lock:
            key = self.key(subject, disclosure_class)
            made = self._ciphers.setdefault(subject, {})
            found = made.get(disclosure_class)
            if found is None:
                found = made[disclosure_class] = AESGCM(key)
            return found

    def shred(self, subject: bytes, disclosure_class: int) -> None:
        """Destroys the key of that subject and class for good; doing so again changes nothing.

        Raises:
            SubjectNotFoundError: the subject never had keys here.
            StoreError: the old bytes could not be overwritten everywhere yet; call again.
        """
        with self._lock:
            wrapped = self._wrapped(subject)
            if wrapped is None:
                raise SubjectNotFoundError("the subject never had keys here", subject=subject)
            left = b"".join(part for part in _parts(wrapped) if part[0] != disclosure_class)
            # Forgotten first: whatever happens below, the key is not given out again without the row being read.
            self._unwrapped.pop(subject, None)
            self._ciphers.pop(subject, None)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("UPDATE subject_keys SET wrapped = ? WHERE subject = ?", (left, subject))
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise StoreError("the key could not be destroyed", cause=error) from error
            truncate_write_ahead_log(self._connection)

    def close(self) -> None:
        """Closes the file and forgets every key."""
        with self._lock:
            self._unwrapped.clear()
            self._ciphers.clear()
            self._connection.close()

    def _new_keys(self) -> dict[int, bytes]:
        drawn = self._random_bytes(KEY_BYTES * len(DisclosureClass))
        return {
            number: drawn[at * KEY_BYTES : (at + 1) * KEY_BYTES] for at, number in enumerate(map(int, DisclosureClass))
        }

    def _wrap_all(self, subject: bytes, keys: Mapping[int, bytes]) -> bytes:
        wrapped = []
        for number, key in keys.items():
            nonce = self._random_bytes(NONCE_BYTES)
            wrapped.append(bytes([number]) + nonce + self._master.encrypt(nonce, key, _wrapping_data(subject, number)))
        return b"".join(wrapped)

    def _load(self, subject: bytes) -> dict[int, bytes]:
        wrapped = self._wrapped(subject)
        if wrapped is None:
            raise SubjectNotFoundError("the subject never had keys here", subject=subject)
        keys = {}
        for part in _parts(wrapped):
            nonce, sealed = part[1 : 1 + NONCE_BYTES], part[1 + NONCE_BYTES :]
            try:
                keys[part[0]] = self._master.decrypt(nonce, sealed, _wrapping_data(subject, part[0]))
            except InvalidTag as error:
                raise VaultDamagedError(
                    "a wrapped key does not open under the master key", subject=subject, disclosure_class=part[0]
                ) from error
        return keys

    def _wrapped(self, subject: bytes) -> bytes | None:
        row = self._connection.execute(_SELECT, (subject,)).fetchone()
        return None if row is None else bytes(row[0])

    def _remember(self, subject: bytes, keys: dict[int, bytes]) -> None:
        self._unwrapped[subject] = keys
        while len(self._unwrapped) > self._subjects_in_memory_max:
            forgotten, _ = self._unwrapped.popitem(last=False)
            self._ciphers.pop(forgotten, None)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()


def read_master_key(path: Path | str) -> MasterKey:
    """Reads a master key from a file: 64 hexadecimal digits, in a file that only its owner may read.

    Raises:
        ConfigurationError: the file is missing, open to others, or not such a key.
    """
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(256)
    except OSError as error:
        raise ConfigurationError("the master key file cannot be read", path=path, cause=error.strerror) from error
    if mode & 0o077:
        raise ConfigurationError("the master key file is open to others; set its mode to 0600", path=path)
    return _master_key_from(text.decode("ascii", "replace"), str(path))


def master_key_from_environment(environment: Mapping[str, str], name: str) -> MasterKey:
    """Returns the master key from 64 hexadecimal digits in the variable `name` of `environment`.

    Raises:
        ConfigurationError: the variable is missing or not such a key.
    """
    return _master_key_from(environment.get(name, ""), name)


def write_new_master_key(path: Path | str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> MasterKey:
    """Draws a master key and writes it to a new file that only its owner may read.

    Raises:
        ConfigurationError: the file exists already, or cannot be written.
    """
    key = MasterKey(random_bytes(KEY_BYTES))
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as stream:
            stream.write(key.hex() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigurationError("the master key file cannot be made", path=path, cause=error.strerror) from error
    return key


def _master_key_from(text: str, source: str) -> MasterKey:
    # The text itself is never shown: a mistyped key is still most of one.
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError("a master key is 64 hexadecimal digits", source=source)
    return MasterKey(key)


def _parts(wrapped: bytes) -> list[bytes]:
    return [wrapped[at : at + WRAPPED_BYTES] for at in range(0, len(wrapped), WRAPPED_BYTES)]


def _wrapping_data(subject: bytes, disclosure_class: int) -> bytes:
    return b"cellcustody/subject-key/v1\x00" + bytes([disclosure_class]) + subject


__all__ = [
    "DisclosureClass",
    "KeyStore",
    "MasterKey",
    "master_key_from_environment",
    "read_master_key",
    "write_new_master_key",
]
