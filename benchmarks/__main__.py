"""Measure, and print the tables of docs/benchmarks.md: `python -m benchmarks [--quick] [--only PART]`.

Each line has what was measured, what it is held to, the ratio, and the bound that the project sets itself. Numbers are
medians over the runs; a ratio is the median of the runs' own ratios. Nothing here fails because something was slow.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.growth import Grown, measure_growth
from benchmarks.proofs import Proofs, measure_proofs
from benchmarks.throughput import Offline, Run, Sizes, Throughput, measure_offline, measure_throughput
from benchmarks.timing import median

FULL = Sizes(runs=5, single_therapies=160, batch_therapies=400, singles=1_600, batches=12, probes=200)
QUICK = Sizes(runs=1, single_therapies=16, batch_therapies=16, singles=32, batches=1, probes=20)
GROWTH_ENTRIES = (1_000, 100_000)
GROWTH_ENTRIES_QUICK = (400, 800)
GROWTH_RUNS = 5
PROOF_REPETITIONS = 9


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small run: whether it runs, not how fast")
    parser.add_argument("--only", choices=("throughput", "growth", "proofs"), help="measure this alone")
    parser.add_argument("--directory", type=Path, help="where the ledgers under test lie")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()}, SQLite")
    with tempfile.TemporaryDirectory(prefix="cellcustody-bench-", dir=asked.directory) as name:
        directory = Path(name)
        if asked.only in (None, "throughput"):
            measured = measure_throughput(directory, QUICK if asked.quick else FULL)
            _print_throughput(measured)
            _print_offline(list(measure_offline(directory, measured)))
        if asked.only in (None, "growth"):
            small, large = GROWTH_ENTRIES_QUICK if asked.quick else GROWTH_ENTRIES
            _print_growth(measure_growth(directory, small, large, 1 if asked.quick else GROWTH_RUNS))
        if asked.only in (None, "proofs"):
            _print_proofs(measure_proofs(directory, 1 if asked.quick else PROOF_REPETITIONS))


def _print_proofs(proofs: Proofs) -> None:
    print(
        f"a therapy of {proofs.statements} statements in a log of {proofs.log_size:,} entries;"
        f" its dossier has {proofs.entries} entries, its receipt {proofs.receipt_bytes:,} bytes"
    )
    _table(
        ("proof", "median", "bound"),
        [
            ("receipt check, Ed25519", _ms(proofs.receipt_seconds), "< 1 ms"),
            ("receipt check, with ML-DSA-44", _ms(proofs.receipt_both_seconds), ""),
            ("dossier built", _ms(proofs.build_seconds), ""),
            ("dossier verified", _ms(proofs.verify_seconds), ""),
            ("built and verified", _ms(proofs.build_seconds + proofs.verify_seconds), "< 1000 ms"),
            ("dossier size", f"{proofs.dossier_bytes:,} bytes", "< 1 MB"),
        ],
    )


def _print_throughput(measured: Throughput) -> None:
    runs = measured.runs

    def middle(value: Callable[[Run], float]) -> float:
        return median([value(run) for run in runs])

    faster = {run.raw.faster for run in runs}
    print(f"{len(runs)} runs; payloads of {measured.payload_bytes} bytes, requests of {measured.request_bytes} bytes")
    _table(
        ("ceiling", "median"),
        [
            ("fsync, median", _ms(middle(lambda run: run.disk.fsync_median_seconds))),
            ("fsync, p99", _ms(middle(lambda run: run.disk.fsync_p99_seconds))),
            ("raw commits", _rate(middle(lambda run: run.disk.commits_per_second))),
            (f"raw Ed25519, both cores ({' or '.join(sorted(faster))})", _rate(middle(lambda run: run.raw.per_second))),
            ("echo, 16 callers", _rate(middle(lambda run: run.echo.per_second))),
            ("echo, p99", _ms(middle(lambda run: run.echo.p99_seconds))),
        ],
    )
    _table(
        ("measure", "median", "against", "ratio", "bound", "aim"),
        [
            (
                "single appends, 16 callers",
                _rate(middle(lambda run: run.single.per_second)),
                _rate(middle(lambda run: run.single_ceiling)),
                _share(middle(lambda run: run.single.per_second / run.single_ceiling)),
                ">= 30 %",
                "50 %",
            ),
            (
                "single appends, median",
                _ms(middle(lambda run: run.single.median_seconds)),
                "",
                "",
                "",
                "",
            ),
            (
                "single appends, p99",
                _ms(middle(lambda run: run.single.p99_seconds)),
                _ms(middle(lambda run: run.p99_ceiling_seconds)),
                f"{middle(lambda run: run.single.p99_seconds / run.p99_ceiling_seconds):.1f} x",
                "<= 5 x",
                "",
            ),
            (
                "AppendBatch",
                _rate(middle(lambda run: run.bulk_per_second)),
                _rate(middle(lambda run: run.raw.per_second)),
                _share(middle(lambda run: run.bulk_per_second / run.raw.per_second)),
                ">= 20 %",
                "40 %",
            ),
        ],
    )


def _print_offline(runs: Sequence[Offline]) -> None:
    _table(
        ("measure", "median", "against", "ratio", "bound", "aim"),
        [
            (
                "offline verification",
                _rate(median([run.per_second for run in runs])),
                _rate(median([run.raw_per_second for run in runs])),
                _share(median([run.per_second / run.raw_per_second for run in runs])),
                ">= 60 %",
                "80 %",
            ),
            (
                "audit of the whole log",
                _rate(median([run.audit_per_second for run in runs])),
                _rate(median([run.raw_per_second for run in runs])),
                _share(median([run.audit_per_second / run.raw_per_second for run in runs])),
                ">= 60 %",
                "80 %",
            ),
        ],
    )


def _print_growth(grown: Grown) -> None:
    small, large = grown.small, grown.large
    _table(
        ("grown ledger", f"{grown.small_entries:,} entries", f"{grown.large_entries:,} entries", "ratio", "bound"),
        [
            (
                "custody query, median",
                _ms(small.query_seconds),
                _ms(large.query_seconds),
                f"{large.query_seconds / small.query_seconds:.2f} x",
                "<= 1.5 x",
            ),
            (
                "custody query, p99",
                _ms(small.query_p99_seconds),
                _ms(large.query_p99_seconds),
                f"{large.query_p99_seconds / small.query_p99_seconds:.2f} x",
                "",
            ),
            (
                "server start",
                _ms(small.start_seconds),
                _ms(large.start_seconds),
                f"{large.start_seconds / small.start_seconds:.2f} x",
                "<= 2 x",
            ),
            (
                "server memory",
                f"{small.resident_bytes / 1e6:.0f} MB",
                f"{large.resident_bytes / 1e6:.0f} MB",
                f"{large.resident_bytes / small.resident_bytes:.2f} x",
                "<= 1.3 x",
            ),
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    print()
    print(line(head))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line(row), flush=True)


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _share(share: float) -> str:
    return f"{share * 100:.0f} %"


if __name__ == "__main__":
    main()
