"""The command line says what happened, in words and by its exit code."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import typer
from tests.unit.clients.client_faults import (
    CONSIGNMENT,
    DEVICE,
    LEDGER,
    NURSE,
    SITE,
    FaultyServer,
    failing,
    information,
    recorded,
)

from cellcustody.clients import LocalStore, create_key_file
from cellcustody.clients.cli.main import EXIT_CODES, run
from cellcustody.clients.cli.plain import body_from_json, plain_of
from cellcustody.clients.signers import COST_LIGHT
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.identifiers import Din
from cellcustody.v1 import common_pb2, transport_pb2

ROOT = Path(__file__).resolve().parents[3]
BODY = json.dumps({"containers": ["shipper-1"], "count": 1, "releaser": {"site": SITE.hex(), "unit": "cell-lab"}})
RELEASE = ["act", "release-custody", "--stream", CONSIGNMENT.hex(), "--body", BODY]


@pytest.fixture
def profile(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A nurse's profile for the faulty server, with passphrases in the environment."""
    monkeypatch.setenv("CELLCUSTODY_PASSPHRASE", "correct horse")
    monkeypatch.setenv("CELLCUSTODY_OUTBOX_PASSPHRASE", "battery staple")
    create_key_file(tmp_path / "nurse.key", "correct horse", cost=COST_LIGHT)
    path = tmp_path / "nurse.toml"
    path.write_text(
        f'''
target = "{server.target}"
timeout_seconds = 20
ledger = "{LEDGER.hex()}"
site = "{SITE.hex()}"
person = "{NURSE.hex()}"
device = "{DEVICE.hex()}"
role = "collection_nurse"
name = "Collection nurse"
zone = "Europe/Berlin"
key_file = "nurse.key"

[tls]
ca = "{server.tls.ca}"
certificate = "{server.tls.certificate}"
key = "{server.tls.key}"
'''
    )
    monkeypatch.setenv("CELLCUSTODY_PROFILE", str(path))
    return path


def exit_of(*arguments: str) -> int:
    """Runs the program and returns its exit code."""
    with pytest.raises(SystemExit) as left:
        run(arguments)
    return int(left.value.code or 0)


@pytest.mark.usefixtures("profile")
def test_an_act_is_shown_signed_and_recorded(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Even with --yes the statement is shown; the answer is JSON on standard output alone."""
    server.answers = [recorded(7)]

    assert exit_of(*RELEASE, "--yes", "--json") == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out)["position"] == 7
    assert "Custody released (fact)" in printed.err
    assert f"{SITE.hex()}, unit cell-lab" in printed.err


@pytest.mark.usefixtures("profile")
def test_a_refusal_prints_rule_and_values_without_a_traceback(
    server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 3."""
    server.answers = [
        failing(grpc.StatusCode.UNAUTHENTICATED, "the key is revoked", information("KEY_REVOKED", key="ab"))
    ]

    assert exit_of(*RELEASE, "--yes") == 3

    printed = capsys.readouterr()
    assert "KEY_REVOKED: the key is revoked (key=ab)" in printed.err
    assert "Traceback" not in printed.err + printed.out


@pytest.mark.usefixtures("profile")
def test_what_a_person_does_not_confirm_is_not_sent(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saying no ends with 3, and the server never hears of it."""
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)

    assert exit_of(*RELEASE) == 3
    assert server.received == []


@pytest.mark.usefixtures("profile")
def test_where_nobody_confirms_nothing_is_sent(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script without an input ends with 3, as a person who says no; 1 would tell of a false proof."""

    def break_off(*_: object, **__: object) -> bool:
        raise typer.Abort

    monkeypatch.setattr("typer.confirm", break_off)

    assert exit_of(*RELEASE) == 3
    assert server.received == []


def test_a_file_that_cannot_be_written_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command was to write, and without a traceback."""
    nowhere = tmp_path / "missing" / "label.svg"
    named = ("--coi", "CHA999925000001G", "--din", "A9999 25 000001 " + Din("A99992500000100").check_character)

    assert exit_of("label", "draw", "--out", str(nowhere), *named, "--product", "S1234100") == 2
    said = f"a file cannot be used (path={nowhere}, because=No such file or directory)"
    assert capsys.readouterr().err == f"cellcustody: CONFIGURATION_INVALID: {said}\n"


def test_what_no_screen_shows_is_printed_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    """A scanned control character is named, and commands nothing to the terminal."""
    assert exit_of("scan", "parse", "=A9999211\x1b[31m") == 2
    assert "offset=9, rule=sequence must be a digit, value=\\x1b)" in capsys.readouterr().err


def test_an_unknown_outcome_is_kept_and_settled_by_delivery(
    server: FaultyServer, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 4; the very same bytes lie in the outbox."""
    server.answers = [failing(grpc.StatusCode.UNAVAILABLE, "gone")] * 3

    assert exit_of(*RELEASE, "--yes") == 4

    assert "outbox deliver" in capsys.readouterr().err
    assert exit_of("outbox", "list", "--json") == 0
    (kept,) = json.loads(capsys.readouterr().out)
    assert kept["state"] == "queued"
    assert LocalStore(profile.with_name("device.sqlite")).last_known(CONSIGNMENT) is not None


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED", 6),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", 4),
        (grpc.StatusCode.INVALID_ARGUMENT, "WIRE_FORM", 3),
    ],
)
def test_each_failure_has_its_exit_code(
    server: FaultyServer, code: grpc.StatusCode, reason: str, expected: int
) -> None:
    """The codes are those that are documented."""
    server.answers = [failing(code, "as told", information(reason))] * 3

    assert exit_of(*RELEASE, "--yes") == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("act", "no-such-act", "--body", "{}"),
        ("act", "release-custody", "--body", "{}"),
        ("act", "release-custody", "--stream", CONSIGNMENT.hex(), "--body", '{"no_such_field": 1}'),
        ("act", "release-custody", "--stream", "02", "--body", "{}"),
        ("no-such-command",),
        ("custody", "--at", "yesterday", "ab"),
        ("custody", "--at", "9999-12-31T23:59:59-12:00", "ab"),
        ("inspect", "corrections", "--page-token", "no-token"),
    ],
)
@pytest.mark.usefixtures("profile")
def test_wrong_input_ends_with_two(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is signed, and no traceback is printed."""
    assert exit_of(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_profile_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The variable that would name one is in the message."""
    monkeypatch.delenv("CELLCUSTODY_PROFILE", raising=False)

    assert exit_of("worklist") == 2
    assert "CELLCUSTODY_PROFILE" in capsys.readouterr().err


def test_a_misspelt_member_of_a_profile_is_named(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would go unnoticed otherwise."""
    profile.write_text(profile.read_text().replace("zone =", "zoen ="))

    assert exit_of("worklist") == 2
    assert "zoen" in capsys.readouterr().err


def test_a_file_that_is_no_dossier_fails_verification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no profile and no server, and ends with 1."""
    file = tmp_path / "dossier.zip"
    file.write_bytes(b"not a dossier")

    assert exit_of("verify", str(file)) == 1
    assert "VERIFIED" not in capsys.readouterr().out.replace("UNVERIFIED", "")


def test_a_body_reads_as_it_is_printed() -> None:
    """What JSON a command prints, another takes; base64 is taken too."""
    body = transport_pb2.CustodyReleased(
        releaser=common_pb2.Unit(site=SITE, unit="cell-lab"),
        seals=[common_pb2.SealReading(container="shipper-1", seal="S-77", intact=True)],
        count=2,
    )

    assert body_from_json(transport_pb2.CustodyReleased, json.dumps(plain_of(body))) == body
    assert body_from_json(
        transport_pb2.CustodyReleased, '{"releaser": {"site": "c3Nzc3Nzc3Nzc3Nzc3Nzcw=="}}'
    ) == transport_pb2.CustodyReleased(releaser=common_pb2.Unit(site=SITE))
    with pytest.raises(ConfigurationError):
        body_from_json(transport_pb2.CustodyReleased, "[]")


def test_exit_codes_are_documented() -> None:
    """Every code stands in docs/cli.md with the same words."""
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")

    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text


def test_the_program_starts_by_its_name() -> None:
    """The installed script runs and lists its commands."""
    printed = subprocess.run(
        [sys.executable, "-m", "cellcustody.clients.cli.main", "--help"], check=True, capture_output=True, text=True
    ).stdout

    for command in ("act", "co-sign", "worklist", "verify", "outbox", "enrol", "export", "audit"):
        assert f"  {command} " in printed


@pytest.mark.parametrize(
    "command",
    [
        ["absent", "01" + "00" * 16, "--position", "99999999999999999999"],
        ["absent", "01" + "00" * 16, "--position", "-1"],
        ["log", "receipt", "--leaf-index", "99999999999999999999"],
        ["custody", "01" + "00" * 16, "--known-at", "99999999999999999999"],
        ["inspect", "recall", "x", "--page-size", "4294967296"],
        ["watch", "--after", "-1"],
        ["outbox", "requeue", "99999999999999999999"],
        ["enrol", "policy", "pack", "--product", "x", "--jurisdiction", "x", "--version", "4294967296"],
    ],
)
def test_a_number_that_no_log_has_is_refused_as_typed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 2, and names the option: nobody is asked."""
    with pytest.raises(SystemExit) as ended:
        run(command)
    assert ended.value.code == 2
    assert "Invalid value for" in capsys.readouterr().err
