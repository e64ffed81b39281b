"""The verifiers that a dossier carries: they stand by themselves, and what they took over is what the product has."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from forge import Forge

import embedded_verifiers
from cellcustody.ledger.completeness import AliasKey
from cellcustody.ledger.dossier import EMBEDDED_NAMES, embedded_digests
from cellcustody.ledger.dossier import embedded_verifiers as files_of
from cellcustody.ledger.dossier.layout import PAGE, SCRIPT
from cellcustody.ledger.registry import encode_anchor
from cellcustody.ledger.verification import AliasesInvalidError, Check, verify_dossier
from corpus import cases_of, verify_py_report
from corpus.verdicts import load_verify_py
from corpus.world import MapForge, drawn, founded


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs verify.py as a stranger would, out of a folder in which nothing else lies."""
    script = folder / SCRIPT
    script.write_bytes(files_of()[SCRIPT])
    command = [sys.executable, "-I", str(script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def written(forge: Forge, folder: Path) -> tuple[str, str]:
    """Returns the names of a dossier and an anchor in a folder."""
    (folder / "dossier.zip").write_bytes(forge.dossier().data)
    (folder / "anchor.json").write_bytes(encode_anchor(forge.anchor))
    return "dossier.zip", "anchor.json"


def test_the_tables_taken_over_and_the_digests_told_are_up_to_date() -> None:
    """Contract, finding codes, built-in pack and digests are those of this very tree."""
    assert embedded_verifiers.main(write=False) == 0


def test_verify_py_stands_on_the_standard_library_and_cryptography_alone() -> None:
    """It imports nothing of the product."""
    tree = ast.parse(files_of()[SCRIPT])
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    roots = {name.partition(".")[0] for name in imported} - {"__future__"}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}


def test_both_verifiers_are_files_of_the_release() -> None:
    """Each is there, and named by its digest."""
    assert tuple(files_of()) == EMBEDDED_NAMES == (PAGE, SCRIPT)
    assert all(len(digest) == 64 for digest in embedded_digests().values())


def test_a_lawful_dossier_is_verified_with_exit_code_0(lawful: Forge, tmp_path: Path) -> None:
    """The history is told for a reader, then every check, then the outcome."""
    done = run(tmp_path, *written(lawful, tmp_path))

    assert done.returncode == 0, done.stderr
    assert "Therapy enrolled (in effect) by collection_nurse" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("VERIFIED: ")


def test_without_an_anchor_the_exit_code_is_1(lawful: Forge, tmp_path: Path) -> None:
    """Nobody knows whose ledger it is."""
    dossier, _ = written(lawful, tmp_path)

    done = run(tmp_path, dossier)

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("CONSISTENT, ISSUER UNPROVEN: ")


def test_a_broken_dossier_is_told_as_json_with_exit_code_1(lawful: Forge, tmp_path: Path) -> None:
    """The first broken link has its check and its reason."""
    dossier, anchor = written(lawful, tmp_path)
    data = bytearray((tmp_path / dossier).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / dossier).write_bytes(data)

    done = run(tmp_path, dossier, anchor, "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["outcome"] == "BROKEN"
    assert (told["first_broken_link"]["check"], told["first_broken_link"]["reason"]) == ("CONTAINER", "DOSSIER_FORM")


def test_the_table_of_checks_is_what_the_verifiers_report() -> None:
    """Per check, whether product and verify.py pass it somewhere or leave it UNVERIFIED everywhere."""
    told = table_of_checks()
    product: dict[str, set[str]] = {}
    verify_py: dict[str, set[str]] = {}
    shown = {"good/lawful", "heads/complete-is-good", "checkpoints/quorum-of-two-is-good"}
    for case in chain(cases_of("good"), cases_of("heads"), cases_of("checkpoints")):
        if case.name not in shown:
            continue
        for line in verify_dossier(case.data, case.anchor).checks:
            product.setdefault(line.check.name, set()).add(line.result.value)
        for check, (result, _, _) in verify_py_report(case.data, case.anchor).lines.items():
            verify_py.setdefault(check, set()).add(result)

    assert set(told) == set(product) | set(verify_py)
    for check, (by_product, by_script, _) in told.items():
        assert ("PASSED" in verify_py[check]) is (by_script == "yes"), check
        if by_product != "built in":
            assert ("PASSED" in product[check]) is by_product.startswith("yes"), check


def test_with_an_older_cryptography_ml_dsa_is_unverified_and_nothing_is_called_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the installed library cannot verify is told, for the log's signature and for a statement's."""
    monkeypatch.setattr(load_verify_py(), "mldsa", None)
    cases = {case.name: case for case in cases_of("good") if "ml-dsa" in case.name}

    for name, check in (("log-signs-with-ml-dsa-44-too", "CHECKPOINT"), ("signed-with-ml-dsa-65", "SIGNATURES")):
        case = cases[f"good/{name}"]
        report = verify_py_report(case.data, case.anchor)
        assert report.outcome == "INCOMPLETE"
        assert report.lines[check][0] == "UNVERIFIED"
        assert "ML-DSA" in report.lines[check][2]


def test_a_contract_that_the_release_does_not_know_is_the_ledgers_word(
    lawful: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What acts ask for is then read from what the ledger published, and told as such."""
    monkeypatch.setattr(load_verify_py(), "CONTRACTS", {"00" * 32})

    report = verify_py_report(lawful.dossier().data, lawful.anchor)

    assert report.outcome == "INCOMPLETE"
    assert report.lines["CONTRACT"][0] == "UNVERIFIED"
    assert report.lines["CO_SIGNATURES"][0] == "PASSED"


def test_a_statement_that_is_suspect_is_told_in_the_timeline() -> None:
    """A reader sees it beside the act, and affirmed it is shown no more."""
    cases = {case.name: case for case in cases_of("good") if "suspect" in case.name}
    told = {name: list(load_verify_py().timeline(verify_py_report(of.data, of.anchor))) for name, of in cases.items()}

    assert [("SUSPECT KEY" in line) for line in told["good/suspect-key"]] == [False, True]
    assert not any("SUSPECT" in line for line in told["good/suspect-key-affirmed"])


@pytest.mark.parametrize("how", ["true", "shared", "another", "hidden", "wrong key"])
def test_with_the_key_of_aliases_both_say_the_same(how: str) -> None:
    """The aliases open in the enrolment name this therapy alone, or another too, or nothing is shown of them."""
    world = founded()
    world.lives((("isbt128-coi", "CHA9999 25 000001 G"), ("order", "PO-17")))
    if how == "shared":
        world.enrols(b"\x01" + drawn("another therapy", 16), (("isbt128-coi", "CHA999925000001G"),))
    maps = MapForge(world)
    coi = maps.blinded("isbt128-coi", "CHA999925000001G")
    maps.logs(names={coi: [b"\x01" + drawn("another therapy", 16)]} if how == "another" else None)
    shown = maps.shows(names=[coi] if how == "hidden" else None)
    data = world.data(heads=shown.SerializeToString(deterministic=True))
    key = AliasKey(world.ledger_id, drawn("no key")) if how == "wrong key" else maps.key
    script = load_verify_py()

    report = script.verify(data, script.read_anchor(encode_anchor(world.anchor)), script.read_alias_key(key.to_file()))

    if how == "true":
        assert verify_dossier(data, world.anchor, alias_key=key).line(Check.ALIASES).checked == 2
        assert report.lines["ALIASES"][:2] == ("PASSED", 2)
    else:
        with pytest.raises(AliasesInvalidError):
            verify_dossier(data, world.anchor, alias_key=key)
        assert (report.first_broken.check, report.first_broken.reason) == ("ALIASES", "ALIASES_INVALID")


def table_of_checks() -> dict[str, tuple[str, str, str]]:
    """Returns what docs/formats/dossier.md says of each check: by the product, by verify.py, by the page."""
    text = embedded_verifiers.DOCUMENT.read_text(encoding="utf-8")
    rows = text[text.index("<!-- checks by verifier") :].split("\n\n")[0].splitlines()[3:]
    told: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        names, by_product, by_script, by_page = (cell.strip() for cell in row.strip("|").split("|"))
        told |= dict.fromkeys(names.split(", "), (by_product, by_script, by_page))
    return told


def test_wrong_use_ends_with_exit_code_2(lawful: Forge, tmp_path: Path) -> None:
    """A file that is not there, and an anchor that is none."""
    dossier, _ = written(lawful, tmp_path)
    (tmp_path / "none.json").write_text("{}")

    assert run(tmp_path, "nothing.zip").returncode == 2
    assert run(tmp_path, dossier, "none.json").returncode == 2
