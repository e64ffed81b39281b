"""A served ledger with three witnesses of three organisations, of which two are a quorum; all of it real."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from served_ledger import ORIGIN, PASSPHRASE, ServedLedger, served

from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.statements.key_files import COST_LIGHT
from cellcustody.services.founding import Founded, FoundingWishes, found_ledger
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.configuration import load_witness_configuration
from cellcustody.services.witness.running import MadeWitness, RunningWitness, make_witness, witnessing

NAMES = ("hospital.example/w", "courier.example/w", "plant.example/w")
WAIT_SECONDS = 30


@dataclass
class Witnesses:
    """Three witnesses that can be started and stopped one by one; each keeps its port."""

    folder: Path
    made: tuple[MadeWitness, ...]
    running: dict[int, tuple[ExitStack, RunningWitness]] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    text: io.StringIO = field(default_factory=io.StringIO)

    def policy(self, *, with_addresses: bool) -> str:
        """The policy: two of the three, each counted by either of its keys."""
        lines = []
        for number, made in enumerate(self.made):
            url = f" http://127.0.0.1:{self.ports[number]}" if with_addresses else ""
            members = [f"{NAMES[number]}{suffix}" for suffix in ("", "/pq")]
            lines += [f"witness {name} {vkey}{url}" for name, vkey in zip(members, made.vkeys, strict=True)]
            lines.append(f"group organisation-{number} any {' '.join(members)}")
        lines.append(f"group quorum-of-organisations 2 {' '.join(f'organisation-{n}' for n in range(len(self.made)))}")
        lines.append("quorum quorum-of-organisations")
        return "\n".join(lines) + "\n"

    def start(self, number: int) -> None:
        """Starts one, on the port that it had before."""
        stack = ExitStack()
        path = self.made[number].configuration
        if number in self.ports:
            text = path.read_text()
            path.write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{self.ports[number]}"'))
        configuration = load_witness_configuration(path)
        found = stack.enter_context(witnessing(configuration, environment={}, log=StructuredLog(self.text)))
        self.running[number] = (stack, found)
        self.ports[number] = found.port

    def stop(self, number: int) -> None:
        """Stops one."""
        self.running.pop(number)[0].close()

    def close(self) -> None:
        """Stops all."""
        for number in list(self.running):
            self.stop(number)


@contextmanager
def three_witnesses(folder: Path) -> Iterator[tuple[Witnesses, Founded]]:
    """Yields witnesses that answer, and a founded ledger whose configuration names them."""
    made = tuple(make_witness(folder / f"w{n}", name, listen="127.0.0.1:0") for n, name in enumerate(NAMES))
    witnesses = Witnesses(folder, made)
    founded = found_ledger(
        FoundingWishes(
            folder / "ledger",
            ORIGIN,
            grpc_listen="localhost:0",
            http_listen="127.0.0.1:0",
            registrar_cost=COST_LIGHT,
            entries_open=True,
            witness_policy=witnesses.policy(with_addresses=False),
        ),
        registrar_passphrase=PASSPHRASE,
        now=lambda: datetime.now(UTC),
    )
    try:
        for number, one in enumerate(made):
            with one.configuration.open("a") as stream:
                stream.write(f'\n[[log]]\nanchor = "{founded.anchor}"\n')
            witnesses.start(number)
        policy = folder / "addresses.policy"
        policy.write_text(witnesses.policy(with_addresses=True))
        with founded.configuration.open("a") as stream:
            stream.write(f'\n[witnesses]\npolicy = "{policy}"\ninterval_seconds = 0.2\ntimeout_seconds = 2\n')
        yield witnesses, founded
    finally:
        witnesses.close()


@contextmanager
def witnessed_ledger(folder: Path) -> Iterator[tuple[ServedLedger, Witnesses]]:
    """Yields a server with its three witnesses."""
    with three_witnesses(folder) as (witnesses, founded), served(founded) as ledger:
        yield ledger, witnesses


def anchor_of(ledger: ServedLedger) -> Anchor:
    """The anchor, as an auditor has it."""
    return parse_anchor(ledger.founded.anchor.read_bytes())


def eventually(holds: Callable[[], bool]) -> None:
    """Returns when it holds; fails after a time that only a defect needs."""
    until = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < until, "it did not come to hold"
        time.sleep(0.02)
