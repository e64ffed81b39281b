"""A regulator's client: whole histories, as files that say when they are complete.

The rules:

* A file gets its name only when it is complete: its closing message came, and length and digest are those promised.
* What arrived of a broken export is kept beside it, and the next call goes on from there where the server says which
  export it was; else it begins anew.
* A complete file is not a verified one: that needs an anchor, and `cellcustody verify`.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from cellcustody.clients.connection import Connection
from cellcustody.clients.errors import ExportMismatched, ExportTruncated, ServerUnavailable
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.queries import Questions
from cellcustody.v1 import export_service_pb2
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub

__all__ = ["EXPORT_POSITION_KEY", "Export", "RegulatorClient"]

EXPORT_POSITION_KEY: Final = "cellcustody-export-position"
"""Key of the initial metadata in which a server names the position of an export, to resume it by."""

_SCITT_FILE: Final = re.compile(r"README\.txt|checkpoint|service-key\.pem|statements/[0-9]{12}\.cose")


@dataclass(frozen=True, slots=True)
class Export:
    """A complete export on disk; `checkpoint` is the one it was made under."""

    path: Path
    statements: int
    length_bytes: int
    sha256: bytes
    checkpoint: bytes


class RegulatorClient(Questions):
    """One regulator's office, connected; a context manager that closes the connection."""

    def __init__(self, connection: Connection, store: LocalStore | None = None) -> None:
        super().__init__(connection, store or LocalStore(":memory:"))

    def __enter__(self) -> RegulatorClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @cached_property
    def _exports(self) -> ExportServiceStub:
        return ExportServiceStub(self.connection.channel)

    def export_therapy(
        self, therapy: bytes | str, path: Path, *, purpose: str, timeout_seconds: float = 300.0
    ) -> Export:
        """Writes the dossier of a therapy (stream, 17 bytes, or its chain of identity identifier) to `path`.

        Raises:
            ExportTruncated: it ended early; calling again resumes it where that is possible.
            ExportMismatched: what arrived is not what was promised.
            NotFound, AccessDenied: there is no such therapy for this caller.
        """
        part, mark = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.position")
        request = _request(therapy, purpose)
        if part.exists() and mark.exists():
            request.resume_position = int(mark.read_text(encoding="ascii"))
            request.resume_offset = part.stat().st_size
        closing = self._receive(request, part, mark, timeout_seconds)
        return _completed(part, mark, path, closing)

    def export_scitt(
        self, therapy: bytes | str, directory: Path, *, purpose: str, timeout_seconds: float = 300.0
    ) -> Export:
        """Writes a therapy's statements as SCITT objects into a folder, which is made; returns the export as it came.

        The objects are a view for other tools (docs/formats/scitt.md); `export_therapy` gives what can be verified.

        Raises:
            ExportTruncated: it ended early; calling again asks anew.
            ExportMismatched: what arrived is not what was promised.
            NotFound, AccessDenied: there is no such therapy for this caller.
        """
        directory.mkdir(parents=True, exist_ok=True)
        archive = directory / "scitt.zip"
        part, mark = directory / "scitt.zip.part", directory / "scitt.zip.position"
        request = _request(therapy, purpose)
        request.format = export_service_pb2.EXPORT_FORMAT_SCITT
        export = _completed(part, mark, archive, self._receive(request, part, mark, timeout_seconds))
        unpack_scitt(archive, directory)
        return export

    def _receive(
        self, request: export_service_pb2.ExportTherapyRequest, part: Path, mark: Path, timeout_seconds: float
    ) -> export_service_pb2.ExportClosing:
        def note_position(metadata: Mapping[str, str]) -> None:
            if (position := metadata.get(EXPORT_POSITION_KEY)) is not None:
                mark.write_text(position, encoding="ascii")

        with part.open("ab" if request.resume_position else "wb") as file:
            try:
                for answer in self.connection.ask_stream(
                    self._exports.ExportTherapy, request, timeout_seconds=timeout_seconds, on_metadata=note_position
                ):
                    if answer.HasField("closing"):
                        return answer.closing
                    file.write(answer.chunk)
            except ServerUnavailable as error:
                raise ExportTruncated("the connection was lost", file=part, length=file.tell()) from error
            finally:
                file.flush()
                os.fsync(file.fileno())
            length = file.tell()
        raise ExportTruncated("the export ended without its closing message", file=part, length=length)


def unpack_scitt(archive: Path, directory: Path) -> None:
    """Writes the files of an export of SCITT objects into a folder.

    Raises:
        ExportMismatched: it holds a file of another name.
    """
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if not _SCITT_FILE.fullmatch(name):
                raise ExportMismatched("a file in an export has another name", name=name)
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(opened.read(name))


def _request(therapy: bytes | str, purpose: str) -> export_service_pb2.ExportTherapyRequest:
    if isinstance(therapy, bytes):
        return export_service_pb2.ExportTherapyRequest(stream=therapy, purpose=purpose)
    return export_service_pb2.ExportTherapyRequest(coi=therapy, purpose=purpose)


def _completed(part: Path, mark: Path, path: Path, closing: export_service_pb2.ExportClosing) -> Export:
    content = part.read_bytes()
    digest = hashlib.sha256(content).digest()
    mark.unlink(missing_ok=True)
    if len(content) != closing.length_bytes or digest != closing.sha256:
        part.unlink()
        raise ExportMismatched(
            "an export is not what its closing message promises",
            length=len(content),
            promised=closing.length_bytes,
            sha256=digest,
        )
    os.replace(part, path)
    return Export(path, closing.statements, closing.length_bytes, closing.sha256, closing.checkpoint)
