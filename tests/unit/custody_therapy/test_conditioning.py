"""Lymphodepletion and premedication, reconstitution, bags issued at once, time out of the cold, order of the dose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.dose_plans import bags_to_give, is_in_turn
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_members import LymphodepletionWindow
from cellcustody.ledger.custody.references import References
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    CELL_LAB,
    DAY,
    HOUR,
    MINUTE,
    NURSE,
    OPERATOR,
    PACK,
    SECOND_MICROS,
    START,
    SUITE,
    THERAPY,
    WARD,
    Story,
    creators_of,
    folds_of,
    material,
    new,
    volume,
)

WINDOW = LymphodepletionWindow(2 * 86_400, 14 * 86_400, 14 * 86_400)  # The sample pack's.


def codes_under(story: Story, act: Act, pack: PolicyPack) -> set[str]:
    """Returns the codes of the findings on an act under another pack."""
    own = [one for one in story.acts if one.stream == THERAPY]
    case = TherapyCase(THERAPY, pack, own, References(folds_of(story.acts), creators_of(story.acts)))
    return {finding.code for finding in case.judged[act.digest].findings}


# Lymphodepletion.


def _unconditioned() -> Story:
    """Both bags on the ward of a patient who got no lymphodepletion."""
    story = Story().to_the_ward()
    gone = [act for act in story.acts if "Lymphodepletion" in act.body_type]
    story.acts[:] = story.without(*gone)
    return story


def _started_after(seconds: int) -> tuple[Story, Act]:
    """An infusion that starts so many seconds after the end of lymphodepletion."""
    story = _unconditioned()
    story.issues("bag-1")
    story.thaws("bag-1")
    check = story.checks_bedside("bag-1")
    at = story.now + 5 * MINUTE
    story.conditions(started_at=START - 30 * DAY, stopped_at=at - seconds * SECOND_MICROS)
    return story, story.tell(
        returned.InfusionStarted(material=material("bag-1"), unit=WARD, bedside_check=check.digest), at=at
    )


def test_a_bag_is_neither_issued_nor_infused_without_lymphodepletion() -> None:
    """Where the pack asks for it; a course that was broken off, or still runs, is none."""
    story = _unconditioned()
    assert story.codes(story.issues("bag-1")) == {"LYMPHODEPLETION_MISSING"}
    started = story.tell(returned.LymphodepletionStarted(unit=WARD, course=1), at=START - 4 * DAY)
    story.now = START + DAY
    assert story.codes(story.issues("bag-2")) >= {"LYMPHODEPLETION_MISSING"}
    story.tell(returned.LymphodepletionStopped(started=started.digest, completed=False), at=START - 3 * DAY)
    story.now = START + DAY
    story.thaws("bag-1")
    check = story.checks_bedside("bag-1")
    infusion = story.starts_infusion("bag-1", check)
    assert "LYMPHODEPLETION_MISSING" in story.codes(infusion)
    assert "LYMPHODEPLETION_MISSING" not in codes_under(
        story, infusion, replace(PACK, budgets=replace(PACK.budgets, lymphodepletion_to_infusion=None))
    )


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (WINDOW.min_seconds - 1, {"LYMPHODEPLETION_TOO_RECENT"}),
        (WINDOW.min_seconds, set()),
        (WINDOW.max_seconds, set()),
        (WINDOW.max_seconds + 1, {"LYMPHODEPLETION_LAPSED", "LYMPHODEPLETION_TO_REPEAT"}),
    ],
)
def test_an_infusion_starts_within_the_window(seconds: int, found: set[str]) -> None:
    """To the second, at both ends."""
    story, infusion = _started_after(seconds)
    assert {code for code in story.codes(infusion) if code.startswith("LYMPHO")} == found


def test_lapsed_and_to_be_repeated_are_two_things() -> None:
    """A pack may let the first be overridden and not the second."""
    window = replace(WINDOW, max_seconds=10 * 86_400, repeat_after_seconds=12 * 86_400)
    pack = replace(PACK, budgets=replace(PACK.budgets, lymphodepletion_to_infusion=window))
    for days, found in (
        (11, {"LYMPHODEPLETION_LAPSED"}),
        (13, {"LYMPHODEPLETION_LAPSED", "LYMPHODEPLETION_TO_REPEAT"}),
    ):
        story, infusion = _started_after(days * 86_400)
        assert {code for code in codes_under(story, infusion, pack) if code.startswith("LYMPHO")} == found


def test_a_bag_is_issued_before_the_window_begins_but_not_after_it() -> None:
    """The ward may have it ready."""
    early = _unconditioned()
    early.conditions(stopped_at=early.now)
    assert early.codes(early.issues("bag-1")) == set()
    late = _unconditioned()
    late.conditions(started_at=START - 30 * DAY, stopped_at=late.now - 15 * DAY)
    assert late.codes(late.issues("bag-1")) == {"LYMPHODEPLETION_LAPSED", "LYMPHODEPLETION_TO_REPEAT"}


def test_the_last_whole_course_counts() -> None:
    """A repeated one opens a new window."""
    story = _unconditioned()
    story.conditions(started_at=START - 40 * DAY, stopped_at=START - 30 * DAY)
    story.conditions()
    assert story.codes(story.issues("bag-1")) == set()


def test_a_course_stops_once_at_the_site_that_started_it() -> None:
    """And ends before another starts."""
    story = Story()
    story.enrols()
    started = story.tell(returned.LymphodepletionStarted(unit=WARD, course=1))
    again = story.tell(returned.LymphodepletionStarted(unit=WARD, course=2))
    assert story.codes(again) == {"LYMPHODEPLETION_RUNNING"}
    elsewhere = story.tell(returned.LymphodepletionStopped(started=started.digest, completed=True), OPERATOR)
    assert story.codes(elsewhere) == {"SIGNED_FOR_ANOTHER_SITE"}
    twice = story.tell(returned.LymphodepletionStopped(started=started.digest, completed=True))
    assert story.codes(twice) == {"LYMPHODEPLETION_ALREADY_STOPPED"}
    waiting = story.tell(returned.LymphodepletionStopped(started=bytes(32), completed=True))
    assert story.judged(waiting).status is Status.AWAITING


def test_a_stop_waits_with_the_start_that_waits() -> None:
    """Here for the correction that is to put it in place."""
    story = Story()
    story.enrols()
    started = story.tell(returned.LymphodepletionStarted(unit=WARD, course=1, replaces=bytes(32)))
    stopped = story.tell(returned.LymphodepletionStopped(started=started.digest, completed=True))
    assert story.judged(started).status is Status.AWAITING
    assert story.judged(stopped).status is Status.AWAITING


def test_premedication_is_given_shortly_before_where_the_pack_asks() -> None:
    """Half an hour, to the second; the sample pack asks for none."""
    pack = replace(PACK, bedside=replace(PACK.bedside, premedication_seconds_max=1800))
    for before, found in ((30 * MINUTE, set()), (30 * MINUTE + SECOND_MICROS, {"PREMEDICATION_MISSING"})):
        story = Story().to_the_bedside()
        check = story.checks_bedside("bag-1")
        at = story.now + 5 * MINUTE
        story.tell(returned.PremedicationGiven(unit=WARD), at=at - before)
        infusion = story.tell(
            returned.InfusionStarted(material=material("bag-1"), unit=WARD, bedside_check=check.digest), at=at
        )
        assert codes_under(story, infusion, pack) == found
        assert story.codes(infusion) == set()


# One bag at a time.


def test_one_bag_is_out_at_a_time_unless_the_pack_lets_more_be() -> None:
    """The second waits until the first was given, or went back."""
    story = Story().to_the_ward()
    story.issues("bag-1")
    second = story.issues("bag-2")
    assert story.codes(second) == {"TOO_MANY_BAGS_ISSUED"}
    two = replace(PACK, bedside=replace(PACK.bedside, bags_at_once_max=2))
    assert codes_under(story, second, two) == set()


@pytest.mark.parametrize("outcome", [returned.INFUSION_OUTCOME_COMPLETE, returned.INFUSION_OUTCOME_PARTIAL])
def test_a_bag_that_was_given_is_not_out_any_more(outcome: returned.InfusionOutcome.ValueType) -> None:
    """Wholly or in part."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    story.stops_infusion("bag-1", story.starts_infusion("bag-1", check), outcome)
    assert story.codes(story.issues("bag-2")) == set()


def test_a_bag_that_went_back_is_not_out_any_more() -> None:
    """By a transfer between units."""
    story = Story().to_the_ward()
    story.issues("bag-1")
    story.tell(harvest.UnitTransferred(materials=[material("bag-1")], releaser=WARD, receiver=CELL_LAB))
    assert story.codes(story.issues("bag-2")) == set()


def test_bags_are_infused_in_the_order_stated() -> None:
    """Bags with one number in any order; none after one with a greater number."""
    for first, second, found in ((1, 2, set()), (1, 1, set()), (2, 1, {"INFUSION_OUT_OF_ORDER"})):
        story = Story().to_the_bedside()
        check = story.checks_bedside("bag-1")
        started = _starts(story, "bag-1", check, first)
        story.stops_infusion("bag-1", started)
        story.issues("bag-2")
        story.thaws("bag-2")
        again = _starts(story, "bag-2", story.checks_bedside("bag-2"), second)
        assert story.codes(again) == found


def _starts(story: Story, bag: str, check: Act, order: int) -> Act:
    body = returned.InfusionStarted(material=material(bag), unit=WARD, bedside_check=check.digest, bag_order=order)
    return story.tell(body, at=story.now + 5 * MINUTE)


# Reconstitution.


def _reconstitutes(
    story: Story,
    *outputs: common.NewMaterial,
    kind: returned.ReconstitutionKind.ValueType = returned.RECONSTITUTION_KIND_DRAWN,
    left: common.Quantity | None = None,
    lost: common.Quantity | None = None,
    unit: common.Unit = WARD,
    usable_until: int | None = None,
    signer: bytes = NURSE,
) -> Act:
    body = returned.MaterialReconstituted(
        material=material("bag-1"),
        reconstitution=kind,
        unit=unit,
        outputs=outputs,
        left=left,
        lost=lost,
        usable_until_unix_micros=usable_until,
    )
    return story.tell(body, signer, at=story.now + MINUTE)


def _syringe(name: str = "syringe-1", millilitres: int = 30) -> common.NewMaterial:
    return new(name, common.MATERIAL_KIND_PRODUCT, millilitres)


def test_syringes_go_on_under_the_bags_release_issue_and_thaw() -> None:
    """Each is checked and given by itself; the bag is used up."""
    story = Story().to_the_bedside()
    thawed_at = story.case().state.materials[material("bag-1")].thawed_at
    drawn = _reconstitutes(story, _syringe(), _syringe("syringe-2"), usable_until=story.now + 20 * MINUTE)
    assert story.codes(drawn) == set()
    state = story.case().state
    bag, syringe = state.materials[material("bag-1")], state.materials[material("syringe-1")]
    assert bag.life is Life.USED
    assert (syringe.thawed_at, syringe.released_by, syringe.issued_by) == (thawed_at, bag.released_by, bag.issued_by)
    assert syringe.parents == (material("bag-1"),)
    check = story.checks_bedside("syringe-1")
    assert story.codes(check) == set()
    assert story.codes(story.starts_infusion("syringe-1", check)) == set()


def test_what_was_reconstituted_expires_with_its_own_time() -> None:
    """Not with the bag's label; it never lasts longer than that either."""
    story = Story().to_the_bedside()
    _reconstitutes(story, _syringe(), _syringe("syringe-2"), usable_until=story.now + 2 * MINUTE)
    check = story.checks_bedside("syringe-1")
    assert story.codes(check) == {"EXPIRED"}


@pytest.mark.parametrize(
    ("millilitres", "lost", "found"), [(57, None, set()), (56, None, {"VOLUME_IMBALANCE"}), (56, 4, set())]
)
def test_what_is_drawn_balances(millilitres: int, lost: int | None, found: set[str]) -> None:
    """60 mL in the bag, 5 % in the sample pack; washing and diluting change the volume."""
    story = Story().to_the_bedside()
    drawn = _reconstitutes(story, _syringe(millilitres=millilitres), lost=None if lost is None else volume(lost))
    assert story.codes(drawn) == found
    washed = Story().to_the_bedside()
    kind = returned.RECONSTITUTION_KIND_WASHED
    assert washed.codes(_reconstitutes(washed, _syringe(millilitres=millilitres), kind=kind)) == set()


def test_syringes_are_given_in_their_bags_place_in_the_plan() -> None:
    """The next bag is in turn once one of them was begun; the dose is complete when all were given."""
    story = Story().to_the_ward()
    bags = [modification.PlannedBag(material=material(f"bag-{number}"), order=number) for number in (1, 2)]
    story.tell(modification.DosePlanned(bags=bags))
    story.issues("bag-1")
    story.thaws("bag-1")
    _reconstitutes(story, _syringe(), _syringe("syringe-2"))
    state = story.case().state
    assert is_in_turn(state, material("syringe-1"))
    assert not is_in_turn(state, material("bag-2"))
    for name, waiting in (("syringe-1", ["bag-1", "bag-2"]), ("syringe-2", ["bag-2"])):
        check = story.checks_bedside(name)
        started = story.starts_infusion(name, check, after=0)
        assert "BAG_OUT_OF_TURN" not in story.codes(started)
        story.stops_infusion(name, started)
        state = story.case().state
        assert bags_to_give(state) == tuple(material(bag) for bag in waiting)
        assert is_in_turn(state, material("bag-2"))


def test_what_is_drawn_is_known_and_in_one_unit() -> None:
    """A syringe without a volume, one in another unit, and one of more or less than a number are found."""
    unknown = Story().to_the_bedside()
    unmeasured = common.NewMaterial(material=material("syringe-1"), kind=common.MATERIAL_KIND_PRODUCT)
    assert unknown.codes(_reconstitutes(unknown, unmeasured)) == {"QUANTITY_UNKNOWN"}
    other = Story().to_the_bedside()
    in_grams = _syringe(millilitres=60)
    in_grams.quantity.unit = "g"
    assert other.codes(_reconstitutes(other, in_grams)) == {"UNIT_MISMATCH"}
    about = Story().to_the_bedside()
    at_least = _syringe(millilitres=60)
    at_least.quantity.comparator = common.COMPARATOR_AT_LEAST
    assert about.codes(_reconstitutes(about, at_least)) == {"QUANTITY_UNKNOWN"}


def test_a_thawed_bag_is_used_by_the_time_stated_with_its_thaw() -> None:
    """Earlier than its label says; whichever is first counts."""
    for until, found in ((9 * MINUTE, {"EXPIRED"}), (10 * MINUTE, set()), (400 * DAY, set())):
        story = Story().to_the_ward()
        story.issues("bag-1")
        thawed = returned.MaterialThawed(
            material=material("bag-1"), unit=WARD, intact=True, usable_until_unix_micros=story.now + 10 * MINUTE + until
        )
        story.tell(thawed)
        assert story.codes(story.checks_bedside("bag-1")) == found


def test_only_product_is_reconstituted() -> None:
    """Collected cells are worked on by manufacture."""
    story = Story().to_the_plant()
    story.tell(returned.MaterialThawed(material=material("apheresis"), unit=SUITE, intact=True), OPERATOR)
    body = returned.MaterialReconstituted(
        material=material("apheresis"),
        reconstitution=returned.RECONSTITUTION_KIND_DILUTED,
        unit=SUITE,
        left=volume(200),
    )
    assert "NOT_A_PRODUCT" in story.codes(story.tell(body, OPERATOR))


def test_a_bag_diluted_in_place_stays_the_bag() -> None:
    """With another volume."""
    story = Story().to_the_bedside()
    diluted = _reconstitutes(story, kind=returned.RECONSTITUTION_KIND_DILUTED, left=volume(120))
    assert story.codes(diluted) == set()
    bag = story.case().state.materials[material("bag-1")]
    assert bag.life is Life.AVAILABLE
    assert bag.quantity is not None
    assert bag.quantity.value == 120


def test_only_a_thawed_released_bag_free_of_holds_is_reconstituted_by_whom_it_is_with() -> None:
    """Each is found by itself; what was done was done."""
    frozen = Story().to_the_ward()
    frozen.issues("bag-1")
    assert frozen.codes(_reconstitutes(frozen, _syringe(millilitres=60))) == {"NOT_THAWED"}
    elsewhere = Story().to_the_bedside()
    by_plant = _reconstitutes(elsewhere, _syringe(millilitres=60), unit=SUITE, signer=OPERATOR)
    assert elsewhere.codes(by_plant) == {"NOT_CUSTODIAN"}
    assert elsewhere.case().state.materials[material("syringe-1")].life is Life.AVAILABLE
    unsaid = Story().to_the_bedside()
    kind = returned.RECONSTITUTION_KIND_UNSPECIFIED
    assert unsaid.codes(_reconstitutes(unsaid, kind=kind)) == {"RECONSTITUTION_NOT_STATED"}
    running = Story().to_the_bedside()
    running.starts_infusion("bag-1", running.checks_bedside("bag-1"))
    assert running.codes(_reconstitutes(running, _syringe(millilitres=60))) == {"INFUSION_RUNNING"}
    collected = Story().to_the_bedside()
    output = new("more", common.MATERIAL_KIND_COLLECTION, 60)
    assert collected.codes(_reconstitutes(collected, output)) == {"OUTPUT_KIND_WRONG"}
    nothing = Story().to_the_bedside()
    assert nothing.codes(_reconstitutes(nothing)) == {"NO_MATERIAL"}


def test_what_is_left_in_the_bag_is_the_bag() -> None:
    """Nothing left is a bag used up, and no volume that cannot be; some left can be drawn from again."""
    for left, life in ((0, Life.USED), (30, Life.AVAILABLE)):
        story = Story().to_the_bedside()
        drawn = _reconstitutes(story, _syringe(millilitres=60 - left), left=volume(left))
        assert story.codes(drawn) == set()
        bag = story.case().state.materials[material("bag-1")]
        assert bag.life is life
        assert bag.quantity is not None
        assert bag.quantity.value == (60 if life is Life.USED else left)


def test_a_bag_diluted_to_a_stated_nothing_is_not_used_up() -> None:
    """No syringe was drawn: the volume is what was said, the bag is there."""
    story = Story().to_the_bedside()
    _reconstitutes(story, kind=returned.RECONSTITUTION_KIND_DILUTED, left=volume(0))
    bag = story.case().state.materials[material("bag-1")]
    assert bag.quantity is not None
    assert bag.life is Life.AVAILABLE
    assert bag.quantity.value == 0


def test_another_bag_may_be_drawn_from_while_one_runs() -> None:
    """And this one once its own infusion has stopped."""
    story = Story().to_the_bedside()
    for bag in ("bag-2",):
        story.issues(bag)
        story.thaws(bag)
    story.starts_infusion("bag-2", story.checks_bedside("bag-2"))
    assert story.codes(_reconstitutes(story, _syringe(millilitres=60))) == set()

    stopped = Story().to_the_bedside()
    started = stopped.starts_infusion("bag-1", stopped.checks_bedside("bag-1"))
    stopped.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_NOT_INFUSED)
    assert "INFUSION_RUNNING" not in stopped.codes(_reconstitutes(stopped, _syringe(millilitres=60)))


def test_a_diluted_bag_is_used_by_the_time_stated_with_it() -> None:
    """Without one it keeps its own."""
    told = []
    for minutes in (None, 2):
        story = Story().to_the_bedside()
        until = None if minutes is None else story.now + minutes * MINUTE
        _reconstitutes(story, kind=returned.RECONSTITUTION_KIND_DILUTED, left=volume(120), usable_until=until)
        told.append(story.codes(story.checks_bedside("bag-1")))
    assert told == [set(), {"EXPIRED"}]


def test_a_sample_drawn_at_the_ward_is_released_for_nobody() -> None:
    """Syringes go on under the bag's release, what is drawn to be tested does not."""
    story = Story().to_the_bedside()
    _reconstitutes(story, _syringe(millilitres=58), new("drawn", common.MATERIAL_KIND_SAMPLE, 2))
    state = story.case().state
    assert state.materials[material("syringe-1")].released_by
    assert not state.materials[material("drawn")].released_by
    assert not state.materials[material("drawn")].issued_by


def test_a_recall_finds_what_a_bag_was_diluted_with() -> None:
    """In the syringes if there are any, else in the bag itself."""
    for outputs, went_into in ((["syringe-1"], ["syringe-1"]), ([], ["bag-1"])):
        story = Story().to_the_bedside()
        story.tell(
            returned.MaterialReconstituted(
                material=material("bag-1"),
                reconstitution=returned.RECONSTITUTION_KIND_DILUTED,
                unit=WARD,
                outputs=[_syringe(one) for one in outputs],
                lots=[common.LotUse(lot_number="SALINE-1", kind="diluent")],
            )
        )
        (used,) = (one for one in story.case().state.lots if one.lot_number == "SALINE-1")
        assert used.outputs == tuple(material(one) for one in went_into)


@pytest.mark.parametrize("intact", [True, False])
def test_a_bag_is_breached_if_its_thaw_says_so(intact: bool) -> None:
    """And stays so."""
    story = Story().to_the_ward()
    story.issues("bag-1")
    story.thaws("bag-1", intact=intact)
    assert story.case().state.materials[material("bag-1")].breached is not intact
    story.thaws("bag-1")
    assert story.case().state.materials[material("bag-1")].breached is not intact


def test_no_end_lies_before_its_beginning() -> None:
    """Of a conditioning, of an infusion; the same moment is none before."""
    for before, found in ((0, set()), (1, {"ENDED_BEFORE_START"})):
        story = Story().to_the_bedside()
        course = story.tell(returned.LymphodepletionStarted(unit=WARD, course=2))
        body: Message = returned.LymphodepletionStopped(started=course.digest, completed=True)
        assert story.codes(story.tell(body, at=course.occurred_start - before)) == found
        started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
        body = returned.InfusionStopped(
            material=material("bag-1"), started=started.digest, outcome=returned.INFUSION_OUTCOME_COMPLETE
        )
        assert story.codes(story.tell(body, at=started.occurred_start - before)) == found


# Time out of the cold.


def _out(story: Story, bag: str = "bag-1", *, at: int | None = None) -> int | None:
    return out_of_cryo_micros(story.case().state, material(bag), PACK, story.now if at is None else at)


def test_time_out_of_the_cold_adds_up_over_the_whole_history() -> None:
    """A move of ten minutes, a packing, and from the taking out to the infusion."""
    story = Story().to_the_product()
    assert _out(story) == 0
    moved = story.tell(
        harvest.MaterialMoved(material=material("bag-1"), position=common.Position(unit=SUITE, place="vapour-2")),
        OPERATOR,
        until=story.now + 25 * MINUTE,
    )
    assert moved.occurred_end is not None
    assert _out(story, at=story.now + 30 * MINUTE) == moved.occurred_end - moved.occurred_start
    story.now += 5 * HOUR
    thawed = story.tell(returned.MaterialThawed(material=material("bag-1"), unit=SUITE, intact=True), OPERATOR)
    assert _out(story, at=thawed.occurred_start + HOUR) == moved.occurred_end - moved.occurred_start + HOUR


@pytest.mark.parametrize(("celsius", "is_known"), [(-120, True), (-119, False)])
def test_only_a_store_within_the_packs_band_is_cold(celsius: int, is_known: bool) -> None:
    """At its very end it is; what was never in one has no known time."""
    story = Story().to_the_product()
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("MaterialStored")]
    assert _out(story) is None
    story.stores("bag-1", SUITE, OPERATOR, celsius=celsius)
    assert (_out(story) is not None) is is_known


def test_the_way_in_a_dry_shipper_is_cold_and_what_follows_is_not() -> None:
    """From the taking out of the container it counts, until the bag is stored again."""
    story = Story().to_the_ward()
    received = next(act for act in reversed(story.acts) if act.body_type.endswith("MaterialReceived"))
    assert _out(story, "bag-2", at=received.occurred_start + 7 * MINUTE) == 7 * MINUTE
    stored = story.stores("bag-2", CELL_LAB, NURSE)
    spent = stored.occurred_start - received.occurred_start
    assert _out(story, "bag-2", at=stored.occurred_start + DAY) == spent


@pytest.mark.parametrize(("extra", "found"), [(0, set()), (SECOND_MICROS, {"OUT_OF_CRYO_TOO_LONG"})])
def test_an_infusion_starts_within_the_time_out_of_the_cold(extra: int, found: set[str]) -> None:
    """Two hours in the sample pack, to the second; the thaw's own time is another."""
    story = Story().to_the_ward("bag-1")
    received = next(act for act in reversed(story.acts) if act.body_type.endswith("MaterialReceived"))
    start = received.occurred_start + 2 * HOUR + extra
    story.now = start - 35 * MINUTE
    story.issues("bag-1")
    story.thaws("bag-1")
    check = story.checks_bedside("bag-1")
    started = story.tell(
        returned.InfusionStarted(material=material("bag-1"), unit=WARD, bedside_check=check.digest), at=start
    )
    assert story.codes(started) == found
    # It goes on until the infusion ends.
    assert "OUT_OF_CRYO_TOO_LONG" in story.codes(story.stops_infusion("bag-1", started))


def test_time_out_of_the_cold_that_nobody_knows_is_said() -> None:
    """Unknown is never in range; it holds nothing up."""
    story = Story().to_the_bedside()
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("MaterialStored")]
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    assert story.codes(started) == {"OUT_OF_CRYO_UNKNOWN"}
    assert story.judged(started).status is Status.CONFORMING


def test_time_goes_on_in_what_was_drawn() -> None:
    """The syringe's history is the bag's and its own."""
    story = Story().to_the_bedside()
    _reconstitutes(story, _syringe(millilitres=60))
    at = story.now + 10 * MINUTE
    assert _out(story, "syringe-1", at=at) == _out(story, "bag-1", at=at)


def test_a_thawed_bag_is_given_by_the_packs_end_from_the_thaw() -> None:
    """An hour in the sample pack, from the end of the thaw to the end of the infusion."""
    pack = replace(PACK, budgets=replace(PACK.budgets, infusion_seconds=None, out_of_cryo_seconds=None))
    for extra, found in ((0, set()), (SECOND_MICROS, {"BUDGET_EXCEEDED"})):
        story = Story().to_the_bedside()
        thawed_at = story.now
        started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
        body: Message = returned.InfusionStopped(
            material=material("bag-1"), started=started.digest, outcome=returned.INFUSION_OUTCOME_COMPLETE
        )
        stopped = story.tell(body, at=thawed_at + HOUR + extra)
        assert codes_under(story, stopped, pack) == found
