"""Run the tests that `make test` leaves out: those marked `system`, or those marked `torture`.

The rules:

* A run that selected no test says so and fails: nothing was tested.
* System tests need programs from Debian's packages. What is missing is installed when there is a test that needs it;
  what cannot be installed fails the run by name, and is never skipped.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
NO_TESTS_COLLECTED: Final = 5  # pytest's exit status for a run that selected nothing.

# Marker -> program that must be there -> Debian package it comes in.
PROGRAMS: Final[dict[str, dict[str, str]]] = {
    "system": {"chromium": "chromium", "softhsm2-util": "softhsm2"},
    "torture": {},
}


def pytest(marker: str, *options: str) -> int:
    """Runs pytest on the tests marked `marker` and returns its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", marker, *options], cwd=ROOT).returncode


def has_tests(marker: str) -> bool:
    """Returns whether any test carries `marker`."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", marker]
    status = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode
    return status != NO_TESTS_COLLECTED


def missing_programs(marker: str) -> dict[str, str]:
    """Returns what the tests need and the machine lacks, program to package."""
    return {program: package for program, package in PROGRAMS[marker].items() if shutil.which(program) is None}


def install(packages: list[str]) -> None:
    """Tries to install Debian packages; whether it worked is seen by looking for the programs again."""
    if shutil.which("apt-get") is None:
        return
    subprocess.run(["apt-get", "update", "-q"], stdin=subprocess.DEVNULL)
    subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], stdin=subprocess.DEVNULL)


def main(marker: str) -> int:
    """Runs the tests marked `marker`; returns the exit status, which is 0 only if at least one ran and all passed."""
    if not has_tests(marker):
        print(f"no test is marked {marker} yet: nothing was tested")
        return NO_TESTS_COLLECTED
    if missing := missing_programs(marker):
        install(sorted(missing.values()))
        if still_missing := missing_programs(marker):
            print("missing, and could not be installed: " + ", ".join(sorted(still_missing.values())))
            return 1
    return pytest(marker)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PROGRAMS:
        sys.exit("usage: marked_tests.py " + " | ".join(PROGRAMS))
    sys.exit(main(sys.argv[1]))
