"""One ledger for all stories of the command line; whatever a test records, others may find there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # So that helpers have one name, here and for mypy.

from tests.e2e.cli.cli_world import Desks, running_desks


@pytest.fixture(scope="session")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    """A ledger that runs for the whole session, and people with profiles."""
    with running_desks(tmp_path_factory.mktemp("desks")) as running:
        yield running


@pytest.fixture(scope="session")
def dossier(desks: Desks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The therapy's dossier as an inspector exports it by its chain of identity identifier."""
    path = tmp_path_factory.mktemp("dossier") / "therapy.dossier"
    printed = desks.says("inspector", "export", "therapy", desks.story.coi, "--to", str(path), "--purpose", "test")
    assert printed.code == 0, printed.err
    assert "statements" in printed.out
    return path
