"""Puts the forge on the path, and makes one lawful ledger for the tests that only read it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("forge")

from forge import Forge  # noqa: E402  (after the path is set)


@pytest.fixture(scope="session")
def lawful() -> Forge:
    """A ledger with a short lawful history; not to be changed."""
    return Forge().founds().lives()


@pytest.fixture
def forge() -> Forge:
    """A founded ledger in which nothing has happened yet."""
    return Forge().founds()
