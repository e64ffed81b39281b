"""A dossier is believed for its anchor, and for nothing else; no server is asked."""

from pathlib import Path

from tests.e2e.cli.cli_world import Desks, run

from demo.world import World


def test_a_dossier_is_verified_against_the_anchor(desks: Desks, dossier: Path) -> None:
    """Every check stands there with its result, also those that nobody can make yet."""
    printed = run("verify", str(dossier), "--anchor", desks.anchor)

    assert printed.code == 0, printed.err
    assert printed.out.splitlines()[-1].startswith("VERIFIED: ")
    for check in ("SIGNATURES", "INCLUSION", "JUDGEMENTS", "WITNESSES"):
        assert check in printed.out
    assert "UNVERIFIED" in printed.out


def test_a_verification_is_told_in_json_too(desks: Desks, dossier: Path) -> None:
    """The outcome, no broken link, and the number of things that each check looked at."""
    answer = run("verify", str(dossier), "--anchor", desks.anchor, "--json").json

    assert isinstance(answer, dict)
    assert answer["outcome"] == "VERIFIED"
    assert answer["first_broken_link"] is None
    assert {line["check"]: line["checked"] > 0 for line in answer["checks"]}["SIGNATURES"]


def test_without_an_anchor_the_issuer_is_unproven(dossier: Path) -> None:
    """It ends with 1: whoever made the file may have made the ledger."""
    printed = run("verify", str(dossier))

    assert printed.code == 1
    assert printed.out.splitlines()[-1].startswith("CONSISTENT, ISSUER UNPROVEN: ")


def test_a_tampered_dossier_fails_and_the_link_is_named(desks: Desks, dossier: Path, tmp_path: Path) -> None:
    """One bit in the middle is enough."""
    changed = bytearray(dossier.read_bytes())
    changed[len(changed) // 2] ^= 1
    copy = tmp_path / "tampered.dossier"
    copy.write_bytes(changed)

    printed = run("verify", str(copy), "--anchor", desks.anchor)

    assert printed.code == 1
    assert "first broken link: " in printed.out + printed.err
    assert not printed.out.splitlines() or not printed.out.splitlines()[-1].startswith("VERIFIED")


def test_the_anchor_of_another_ledger_proves_nothing(dossier: Path, tmp_path: Path) -> None:
    """A dossier of one ledger is refused under the anchor of another, as a forged one is."""
    other = World(tmp_path).founded  # Founded alike, under the same origin, by others.

    printed = run("verify", str(dossier), "--anchor", str(other.anchor))

    assert printed.code == 1
    assert "ISSUER_MISMATCH" in printed.out + printed.err


def test_an_export_by_stream_shows_the_same_statements(desks: Desks, dossier: Path, tmp_path: Path) -> None:
    """Exporting is itself logged, so the second file is longer by the first's entry at the most."""
    path = tmp_path / "by-stream.dossier"
    exported = desks.says(
        "inspector", "export", "therapy", desks.stream, "--to", str(path), "--purpose", "test", "--json"
    )

    assert exported.code == 0, exported.err
    answer = exported.json
    assert isinstance(answer, dict)
    assert answer["length_bytes"] == path.stat().st_size
    assert run("verify", str(path), "--anchor", desks.anchor).code == 0
    assert path.read_bytes() != dossier.read_bytes()


def test_a_therapy_that_is_not_there_cannot_be_exported(desks: Desks, tmp_path: Path) -> None:
    """It ends with 5, and no file is left."""
    path = tmp_path / "none.dossier"

    printed = desks.says("inspector", "export", "therapy", "01" + "00" * 16, "--to", str(path), "--purpose", "test")

    assert printed.code == 5
    assert not path.exists()


def test_a_file_that_is_not_there_is_named(desks: Desks, tmp_path: Path) -> None:
    """It ends with 2: nothing was checked."""
    printed = run("verify", str(tmp_path / "none.dossier"), "--anchor", desks.anchor)

    assert printed.code == 2
    assert "none.dossier" in printed.err
