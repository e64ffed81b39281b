"""A founded ledger with its server in a process of its own, and a hospital and a courier enrolled in it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # So that helpers have one name, here and for mypy.

from tests.e2e.clients.client_world import World, running_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A ledger that runs for the whole session; every test opens streams of its own."""
    with running_world(tmp_path_factory.mktemp("ledger")) as running:
        yield running
