"""Limits of a policy pack: temperatures, tests, yields, doses, each a small frozen record with its strict reader.

The rules:

* Temperatures are in thousandths of a degree Celsius; other numbers are exact fractions in the UCUM unit beside them.
* None means that the pack sets no limit there; the ends of a limit are within it.
* A limit that is empty, or has no unit, is refused with its path.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from cellcustody.ledger.custody.policy_reading import (
    Json,
    Members,
    PolicyMalformedError,
    boolean,
    decimal,
    integer,
    list_of,
    one_of,
    optional,
    text,
)

__all__ = [
    "Dose",
    "DoseComponent",
    "Excursion",
    "MeanKinetic",
    "ResultLimit",
    "ResultPhase",
    "TemperatureBand",
    "YieldBand",
    "read_band",
    "read_dose",
    "read_excursion",
    "read_tests",
    "read_yield",
]


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
