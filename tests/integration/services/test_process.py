"""The server as a process: it announces itself, drains on SIGTERM, and starts again where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from cellcustody.services.founding import Founded
from cellcustody.v1 import custody_query_service_pb2, options_pb2, transparency_service_pb2
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceStub

from .served_ledger import TIMEOUT_SECONDS, EnrolledSite, founded_in, served

START_SECONDS = 60.0


@contextmanager
def process(founded: Founded, ready_file: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs the server's program; yields it with the address of gRPC once it is ready."""
    command = [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(founded.configuration)]
    running = subprocess.Popen([*command, "--ready-file", str(ready_file)], stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + START_SECONDS
        while not ready_file.exists():
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < until, "the server did not become ready"
            time.sleep(0.02)
        yield running, str(json.loads(ready_file.read_text())["grpc"])
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def channel(founded: Founded, address: str, name: str) -> grpc.Channel:
    """A channel with that certificate."""
    folder = founded.authority.parent
    credentials = grpc.ssl_channel_credentials(
        founded.authority.read_bytes(),
        (folder / f"{name}.key").read_bytes(),
        (folder / f"{name}.pem").read_bytes(),
    )
    return grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Founded, EnrolledSite, int]:
    """A founded ledger with one site, not running, and the size of its log."""
    founded = founded_in(tmp_path / "ledger")
    with served(founded) as ledger:
        site = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        return founded, site, ledger.server.ledger.checkpoint_size()


def test_it_drains_on_sigterm_and_keeps_what_it_acknowledged(
    prepared: tuple[Founded, EnrolledSite, int], tmp_path: Path
) -> None:
    founded, _, size = prepared
    with process(founded, tmp_path / "ready.json") as (running, address):
        with channel(founded, address, "plant") as connected:
            watch = CustodyQueryServiceStub(connected).Watch(custody_query_service_pb2.WatchRequest(), timeout=60)
            proofs = TransparencyServiceStub(connected)
            before = proofs.GetCheckpoint(transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS)

            running.send_signal(signal.SIGTERM)
            news = list(watch)
        _, errors = running.communicate(timeout=60)

    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert running.returncode == 0
    assert news == []
    assert [event for event in events if event not in ("call", "http")] == ["ready", "draining", "ended"]
    with process(founded, tmp_path / "again.json") as (_, address), channel(founded, address, "plant") as connected:
        after = TransparencyServiceStub(connected).GetCheckpoint(
            transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS
        )
        assert after.checkpoint == before.checkpoint
        assert after.checkpoint.splitlines()[1] == str(size).encode()


def test_a_second_server_on_the_same_ledger_does_not_start(
    prepared: tuple[Founded, EnrolledSite, int], tmp_path: Path
) -> None:
    founded, _, _ = prepared
    with process(founded, tmp_path / "ready.json"):
        second = subprocess.run(
            [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(founded.configuration)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert second.returncode == 2
    assert "JOURNAL_IN_USE" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_database_restored_from_before_the_last_checkpoint_is_refused(
    prepared: tuple[Founded, EnrolledSite, int],
) -> None:
    founded, _, _ = prepared
    folder = founded.configuration.parent / "data"
    files = {path: path.read_bytes() for path in folder.iterdir() if path.name.startswith("ledger.sqlite")}
    with served(founded) as ledger:
        ledger.enrol_site("later", options_pb2.CAPABILITY_TEST)
    for path in folder.iterdir():
        if path.name.startswith("ledger.sqlite"):
            path.unlink()
    for path, content in files.items():
        path.write_bytes(content)

    with pytest.raises(Exception, match="STORE_ROLLED_BACK"), served(founded):
        pass


def test_an_anchor_of_another_ledger_is_refused(tmp_path: Path) -> None:
    founded, other = founded_in(tmp_path / "one"), founded_in(tmp_path / "two")
    founded.anchor.write_bytes(other.anchor.read_bytes())

    with pytest.raises(Exception, match="anchor is that of another ledger"), served(founded):
        pass


def test_a_folder_that_is_not_empty_is_not_founded_in(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "something").touch()

    with pytest.raises(Exception, match="founded in an empty folder"):
        founded_in(tmp_path / "ledger")
