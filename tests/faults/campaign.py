"""Run seeds of the fault simulation: `python -m tests.faults.campaign FIRST END FOLDER`; FOLDER is emptied.

Prints one JSON object: how many seeds came to which outcome, and what went wrong with which seed.
"""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from collections import Counter
from pathlib import Path

from tests.faults.fault_world import Template
from tests.faults.scenarios import SCENARIOS, run


def campaign(first: int, end: int, folder: Path) -> dict[str, object]:
    """Runs the seeds from `first` to before `end`, and returns what came of them."""
    shutil.rmtree(folder, ignore_errors=True)
    template = Template.made(folder / "template")
    outcomes: Counter[str] = Counter()
    failures: dict[int, str] = {}
    for seed in range(first, end):
        here = folder / "run"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        try:
            outcomes[": ".join(run(seed, template, here))] += 1
        except Exception:
            name = list(SCENARIOS)[seed % len(SCENARIOS)]
            failures[seed] = f"{name}\n{traceback.format_exc(limit=-4)}"
    shutil.rmtree(folder, ignore_errors=True)
    return {"seeds": end - first, "outcomes": dict(sorted(outcomes.items())), "failures": failures}


if __name__ == "__main__":
    print(json.dumps(campaign(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])), indent=1))
