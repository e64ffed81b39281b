"""A process that founds a ledger, writes to it from several threads, and tells what was acknowledged.

Started by the tests with the ledger's folder; ended by a signal that it cannot catch.
What it prints was acknowledged before.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from courses import COLLECTION, World
from ledger_harness import MICROS

from cellcustody.v1 import harvest_pb2 as harvest

THREADS = 4


def main(folder: Path) -> None:
    """Writes until it is killed; each line is a leaf index and a statement digest that the ledger acknowledged."""
    world = World(folder)
    harness = world.harness
    courses = [world.course() for _ in range(THREADS)]
    for course in courses:
        course.enrols()
    said = threading.Lock()

    def writes(index: int) -> None:
        course = courses[index]
        while True:
            with said:
                harness.clock += MICROS
                made = harness.statement(world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))
            recorded = harness.ledger.submit(made, timeout_seconds=30)
            with said:
                print(recorded.position - 1, recorded.statement_digest.hex(), flush=True)

    vkeys = " ".join(one.vkey for one in harness.log_signers)
    print(f"vkeys {vkeys}", flush=True)
    for index in range(THREADS):
        threading.Thread(target=writes, args=(index,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
