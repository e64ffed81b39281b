"""Count the time budgets of a therapy's materials, as used up to a time that is passed in.

The rules:

* Each budget is counted between two recorded moments, and named as in the policy pack; its limit is the pack's.
* A fresh collection runs against the fresh hold until it is frozen or goes into a step, and against the way from
  collection to the start of manufacture until it does; one that has ended otherwise runs no longer.
* A frozen bag's time out of the cold adds up over its whole history. From a thaw, two budgets run: to the start and to
  the end of the infusion. The infusion of one bag has one of its own.
* From the end of lymphodepletion to the infusion there is a window: its far end is the limit counted here.
* Nothing here judges: that a budget was passed is the rules' word in the entries; here it is counted for people.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_members import Budget
from cellcustody.ledger.custody.therapy_state import Infusion, MaterialKind, MaterialState, TherapyState
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros

__all__ = ["LYMPHODEPLETION_TO_INFUSION", "Counted", "budgets_of"]

LYMPHODEPLETION_TO_INFUSION: Final = "lymphodepletion_to_infusion"
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Counted:
    """One budget of one material; `end` is None while it runs. `statements` are those that it is counted from."""

    budget: str
    material: bytes
    start: int
    end: int | None
    used_seconds: int
    limit_seconds: int | None
    statements: tuple[bytes, ...] = ()

    @property
    def state(self) -> str:
        """running, kept, exceeded or without_limit."""
        if self.limit_seconds is None:
            return "without_limit"
        if self.used_seconds > self.limit_seconds:
            return "exceeded"
        return "running" if self.end is None else "kept"


def budgets_of(state: TherapyState, pack: PolicyPack, now: int) -> Iterator[Counted]:
    """Yields the budgets of every material, those that have stopped too."""
    started: dict[bytes, tuple[int, bytes]] = {}  # When each material first went into a step.
    for batch in state.batches.values():
        for step in batch.steps:
            for one in step.inputs:
                if one not in started or step.at < started[one][0]:
                    started[one] = (step.at, step.digest)
    infused: dict[bytes, Infusion] = {}
    for infusion in state.infusions.values():
        infused.setdefault(infusion.material, infusion)
    for material in state.materials.values():
        if material.kind == MaterialKind.COLLECTION:
            yield from _of_collection(state, pack, material, started.get(material.material), now)
        if material.kind == MaterialKind.PRODUCT:
            yield from _of_product(state, pack, material, infused.get(material.material), now)


def _counted(
    budget: str, material: bytes, start: int, end: int | None, limit: int | None, now: int, *statements: bytes
) -> Counted:
    used = max(0, (now if end is None else end) - start) // _MICROS
    return Counted(budget, material, start, end, used, limit, tuple(one for one in statements if one))


def _of_collection(
    state: TherapyState, pack: PolicyPack, material: MaterialState, started: tuple[int, bytes] | None, now: int
) -> Iterator[Counted]:
    collected = material.collected_at or material.created_at
    start_of_step, step = started or (None, b"")
    frozen = state.harvest.frozen_at.get(material.material)
    ends = [at for at in (frozen, start_of_step, material.ended_at) if at is not None]
    limit = pack.budgets.seconds(Budget.FRESH_HOLD)
    end = min(ends) if ends else None
    yield _counted(Budget.FRESH_HOLD, material.material, collected, end, limit, now, material.created_by, step)
    end = start_of_step if start_of_step is not None else material.ended_at
    limit = pack.budgets.seconds(Budget.COLLECTION_TO_START)
    yield _counted(Budget.COLLECTION_TO_START, material.material, collected, end, limit, now, material.created_by, step)


def _of_product(
    state: TherapyState, pack: PolicyPack, material: MaterialState, infusion: Infusion | None, now: int
) -> Iterator[Counted]:
    ended = material.ended_at
    stopped = None if infusion is None else infusion.stopped_at
    until = now if ended is None and stopped is None else min(at for at in (ended, stopped) if at is not None)
    out = out_of_cryo_micros(state, material.material, pack, until)
    if out is not None:
        start = material.created_at
        is_over = ended is not None or stopped is not None
        limit = pack.budgets.seconds(Budget.OUT_OF_CRYO)
        digests = tuple(dict.fromkeys(one.digest for one in material.handlings))
        yield Counted(
            Budget.OUT_OF_CRYO, material.material, start, until if is_over else None, out // _MICROS, limit, digests
        )
    thawed = material.thawed_at
    begun = None if infusion is None else infusion.started_at
    if thawed is not None:
        by: tuple[bytes, ...] = () if infusion is None else (infusion.started_by, infusion.stopped_by)
        for budget, end in (
            (Budget.THAW_TO_INFUSION_START, begun if begun is not None else ended),
            (Budget.THAW_TO_INFUSION_END, stopped if stopped is not None else ended),
        ):
            yield _counted(budget, material.material, thawed, end, pack.budgets.seconds(budget), now, *by)
    if infusion is not None:
        limit = pack.budgets.seconds(Budget.INFUSION)
        by = (infusion.started_by, infusion.stopped_by)
        yield _counted(Budget.INFUSION, material.material, infusion.started_at, stopped, limit, now, *by)
    window = pack.budgets.lymphodepletion_to_infusion
    courses = [one for one in state.treatment.lymphodepletions.values() if one.stopped_at is not None]
    if courses and material.is_released and (ended is None or begun is not None):
        last = max(courses, key=lambda one: one.stopped_at or 0)
        limit = None if window is None else window.max_seconds
        by = (last.started_by, last.stopped_by, b"" if infusion is None else infusion.started_by)
        yield _counted(LYMPHODEPLETION_TO_INFUSION, material.material, last.stopped_at or 0, begun, limit, now, *by)
