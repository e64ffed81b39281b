"""The time authority of the demonstration: somebody else's, who stamps by the story's clock what the ledger signs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cellcustody.ledger.registry import encode_anchor, parse_anchor
from cellcustody.ledger.timestamps import TimeAuthority
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.founding import Founded
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_authority import TimeAuthorityServer
from cellcustody.services.timestamp_commands import open_authority

__all__ = ["TIME_AUTHORITY", "stamping"]

TIME_AUTHORITY: Final = "time.example"


@contextmanager
def stamping(founded: Founded, folder: Path, log: Path, now: Callable[[], datetime]) -> Iterator[None]:
    """Runs the authority, lets the server ask it every few seconds, and the anchor believe it."""
    keys = open_authority(folder, TIME_AUTHORITY, now())
    with log.open("a", encoding="utf-8") as stream:
        server = TimeAuthorityServer(keys, ListenAddress("127.0.0.1", 0), now, StructuredLog(stream))
        server.start()
        try:
            with founded.configuration.open("a", encoding="utf-8") as configuration:
                configuration.write(
                    "\n[timestamps]\ninterval_seconds = 3\n\n[[timestamps.authorities]]\n"
                    f'name = "{TIME_AUTHORITY}"\nurl = "{server.url}"\ncertificates = ["{folder / "root.pem"}"]\n'
                )
            anchor = parse_anchor(founded.anchor.read_bytes())
            believed = (TimeAuthority(TIME_AUTHORITY, (keys.root_der,)),)
            founded.anchor.write_bytes(encode_anchor(replace(anchor, time_authorities=believed)))
            yield
        finally:
            server.stop()
