"""Issue, thaw, the check at the bedside, infusion, ends and what follows them."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Comparison, Outcome, Status, UnitRef
from cellcustody.ledger.custody.readiness import reasons
from cellcustody.ledger.custody.references import creates_key
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    CELL_LAB,
    DAY,
    HOSPITAL,
    MATCHING,
    MINUTE,
    MISMATCHING,
    OPERATOR,
    OTHER_COI,
    OTHER_DIN,
    OTHER_THERAPY,
    PACK,
    SECOND_MICROS,
    START,
    SUITE,
    UNREADABLE,
    WARD,
    Story,
    material,
    volume,
)


def _hold(story: Story, name: str = "bag-1") -> Act:
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material(name)])
    return story.tell(quality.HoldPlaced(scope=scope))


def _unreleased() -> Story:
    """Two bags of product in the hospital's cell laboratory that quality has not released."""
    story = Story().to_the_ward()
    released = next(act for act in story.acts if act.body_type.endswith("BatchReleased"))
    story.acts[:] = [act for act in story.acts if released.digest not in (act.digest, act.joins)]
    return story


def _late(story: Story) -> Story:
    story.now += 300 * DAY
    return story


def _destruction(name: str, unit: common.Unit) -> returned.MaterialDestroyed:
    certificate = common.Document(sha256=bytes(32), kind="destruction", media_type="application/pdf")
    return returned.MaterialDestroyed(material=material(name), unit=unit, certificate=certificate)


def _archiving(name: str, unit: common.Unit) -> returned.MaterialArchived:
    return returned.MaterialArchived(
        material=material(name),
        position=common.Position(unit=unit),
        kept_until_unix_micros=START + 30 * 365 * DAY,
    )


# Issue and thaw.


def test_issue_moves_the_bag_to_the_ward_at_once() -> None:
    """The ward's person joins it."""
    story = Story().to_the_ward()
    story.issues("bag-1")
    assert custody_of(story.case().state, material("bag-1"))[0] == UnitRef(HOSPITAL, "ward")


def test_only_released_bags_free_of_holds_and_in_date_are_issued() -> None:
    """Each is found by itself."""
    unreleased = _unreleased()
    assert "NOT_RELEASED" in unreleased.codes(unreleased.issues("bag-1"))

    held = Story().to_the_ward()
    _hold(held)
    assert held.codes(held.issues("bag-1")) == {"HOLD_OPEN"}

    expired = _late(Story().to_the_ward())
    assert "EXPIRED" in expired.codes(expired.issues("bag-1"))


def test_a_bag_is_issued_by_the_unit_that_answers_within_one_site() -> None:
    """The ward has not got it; the plant is another site."""
    story = Story().to_the_ward()
    wrong = story.tell(returned.MaterialIssued(material=material("bag-1"), releaser=WARD, receiver=CELL_LAB))
    assert story.codes(wrong) == {"NOT_CUSTODIAN"}
    story = Story().to_the_ward()
    away = story.tell(returned.MaterialIssued(material=material("bag-2"), releaser=CELL_LAB, receiver=SUITE))
    assert story.codes(away) == {"UNITS_OF_TWO_SITES"}
    assert custody_of(story.case().state, material("bag-2"))[0] == UnitRef(HOSPITAL, "cell-lab")


def test_a_bag_is_thawed_once() -> None:
    """The first thaw counts for its time."""
    story = Story().to_the_bedside()
    first = story.case().state.materials[material("bag-1")].thawed_at
    assert story.codes(story.thaws("bag-1")) == {"ALREADY_THAWED"}
    assert story.case().state.materials[material("bag-1")].thawed_at == first


def test_only_released_products_free_of_holds_and_in_date_are_thawed() -> None:
    """Each is found by itself; cells on their way to manufacture need no release."""
    unreleased = _unreleased()
    unreleased.issues("bag-1")
    assert "NOT_RELEASED" in unreleased.codes(unreleased.thaws("bag-1"))

    held = Story().to_the_ward()
    held.issues("bag-1")
    _hold(held)
    assert held.codes(held.thaws("bag-1")) == {"HOLD_OPEN"}

    expired = Story().to_the_ward()
    expired.issues("bag-1")
    assert expired.codes(_late(expired).thaws("bag-1")) == {"EXPIRED"}

    collection = Story().to_the_plant()
    thawed = collection.tell(returned.MaterialThawed(material=material("apheresis"), unit=SUITE, intact=True), OPERATOR)
    assert collection.codes(thawed) == set()


def test_a_thaw_is_the_custodians() -> None:
    """The ward thaws what was issued to it, and nothing that was not."""
    story = Story().to_the_ward()
    assert story.codes(story.thaws("bag-1")) == {"NOT_CUSTODIAN", "NOT_ISSUED"}


def test_a_bag_breached_at_thaw_is_held() -> None:
    """Its infusion is then found too."""
    story = Story().to_the_ward()
    story.issues("bag-1")
    assert story.codes(story.thaws("bag-1", intact=False)) == {"BAG_BREACHED"}
    check = story.checks_bedside("bag-1")
    assert story.codes(story.starts_infusion("bag-1", check)) == {"HOLD_OPEN"}


def test_a_broken_chain_of_identity_stops_issue_thaw_check_and_infusion() -> None:
    """All four are found."""
    story = Story().to_the_ward()
    story.checks_identity(harvest.IDENTITY_POINT_RECEIPT, coi_read=OTHER_COI, comparisons=())
    assert "IDENTITY_BROKEN" in story.codes(story.issues("bag-1"))
    assert "IDENTITY_BROKEN" in story.codes(story.thaws("bag-1"))
    check = story.checks_bedside("bag-1")
    assert "IDENTITY_BROKEN" in story.codes(check)
    assert "IDENTITY_BROKEN" in story.codes(story.starts_infusion("bag-1", check))


# The bedside.


def test_what_is_read_at_the_bedside_is_the_therapys_and_the_labels() -> None:
    """Another identifier or donation number breaks the chain of identity."""
    for coi_read, din_read in ((OTHER_COI, ""), ("CHA999925000001G", OTHER_DIN)):
        story = Story().to_the_bedside()
        check = story.checks_bedside("bag-1", coi_read=coi_read, din_read=din_read)
        assert "IDENTITY_MISMATCH" in story.codes(check)
        assert story.case().state.identity_broken


def test_the_whole_label_is_read_at_the_bedside() -> None:
    """Neither identifier may be left out if the label bears it."""
    story = Story().to_the_bedside()
    assert story.codes(story.checks_bedside("bag-1", coi_read="")) == {"BAG_NOT_IDENTIFIED"}
    assert story.codes(story.checks_bedside("bag-1", din_read="")) == {"BAG_NOT_IDENTIFIED"}


def test_the_patient_is_there() -> None:
    """A hard gate."""
    story = Story().to_the_bedside()
    assert story.codes(story.checks_bedside("bag-1", patient_present=False)) == {"PATIENT_NOT_PRESENT"}


def test_the_patient_is_compared_at_the_bedside() -> None:
    """Unreadable confirms nobody; a mismatch breaks the chain of identity; nothing compared is nothing checked."""
    for comparisons, breaks in ((UNREADABLE, False), (MISMATCHING, True), ((), False), (MATCHING[:1], False)):
        story = Story().to_the_bedside()
        check = story.checks_bedside("bag-1", comparisons=comparisons)
        assert story.codes(check) == {"IDENTITY_NOT_CHECKED"}
        assert story.case().state.identity_broken is breaks


def test_what_was_never_enrolled_cannot_be_compared_and_does_not_harm() -> None:
    """Two others match."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1", comparisons=(*MATCHING, Comparison(2, Outcome.NOT_COMPARED)))
    assert story.codes(check) == set()


def test_an_expired_bag_is_found_at_the_bedside_and_at_the_start() -> None:
    """Both hard."""
    story = _late(Story().to_the_bedside())
    check = story.checks_bedside("bag-1")
    assert story.codes(check) == {"EXPIRED"}
    assert "EXPIRED" in story.codes(story.starts_infusion("bag-1", check))


def test_a_bag_that_another_site_answers_for_is_found_at_the_bedside() -> None:
    """The plant still has it."""
    story = Story().to_the_release()
    assert story.codes(story.checks_bedside("bag-1")) == {"NOT_CUSTODIAN", "STEP_OUT_OF_ORDER"}


# Infusion.


def test_infusion_names_a_check() -> None:
    """None, or another statement, is no check at the bedside."""
    story = Story().to_the_bedside()
    assert story.codes(story.starts_infusion("bag-1", None)) == {"BEDSIDE_CHECK_MISSING"}

    other = Story().to_the_bedside()
    wrong = other.checks_identity()
    assert other.codes(other.starts_infusion("bag-1", wrong)) == {"BEDSIDE_CHECK_MISSING"}


def test_infusion_waits_for_the_check_it_names() -> None:
    """The tablet's check may be in its outbox."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1", second=None)
    started = story.starts_infusion("bag-1", check)
    story.acts.remove(check)
    assert story.judged(started).status is Status.AWAITING
    assert not story.case().state.infusions


def test_the_check_is_of_that_very_bag() -> None:
    """A check of the other bag is none."""
    story = Story().to_the_bedside()
    story.issues("bag-2")
    other = story.checks_bedside("bag-2")
    assert "BEDSIDE_CHECK_MISSING" in story.codes(story.starts_infusion("bag-1", other))


def test_a_check_that_broke_a_rule_is_no_check() -> None:
    """Even if a second person joined it."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1", patient_present=False)
    assert "BEDSIDE_CHECK_MISSING" in story.codes(story.starts_infusion("bag-1", check))


@pytest.mark.parametrize(("after", "is_too_late"), [(30 * MINUTE, False), (30 * MINUTE + SECOND_MICROS, True)])
def test_a_check_speaks_for_as_long_as_the_pack_says(after: int, is_too_late: bool) -> None:
    """Half an hour in the sample pack, to the second; then it is made again."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    codes = story.codes(story.starts_infusion("bag-1", check, after=after))
    assert ("BEDSIDE_CHECK_MISSING" in codes) is is_too_late


def test_two_persons_stand_at_the_bedside() -> None:
    """One alone is a hard gate on the infusion; it has started all the same."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1", second=None)
    started = story.starts_infusion("bag-1", check)
    assert story.codes(started) == {"SECOND_PERSON_MISSING"}
    assert started.digest in story.case().state.infusions


def test_infusion_needs_release_thaw_and_consent() -> None:
    """Each is found by itself."""
    unreleased = _unreleased()
    unreleased.issues("bag-1")
    unreleased.thaws("bag-1")
    check = unreleased.checks_bedside("bag-1")
    assert "NOT_RELEASED" in unreleased.codes(unreleased.starts_infusion("bag-1", check))

    frozen = Story().to_the_ward()
    frozen.issues("bag-1")
    check = frozen.checks_bedside("bag-1")
    assert frozen.codes(check) == {"STEP_OUT_OF_ORDER"}
    assert "NOT_THAWED" in frozen.codes(frozen.starts_infusion("bag-1", check))

    unwilling = Story().to_the_bedside()
    unwilling.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    check = unwilling.checks_bedside("bag-1")
    assert "CONSENT_MISSING" in unwilling.codes(unwilling.starts_infusion("bag-1", check))


def test_a_thawed_bag_waits_no_longer_than_the_pack_lets_it() -> None:
    """Half an hour in the sample pack."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    assert story.codes(story.starts_infusion("bag-1", check, after=21 * MINUTE)) == {"BUDGET_EXCEEDED"}


def test_an_infusion_is_the_custodians() -> None:
    """A bag never issued to the ward is the cell laboratory's."""
    story = Story().to_the_ward()
    story.tell(returned.MaterialThawed(material=material("bag-1"), unit=CELL_LAB, intact=True))
    check = story.checks_bedside("bag-1")
    assert story.codes(story.starts_infusion("bag-1", check)) >= {"NOT_CUSTODIAN"}


def test_an_infusion_that_runs_is_not_started_again() -> None:
    """Until it is stopped."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    story.starts_infusion("bag-1", check)
    assert story.codes(story.starts_infusion("bag-1", check)) == {"INFUSION_RUNNING"}


def test_a_wrong_bag_infused_is_infused() -> None:
    """Another patient's bag: recorded, held, identity broken; it is never lost."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("strange")
    started = story.starts_infusion("strange", check)
    story.stops_infusion("strange", started)
    case = story.case(creators={creates_key(material("strange")): frozenset((OTHER_THERAPY,))})

    assert "OTHER_PATIENTS_MATERIAL" in {one.code for one in case.judged[started.digest].findings}
    assert case.judged[started.digest].status is Status.NONCONFORMING
    assert case.state.infusions[started.digest].outcome == returned.INFUSION_OUTCOME_COMPLETE
    assert case.state.identity_broken
    assert case.state.foreign_materials[material("strange")] == check.digest


def test_an_infused_bag_has_ended() -> None:
    """No physical act follows; reactions and follow-up may."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.stops_infusion("bag-1", started)
    assert story.codes(story.stops_infusion("bag-1", started)) == {"AFTER_TERMINAL_ACT", "INFUSION_ALREADY_STOPPED"}
    reaction = story.tell(returned.ReactionObserved(materials=[material("bag-1")]))
    follow_up = story.tell(returned.FollowUpRecorded(visit="month 3"))
    assert story.codes(reaction) == set()
    assert story.codes(follow_up) == set()
    assert story.case().state.reactions == [reaction.digest]


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (returned.INFUSION_OUTCOME_PARTIAL, {"ALREADY_INFUSED_FROM"}),
        (returned.INFUSION_OUTCOME_NOT_INFUSED, set()),
    ],
)
def test_a_bag_partly_infused_is_not_infused_from_again(
    outcome: returned.InfusionOutcome.ValueType, found: set[str]
) -> None:
    """One of which nothing was given may be."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.tell(
        returned.InfusionStopped(material=material("bag-1"), started=started.digest, outcome=outcome),
        at=story.now + MINUTE,
    )
    again = story.tell(
        returned.InfusionStarted(material=material("bag-1"), unit=WARD, bedside_check=check.digest),
        at=story.now + MINUTE,
    )
    assert story.codes(again) == found


def test_a_partly_infused_bag_has_a_remainder_to_be_destroyed() -> None:
    """It has not ended yet."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.tell(
        returned.InfusionStopped(
            material=material("bag-1"),
            started=started.digest,
            outcome=returned.INFUSION_OUTCOME_PARTIAL,
            remainder=volume(20),
        )
    )
    bag = story.case().state.materials[material("bag-1")]
    assert bag.life is Life.PARTIALLY_INFUSED
    assert bag.quantity is not None
    assert bag.quantity.value == 20
    destroyed = story.tell(_destruction("bag-1", WARD))
    assert story.codes(destroyed) == set()


def test_a_bag_not_infused_stays_where_it_is() -> None:
    """A stop without a start says so."""
    story = Story().to_the_bedside()
    stopped = story.stops_infusion("bag-1", None, returned.INFUSION_OUTCOME_NOT_INFUSED)
    assert story.codes(stopped) == set()
    assert story.case().state.materials[material("bag-1")].life is Life.AVAILABLE


def test_what_was_infused_without_a_start_is_infused() -> None:
    """And held."""
    story = Story().to_the_bedside()
    stopped = story.stops_infusion("bag-1", None)
    assert story.codes(stopped) == {"INFUSION_NOT_STARTED"}
    assert story.case().state.materials[material("bag-1")].life is Life.INFUSED


def test_a_stop_names_the_start_of_that_bag_at_that_site() -> None:
    """Another bag's start, another statement, or another site's infusion is found."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    assert "OTHER_STATEMENT_NAMED" in story.codes(story.stops_infusion("bag-2", started))
    assert "OTHER_STATEMENT_NAMED" in story.codes(story.stops_infusion("bag-1", check))
    foreign = story.tell(
        returned.InfusionStopped(
            material=material("bag-1"), started=started.digest, outcome=returned.INFUSION_OUTCOME_COMPLETE
        ),
        OPERATOR,
    )
    assert "NOT_CUSTODIAN" in story.codes(foreign)


def test_a_stop_waits_for_its_start_and_states_its_outcome() -> None:
    """Nothing ends before."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    stopped = story.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_UNSPECIFIED)
    assert story.codes(stopped) == {"OUTCOME_MISSING"}
    story.acts.remove(started)
    assert story.judged(stopped).status is Status.AWAITING


def test_one_bag_is_infused_within_the_packs_time() -> None:
    """Half an hour in the sample pack."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.now += 21 * MINUTE
    assert story.codes(story.stops_infusion("bag-1", started)) == {"BUDGET_EXCEEDED"}


# Ends.


def test_ends_are_the_custodians_and_stand_whoever_caused_them() -> None:
    """A bag destroyed by somebody else is destroyed, and the finding says who answered for it."""
    story = Story().to_the_ward()
    destroyed = story.tell(_destruction("bag-1", SUITE), OPERATOR)
    archived = story.tell(_archiving("bag-2", SUITE), OPERATOR)
    state = story.case().state

    assert story.codes(destroyed) == {"NOT_CUSTODIAN"}
    assert story.codes(archived) == {"NOT_CUSTODIAN"}
    assert state.materials[material("bag-1")].life is Life.DESTROYED
    assert state.materials[material("bag-2")].life is Life.ARCHIVED


def test_a_hold_never_stops_destruction() -> None:
    """Nor reactions."""
    story = Story().to_the_ward()
    _hold(story)
    destroyed = story.tell(_destruction("bag-1", CELL_LAB))
    assert story.codes(destroyed) == set()


def _drawn(unit: common.Unit) -> returned.MaterialReconstituted:
    return returned.MaterialReconstituted(
        material=material("bag-1"), reconstitution=returned.RECONSTITUTION_KIND_DILUTED, unit=unit, left=volume(60)
    )


@pytest.mark.parametrize(
    "body",
    [
        returned.MaterialIssued(material=material("bag-1"), releaser=CELL_LAB, receiver=WARD),
        returned.MaterialThawed(material=material("bag-1"), unit=CELL_LAB, intact=True),
        _drawn(CELL_LAB),
        returned.InfusionStarted(material=material("bag-1"), unit=CELL_LAB),
        _destruction("bag-1", CELL_LAB),
        _archiving("bag-1", CELL_LAB),
    ],
)
def test_nobody_works_on_a_bag_in_its_container(body: Message) -> None:
    """It is received first."""
    story = _packed()
    assert "MATERIAL_PACKED" in story.codes(story.tell(body))


def _foreign(*, unit: common.Unit) -> list[Message]:
    """Acts on a bag in the ward's hands that speak for another site's unit."""
    return [
        returned.MaterialIssued(material=material("bag-1"), releaser=unit, receiver=unit),
        returned.MaterialThawed(material=material("bag-1"), unit=unit, intact=True),
        _drawn(unit),
        returned.InfusionStarted(material=material("bag-1"), unit=unit),
        returned.LymphodepletionStarted(unit=unit, course=2),
        returned.PremedicationGiven(unit=unit),
        returned.PatientMonitored(unit=unit),
        _destruction("bag-1", unit),
        _archiving("bag-1", unit),
    ]


@pytest.mark.parametrize("body", _foreign(unit=SUITE), ids=lambda body: body.DESCRIPTOR.name)
def test_a_signer_speaks_for_units_of_the_own_site(body: Message) -> None:
    """Not for the plant's."""
    story = Story().to_the_bedside()
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(story.tell(body))


@pytest.mark.parametrize("body", _foreign(unit=CELL_LAB)[2:4], ids=lambda body: body.DESCRIPTOR.name)
def test_what_is_done_to_a_bag_is_its_custodians(body: Message) -> None:
    """The ward has it, not the cell laboratory."""
    story = Story().to_the_bedside()
    assert "NOT_CUSTODIAN" in story.codes(story.tell(body))


@pytest.mark.parametrize(
    ("name", "found"),
    [("released", "NOT_RELEASED"), ("held", "HOLD_OPEN"), ("expired", "EXPIRED"), ("broken", "IDENTITY_BROKEN")],
)
def test_a_bag_is_reconstituted_only_while_it_may_be_given(name: str, found: str) -> None:
    """Released, free of holds, in date, with the chain of identity whole."""
    if name == "released":
        story = _unreleased()
        story.issues("bag-1")
        story.thaws("bag-1")
    else:
        story = Story().to_the_bedside()
        if name == "held":
            _hold(story)
        elif name == "expired":
            _late(story)
        else:
            story.checks_identity(harvest.IDENTITY_POINT_RECEIPT, coi_read=OTHER_COI, comparisons=())
    assert found in story.codes(story.tell(_drawn(WARD)))


def test_materials_of_a_grade_or_an_event_are_the_therapys() -> None:
    """One that nobody made yet is waited for."""
    story = Story().to_the_bedside()
    for body in (
        returned.ToxicityGraded(materials=[material("nowhere")]),
        returned.AdverseEventReported(materials=[material("nowhere")]),
        returned.ReactionObserved(materials=[material("nowhere")]),
    ):
        assert story.judged(story.tell(body)).status is Status.AWAITING


def test_quantities_below_nothing_are_found() -> None:
    """In what is left, lost or remains."""
    story = Story().to_the_bedside()
    body = _drawn(WARD)
    body.left.mantissa = -1
    assert "QUANTITY_NEGATIVE" in story.codes(story.tell(body))
    stopped = returned.InfusionStopped(
        material=material("bag-1"), outcome=returned.INFUSION_OUTCOME_NOT_INFUSED, remainder=volume(-1)
    )
    assert "QUANTITY_NEGATIVE" in story.codes(story.tell(stopped))


# Readiness.


def _reasons(story: Story, name: str = "bag-1", *, now: int | None = None) -> set[str]:
    state = story.case().state
    return {one.code for one in reasons(state, material(name), story.now if now is None else now, PACK)}


def test_a_thawed_released_bag_on_the_ward_is_ready() -> None:
    """Nothing stands against it."""
    assert _reasons(Story().to_the_bedside()) == set()


def test_every_reason_against_infusing_is_told_at_once() -> None:
    """Not only the first."""
    story = Story().to_the_product()
    _hold(story)
    story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    story.checks_identity(coi_read=OTHER_COI)
    assert _reasons(story, now=story.now + 300 * DAY) == {
        "CONSENT_MISSING",
        "EXPIRED",
        "HOLD_OPEN",
        "IDENTITY_BROKEN",
        "LYMPHODEPLETION_MISSING",
        "NOT_CUSTODIAN",
        "NOT_RELEASED",
        "NOT_THAWED",
    }


def test_readiness_runs_out_after_the_thaw() -> None:
    """The time is passed in."""
    story = Story().to_the_bedside()
    assert _reasons(story, now=story.now + 31 * MINUTE) == {"BUDGET_EXCEEDED"}


def test_what_is_no_bag_to_infuse_is_not_ready() -> None:
    """A sample, a packed bag, an infused bag, an unknown one, and a therapy nobody enrolled."""
    assert "NOT_A_PRODUCT" in _reasons(Story().to_the_product(), "sample")
    assert "MATERIAL_PACKED" in _reasons(_packed())
    assert "AFTER_TERMINAL_ACT" in _reasons(Story().to_the_end())
    assert "MATERIAL_UNKNOWN" in _reasons(Story().to_the_product(), "nowhere")
    assert "THERAPY_UNKNOWN" in _reasons(Story())
    running = Story().to_the_bedside()
    running.starts_infusion("bag-1", running.checks_bedside("bag-1"))
    assert _reasons(running) == {"INFUSION_RUNNING"}


def _packed() -> Story:
    story = Story().to_the_ward()
    received = [act for act in story.acts if act.body_type.endswith("MaterialReceived")][-2:]
    story.acts[:] = story.without(*received)
    return story
