"""Readiness certificates on the command line: refused with reasons, shown without a server."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.e2e.cli.cli_world import Desks, run

from cellcustody.ledger.readiness_certificates import ReadinessCertificate, issue_certificate
from cellcustody.services.configuration import load_configuration
from cellcustody.services.open_ledger import load_service_key


def _profile(desks: Desks, folder: Path, **members: str) -> str:
    """Returns a copy of the nurse's profile that names the anchor."""
    folder.mkdir()
    path = desks.changed("nurse", folder, **members)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("anchor")]
    path.write_text("\n".join([f"anchor = {json.dumps(desks.anchor)}", *lines]))
    return str(path)


def test_a_certificate_is_shown_without_a_server(desks: Desks, tmp_path: Path) -> None:
    """Fetching for a bag that is not ready is refused, but the founding is kept, and what it vouches for verifies."""
    online = _profile(desks, tmp_path / "online")
    offline = _profile(desks, tmp_path / "offline", target="127.0.0.1:1")
    kept_in = ("--folder", str(tmp_path / "kept"))
    never = run("--profile", offline, "bedside", "show", desks.bag, *kept_in)
    assert (never.code, never.out) == (2, "")
    refused = run("--profile", online, "bedside", "fetch", desks.bag, *kept_in)
    assert (refused.code, refused.out) == (2, "")
    assert "the bag is not ready" in refused.err
    assert "NOT_RELEASED" in refused.err
    absent = run("--profile", offline, "bedside", "show", desks.bag, *kept_in)
    assert absent.code == 1
    assert "ABSENT" in absent.err

    configuration = load_configuration(desks.world.founded.configuration)
    service, _ = load_service_key(configuration.keys, os.environ)
    now = time.time_ns() // 1000
    certificate = ReadinessCertificate(
        ledger_id=desks.world.founded.ledger_id,
        therapy=desks.story.therapy,
        material=desks.story.collected[0].material,
        position=40,
        last_statement_digest=bytes(32),
        issued_at=now,
        expires_at=now + 3_600_000_000,
        coi=desks.story.coi,
        din="",
        bag_expires_at=None,
        released_by=bytes(32),
    )
    kept = tmp_path / "kept" / f"{desks.bag}.readiness"
    kept.write_bytes(issue_certificate(certificate, service))
    shown = run("--profile", offline, "bedside", "show", desks.bag, *kept_in, "--json")
    assert shown.code == 0, shown.err
    assert isinstance(shown.json, dict)
    assert shown.json["certificates"][0]["coi"] == desks.story.coi

    kept.write_bytes(kept.read_bytes()[:-1])
    broken = run("--profile", offline, "bedside", "show", desks.bag, *kept_in)
    assert (broken.code, broken.out) == (1, "")
