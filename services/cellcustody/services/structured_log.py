"""Write what the server does as one JSON object on a line, with nothing about any person in it.

The rules:

* A line has the time (RFC 3339, UTC), an event, and values: method, status, reason, duration, site, leaf index.
* No body, opening, name, role, address of a caller, message of an error or value of a finding is written. Sites, leaf
  indexes and digests are opaque ids; what they mean is in the log, for those who may read it.
* An unexpected error is written with its class and its place in the program; its message may quote what it met.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

__all__ = ["StructuredLog"]

TRACE_FRAMES_MAX: Final = 12  # Enough to find the place; a line stays a line.


class StructuredLog:
    """Writes lines to one stream from any thread."""

    def __init__(
        self, stream: TextIO | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._stream = stream
        self._now = now

    def write(self, event: str, **values: str | int | float | bool | None) -> None:
        """Writes one line; values that are None are left out."""
        given = {name: value for name, value in values.items() if value is not None}
        line = json.dumps({"time": self._now().isoformat(timespec="milliseconds"), "event": event, **given})
        stream = sys.stderr if self._stream is None else self._stream
        stream.write(line + "\n")
        stream.flush()

    def unexpected(self, event: str, error: BaseException, **values: str | int | float | bool | None) -> None:
        """Writes an error that nobody foresaw: its class and where it came from, never its message."""
        frames = traceback.extract_tb(error.__traceback__)[-TRACE_FRAMES_MAX:]
        place = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[::-1])
        self.write(event, error=type(error).__name__, place=place, **values)
