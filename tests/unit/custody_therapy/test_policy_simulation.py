"""A pack tried on a standard course: what conforms, and whether each limit bites."""

from __future__ import annotations

import json

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.policy import Budget, Json, PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.custody.policy_course import Course, Pace
from cellcustody.ledger.custody.policy_simulation import ELSEWHERE, Simulation, Trial, simulate
from cellcustody.ledger.custody.policy_story import tell_course

EU, US = "cellcustody-sample-product-eu-1", "cellcustody-sample-product-us-1"


def pack_with(path: str, value: Json, name: str = EU) -> PolicyPack:
    """Returns a shipped pack with one member changed."""
    pack = json.loads(sample_pack_bytes(name))
    *parents, last = path.split(".")
    place = pack
    for parent in parents:
        place = place[parent]
    place[last] = value
    return PolicyPack.parse(canonical_json(pack))


def trial(simulation: Simulation, path: str) -> Trial:
    """Returns the first trial of a limit."""
    return next(one for one in simulation.trials if one.path == path)


@pytest.fixture(scope="module")
def european() -> Simulation:
    """The European sample pack, simulated once."""
    return simulate(PolicyPack.parse(sample_pack_bytes(EU)))


@pytest.mark.parametrize("name", [EU, US])
def test_a_standard_course_conforms_under_a_shipped_pack(name: str) -> None:
    """From enrolment to closure: nothing is refused, nothing waits, nothing is found."""
    told = tell_course(Course(PolicyPack.parse(sample_pack_bytes(name)), Pace()))
    assert [(one.body, one.codes) for one in told if one.is_unhappy] == []
    assert {"TherapyEnrolled", "CustodyAccepted", "BatchReleased", "InfusionStopped", "TherapyClosed"} <= {
        one.body for one in told
    }
    assert {one.status for one in told} == {Status.CONFORMING, Status.IN_EFFECT}


def test_every_limit_of_the_shipped_european_pack_bites(european: Simulation) -> None:
    """What meets a limit passes; one second, one part or one container beyond, something is found."""
    assert [(one.path, one.at_limit, one.beyond) for one in european.toothless] == []
    assert len(european.trials) > 50


def test_every_limit_of_the_shipped_american_pack_bites() -> None:
    """The same for the other law."""
    assert [(one.path, one.at_limit) for one in simulate(PolicyPack.parse(sample_pack_bytes(US))).toothless] == []


def test_each_budget_is_tried_or_said_to_be_judged_elsewhere(european: Simulation) -> None:
    """No budget is forgotten."""
    tried = {one.path for one in european.trials}
    assert {f"$.budgets.{budget.value}" for budget in Budget} <= tried | ELSEWHERE.keys()
    assert not tried & ELSEWHERE.keys()


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("$.budgets.fresh_hold_seconds", "CryopreservationStarted", "FRESH_HOLD_EXCEEDED"),
        ("$.budgets.out_of_cryo_seconds", "InfusionStopped", "OUT_OF_CRYO_TOO_LONG"),
        ("$.budgets.thaw_to_infusion_start_seconds", "InfusionStarted", "BUDGET_EXCEEDED"),
        ("$.budgets.infusion_seconds", "InfusionStopped", "BUDGET_EXCEEDED"),
        ("$.budgets.bedside_check_validity_seconds", "InfusionStarted", "BEDSIDE_CHECK_MISSING"),
        ("$.budgets.lymphodepletion_to_infusion.min_seconds", "InfusionStarted", "LYMPHODEPLETION_TOO_RECENT"),
        ("$.chairside_validity_seconds", "CollectionStarted", "IDENTITY_CHECK_STALE"),
        ("$.bedside.premedication_seconds_max", "InfusionStarted", "PREMEDICATION_MISSING"),
        ("$.tests[1].min", "ResultReported", "RESULT_OUT_OF_SPECIFICATION"),
        ("$.volume_tolerance", "FillPerformed", "VOLUME_IMBALANCE"),
        ("$.container_tolerance", "FillPerformed", "CONTAINER_IMBALANCE"),
        ("$.yield.ExpansionPerformed.max", "ExpansionPerformed", "YIELD_IMPLAUSIBLE"),
        ("$.dose.max", "DosePlanned", "DOSE_OUT_OF_LIMITS"),
        ("$.temperature_bands[2]", "MaterialReceived", "EXCURSION"),
        ("$.labels_reconciled", "TherapyClosed", "LABELS_NOT_RECONCILED"),
    ],
)
def test_the_first_gate_beyond_a_limit_is_its_own(european: Simulation, path: str, body: str, code: str) -> None:
    """The author sees which act finds it, and what."""
    assert trial(european, path).beyond[0] == (body, code)


def test_a_limit_that_another_one_stops_first_is_shadowed() -> None:
    """An end of infusion later than the time out of frozen storage can never be reached."""
    found = trial(
        simulate(pack_with("budgets.thaw_to_infusion_end_seconds", 7_200)), "$.budgets.thaw_to_infusion_end_seconds"
    )
    assert found.is_shadowed and not found.bites


def test_a_pack_that_no_course_can_meet_shows_where() -> None:
    """Half a minute for an infusion: the standard course itself is found at fault."""
    told = tell_course(Course(pack_with("budgets.infusion_seconds", 30), Pace()))
    assert [(one.body, one.codes) for one in told if one.is_unhappy] == [
        ("InfusionStopped", ("BUDGET_EXCEEDED",)),
        ("TherapyClosed", ("HOLD_OPEN",)),
    ]


def test_simulating_twice_tells_the_same() -> None:
    """Nothing is random, and no clock is read."""
    pack = PolicyPack.parse(sample_pack_bytes(EU))
    assert tell_course(Course(pack, Pace())) == tell_course(Course(pack, Pace()))
