"""Log a map when it is time to, from a thread of its own, without getting into the way of those who append.

The rules:

* A map is logged when so many entries were recorded that none covers, or some were and so much time has passed.
* Where nothing but maps was recorded none is logged: they would call for one another.
* While there is much to read the thread pauses nine times as long as it works.
* Whatever keeps a map from being logged is told, once, and tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from cellcustody.ledger.completeness.keeping import HeadMaps
from cellcustody.ledger.errors import CellcustodyError

__all__ = ["MapTimer"]

IDLE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 10.0
PAUSE_FACTOR: Final = 9  # Reading takes a tenth of the interpreter at most; nobody waits for it.
PAUSE_SECONDS_MAX: Final = 5.0


class MapTimer:
    """Logs a map whenever enough was recorded, or something was and enough time has passed; in a thread of its own."""

    def __init__(
        self,
        maps: HeadMaps,
        *,
        every_entries: int,
        every_seconds: float,
        monotonic: Callable[[], float],
        told: Callable[[CellcustodyError], None],
    ) -> None:
        """`monotonic` gives seconds that only grow; `told` is called once for each reason why none could be logged."""
        self._maps = maps
        self._every_entries = every_entries
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._told = told
        self._last = monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cellcustody-heads", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after what it is at."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def tick(self) -> float:
        """Does what is due and returns for how many seconds there is nothing to do."""
        began = self._monotonic()
        left = self._maps.read_on()
        spent = self._monotonic() - began
        if left:
            return min(PAUSE_SECONDS_MAX, PAUSE_FACTOR * spent)
        unmapped = self._maps.unmapped()
        if not unmapped:
            self._last = began
        elif unmapped >= self._every_entries or began - self._last >= self._every_seconds:
            self._maps.log_map()
            self._last = self._monotonic()
        return IDLE_SECONDS

    def _run(self) -> None:
        pause = IDLE_SECONDS
        last_told = ""
        while not self._stop.wait(pause):
            try:
                pause = self.tick()
                last_told = ""
            except CellcustodyError as why:
                if str(why) != last_told:
                    self._told(why)
                last_told = str(why)
                pause = RETRY_SECONDS
