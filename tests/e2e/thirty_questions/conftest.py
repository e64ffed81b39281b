"""One inspected ledger for all questions; nothing that a question does changes it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # So that helpers have one name, here and for mypy.

from tests.e2e.thirty_questions.inspected_world import Inspected, inspected_world


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspected]:
    """A therapy at its end, with an inspector at a desk of their own."""
    with inspected_world(tmp_path_factory.mktemp("inspected")) as world:
        yield world
