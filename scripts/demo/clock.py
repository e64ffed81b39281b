"""A clock that a story moves on, so that months pass in seconds.

The rules:

* It is the real clock and an offset, which stands in a file: story, people and server read the same one.
* It never goes back. Where there is no file, it is the real clock.
* Statements, judgements and alerts go by it, TLS certificates by the real one.

Times are microseconds since 1970-01-01T00:00:00Z, or aware and in UTC.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["StoryClock"]

_MICRO = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoryClock:
    """Tells the story's time; it can be sent to another process."""

    file: Path

    def __call__(self) -> int:
        """Returns the story's now, microseconds."""
        return time.time_ns() // 1000 + self._offset()

    def now(self) -> datetime:
        """Returns the story's now."""
        return _EPOCH + timedelta(microseconds=self())

    def begin(self, moment: datetime) -> None:
        """Sets the clock, before anything has read it."""
        self._set((moment - _EPOCH) // _MICRO - time.time_ns() // 1000)

    def move_to(self, moment: datetime) -> None:
        """Moves on to a moment.

        Raises:
            ValueError: that lies behind.
        """
        ahead = (moment - self.now()) // _MICRO
        if ahead < 0:
            raise ValueError(f"a clock does not go back, from {self.now()} to {moment}")
        self._set(self._offset() + ahead)

    def catch_up(self) -> None:
        """Moves on to the real time."""
        if self._offset() > 0:
            raise ValueError("the story is ahead of the real time")
        self.file.unlink(missing_ok=True)

    def _offset(self) -> int:
        try:
            return int(self.file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0

    def _set(self, offset: int) -> None:
        part = self.file.with_name(f"{self.file.name}.part")
        part.write_text(str(offset), encoding="ascii")
        os.replace(part, self.file)
