"""Key files: what opens, what does not, and who may read them."""

import json
import stat
from pathlib import Path

import pytest

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements import parse_public_key, verify
from cellcustody.ledger.statements.key_files import (
    COST_LIGHT,
    KeyFileError,
    KeyKind,
    PassphraseWrongError,
    create_key_file,
    load_note_signer,
    load_signer,
    new_secret,
    read_key_file,
)
from cellcustody.ledger.transparency import sign_note, verify_note

PASSPHRASE = "correct horse"
STATEMENT_KINDS = [KeyKind.ED25519, KeyKind.P256, KeyKind.ML_DSA_65]


def made(path: Path, kind: KeyKind = KeyKind.ED25519) -> Path:
    """A key file of that kind."""
    create_key_file(path, kind, new_secret(), PASSPHRASE, name="log.example", holder=bytes(16), cost=COST_LIGHT)
    return path


def altered(path: Path, **fields: object) -> Path:
    """The same file with some fields replaced; None takes a field out."""
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return path


@pytest.mark.parametrize("kind", STATEMENT_KINDS)
def test_a_signer_comes_back_with_the_same_key(tmp_path: Path, kind: KeyKind) -> None:
    path = made(tmp_path / "key", kind)

    signer = load_signer(path, PASSPHRASE)

    assert signer.public_key_spki.hex() == read_key_file(path).public_key
    verify(parse_public_key(signer.public_key_spki), signer.sign(b"said"), b"said")


def test_a_note_signer_comes_back_with_the_same_key(tmp_path: Path) -> None:
    path = made(tmp_path / "key", KeyKind.NOTE_ED25519)

    signer = load_note_signer(path, PASSPHRASE)

    note = sign_note("said\n", [signer], timestamp_seconds=1)
    assert verify_note(note, [read_key_file(path).public_key]).text == "said\n"


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = made(tmp_path / "key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.chmod(0o640)

    with pytest.raises(KeyFileError, match="open to others"):
        load_signer(path, PASSPHRASE)


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    path = made(tmp_path / "key")
    before = path.read_bytes()

    with pytest.raises(KeyFileError, match="cannot be made"):
        made(path)

    assert path.read_bytes() == before


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(PassphraseWrongError):
        load_signer(made(tmp_path / "key"), "wrong horse")


def test_a_composed_and_a_decomposed_passphrase_are_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key_file(path, KeyKind.ED25519, new_secret(), "Z\u00fcrich", cost=COST_LIGHT)

    assert load_signer(path, "Zu\u0308rich").key_id


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "other.example"},
        {"holder": "01" * 16},
        {"kind": "p-256"},
        {"public_key": "00"},
        {"salt": "00" * 16},
        {"scrypt_p": 2},
        {"sealed": "00" * 48},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_field_exchanged_is_noticed(tmp_path: Path, fields: dict[str, object]) -> None:
    path = altered(made(tmp_path / "key"), **fields)

    with pytest.raises(PassphraseWrongError):
        load_signer(path, PASSPHRASE)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "cellcustody-key-2"},
        {"kind": "rsa"},
        {"salt": None},
        {"salt": "00"},
        {"salt": "0G" * 16},
        {"sealed": "AA" * 48},
        {"scrypt_n_log2": 40},
        {"scrypt_n_log2": True},
        {"scrypt_p": 0},
        {"surplus": "x"},
    ],
    ids=lambda fields: "-".join(f"{name}={str(value)[:4]}" for name, value in fields.items()),
)
def test_what_is_not_in_the_exact_form_is_refused_before_any_work(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(KeyFileError):
        read_key_file(altered(made(tmp_path / "key"), **fields))


def test_a_note_key_signs_no_statements_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="signs notes"):
        load_signer(made(tmp_path / "log", KeyKind.NOTE_ML_DSA_44), PASSPHRASE)
    with pytest.raises(KeyFileError, match="signs statements"):
        load_note_signer(made(tmp_path / "person"), PASSPHRASE)


def test_an_empty_passphrase_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least one character"):
        create_key_file(tmp_path / "key", KeyKind.ED25519, new_secret(), "")
