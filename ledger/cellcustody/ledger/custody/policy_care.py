"""What a policy pack asks for around the cells: donor, qualifications, bedside, follow-up, who is told and when.

The rules:

* Times are in seconds or days, as their names say. None means that the pack asks for nothing there.
* A record that contradicts itself (visits out of order, daily days beyond all days) is refused with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from cellcustody.ledger.custody.policy_members import DAYS_MAX
from cellcustody.ledger.custody.policy_reading import (
    Json,
    Members,
    PolicyMalformedError,
    boolean,
    decimal,
    integer,
    list_of,
    names,
    optional,
    table_of,
    text,
)

__all__ = [
    "BAG_READINGS",
    "Alerts",
    "Bedside",
    "Eligibility",
    "FollowUpVisit",
    "Monitoring",
    "OutOfSpecification",
    "Qualifications",
    "read_alerts",
    "read_bedside",
    "read_eligibility",
    "read_follow_up",
    "read_monitoring",
    "read_out_of_specification",
    "read_qualifications",
]


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
