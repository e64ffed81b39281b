"""What is done about material of a recalled lot, as a therapy's state keeps it; the rules stand in `recalls`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["RecallAction", "RecallActionDone"]


class RecallAction(IntEnum):
    """What is done about material of a recalled lot; the numbers are those of RecallAction in the contract."""

    QUARANTINE = 1
    STOP_AND_RETURN = 2
    NOTIFY_PHYSICIAN = 3


@dataclass(frozen=True, slots=True)
class RecallActionDone:
    """An action taken about one material of a recalled lot."""

    lot: bytes
    material: bytes
    action: RecallAction
    at: int
    by: bytes
