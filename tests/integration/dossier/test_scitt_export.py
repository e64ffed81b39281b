"""Statements as SCITT objects, from a running server into a folder, by the command that people use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cbor2
import cwt
import pytest
from served_ledger import TIMEOUT_SECONDS, ServedLedger, founded_in, served

from cellcustody.clients.connection import TlsFiles, connect
from cellcustody.clients.regulator import RegulatorClient
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.transparency import verify_checkpoint, verify_inclusion
from cellcustody.v1 import options_pb2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedLedger, bytes]]:
    with served(founded_in(tmp_path_factory.mktemp("scitt") / "ledger")) as ledger:
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
        therapy = ledger.therapy()
        for _ in range(3):
            ledger.modification("plant").RaiseDeviation(
                ledger.deviation(plant.administrator, therapy), timeout=TIMEOUT_SECONDS
            )
        yield ledger, therapy


def test_every_statement_of_a_therapy_is_exported(running: tuple[ServedLedger, bytes], tmp_path: Path) -> None:
    """Each with a receipt that an independent library verifies, under the checkpoint that the log signed."""
    ledger, therapy = running
    files = TlsFiles(ledger.founded.authority, ledger.tls / "office.pem", ledger.tls / "office.key")
    connection = connect(target=f"localhost:{ledger.server.grpc_port}", tls=files)
    with RegulatorClient(connection) as regulator:
        export = regulator.export_scitt(therapy, tmp_path / "out", purpose="for another tool")

    assert export.statements == 3
    anchor = parse_anchor(ledger.founded.anchor.read_bytes())
    checkpoint = verify_checkpoint((tmp_path / "out/checkpoint").read_bytes(), anchor.log_origin, anchor.log_keys)
    objects = sorted((tmp_path / "out/statements").iterdir())
    assert len(objects) == 3
    for file in objects:
        raw = file.read_bytes()
        key = cwt.COSEKey.from_pem(
            (tmp_path / "out/service-key.pem").read_bytes(), kid=cbor2.loads(cbor2.loads(raw).value[0])[4]
        )
        reader = cwt.COSE.new(verify_kid=True)
        _, unprotected, entry = reader.decode_with_headers(raw, key)
        reader.decode(unprotected[394][0], key, detached_payload=checkpoint.root)
        size, index, path = cbor2.loads(cbor2.loads(unprotected[394][0]).value[1][396][-1][0])
        verify_inclusion(index, size, leaf_hash_of(entry), list(path), checkpoint.root)
        assert int(file.stem) == index
        assert entry == ledger.server.ledger.store.entry(index)
