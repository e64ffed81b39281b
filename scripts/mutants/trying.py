"""Try mutants: each in a fork of its own, with the function's code exchanged and the tests that run its line.

The rules:

* The fork has everything loaded and collected; exchanging the code of one function is all that a mutant costs before
  its tests run.
* Caches are emptied first: an answer from before the change is no answer of the mutant.
* A mutant whose code cannot take the place (another number of free variables) is no program and is not counted.
* A fork that does not end in time is killed, and the mutant counts as noticed: a test would hang.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from mutants.operators import Mutation
from mutants.selection import caches_loaded

__all__ = ["Mutant", "Verdict", "try_all"]

SECONDS_MAX: Final = 60.0
TESTS_MAX: Final = 400  # The first to fail ends it; beyond these a mutant has had its chance.
POLL_SECONDS: Final = 0.005
_PACKAGE: Final = "cellcustody.ledger.custody"
_LIVED, _NOTICED, _NO_PROGRAM = 0, 1, 2


class Verdict(Enum):
    """What became of a mutant."""

    NOTICED = "noticed"
    LIVED = "no test failed"
    TOO_LONG = "took too long"
    UNTESTED = "no test runs the line"
    NO_PROGRAM = "no program"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one source, and the ids of the tests that run its line."""

    source: Path
    mutation: Mutation
    tests: tuple[str, ...]


def try_all(
    mutants: Sequence[Mutant],
    *,
    all_pass: Callable[[Sequence[str]], bool],
    told: Callable[[Mutant, Verdict], None],
    processes: int,
) -> list[Verdict]:
    """Returns what became of each mutant; `processes` are tried side by side.

    `all_pass` runs tests until one fails; `told` hears of each verdict as soon as it stands.
    """
    verdicts: list[Verdict | None] = [None] * len(mutants)
    running: dict[int, tuple[int, float]] = {}
    waiting = iter(enumerate(mutants))
    done = False
    while running or not done:
        while len(running) < processes and not done:
            following = next(waiting, None)
            if following is None:
                done = True
                break
            number, mutant = following
            if mutant.tests:
                running[_fork(mutant, all_pass)] = (number, time.monotonic())
            else:
                verdicts[number] = Verdict.UNTESTED
                told(mutant, Verdict.UNTESTED)
        for number, verdict in _ended(running):
            verdicts[number] = verdict
            told(mutants[number], verdict)
        time.sleep(POLL_SECONDS)
    return [verdict for verdict in verdicts if verdict is not None]


def _ended(running: dict[int, tuple[int, float]]) -> Iterator[tuple[int, Verdict]]:
    """Yields the number and the verdict of each fork that has ended, or had its time."""
    for process, (number, began) in list(running.items()):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            verdict = {_LIVED: Verdict.LIVED, _NO_PROGRAM: Verdict.NO_PROGRAM}.get(code, Verdict.NOTICED)
        elif time.monotonic() - began > SECONDS_MAX:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            verdict = Verdict.TOO_LONG
        else:
            continue
        del running[process]
        yield number, verdict


def _fork(mutant: Mutant, all_pass: Callable[[Sequence[str]], bool]) -> int:
    process = os.fork()
    if process:
        return process
    code = _NOTICED
    try:
        if not _exchange(mutant):
            code = _NO_PROGRAM
        elif all_pass(mutant.tests[:TESTS_MAX]):
            code = _LIVED
    finally:
        os._exit(code)


def _exchange(mutant: Mutant) -> bool:
    """Puts the mutant's code into the loaded function; False if it does not fit."""
    module = importlib.import_module(f"{_PACKAGE}.{mutant.source.stem}")
    function = _loaded(module, mutant.mutation.function)
    compiled = compile(mutant.mutation.tree, str(mutant.source), "exec", dont_inherit=True)
    changed = _code_of(compiled, mutant.mutation.function.split("."))
    if function is None or changed is None:
        return False
    try:
        function.__code__ = changed
    except ValueError:
        return False
    # What was worked out before the change would hide it.
    for one in caches_loaded():
        one.cache_clear()
    return True


def _loaded(module: types.ModuleType, name: str) -> types.FunctionType | None:
    found: object = module
    for part in name.split("."):
        found = vars(found).get(part)
        if isinstance(found, staticmethod | classmethod):
            found = found.__func__
        elif isinstance(found, property):
            found = found.fget
        found = inspect.unwrap(found) if callable(found) else found
    return found if isinstance(found, types.FunctionType) else None


def _code_of(outer: types.CodeType, names: Sequence[str]) -> types.CodeType | None:
    for constant in outer.co_consts:
        if isinstance(constant, types.CodeType) and constant.co_name == names[0]:
            return constant if len(names) == 1 else _code_of(constant, names[1:])
    return None
