"""The commands of time evidence: an authority to try out, renewal with the server stopped, whom an anchor believes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from served_ledger import PASSPHRASE, founded_in
from typer.testing import CliRunner

from cellcustody.clients.auditing.time_evidence import audit_time_evidence
from cellcustody.clients.cli.app import app
from cellcustody.clients.errors import LogInconsistent
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.timestamps import Renewal, encode_item, parse_item
from cellcustody.services.configuration import load_configuration
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.open_ledger import open_store
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_authority import TimeAuthorityServer
from cellcustody.services.timestamp_commands import NotRenewedError, open_authority, renew

AT = datetime.now(UTC)


def test_an_authority_keeps_its_key(tmp_path: Path) -> None:
    """Made once, opened again; its key is nobody else's to read."""
    made = open_authority(tmp_path / "tsa", "trial", AT)
    assert open_authority(tmp_path / "tsa", "trial", AT).certificate == made.certificate
    assert (tmp_path / "tsa" / "tsa.key").stat().st_mode & 0o077 == 0


def test_everything_is_renewed_with_the_server_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLCUSTODY_PASSPHRASE", PASSPHRASE)
    founded = founded_in(tmp_path / "ledger")
    authority = TimeAuthorityServer(
        open_authority(tmp_path / "tsa", "trial", AT),
        ListenAddress("127.0.0.1", 0),
        lambda: datetime.now(UTC),
        StructuredLog(StringIO()),
    )
    authority.start()
    with open(founded.configuration, "a", encoding="utf-8") as stream:
        stream.write(
            f'\n[timestamps]\n[[timestamps.authorities]]\nname = "trial"\nurl = "{authority.url}"\n'
            f'certificates = ["{tmp_path / "tsa" / "root.pem"}"]\n'
        )
    configuration = load_configuration(founded.configuration)
    try:
        first, second = renew(configuration, None), renew(configuration, "sha3-512")
    finally:
        authority.stop()
    assert isinstance(first.record, Renewal) and isinstance(second.record, Renewal)
    assert (first.record.hash.name, second.record.hash.name) == ("sha512", "sha3-512")
    assert second.record.evidence_count == 1
    assert second.record.size == first.record.size + 1  # The log records the first.
    with TimeEvidenceFile(configuration.ledger.data_directory) as evidence:
        assert evidence.recorded_at(1) == second.record.size
        assert evidence.kept_hashes(0) == []  # Fewer than 256 entries: nothing needs to be kept.
    with pytest.raises(NotRenewedError):
        renew(configuration, None)


def test_an_anchor_is_told_whom_to_believe(tmp_path: Path) -> None:
    founded = founded_in(tmp_path / "ledger")
    before = founded.anchor.read_bytes()
    open_authority(tmp_path / "tsa", "trial", AT)
    runner = CliRunner()
    root = str(tmp_path / "tsa" / "root.pem")
    done = runner.invoke(app, ["anchor", "authority", str(founded.anchor), "tsa.example", root])
    assert done.exit_code == 0, done.output
    anchor = parse_anchor(founded.anchor.read_bytes())
    assert [one.name for one in anchor.time_authorities] == ["tsa.example"]
    assert parse_anchor(before).time_authorities == ()
    shown = json.loads(runner.invoke(app, ["anchor", "show", str(founded.anchor), "--json"]).output)
    assert shown["time_authorities"][0]["certificates"] == ["CN=trial root"]
    again = runner.invoke(app, ["anchor", "authority", str(founded.anchor), "tsa.example", root, "--min", "1"])
    assert again.exit_code == 0
    assert len(parse_anchor(founded.anchor.read_bytes()).time_authorities) == 1


@pytest.mark.parametrize(
    "lines",
    [
        'renewal_hash = "md5"',
        "interval_seconds = 0",
        '[[timestamps.authorities]]\nname = "a"\nurl = "ftp://a"\ncertificates = ["a.pem"]',
        '[[timestamps.authorities]]\nname = "a"\nurl = "http://a"\ncertificates = []',
        "unknown = 1",
    ],
)
def test_a_configuration_that_is_wrong_is_refused(tmp_path: Path, lines: str) -> None:
    from cellcustody.ledger.errors import ConfigurationError

    founded = founded_in(tmp_path / "ledger")
    with open(founded.configuration, "a", encoding="utf-8") as stream:
        stream.write(f"\n[timestamps]\n{lines}\n")
    with pytest.raises(ConfigurationError):
        load_configuration(founded.configuration)


def test_renewals_are_made_again_by_an_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that shows other entries than the log has, or covers other items, is found by whoever reads all."""
    monkeypatch.setenv("CELLCUSTODY_PASSPHRASE", PASSPHRASE)
    founded = founded_in(tmp_path / "ledger")
    keys = open_authority(tmp_path / "tsa", "trial", AT)
    authority = TimeAuthorityServer(
        keys, ListenAddress("127.0.0.1", 0), lambda: datetime.now(UTC), StructuredLog(StringIO())
    )
    authority.start()
    with open(founded.configuration, "a", encoding="utf-8") as stream:
        stream.write(
            f'\n[timestamps]\n[[timestamps.authorities]]\nname = "trial"\nurl = "{authority.url}"\n'
            f'certificates = ["{tmp_path / "tsa" / "root.pem"}"]\n'
        )
    configuration = load_configuration(founded.configuration)
    try:
        items = [renew(configuration, None), renew(configuration, "sha3-512")]
    finally:
        authority.stop()
    store = open_store(configuration, {})
    try:
        entries = list(enumerate(store.entries(0, 1_000)))
    finally:
        store.close()
    anchor = parse_anchor(founded.anchor.read_bytes())
    size = len(entries)

    found = audit_time_evidence(items, (), entries, anchor, size)
    assert (found.items, found.renewals, found.unknown_tokens) == (2, 2, 2)

    first, second = items
    assert isinstance(first.record, Renewal) and isinstance(second.record, Renewal)
    lies = (
        [parse_item(encode_item(0, replace(first.record, renewed_root=bytes(64)), first.tokens)), second],
        [first, parse_item(encode_item(1, replace(second.record, evidence_root=bytes(64)), second.tokens))],
        [parse_item(encode_item(0, replace(first.record, root=bytes(32)), first.tokens)), second],
    )
    for lie in lies:
        with pytest.raises(LogInconsistent):
            audit_time_evidence(lie, (), entries, anchor, size)
