"""The vault opens what was sealed, for whom it was sealed, until it is shredded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.errors import ConfigurationError, FatalStoreError
from cellcustody.ledger.store import (
    DisclosureClass,
    KeyStore,
    KeyStoreMismatchError,
    MasterKey,
    ShreddedError,
    SubjectNotFoundError,
    Vault,
    VaultDamagedError,
    master_key_from_environment,
    read_master_key,
    write_new_master_key,
)

MASTER = MasterKey(bytes(range(32)))
THERAPY = bytes([1]) + bytes(16)
OTHER_THERAPY = bytes([1]) + bytes([7]) * 16
DIGEST, OTHER_DIGEST = bytes([1]) * 32, bytes([2]) * 32
CLINICAL, IDENTITY = DisclosureClass.CLINICAL, DisclosureClass.IDENTITY
SECRET = b"opening of an identity field"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.sqlite3"


@pytest.fixture
def keys(path: Path) -> Iterator[KeyStore]:
    keys = KeyStore(path, MASTER)
    keys.ensure_subjects([THERAPY, OTHER_THERAPY])
    yield keys
    keys.close()


@pytest.fixture
def vault(keys: KeyStore) -> Vault:
    return Vault(keys)


def files_of(path: Path) -> bytes:
    """Returns every byte of the key store and its write-ahead log."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name))


def wrapped_row(path: Path, subject: bytes = THERAPY) -> bytes:
    connection = sqlite3.connect(path)
    (wrapped,) = connection.execute("SELECT wrapped FROM subject_keys WHERE subject = ?", (subject,)).fetchone()
    connection.close()
    return bytes(wrapped)


def test_what_was_sealed_opens(vault: Vault) -> None:
    """Every class of a subject has a key, and the ciphertext holds nothing readable."""
    for disclosure_class in DisclosureClass:
        sealed = vault.seal(THERAPY, disclosure_class, DIGEST, SECRET)
        assert SECRET not in sealed
        assert vault.open(THERAPY, disclosure_class, DIGEST, sealed) == SECRET


def test_the_same_plaintext_never_seals_the_same(vault: Vault) -> None:
    """Nonces are drawn anew, so equal contents do not show."""
    assert vault.seal(THERAPY, CLINICAL, DIGEST, SECRET) != vault.seal(THERAPY, CLINICAL, DIGEST, SECRET)


@pytest.mark.parametrize(
    ("subject", "disclosure_class", "digest"),
    [(OTHER_THERAPY, IDENTITY, DIGEST), (THERAPY, CLINICAL, DIGEST), (THERAPY, IDENTITY, OTHER_DIGEST)],
)
def test_a_row_moved_elsewhere_does_not_open(
    vault: Vault, subject: bytes, disclosure_class: DisclosureClass, digest: bytes
) -> None:
    """Subject, class and statement are authenticated with the content."""
    sealed = vault.seal(THERAPY, IDENTITY, DIGEST, SECRET)
    with pytest.raises(VaultDamagedError):
        vault.open(subject, disclosure_class, digest, sealed)


@pytest.mark.parametrize(
    ("subject", "disclosure_class", "digest"),
    [(OTHER_THERAPY, IDENTITY, DIGEST), (THERAPY, CLINICAL, DIGEST), (THERAPY, IDENTITY, OTHER_DIGEST)],
)
def test_a_moved_row_does_not_open_even_under_the_same_key(
    path: Path, subject: bytes, disclosure_class: DisclosureClass, digest: bytes
) -> None:
    """With a broken source of randomness every key is the same, and where a row belongs is still authenticated."""
    keys = KeyStore(path, MASTER, random_bytes=bytes)
    keys.ensure_subjects([THERAPY, OTHER_THERAPY])
    vault = Vault(keys, random_bytes=bytes)
    sealed = vault.seal(THERAPY, IDENTITY, DIGEST, SECRET)
    assert keys.key(subject, disclosure_class) == keys.key(THERAPY, IDENTITY)
    with pytest.raises(VaultDamagedError):
        vault.open(subject, disclosure_class, digest, sealed)
    assert vault.open(THERAPY, IDENTITY, DIGEST, sealed) == SECRET
    keys.close()


def test_every_altered_byte_is_noticed(vault: Vault) -> None:
    """Format, nonce, content and tag: no byte of a ciphertext can change, and none can be missing."""
    sealed = vault.seal(THERAPY, IDENTITY, DIGEST, SECRET)
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x80
        for wrong in (bytes(altered), sealed[:at]):
            with pytest.raises(VaultDamagedError):
                vault.open(THERAPY, IDENTITY, DIGEST, wrong)


def test_nothing_is_sealed_without_a_durable_key(vault: Vault) -> None:
    """A subject whose keys were not made first is refused, not given keys on the way."""
    with pytest.raises(SubjectNotFoundError):
        vault.seal(bytes([1]) + bytes([9]) * 16, CLINICAL, DIGEST, SECRET)


def test_keys_are_on_the_disk_before_ensure_returns(path: Path, keys: KeyStore) -> None:
    """Another process that opens the key store then reads what was sealed, without this one closing."""
    sealed = Vault(keys).seal(THERAPY, CLINICAL, DIGEST, SECRET)
    again = KeyStore(path, MASTER)
    assert Vault(again).open(THERAPY, CLINICAL, DIGEST, sealed) == SECRET
    again.close()


def test_a_key_is_never_made_twice(path: Path, keys: KeyStore) -> None:
    """Asking again for a subject changes nothing, in this process or the next."""
    before = wrapped_row(path)
    keys.ensure_subjects([THERAPY, THERAPY])
    again = KeyStore(path, MASTER)
    again.ensure_subjects([THERAPY])
    again.close()
    assert wrapped_row(path) == before


def test_shredding_takes_one_class(vault: Vault) -> None:
    """The shredded class says so; the subject's other classes and other subjects still open."""
    sealed = {number: vault.seal(THERAPY, number, DIGEST, SECRET) for number in DisclosureClass}
    others = vault.seal(OTHER_THERAPY, IDENTITY, DIGEST, SECRET)

    vault.shred(THERAPY, IDENTITY)

    with pytest.raises(ShreddedError):
        vault.open(THERAPY, IDENTITY, DIGEST, sealed[IDENTITY])
    with pytest.raises(ShreddedError):
        vault.seal(THERAPY, IDENTITY, DIGEST, SECRET)
    with pytest.raises(ShreddedError):
        vault.identity_mac(THERAPY, "mrn", "A9999")
    for number in set(DisclosureClass) - {IDENTITY}:
        assert vault.open(THERAPY, number, DIGEST, sealed[number]) == SECRET
    assert vault.open(OTHER_THERAPY, IDENTITY, DIGEST, others) == SECRET


def test_no_byte_of_a_shredded_key_is_left(path: Path, vault: Vault) -> None:
    """Neither the file nor its write-ahead log holds the wrapped key any more."""
    row = wrapped_row(path)
    parts = {row[at]: row[at + 1 : at + 61] for at in range(0, len(row), 61)}
    assert parts[IDENTITY] in files_of(path)

    vault.shred(THERAPY, IDENTITY)

    left = files_of(path)
    assert parts[IDENTITY] not in left
    assert parts[IDENTITY][:16] not in left and parts[IDENTITY][-16:] not in left
    assert parts[CLINICAL] in left


def test_a_shredded_key_does_not_come_back(path: Path, vault: Vault, keys: KeyStore) -> None:
    """Neither a second shredding, nor a new opening, nor making the subject sure brings a key."""
    vault.shred(THERAPY, IDENTITY)
    vault.shred(THERAPY, IDENTITY)
    keys.ensure_subjects([THERAPY])
    again = KeyStore(path, MASTER)
    again.ensure_subjects([THERAPY])
    for store in (keys, again):
        with pytest.raises(ShreddedError):
            store.key(THERAPY, IDENTITY)
    again.close()


def test_an_unknown_subject_is_not_shredded(vault: Vault) -> None:
    """Shredding what never was is a mistake worth hearing of."""
    with pytest.raises(SubjectNotFoundError):
        vault.shred(bytes([1]) + bytes([9]) * 16, IDENTITY)


def test_few_keys_are_kept_in_memory_and_all_are_found(path: Path) -> None:
    """With room for two subjects, fifty are still served, from the file."""
    keys = KeyStore(path, MASTER, subjects_in_memory_max=2)
    subjects = [bytes([1]) + bytes([number]) * 16 for number in range(50)]
    keys.ensure_subjects(subjects)
    first = [keys.key(subject, CLINICAL) for subject in subjects]
    assert len(set(first)) == 50
    assert [keys.key(subject, CLINICAL) for subject in reversed(subjects)] == first[::-1]
    keys.close()


# The master key.


def test_another_master_key_is_refused_at_once(path: Path, keys: KeyStore) -> None:
    """A wrong master key is noticed on opening, before anything is sealed under keys nobody can unwrap."""
    with pytest.raises(KeyStoreMismatchError) as stop:
        KeyStore(path, MasterKey(bytes(32)))
    assert isinstance(stop.value, FatalStoreError)


def test_a_wrapped_key_moved_to_another_subject_does_not_open(path: Path, keys: KeyStore) -> None:
    """Subject and class are authenticated with the wrapped key."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE subject_keys SET wrapped = ? WHERE subject = ?", (wrapped_row(path), OTHER_THERAPY))
    connection.close()
    again = KeyStore(path, MASTER)
    with pytest.raises(VaultDamagedError):
        again.key(OTHER_THERAPY, CLINICAL)
    again.close()


def test_no_key_lies_in_the_clear(path: Path, keys: KeyStore) -> None:
    """Neither the subject's keys nor the master key are in the file."""
    content = files_of(path)
    assert all(keys.key(THERAPY, number) not in content for number in DisclosureClass)
    assert bytes(MASTER) not in content
    assert path.stat().st_mode & 0o077 == 0


def test_a_master_key_is_read_from_a_private_file(tmp_path: Path) -> None:
    """A key written is the key read; a file open to others, or an existing one, is refused."""
    file = tmp_path / "master.key"
    key = write_new_master_key(file)
    assert read_master_key(file) == key
    with pytest.raises(ConfigurationError):
        write_new_master_key(file)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="0600"):
        read_master_key(file)


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33])
def test_a_malformed_master_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    """A mistyped key is refused from either source, and its text is in no message."""
    file = tmp_path / "master.key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError) as from_file:
        read_master_key(file)
    with pytest.raises(ConfigurationError) as from_variable:
        master_key_from_environment({"KEY": text}, "KEY")
    for refusal in (from_file, from_variable):
        assert not text or text not in str(refusal.value)


def test_a_master_key_is_read_from_the_environment_given() -> None:
    """The variable holds 64 hexadecimal digits."""
    assert master_key_from_environment({"KEY": MASTER.hex()}, "KEY") == MASTER
    with pytest.raises(ConfigurationError):
        master_key_from_environment({}, "KEY")


# Identity MACs.


def test_an_identity_mac_compares_and_does_not_tell(vault: Vault) -> None:
    """The same value of the same patient has the same MAC; any other kind, value or patient has another."""
    mac = vault.identity_mac(THERAPY, "mrn", "A9999-0001")
    assert len(mac) == 32
    assert vault.identity_mac(THERAPY, "mrn", b"A9999-0001") == mac
    others = {
        vault.identity_mac(THERAPY, "mrn", "A9999-0002"),
        vault.identity_mac(THERAPY, "mr", "nA9999-0001"),
        vault.identity_mac(THERAPY, "name", "A9999-0001"),
        vault.identity_mac(OTHER_THERAPY, "mrn", "A9999-0001"),
    }
    assert len(others) == 4
    assert mac not in others


def test_an_identity_mac_is_the_same_after_reopening(path: Path, keys: KeyStore) -> None:
    """Checks years later compare with what enrolment stored."""
    again = KeyStore(path, MASTER)
    assert Vault(again).identity_mac(THERAPY, "mrn", "x") == Vault(keys).identity_mac(THERAPY, "mrn", "x")
    again.close()
