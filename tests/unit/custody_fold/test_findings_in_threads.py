"""The table of findings is loaded when it is first needed, by whichever thread needs it first."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import threading
from cellcustody.ledger.custody.findings import rule_of

sys.setswitchinterval(1e-6)
start = threading.Barrier(8)
found = []

def ask():
    start.wait()
    found.append(rule_of("CO_SIGNATURE_OUTSTANDING").code)

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found))
"""


def test_no_thread_meets_half_a_table() -> None:
    """Threads that ask at once in a fresh interpreter all find the rule."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "8\n", done.stderr
