"""Who joins, in what order and within what time, as a policy pack has it: small frozen records, each with its reader.

The rules:

* Times are in seconds, longer ones in days. None means that the pack asks for nothing there.
* A step waits for others of the list, and never for itself.
* A record that contradicts itself (a window that ends before it begins) is refused with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cellcustody.ledger.custody.policy_reading import (
    Json,
    Members,
    PolicyMalformedError,
    boolean,
    integer,
    list_of,
    names,
    optional,
    text,
)

__all__ = [
    "DAYS_MAX",
    "Budget",
    "Budgets",
    "CoSigning",
    "LymphodepletionWindow",
    "StepRule",
    "read_budgets",
    "read_co_signing",
    "read_steps",
]

DAYS_MAX = 40_000  # A century and a bit: no follow-up, training or age is longer.


@dataclass(frozen=True, slots=True)
class CoSigning:
    """How many other persons join a body, in which roles (none: any), within what time of the signing."""

    number: int
    roles: frozenset[str]
    window_seconds: int


@dataclass(frozen=True, slots=True)
class StepRule:
    """One step of the process, by the body that records it, and the steps that stand before it.

    `requires` is worked out from `after`: an optional step is not asked for, but what stands before it is.
    """

    step: str
    after: frozenset[str]
    is_repeatable: bool
    is_optional: bool
    requires: frozenset[str]


@dataclass(frozen=True, slots=True)
class LymphodepletionWindow:
    """From the end of lymphodepletion to the infusion; after `repeat_after_seconds` it is to be repeated."""

    min_seconds: int
    max_seconds: int
    repeat_after_seconds: int | None


class Budget(StrEnum):
    """The budgets of time that are one number of seconds; named as in the pack."""

    FRESH_HOLD = "fresh_hold_seconds"
    COLLECTION_TO_START = "collection_to_start_seconds"
    OUT_OF_CRYO = "out_of_cryo_seconds"
    THAW_TO_INFUSION_START = "thaw_to_infusion_start_seconds"
    THAW_TO_INFUSION_END = "thaw_to_infusion_end_seconds"
    INFUSION = "infusion_seconds"
    HANDOFF_ACCEPTANCE = "handoff_acceptance_seconds"
    BEDSIDE_CHECK_VALIDITY = "bedside_check_validity_seconds"
    READINESS_CERTIFICATE = "readiness_certificate_seconds"


@dataclass(frozen=True, slots=True)
class Budgets:
    """How long things may take; `out_of_cryo_seconds` is cumulative over a material and its ancestors' thaws."""

    fresh_hold_seconds: int | None
    collection_to_start_seconds: int | None
    out_of_cryo_seconds: int | None
    thaw_to_infusion_start_seconds: int | None
    thaw_to_infusion_end_seconds: int | None
    infusion_seconds: int | None
    lymphodepletion_to_infusion: LymphodepletionWindow | None
    handoff_acceptance_seconds: int
    bedside_check_validity_seconds: int
    readiness_certificate_seconds: int

    def seconds(self, budget: Budget) -> int | None:
        """Returns the budget, or None if the pack sets none."""
        match budget:
            case Budget.FRESH_HOLD:
                return self.fresh_hold_seconds
            case Budget.COLLECTION_TO_START:
                return self.collection_to_start_seconds
            case Budget.OUT_OF_CRYO:
                return self.out_of_cryo_seconds
            case Budget.THAW_TO_INFUSION_START:
                return self.thaw_to_infusion_start_seconds
            case Budget.THAW_TO_INFUSION_END:
                return self.thaw_to_infusion_end_seconds
            case Budget.INFUSION:
                return self.infusion_seconds
            case Budget.HANDOFF_ACCEPTANCE:
                return self.handoff_acceptance_seconds
            case Budget.BEDSIDE_CHECK_VALIDITY:
                return self.bedside_check_validity_seconds
            case Budget.READINESS_CERTIFICATE:
                return self.readiness_certificate_seconds


def read_co_signing(path: str, value: Json) -> CoSigning:
    """Reads who co-signs a body."""
    members = Members(path, value)
    result = CoSigning(
        number=members.take("number", integer(1)),
        roles=members.take("roles", names),
        window_seconds=members.take("window_seconds", integer(1)),
    )
    members.end()
    return result


def read_steps(path: str, value: Json) -> tuple[StepRule, ...]:
    """Reads the order of steps; one that is not named, named twice, or waits for itself is refused."""
    written = list_of(_read_step)(path, value)
    by_name: dict[str, StepRule] = {}
    for index, step in enumerate(written):
        if step.step in by_name:
            raise PolicyMalformedError("a step stands twice", path=f"{path}[{index}].step", value=step.step)
        by_name[step.step] = step
    for index, step in enumerate(written):
        for before in sorted(step.after):
            if before not in by_name:
                raise PolicyMalformedError("the step is not in the list", path=f"{path}[{index}].after", value=before)
        if step.step in _all_before(step, by_name):
            raise PolicyMalformedError("the step waits for itself", path=f"{path}[{index}].after", value=step.step)
    return tuple(
        StepRule(one.step, one.after, one.is_repeatable, one.is_optional, _required(one, by_name)) for one in written
    )


def _all_before(step: StepRule, by_name: Mapping[str, StepRule]) -> set[str]:
    found: set[str] = set()
    left = list(step.after)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(by_name[name].after)
    return found


def _required(step: StepRule, by_name: Mapping[str, StepRule]) -> frozenset[str]:
    found: set[str] = set()
    seen: set[str] = set()
    left = list(step.after)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if by_name[name].is_optional:
            left.extend(by_name[name].after)
        else:
            found.add(name)
    return frozenset(found)


def _read_step(path: str, value: Json) -> StepRule:
    members = Members(path, value)
    result = StepRule(
        step=members.take("step", text),
        after=members.take("after", names),
        is_repeatable=members.take("repeatable", boolean),
        is_optional=members.take("optional", boolean),
        requires=frozenset(),
    )
    members.end()
    return result


def read_budgets(path: str, value: Json) -> Budgets:
    """Reads the budgets of time."""
    members = Members(path, value)
    seconds = optional(integer(1))
    result = Budgets(
        fresh_hold_seconds=members.take("fresh_hold_seconds", seconds),
        collection_to_start_seconds=members.take("collection_to_start_seconds", seconds),
        out_of_cryo_seconds=members.take("out_of_cryo_seconds", seconds),
        thaw_to_infusion_start_seconds=members.take("thaw_to_infusion_start_seconds", seconds),
        thaw_to_infusion_end_seconds=members.take("thaw_to_infusion_end_seconds", seconds),
        infusion_seconds=members.take("infusion_seconds", seconds),
        lymphodepletion_to_infusion=members.take("lymphodepletion_to_infusion", optional(_read_lymphodepletion)),
        handoff_acceptance_seconds=members.take("handoff_acceptance_seconds", integer(1)),
        bedside_check_validity_seconds=members.take("bedside_check_validity_seconds", integer(1)),
        readiness_certificate_seconds=members.take("readiness_certificate_seconds", integer(1)),
    )
    members.end()
    return result


def _read_lymphodepletion(path: str, value: Json) -> LymphodepletionWindow:
    members = Members(path, value)
    result = LymphodepletionWindow(
        min_seconds=members.take("min_seconds", integer(0)),
        max_seconds=members.take("max_seconds", integer(1)),
        repeat_after_seconds=members.take("repeat_after_seconds", optional(integer(1))),
    )
    members.end()
    if result.min_seconds > result.max_seconds:
        raise PolicyMalformedError("the window ends before it begins", path=path, value=value)
    return result
