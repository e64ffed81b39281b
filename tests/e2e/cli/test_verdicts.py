"""A verification tells what it found of every statement, and somebody may sign that."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from tests.e2e.cli.cli_world import SECRETS, Desks, run

from cellcustody.clients import create_key_file
from cellcustody.clients.signers import public_key_of_file

CHECKS = (
    "bytes",
    "signatures",
    "key_state",
    "standing",
    "commitment",
    "chain",
    "inclusion",
    "completeness",
    "quorum",
    "issuer",
    "replay",
    "time_state",
)


@pytest.fixture
def auditor_key(tmp_path: Path) -> Path:
    path = tmp_path / "auditor.key"
    create_key_file(path, SECRETS["CELLCUSTODY_PASSPHRASE"])
    return path


def test_every_statement_has_a_result_of_every_check(desks: Desks, dossier: Path) -> None:
    """What the dossier cannot show is UNVERIFIED for each statement, and never left out."""
    answer = run("verify", str(dossier), "--anchor", desks.anchor, "--json").json
    assert isinstance(answer, dict)

    statements = answer["statements"]
    assert len(statements) > 40
    for one in statements:
        assert tuple(one["verdict"]) == CHECKS
        for check in ("bytes", "signatures", "standing", "chain", "inclusion", "issuer"):
            assert one["verdict"][check] == "PASSED"
        assert one["verdict"]["replay"] == one["verdict"]["quorum"] == "UNVERIFIED"
        assert one["verdict"]["key_state"] == "VALID"
        assert (one["verdict"]["completeness"] == "PASSED") == (one["leaf_index"] < answer["complete_below"])
    assert answer["complete_below"] > 0


def test_without_an_anchor_no_statement_has_a_proven_issuer(dossier: Path) -> None:
    answer = run("verify", str(dossier), "--json").json

    assert isinstance(answer, dict)
    assert {one["verdict"]["issuer"] for one in answer["statements"]} == {"UNVERIFIED"}


def test_verdicts_are_shown_to_people_too(desks: Desks, dossier: Path) -> None:
    printed = run("verify", str(dossier), "--anchor", desks.anchor, "--statements", COLUMNS="300")

    assert "CollectionEnded" in printed.out or "TherapyEnrolled" in printed.out
    assert "completeness" in printed.out


def test_a_report_is_signed_and_read_back(desks: Desks, dossier: Path, auditor_key: Path, tmp_path: Path) -> None:
    """Whoever has the auditor's public key reads what the auditor found; the dossier is named by its digest."""
    path, pem = tmp_path / "verification.report", tmp_path / "auditor.pem"
    pem.write_bytes(
        load_der_public_key(public_key_of_file(auditor_key)).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
    )
    verified = run(
        "verify",
        str(dossier),
        "--anchor",
        desks.anchor,
        "--report",
        str(path),
        "--sign-with",
        str(auditor_key),
        "--json",
    )
    told = run("report", str(path), "--key", str(pem), "--dossier", str(dossier), "--json")

    assert (verified.code, told.code) == (0, 0), verified.err + told.err
    assert isinstance(verified.json, dict) and isinstance(told.json, dict)
    assert told.json["outcome"] == "VERIFIED"
    assert [(one["check"], one["result"], one["checked"]) for one in told.json["checks"]] == [
        (one["check"], one["result"], one["checked"]) for one in verified.json["checks"]
    ]
    assert len(told.json["statements"]) == len(verified.json["statements"])
    assert {one["inclusion"] for one in told.json["statements"]} == {"PASSED"}


def test_a_broken_dossier_is_reported_as_broken(desks: Desks, dossier: Path, auditor_key: Path, tmp_path: Path) -> None:
    changed = bytearray(dossier.read_bytes())
    changed[len(changed) // 2] ^= 1
    copy, path = tmp_path / "tampered.dossier", tmp_path / "verification.report"
    copy.write_bytes(changed)

    verified = run(
        "verify", str(copy), "--anchor", desks.anchor, "--report", str(path), "--sign-with", str(auditor_key)
    )
    told = run("report", str(path), "--key", str(auditor_key), "--json")

    assert (verified.code, told.code) == (1, 1)
    assert isinstance(told.json, dict)
    assert told.json["outcome"] == "BROKEN"
    assert told.json["first_broken_link"]["reason"]


def test_a_report_is_nobody_elses_and_of_no_other_file(
    desks: Desks, dossier: Path, auditor_key: Path, tmp_path: Path
) -> None:
    path, other = tmp_path / "verification.report", tmp_path / "other.key"
    create_key_file(other, SECRETS["CELLCUSTODY_PASSPHRASE"])
    run("verify", str(dossier), "--anchor", desks.anchor, "--report", str(path), "--sign-with", str(auditor_key))

    of_another = run("report", str(path), "--key", str(other))
    of_another_file = run("report", str(path), "--key", str(auditor_key), "--dossier", str(auditor_key))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    altered = run("report", str(path), "--key", str(auditor_key))

    assert (of_another.code, "REPORT_INVALID" in of_another.err) == (1, True)
    assert (of_another_file.code, "another file" in of_another_file.err) == (2, True)
    assert (altered.code, "REPORT_INVALID" in altered.err) == (1, True)


def test_a_report_is_never_written_unsigned(dossier: Path, tmp_path: Path) -> None:
    printed = run("verify", str(dossier), "--report", str(tmp_path / "report"))

    assert printed.code == 2
    assert not (tmp_path / "report").exists()
