"""Policy packs: exact form, and what they answer."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction

import pytest

from cellcustody.ledger.custody.findings import Family, Strength, rule_of
from cellcustody.ledger.custody.policy import (
    DEFAULT_PACK,
    Budget,
    Json,
    PolicyMalformedError,
    PolicyPack,
    ResultPhase,
    canonical_json,
    sample_pack_bytes,
)


def changed(path: str, value: Json) -> bytes:
    """Returns the sample pack with the member at a dotted path set to a value, or taken away where it is None."""
    pack = json.loads(sample_pack_bytes())
    *parents, name = path.split(".")
    place = pack
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return canonical_json(pack)


def _changed_first(member: str, **values: Json) -> bytes:
    pack = json.loads(sample_pack_bytes())
    pack[member][0] |= values
    return canonical_json(pack)


def changed_test(**values: Json) -> bytes:
    """Returns the sample pack with its first test changed."""
    return _changed_first("tests", **values)


def changed_step(**values: Json) -> bytes:
    """Returns the sample pack with its first step changed."""
    return _changed_first("steps", **values)


VISIT: dict[str, Json] = {"visit": "month 3", "due_after_days": 91, "window_days": 14}
BAND: dict[str, Json] = {
    "kind": "a",
    "state": "b",
    "millicelsius_min": None,
    "millicelsius_max": None,
    "mean_kinetic_millicelsius_max": None,
    "grace_seconds": None,
}
DOSE: dict[str, Json] = {
    "unit": "{cells}",
    "min": "1",
    "max": "2",
    "per_kilogram": False,
    "components": [],
    "ratio_tolerance": "0",
}


def test_the_sample_pack_is_invented_and_reads() -> None:
    """It says that it is no medical advice, and its digest is that of its bytes."""
    shipped = sample_pack_bytes()
    pack = PolicyPack.parse(shipped)
    assert b"Not medical advice" in shipped
    assert pack.digest == hashlib.sha256(shipped).digest()
    assert (pack.product, pack.jurisdiction, pack.version) == ("cellcustody-demo-product", "EU", 1)
    assert pack.volume_tolerance == Fraction(1, 20)


def test_every_gate_that_a_shipped_pack_overrides_is_a_gate() -> None:
    """No pack of ours names a hard gate, an advisory or a finding of entry as overridable."""
    for code in PolicyPack.parse(sample_pack_bytes()).overridable_gates:
        assert (rule_of(code).strength, rule_of(code).family) == (Strength.GATE, Family.FOLD)


@pytest.mark.parametrize(
    ("pack", "path"),
    [
        (changed("budgets.infusion_seconds", True), "$.budgets.infusion_seconds"),
        (changed("budgets.infusion_seconds", 0), "$.budgets.infusion_seconds"),
        (changed("budgets.unknown", 1), "$.budgets.unknown"),
        (changed("unknown", 1), "$.unknown"),
        (changed("roles", None), "$.roles"),
        (changed("roles.HoldLifted", ["b", "a"]), "$.roles.HoldLifted"),
        (changed("roles.HoldLifted", [1]), "$.roles.HoldLifted[0]"),
        (changed("format", 1), "$.format"),
        (changed("patient_identifiers_min", 1), "$.patient_identifiers_min"),
        (changed("volume_tolerance", "0.050"), "$.volume_tolerance"),
        (changed("volume_tolerance", "-0.05"), "$.volume_tolerance"),
        (changed("volume_tolerance", "1e2"), "$.volume_tolerance"),
        (changed("volume_tolerance", 5), "$.volume_tolerance"),
        (changed_test(required=False, conditional=True), "$.tests[0].conditional"),
        (changed_test(min="80", max="70", unit="%"), "$.tests[0]"),
        (changed_test(min="80"), "$.tests[0].unit"),
        (changed_test(phases=["someday"]), "$.tests[0].phases[0]"),
        (changed_test(phases=[]), "$.tests[0].phases"),
        (changed_test(test="sterility"), "$.tests[1].phases"),
        (changed_step(after=["ConsentRecorded"]), "$.steps[0].after"),
        (changed_step(after=["Nothing"]), "$.steps[0].after"),
        (changed_step(step="ConsentRecorded"), "$.steps[1].step"),
        (changed_step(optional=1), "$.steps[0].optional"),
        (
            changed("budgets.lymphodepletion_to_infusion", {"min_seconds": 2, "max_seconds": 1}),
            "$.budgets.lymphodepletion_to_infusion.repeat_after_seconds",
        ),
        (
            changed(
                "budgets.lymphodepletion_to_infusion",
                {"min_seconds": 2, "max_seconds": 1, "repeat_after_seconds": 9},
            ),
            "$.budgets.lymphodepletion_to_infusion",
        ),
        (changed("monitoring", {"daily_days": 8, "total_days": 7}), "$.monitoring"),
        (
            changed("yield.ExpansionPerformed", {"measurement": "volume", "min": "2", "max": "1"}),
            "$.yield.ExpansionPerformed",
        ),
        (changed("follow_up", [VISIT, VISIT]), "$.follow_up[1].due_after_days"),
        (changed("follow_up", [VISIT, VISIT | {"due_after_days": 92}]), "$.follow_up"),
        (changed("dose", DOSE | {"min": "3"}), "$.dose"),
        (changed("dose", DOSE | {"components": [{"component": "CD4", "parts": 1}]}), "$.dose.components"),
        (changed("alerts.budget_warning_fraction", "1.1"), "$.alerts.budget_warning_fraction"),
        (changed("training_validity_days.driver", 10), "$.training_validity_days.driver"),
        (changed("co_signing.BatchReleased", {"number": 1, "roles": []}), "$.co_signing.BatchReleased.window_seconds"),
        (changed("product", ""), "$.product"),
        (
            changed("temperature_bands", [BAND | {"millicelsius_min": 2, "millicelsius_max": 1}]),
            "$.temperature_bands[0]",
        ),
        (b"[]", "$"),
    ],
)
def test_a_pack_that_says_more_or_less_is_refused_with_the_path(pack: bytes, path: str) -> None:
    """Every member is known, present and of its type."""
    with pytest.raises(PolicyMalformedError) as refused:
        PolicyPack.parse(pack)
    assert refused.value.values["path"] == path


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        b"\xff",
        b"{",
        b" " + sample_pack_bytes(),
        json.dumps(json.loads(sample_pack_bytes())).encode(),
        sample_pack_bytes().replace(b'"version":1', b'"version":1.0'),
        sample_pack_bytes().replace(b'"version":1', b'"version":NaN'),
        sample_pack_bytes().replace(b'"version":1', b'"version":1,"version":1'),
        b"[" * 100_000,
        b" " * 300_000,
    ],
    ids=["empty", "not-utf-8", "cut", "space", "spaces", "float", "nan", "twice", "deep", "long"],
)
def test_a_pack_that_is_not_canonical_is_refused(pack: bytes) -> None:
    """The digest is of exact bytes, so that there is one form only."""
    with pytest.raises(PolicyMalformedError):
        PolicyPack.parse(pack)


def test_roles_hold_by_short_or_full_name() -> None:
    """A body without roles may be signed in any."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.may_sign("cellcustody.v1.BatchReleased", "quality_reviewer")
    assert not pack.may_sign("BatchReleased", "driver")
    assert pack.may_sign("cellcustody.v1.CustodyReleased", "driver")


def test_no_pack_goes_below_the_contracts_co_signers() -> None:
    """The greater number counts."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.co_signing_for("BatchReleased", 3).number == 3
    assert pack.co_signing_for("BatchReleased").number == 1
    assert DEFAULT_PACK.co_signing_for("CustodyEstablished", 1).number == 1
    assert DEFAULT_PACK.co_signing_for("CustodyReleased").number == 0


def test_bands_are_found_by_kind_and_state() -> None:
    """A band without a lower end has none; a kind that the pack does not know has no band."""
    pack = PolicyPack.parse(sample_pack_bytes())
    frozen = pack.band_for("product", "frozen")
    assert frozen is not None
    assert (frozen.millicelsius_min, frozen.millicelsius_max) == (None, -120_000)
    assert pack.band_for("retain", "frozen") is None


def test_the_pack_names_who_overrides_and_who_lifts() -> None:
    """Roles named for a code; the star stands for the others; nobody named means anybody for lifting, nobody else."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.may_override("TEST_INTERIM", "quality_reviewer")
    assert not pack.may_override("TEST_INTERIM", "driver")
    assert not pack.may_override("NOT_CUSTODIAN", "quality_reviewer")
    assert not pack.may_lift("EXCURSION", "driver")
    assert DEFAULT_PACK.may_lift("EXCURSION", "driver")
    assert not DEFAULT_PACK.may_override("EXCURSION", "quality_reviewer")


def test_budgets_are_asked_by_name() -> None:
    """Each budget has one name, the pack's own; what is not limited is None."""
    pack = PolicyPack.parse(sample_pack_bytes())
    members = json.loads(sample_pack_bytes())["budgets"]
    assert {budget.value: pack.budget(budget) for budget in Budget} == {
        name: value for name, value in members.items() if name != "lymphodepletion_to_infusion"
    }
    assert DEFAULT_PACK.budget(Budget.INFUSION) is None
    assert pack.handoff_acceptance_seconds == 86_400


def test_an_optional_step_hands_on_what_stands_before_it() -> None:
    """Nobody has to select, activate or expand; what follows still waits for what stands before."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.steps_before("cellcustody.v1.ModificationPerformed") == {"MaterialAccessioned"}
    assert pack.steps_before("FormulationPerformed") == {"ModificationPerformed"}
    assert pack.steps_before("ReactionObserved") == frozenset()
    step = pack.step_for("SelectionPerformed")
    assert step is not None and step.is_optional
    assert pack.step_for("ReactionObserved") is None


def test_limits_hold_to_their_ends_and_not_beyond() -> None:
    """A limit is found by test and phase; a test of another phase has none at release."""
    pack = PolicyPack.parse(sample_pack_bytes())
    viability = pack.limits_for("viability")
    assert viability is not None
    assert viability.holds(Fraction(70)) and not viability.holds(Fraction(699, 10))
    assert pack.limits_for("viability", ResultPhase.LATE) is None
    assert pack.required_tests == {"identity", "sterility", "viability"}
    assert pack.conditional_tests == {"sterility"}
    assert pack.required_in(ResultPhase.RELEASE) == pack.required_tests
    assert pack.required_in(ResultPhase.LATE) == frozenset()
    expansion = pack.yield_for("cellcustody.v1.ExpansionPerformed")
    assert expansion is not None
    assert expansion.holds(Fraction(1000)) and not expansion.holds(Fraction(1001))


def test_training_holds_as_long_as_the_pack_says() -> None:
    """Two years of microseconds for a ward nurse; for good for a role of which no training is asked."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.training_valid_until("ward_nurse", 1_000) == 1_000 + 730 * 86_400_000_000
    assert pack.training_valid_until("driver", 1_000) is None


def test_a_band_may_let_pass_less_than_the_pack() -> None:
    """The band's own grace counts where it has one."""
    bands: list[Json] = [BAND | {"kind": "product", "state": "frozen", "grace_seconds": 60}]
    pack = PolicyPack.parse(changed("temperature_bands", bands))
    assert pack.grace_for("product", "frozen") == 60
    assert pack.grace_for("sample", "fresh") == pack.excursion.grace_seconds
    band = PolicyPack.parse(sample_pack_bytes()).band_for("collection", "fresh")
    assert band is not None
    assert band.holds(8_000) and band.holds(2_000) and not band.holds(8_001) and not band.holds(1_999)
