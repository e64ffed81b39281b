"""Simulate a therapy under a policy pack with the real rules, and try every limit of the pack at it and just beyond it.

The rules of this module:

* The standard course (`policy_story`) is folded once as it is; a pack under which it does not conform is hard to meet.
* Then for each limit it is folded twice more: with the limit just met, and with one second, one part or one container
  beyond. A limit bites if only the second has findings that the course did not have before.
* A limit that another one stops first is shadowed: the course at the limit has findings already.
* What is judged elsewhere than in the fold of a therapy is not tried here, and told so (`ELSEWHERE`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from cellcustody.ledger.custody.policy import Budget, PolicyPack, ResultPhase
from cellcustody.ledger.custody.policy_course import MICROS, MINUTE, Course, Pace, Told
from cellcustody.ledger.custody.policy_story import BAG, tell_course
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros

__all__ = ["ELSEWHERE", "Simulation", "Trial", "simulate"]

ELSEWHERE: Final[Mapping[str, str]] = {
    "$.alerts": "shown to people; no rule",
    "$.budgets.handoff_acceptance_seconds": "a consignment is judged under the built-in pack",
    "$.budgets.readiness_certificate_seconds": "kept by whoever issues the certificate",
    "$.emergency_seconds": "judged by the registry",
    "$.follow_up": "due visits are shown; no gate",
    "$.late_after_seconds": "found at entry",
    "$.monitoring": "days left out are shown; no gate",
    "$.qualifications_required": "found at entry, from the registers of sites and equipment",
    "$.roles": "found at entry",
    "$.training_validity_days": "found at entry",
}
"""Members that the fold of a therapy does not judge by, and who does."""

_PART: Final = Fraction(1, 10**6)  # Just beyond, of what is not counted in whole seconds or containers.
_TRIED_PHASES: Final = frozenset({ResultPhase.IN_PROCESS, ResultPhase.RELEASE})


@dataclass(frozen=True, slots=True)
class Trial:
    """A limit tried: what the course has found at the limit, and just beyond, as (body, code), first things first."""

    path: str
    limit: str
    at_limit: tuple[tuple[str, str], ...]
    beyond: tuple[tuple[str, str], ...]

    @property
    def bites(self) -> bool:
        """Tells whether the limit lets pass what meets it, and nothing beyond."""
        return bool(self.beyond) and not self.at_limit

    @property
    def is_shadowed(self) -> bool:
        """Tells whether another rule stops the course before this limit does."""
        return bool(self.at_limit)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of a pack: the standard course act by act, and each limit tried."""

    course: tuple[Told, ...]
    trials: tuple[Trial, ...]

    @property
    def unhappy(self) -> tuple[Told, ...]:
        """The acts of the standard course that do not conform, or are refused."""
        return tuple(one for one in self.course if one.is_unhappy)

    @property
    def toothless(self) -> tuple[Trial, ...]:
        """The limits that do not bite."""
        return tuple(one for one in self.trials if not one.bites)


def simulate(pack: PolicyPack) -> Simulation:
    """Folds the standard course under a pack, and tries every limit of it. Takes about a second."""
    course = Course(pack, Pace())
    told = tell_course(course)
    usual = _found(told)
    trials = []
    for path, limit, at, beyond in _probes(pack, _spent_out_of_cryo(course)):
        met = usual if at == Pace() else _found(tell_course(Course(pack, at)))
        passed = _found(tell_course(Course(pack, beyond)))
        trials.append(Trial(path, limit, _news(met, usual), _news(passed, usual)))
    return Simulation(told, tuple(trials))


def _found(told: tuple[Told, ...]) -> tuple[tuple[str, str], ...]:
    """Returns what was found, each once, in the order of the course."""
    return tuple(dict.fromkeys((one.body, code) for one in told for code in one.codes))


def _news(found: tuple[tuple[str, str], ...], usual: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in found if one not in usual)


def _spent_out_of_cryo(course: Course) -> int:
    """Returns the seconds that the bag of the course was out of its frozen store, 0 if nobody knows."""
    ends = [one.stopped_at for one in course.case.state.infusions.values() if one.stopped_at is not None]
    if not ends:
        return 0
    return (out_of_cryo_micros(course.case.state, BAG, course.pack, max(ends)) or 0) // MICROS


Probe = tuple[str, str, Pace, Pace]


def _probes(pack: PolicyPack, spent_out_of_cryo: int) -> Iterator[Probe]:
    yield from _budgets(pack, spent_out_of_cryo)
    yield from _windows(pack)
    yield from _co_signatures(pack)
    yield from _tests(pack)
    yield from _balances(pack)
    yield from _screening(pack)
    yield from _conditions(pack)
    yield from _steps(pack)


def _budgets(pack: PolicyPack, spent_out_of_cryo: int) -> Iterator[Probe]:
    infusion = min(pack.infusion_seconds or 10 * MINUTE, 30 * MINUTE)
    for budget in Budget:
        path, limit = f"$.budgets.{budget.value}", pack.budget(budget)
        if limit is None or path in ELSEWHERE:
            continue
        if budget is Budget.BEDSIDE_CHECK_VALIDITY:
            bedside = Pace(thaw_to_start=limit + 2 * MINUTE)
            at, beyond = replace(bedside, bedside_to_start=limit), replace(bedside, bedside_to_start=limit + 1)
        else:
            at, beyond = (_at_budget(budget, seconds, infusion, spent_out_of_cryo) for seconds in (limit, limit + 1))
        yield path, f"{limit} s", at, beyond


def _at_budget(budget: Budget, seconds: int, infusion: int, spent_out_of_cryo: int) -> Pace:
    match budget:
        case Budget.FRESH_HOLD:
            return Pace(freezes_collection=True, fresh_hold=seconds)
        case Budget.COLLECTION_TO_START:
            return Pace(collection_to_start=seconds)
        case Budget.OUT_OF_CRYO:
            return Pace(out_of_cryo_more=seconds - spent_out_of_cryo)
        case Budget.THAW_TO_INFUSION_START:
            return Pace(thaw_to_start=seconds, infusion=MINUTE)
        case Budget.THAW_TO_INFUSION_END:
            return Pace(thaw_to_end=seconds, infusion=min(infusion, seconds))
        case Budget.INFUSION:
            return Pace(infusion=seconds)
        case _:
            return Pace()


def _windows(pack: PolicyPack) -> Iterator[Probe]:
    window = pack.lymphodepletion_to_infusion
    if window is not None:
        path = "$.budgets.lymphodepletion_to_infusion"
        yield _seconds(f"{path}.min_seconds", window.min_seconds, _since_lymphodepletion, -1)
        yield _seconds(f"{path}.max_seconds", window.max_seconds, _since_lymphodepletion, 1)
        if window.repeat_after_seconds is not None:
            yield _seconds(f"{path}.repeat_after_seconds", window.repeat_after_seconds, _since_lymphodepletion, 1)
    yield _seconds("$.chairside_validity_seconds", pack.chairside_validity_seconds, _chairside, 1)
    within = pack.bedside.premedication_seconds_max
    if within is not None:
        yield _seconds("$.bedside.premedication_seconds_max", within, _premedication, 1)


def _since_lymphodepletion(seconds: int) -> Pace:
    return Pace(lymphodepletion_to_infusion=seconds)


def _chairside(seconds: int) -> Pace:
    return Pace(chairside=seconds)


def _premedication(seconds: int) -> Pace:
    return Pace(premedication=seconds)


def _seconds(path: str, limit: int, pace: Callable[[int], Pace], step: int) -> Probe:
    return path, f"{limit} s", pace(limit), pace(limit + step)


def _co_signatures(pack: PolicyPack) -> Iterator[Probe]:
    for body in ("IdentityChecked", "BedsideChecked", "ManufacturingStarted"):
        asked = pack.co_signing.get(body)
        if asked is None:
            continue

        def joined(seconds: int, body: str = body) -> Pace:
            pace = Pace(co_signing={body: seconds})
            if body == "BedsideChecked":
                bedside = seconds + MINUTE
                return replace(pace, bedside_to_start=bedside, thaw_to_start=bedside + 2 * MINUTE)
            return pace

        yield _seconds(f"$.co_signing.{body}.window_seconds", asked.window_seconds, joined, 1)


def _tests(pack: PolicyPack) -> Iterator[Probe]:
    for index, limit in enumerate(pack.tests):
        if not limit.is_required or not _TRIED_PHASES & limit.phases:
            continue
        path = f"$.tests[{index}]"
        if limit.must_pass:
            yield f"{path}.outcome", f"{limit.test} PASS", Pace(), Pace(failed=frozenset({limit.test}))
        for name, value, step in (("min", limit.least, -_PART), ("max", limit.most, _PART)):
            if value is not None:
                yield (
                    f"{path}.{name}",
                    f"{limit.test} {float(value):g} {limit.unit}",
                    Pace(results={limit.test: value}),
                    Pace(results={limit.test: value + step}),
                )
    if pack.dose is not None:
        for name, value, step in (("min", pack.dose.least, -_PART), ("max", pack.dose.most, _PART)):
            yield f"$.dose.{name}", f"{float(value):g} {pack.dose.unit}", Pace(dose=value), Pace(dose=value + step)


def _balances(pack: PolicyPack) -> Iterator[Probe]:
    tolerance = pack.volume_tolerance
    yield "$.volume_tolerance", f"{float(tolerance):g}", Pace(lost=tolerance), Pace(lost=tolerance + _PART)
    if not pack.step_order or pack.step_for("FillPerformed") is not None:
        missing = pack.container_tolerance
        yield (
            "$.container_tolerance",
            str(missing),
            Pace(containers_missing=missing),
            Pace(containers_missing=missing + 1),
        )
    for body, band in pack.yields.items():
        for name, value, step in (("min", band.least, -_PART), ("max", band.most, _PART)):
            if value + step < 0:
                continue
            yield (
                f"$.yield.{body}.{name}",
                f"{float(value):g}",
                Pace(yields={body: value}),
                Pace(yields={body: value + step}),
            )


def _screening(pack: PolicyPack) -> Iterator[Probe]:
    asked = pack.eligibility
    if not asked.not_evaluated_allowed:
        for marker in sorted(asked.markers):
            yield "$.eligibility.markers", marker, Pace(), Pace(markers_left_out=frozenset({marker}))
    if asked.markers and asked.max_age_days is not None:
        yield (
            "$.eligibility.max_age_days",
            f"{asked.max_age_days} d",
            Pace(screening_age_days=asked.max_age_days),
            Pace(screening_age_days=asked.max_age_days + 1),
        )


def _conditions(pack: PolicyPack) -> Iterator[Probe]:
    for kind, state in (("collection", "fresh"), ("product", "frozen")):
        if pack.band_for(kind, state) is None:
            continue
        index = next(
            number for number, one in enumerate(pack.temperature_bands) if (one.kind, one.state) == (kind, state)
        )
        grace, gap = pack.grace_for(kind, state), pack.excursion.gap_seconds_max
        yield (
            f"$.temperature_bands[{index}]",
            f"{kind} {state}, {grace} s outside",
            Pace(out_of_band={kind: grace} if grace else {}),
            Pace(out_of_band={kind: grace + 1}),
        )
        yield (
            "$.excursion.gap_seconds_max",
            f"{kind} {state}, {gap} s",
            Pace(gaps={kind: gap} if gap else {}),
            Pace(gaps={kind: gap + 1}),
        )


def _steps(pack: PolicyPack) -> Iterator[Probe]:
    for index, step in enumerate(pack.step_order):
        if step.is_optional or not any(step.step in other.requires for other in pack.step_order):
            continue
        yield f"$.steps[{index}]", step.step, Pace(), Pace(left_out=frozenset({step.step}))
    if "LABEL" in pack.required_identity_checks:
        yield "$.required_identity_checks", "LABEL", Pace(), Pace(left_out=frozenset({"LabelReadBack"}))
    if pack.labels_reconciled:
        yield "$.labels_reconciled", "true", Pace(), Pace(left_out=frozenset({"LabelsReconciled"}))
