"""One ledger under the shipped EU pack for each module; every story has a course of its own in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("eu_world")

from eu_world import EuCourse, EuWorld  # noqa: E402 - found on the path that was just set


@pytest.fixture(scope="module")
def eu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EuWorld]:
    """A founded ledger under the EU pack; everything in it is verified again when the module is done."""
    made = EuWorld(tmp_path_factory.mktemp("eu"))
    yield made
    made.harness.check()
    made.harness.close()


@pytest.fixture
def course(eu: EuWorld) -> EuCourse:
    """A therapy of which nothing is told yet."""
    return eu.new_course()
