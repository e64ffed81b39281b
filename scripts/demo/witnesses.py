"""Witnesses of the demonstration: each of another organisation, running beside the ledger, and one export without them.

They are the program that `cellcustody witness` runs, at ports of their own, by the story's clock.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cellcustody.ledger.dossier.layout import CHECKPOINT, FILE_NAMES, canonical_zip
from cellcustody.ledger.transparency import format_note, parse_note
from cellcustody.ledger.verification import open_dossier
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.configuration import load_witness_configuration
from cellcustody.services.witness.running import MadeWitness, make_witness, witnessing

__all__ = ["DemoWitnesses", "without_witness"]


@dataclass(frozen=True, slots=True)
class DemoWitnesses:
    """Witnesses that are made and do not run yet; all of them are the quorum."""

    names: tuple[str, ...]
    made: tuple[MadeWitness, ...]
    policy: str

    @classmethod
    def make(cls, folder: Path, names: tuple[str, ...]) -> DemoWitnesses:
        """Makes keys and configurations, each at a free port."""
        made: list[MadeWitness] = []
        lines: list[str] = []
        for number, name in enumerate(names):
            address = f"127.0.0.1:{_free_port()}"
            one = make_witness(folder / f"witness-{number}", name, listen=address)
            made.append(one)
            lines += [
                f"witness {name} {one.vkeys[0]} http://{address}",
                f"witness {name}/ml-dsa-44 {one.vkeys[1]} http://{address}",
                f"group organisation-{number} all {name} {name}/ml-dsa-44",
            ]
        members = " ".join(f"organisation-{number}" for number in range(len(names)))
        lines += [f"group everyone all {members}", "quorum everyone"]
        return cls(names, tuple(made), "\n".join(lines) + "\n")

    @contextmanager
    def running(self, anchor: Path, log: Path, now: Callable[[], int]) -> Iterator[None]:
        """Runs them for the log of an anchor; `now` gives Unix seconds."""
        with ExitStack() as stack:
            stream = stack.enter_context(log.open("a", encoding="utf-8"))
            for one in self.made:
                with one.configuration.open("a", encoding="utf-8") as configuration:
                    configuration.write(f'\n[[log]]\nanchor = "{anchor}"\n')
                found = load_witness_configuration(one.configuration)
                stack.enter_context(witnessing(found, environment={}, log=StructuredLog(stream), now=now))
            yield


def without_witness(dossier: bytes, name: str) -> bytes:
    """Returns a dossier from whose checkpoint the lines of one witness were taken."""
    files = dict(open_dossier(dossier).files)
    note = parse_note(files[CHECKPOINT])
    files[CHECKPOINT] = format_note(note.text, [line for line in note.signatures if line.name != name])
    return canonical_zip([(file, files[file]) for file in FILE_NAMES])


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
