"""Policy packs: what one product asks for in one jurisdiction, as data, and the answers that rules ask of it.

The rules of a pack:

* It is canonical JSON; its digest is SHA-256 of exactly those bytes (`policy_reading`).
* Every member is known, present and of its type (`policy_members`, `policy_limits`, `policy_care`); what contradicts
  itself is refused, with the path.
* Bodies are named without their package, such as CustodyReleased. A body without roles may be signed in any role.
* No pack goes below the contract: the count of co-signers is the greater of the two, and hard gates stay hard.
* Nothing here is medical advice; the packs that come with this package are invented.

Temperatures are in thousandths of a degree Celsius, times in seconds, moments in microseconds since 1970.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import files
from typing import Final

from cellcustody.ledger.custody.policy_care import (
    Alerts,
    Bedside,
    Eligibility,
    FollowUpVisit,
    Monitoring,
    OutOfSpecification,
    Qualifications,
    read_alerts,
    read_bedside,
    read_eligibility,
    read_follow_up,
    read_monitoring,
    read_out_of_specification,
    read_qualifications,
)
from cellcustody.ledger.custody.policy_limits import (
    Dose,
    Excursion,
    ResultLimit,
    ResultPhase,
    TemperatureBand,
    YieldBand,
    read_band,
    read_dose,
    read_excursion,
    read_tests,
    read_yield,
)
from cellcustody.ledger.custody.policy_members import (
    DAYS_MAX,
    Budget,
    Budgets,
    CoSigning,
    LymphodepletionWindow,
    StepRule,
    read_budgets,
    read_co_signing,
    read_steps,
)
from cellcustody.ledger.custody.policy_reading import (
    Json,
    Members,
    PolicyMalformedError,
    boolean,
    canonical_json,
    decimal,
    integer,
    list_of,
    names,
    optional,
    parse_json,
    table_of,
    text,
)

__all__ = [
    "DEFAULT_PACK",
    "FORMAT",
    "Budget",
    "CoSigning",
    "Json",
    "PolicyMalformedError",
    "PolicyPack",
    "ResultLimit",
    "ResultPhase",
    "TemperatureBand",
    "canonical_json",
    "sample_pack_bytes",
]

FORMAT: Final = 2  # Raised only when a pack's members change their meaning.
_MICROS_PER_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class PolicyPack:
    """One product in one jurisdiction, at one version."""

    digest: bytes
    notice: str
    product: str
    jurisdiction: str
    version: int
    roles: Mapping[str, frozenset[str]]
    co_signing: Mapping[str, CoSigning]
    co_signature_window_seconds: int
    late_after_seconds: int
    emergency_seconds: int
    chairside_validity_seconds: int
    training_roles: frozenset[str]
    hybrid_roles: frozenset[str]
    training_validity_days: Mapping[str, int]
    step_order: tuple[StepRule, ...]
    budgets: Budgets
    bedside: Bedside
    temperature_bands: tuple[TemperatureBand, ...]
    excursion: Excursion
    volume_tolerance: Fraction
    container_tolerance: int
    yields: Mapping[str, YieldBand]
    tests: tuple[ResultLimit, ...]
    dose: Dose | None
    eligibility: Eligibility
    monitoring: Monitoring | None
    follow_up: tuple[FollowUpVisit, ...]
    slot_required: bool
    kit_required: bool
    labels_reconciled: bool
    required_identity_checks: frozenset[str]
    patient_identifiers_min: int
    overridable_gates: Mapping[str, frozenset[str]]
    hold_lifting_roles: Mapping[str, frozenset[str]]
    must_have_seen: Mapping[str, frozenset[str]]
    lot_kinds: frozenset[str]
    qualifications_required: Qualifications
    oos_release: OutOfSpecification
    alerts: Alerts
    _steps: Mapping[str, StepRule] = field(init=False, repr=False, compare=False)
    _limits: Mapping[tuple[str, str], ResultLimit] = field(init=False, repr=False, compare=False)
    _required: frozenset[str] = field(init=False, repr=False, compare=False)
    _conditional: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepares what rules look up for each act."""
        limits = {(one.test, phase): one for one in self.tests for phase in one.phases}
        at_release = [one for one in self.tests if ResultPhase.RELEASE in one.phases and one.is_required]
        object.__setattr__(self, "_steps", {one.step: one for one in self.step_order})
        object.__setattr__(self, "_limits", limits)
        object.__setattr__(self, "_required", frozenset(one.test for one in at_release))
        object.__setattr__(self, "_conditional", frozenset(one.test for one in at_release if one.may_be_conditional))

    @classmethod
    def parse(cls, pack: bytes) -> PolicyPack:
        """Returns the pack in these bytes.

        Raises:
            PolicyMalformedError: the bytes are not canonical JSON, or a member is missing, unknown or not of its type.
        """
        return _parse(pack)

    @property
    def required_tests(self) -> frozenset[str]:
        """The tests that a release needs."""
        return self._required

    @property
    def conditional_tests(self) -> frozenset[str]:
        """Those of them that may be interim at a conditional release."""
        return self._conditional

    @property
    def collection_to_start_seconds(self) -> int | None:
        """From the end of the collection to the start of manufacture."""
        return self.budgets.collection_to_start_seconds

    @property
    def thaw_to_infusion_start_seconds(self) -> int | None:
        """From the end of the thaw to the start of the infusion."""
        return self.budgets.thaw_to_infusion_start_seconds

    @property
    def infusion_seconds(self) -> int | None:
        """How long the infusion of one bag may take."""
        return self.budgets.infusion_seconds

    @property
    def handoff_acceptance_seconds(self) -> int:
        """Within which a release is answered."""
        return self.budgets.handoff_acceptance_seconds

    @property
    def lymphodepletion_to_infusion(self) -> LymphodepletionWindow | None:
        """The window from the end of lymphodepletion to the infusion."""
        return self.budgets.lymphodepletion_to_infusion

    def budget(self, budget: Budget) -> int | None:
        """Returns a budget in seconds, or None if the pack sets none."""
        return self.budgets.seconds(budget)

    def step_for(self, body_type: str) -> StepRule | None:
        """Returns the place of a body (full or short name) in the order of steps, or None if it has none."""
        return self._steps.get(_short(body_type))

    def steps_before(self, body_type: str) -> frozenset[str]:
        """Returns the steps, as short names of bodies, that must have been done before this one."""
        step = self._steps.get(_short(body_type))
        return frozenset() if step is None else step.requires

    def limits_for(self, test: str, phase: ResultPhase = ResultPhase.RELEASE) -> ResultLimit | None:
        """Returns what this test must say in this phase, or None if the pack asks for nothing."""
        return self._limits.get((test, phase))

    def required_in(self, phase: ResultPhase) -> frozenset[str]:
        """Returns the tests that a phase needs."""
        return frozenset(one.test for one in self.tests if phase in one.phases and one.is_required)

    def yield_for(self, body_type: str) -> YieldBand | None:
        """Returns the plausible yield of a growing step, or None if the pack names none."""
        return self.yields.get(_short(body_type))

    def training_valid_until(self, role: str, trained_at: int) -> int | None:
        """Returns until when training in a role holds, from when it was had, both in microseconds; None: for good."""
        days = self.training_validity_days.get(role)
        return None if days is None else trained_at + days * _MICROS_PER_DAY

    def grace_for(self, kind: str, state: str) -> int:
        """Returns the seconds outside the band that are let pass for this kind of material in this state."""
        band = self.band_for(kind, state)
        return self.excursion.grace_seconds if band is None or band.grace_seconds is None else band.grace_seconds

    def visit(self, name: str) -> FollowUpVisit | None:
        """Returns a follow-up visit by its name, or None if the pack has no such visit."""
        return next((one for one in self.follow_up if one.visit == name), None)

    def roles_for(self, body_type: str) -> frozenset[str]:
        """Returns the roles that may sign this body (full or short name); empty: any."""
        return self.roles.get(_short(body_type), frozenset())

    def may_sign(self, body_type: str, role: str) -> bool:
        """Tells whether the role may sign this body."""
        allowed = self.roles_for(body_type)
        return not allowed or role in allowed

    def co_signing_for(self, body_type: str, co_signers_min: int = 0) -> CoSigning:
        """Returns who must join this body; `co_signers_min` is the contract's own number, which no pack goes below."""
        asked = self.co_signing.get(_short(body_type))
        if asked is None:
            return CoSigning(co_signers_min, frozenset(), self.co_signature_window_seconds)
        if asked.number >= co_signers_min:
            return asked
        return CoSigning(co_signers_min, asked.roles, asked.window_seconds)

    def must_see(self, body_type: str) -> frozenset[str]:
        """Returns the kinds of stream of which the signer of this authorisation must have seen a statement."""
        return self.must_have_seen.get(_short(body_type), frozenset())

    def may_override(self, code: str, role: str) -> bool:
        """Tells whether the role may let the gate be passed beforehand."""
        return role in self.overridable_gates.get(code, frozenset())

    def may_lift(self, code: str, role: str) -> bool:
        """Tells whether the role may lift a hold that this finding opened; `*` stands for codes not named."""
        roles = self.hold_lifting_roles.get(code, self.hold_lifting_roles.get("*", frozenset()))
        return not roles or role in roles

    def band_for(self, kind: str, state: str) -> TemperatureBand | None:
        """Returns the temperature band of this kind of material in this state, or None if the pack names none."""
        for band in self.temperature_bands:
            if (band.kind, band.state) == (kind, state):
                return band
        return None


def sample_pack_bytes(name: str = "cellcustody-demo-product-eu-1") -> bytes:
    """Returns the canonical bytes of a pack that comes with this package. Invented: not medical advice."""
    shipped: Json = json.loads((files("cellcustody.ledger.custody") / "packs" / f"{name}.json").read_text("utf-8"))
    return canonical_json(shipped)


def _short(body_type: str) -> str:
    return body_type.rpartition(".")[2]


def _parse(pack: bytes) -> PolicyPack:
    top = Members("$", parse_json(pack))
    found_format = top.take("format", integer(1))
    if found_format != FORMAT:
        raise PolicyMalformedError("the pack is of another format", path="$.format", value=found_format)
    result = PolicyPack(
        digest=hashlib.sha256(pack).digest(),
        notice=top.take("notice", text),
        product=top.take("product", text),
        jurisdiction=top.take("jurisdiction", text),
        version=top.take("version", integer(1)),
        roles=top.take("roles", table_of(names)),
        co_signing=top.take("co_signing", table_of(read_co_signing)),
        co_signature_window_seconds=top.take("co_signature_window_seconds", integer(1)),
        late_after_seconds=top.take("late_after_seconds", integer(1)),
        emergency_seconds=top.take("emergency_seconds", integer(1)),
        chairside_validity_seconds=top.take("chairside_validity_seconds", integer(1)),
        training_roles=top.take("training_roles", names),
        hybrid_roles=top.take("hybrid_roles", names),
        training_validity_days=top.take("training_validity_days", table_of(integer(1, DAYS_MAX))),
        step_order=top.take("steps", read_steps),
        budgets=top.take("budgets", read_budgets),
        bedside=top.take("bedside", read_bedside),
        temperature_bands=top.take("temperature_bands", list_of(read_band)),
        excursion=top.take("excursion", read_excursion),
        volume_tolerance=top.take("volume_tolerance", decimal(0)),
        container_tolerance=top.take("container_tolerance", integer(0)),
        yields=top.take("yield", table_of(read_yield)),
        tests=top.take("tests", read_tests),
        dose=top.take("dose", optional(read_dose)),
        eligibility=top.take("eligibility", read_eligibility),
        monitoring=top.take("monitoring", optional(read_monitoring)),
        follow_up=top.take("follow_up", read_follow_up),
        slot_required=top.take("slot_required", boolean),
        kit_required=top.take("kit_required", boolean),
        labels_reconciled=top.take("labels_reconciled", boolean),
        required_identity_checks=top.take("required_identity_checks", names),
        patient_identifiers_min=top.take("patient_identifiers_min", integer(2)),
        overridable_gates=top.take("overridable_gates", table_of(names)),
        hold_lifting_roles=top.take("hold_lifting_roles", table_of(names)),
        must_have_seen=top.take("must_have_seen", table_of(names)),
        lot_kinds=top.take("lot_kinds", names),
        qualifications_required=top.take("qualifications_required", read_qualifications),
        oos_release=top.take("oos_release", read_out_of_specification),
        alerts=top.take("alerts", read_alerts),
    )
    top.end()
    for role in sorted(result.training_validity_days.keys() - result.training_roles):
        raise PolicyMalformedError(
            "training is not asked of the role", path=f"$.training_validity_days.{role}", value=role
        )
    return result


# What streams without a pack of their own (consignments, lots, sites) are judged under: any role, a day to answer a
# handoff (a courier leg rarely takes longer between two signatures), a quarter of an hour to co-sign.
DEFAULT_PACK: Final = PolicyPack.parse(sample_pack_bytes("built-in"))
