"""The drill: it is 2056, the certificates of everybody who stamped have expired, and algorithms are held broken.

What was covered in time stays VALID; what rests on broken algorithms alone fails, statement by statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stamped_ledger import StampedLedger, stamped_ledger
from typer.testing import CliRunner

from cellcustody.clients.cli.app import app
from cellcustody.ledger.registry import encode_anchor
from cellcustody.ledger.timestamps import AlgorithmPolicy, Broken
from cellcustody.ledger.verification import (
    Check,
    CheckpointInvalidError,
    KeyFinding,
    Outcome,
    Result,
    verify_dossier,
)
from cellcustody.ledger.verification.errors import AlgorithmBrokenError
from cellcustody.ledger.verification.report import TimeFinding
from cellcustody.ledger.verification.standpoint import Standpoint

IN_2056 = datetime(2056, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StampedLedger]:
    with stamped_ledger(tmp_path) as opened:
        yield opened


def policy(**broken: Broken) -> AlgorithmPolicy:
    """Returns a policy that holds these broken; underscores stand for hyphens."""
    return AlgorithmPolicy({name.replace("_", "-"): how for name, how in broken.items()})


def test_every_authority_expired_and_ed25519_broken_from_an_index(ledger: StampedLedger) -> None:
    """The log's ML-DSA-44 signature holds the order: what was signed before the index stands, what came after fails."""
    authority = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps()
    ledger.is_year(2050)
    broken_from = ledger.position
    later = ledger.says("signed with what was broken by then").position - 1
    data, anchor = ledger.dossier(), ledger.anchor(authority)
    standpoint = Standpoint(IN_2056, policy(ed25519=Broken(from_leaf=broken_from)))

    with pytest.raises(AlgorithmBrokenError) as failure:
        verify_dossier(data, anchor, standpoint=standpoint)

    report = failure.value.report
    assert report is not None
    assert report.outcome is Outcome.BROKEN
    assert {verdict.leaf_index for verdict in report.invalid} == {later}
    assert all(verdict.key is KeyFinding.VALID for verdict in report.statements if verdict.leaf_index < broken_from)
    assert report.line(Check.SIGNATURES).result is Result.FAILED
    assert report.line(Check.CHECKPOINT).result is Result.PASSED
    # Nobody who stamped is believed any more, and the manifest's own signature is of no use.
    assert report.line(Check.TIME).result is Result.UNVERIFIED
    assert report.line(Check.MANIFEST).result is Result.UNVERIFIED


def test_a_dossier_of_what_came_before_stays_verified(ledger: StampedLedger) -> None:
    """A dossier of 2027 that lay in a drawer: its statements and checkpoint stand, whoever expired."""
    authority = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps()
    data, anchor = ledger.dossier(), ledger.anchor(authority)
    standpoint = Standpoint(IN_2056, policy(ed25519=Broken(from_leaf=ledger.position)))

    report = verify_dossier(data, anchor, standpoint=standpoint)

    assert report.outcome is Outcome.VERIFIED
    assert not report.invalid
    assert report.line(Check.TIME).result is Result.UNVERIFIED  # Its only token expired in 2037, unrenewed.


def test_renewed_in_time_the_bounds_of_2027_still_hold(ledger: StampedLedger) -> None:
    """Each authority is renewed by the next before it expires; in 2056 the first bounds stand as they were."""
    first = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps(first)
    stamped_at = ledger.now
    ledger.is_year(2035)
    second = ledger.trusts("tsa-2035.example", years=15)
    ledger.says("said in 2035")
    ledger.renews("sha512", second)
    ledger.is_year(2049)
    third = ledger.trusts("tsa-2049.example", years=10)
    ledger.renews("sha3-512", third)
    data, anchor = ledger.dossier(), ledger.anchor(first, second, third)

    report = verify_dossier(data, anchor, standpoint=Standpoint(IN_2056))

    assert report.outcome is Outcome.VERIFIED
    assert report.statements[0].not_after == stamped_at + SECOND
    assert "2 items hold by renewal" in report.line(Check.TIME).note
    # Whoever believes only those of later years sees later bounds, and no contradiction.
    younger = verify_dossier(data, ledger.anchor(second, third), standpoint=Standpoint(IN_2056))
    assert younger.statements[0].not_after is not None
    assert younger.statements[0].not_after.year == 2035
    assert not younger.untimely


def test_a_renewal_that_came_too_late_saves_nothing(ledger: StampedLedger) -> None:
    """A token that had expired when it was renewed might have been made by anybody."""
    first = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps(first)
    ledger.is_year(2040)
    second = ledger.trusts("tsa-2040.example", years=20)
    ledger.renews("sha512", second)

    report = verify_dossier(ledger.dossier(), ledger.anchor(first, second), standpoint=Standpoint(IN_2056))

    assert report.statements[0].not_after is not None
    assert report.statements[0].not_after.year == 2040
    assert "hold by renewal" not in report.line(Check.TIME).note


def test_ed25519_broken_from_a_date_stands_for_what_is_proven_older(ledger: StampedLedger) -> None:
    """The proof of age is a token of 2027, renewed before it expired."""
    first = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps(first)
    old = ledger.position
    ledger.is_year(2035)
    second = ledger.trusts("tsa-2035.example", years=25)
    ledger.renews("sha512", second)
    ledger.is_year(2050)
    ledger.says("said when it was broken")
    data, anchor = ledger.dossier(), ledger.anchor(first, second)
    standpoint = Standpoint(IN_2056, policy(ed25519=Broken(datetime(2045, 1, 1, tzinfo=UTC))))

    with pytest.raises(AlgorithmBrokenError) as failure:
        verify_dossier(data, anchor, standpoint=standpoint)

    report = failure.value.report
    assert report is not None
    standing = {verdict.leaf_index: verdict.key for verdict in report.statements}
    assert all(standing[leaf] is KeyFinding.VALID for leaf in standing if leaf < old)
    assert standing[max(standing)] is KeyFinding.INVALID

    # Without the renewal nothing shows the age of anything, and nothing stands.
    with pytest.raises(AlgorithmBrokenError) as failure:
        verify_dossier(data, ledger.anchor(first), standpoint=standpoint)
    assert failure.value.report is not None
    assert len(failure.value.report.invalid) == len(report.statements)


def test_sha256_broken_stands_for_what_a_renewal_shows_again(ledger: StampedLedger) -> None:
    """The entries were hashed again with SHA-512 before the break; what is not in that tree fails."""
    first = ledger.trusts("tsa-2027.example", years=20)
    ledger.stamps(first)
    ledger.is_year(2040)
    second = ledger.trusts("tsa-2040.example", years=20, hash_name="sha512")
    ledger.renews("sha512", second)
    covered = ledger.position - 1  # The entry that records the renewal is not in its tree.
    ledger.is_year(2044)
    ledger.says("recorded after the renewal")
    data, anchor = ledger.dossier(), ledger.anchor(first, second)

    def verdicts(year: int) -> dict[int, KeyFinding]:
        standpoint = Standpoint(IN_2056, policy(sha_256=Broken(datetime(year, 1, 1, tzinfo=UTC))))
        with pytest.raises(AlgorithmBrokenError) as failure:
            verify_dossier(data, anchor, standpoint=standpoint)
        assert failure.value.report is not None
        return {verdict.leaf_index: verdict.key for verdict in failure.value.report.statements}

    broken_in_2045 = verdicts(2045)
    assert all((leaf < covered) == (key is KeyFinding.VALID) for leaf, key in broken_in_2045.items())
    # Broken before it was renewed: the renewal may have been made over a tree that was forged.
    assert set(verdicts(2039).values()) == {KeyFinding.INVALID}


def test_both_hashes_broken_one_after_the_other(ledger: StampedLedger) -> None:
    """SHA-512 renewed SHA-256 and SHA3-512 renewed SHA-512, each before it was broken."""
    first = ledger.trusts("tsa-2027.example", years=20)
    ledger.stamps(first)
    ledger.is_year(2035)
    second = ledger.trusts("tsa-2035.example", years=25, hash_name="sha512")
    ledger.renews("sha512", second)
    ledger.is_year(2045)
    third = ledger.trusts("tsa-2045.example", years=25, hash_name="sha3-512")
    ledger.renews("sha3-512", third)
    data, anchor = ledger.dossier(), ledger.anchor(first, second, third)

    def invalid(sha256: int, sha512: int) -> set[int]:
        broken = policy(
            sha_256=Broken(datetime(sha256, 1, 1, tzinfo=UTC)), sha_512=Broken(datetime(sha512, 1, 1, tzinfo=UTC))
        )
        try:
            report = verify_dossier(data, anchor, standpoint=Standpoint(IN_2056, broken))
        except AlgorithmBrokenError as failure:
            assert failure.report is not None
            return {verdict.leaf_index for verdict in failure.report.invalid}
        assert report.statements[0].not_after is not None
        assert report.statements[0].not_after.year == 2027
        return set()

    assert invalid(2040, 2050) == set()
    assert min(invalid(2040, 2044)) == 0  # SHA-512 was broken before it was renewed.
    assert min(invalid(2034, 2050)) == 0  # So was SHA-256.


def test_a_checkpoint_signed_by_what_is_broken_alone_falls(ledger: StampedLedger) -> None:
    """An index says nothing in a tree that anybody could have signed; a stamp of the very note says it is older."""
    authority = ledger.trusts("tsa-2027.example", years=40)
    checkpoint = ledger.harness.ledger.checkpoint()
    unstamped = ledger.dossier_under(checkpoint)
    ledger.stamps()
    anchor = ledger.anchor(authority)
    at = datetime(2050, 1, 1, tzinfo=UTC)
    standpoint = Standpoint(IN_2056, policy(ed25519=Broken(at), ml_dsa_44=Broken(at)))

    with pytest.raises(CheckpointInvalidError, match="held broken"):
        verify_dossier(unstamped, anchor, standpoint=standpoint)

    # Made again under the checkpoint that was stamped, it stands.
    stamped = ledger.dossier_under(checkpoint)
    report = verify_dossier(stamped, anchor, standpoint=standpoint)
    assert report.outcome is Outcome.VERIFIED
    assert report.line(Check.CHECKPOINT).result is Result.PASSED
    assert all(verdict.time is TimeFinding.BOUNDED for verdict in report.statements)


def test_the_drill_by_the_command_that_auditors_type(ledger: StampedLedger, tmp_path: Path) -> None:
    """`verify --now --algorithms`: 0 for the dossier of 2027, 1 for that of 2050, which names what fails."""
    authority = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps()
    old = ledger.dossier()
    broken_from = ledger.position
    ledger.is_year(2050)
    later = ledger.says("signed with what was broken by then").position - 1
    for name, content in (("old", old), ("new", ledger.dossier())):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "anchor").write_bytes(encode_anchor(ledger.anchor(authority)))
    members = {
        "format": "cellcustody-algorithm-policy",
        "format_version": 1,
        "broken": [{"algorithm": "ed25519", "from_leaf": broken_from}],
    }
    (tmp_path / "algorithms").write_text(json.dumps(members), encoding="utf-8")

    def verified(name: str) -> tuple[int, dict[str, Any]]:
        options = ["--anchor", str(tmp_path / "anchor"), "--algorithms", str(tmp_path / "algorithms")]
        options += ["--now", "2056-01-01T00:00:00+00:00", "--json"]
        done = CliRunner().invoke(app, ["verify", str(tmp_path / name), *options])
        return done.exit_code, json.loads(done.output)

    code, told = verified("old")
    assert (code, told["outcome"]) == (0, "VERIFIED")
    assert {one["key"] for one in told["statements"]} == {"VALID"}

    code, told = verified("new")
    assert (code, told["outcome"]) == (1, "BROKEN")
    assert told["first_broken_link"]["reason"] == "ALGORITHM_BROKEN"
    assert [one["leaf_index"] for one in told["statements"] if one["key"] != "VALID"] == [later]
