"""Write what the server does as one JSON object on a line, with nothing about any person in it.

The rules:

* A line has the time (RFC 3339, UTC), an event, and values: method, status, reason, duration, site, leaf index.
* No body, opening, name, role, address of a caller, message of an error or value of a finding is written. Sites, leaf
  indexes and digests are opaque ids; what they mean is in the log, for those who may read it.
* An unexpected error is written with its class and its place in the program; its message may quote what it met.
* Where lines may wait, a thread of the log's own writes those of calls some at a time, so that no caller waits for it;
  whatever else is written takes them along at once. A server that is killed loses the lines of its last moments.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

__all__ = ["StructuredLog"]

TRACE_FRAMES_MAX: Final = 12  # Enough to find the place; a line stays a line.


class StructuredLog:
    """Writes lines to one stream from any thread."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        delay_seconds: float = 0.0,
    ) -> None:
        """`delay_seconds` is how long lines of calls may wait to be written together; 0: not at all."""
        self._stream = stream
        self._now = now
        self._delay_seconds = delay_seconds
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()
        self._has_lines = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if delay_seconds > 0:
            self._thread = threading.Thread(target=self._write_late, name="cellcustody-log", daemon=True)
            self._thread.start()

    def write(self, event: str, **values: str | int | float | bool | None) -> None:
        """Writes one line at once; values that are None are left out."""
        self._lines.append(self._line(event, values))
        self._flush()

    def write_call(self, **values: str | int | float | bool | None) -> None:
        """Writes the line of a call; it may wait for others."""
        self._lines.append(self._line("call", values))
        if self._thread is None:
            self._flush()
        elif not self._has_lines.is_set():
            self._has_lines.set()

    def close(self) -> None:
        """Writes what waits and ends the thread; later lines are written at once."""
        thread, self._thread = self._thread, None
        self._closing.set()
        self._has_lines.set()
        if thread is not None:
            thread.join()
        self._flush()

    def _line(self, event: str, values: dict[str, str | int | float | bool | None]) -> str:
        given = {name: value for name, value in values.items() if value is not None}
        line = json.dumps({"time": self._now().isoformat(timespec="milliseconds"), "event": event, **given})
        return line + "\n"

    def _flush(self) -> None:
        with self._writing:
            # As many as there are now: others append meanwhile.
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            stream = sys.stderr if self._stream is None else self._stream
            stream.write("".join(lines))
            stream.flush()

    def _write_late(self) -> None:
        while not self._closing.is_set():
            self._has_lines.wait()
            self._closing.wait(self._delay_seconds)
            self._has_lines.clear()
            self._flush()

    def unexpected(self, event: str, error: BaseException, **values: str | int | float | bool | None) -> None:
        """Writes an error that nobody foresaw: its class and where it came from, never its message."""
        frames = traceback.extract_tb(error.__traceback__)[-TRACE_FRAMES_MAX:]
        place = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[::-1])
        self.write(event, error=type(error).__name__, place=place, **values)
