"""Change the rules a little, many times, and see whether their tests notice: `PYTHONPATH=scripts python -m mutants`.

The rules:

* The sources are the modules of rules (ledger/custody); tables of words and the packs' forms are none.
* The tests run once to learn which of them run which line. Then each mutant is tried in a fork of this process with
  those tests alone, until one fails. A mutant that runs for longer than the limit counts as noticed.
* A seed and a number choose a sample, the same wherever it runs; without a number all are tried.
* The run fails below the share that must be noticed. What was not noticed is listed, to be looked at.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from mutants.operators import mutations_of
from mutants.selection import Rehearsal, TestsFailedError, forkable, rehearse
from mutants.trying import Mutant, Verdict, try_all

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "ledger" / "cellcustody" / "ledger" / "custody"
TESTS = tuple(
    sorted(
        path for pattern in ("custody*", "condition", "readiness") for path in (ROOT / "tests" / "unit").glob(pattern)
    )
)
NO_RULES = ("__init__", "codes_", "findings", "policy", "act")
SHARE_MIN = 0.9
_NOTICED = (Verdict.NOTICED, Verdict.TOO_LONG)


def modules_of_rules() -> list[Path]:
    """Returns the modules whose functions are rules."""
    return [path for path in sorted(RULES.glob("*.py")) if not path.stem.startswith(NO_RULES)]


def main() -> int:
    """Runs the campaign and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="how many mutants; all without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--module", action="append", default=[], help="only these modules, by stem")
    parser.add_argument("--tests", action="append", default=[], type=Path, help="only these tests")
    arguments = parser.parse_args()
    sources = [path for path in modules_of_rules() if not arguments.module or path.stem in arguments.module]
    began = time.monotonic()
    mutants: list[Mutant] = []
    verdicts: list[Verdict] = []
    out = sys.stdout  # The rehearsal is silent, and the campaign runs within it.

    def campaign(rehearsal: Rehearsal) -> None:
        if forkable():
            mutants.extend(_chosen(sources, rehearsal, arguments.sample, arguments.seed))
            verdicts.extend(
                try_all(mutants, all_pass=rehearsal.all_pass, told=_teller(out), processes=arguments.processes)
            )

    try:
        rehearse(sources, arguments.tests or TESTS, campaign)
    except TestsFailedError as failure:
        print(failure, file=sys.stderr)
        return 2
    if not forkable():
        print("the tests of the rules loaded gRPC, which cannot be forked", file=sys.stderr)
        return 2
    print(f"{len(mutants)} mutants of {len(sources)} modules")
    return _told(mutants, verdicts, time.monotonic() - began)


def _chosen(sources: list[Path], rehearsal: Rehearsal, sample: int | None, seed: int) -> list[Mutant]:
    """Returns the mutants to try, each with the tests that run its line, in the order of the sources."""
    mutants = [
        Mutant(source, mutation, rehearsal.lines[source].get(mutation.line, ()))
        for source in sources
        for mutation in mutations_of(source.read_text(encoding="utf-8"))
    ]
    if sample is None or sample >= len(mutants):
        return mutants
    return sorted(random.Random(seed).sample(mutants, sample), key=_place)


def _place(mutant: Mutant) -> tuple[str, int]:
    return str(mutant.source), mutant.mutation.line


def _teller(out: TextIO) -> Callable[[Mutant, Verdict], None]:
    """Returns what lists a mutant that lives as soon as that is known: a campaign may take an hour."""

    def told(mutant: Mutant, verdict: Verdict) -> None:
        if verdict not in _NOTICED and verdict is not Verdict.NO_PROGRAM:
            place = f"{mutant.source.relative_to(ROOT)}:{mutant.mutation.line}"
            line = f"  lives  {place} {mutant.mutation.function}: {mutant.mutation.change} ({verdict.value})"
            print(line, file=out, flush=True)

    return told


def _told(mutants: list[Mutant], verdicts: list[Verdict], seconds: float) -> int:
    tried: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    for mutant, verdict in zip(mutants, verdicts, strict=True):
        if verdict is Verdict.NO_PROGRAM:
            continue
        tried[mutant.source.stem] += 1
        if verdict in _NOTICED:
            noticed[mutant.source.stem] += 1
    for stem, count in sorted(tried.items()):
        print(f"{noticed[stem]:5} of {count:5}  {stem}")
    total = sum(tried.values())
    share = sum(noticed.values()) / total if total else 0.0
    print(
        f"{sum(noticed.values())} of {total} noticed: {share:.1%} in {seconds:.0f} s; at least {SHARE_MIN:.0%} wanted"
    )
    return 0 if total and share >= SHARE_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
