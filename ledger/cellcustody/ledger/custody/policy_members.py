"""What a policy pack is made of: steps, budgets, limits, windows, each a small frozen record with its strict reader.

The rules:

* Times are in seconds, longer ones in days; temperatures in thousandths of a degree Celsius; other numbers are exact
  fractions in the UCUM unit that stands beside them.
* None means that the pack asks for nothing there.
* A record that contradicts itself (a window that ends before it begins) is refused with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from cellcustody.ledger.custody.policy_reading import (
    Json,
    Members,
    PolicyMalformedError,
    boolean,
    decimal,
    integer,
    list_of,
    names,
    one_of,
    optional,
    table_of,
    text,
)

__all__ = [
    "BAG_READINGS",
    "Alerts",
    "Bedside",
    "Budget",
    "Budgets",
    "CoSigning",
    "Dose",
    "DoseComponent",
    "Eligibility",
    "Excursion",
    "FollowUpVisit",
    "LymphodepletionWindow",
    "MeanKinetic",
    "Monitoring",
    "OutOfSpecification",
    "Qualifications",
    "ResultLimit",
    "ResultPhase",
    "StepRule",
    "TemperatureBand",
    "YieldBand",
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


@dataclass(frozen=True, slots=True)
class TemperatureBand:
    """The band of a kind of material (MaterialKind, lower case, no prefix) in a state such as fresh or frozen."""

    kind: str
    state: str
    millicelsius_min: int | None
    millicelsius_max: int | None
    mean_kinetic_millicelsius_max: int | None
    grace_seconds: int | None

    def holds(self, millicelsius: Fraction | int) -> bool:
        """Tells whether the temperature lies within the band, its ends included."""
        return (self.millicelsius_min is None or millicelsius >= self.millicelsius_min) and (
            self.millicelsius_max is None or millicelsius <= self.millicelsius_max
        )


@dataclass(frozen=True, slots=True)
class MeanKinetic:
    """How the mean kinetic temperature is worked out: by the activation energy, in joules per mole."""

    activation_energy_joules_per_mole: int


@dataclass(frozen=True, slots=True)
class Excursion:
    """How long outside a band and between readings is let pass, and how the mean kinetic temperature counts."""

    grace_seconds: int
    gap_seconds_max: int
    mean_kinetic: MeanKinetic | None


class ResultPhase(StrEnum):
    """When a test is made: on the collected cells, in process, for release, or with a result after it."""

    STARTING_MATERIAL = "starting_material"
    IN_PROCESS = "in_process"
    RELEASE = "release"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class ResultLimit:
    """What a test must say in these phases: a passing outcome, a value within limits, or both."""

    test: str
    phases: frozenset[str]
    unit: str | None
    least: Fraction | None
    most: Fraction | None
    must_pass: bool
    is_required: bool
    may_be_conditional: bool

    @property
    def has_limits(self) -> bool:
        """Whether the value itself is limited."""
        return self.least is not None or self.most is not None

    def holds(self, amount: Fraction) -> bool:
        """Tells whether a value, in this limit's unit, lies within it, its ends included."""
        return (self.least is None or amount >= self.least) and (self.most is None or amount <= self.most)


@dataclass(frozen=True, slots=True)
class YieldBand:
    """What comes out of a growing step over what went in; of a measurement by name, or of the quantity if None."""

    measurement: str | None
    least: Fraction
    most: Fraction

    def holds(self, ratio: Fraction) -> bool:
        """Tells whether the yield is plausible, the ends included."""
        return self.least <= ratio <= self.most


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How many days after an infusion the patient is seen daily, and how many in all."""

    daily_days: int
    total_days: int


@dataclass(frozen=True, slots=True)
class FollowUpVisit:
    """A visit due some days after the infusion, within a window of days on either side."""

    visit: str
    due_after_days: int
    window_days: int


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The infectious markers of a donor, how old their sample may be at collection, whether they may be left out."""

    markers: frozenset[str]
    max_age_days: int | None
    not_evaluated_allowed: bool


@dataclass(frozen=True, slots=True)
class OutOfSpecification:
    """Whether a batch outside its specification may be released, and the kinds of document that it then takes."""

    allowed: bool
    documents: frozenset[str]


@dataclass(frozen=True, slots=True)
class DoseComponent:
    """A component of the dose and its parts in the ratio, such as CD4 to CD8 as 1 to 1."""

    component: str
    parts: int


@dataclass(frozen=True, slots=True)
class Dose:
    """The dose in all, or for each kilogram; with components, their ratio and by what share it may be missed."""

    unit: str
    least: Fraction
    most: Fraction
    per_kilogram: bool
    components: tuple[DoseComponent, ...]
    ratio_tolerance: Fraction

    def holds(self, amount: Fraction) -> bool:
        """Tells whether a dose in this unit lies within the limits, their ends included."""
        return self.least <= amount <= self.most


@dataclass(frozen=True, slots=True)
class Qualifications:
    """What must be qualified on the day it is used; `equipment` names kinds of equipment."""

    shipper: bool
    logger: bool
    lane: bool
    courier: bool
    equipment: frozenset[str]


# What of a bag can be asked to be read or seen at the bedside, beside patient and chain of identity identifier.
BAG_READINGS = ("expiry", "mpho_ui", "release_certificate")


@dataclass(frozen=True, slots=True)
class Bedside:
    """What is asked for at issue and at the bedside; `rescue_medicines` gives the doses that must be at hand.

    `bags_at_once_max` are the bags that may be issued and not yet infused; `must_read` names some of `BAG_READINGS`.
    """

    bags_at_once_max: int
    must_read: frozenset[str]
    rescue_medicines: Mapping[str, int]
    premedication_seconds_max: int | None


@dataclass(frozen=True, slots=True)
class Alerts:
    """How long before something lapses people are told."""

    acceptance_warning_seconds: int
    budget_warning_fraction: Fraction
    qualification_warning_days: int
    late_result_acknowledgement_seconds: int
    follow_up_warning_days: int


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


def read_band(path: str, value: Json) -> TemperatureBand:
    """Reads a temperature band."""
    members = Members(path, value)
    result = TemperatureBand(
        kind=members.take("kind", text),
        state=members.take("state", text),
        millicelsius_min=members.take("millicelsius_min", optional(integer(-273_150))),
        millicelsius_max=members.take("millicelsius_max", optional(integer(-273_150))),
        mean_kinetic_millicelsius_max=members.take("mean_kinetic_millicelsius_max", optional(integer(-273_150))),
        grace_seconds=members.take("grace_seconds", optional(integer(0))),
    )
    members.end()
    if None not in (result.millicelsius_min, result.millicelsius_max) and (
        (result.millicelsius_min or 0) > (result.millicelsius_max or 0)
    ):
        raise PolicyMalformedError("the band is empty", path=path, value=value)
    return result


def read_excursion(path: str, value: Json) -> Excursion:
    """Reads what is let pass outside a band."""
    members = Members(path, value)
    result = Excursion(
        grace_seconds=members.take("grace_seconds", integer(0)),
        gap_seconds_max=members.take("gap_seconds_max", integer(0)),
        mean_kinetic=members.take("mean_kinetic", optional(_read_mean_kinetic)),
    )
    members.end()
    return result


def _read_mean_kinetic(path: str, value: Json) -> MeanKinetic:
    members = Members(path, value)
    result = MeanKinetic(members.take("activation_energy_joules_per_mole", integer(1_000, 1_000_000)))
    members.end()
    return result


def read_tests(path: str, value: Json) -> tuple[ResultLimit, ...]:
    """Reads the tests; one test stands once for each of its phases."""
    result = list_of(_read_test)(path, value)
    seen: set[tuple[str, str]] = set()
    for index, limit in enumerate(result):
        twice = sorted(phase for phase in limit.phases if (limit.test, phase) in seen)
        if twice:
            raise PolicyMalformedError("the test stands twice for a phase", path=f"{path}[{index}].phases", value=twice)
        seen |= {(limit.test, phase) for phase in limit.phases}
    return result


def _read_test(path: str, value: Json) -> ResultLimit:
    members = Members(path, value)
    result = ResultLimit(
        test=members.take("test", text),
        phases=frozenset(members.take("phases", list_of(one_of(*ResultPhase)))),
        unit=members.take("unit", optional(text)),
        least=members.take("min", optional(decimal())),
        most=members.take("max", optional(decimal())),
        must_pass=members.take("outcome", optional(one_of("PASS"))) is not None,
        is_required=members.take("required", boolean),
        may_be_conditional=members.take("conditional", boolean),
    )
    members.end()
    if not result.phases:
        raise PolicyMalformedError("a test is made in some phase", path=f"{path}.phases", value=[])
    if result.least is not None and result.most is not None and result.least > result.most:
        raise PolicyMalformedError("the limits are empty", path=path, value=value)
    if result.has_limits and result.unit is None:
        raise PolicyMalformedError("limits have a unit", path=f"{path}.unit", value=None)
    if result.may_be_conditional and not result.is_required:
        raise PolicyMalformedError("what may be conditional must be required", path=f"{path}.conditional", value=True)
    return result


def read_yield(path: str, value: Json) -> YieldBand:
    """Reads the plausible yield of a growing step."""
    members = Members(path, value)
    result = YieldBand(
        measurement=members.take("measurement", optional(text)),
        least=members.take("min", decimal(0)),
        most=members.take("max", decimal(0)),
    )
    members.end()
    if result.least > result.most:
        raise PolicyMalformedError("the band is empty", path=path, value=value)
    return result


def read_monitoring(path: str, value: Json) -> Monitoring:
    """Reads how long a patient is monitored."""
    members = Members(path, value)
    result = Monitoring(
        daily_days=members.take("daily_days", integer(0, DAYS_MAX)),
        total_days=members.take("total_days", integer(0, DAYS_MAX)),
    )
    members.end()
    if result.daily_days > result.total_days:
        raise PolicyMalformedError("daily monitoring outlasts all monitoring", path=path, value=value)
    return result


def read_follow_up(path: str, value: Json) -> tuple[FollowUpVisit, ...]:
    """Reads the follow-up visits, in the order in which they are due."""
    result = list_of(_read_visit)(path, value)
    for index, (before, after) in enumerate(pairwise(result), start=1):
        if before.due_after_days >= after.due_after_days:
            raise PolicyMalformedError(
                "visits are not in order", path=f"{path}[{index}].due_after_days", value=after.due_after_days
            )
    if len({one.visit for one in result}) != len(result):
        raise PolicyMalformedError("a visit stands twice", path=path, value=[one.visit for one in result])
    return result


def _read_visit(path: str, value: Json) -> FollowUpVisit:
    members = Members(path, value)
    result = FollowUpVisit(
        visit=members.take("visit", text),
        due_after_days=members.take("due_after_days", integer(1, DAYS_MAX)),
        window_days=members.take("window_days", integer(0, DAYS_MAX)),
    )
    members.end()
    return result


def read_eligibility(path: str, value: Json) -> Eligibility:
    """Reads what donor screening asks for."""
    members = Members(path, value)
    result = Eligibility(
        markers=members.take("markers", names),
        max_age_days=members.take("max_age_days", optional(integer(0, DAYS_MAX))),
        not_evaluated_allowed=members.take("not_evaluated_allowed", boolean),
    )
    members.end()
    return result


def read_out_of_specification(path: str, value: Json) -> OutOfSpecification:
    """Reads whether a batch outside its specification may be released."""
    members = Members(path, value)
    result = OutOfSpecification(members.take("allowed", boolean), members.take("documents", names))
    members.end()
    return result


def read_dose(path: str, value: Json) -> Dose:
    """Reads the dose."""
    members = Members(path, value)
    result = Dose(
        unit=members.take("unit", text),
        least=members.take("min", decimal(0)),
        most=members.take("max", decimal(0)),
        per_kilogram=members.take("per_kilogram", boolean),
        components=members.take("components", list_of(_read_component)),
        ratio_tolerance=members.take("ratio_tolerance", decimal(0)),
    )
    members.end()
    if result.least > result.most:
        raise PolicyMalformedError("the limits are empty", path=path, value=value)
    if len(result.components) == 1 or len({one.component for one in result.components}) != len(result.components):
        raise PolicyMalformedError(
            "components are none or several, each once",
            path=f"{path}.components",
            value=[one.component for one in result.components],
        )
    return result


def _read_component(path: str, value: Json) -> DoseComponent:
    members = Members(path, value)
    result = DoseComponent(members.take("component", text), members.take("parts", integer(1)))
    members.end()
    return result


def read_qualifications(path: str, value: Json) -> Qualifications:
    """Reads what must be qualified."""
    members = Members(path, value)
    result = Qualifications(
        shipper=members.take("shipper", boolean),
        logger=members.take("logger", boolean),
        lane=members.take("lane", boolean),
        courier=members.take("courier", boolean),
        equipment=members.take("equipment", names),
    )
    members.end()
    return result


def read_bedside(path: str, value: Json) -> Bedside:
    """Reads what is asked for at issue and at the bedside."""
    members = Members(path, value)
    result = Bedside(
        bags_at_once_max=members.take("bags_at_once_max", integer(1)),
        must_read=members.take("must_read", names),
        rescue_medicines=members.take("rescue_medicines", table_of(integer(1))),
        premedication_seconds_max=members.take("premedication_seconds_max", optional(integer(1))),
    )
    members.end()
    for name in sorted(result.must_read - set(BAG_READINGS)):
        raise PolicyMalformedError("nothing of this name is read", path=f"{path}.must_read", value=name)
    return result


def read_alerts(path: str, value: Json) -> Alerts:
    """Reads how early people are told."""
    members = Members(path, value)
    result = Alerts(
        acceptance_warning_seconds=members.take("acceptance_warning_seconds", integer(0)),
        budget_warning_fraction=members.take("budget_warning_fraction", decimal(0)),
        qualification_warning_days=members.take("qualification_warning_days", integer(0, DAYS_MAX)),
        late_result_acknowledgement_seconds=members.take("late_result_acknowledgement_seconds", integer(1)),
        follow_up_warning_days=members.take("follow_up_warning_days", integer(0, DAYS_MAX)),
    )
    members.end()
    if result.budget_warning_fraction > 1:
        raise PolicyMalformedError(
            "a share is at most 1",
            path=f"{path}.budget_warning_fraction",
            value=str(result.budget_warning_fraction),
        )
    return result
