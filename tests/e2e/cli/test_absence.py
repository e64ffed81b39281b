"""What is not in the log is proved to an inspector, online and from a kept file without a server."""

from pathlib import Path

from tests.e2e.cli.cli_world import Desks, run

STRANGER = "01" + "ab" * 16
FREE_COI = "CHA999925999999V"


def test_a_stream_that_is_not_there_is_proved_absent(desks: Desks, tmp_path: Path) -> None:
    """It ends with 0, and the kept proof says the same without a server."""
    kept = tmp_path / "absent.proof"
    printed = desks.says("inspector", "absent", STRANGER, "--anchor", desks.anchor, "--to", str(kept))
    assert printed.code == 0, printed.err
    assert f"{STRANGER} is not in the log" in printed.out

    offline = run("absent", STRANGER, "--anchor", desks.anchor, "--proof", str(kept))
    assert offline.code == 0, offline.err
    assert f"{STRANGER} is not in the log" in offline.out


def test_a_stream_that_is_there_is_told_with_its_head(desks: Desks) -> None:
    """It ends with 1: what was to be shown is not so."""
    printed = desks.says("inspector", "absent", desks.stream, "--json")
    assert printed.code == 1
    answer = printed.json
    assert isinstance(answer, dict)
    assert answer["is_so"] is False
    assert answer["entries"] > 0


def test_an_identifier_names_one_therapy_and_no_other(desks: Desks, tmp_path: Path) -> None:
    """The key is fetched once, and serves offline: for the identifier in a kept proof, and for the dossier."""
    key, kept, dossier = tmp_path / "alias.key", tmp_path / "coi.proof", tmp_path / "therapy.dossier"
    assert desks.says("inspector", "alias-key", "--to", str(key)).code == 0
    assert key.stat().st_mode & 0o077 == 0

    asked = desks.says("inspector", "absent", desks.story.coi, "--but", desks.stream, "--to", str(kept))
    assert asked.code == 0, asked.err
    assert "and no other" in asked.out
    with_key = ("--alias-key", str(key), "--anchor", desks.anchor)
    offline = run("absent", desks.story.coi, "--but", desks.stream, "--proof", str(kept), *with_key)
    assert offline.code == 0, offline.err
    assert run("absent", desks.story.coi, "--proof", str(kept), *with_key).code == 1, "it names a therapy"
    assert run("absent", FREE_COI, "--proof", str(kept), *with_key).code == 1, "the proof is of another identifier"
    assert desks.says("inspector", "absent", FREE_COI).code == 0
    slip = desks.says("inspector", "absent", FREE_COI[:-1] + "W")
    assert slip.code == 2, "a slip of the pen is refused, not proved absent"

    exported = desks.says(
        "inspector", "export", "therapy", desks.stream, "--to", str(dossier), "--purpose", "test", "--json"
    )
    assert exported.code == 0, exported.err
    answer = run("verify", str(dossier), *with_key, "--json").json
    assert isinstance(answer, dict)
    results = {line["check"]: line["result"] for line in answer["checks"]}
    assert (results["COMPLETENESS"], results["ALIASES"]) == ("PASSED", "PASSED")


def test_the_key_is_not_for_a_site_at_work(desks: Desks, tmp_path: Path) -> None:
    """A nurse's site is refused, and no file is left."""
    path = tmp_path / "alias.key"
    printed = desks.says("nurse", "alias-key", "--to", str(path))
    assert printed.code == 6, printed.err
    assert not path.exists()


def test_a_changed_proof_is_refused(desks: Desks, tmp_path: Path) -> None:
    """One bit anywhere ends it with 1 or 2, and nothing is told as proved."""
    kept = tmp_path / "absent.proof"
    assert desks.says("inspector", "absent", STRANGER, "--to", str(kept)).code == 0
    changed = bytearray(kept.read_bytes())
    changed[-40] ^= 1
    kept.write_bytes(changed)
    printed = run("absent", STRANGER, "--anchor", desks.anchor, "--proof", str(kept))
    assert printed.code in (1, 2)
    assert "is not in the log" not in printed.out
