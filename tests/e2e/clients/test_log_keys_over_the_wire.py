"""A log key is lost and replaced with the installed program; whoever has the old anchor follows."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.e2e.clients.client_world import PASSPHRASE, World, running_world

from cellcustody.clients import AuditorClient
from cellcustody.clients.signers import holder_of_file
from cellcustody.ledger.errors import VerificationError
from cellcustody.ledger.registry.anchor import encode_anchor, parse_anchor
from cellcustody.ledger.transparency import Ed25519NoteSigner
from cellcustody.services.configuration import load_configuration

PROGRAM = Path(sys.executable).with_name("cellcustody")
RUN_SECONDS_MAX = 60


def run(*arguments: str, code: int = 0) -> str:
    """Runs the installed program and returns what it printed."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        env={**os.environ, "CELLCUSTODY_PASSPHRASE": PASSPHRASE, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def profile_of(world: World, number: int) -> Path:
    """Writes the profile of a registrar."""
    file = world.founded.registrars[number]
    person = holder_of_file(file).hex()
    members = {
        "ledger": world.founded.ledger_id.hex(),
        "person": person,
        "device": person,
        "role": "registrar",
        "name": f"registrar {number + 1}",
        "key_file": str(file),
        "store": str(world.folder / f"registrar-{number}.sqlite"),
    }
    path = world.folder / f"registrar-{number}.toml"
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in members.items()) + "\n")
    return path


def restarted(world: World) -> World:
    """Starts the ledger's server again, on another port."""
    from tests.e2e.clients.client_world import _target_of

    ready = world.folder / "again.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(world.founded.configuration)]
    exits = ExitStack()
    server = subprocess.Popen([*command, "--ready-file", str(ready)], stderr=subprocess.DEVNULL)
    exits.callback(server.wait, RUN_SECONDS_MAX)
    exits.callback(server.terminate)
    return World(world.founded, _target_of(server, ready), world.folder, exits, world.desks)


def test_a_lost_log_key_is_replaced_with_the_program(tmp_path: Path) -> None:
    """New key, two registrars who sign into files, one command with the server stopped; the old anchor still leads."""
    with running_world(tmp_path) as world:
        before, _ = world.auditor("hospital/administrator", tmp_path / "believed").checkpoint()
    configuration = world.founded.configuration
    config = ("--config", str(configuration))
    lost = configuration.parent / "keys" / "log-ed25519.json"
    lost_vkey, kept_vkey = parse_anchor(world.founded.anchor.read_bytes()).log_keys
    lost.unlink()

    made = json.loads(run("log-keys", "new", str(tmp_path / "new.json"), *config))
    text = configuration.read_text().replace('"keys/log-ed25519.json"', json.dumps(str(tmp_path / "new.json")))
    configuration.write_text(text)
    body = {"log_keys": [made["vkey"], kept_vkey], "lost_keys": [lost_vkey]}
    first, second = (str(profile_of(world, number)) for number in range(2))
    files = [str(tmp_path / "rotation"), str(tmp_path / "joined")]
    run("--profile", first, "offline", "sign", "rotate-log-keys", "--body", json.dumps(body), "--to", files[0], "--yes")
    shown = run("--profile", second, "offline", "join", files[0], "--to", files[1], "--yes")
    assert lost_vkey in shown

    refused = subprocess.run(
        [str(PROGRAM), "log-keys", "install", files[0], *config], capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 2 and "nothing was signed" in refused.stderr  # One registrar is no quorum.
    installed = json.loads(run("log-keys", "install", *files, *config))
    assert installed["size"] == before.size + 2
    told = json.loads(run("log-keys", "show", *config))
    assert [era["lost"] for era in told["eras"]] == [[], [lost_vkey]]
    assert all(one["signer_is_here"] for one in told["signing"])

    again = restarted(world)
    with again.exits:
        auditor = again.auditor("hospital/administrator", tmp_path / "believed")
        checkpoint, _ = auditor.checkpoint()
        assert checkpoint.size == installed["size"]
        assert auditor.receipt(leaf_index=before.size).leaf_index == before.size
        renewed = auditor.renewed_anchor()
        assert set(renewed.log_keys) == {made["vkey"], kept_vkey}
        world.founded.anchor.write_bytes(encode_anchor(renewed))
        assert again.auditor("hospital/administrator", tmp_path / "other").checkpoint()[0] == checkpoint
    assert load_configuration(configuration).keys.log[0] == tmp_path / "new.json"


def test_strangers_keys_lead_nowhere(world: World, tmp_path: Path) -> None:
    """Keys that were never this log's are refused, with the founding and without it."""
    stranger = Ed25519NoteSigner("localhost/log", Ed25519PrivateKey.generate()).vkey
    anchor = parse_anchor(world.founded.anchor.read_bytes())
    for founding in (anchor.founding_digest, b""):
        auditor = AuditorClient(
            world.connect(world.desks["hospital/administrator"].tls),
            origin=anchor.log_origin,
            log_keys=[stranger],
            founding_digest=founding,
        )
        with pytest.raises(VerificationError):
            auditor.checkpoint()
