"""Lint a policy pack: what parses, and still cannot be what its author meant.

The rules, each with the path, the value and what to do about it:

* Bodies, capabilities' kinds of stream, identity points and finding codes are those of the contract and of the
  findings table. An override names a gate of the fold: hard gates have none, findings of entry are made once.
* A test that is required says what it must say. Windows that hang together do not contradict each other.
* A budget lies within the orders of magnitude of the process; a limit that is off by a factor is most often in
  another unit.
* A step that must be done can be done: it is a body of a therapy. What waits for itself does not even parse.

An ERROR makes the pack unfit; a WARNING is to be looked at. What a person may hold as a role is free: none is known
here, but a name that is much like one which the pack names more often is perhaps a slip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.findings import Family, Strength, UnknownFindingError, rule_of
from cellcustody.ledger.custody.policy import Budget, PolicyPack
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import options_pb2 as options

__all__ = ["Lint", "LintLevel", "lint"]

_ALIKE: Final = 0.85  # Of two names: a letter or two apart in a name of usual length.
_STATES: Final = frozenset({"fresh", "frozen", "thawed"})
_STREAM_KINDS: Final = frozenset({"therapy", "consignment", "lot", "site", "registry", "policy", "schema", "log"})
_BODIES: Final = {body.short_name: body for body in BODIES.values()}
# Beside the points of IdentityChecked, LABEL asks for a LabelReadBack before a bag leaves.
_POINTS: Final = frozenset(
    value.name.removeprefix("IDENTITY_POINT_") for value in harvest.IdentityPoint.DESCRIPTOR.values if value.number
) | {"LABEL"}
_KINDS: Final = frozenset(
    value.name.removeprefix("MATERIAL_KIND_").lower() for value in common.MaterialKind.DESCRIPTOR.values if value.number
)
_HOUR, _DAY = 3_600, 86_400
# Orders of magnitude of the process, in seconds; a limit outside is most often in another unit than was meant.
_PLAUSIBLE: Final[Mapping[Budget, tuple[int, int]]] = {
    Budget.FRESH_HOLD: (12 * _HOUR, 5 * _DAY),
    Budget.COLLECTION_TO_START: (12 * _HOUR, 5 * _DAY),
    Budget.OUT_OF_CRYO: (15 * 60, 8 * _HOUR),
    Budget.THAW_TO_INFUSION_START: (5 * 60, 6 * _HOUR),
    Budget.THAW_TO_INFUSION_END: (10 * 60, 8 * _HOUR),
    Budget.INFUSION: (5 * 60, 4 * _HOUR),
    Budget.HANDOFF_ACCEPTANCE: (15 * 60, 3 * _DAY),
    Budget.BEDSIDE_CHECK_VALIDITY: (60, 4 * _HOUR),
    Budget.READINESS_CERTIFICATE: (10 * 60, 2 * _DAY),
}


class LintLevel(StrEnum):
    """Whether a pack is unfit, or only to be looked at."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing found: where, what stands there, what is wrong, what to do."""

    level: LintLevel
    path: str
    value: str
    message: str
    remedy: str


def lint(pack: PolicyPack, *, roles: Collection[str] = ()) -> tuple[Lint, ...]:
    """Returns everything found in a pack, in the order of its members.

    Roles are free names: `roles` are all that sites give, where that is known. Without them, a name that reads like a
    slip of another one in the pack is found.
    """
    found = [
        *_bodies(pack),
        *_roles(pack, frozenset(roles)),
        *_codes(pack),
        *_names(pack),
        *_tests(pack),
        *_budgets(pack),
        *_windows(pack),
        *_steps(pack),
    ]
    return tuple(sorted(found, key=lambda one: (one.path, one.message)))


def _error(path: str, value: object, message: str, remedy: str) -> Lint:
    return Lint(LintLevel.ERROR, path, str(value), message, remedy)


def _warning(path: str, value: object, message: str, remedy: str) -> Lint:
    return Lint(LintLevel.WARNING, path, str(value), message, remedy)


def _bodies(pack: PolicyPack) -> Iterator[Lint]:
    named: list[tuple[str, Iterable[str]]] = [
        ("$.roles", pack.roles),
        ("$.co_signing", pack.co_signing),
        ("$.must_have_seen", pack.must_have_seen),
        ("$.yield", pack.yields),
    ]
    for path, bodies in named:
        for body in bodies:
            if body not in _BODIES:
                yield _error(
                    f"{path}.{body}", body, "the contract has no such body", "Name a body of docs/contract.md."
                )
    for body, kinds in pack.must_have_seen.items():
        for kind in sorted(kinds - _STREAM_KINDS):
            yield _error(
                f"$.must_have_seen.{body}", kind, "there is no such kind of stream", "Name therapy, consignment or lot."
            )
        if body in _BODIES and not _BODIES[body].is_authorisation:
            yield _error(
                f"$.must_have_seen.{body}",
                body,
                "a fact is never refused for what its signer had not seen",
                "Name an authorisation.",
            )
    for body in pack.yields:
        if body in _BODIES and "outputs" not in _BODIES[body].message_class.DESCRIPTOR.fields_by_name:
            yield _error(f"$.yield.{body}", body, "the body makes no material", "Name a growing step.")


def _roles(pack: PolicyPack, known: frozenset[str]) -> Iterator[Lint]:
    places: list[tuple[str, frozenset[str]]] = [
        ("$.training_roles", pack.training_roles),
        ("$.hybrid_roles", pack.hybrid_roles),
    ]
    places.extend((f"$.roles.{body}", roles) for body, roles in pack.roles.items())
    places.extend((f"$.co_signing.{body}.roles", one.roles) for body, one in pack.co_signing.items())
    places.extend((f"$.overridable_gates.{code}", roles) for code, roles in pack.overridable_gates.items())
    places.extend((f"$.hold_lifting_roles.{code}", roles) for code, roles in pack.hold_lifting_roles.items())
    counted = Counter(role for _, roles in places for role in roles)
    for path, roles in places:
        for role in sorted(roles - known):
            if known:
                yield _warning(path, role, "no site gives the role", "Correct it, or name it with --role as well.")
            elif meant := _meant(role, counted):
                yield _warning(path, role, f"it reads like {meant}", "Correct it, or name all roles with --role.")
    for body, roles in pack.roles.items():
        if not roles:
            yield _error(
                f"$.roles.{body}", "[]", "no role is named, so that any may sign", "Name roles, or take the body out."
            )
    for code, roles in pack.overridable_gates.items():
        if not roles:
            yield _error(
                f"$.overridable_gates.{code}", "[]", "nobody may override it", "Name roles, or take the code out."
            )


def _meant(role: str, counted: Counter[str]) -> str | None:
    """Returns the role of the pack that this one is perhaps a slip of: one much like it that is named more often."""
    more = [other for other, times in counted.items() if times > counted[role]]
    return next(iter(get_close_matches(role, sorted(more), n=1, cutoff=_ALIKE)), None)


def _codes(pack: PolicyPack) -> Iterator[Lint]:
    for code in pack.overridable_gates:
        path = f"$.overridable_gates.{code}"
        try:
            rule = rule_of(code)
        except UnknownFindingError:
            yield _error(path, code, "there is no such finding", "Name a code of docs/findings.md.")
            continue
        if rule.strength is Strength.HARD_GATE:
            yield _error(path, code, "a hard gate has no override", "Take it out: the way on is in its remedy.")
        elif rule.strength is not Strength.GATE:
            yield _error(path, code, f"it is {rule.strength.value}, which stops nothing", "Take it out.")
        elif rule.family is Family.ENTRY:
            yield _error(path, code, "it is found at entry, where no override is asked", "Take it out.")
    for code in pack.hold_lifting_roles:
        if code in ("*", "HOLD_PLACED"):
            continue
        path = f"$.hold_lifting_roles.{code}"
        try:
            rule = rule_of(code)
        except UnknownFindingError:
            yield _error(path, code, "there is no such finding", "Name a code of docs/findings.md, or `*`.")
            continue
        if rule.strength not in (Strength.HARD_GATE, Strength.GATE):
            yield _error(path, code, "it opens no hold", "Take it out.")
    if "*" not in pack.hold_lifting_roles:
        yield _warning(
            "$.hold_lifting_roles", "", "holds that are not named may be lifted in any role", "Name roles under `*`."
        )


def _names(pack: PolicyPack) -> Iterator[Lint]:
    for point in sorted(pack.required_identity_checks - _POINTS):
        yield _error(
            "$.required_identity_checks", point, "there is no such point", f"Name one of {', '.join(sorted(_POINTS))}."
        )
    for index, band in enumerate(pack.temperature_bands):
        path = f"$.temperature_bands[{index}]"
        if band.kind not in _KINDS:
            yield _error(
                f"{path}.kind", band.kind, "there is no such kind of material", f"Name {', '.join(sorted(_KINDS))}."
            )
        if band.state not in _STATES:
            yield _error(f"{path}.state", band.state, "there is no such state", "Name fresh, frozen or thawed.")
        if band.millicelsius_min is None and band.millicelsius_max is None:
            yield _error(path, "", "the band has no end, so that everything is within", "Give it a limit.")
        if band.state == "frozen" and (band.millicelsius_max is None or band.millicelsius_max > -60_000):
            yield _warning(
                f"{path}.millicelsius_max",
                band.millicelsius_max,
                "cells do not keep above -60 degrees",
                "Give thousandths of a degree Celsius, such as -120000.",
            )
        if (band.kind, band.state) in {(one.kind, one.state) for one in pack.temperature_bands[:index]}:
            yield _error(path, f"{band.kind} {band.state}", "a band before it counts instead", "Keep one of them.")


def _tests(pack: PolicyPack) -> Iterator[Lint]:
    for index, limit in enumerate(pack.tests):
        if limit.is_required and not limit.has_limits and not limit.must_pass:
            yield _error(
                f"$.tests[{index}]",
                limit.test,
                "the test is required and nothing is asked of its result",
                'Give limits with a unit, or outcome = "PASS".',
            )
    if not pack.required_tests:
        yield _error("$.tests", "", "a batch is released without any test", "Require the tests of a release.")
    if pack.required_tests and pack.required_tests == pack.conditional_tests:
        yield _warning("$.tests", "", "every test may be interim at a release", "Let only slow tests be conditional.")


def _budgets(pack: PolicyPack) -> Iterator[Lint]:
    for budget, (least, most) in _PLAUSIBLE.items():
        seconds = pack.budget(budget)
        path = f"$.budgets.{budget.value}"
        if seconds is None:
            yield _warning(path, "", "the pack sets no such budget", "Set one, or be sure that none is needed.")
        elif not least <= seconds <= most:
            yield _warning(
                path,
                seconds,
                "the budget is out of the order of magnitude of the process",
                f"Give seconds, between {least} and {most} as a rule.",
            )
    window = pack.lymphodepletion_to_infusion
    if window is not None and not (_DAY <= window.max_seconds <= 42 * _DAY):
        yield _warning(
            "$.budgets.lymphodepletion_to_infusion.max_seconds",
            window.max_seconds,
            "the window is out of the order of magnitude of the process",
            "Give seconds, two days to three weeks as a rule.",
        )
    if pack.volume_tolerance > 1:
        yield _error(
            "$.volume_tolerance", pack.volume_tolerance, "more than all may be missing", "Give a share, such as 0.05."
        )


def _windows(pack: PolicyPack) -> Iterator[Lint]:
    budgets = pack.budgets

    def exceeds(inner: Budget, outer: Budget, why: str) -> Iterator[Lint]:
        within, around = pack.budget(inner), pack.budget(outer)
        if within is not None and around is not None and within > around:
            yield _error(
                f"$.budgets.{inner.value}", within, f"{why} ({outer.value} is {around})", "Make the two agree."
            )

    yield from exceeds(
        Budget.THAW_TO_INFUSION_START, Budget.THAW_TO_INFUSION_END, "an infusion could start after it must have ended"
    )
    yield from exceeds(
        Budget.THAW_TO_INFUSION_END, Budget.OUT_OF_CRYO, "the end is later than the time out of frozen storage allows"
    )
    yield from exceeds(
        Budget.THAW_TO_INFUSION_START, Budget.OUT_OF_CRYO, "the start is later than the time out of storage allows"
    )
    yield from exceeds(Budget.INFUSION, Budget.THAW_TO_INFUSION_END, "one bag could take longer than all may")
    window = budgets.lymphodepletion_to_infusion
    repeat_after = None if window is None else window.repeat_after_seconds
    if window is not None and repeat_after is not None and repeat_after < window.min_seconds:
        yield _error(
            "$.budgets.lymphodepletion_to_infusion.repeat_after_seconds",
            repeat_after,
            "it is to be repeated before the infusion is allowed",
            "Repeat it after the window at the earliest.",
        )
    for body, asked in pack.co_signing.items():
        if asked.window_seconds > 30 * _DAY:
            yield _warning(
                f"$.co_signing.{body}.window_seconds", asked.window_seconds, "a month is no window", "Give seconds."
            )
    bedside = pack.co_signing.get("BedsideChecked")
    if bedside is not None and bedside.window_seconds > budgets.bedside_check_validity_seconds:
        yield _error(
            "$.co_signing.BedsideChecked.window_seconds",
            bedside.window_seconds,
            "the second person could join after the check has lapsed",
            "Let it end with bedside_check_validity_seconds at the latest.",
        )
    if pack.monitoring is not None and pack.follow_up:
        first = pack.follow_up[0]
        if first.due_after_days + first.window_days < pack.monitoring.daily_days:
            yield _warning(
                "$.follow_up[0].due_after_days",
                first.due_after_days,
                "the first visit falls into daily monitoring",
                "Let follow-up begin when monitoring ends.",
            )
    for index, (one, after) in enumerate(zip(pack.follow_up, pack.follow_up[1:], strict=False), start=1):
        if one.due_after_days + one.window_days >= after.due_after_days - after.window_days:
            yield _warning(
                f"$.follow_up[{index}].window_days",
                after.window_days,
                f"the window overlaps that of {one.visit}",
                "Narrow the windows, so that a visit counts for one.",
            )


def _steps(pack: PolicyPack) -> Iterator[Lint]:
    if not pack.step_order:
        yield _warning("$.steps", "[]", "the pack gives no order", "List the steps of the process.")
    listed = {one.step for one in pack.step_order}
    for index, step in enumerate(pack.step_order):
        path = f"$.steps[{index}].step"
        body = _BODIES.get(step.step)
        if body is None:
            yield _error(path, step.step, "the contract has no such body: it is never reached", "Correct the name.")
        elif options.STREAM_KIND_THERAPY not in body.stream_kinds:
            yield _error(
                path, step.step, "it is never recorded in a therapy's stream: it is never reached", "Take it out."
            )
        if step.is_optional and not any(step.step in other.after for other in pack.step_order):
            yield _warning(path, step.step, "it is optional and nothing stands after it", "Take it out, or say after.")
    if pack.step_order and not {"InfusionStarted", "BatchReleased"} <= listed:
        yield _warning(
            "$.steps", "", "the order does not reach the release and the infusion", "List them with what they need."
        )
    if pack.slot_required and listed and "SlotReserved" not in listed:
        yield _warning("$.slot_required", True, "a slot is required and stands in no order", "List SlotReserved.")
