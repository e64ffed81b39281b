"""An operator founds a ledger and serves it, two registrars enrol a site, its administrator a person: all as typed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.cli.cli_world import PROGRAM, SECRETS, run

CLINIC = "c1" * 16
ADMINISTRATORS = ("a1" * 16, "a2" * 16)
NURSE = "b1" * 16
START_SECONDS_MAX = 60


@dataclass(frozen=True)
class Place:
    """A founded ledger and where it answers."""

    folder: Path
    founded: dict[str, object]
    target: str

    def profile(self, name: str, *, person: str, role: str, key: Path, tls: str, site: str = "") -> str:
        """Writes a profile and returns its path."""
        ledger = self.folder / "ledger"
        members = {
            "target": self.target,
            "server_name": "localhost",
            "ledger": self.founded["ledger_id"],
            "person": person,
            "device": person,
            "role": role,
            "name": name,
            "key_file": str(key),
            "store": f"{name}.sqlite",
        }
        if site:
            members["site"] = site
        lines = [f"{key} = {json.dumps(value)}" for key, value in members.items()]
        lines += ["[tls]", f'ca = "{ledger}/tls/ca.pem"']
        lines += [f'certificate = "{ledger}/tls/{tls}.pem"', f'key = "{ledger}/tls/{tls}.key"']
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(lines))
        return str(path)

    def prove(self, name: str, holder: str) -> Path:
        """Has a person make a key and prove it; returns the proof."""
        key, proof = self.folder / f"{name}.key", self.folder / f"{name}.proof"
        assert run("key", "new", str(key), "--holder", holder).code == 0
        assert run("key", "show", str(key), "--json").code == 0
        proved = run("key", "prove", str(key), "--holder", holder, "--ledger", str(self.founded["ledger_id"]))
        assert proved.code == 0, proved.err
        proof.write_text(proved.out)
        return proof


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A ledger founded with `init` and served with `serve`, which ends with 0 on SIGTERM."""
    folder = tmp_path_factory.mktemp("founded")
    made = run(
        *("init", "--directory", str(folder / "ledger"), "--origin", "log.example/test"),
        *("--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
    )
    assert made.code == 0, made.err
    founded = made.json
    assert isinstance(founded, dict)
    ready = folder / "ready.json"
    server = subprocess.Popen(
        [str(PROGRAM), "serve", "--config", str(founded["configuration"]), "--ready-file", str(ready)],
        env={**os.environ, **SECRETS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not ready.exists():
            assert server.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield Place(folder, founded, json.loads(ready.read_text())["grpc"])
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
    finally:
        server.kill()
        server.wait()


def test_a_site_is_enrolled_by_two_registrars_and_enrols_its_people(place: Place) -> None:
    """One registrar proposes, another joins; then the site's administrator enrols a nurse, who can ask."""
    issued = run("init", "tls", "--directory", str(place.folder / "ledger"), "--site", "clinic").json
    assert isinstance(issued, dict)
    proofs = {person: place.prove(f"administrator-{person[:2]}", person) for person in ADMINISTRATORS}
    site = {
        "site": CLINIC,
        "name": "Clinic",
        "capabilities": ["CAPABILITY_COLLECT", "CAPABILITY_STORE"],
        "units": ["apheresis"],
        "tls_key_ids": [issued["tls_key_id"]],
        "facility": "A9999",
        "administrators": [
            {"person": person, "keys": [json.loads(proof.read_text())], "roles": [{"role": "administrator"}]}
            for person, proof in proofs.items()
        ],
        "names": [{"person": person, "printed_name": "An administrator"} for person in ADMINISTRATORS],
    }
    registrars = [Path(str(path)) for path in list_of(place.founded["registrars"])]
    speak = [
        place.profile(f"registrar-{n}", person=holder_of(path), role="registrar", key=path, tls="operator")
        for n, path in enumerate(registrars[:2])
    ]

    proposed = run("--profile", speak[0], "enrol", "site", json.dumps(site), "--yes", "--json")
    assert proposed.code == 0, proposed.err
    pending = proposed.json
    assert isinstance(pending, dict)
    assert pending["status"] == "PENDING"

    joined = run("--profile", speak[1], "co-sign", str(pending["statement_digest"]), "--meaning", "approved", "--yes")
    assert joined.code == 0, joined.err
    assert f"puts in effect {pending['statement_digest']}" in joined.out

    administrator = place.profile(
        "administrator-a1",
        person=ADMINISTRATORS[0],
        role="administrator",
        key=place.folder / "administrator-a1.key",
        tls="clinic",
        site=CLINIC,
    )
    enrolled = run(
        *("--profile", administrator, "enrol", "person", "--person", NURSE, "--name", "A nurse", "--yes"),
        *("--key", str(place.prove("nurse", NURSE)), "--role", "collection_nurse=2030-01-01T00:00+00:00"),
    )
    assert enrolled.code == 0, enrolled.err
    assert "IN_EFFECT" in enrolled.out

    nurse = place.profile(
        "nurse", person=NURSE, role="collection_nurse", key=place.folder / "nurse.key", tls="clinic", site=CLINIC
    )
    assert run("--profile", nurse, "worklist", "--json").code == 0


def test_a_ledger_is_not_founded_over_another(place: Place) -> None:
    """It ends with 2 and leaves what is there alone."""
    anchor = place.folder / "ledger" / "anchor.json"
    before = anchor.read_bytes()

    printed = run("init", "--directory", str(place.folder / "ledger"))

    assert printed.code == 2
    assert "empty folder" in printed.err
    assert anchor.read_bytes() == before


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Serving ends with 2."""
    printed = run("serve", "--config", str(tmp_path / "none.toml"))

    assert printed.code == 2
    assert "none.toml" in printed.err


def list_of(value: object) -> list[object]:
    """Returns a value that is a list."""
    assert isinstance(value, list)
    return value


def holder_of(path: Path) -> str:
    """Returns the person that a key file names, in hexadecimal."""
    return str(json.loads(path.read_text())["holder"])
