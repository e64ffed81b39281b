"""A whole log is audited: over HTTP, from what was kept of it, after an interruption, and against lies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cellcustody.clients.auditing import AuditProgress, LogSourceUnavailable, audit_log, open_source, whole_log
from cellcustody.clients.cli.app import app
from cellcustody.clients.errors import AccessDenied, LogInconsistent
from cellcustody.ledger.errors import ConfigurationError, VerificationError
from cellcustody.ledger.registry import Anchor, encode_anchor, parse_anchor
from cellcustody.ledger.verification import CommitmentInvalidError, IssuerMismatchError
from cellcustody.v1 import ledger_service_pb2, options_pb2

from .served_ledger import EnrolledSite, ServedLedger, founded_in, served


@dataclass
class Growing:
    """A running ledger and the plant that states facts in it."""

    running: ServedLedger
    plant: EnrolledSite

    def grow(self, count: int) -> None:
        """Has the plant state so many facts."""
        statements = [self.running.deviation(self.plant.administrator) for _ in range(count)]
        self.running.ledger_service(self.plant.tls_name).AppendBatch(
            ledger_service_pb2.AppendBatchRequest(statements=statements, omit_receipts=True), timeout=60
        )


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growing]:
    with served(founded_in(tmp_path_factory.mktemp("audited") / "ledger", entries_open=True)) as running:
        ledger = Growing(running, running.enrol_site("plant", options_pb2.CAPABILITY_PROCESS))
        ledger.grow(280)
        yield ledger


@pytest.fixture(scope="module")
def ledger(growing: Growing) -> ServedLedger:
    return growing.running


@pytest.fixture(scope="module")
def kept(ledger: ServedLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that an audit over HTTP kept: the log's files, with nothing else in it."""
    state = tmp_path_factory.mktemp("kept")
    audit_log(open_source(_url(ledger)), _anchor(ledger), state_folder=state)
    return state / "log"


@pytest.fixture
def log(kept: Path, tmp_path: Path) -> Path:
    """A copy of it, to tamper with."""
    return Path(shutil.copytree(kept, tmp_path / "log"))


def _url(running: ServedLedger) -> str:
    return f"http://127.0.0.1:{running.server.http_port}"


def _anchor(running: ServedLedger) -> Anchor:
    return parse_anchor(running.founded.anchor.read_bytes())


def test_everything_is_verified_over_http(ledger: ServedLedger, tmp_path: Path) -> None:
    stages: list[AuditProgress] = []
    report = audit_log(open_source(_url(ledger)), _anchor(ledger), progress=stages.append)

    assert report.export.entries == report.size >= 280
    assert report.signatures == report.export.signatures == report.size
    assert report.export.root == report.root
    assert report.registry_entries > 3 and report.export.co_signatures
    assert report.tiles == 3  # Two of level 0, one of level 1.
    assert {(one.stage, one.total) for one in stages} == {("reading", report.size), ("verifying", report.size)}
    assert stages[-1].done == report.size


def test_what_was_kept_is_audited_without_the_log(ledger: ServedLedger, kept: Path) -> None:
    report = audit_log(open_source(str(kept)), _anchor(ledger))

    assert report.export.entries == report.size


def test_the_next_visit_verifies_what_is_new_and_demands_the_old(
    growing: Growing, ledger: ServedLedger, tmp_path: Path
) -> None:
    first = audit_log(open_source(_url(ledger)), _anchor(ledger), state_folder=tmp_path)
    growing.grow(30)
    second = audit_log(open_source(_url(ledger)), _anchor(ledger), state_folder=tmp_path)

    assert second.size == first.size + 30
    assert (second.continues, second.signed_before) == (first.size, first.size)
    assert second.export.entries == second.size
    # A chunk that lies on both sides of where the first visit ended counts as new.
    assert 30 <= second.signatures < second.size


def test_an_interrupted_audit_goes_on(
    log: Path, ledger: ServedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_log, "LEAVES_BETWEEN_SAVES", 100)
    state = tmp_path / "state"

    def interrupt(so_far: AuditProgress) -> None:
        if so_far.stage == "verifying" and so_far.done > 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit_log(open_source(str(log)), _anchor(ledger), state_folder=state, progress=interrupt)
    report = audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)

    assert report.continues == 0  # Nothing was believed as a whole.
    assert 100 <= report.signed_before < report.size
    assert report.signatures == report.export.signatures - report.signed_before


def test_signatures_are_not_taken_over_for_other_entries(log: Path, ledger: ServedLedger, tmp_path: Path) -> None:
    state = tmp_path / "state"
    audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)
    bundle = log / "tile" / "entries" / "000"
    content = bytearray(bundle.read_bytes())
    content[-1] ^= 1
    bundle.write_bytes(content)

    with pytest.raises(LogInconsistent, match="does not continue"):
        audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)


def test_every_changed_byte_of_an_entry_is_found(log: Path, ledger: ServedLedger) -> None:
    bundle = log / "tile" / "entries" / "000"
    good = bundle.read_bytes()
    for at in range(5, len(good), 9_973):
        bundle.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])

        with pytest.raises((VerificationError, LogInconsistent)):
            audit_log(open_source(str(log)), _anchor(ledger))


def test_a_tile_that_the_entries_do_not_make_is_found(log: Path, ledger: ServedLedger) -> None:
    """Proofs are made from tiles: a log whose entries are right may still serve wrong ones."""
    tile = log / "tile" / "0" / "000"
    content = bytearray(tile.read_bytes())
    content[40] ^= 1
    tile.write_bytes(content)

    with pytest.raises(LogInconsistent, match="a tile that its entries do not make") as found:
        audit_log(open_source(str(log)), _anchor(ledger))

    assert (found.value.values["level"], found.value.values["index"]) == ("0", "0")


@pytest.mark.parametrize("resource", ["tile/entries/000", "tile/0/000", "openings/0"])
def test_what_is_withheld_is_named(log: Path, ledger: ServedLedger, resource: str) -> None:
    (log / resource).unlink()

    with pytest.raises(LogInconsistent, match="does not give"):
        audit_log(open_source(str(log)), _anchor(ledger))


def test_an_opening_that_was_not_signed_is_found(log: Path, ledger: ServedLedger) -> None:
    path = log / "openings" / "0"
    answer = ledger_service_pb2.GetEntryResponse.FromString(path.read_bytes())
    answer.openings[0].salt = bytes(32)
    path.write_bytes(answer.SerializeToString())

    with pytest.raises(CommitmentInvalidError):
        audit_log(open_source(str(log)), _anchor(ledger))


def test_a_log_that_shrank_or_was_written_anew_is_not_believed(log: Path, ledger: ServedLedger, tmp_path: Path) -> None:
    state = tmp_path / "state"
    audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)
    memory = json.loads((state / "audit.json").read_text())

    (state / "audit.json").write_text(json.dumps({**memory, "size": memory["size"] + 1}))
    with pytest.raises(LogInconsistent, match="fewer entries") as shrunk:
        audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)
    (state / "audit.json").write_text(json.dumps({**memory, "size": memory["size"] - 1, "root": "00" * 32}))
    with pytest.raises(LogInconsistent, match="does not continue"):
        audit_log(open_source(str(log)), _anchor(ledger), state_folder=state)

    assert shrunk.value.values == {"believed": str(memory["size"] + 1), "shown": str(memory["size"])}


def test_another_ledgers_anchor_and_memory_are_refused(log: Path, ledger: ServedLedger, tmp_path: Path) -> None:
    other = replace(_anchor(ledger), founding_digest=bytes(32))

    with pytest.raises(IssuerMismatchError):
        audit_log(open_source(str(log)), other)
    audit_log(open_source(str(log)), _anchor(ledger), state_folder=tmp_path / "state")
    with pytest.raises(ConfigurationError, match="another ledger"):
        audit_log(open_source(str(log)), other, state_folder=tmp_path / "state")


def test_nobody_at_the_address_and_no_such_folder(ledger: ServedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellcustody.clients.auditing.sources._PAUSE_SECONDS", 0.001)

    with pytest.raises(LogSourceUnavailable):
        audit_log(open_source("http://127.0.0.1:1"), _anchor(ledger))
    with pytest.raises(ConfigurationError):
        open_source("nowhere/at/all")


def test_entries_for_members_alone_are_not_given(tmp_path: Path) -> None:
    with served(founded_in(tmp_path / "ledger")) as closed, pytest.raises(AccessDenied):
        audit_log(open_source(_url(closed)), _anchor(closed))


def test_the_command_tells_figures_and_ends_with_one_where_a_link_is_broken(
    log: Path, ledger: ServedLedger, tmp_path: Path
) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_bytes(encode_anchor(_anchor(ledger)))
    run = CliRunner().invoke

    told = run(app, ["audit", str(log), "--anchor", str(anchor), "--json"])
    shown = run(app, ["audit", str(log), "--anchor", str(anchor)])
    (log / "tile" / "0" / "000").unlink()
    broken = run(app, ["audit", str(log), "--anchor", str(anchor)])

    answer = json.loads(told.stdout)
    assert told.exit_code == shown.exit_code == 0
    assert answer["outcome"] == "VERIFIED"
    assert answer["signatures_verified"] == answer["entries"] == answer["size"]
    assert "VERIFIED: " in shown.stdout.splitlines()[-1] + shown.stdout.splitlines()[-2]
    assert isinstance(broken.exception, LogInconsistent)
