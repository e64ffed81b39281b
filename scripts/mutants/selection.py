"""Which tests run which lines of the rules: measured once, so that a mutant meets the tests that could notice it.

The rules:

* The tests run once, unchanged, under coverage, which is told the test that runs; they must all pass.
* A line's tests are those that ran it. A line that no test runs has none, and its mutants live.
* Tests of the rules alone are taken: they need no server, and nothing that a fork would break.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import coverage
import pytest

__all__ = ["TestsFailedError", "collected", "tests_by_line"]

_QUIET = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore")


class TestsFailedError(Exception):
    """Raised when the tests fail without any mutant: nothing can be learnt from mutants then."""


class _Telling:
    """Tells coverage which test runs."""

    def __init__(self, measuring: coverage.Coverage) -> None:
        self._measuring = measuring

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measuring.switch_context(item.nodeid)
        return (yield)


def tests_by_line(sources: Sequence[Path], tests: Sequence[Path]) -> dict[Path, dict[int, list[str]]]:
    """Returns, for each source file and line, the ids of the tests that ran it.

    Raises:
        TestsFailedError: a test failed.
    """
    measuring = coverage.Coverage(data_file=None, include=[str(one) for one in sources])
    measuring.start()
    try:
        status = run([str(one) for one in tests], plugins=[_Telling(measuring)])
    finally:
        measuring.stop()
    if status != 0:
        raise TestsFailedError(f"the tests fail as they are: pytest ended with {status}")
    data = measuring.get_data()
    return {
        source: {
            line: sorted(context for context in contexts if context)
            for line, contexts in data.contexts_by_lineno(str(source)).items()
        }
        for source in sources
    }


def run(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    """Runs pytest in this process without a word and returns its exit status."""
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        status = pytest.main([*_QUIET, *arguments], plugins=list(plugins))
    return int(status)


def collected() -> bool:
    """Tells whether what is loaded may be forked: gRPC's threads do not survive it."""
    return "grpc" not in sys.modules
