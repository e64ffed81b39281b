"""Results against the limits of the pack, repeated, late, and reported by a contract laboratory."""

from __future__ import annotations

import itertools

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.after_infusion import late_results
from cellcustody.ledger.custody.batch_state import ResultVerdict
from cellcustody.ledger.custody.holds import ScopeOfHold
from cellcustody.ledger.custody.policy import ResultPhase
from cellcustody.ledger.custody.therapy_judging import amount_of
from cellcustody.ledger.custody.therapy_rules_results import within
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

from .packs import case_under, codes_under, limit, pack_with
from .stories import HOSPITAL, OPERATOR, PACK, Story, case_of, material, outcome

PASS, FAIL, INVALID = (
    modification.RESULT_OUTCOME_PASS,
    modification.RESULT_OUTCOME_FAIL,
    modification.RESULT_OUTCOME_INVALID,
)
EQUAL = common.COMPARATOR_EQUAL


def _value(mantissa: int, comparator: common.Comparator.ValueType = EQUAL, unit: str = "%") -> common.Quantity:
    return common.Quantity(mantissa=mantissa, unit=unit, comparator=comparator, basis=common.QUANTITY_BASIS_MEASURED)


def _reports(
    story: Story,
    test: str = "viability",
    outcome_: modification.ResultOutcome.ValueType = PASS,
    *,
    value: common.Quantity | None = None,
    phase: modification.ResultPhase.ValueType = modification.RESULT_PHASE_RELEASE,
    method: str = "method 1",
    specification: str = "2",
    repeats: bytes = b"",
    at: int | None = None,
) -> Act:
    body = modification.ResultReported(
        sample=material("sample"),
        batch=material("batch"),
        test=test,
        outcome=outcome_,
        value=value,
        phase=phase,
        method=method,
        specification=specification,
        repeats=repeats,
    )
    return story.tell(body, OPERATOR, at=at)


# Limits.


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        (_value(70), set()),
        (_value(90), set()),
        (_value(69), {"RESULT_OUT_OF_SPECIFICATION"}),
        (None, {"RESULT_VALUE_UNKNOWN"}),
        (_value(90, unit="1"), {"RESULT_VALUE_UNKNOWN"}),
        (_value(90, common.COMPARATOR_AT_LEAST), set()),
        (_value(60, common.COMPARATOR_AT_LEAST), {"RESULT_VALUE_UNKNOWN"}),
        (_value(90, common.COMPARATOR_LESS), {"RESULT_VALUE_UNKNOWN"}),
        (_value(69, common.COMPARATOR_AT_MOST), {"RESULT_OUT_OF_SPECIFICATION"}),
        (_value(70, common.COMPARATOR_AT_MOST), {"RESULT_VALUE_UNKNOWN"}),
    ],
)
def test_a_passing_result_lies_within_the_packs_limits(value: common.Quantity | None, codes: set[str]) -> None:
    """At least 70 % viable; what cannot be told is never in range."""
    story = Story().to_the_product()
    assert story.codes(_reports(story, value=value)) == codes


@pytest.mark.parametrize(
    ("comparator", "mantissa", "expected"),
    [
        (common.COMPARATOR_LESS, 3, True),
        (common.COMPARATOR_LESS, 4, None),
        (common.COMPARATOR_AT_LEAST, 2, None),
        (common.COMPARATOR_GREATER, 4, False),
        (common.COMPARATOR_EQUAL, 3, True),
        (common.COMPARATOR_EQUAL, 4, False),
        (common.COMPARATOR_UNSPECIFIED, 3, None),
    ],
)
def test_a_bound_satisfies_a_limit_on_its_side(
    comparator: common.Comparator.ValueType, mantissa: int, expected: bool | None
) -> None:
    """Less than 3 is at most 3; at least 2 says nothing of it, and more than 4 is not."""
    pack = pack_with(limit("endotoxin", unit="[EU]/mL", max="3"))
    bound = pack.limits_for("endotoxin")
    assert bound is not None
    assert within(bound, amount_of(_value(mantissa, comparator, "[EU]/mL"))) is expected


def test_out_of_specification_fails_whatever_outcome_is_stated() -> None:
    """It holds the batch and counts as a failure, though the laboratory wrote pass."""
    story = Story().to_the_product()
    _reports(story, value=_value(40))
    state = story.case().state
    last = state.batches[material("batch")].last_result("viability")
    assert last is not None
    assert last.verdict is ResultVerdict.FAIL
    (hold,) = state.holds_on(material("bag-1"))
    assert (hold.code, hold.scope) == ("RESULT_OUT_OF_SPECIFICATION", ScopeOfHold.BATCH)


def test_a_failing_result_within_limits_fails() -> None:
    """What the laboratory found is not argued away by a number."""
    story = Story().to_the_product()
    assert story.codes(_reports(story, outcome_=FAIL, value=_value(90))) == {"RESULT_FAILED"}
    assert story.codes(_reports(story, outcome_=FAIL)) >= {"RESULT_FAILED"}


def test_an_invalid_result_says_nothing() -> None:
    """Its value is not looked at."""
    story = Story().to_the_product()
    assert story.codes(_reports(story, outcome_=INVALID, value=_value(1))) == set()


def test_a_result_names_method_and_specification() -> None:
    """Shown, and holding nothing up."""
    for method, specification in (("", "2"), ("method 1", "")):
        story = Story().to_the_product()
        result = _reports(story, "identity", method=method, specification=specification)
        assert story.codes(result) == {"METHOD_NOT_NAMED"}
        assert story.judged(result).status is Status.CONFORMING


def test_a_test_that_the_pack_does_not_have_is_shown() -> None:
    """It may be additional."""
    story = Story().to_the_product()
    result = _reports(story, "colour")
    assert story.codes(result) == {"TEST_NOT_IN_PACK"}
    assert story.judged(result).status is Status.CONFORMING


# Stages.


@pytest.mark.parametrize(
    ("phase", "counts"),
    [
        (modification.RESULT_PHASE_IN_PROCESS, False),
        (modification.RESULT_PHASE_STARTING_MATERIAL, False),
        (modification.RESULT_PHASE_RELEASE, True),
        (modification.RESULT_PHASE_FINAL, True),
        (modification.RESULT_PHASE_UNSPECIFIED, True),
    ],
)
def test_what_steers_manufacture_does_not_count_towards_release(
    phase: modification.ResultPhase.ValueType, counts: bool
) -> None:
    """Nor does it stand in the way of what does."""
    pack = pack_with(
        limit("identity", phases=["release", "in_process", "starting_material"]),
    )
    story = Story().to_the_product()
    _reports(story, "identity", phase=phase)
    state = case_under(pack, story).state
    assert (state.batches[material("batch")].last_result("identity") is not None) == counts


def test_each_stage_has_its_own_limits() -> None:
    """Sixty in process, seventy for release."""
    pack = pack_with(
        lambda members: members["tests"].append(
            {
                "test": "viability",
                "phases": ["in_process"],
                "unit": "%",
                "min": "60",
                "max": None,
                "outcome": None,
                "required": False,
                "conditional": False,
            }
        )
    )
    story = Story().to_the_product()
    in_process = _reports(story, value=_value(65), phase=modification.RESULT_PHASE_IN_PROCESS)
    for_release = _reports(story, value=_value(65))
    assert codes_under(pack, story, in_process) == set()
    assert codes_under(pack, story, for_release) == {"RESULT_OUT_OF_SPECIFICATION"}


def test_a_result_after_the_release_has_the_limits_of_what_comes_late() -> None:
    """Where the pack has no others."""
    pack = pack_with(limit("replication", phases=["late"], required=False, unit="1", max="0", outcome=None))
    story = Story().to_the_product()
    late = _reports(story, "replication", value=_value(1, unit="1"), phase=modification.RESULT_PHASE_FINAL)
    assert codes_under(pack, story, late) == {"RESULT_OUT_OF_SPECIFICATION"}


def test_an_interim_result_is_one_by_either_sign() -> None:
    """The mark of the first contract, and the stage."""
    for body in (
        modification.ResultReported(interim=True),
        modification.ResultReported(phase=modification.RESULT_PHASE_INTERIM),
    ):
        story = Story().to_the_product()
        body.MergeFrom(
            modification.ResultReported(
                sample=material("sample"), batch=material("batch"), test="sterility", outcome=PASS
            )
        )
        story.tell(body, OPERATOR)
        last = story.case().state.batches[material("batch")].last_result("sterility")
        assert last is not None
        assert last.interim
        assert last.phase is ResultPhase.RELEASE


# Repetition.


def test_a_test_is_not_repeated_until_it_passes() -> None:
    """A second result is shown, unless it names the first, or the first was not valid."""
    story = Story().to_the_product()
    first = _reports(story, "identity")
    assert story.codes(_reports(story, "identity")) == {"RESULT_REPEATED"}
    assert story.codes(_reports(story, "identity", repeats=first.digest)) == set()
    assert story.codes(_reports(story, "sterility", repeats=first.digest)) == {"OTHER_STATEMENT_NAMED"}

    invalid = Story().to_the_product()
    _reports(invalid, "identity", INVALID)
    assert invalid.codes(_reports(invalid, "identity")) == set()


def test_a_repetition_waits_for_what_it_repeats() -> None:
    """In any order of delivery the end is the same."""
    story = Story().to_the_product()
    first = _reports(story, "identity", FAIL)
    second = _reports(story, "identity", repeats=first.digest)
    assert case_of(story.without(first)).judged[second.digest].status is Status.AWAITING
    backwards = [*story.without(first, second), second, first]
    assert outcome(case_of(backwards)) == outcome(story.case())


# Late results.


def _infused() -> Story:
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    story.stops_infusion("bag-1", story.starts_infusion("bag-1", check))
    return story


def test_a_failing_result_after_the_infusion_is_late() -> None:
    """It names what was given, and where."""
    story = _infused()
    late = _reports(story, "sterility", FAIL)
    assert "RESULT_FAILED_LATE" in story.codes(late)
    (failure,) = late_results(story.case().state)
    assert (failure.result, failure.test, failure.infused) == (late.digest, "sterility", (material("bag-1"),))
    assert failure.site == HOSPITAL


def test_a_failing_result_before_any_infusion_is_not_late() -> None:
    """Nor a passing one after it."""
    before = Story().to_the_bedside()
    assert "RESULT_FAILED_LATE" not in before.codes(_reports(before, "sterility", FAIL))
    assert late_results(before.case().state) == ()
    after = _infused()
    _reports(after, "sterility")
    assert late_results(after.case().state) == ()


def test_a_bag_that_was_not_given_after_all_makes_no_result_late() -> None:
    """Its infusion was started, and stopped with nothing given."""
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    story.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_NOT_INFUSED)
    assert "RESULT_FAILED_LATE" not in story.codes(_reports(story, "sterility", FAIL))
    assert late_results(story.case().state) == ()


def test_out_of_specification_is_late_too() -> None:
    """Whatever outcome was stated."""
    story = _infused()
    assert "RESULT_FAILED_LATE" in story.codes(_reports(story, value=_value(40)))


def test_a_late_result_is_late_in_whatever_order_it_is_delivered() -> None:
    """The infusion may be in an outbox when the result comes."""
    story = _infused()
    _reports(story, "sterility", FAIL)
    told = outcome(story.case())
    ends = story.acts[-4:]
    for order in itertools.permutations(ends):
        assert outcome(case_of([*story.without(*ends), *order])) == told


# Review.


def test_a_review_names_the_batch_record() -> None:
    """By its digest; one that does not is none."""
    story = Story().to_the_product()
    body = modification.BatchReviewed(batch=material("batch"), acceptable=True)
    assert story.codes(story.tell(body, OPERATOR)) == {"DOCUMENT_MISSING"}
    assert story.case().state.batches[material("batch")].reviews == []
    record = common.Document(sha256=bytes(32), kind="batch-record")
    body = modification.BatchReviewed(batch=material("batch"), acceptable=True, batch_record=record)
    assert story.codes(story.tell(body, OPERATOR)) == set()
    assert [one.acceptable for one in story.case().state.batches[material("batch")].reviews] == [True]
    assert story.codes(story.tell(modification.BatchReviewed(batch=material("x"), batch_record=record), OPERATOR)) == {
        "BATCH_UNKNOWN"
    }


def test_the_sample_pack_limits_what_these_stories_rest_on() -> None:
    """Viability in percent, at least 70."""
    bound = PACK.limits_for("viability")
    assert bound is not None
    assert bound.unit == "%"
    assert bound.least == 70
    assert bound.most is None


def test_a_failing_result_of_another_batch_is_not_late() -> None:
    """Nothing of that batch was given."""
    story = _infused()
    story.accessions(batch="other")
    failed = story.reports("sterility", FAIL, batch="other")
    assert "RESULT_FAILED" in story.codes(failed)
    assert "RESULT_FAILED_LATE" not in story.codes(failed)
