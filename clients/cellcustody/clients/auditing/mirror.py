"""Keep what was read of a log, so that it need not be read again, and can be audited without the log.

The rules:

* What never changes is kept: tiles, bundles, openings. A file is there whole or not at all. The checkpoint is asked for
  anew each time; the one that was believed last lies in the folder under its own path once an audit is through.
* A partial tile or bundle is dropped when the full one is there.
* The folder has the log's own paths: it is itself a log that `FolderLog` reads.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from cellcustody.clients.auditing.sources import LogSource

__all__ = ["Mirror"]

_CHECKPOINT: Final = "checkpoint"
_GROWING: Final = frozenset({"timestamps/count", "timestamps/certificates"})  # Read each time, and kept.
_FRESH: Final = ".new"  # No path of the log ends so.


class Mirror:
    """A log as it is read through a folder that keeps it."""

    def __init__(self, source: LogSource, folder: Path) -> None:
        """Takes the log, and the folder, which is made if need be."""
        self._source = source
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The name of the log that is read."""
        return self._source.name

    def read(self, path: str, limit: int) -> bytes:
        """Returns a resource, from the folder where it is kept there; the errors are those of the log."""
        if path == _CHECKPOINT:
            return self._source.read(path, limit)
        kept = self._folder / path
        if path in _GROWING:
            content = self._source.read(path, limit)
            self._keep(kept, content)
            return content
        try:
            with kept.open("rb") as file:
                return file.read(limit)
        except OSError:
            content = self._source.read(path, limit)
        self._keep(kept, content)
        partial = kept.with_name(f"{kept.name}.p")
        if partial.is_dir():
            shutil.rmtree(partial)
        return content

    def believe(self, checkpoint: bytes) -> None:
        """Keeps the checkpoint up to which everything was found right."""
        self._keep(self._folder / _CHECKPOINT, checkpoint)

    def _keep(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + _FRESH)
        fresh.write_bytes(content)
        os.replace(fresh, path)
