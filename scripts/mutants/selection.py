"""Which tests run which lines of the rules: measured once, so that a mutant meets the tests that could notice it.

The rules:

* The tests run once, unchanged, under coverage, which is told the test that runs; they must all pass.
* A line's tests are those that ran it, the quickest first; caches are emptied before each test. A line that no test
  runs has none, and its mutants live.
* What follows happens in the same run of pytest, with all tests collected: a fork need not collect them again.
* Tests of the rules alone are taken: they need no server, and nothing that a fork would break.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import coverage
import pytest
from _pytest.runner import runtestprotocol

__all__ = ["Cache", "Rehearsal", "TestsFailedError", "caches_loaded", "forkable", "rehearse"]

_QUIET: Final = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore", "--capture=no")
_Lines = dict[Path, dict[int, tuple[str, ...]]]


class TestsFailedError(Exception):
    """Raised when the tests fail without any mutant: nothing can be learnt from mutants then."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The tests that ran: by source and line, and ready to run again."""

    lines: _Lines
    items: dict[str, pytest.Item]

    def all_pass(self, tests: Sequence[str]) -> bool:
        """Runs these tests until one fails, and tells whether none did."""
        waiting = [self.items[test] for test in tests]
        for item, following in zip(waiting, [*waiting[1:], None], strict=True):
            item._initrequest()  # type: ignore[attr-defined]  # As the rerunning plugins do: its fixtures are new.
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                return False
        return True


class Cache(Protocol):
    """What remembers results of a function."""

    def cache_clear(self) -> None: ...


def caches_loaded() -> list[Cache]:
    """Returns the caches of functions that are loaded."""
    return [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]


class _Rehearsing:
    """Tells coverage which test runs, and lets the campaign have its turn after all of them."""

    def __init__(self, sources: Sequence[Path], campaign: Callable[[Rehearsal], None]) -> None:
        self._sources = sources
        self._campaign = campaign
        self._measuring = coverage.Coverage(data_file=None, include=[str(one) for one in sources])
        self._seconds: dict[str, float] = {}
        self._caches: list[Cache] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        self._caches = caches_loaded()
        self._measuring.start()
        try:
            result = yield
        finally:
            self._measuring.stop()
        if session.testsfailed == 0 and session.items:
            self._campaign(Rehearsal(self._lines(), {item.nodeid: item for item in session.items}))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for one in self._caches:  # What an earlier test had worked out would hide the lines that do it from this one.
            one.cache_clear()
        self._measuring.switch_context(item.nodeid)
        began = time.perf_counter()
        result = yield
        self._seconds[item.nodeid] = time.perf_counter() - began
        return result

    def _lines(self) -> _Lines:
        measured = self._measuring.get_data()
        return {
            source: {
                line: tuple(sorted((one for one in tests if one), key=self._seconds.__getitem__))
                for line, tests in measured.contexts_by_lineno(str(source)).items()
            }
            for source in self._sources
        }


def rehearse(sources: Sequence[Path], tests: Sequence[Path], campaign: Callable[[Rehearsal], None]) -> None:
    """Runs the tests without a word, then the campaign with what was learnt, before anything is torn down.

    Raises:
        TestsFailedError: a test failed.
    """
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        status = pytest.main([*_QUIET, *(str(one) for one in tests)], plugins=[_Rehearsing(sources, campaign)])
    if status != 0:
        raise TestsFailedError(
            f"the tests fail as they are: pytest ended with {int(status)}\n{silent.getvalue()[-4000:]}"
        )


def forkable() -> bool:
    """Tells whether what is loaded may be forked: gRPC's threads do not survive it."""
    return "grpc" not in sys.modules
