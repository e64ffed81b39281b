"""The benchmark runs: servers, load and verification in processes of their own. How fast is not asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MEASURES = (
    "single appends, 16 callers",
    "AppendBatch",
    "offline verification",
    "custody query, median",
    "server memory",
)


def test_the_quick_benchmark_prints_every_measure(tmp_path: Path) -> None:
    """One small run goes the whole way, every statement recorded and the export verified."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [measure for measure in MEASURES if f"| {measure}" not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []
