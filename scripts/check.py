"""Run the checks that need no test run, all of them, and say at the end which failed.

Every check is a row below: its name, and the command. A check that fails does not hide the ones after it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = sys.executable
BIN: Final = Path(PYTHON).parent  # Not resolved: the environment's own bin folder holds the tools.
PROTO_PYTHON: Final = str(ROOT / ".venv-proto/bin/python")

CHECKS: Final[dict[str, tuple[str, ...]]] = {
    "ruff": (str(BIN / "ruff"), "check", "."),
    "format": (str(BIN / "ruff"), "format", "--check", "."),
    "types": (str(BIN / "mypy"),),
    "imports": (str(BIN / "lint-imports"), "--no-cache", "--no-logo"),
    "tree": (PYTHON, "scripts/check_tree.py"),
    "contract": (PROTO_PYTHON, "scripts/proto.py", "lint"),
    "generated": (PROTO_PYTHON, "scripts/proto.py", "check"),
    "contract-table": (PYTHON, "scripts/contract_table.py"),
    "findings-table": (PYTHON, "scripts/findings_table.py", "--check"),
    "refusals-table": (PYTHON, "scripts/refusals_table.py"),
    "client-acts": (PYTHON, "scripts/client_acts.py"),
    "verifier-page": (PYTHON, "scripts/verifier_page.py"),
    "embedded-verifiers": (PYTHON, "scripts/embedded_verifiers.py"),
    "vectors": (PYTHON, "scripts/golden_vectors.py"),
}


def run(name: str) -> bool:
    """Runs the check `name` with its output shown as it comes, and returns whether it passed."""
    print(f"== {name}", flush=True)
    return subprocess.run(CHECKS[name], cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def main() -> None:
    """Runs the checks named on the command line, or all."""
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        sys.exit(f"unknown: {', '.join(unknown)}; there are: {', '.join(CHECKS)}")
    failed = [name for name in names if not run(name)]
    if failed:
        sys.exit(f"== {len(failed)} of {len(names)} checks failed: {', '.join(failed)}")
    print(f"== all {len(names)} checks passed: {', '.join(names)}")


if __name__ == "__main__":
    main()
