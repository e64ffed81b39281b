"""When a therapy's steps had cells open in a process area, and the keys by which such uses of two therapies meet.

The rules of this module:

* A step, a transfer, a pooling, a line clearance and a start use the area they name at their unit's site, from the
  start of the interval up to its end, which is another's to use again; an instant is used as such. An area that is not
  named is compared with none.
* Area names are compared without regard to case and spaces around or between words.
* Uses that overlap have a key in common, and what is found under a key stays few however long an area is in use:
  a use is linked under each day that it touches, a long one under each block of days, and a short one also below the
  blocks of its days, where only long ones look.
* No use is counted for longer than `USE_DAYS_MAX` from its start: whatever a mistyped end says, links stay few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.manufacturing_acts import WorkBody
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["AREA_PREFIX", "AreaUse", "area_keys", "area_name", "area_use", "area_uses", "meeting_keys"]

AREA_PREFIX: Final = b"A"
USE_DAYS_MAX: Final = 366  # Longer than any culture; cells are in an open area for hours.

_SITE_BYTES: Final = 16
_AREA_BYTES: Final = 16  # Of SHA-256: names are of any length, keys are not.
_BLOCK_DAYS: Final = 32
_DAY_MICROS: Final = 86_400 * 1_000_000
_ON_DAY, _IN_BLOCK, _BELOW_BLOCK = b"d", b"b", b"s"
# Acts during which an area is one patient's alone; while a line is cleared, nobody's cells are in it.
_IN_AREAS = WorkBody | modification.MaterialPooled | modification.LineCleared | modification.ManufacturingStarted


@dataclass(frozen=True, slots=True, order=True)
class AreaUse:
    """One step's use of an area; `area` is its key, `start` and `end` are microseconds since 1970, `end` left out."""

    stream: bytes
    area: bytes
    start: int
    end: int

    def shares_with(self, other: AreaUse) -> bool:
        """Tells whether another therapy's use is of the same area at the same time."""
        return (
            self.area == other.area
            and self.stream != other.stream
            and self.start < other.end
            and other.start < self.end
        )


def area_name(process_area: str) -> str:
    """Returns the name of an area as it is compared: in one case, without spaces around or beside others."""
    return " ".join(process_area.split()).casefold()


def area_use(act: Act) -> AreaUse | None:
    """Returns the use that an act makes of a process area, or None if no cells are open in it or it names no area."""
    body = act.body
    if not isinstance(body, _IN_AREAS):
        return None
    name = area_name(body.process_area)
    site = body.unit.site
    if not name or len(site) != _SITE_BYTES:
        return None
    start = act.occurred_start
    end = min(max(act.occurred_end or 0, start + 1), start + USE_DAYS_MAX * _DAY_MICROS)
    area = AREA_PREFIX + site + hashlib.sha256(name.encode()).digest()[:_AREA_BYTES]
    return AreaUse(act.stream, area, start, end)


def area_uses(acts: Iterable[Act]) -> tuple[AreaUse, ...]:
    """Returns the uses of process areas that a therapy's statements tell of, without those taken back or corrected."""
    uses: dict[bytes, AreaUse] = {}
    gone: set[bytes] = set()
    for act in acts:
        if (use := area_use(act)) is not None:
            uses[act.digest] = use
        elif act.in_effect_at is not None:
            match act.body:
                case quality.StatementCorrected() as body:
                    gone.add(body.corrected)
                case quality.StatementRetracted() as body:
                    gone.add(body.retracted)
                case _:
                    pass
    return tuple(use for digest, use in uses.items() if digest not in gone)


def area_keys(use: AreaUse) -> frozenset[bytes]:
    """Returns the keys that a use links its stream to."""
    days = range(use.start // _DAY_MICROS, (use.end - 1) // _DAY_MICROS + 1)
    blocks = range(days[0] // _BLOCK_DAYS, days[-1] // _BLOCK_DAYS + 1)
    if len(days) > _BLOCK_DAYS:
        return frozenset(_key(use.area, _IN_BLOCK, block) for block in blocks)
    on_days = (_key(use.area, _ON_DAY, day) for day in days)
    return frozenset((*on_days, *(_key(use.area, _BELOW_BLOCK, block) for block in blocks)))


def meeting_keys(use: AreaUse) -> frozenset[bytes]:
    """Returns the keys under which every use that may overlap this one is linked."""
    found: set[bytes] = set()
    place = len(use.area)
    for key in area_keys(use):
        level, block = key[place : place + 1], key[place + 1 :]
        if level == _ON_DAY:
            found.add(key)
        else:
            found.add(use.area + _IN_BLOCK + block)
            if level == _IN_BLOCK:
                found.add(use.area + _BELOW_BLOCK + block)
    return frozenset(found)


def _key(area: bytes, level: bytes, number: int) -> bytes:
    return area + level + number.to_bytes(8, "big", signed=True)
