"""A file gets its name only when it is whole, and a broken export goes on where it ended."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.unit.clients.client_faults import THERAPY, ExportAnswer, FaultyServer

from cellcustody.clients import ExportMismatched, ExportTruncated, RegulatorClient
from cellcustody.clients.regulator import EXPORT_POSITION_KEY
from cellcustody.v1 import export_service_pb2

DOSSIER = bytes(range(256)) * 40
Piece = export_service_pb2.ExportTherapyResponse
Asked = export_service_pb2.ExportTherapyRequest


def giving(until: int, *, closing: bool, digest: bytes = hashlib.sha256(DOSSIER).digest()) -> ExportAnswer:
    """Gives the dossier from where it is asked for up to a byte, and the closing message or none."""

    def answer(request: Asked, context: grpc.ServicerContext) -> Iterator[Piece]:
        context.send_initial_metadata(((EXPORT_POSITION_KEY, "77"),))
        yield Piece(chunk=DOSSIER[request.resume_offset : until])
        if closing:
            yield Piece(
                closing=export_service_pb2.ExportClosing(statements=5, sha256=digest, length_bytes=len(DOSSIER))
            )

    return answer


def test_a_whole_export_becomes_a_file(server: FaultyServer, tmp_path: Path) -> None:
    """Length and digest are those of the closing message."""
    server.export_answers = [giving(len(DOSSIER), closing=True)]
    with RegulatorClient(server.connect()) as regulator:
        export = regulator.export_therapy(THERAPY, tmp_path / "dossier.zip", purpose="inspection")

    assert export.path.read_bytes() == DOSSIER
    assert export.statements == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dossier.zip"]


def test_an_export_without_its_closing_message_is_truncated_and_resumed(server: FaultyServer, tmp_path: Path) -> None:
    """The second call asks for the rest of the same export."""
    server.export_answers = [giving(4_000, closing=False), giving(len(DOSSIER), closing=True)]
    with RegulatorClient(server.connect()) as regulator:
        with pytest.raises(ExportTruncated):
            regulator.export_therapy(THERAPY, tmp_path / "dossier.zip", purpose="inspection")
        assert not (tmp_path / "dossier.zip").exists()
        export = regulator.export_therapy(THERAPY, tmp_path / "dossier.zip", purpose="inspection")

    assert export.path.read_bytes() == DOSSIER
    assert (server.exports_asked[1].resume_offset, server.exports_asked[1].resume_position) == (4_000, 77)


def test_an_export_that_is_not_as_promised_is_removed(server: FaultyServer, tmp_path: Path) -> None:
    """Nothing of it is left to be taken for a dossier."""
    server.export_answers = [giving(len(DOSSIER), closing=True, digest=bytes(32))]
    with RegulatorClient(server.connect()) as regulator, pytest.raises(ExportMismatched):
        regulator.export_therapy(THERAPY, tmp_path / "dossier.zip", purpose="inspection")

    assert list(tmp_path.iterdir()) == []
