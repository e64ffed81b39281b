"""Quality's word on a batch: in full, with open items, outside specification; and the plan of the dose."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.batch_state import BatchStatus
from cellcustody.ledger.custody.dose_plans import bags_to_give, is_complete, is_in_turn
from cellcustody.ledger.custody.readiness import reasons
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .packs import case_under, member, pack_with, refused_with, step
from .stories import (
    CELL_LAB,
    CERTIFICATE,
    DAY,
    NURSE,
    OPERATOR,
    OTHER_DIN,
    RELEASE_FOR_INFUSION,
    REVIEWER,
    SECOND_OPERATOR,
    SECOND_REVIEWER,
    START,
    WARD,
    Story,
    case_of,
    material,
    new,
    outcome,
    volume,
)

FAIL = modification.RESULT_OUTCOME_FAIL
RECORD = common.Document(sha256=bytes(32), kind="batch-record")
ALLOWED = member("oos_release", {"allowed": True, "documents": ["risk-evaluation"]})
OUTSIDE = pack_with(ALLOWED)


def _tested(*interim: str, failing: str = "") -> Story:
    story = Story().to_the_product()
    for test in ("identity", "sterility", "viability"):
        story.reports(test, FAIL if test == failing else modification.RESULT_OUTCOME_PASS, interim=test in interim)
    return story


def _release(
    *bags: str,
    certificate: common.Document = CERTIFICATE,
    release_for_infusion: common.Document = RELEASE_FOR_INFUSION,
) -> modification.BatchReleased:
    return modification.BatchReleased(
        batch=material("batch"),
        materials=[material(bag) for bag in bags or ("bag-1",)],
        certificate=certificate,
        release_for_infusion=release_for_infusion,
    )


def _conditional(*tests: str, bags: tuple[str, ...] = ("bag-1",)) -> modification.BatchReleasedConditionally:
    return modification.BatchReleasedConditionally(
        batch=material("batch"),
        materials=[material(bag) for bag in bags],
        certificate=CERTIFICATE,
        release_for_infusion=RELEASE_FOR_INFUSION,
        open_items=[modification.OpenItem(test=test, due_unix_micros=START + 30 * DAY) for test in tests],
    )


# In full.


def test_a_release_names_its_certificates() -> None:
    """The one of analysis is a gate, the one for infusion is shown."""
    none = common.Document()
    assert refused_with(_tested(), _release()) == set()
    assert refused_with(_tested(), _release(certificate=none)) == {"CERTIFICATE_MISSING"}
    assert refused_with(_tested(), _release(release_for_infusion=none)) == {"RELEASE_FOR_INFUSION_MISSING"}


def test_what_was_entered_from_paper_is_attested_to_before_a_release() -> None:
    """By another person; one that was retracted is no longer asked for."""
    paper = common.Circumstances(mode=common.ENTRY_MODE_FROM_PAPER, form="F-1")
    body = quality.ComplaintRecorded(reference="B-1", circumstances=paper)
    story = _tested()
    copied = story.tell(body, OPERATOR)
    assert refused_with(story, _release()) == {"BACK_ENTRY_UNWITNESSED"}
    story.join(copied, OPERATOR)
    assert refused_with(story, _release()) == {"BACK_ENTRY_UNWITNESSED"}
    story.join(copied, SECOND_OPERATOR)
    assert refused_with(story, _release()) == set()

    again = story.tell(body, OPERATOR)
    assert refused_with(story, _release()) == {"BACK_ENTRY_UNWITNESSED"}
    story.tell(quality.StatementRetracted(retracted=again.digest), REVIEWER)
    assert refused_with(story, _release()) == set()


def test_a_batch_is_reviewed_first_where_the_pack_asks_for_it() -> None:
    """By the latest review, and only by an acceptable one."""
    pack = pack_with(step("BatchReviewed", "FormulationPerformed"), step("BatchReleased", "BatchReviewed"))
    story = _tested()
    assert refused_with(story, _release(), pack=pack) == {"BATCH_NOT_REVIEWED"}
    for acceptable, codes in ((True, set()), (False, {"BATCH_NOT_REVIEWED"}), (True, set())):
        body = modification.BatchReviewed(batch=material("batch"), batch_record=RECORD, acceptable=acceptable)
        story.tell(body, REVIEWER)
        assert refused_with(story, _release(), pack=pack) == codes


# With open items.


def test_a_conditional_release_names_what_is_open() -> None:
    """Sterility in the sample pack may be interim, and nothing else."""
    assert refused_with(_tested("sterility"), _conditional("sterility")) == set()
    assert refused_with(_tested("sterility"), _conditional("identity")) == {"OPEN_ITEM_MISSING"}
    assert refused_with(_tested("sterility"), _conditional()) == {"OPEN_ITEM_MISSING"}
    assert refused_with(_tested("identity"), _conditional("identity")) == {"TEST_INTERIM"}
    assert refused_with(_tested("sterility"), _release()) == {"TEST_INTERIM"}
    assert refused_with(Story().to_the_product(), _conditional("sterility")) == {"TEST_NOT_PASSED"}
    assert refused_with(_tested(failing="identity"), _conditional("sterility")) >= {"TEST_NOT_PASSED", "HOLD_OPEN"}


def _releases_conditionally() -> Story:
    story = _tested("sterility")
    released = story.tell(_conditional("sterility"), REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
    story.join(released, SECOND_REVIEWER)
    return story


def test_an_open_item_closes_with_the_final_result() -> None:
    """Not with another interim one, nor with a failing one."""
    story = _releases_conditionally()
    state = story.case().state
    batch = state.batches[material("batch")]
    assert (batch.status, batch.open_items) == (BatchStatus.CONDITIONALLY_RELEASED, {"sterility": START + 30 * DAY})
    assert state.materials[material("bag-1")].is_released
    assert not state.materials[material("bag-2")].is_released
    story.reports("sterility", interim=True)
    assert story.case().state.batches[material("batch")].open_items
    story.reports("sterility")
    assert story.case().state.batches[material("batch")].open_items == {}
    assert refused_with(story, _release()) == set()


def test_a_failing_final_result_leaves_the_item_open() -> None:
    """And holds what was released."""
    story = _releases_conditionally()
    story.reports("sterility", FAIL)
    state = story.case().state
    assert state.batches[material("batch")].open_items
    assert state.holds_on(material("bag-1"))


# Outside specification.


def _document(kind: str) -> common.Document:
    return common.Document(sha256=bytes(32), kind=kind)


def _asks(story: Story, *results: Act, signer: bytes = NURSE, bags: tuple[str, ...] = ("bag-1",)) -> Act:
    return story.tell(
        modification.OutOfSpecificationRequested(
            batch=material("batch"),
            materials=[material(bag) for bag in bags],
            results=[result.digest for result in results],
            grounds="no other way",
        ),
        signer,
        role="physician",
    )


def _answers(story: Story, request: Act, *, acceptable: bool = True, agrees: bool = True) -> tuple[Act, Act, Act]:
    risk = story.tell(
        modification.RiskEvaluated(
            request=request.digest, evaluation=_document("risk-evaluation"), acceptable=acceptable
        ),
        OPERATOR,
    )
    informed = story.tell(
        modification.PatientInformed(request=request.digest, information=_document("information"), agrees=agrees)
    )
    notified = story.tell(
        modification.AuthorityNotified(
            request=request.digest, authority="the authority", notification=_document("notification")
        ),
        OPERATOR,
    )
    return risk, informed, notified


def _outside(
    request: Act, answers: tuple[Act, Act, Act], *, bags: tuple[str, ...] = ("bag-1",)
) -> modification.OutOfSpecificationReleased:
    risk, informed, notified = answers
    return modification.OutOfSpecificationReleased(
        batch=material("batch"),
        materials=[material(bag) for bag in bags],
        certificate=CERTIFICATE,
        release_for_infusion=RELEASE_FOR_INFUSION,
        request=request.digest,
        risk_evaluation=risk.digest,
        patient_information=informed.digest,
        authority_notification=notified.digest,
    )


def _failing() -> tuple[Story, Act]:
    story = _tested(failing="viability")
    return story, story.acts[-1]


def _whole_chain() -> tuple[Story, Act, tuple[Act, Act, Act]]:
    story, result = _failing()
    request = _asks(story, result)
    return story, request, _answers(story, request)


def test_a_chain_of_statements_ends_in_a_release_by_two_persons() -> None:
    """The holds that the accepted results opened fall with it."""
    story, request, answers = _whole_chain()
    for act in (request, *answers):
        assert story.codes(act) == set()
    body = _outside(request, answers)
    assert refused_with(story, body, pack=OUTSIDE) == set()
    assert story.case().state.holds_on(material("bag-1"))
    released = story.tell(body, REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
    story.join(released, SECOND_REVIEWER)
    state = case_under(OUTSIDE, story).state
    assert state.batches[material("batch")].status is BatchStatus.RELEASED_OUT_OF_SPECIFICATION
    assert state.batches[material("batch")].decided_by == released.digest
    assert state.materials[material("bag-1")].is_released
    assert not state.holds_on(material("bag-1"))


def test_two_persons_release_what_is_outside_specification() -> None:
    """The contract's own number; no pack goes below it."""
    story, request, answers = _whole_chain()
    act = story.tell(_outside(request, answers), REVIEWER, is_in_effect=False)
    (waiting,) = [one for one in case_under(OUTSIDE, story).outstanding() if one.digest == act.digest]
    assert waiting.missing == 1


def test_a_pack_that_does_not_allow_it_forbids_it() -> None:
    """Hard: nobody overrides that."""
    story, request, answers = _whole_chain()
    assert refused_with(story, _outside(request, answers)) == {"OUT_OF_SPECIFICATION_NOT_ALLOWED"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.ClearField("risk_evaluation"),
        lambda body: body.ClearField("patient_information"),
        lambda body: body.ClearField("authority_notification"),
        lambda body: setattr(body, "risk_evaluation", body.patient_information),
    ],
)
def test_no_link_of_the_chain_is_left_out(
    spoil: Callable[[modification.OutOfSpecificationReleased], None],
) -> None:
    """Nor stands one for another."""
    story, request, answers = _whole_chain()
    body = _outside(request, answers)
    spoil(body)
    assert "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE" in refused_with(story, body, pack=OUTSIDE)


def test_without_a_request_nothing_is_accepted() -> None:
    """The failing result then stands against the release."""
    story, request, answers = _whole_chain()
    body = _outside(request, answers)
    body.ClearField("request")
    assert refused_with(story, body, pack=OUTSIDE) >= {
        "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE",
        "HOLD_OPEN",
        "TEST_NOT_PASSED",
    }


@pytest.mark.parametrize(("acceptable", "agrees"), [(False, True), (True, False)])
def test_an_answer_against_it_stops_it(acceptable: bool, agrees: bool) -> None:
    """A risk not worth taking, or a patient who does not agree."""
    story, result = _failing()
    request = _asks(story, result)
    answers = _answers(story, request, acceptable=acceptable, agrees=agrees)
    assert "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE" in refused_with(story, _outside(request, answers), pack=OUTSIDE)


def test_the_release_is_of_the_bags_that_were_asked_for() -> None:
    """The other bag was not."""
    story, request, answers = _whole_chain()
    body = _outside(request, answers, bags=("bag-1", "bag-2"))
    assert refused_with(story, body, pack=OUTSIDE) == {"OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE"}


def test_another_failing_result_stands_against_it() -> None:
    """Only those that the physician knew of are accepted."""
    story, request, answers = _whole_chain()
    story.reports("identity", FAIL)
    assert refused_with(story, _outside(request, answers), pack=OUTSIDE) == {"HOLD_OPEN", "TEST_NOT_PASSED"}


def test_another_hold_stands_against_it() -> None:
    """What quality placed is not lifted by a request."""
    story, request, answers = _whole_chain()
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])
    story.tell(quality.HoldPlaced(scope=scope), OPERATOR)
    assert refused_with(story, _outside(request, answers), pack=OUTSIDE) == {"HOLD_OPEN"}


def test_the_documents_that_the_pack_asks_for_are_named() -> None:
    """By their kind, in any of the statements."""
    pack = pack_with(member("oos_release", {"allowed": True, "documents": ["risk-evaluation", "vote"]}))
    story, request, answers = _whole_chain()
    assert refused_with(story, _outside(request, answers), pack=pack) == {"DOCUMENT_MISSING"}


def test_what_is_not_in_the_log_yet_is_waited_for() -> None:
    """The refusal says so, and the same bytes may come again."""
    story, request, answers = _whole_chain()
    body = _outside(request, answers)
    story.acts.remove(answers[0])
    assert "PREDECESSOR_MISSING" in refused_with(story, body, pack=OUTSIDE)


def test_a_request_is_the_treating_sites_about_failing_results() -> None:
    """One that breaks a rule is none to decide on."""
    story, result = _failing()
    assert story.codes(_asks(story, result, signer=OPERATOR)) == {"NOT_TREATING_SITE"}
    assert story.codes(_asks(story)) == {"RESULT_NOT_FAILING"}
    passing = next(act for act in story.acts if isinstance(act.body, modification.ResultReported))
    wrong = _asks(story, passing)
    assert story.codes(wrong) == {"RESULT_NOT_FAILING"}
    assert story.codes(_asks(story, result, bags=())) == {"NO_MATERIAL"}
    assert story.codes(_asks(story, result, bags=("apheresis",))) == {"AFTER_TERMINAL_ACT"}
    story.divides("bag-2", [new("loose", common.MATERIAL_KIND_PRODUCT, 60)])
    assert story.codes(_asks(story, result, bags=("loose",))) == set()
    story.collects("another", day=2, din=OTHER_DIN)
    assert story.codes(_asks(story, result, bags=("another",))) == {"NOT_IN_BATCH"}
    answers = _answers(story, wrong)
    assert "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE" in refused_with(story, _outside(wrong, answers), pack=OUTSIDE)


def test_an_answer_names_its_document_and_the_patient_is_told_at_the_treating_site() -> None:
    """What lacks its document is no answer."""
    story, result = _failing()
    request = _asks(story, result)
    bodies = (
        modification.RiskEvaluated(request=request.digest, acceptable=True),
        modification.AuthorityNotified(request=request.digest, authority="the authority"),
    )
    for body in bodies:
        assert story.codes(story.tell(body, OPERATOR)) == {"DOCUMENT_MISSING"}
    elsewhere = modification.PatientInformed(request=request.digest, information=_document("information"), agrees=True)
    assert story.codes(story.tell(elsewhere, OPERATOR)) == {"NOT_TREATING_SITE"}
    other = modification.RiskEvaluated(request=result.digest, evaluation=_document("risk-evaluation"))
    assert story.codes(story.tell(other, OPERATOR)) == {"OTHER_STATEMENT_NAMED"}


def test_the_chain_comes_together_in_any_order_of_delivery() -> None:
    """Answers wait for the request, and the request for the result."""
    story, request, answers = _whole_chain()
    result = story.case().state.placed[next(iter(request.body.results))]  # type: ignore[union-attr]  # A request.
    told = outcome(story.case())
    supports = story.case().state.specification_supports
    last = (result, request, answers[0], answers[1])
    rest = story.without(*last)
    assert case_of(rest).judged[answers[2].digest].status is Status.AWAITING
    for order in itertools.permutations(last):
        case = case_of([*rest, *order])
        assert outcome(case) == told
        assert case.state.specification_supports == supports


# The plan of the dose.


def _dose(**changed: object) -> dict[str, object]:
    return {
        "unit": "{cells}",
        "min": "150",
        "max": "250",
        "per_kilogram": False,
        "components": [],
        "ratio_tolerance": "0.1",
        **changed,
    }


def _dosed(*doses: tuple[int, str]) -> Story:
    """Two or more bags of product with these doses of these components."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    intermediate = common.MATERIAL_KIND_INTERMEDIATE
    story.performs(modification.ModificationPerformed, ["apheresis"], [new("modified", intermediate, 90)])
    bags = []
    for index, (cells, component) in enumerate(doses, start=1):
        bag = new(f"bag-{index}", common.MATERIAL_KIND_PRODUCT, 90 // len(doses))
        if cells:
            bag.dose.CopyFrom(volume(cells, unit="{cells}"))
        bag.component = component
        bags.append(bag)
    story.divides("modified", bags)
    return story


def _plan(
    *orders: int, total: common.Quantity | None = None, per_kilogram: common.Quantity | None = None
) -> modification.DosePlanned:
    return modification.DosePlanned(
        bags=[
            modification.PlannedBag(material=material(f"bag-{index}"), order=order)
            for index, order in enumerate(orders, start=1)
        ],
        total=total,
        per_kilogram=per_kilogram,
    )


TWO = ((100, ""), (100, ""))


@pytest.mark.parametrize(
    ("doses", "codes"),
    [
        (((100, ""), (100, "")), set()),
        (((75, ""), (75, "")), set()),
        (((75, ""), (74, "")), {"DOSE_OUT_OF_LIMITS"}),
        (((125, ""), (126, "")), {"DOSE_OUT_OF_LIMITS"}),
        (((100, ""), (0, "")), {"DOSE_UNKNOWN"}),
    ],
)
def test_a_planned_dose_lies_within_the_packs_limits(doses: tuple[tuple[int, str], ...], codes: set[str]) -> None:
    """150 to 250 in all, the ends included; unknown is never in range."""
    assert refused_with(_dosed(*doses), _plan(1, 2), pack=pack_with(member("dose", _dose()))) == codes


def test_a_dose_by_weight_is_stated() -> None:
    """And limited as such."""
    pack = pack_with(member("dose", _dose(per_kilogram=True, unit="{cells}/kg", min="1", max="2")))
    story = _dosed(*TWO)
    assert refused_with(story, _plan(1, 2), pack=pack) == {"DOSE_UNKNOWN"}
    for cells, codes in ((2, set()), (3, {"DOSE_OUT_OF_LIMITS"})):
        body = _plan(1, 2, per_kilogram=volume(cells, unit="{cells}/kg"))
        assert refused_with(story, body, pack=pack) == codes


def test_the_total_is_the_sum() -> None:
    """Exactly, in the same unit."""
    story = _dosed(*TWO)
    assert refused_with(story, _plan(1, 2, total=volume(200, unit="{cells}"))) == set()
    assert refused_with(story, _plan(1, 2, total=volume(201, unit="{cells}"))) == {"DOSE_NOT_THE_SUM"}
    assert refused_with(story, _plan(1, 2, total=volume(200))) == {"DOSE_NOT_THE_SUM"}


@pytest.mark.parametrize(
    ("doses", "codes"),
    [
        (((100, "CD4"), (100, "CD8")), set()),
        (((110, "CD4"), (90, "CD8")), set()),
        (((111, "CD4"), (89, "CD8")), {"DOSE_RATIO_WRONG"}),
        (((100, "CD4"), (100, "CD4")), {"DOSE_RATIO_WRONG"}),
        (((100, "CD4"), (100, "")), {"DOSE_RATIO_WRONG"}),
    ],
)
def test_components_are_in_the_packs_ratio(doses: tuple[tuple[int, str], ...], codes: set[str]) -> None:
    """One to one, within a tenth."""
    components = [{"component": "CD4", "parts": 1}, {"component": "CD8", "parts": 1}]
    pack = pack_with(member("dose", _dose(components=components)))
    assert refused_with(_dosed(*doses), _plan(1, 2), pack=pack) == codes


def test_a_plan_names_bags_of_product_that_are_there_each_once() -> None:
    """And at least one."""
    story = _dosed(*TWO)
    assert refused_with(story, modification.DosePlanned()) == {"NO_MATERIAL"}
    assert refused_with(story, _plan(1, 2, 3)) == {"MATERIAL_UNKNOWN"}
    twice = _plan(1)
    twice.bags.add(material=material("bag-1"), order=2)
    assert refused_with(story, twice) == {"BAG_PLANNED_TWICE"}
    used = modification.DosePlanned(bags=[modification.PlannedBag(material=material("modified"), order=1)])
    assert refused_with(story, used) >= {"NOT_A_PRODUCT", "AFTER_TERMINAL_ACT"}


def test_bags_are_given_in_their_turn_until_the_dose_is_complete() -> None:
    """A partly given bag lets the next begin, and leaves the dose open."""
    story = Story().to_the_bedside()
    plan = modification.DosePlanned(
        bags=[
            modification.PlannedBag(material=material("bag-1"), order=1),
            modification.PlannedBag(material=material("bag-2"), order=2),
        ]
    )
    assert is_in_turn(story.case().state, material("bag-2"))
    assert not is_complete(story.case().state)
    story.tell(plan, REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
    state = story.case().state
    assert bags_to_give(state) == (material("bag-1"), material("bag-2"))
    assert is_in_turn(state, material("bag-1"))
    assert not is_in_turn(state, material("bag-2"))
    assert not is_in_turn(state, material("sample"))
    check = story.checks_bedside("bag-1")
    story.stops_infusion("bag-1", story.starts_infusion("bag-1", check))
    state = story.case().state
    assert is_in_turn(state, material("bag-2"))
    assert bags_to_give(state) == (material("bag-2"),)
    story.tell(returned.MaterialDestroyed(material=material("bag-2"), unit=CELL_LAB))
    assert not is_complete(story.case().state)


def test_a_bag_whose_remainder_was_destroyed_was_given_in_its_turn() -> None:
    """The next is in turn after a part was given, and not after none of it was."""
    for given, lets in ((returned.INFUSION_OUTCOME_PARTIAL, True), (returned.INFUSION_OUTCOME_NOT_INFUSED, False)):
        story = Story().to_the_bedside()
        bags = [modification.PlannedBag(material=material(f"bag-{n}"), order=n) for n in (1, 2)]
        story.tell(modification.DosePlanned(bags=bags), REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
        started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
        story.stops_infusion("bag-1", started, given)
        story.tell(returned.MaterialDestroyed(material=material("bag-1"), unit=WARD))
        state = story.case().state
        assert is_in_turn(state, material("bag-2")) is lets
        assert bags_to_give(state) == (material("bag-1"), material("bag-2"))


def test_a_bag_out_of_its_turn_is_found_at_the_infusion_and_before() -> None:
    """Readiness says so too; a bag that the plan does not name is never in turn."""
    for planned in (("bag-2", "bag-1"), ("bag-2",)):
        story = Story().to_the_bedside()
        bags = [
            modification.PlannedBag(material=material(bag), order=order) for order, bag in enumerate(planned, start=1)
        ]
        plan = story.tell(modification.DosePlanned(bags=bags), REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
        state = story.case().state
        assert "BAG_OUT_OF_TURN" in {one.code for one in reasons(state, material("bag-1"), story.now, pack_with())}
        infusion = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
        assert "BAG_OUT_OF_TURN" in story.codes(infusion)
        assert "BAG_OUT_OF_TURN" not in {
            one.code for one in case_of(story.without(plan)).judged[infusion.digest].findings
        }


def test_a_deviation_is_shown_where_it_concerns_what_is_released() -> None:
    """The bag itself, its batch, or the whole therapy; not another bag."""
    for scope, codes in (
        (quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")]), {"DEVIATION_RAISED"}),
        (quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-2")]), set()),
        (quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[material("batch")]), {"DEVIATION_RAISED"}),
        (quality.Scope(kind=quality.SCOPE_KIND_THERAPY), {"DEVIATION_RAISED"}),
    ):
        story = _tested()
        story.tell(quality.DeviationRaised(reference="D-1", scope=scope), OPERATOR)
        assert refused_with(story, _release()) == codes


def test_only_the_holds_of_accepted_results_fall_with_the_release() -> None:
    """Another result's hold goes on standing, whatever was signed."""
    story, request, answers = _whole_chain()
    story.reports("identity", FAIL)
    released = story.tell(_outside(request, answers), REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
    story.join(released, SECOND_REVIEWER)
    (hold,) = story.case().state.holds_on_batch(material("batch"))
    assert hold.statement_digest not in request.body.results  # type: ignore[union-attr]  # A request.


def test_an_interim_result_is_not_enough_outside_specification_either() -> None:
    """What did not fail has passed finally."""
    story = _tested("identity", failing="viability")
    request = _asks(story, story.acts[-1])
    answers = _answers(story, request)
    assert refused_with(story, _outside(request, answers), pack=OUTSIDE) == {"TEST_INTERIM"}


def test_a_planned_bag_that_is_no_more_is_waited_for() -> None:
    """Its making was retracted after the plan."""
    story = Story().to_the_bedside()
    bags = [modification.PlannedBag(material=material(f"bag-{n}"), order=n) for n in (2, 1)]
    story.tell(modification.DosePlanned(bags=bags), REVIEWER, role="quality_reviewer", seen=story.acts[-1:])
    made = next(act for act in story.acts if isinstance(act.body, modification.MaterialDivided))
    story.tell(quality.StatementRetracted(retracted=made.digest), OPERATOR, seen=story.acts[-1:])
    state = story.case().state
    assert material("bag-1") not in state.materials
    assert bags_to_give(state) == (material("bag-1"), material("bag-2"))
    assert not is_in_turn(state, material("bag-2"))
