"""The golden vectors of the log are what the script builds, and each gets the verdict it is named for."""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "vectors" / "transparency"


def test_golden_vectors_are_what_is_built() -> None:
    """Rebuilding gives byte for byte what is checked in, verdicts included."""
    check = subprocess.run(
        [sys.executable, str(FOLDER / "build.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_good_files_are_accepted_and_the_others_refused() -> None:
    """A file is accepted exactly if it is named good, so that no defect passes unnoticed when vectors are rebuilt."""
    verdicts = json.loads((FOLDER / "verdicts.json").read_text())
    assert len(verdicts) >= 75
    assert {name for name, reason in verdicts.items() if reason is None} == {
        name for name in verdicts if name.startswith("good")
    }
