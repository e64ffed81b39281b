"""Keys lie in files that give nothing away without their passphrase."""

import json
from pathlib import Path

import pytest

from cellcustody.clients import create_key_file, enrolled_key, open_key_file, read_passphrase
from cellcustody.clients.signers import COST_LIGHT, KeyKind, public_key_of_file
from cellcustody.ledger.registry.possession import verify_possession
from cellcustody.ledger.statements import parse_public_key, verify
from cellcustody.ledger.statements.key_files import KeyFileError, PassphraseWrongError


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.P256, KeyKind.ML_DSA_65])
def test_an_opened_key_signs_for_the_one_that_was_made(tmp_path: Path, kind: KeyKind) -> None:
    """The file opens to a signer whose signatures the public key verifies."""
    path = tmp_path / "nurse.key"
    made = create_key_file(path, "correct horse", kind=kind, cost=COST_LIGHT)

    opened = open_key_file(path, "correct horse")

    verify(parse_public_key(made.public_key_spki), opened.sign(b"message"), b"message")
    assert public_key_of_file(path) == opened.public_key_spki
    assert path.stat().st_mode & 0o077 == 0


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    """It looks like an altered file."""
    path = tmp_path / "nurse.key"
    create_key_file(path, "correct horse", cost=COST_LIGHT)

    with pytest.raises(PassphraseWrongError):
        open_key_file(path, "battery staple")


def test_an_altered_file_opens_nothing(tmp_path: Path) -> None:
    """What stands readable is authenticated too: a swapped public key is found."""
    path = tmp_path / "nurse.key"
    create_key_file(path, "correct horse", cost=COST_LIGHT)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"holder": "00" * 16}))

    with pytest.raises(PassphraseWrongError):
        open_key_file(path, "correct horse")


def test_a_file_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    """The cost is checked before it is spent."""
    path = tmp_path / "nurse.key"
    create_key_file(path, "correct horse", cost=COST_LIGHT)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"scrypt_n_log2": 40}))

    with pytest.raises(KeyFileError, match="cost"):
        open_key_file(path, "correct horse")


def test_no_key_file_is_overwritten(tmp_path: Path) -> None:
    """A lost key is lost; a file in the way is refused."""
    path = tmp_path / "nurse.key"
    create_key_file(path, "correct horse", cost=COST_LIGHT)
    before = path.read_bytes()

    with pytest.raises(KeyFileError):
        create_key_file(path, "another", cost=COST_LIGHT)

    assert path.read_bytes() == before


def test_a_key_proves_that_its_holder_has_it(tmp_path: Path) -> None:
    """The proof verifies for this ledger and holder as the registry verifies it."""
    signer = create_key_file(tmp_path / "nurse.key", "correct horse", cost=COST_LIGHT)

    enrolled = enrolled_key(signer, ledger_id=b"l" * 16, holder=b"n" * 16, signed_at=1_777_624_200_000_000)

    assert verify_possession(enrolled, ledger_id=b"l" * 16, holder=b"n" * 16).key_id == signer.key_id


def test_a_signer_never_shows_its_key(tmp_path: Path) -> None:
    """Neither its text nor the file holds the seed."""
    seed = bytes(range(32))
    signer = create_key_file(
        tmp_path / "nurse.key", "correct horse", random_bytes=lambda length: seed[:length], cost=COST_LIGHT
    )

    assert seed.hex() not in repr(signer)
    assert seed.hex() not in (tmp_path / "nurse.key").read_text()


def test_a_passphrase_comes_from_the_environment_or_a_prompt() -> None:
    """The prompt asks only where the environment says nothing, and twice where one is chosen."""
    answers = iter(["chosen", "mistyped"])

    assert read_passphrase(environment={"CELLCUSTODY_PASSPHRASE": "given"}) == "given"
    with pytest.raises(KeyFileError, match="differ"):
        read_passphrase(environment={}, confirm=True, ask=lambda prompt: next(answers))


def test_a_passphrase_that_nobody_gives_is_a_fault_of_the_environment() -> None:
    """Without a terminal and without the variable it says so, with the variable's name."""

    def end_of_input(prompt: str) -> str:
        raise EOFError(prompt)

    with pytest.raises(KeyFileError) as refused:
        read_passphrase(environment={}, ask=end_of_input)
    assert refused.value.values["variable"] == "CELLCUSTODY_PASSPHRASE"
