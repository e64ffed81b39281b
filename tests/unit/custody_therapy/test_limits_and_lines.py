"""At a limit itself, a moment beside it, and on which of several lines a finding stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.after_infusion import DueState, late_results, monitoring_days, visits
from cellcustody.ledger.custody.closing import open_matters
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy_members import LymphodepletionWindow
from cellcustody.ledger.custody.process_areas import AreaUse
from cellcustody.ledger.custody.readiness import reasons
from cellcustody.ledger.custody.return_checks import bags_issued, lymphodepletion_codes
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .stories import (
    CELL_LAB,
    CERTIFICATE,
    DAY,
    HOUR,
    MINUTE,
    OPERATOR,
    OTHER_COI,
    OTHER_THERAPY,
    PACK,
    RELEASE_FOR_INFUSION,
    REVIEWER,
    SECOND_MICROS,
    START,
    SUITE,
    THERAPY,
    WARD,
    Story,
    material,
    new,
)

FAIL = modification.RESULT_OUTCOME_FAIL
DEPLETION = PACK.lymphodepletion_to_infusion
assert DEPLETION is not None
assert PACK.monitoring is not None
WINDOW: LymphodepletionWindow = DEPLETION


def _infused(outcome: returned.InfusionOutcome.ValueType = returned.INFUSION_OUTCOME_COMPLETE) -> tuple[Story, int]:
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    story.stops_infusion("bag-1", started, outcome)
    return story, started.occurred_start


# After the infusion.


@pytest.mark.parametrize(
    ("after", "state"),
    [(DAY - 1, DueState.NOT_YET), (DAY, DueState.DUE), (2 * DAY - 1, DueState.DUE), (2 * DAY, DueState.OVERDUE)],
)
def test_a_day_of_monitoring_is_due_from_its_start_to_its_end(after: int, state: DueState) -> None:
    """The end is left out."""
    story, start = _infused()
    assert monitoring_days(story.case().state, PACK, start + after)[1].state is state


@pytest.mark.parametrize(("before", "state"), [(0, DueState.FALLEN_AWAY), (-1, DueState.OVERDUE)])
def test_the_day_that_begins_as_the_patient_dies_falls_away(before: int, state: DueState) -> None:
    """A moment later it had begun."""
    story, start = _infused()
    deceased = returned.FollowUpRecorded(visit="unplanned", outcome=returned.FOLLOW_UP_OUTCOME_DECEASED)
    story.tell(deceased, at=start + 2 * DAY - before)
    assert monitoring_days(story.case().state, PACK, start + 30 * DAY)[2].state is state


@pytest.mark.parametrize(("later", "state"), [(0, DueState.FALLEN_AWAY), (1, DueState.OVERDUE)])
def test_a_visit_falls_away_if_the_patient_died_before_it_closed(later: int, state: DueState) -> None:
    """At its very end too."""
    story, start = _infused()
    deceased = returned.FollowUpRecorded(visit="unplanned", outcome=returned.FOLLOW_UP_OUTCOME_DECEASED)
    story.tell(deceased, at=start + 105 * DAY + later)
    (month,) = (one for one in visits(story.case().state, PACK, start + 200 * DAY) if one.visit == "month 3")
    assert (month.closes_at, month.state) == (start + 105 * DAY, state)


def test_monitoring_counts_from_the_first_infusion_itself() -> None:
    """A look at that very moment is of day 0; one before it is of none."""
    story, start = _infused()
    looked = story.tell(returned.PatientMonitored(unit=WARD, day=0), at=start)
    story.tell(returned.PatientMonitored(unit=WARD), at=start - 1)
    assert monitoring_days(story.case().state, PACK, start)[0].digests == (looked.digest,)


@pytest.mark.parametrize(("before", "count"), [(0, 1), (1, 0)])
def test_a_result_is_late_from_the_start_of_the_infusion(before: int, count: int) -> None:
    """At that very moment it is."""
    story, start = _infused()
    story.now = start - before - 10 * MINUTE
    story.reports("sterility", FAIL)
    assert len(late_results(story.case().state)) == count


def test_a_result_is_late_for_what_was_infused_of_its_batch() -> None:
    """Not for a bag of which nothing was given, nor for a batch of which none was."""
    nothing, _ = _infused(returned.INFUSION_OUTCOME_NOT_INFUSED)
    nothing.reports("sterility", FAIL)
    assert late_results(nothing.case().state) == ()
    other, _ = _infused()
    other.reports("sterility", FAIL, batch="another")
    assert late_results(other.case().state) == ()


def test_the_notice_that_was_acknowledged_counts() -> None:
    """Even if another was sent before it and never answered."""
    story, _ = _infused()
    failed = story.reports("sterility", FAIL)
    first, second = (story.tell(returned.ResultNotified(result=failed.digest, told=WARD), OPERATOR) for _ in range(2))
    (late,) = late_results(story.case().state)
    assert late.notice is not None
    assert late.notice.notified_by == first.digest
    story.tell(returned.ResultAcknowledged(notification=second.digest, unit=WARD))
    (late,) = late_results(story.case().state)
    assert late.notice is not None
    assert (late.notice.notified_by, late.is_acknowledged) == (second.digest, True)


# Readiness, issue, conditioning.


def _reasons(story: Story, now: int, **changed: object) -> set[str]:
    pack = replace(PACK, budgets=replace(PACK.budgets, **changed))  # type: ignore[arg-type]  # Budgets by name.
    return {one.code for one in reasons(story.case().state, material("bag-1"), now, pack)}


@pytest.mark.parametrize(("late", "is_late"), [(0, False), (1, True)])
def test_readiness_ends_a_moment_after_each_limit(late: int, is_late: bool) -> None:
    """After the thaw, out of the cold, and by the label."""
    story = Story().to_the_bedside()
    state = story.case().state
    bag = state.materials[material("bag-1")]
    assert bag.thawed_at is not None
    budget = PACK.thaw_to_infusion_start_seconds
    assert budget is not None
    assert ("BUDGET_EXCEEDED" in _reasons(story, bag.thawed_at + budget * SECOND_MICROS + late)) is is_late

    spent = out_of_cryo_micros(state, material("bag-1"), PACK, story.now)
    assert spent is not None
    seconds = -(-spent // SECOND_MICROS)
    now = story.now + seconds * SECOND_MICROS - spent + late
    assert ("OUT_OF_CRYO_TOO_LONG" in _reasons(story, now, out_of_cryo_seconds=seconds)) is is_late

    assert ("EXPIRED" in _reasons(story, START + 300 * DAY + late)) is is_late


@pytest.mark.parametrize(("late", "found"), [(0, False), (1, True)])
def test_a_bag_is_issued_until_its_last_moment(late: int, found: bool) -> None:
    """The label's."""
    story = Story().to_the_ward()
    story.now = START + 300 * DAY + late - 10 * MINUTE
    assert ("EXPIRED" in story.codes(story.issues("bag-1"))) is found


@pytest.mark.parametrize(
    ("since", "is_infusion", "codes"),
    [
        (WINDOW.min_seconds * SECOND_MICROS, True, ()),
        (WINDOW.min_seconds * SECOND_MICROS - 1, True, ("LYMPHODEPLETION_TOO_RECENT",)),
        (WINDOW.min_seconds * SECOND_MICROS - 1, False, ()),
        (0, False, ()),
        (-1, False, ("LYMPHODEPLETION_MISSING",)),
        (WINDOW.max_seconds * SECOND_MICROS, True, ()),
        (WINDOW.max_seconds * SECOND_MICROS + 1, True, ("LYMPHODEPLETION_LAPSED",)),
    ],
)
def test_lymphodepletion_counts_within_its_window(since: int, is_infusion: bool, codes: tuple[str, ...]) -> None:
    """To the microsecond, from the end of the course."""
    story = Story().to_the_release()
    stopped = story.conditions()
    pack = replace(
        PACK, budgets=replace(PACK.budgets, lymphodepletion_to_infusion=replace(WINDOW, repeat_after_seconds=None))
    )
    at = stopped.occurred_start + since
    assert lymphodepletion_codes(story.case().state, pack, at, is_infusion=is_infusion) == codes


@pytest.mark.parametrize(("since", "codes"), [(0, ()), (1, ("LYMPHODEPLETION_TO_REPEAT",))])
def test_lymphodepletion_is_repeated_after_the_packs_time(since: int, codes: tuple[str, ...]) -> None:
    """Which may lie before the end of the window."""
    story = Story().to_the_release()
    stopped = story.conditions()
    repeated = replace(WINDOW, repeat_after_seconds=WINDOW.min_seconds + 1)
    pack = replace(PACK, budgets=replace(PACK.budgets, lymphodepletion_to_infusion=repeated))
    at = stopped.occurred_start + (WINDOW.min_seconds + 1) * SECOND_MICROS + since
    assert lymphodepletion_codes(story.case().state, pack, at, is_infusion=True) == codes


def test_bags_that_were_issued_count_until_they_are_given() -> None:
    """Not the one that is asked about, and none that is still in the laboratory."""
    story = Story().to_the_ward()
    assert bags_issued(story.case().state) == 0
    story.issues("bag-1")
    assert bags_issued(story.case().state) == 1
    assert bags_issued(story.case().state, material("bag-1")) == 0
    story.issues("bag-2")
    assert (bags_issued(story.case().state), bags_issued(story.case().state, material("bag-1"))) == (2, 1)
    story.thaws("bag-1")
    story.stops_infusion("bag-1", story.starts_infusion("bag-1", story.checks_bedside("bag-1")))
    assert bags_issued(story.case().state) == 1


# Consent and areas.


def test_the_last_word_on_consent_counts() -> None:
    """From its very moment on; of two in one moment the one that stands later in the order."""
    story = Story()
    story.enrols()
    given = story.consents(harvest.CONSENT_SCOPE_INFUSION)
    scope = harvest.CONSENT_SCOPE_INFUSION
    state = story.case().state
    assert [state.consent_in_force(scope, given.occurred_start + by) for by in (-1, 0)] == [False, True]
    assert not state.consent_in_force(harvest.CONSENT_SCOPE_BIOBANK, given.occurred_start)
    withdrawn = story.tell(harvest.ConsentWithdrawn(scopes=[scope]), at=given.occurred_start, seen=[given])
    state = story.case().state
    assert [act.digest for act in story.case().order][-2:] == [given.digest, withdrawn.digest]
    assert not state.consent_in_force(scope, given.occurred_start)


def test_uses_of_an_area_that_touch_share_nothing() -> None:
    """Whichever comes first; the same therapy and another area never do."""
    area, other = b"a" * 32, b"b" * 32
    first, next_one = AreaUse(THERAPY, area, 0, 10), AreaUse(OTHER_THERAPY, area, 10, 20)
    assert not first.shares_with(next_one)
    assert not next_one.shares_with(first)
    overlapping = replace(next_one, start=9)
    assert first.shares_with(overlapping)
    assert overlapping.shares_with(first)
    assert not first.shares_with(replace(overlapping, area=other))
    assert not first.shares_with(replace(overlapping, stream=THERAPY))


# Releases and overrides.


def _release(*names: str) -> modification.BatchReleased:
    return modification.BatchReleased(
        batch=material("batch"),
        materials=[material(name) for name in names],
        certificate=CERTIFICATE,
        release_for_infusion=RELEASE_FOR_INFUSION,
    )


def _tested() -> Story:
    story = Story().to_the_product()
    for test in ("identity", "sterility", "viability"):
        story.reports(test)
    return story


def _refused(story: Story, body: Message, *, now: int | None = None) -> set[str]:
    told = Story(acts=list(story.acts), now=story.now)
    latest = {act.stream: act for act in story.acts}
    act = told.tell(body, REVIEWER, at=now, role="quality_reviewer", is_in_effect=False, seen=latest.values())
    return {one.code for one in story.case().judge_authorisation(act)[0]}


@pytest.mark.parametrize(("late", "codes"), [(0, set()), (1, {"EXPIRED"})])
def test_a_bag_is_released_until_its_last_moment(late: int, codes: set[str]) -> None:
    """The label's."""
    assert _refused(_tested(), _release("bag-1"), now=START + 300 * DAY + late) == codes


@pytest.mark.parametrize(("later", "codes"), [(0, {"OVERRIDE_RUN_OUT"}), (1, set())])
def test_an_override_is_signed_before_it_runs_out(later: int, codes: set[str]) -> None:
    """At its end is too late."""
    story = Story().to_the_plant()
    assert _refused(story, _override(story.now + later), now=story.now) == codes


def _override(until: int) -> quality.GateOverridden:
    return quality.GateOverridden(
        gate="VOLUME_IMBALANCE",
        scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
        valid_until_unix_micros=until,
        circumstances=common.Circumstances(reason="study S-1"),
    )


@pytest.mark.parametrize(("late", "codes"), [(0, {"GATE_OVERRIDDEN"}), (1, {"VOLUME_IMBALANCE"})])
def test_an_override_lets_pass_until_its_end(late: int, codes: set[str]) -> None:
    """At its end it still does."""
    story = Story().to_the_plant()
    until = story.now + HOUR
    story.tell(_override(until), REVIEWER, role="quality_reviewer")
    story.now = until + late - 10 * MINUTE
    divided = story.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    assert story.codes(divided) == codes


@pytest.mark.parametrize(("later", "codes"), [(0, {"OVERRIDDEN_AFTERWARDS"}), (1, set())])
def test_an_override_with_an_earlier_time_heals_nothing_that_is_recorded(later: int, codes: set[str]) -> None:
    """Signed, as it says, when the fact occurred or before; one that says it came after is for what follows."""
    story = Story().to_the_plant()
    divided = story.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    assert story.codes(divided) == {"VOLUME_IMBALANCE"}
    override = _override(divided.occurred_start + HOUR)
    assert _refused(story, override, now=divided.occurred_start + later) - {"UNSEEN_DECISION"} == codes
    override.scope.CopyFrom(quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("another")]))
    assert "OVERRIDDEN_AFTERWARDS" not in _refused(story, override, now=divided.occurred_start)
    override.scope.ids[:] = [material("apheresis")]
    assert "OVERRIDDEN_AFTERWARDS" in _refused(story, override, now=divided.occurred_start)
    override.valid_until_unix_micros = divided.occurred_start - 1
    assert "OVERRIDDEN_AFTERWARDS" not in _refused(story, override, now=divided.occurred_start - HOUR)


# On which line.


def _leaves(story: Story, body: Message, code: str, field: int) -> tuple[int, ...]:
    """Returns the lines of a field for which an authorisation would be refused, from 0."""
    told = Story(acts=list(story.acts), now=story.now)
    latest = {act.stream: act for act in story.acts}
    act: Act = told.tell(body, REVIEWER, role="quality_reviewer", is_in_effect=False, seen=latest.values())
    found, _ = story.case().judge_authorisation(act)
    (finding,) = (one for one in found if one.code == code)
    lines = act.leaves_of(field)
    return tuple(lines.index(leaf) for leaf in finding.leaves)


def test_each_hold_that_is_not_lifted_is_named_by_its_line() -> None:
    """The hold beside it is sound."""
    story = Story().to_the_collection()
    placed = story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY), grounds="wait"))
    withdrawn = story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    broken = story.checks_identity(coi_read=OTHER_COI)
    sound = hold_id(placed.digest, "HOLD_PLACED")
    consent, identity = hold_id(withdrawn.digest, "CONSENT_WITHDRAWN"), hold_id(broken.digest, "IDENTITY_MISMATCH")
    assert _leaves(story, quality.HoldLifted(holds=[sound, bytes(32)]), "HOLD_UNKNOWN", 1) == (1,)
    assert _leaves(story, quality.HoldLifted(holds=[sound, consent]), "CONSENT_MISSING", 1) == (1,)
    assert _leaves(story, quality.HoldLifted(holds=[consent, identity]), "IDENTITY_BROKEN", 1) == (1,)
    check = story.reidentifies()
    restored = quality.IdentityRestored(reidentification=check.digest, holds=[identity, bytes(32), sound])
    assert _leaves(story, restored, "HOLD_UNKNOWN", 2) == (1,)
    assert _leaves(story, restored, "LIFTING_NOT_PERMITTED", 2) == (2,)


def test_each_material_of_which_nothing_is_known_is_named_by_its_line() -> None:
    """The other's custody could be established."""
    story = Story().to_the_collection()
    body = transport.CustodyEstablished(custodian=CELL_LAB, materials=[material("apheresis"), material("nowhere")])
    assert _leaves(story, body, "MATERIAL_UNKNOWN", 3) == (1,)


def test_each_bag_that_is_not_released_is_named_by_its_line() -> None:
    """The first could be."""
    story = _tested()
    for name, code in (("sample", "NOT_A_PRODUCT"), ("nowhere", "MATERIAL_UNKNOWN")):
        assert _leaves(story, _release("bag-1", name), code, 2) == (1,)


# What keeps a therapy open.


def test_what_is_open_is_listed_by_what_it_is() -> None:
    """Samples apart from bags, and what lies packed as well."""
    story = Story().to_the_product()
    assert {(one.code, one.kind) for one in open_matters(story.case().state, PACK)} >= {
        ("SAMPLES_NOT_ENDED", "sample"),
        ("MATERIALS_NOT_ENDED", "bag"),
    }
    packed = Story().to_the_collection()
    packed.opens_consignment(b"\x02" + b"p" * 16, WARD, SUITE, story.acts[0].signer)
    packed.packs("apheresis", b"\x02" + b"p" * 16, WARD, story.acts[0].signer)
    assert ("HANDOFF_OPEN", "packed") in {(one.code, one.kind) for one in open_matters(packed.case().state, PACK)}


def test_an_infusion_that_runs_keeps_a_therapy_open() -> None:
    """Until it is stopped."""
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    running = ("INFUSION_NOT_STOPPED", "infusion", started.digest.hex())

    def listed() -> set[tuple[str, str, str]]:
        return {(one.code, one.kind, one.id) for one in open_matters(story.case().state, PACK)}

    assert running in listed()
    story.stops_infusion("bag-1", started)
    assert running not in listed()


def test_time_out_of_the_cold_ends_as_the_store_is_reached() -> None:
    """A handling at the very moment asked about counts; one after it does not."""
    story = Story().to_the_ward()
    received = next(act for act in reversed(story.acts) if act.body_type.endswith("MaterialReceived"))
    state = story.case().state
    assert out_of_cryo_micros(state, material("bag-2"), PACK, received.occurred_start) == 0
    assert out_of_cryo_micros(state, material("bag-2"), PACK, received.occurred_start + HOUR) == HOUR
