"""A witness that is killed under load: what it answered it remembers, and it never takes a head back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from cellcustody.ledger.transparency import origin_hash, parse_checkpoint, parse_note, read_cosignatures
from cellcustody.ledger.transparency.witnessing import parse_size
from cellcustody.services.witness.configuration import load_witness_configuration

from .small_log import ORIGIN, SmallLog, ask, configuration_of, submit

KILLS_COUNT = 3
START_SECONDS = 60


def started(configuration: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Starts the witness as its own process; returns it with its port."""
    ready = configuration.with_name("ready.json")
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cellcustody.services", "witness", "--config", str(configuration)]
    process = subprocess.Popen([*command, "--ready-file", str(ready)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + START_SECONDS
    while not ready.exists():
        assert process.poll() is None and time.monotonic() < until, "the witness did not start"
        time.sleep(0.02)
    port = int(json.loads(ready.read_text())["http"].rpartition(":")[2])
    return process, port


def test_killed_under_load_it_keeps_what_it_answered(tmp_path: Path) -> None:
    log = SmallLog().grow(2000)
    configuration = configuration_of(tmp_path / "witness", log)
    vkeys = tuple(json.loads(path.read_text())["public_key"] for path in load_witness_configuration(configuration).keys)
    answered: list[int] = []
    known = 0

    for _ in range(KILLS_COUNT):
        process, port = started(configuration)
        kept = ask(port, "GET", f"/{origin_hash(ORIGIN)}/checkpoint")
        remembered = parse_checkpoint(kept.content).size if kept.status == 200 else 0
        assert remembered >= max(answered, default=0), "an answered head was taken back"
        known = remembered
        ended = threading.Event()

        def drive(port: int = port, ended: threading.Event = ended) -> None:
            nonlocal known
            while not ended.is_set():
                size = known + 1
                try:
                    told = submit(port, log.request(known, size))
                except OSError:
                    return  # It was killed; whether it kept the head is found out after.
                if told.status == 409:
                    known = parse_size(told.content)
                    continue
                assert told.status == 200
                read_cosignatures(told.content, parse_note(log.checkpoint(size)).text, vkeys)
                answered.append(size)
                known = size

        driver = threading.Thread(target=drive)
        driver.start()
        enough = len(answered) + 5
        until = time.monotonic() + START_SECONDS
        while len(answered) < enough and time.monotonic() < until:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        ended.set()
        driver.join()

    process, port = started(configuration)
    assert submit(port, log.request(max(answered) - 1, max(answered))).status in (409, 422), "no head is taken back"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert len(answered) >= 5 * KILLS_COUNT
