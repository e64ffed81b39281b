"""Simulated therapies meet a real server, and the ledger finds what was meant and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cellcustody.clients.simulation import LedgerFolder, Wishes, open_ground, simulate
from cellcustody.clients.simulation.running import BEGIN
from cellcustody.clients.simulation.telling import Rates
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements.key_files import COST_LIGHT
from cellcustody.services.founding import FoundingWishes, found_ledger

SEED = 11
PASSPHRASE = "for this test only"
READY_SECONDS_MAX = 60


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerFolder]:
    """A founded ledger with its server, a process of its own."""
    folder = tmp_path_factory.mktemp("simulated")
    founded = found_ledger(
        FoundingWishes(
            folder / "ledger",
            "ledger.example/simulated",
            grpc_listen="127.0.0.1:0",
            http_listen="127.0.0.1:0",
            registrar_cost=COST_LIGHT,
        ),
        registrar_passphrase=PASSPHRASE,
        now=lambda: datetime.now(UTC),
    )
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(founded.configuration)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, "--ready-file", str(ready)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ready.exists():
            assert server.poll() is None and time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.05)
        target = json.loads(ready.read_text())["grpc"]
        yield LedgerFolder.of(folder / "ledger", passphrase=PASSPHRASE, target=target)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the one world that the ledger takes."""
    return tmp_path_factory.mktemp("world")


def test_only_what_was_meant_is_found(ledger: LedgerFolder, world: Path) -> None:
    """Excursions, failed batches and broken handoffs in plenty: each found as meant; the rest conforms and closes."""
    rates = Rates(excursions=0.3, corrections=0.05, handoffs=0.2, late=0.08, batches_failed=0.4)
    with open_ground(ledger, world, seed=SEED, begin=BEGIN, tell=lambda _: None) as ground:
        summary = simulate(ground, Wishes(6, threads=3, rates=rates))

    assert [str(one) for one in (*summary.refusals, *summary.unintended, *summary.missed)] == []
    assert summary.therapies == sum(summary.outcomes.values()) == 6
    assert summary.statements == summary.counts["acts"] > 500
    assert summary.intended > 0
    for counted in ("corrected", "late", "waited", "excursions"):
        assert summary.counts[counted] > 0


def test_the_command_goes_on_in_the_world_it_made(ledger: LedgerFolder, world: Path) -> None:
    """A later run enrols nothing, tells other therapies, and says what it did as JSON."""
    command = [sys.executable, "-m", "cellcustody.clients.cli.main", "simulate", "--therapies", "1", "--json"]
    command += ["--seed", str(SEED), "--ledger", str(ledger.folder), "--folder", str(world), "--server", ledger.target]
    environment = {**os.environ, "CELLCUSTODY_PASSPHRASE": PASSPHRASE}
    told = []
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "FOR TRYING OUT ONLY" in done.stderr
        told.append(json.loads(done.stdout))

    assert [one["therapies"] for one in told] == [1, 1]
    assert told[1]["statements_enrolling"] == 0
    assert [one["deviations"] for one in told] == [[], []]


def test_a_second_world_is_refused(ledger: LedgerFolder, world: Path, tmp_path: Path) -> None:
    """It would give out the identifiers of the first."""
    open_ground(ledger, world, seed=SEED, begin=BEGIN, tell=lambda _: None)
    with pytest.raises(ConfigurationError, match="one simulated world"):
        open_ground(ledger, tmp_path, seed=SEED + 1, begin=BEGIN, tell=lambda _: None)


def test_a_world_of_another_seed_is_not_gone_on_in(ledger: LedgerFolder, tmp_path: Path) -> None:
    """The people's keys would be others."""
    state = {"format": 1, "seed": 1, "therapies": 0}
    with pytest.raises(ConfigurationError, match="another ledger"):
        (tmp_path / "simulation.json").write_text(json.dumps({**state, "ledger": "00" * 16}))
        open_ground(ledger, tmp_path, seed=1, begin=BEGIN, tell=lambda _: None)


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    """The registrars' keys are needed, so nothing else will do."""
    with pytest.raises(ConfigurationError, match="no ledger's folder"):
        LedgerFolder.of(tmp_path, passphrase="")
