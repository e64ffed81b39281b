"""Three organisations, a ledger and a monitor, each a process of its own, all by the commands that people type."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.transparency import parse_policy, verify_witnesses
from cellcustody.ledger.transparency.errors import QuorumUnmetError

NAMES = ("hospital.example/w", "courier.example/w", "plant.example/w")
ENVIRONMENT = {**os.environ, "CELLCUSTODY_PASSPHRASE": "words of the registrars", "COLUMNS": "200"}
SECONDS = 60


def typed(*arguments: str, code: int = 0) -> str:
    """Types a command; returns what it printed."""
    command = [sys.executable, "-m", "cellcustody.clients.cli.main", *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Types a command that serves; yields its process and the HTTP address that it announces."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cellcustody.clients.cli.main", *arguments, "--ready-file", str(ready)]
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
        try:
            until = time.monotonic() + SECONDS
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < until, (folder / "log.txt").read_text()
                time.sleep(0.05)
            yield process, f"http://{json.loads(ready.read_text())['http']}"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(SECONDS)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def checkpoint_at(url: str) -> bytes:
    """The checkpoint that is shown."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    connection.request("GET", "/checkpoint")
    content = connection.getresponse().read()
    connection.close()
    return content


def test_a_founding_with_witnesses_to_a_monitor(tmp_path: Path) -> None:
    """Keys, policy, founding, serving, cosigning, a witness that is killed, a monitor that hears them all."""
    ports = [free_port() for _ in NAMES]
    lines: list[str] = []
    for number, name in enumerate(NAMES):
        url = f"http://127.0.0.1:{ports[number]}"
        made = json.loads(
            typed(
                *("witness", "init", "--name", name, "--directory", str(tmp_path / f"w{number}")),
                *("--listen", f"127.0.0.1:{ports[number]}", "--url", url),
            )
        )
        assert len(made["vkeys"]) == 2
        lines += made["policy_lines"]
        lines.append(f"group o{number} any {name} {name}/ml-dsa-44")
    lines += ["group most 2 o0 o1 o2", "quorum most"]
    policy = tmp_path / "policy"
    policy.write_text("\n".join(lines) + "\n")
    ledger = tmp_path / "ledger"
    founded = json.loads(
        typed(
            *("init", "--directory", str(ledger), "--witness-policy", str(policy), "--entries-open"),
            *("--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
        )
    )
    anchor = parse_anchor(Path(founded["anchor"]).read_bytes())
    trusted = parse_policy(anchor.witness_policy.encode())
    assert anchor.witness_policy == policy.read_text()
    for number in range(len(NAMES)):
        with (tmp_path / f"w{number}" / "witness.toml").open("a") as stream:
            stream.write(f'\n[[log]]\nanchor = "{founded["anchor"]}"\n')

    def witness(number: int) -> tuple[str, ...]:
        return ("witness", "--config", str(tmp_path / f"w{number}" / "witness.toml"))

    def shows_a_quorum(url: str) -> bool:
        try:
            verify_witnesses(checkpoint_at(url), trusted, anchor.log_origin, anchor.log_keys)
        except QuorumUnmetError:
            return False
        return True

    def until_it_shows_a_quorum(url: str) -> None:
        end = time.monotonic() + SECONDS
        while not shows_a_quorum(url):
            assert time.monotonic() < end, (ledger / "log.txt").read_text()
            time.sleep(0.1)

    with (
        running(tmp_path / "w0", *witness(0)) as (first, _),
        running(tmp_path / "w1", *witness(1)),
        running(ledger, "serve", "--config", founded["configuration"]) as (_, url),
    ):
        until_it_shows_a_quorum(url)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with running(tmp_path / "w2", *witness(2)):
            until_it_shows_a_quorum(url)
            gossip = [part for port in ports[1:] for part in ("--gossip", f"http://127.0.0.1:{port}")]
            look = json.loads(
                typed(
                    *("monitor", "--anchor", founded["anchor"], "--url", url, "--json"),
                    *("--state", str(tmp_path / "monitor"), *gossip),
                )
            )
            assert (look["findings"], look["gossip_silent"], look["unverified"]) == ([], [], 0)
            assert look["size"] == look["judged"] > 0
            assert len(look["witnesses"]) >= 2
    typed("monitor", "--anchor", founded["anchor"], "--url", url, "--state", str(tmp_path / "monitor"), code=4)
