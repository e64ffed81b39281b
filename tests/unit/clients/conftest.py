"""A site's desk for the tests of the clients, and a server that fails as it is told to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.clients import Identity, LocalStore, Session, TlsFiles
from cellcustody.ledger.statements import Ed25519Signer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # So that helpers have one name, here and for mypy.

from tests.unit.clients.client_faults import (
    DEVICE,
    LEDGER,
    NOW,
    NURSE,
    FaultyServer,
    counted_bytes,
    issue_tls,
    start_faulty_server,
)


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """A device's memory that lasts for one test."""
    kept = LocalStore(":memory:")
    yield kept
    kept.close()


@pytest.fixture
def session(store: LocalStore) -> Session:
    """A nurse at a device, with a clock that stands still."""
    return Session(
        Identity(ledger_id=LEDGER, signer=NURSE, device=DEVICE, role="collection_nurse", name="Collection nurse"),
        [Ed25519Signer(bytes(32))],
        "Europe/Berlin",
        store,
        clock=lambda: NOW,
        random_bytes=counted_bytes(),
    )


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Files with which both sides of one connection show themselves."""
    return issue_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(tls: TlsFiles) -> Iterator[FaultyServer]:
    """A server on a port of its own, stopped after the test."""
    faulty, grpc_server = start_faulty_server(tls)
    yield faulty
    grpc_server.stop(None).wait()
