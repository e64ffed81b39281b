"""Where a verifier stands: at which time, and holding which algorithms broken.

Both are given by whoever verifies, never read from a clock or built in (docs/formats/timestamps.md). Without a time, no
certificate has expired, and what is said of times stands as of each token's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cellcustody.ledger.timestamps.algorithm_policy import NOTHING_BROKEN, AlgorithmPolicy

__all__ = ["NOWHERE", "Standpoint"]


@dataclass(frozen=True, slots=True)
class Standpoint:
    """The time of verification (aware, UTC; None: none is given), and what is held broken."""

    now: datetime | None = None
    algorithms: AlgorithmPolicy = NOTHING_BROKEN


NOWHERE: Final = Standpoint()
