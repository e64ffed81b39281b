"""Start the programs that are measured or measure, each in a process of its own, and end them again.

Nothing is forked: grpcio does not survive it. Every wait has a limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.load_generator import Answer, Specification

__all__ = ["ROOT", "Running", "children_of", "echo_server", "generate_load", "ledger_server"]

ROOT: Final = Path(__file__).resolve().parent.parent
READY_TIMEOUT_SECONDS: Final = 120.0
END_TIMEOUT_SECONDS: Final = 40.0
LOAD_TIMEOUT_SECONDS: Final = 600.0
POLL_SECONDS: Final = 0.005


@dataclass(slots=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    target: str
    start_seconds: float
    """From the start of the process until everything answered."""

    def resident_bytes(self) -> int:
        """Returns the memory of the process and of those that it started, as the kernel counts what is in RAM."""
        return sum(_resident_bytes(pid) for pid in (self.process.pid, *children_of(self.process.pid)))


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    lines = [one for one in status.splitlines() if one.startswith("VmRSS:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0  # A process that has just ended has none.


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


@contextmanager
def ledger_server(configuration: Path) -> Iterator[Running]:
    """Yields `cellcustody serve` on a configuration; its log goes beside it."""
    ready = configuration.with_name("ready.json")
    command = [sys.executable, "-m", "cellcustody.services", "serve"]
    with _server(
        [*command, "--config", str(configuration), "--ready-file", str(ready)], ready, configuration.parent
    ) as one:
        yield one


@contextmanager
def echo_server(configuration: Path) -> Iterator[Running]:
    """Yields the echo server with that configuration's settings and certificates."""
    ready = configuration.with_name("echo.json")
    command = [sys.executable, "-m", "benchmarks.echo_server", str(configuration), str(ready)]
    with _server(command, ready, configuration.parent) as one:
        yield one


@contextmanager
def _server(command: Sequence[str], ready: Path, directory: Path) -> Iterator[Running]:
    ready.unlink(missing_ok=True)
    started = time.perf_counter()
    with open(directory / "server.log", "ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        while not ready.exists():
            if process.poll() is not None or time.perf_counter() - started > READY_TIMEOUT_SECONDS:
                tail = (directory / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"a server did not start: {tail}")
            time.sleep(POLL_SECONDS)
        elapsed = time.perf_counter() - started
        yield Running(process, json.loads(ready.read_text(encoding="utf-8"))["grpc"], elapsed)
    finally:
        process.terminate()
        try:
            process.wait(END_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def generate_load(specification: Specification, directory: Path) -> Answer:
    """Runs a load generator to its end and returns what it measured.

    Raises:
        RuntimeError: it failed.
    """
    path = directory / "load.json"
    path.write_text(json.dumps(asdict(specification)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load_generator", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LOAD_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr[-2000:]}")
    return Answer.read(done.stdout)
