"""The documented reasons are those of the error tree, each with the status that the server answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_of_reasons_is_current() -> None:
    """In a process of its own, so that errors of tests are none of the product's."""
    checked = subprocess.run(
        [sys.executable, str(ROOT / "scripts/refusals_table.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "| `KEY_REVOKED` | UNAUTHENTICATED |" in (ROOT / "docs/refusals.md").read_text(encoding="utf-8")
