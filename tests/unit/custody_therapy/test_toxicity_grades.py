"""Grades of cytokine release syndrome and neurotoxicity from their criteria, as the ASTCT consensus has them."""

from __future__ import annotations

import itertools

import pytest

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.toxicity import Graded, crs_grade, icans_grade, maximum, stated_and_computed
from cellcustody.ledger.recording.return_entry import treatment_findings
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import return_pb2 as returned

HYPOTENSION = (
    (returned.HYPOTENSION_NONE, 1),
    (returned.HYPOTENSION_WITHOUT_VASOPRESSOR, 2),
    (returned.HYPOTENSION_ONE_VASOPRESSOR, 3),
    (returned.HYPOTENSION_MULTIPLE_VASOPRESSORS, 4),
)
HYPOXIA = (
    (returned.HYPOXIA_NONE, 1),
    (returned.HYPOXIA_LOW_FLOW, 2),
    (returned.HYPOXIA_HIGH_FLOW, 3),
    (returned.HYPOXIA_POSITIVE_PRESSURE, 4),
)
CRS, ICANS = returned.REACTION_KIND_CRS, returned.REACTION_KIND_ICANS


@pytest.mark.parametrize("fever", [returned.FEVER_PRESENT, returned.FEVER_MASKED])
def test_the_more_severe_of_hypotension_and_hypoxia_decides(fever: returned.Fever.ValueType) -> None:
    """With fever, or where treatment masks it: all sixteen pairs."""
    for (hypotension, by_pressure), (hypoxia, by_oxygen) in itertools.product(HYPOTENSION, HYPOXIA):
        criteria = returned.CrsCriteria(fever=fever, hypotension=hypotension, hypoxia=hypoxia)
        assert crs_grade(criteria) == max(by_pressure, by_oxygen)


def test_without_fever_there_is_no_syndrome() -> None:
    """Whatever else there is has another cause; death of it is grade 5 in any case."""
    severe = returned.CrsCriteria(
        fever=returned.FEVER_NONE,
        hypotension=returned.HYPOTENSION_MULTIPLE_VASOPRESSORS,
        hypoxia=returned.HYPOXIA_NONE,
    )
    assert crs_grade(severe) == 0
    assert crs_grade(returned.CrsCriteria(fatal=True)) == 5


def test_what_was_not_assessed_gives_no_grade() -> None:
    """Unknown is not none."""
    fever, hypotension, hypoxia = returned.FEVER_PRESENT, returned.HYPOTENSION_NONE, returned.HYPOXIA_NONE
    assert crs_grade(returned.CrsCriteria(hypotension=hypotension, hypoxia=hypoxia)) is None
    assert crs_grade(returned.CrsCriteria(fever=fever, hypoxia=hypoxia)) is None
    assert crs_grade(returned.CrsCriteria(fever=fever, hypotension=hypotension)) is None
    assert icans_grade(returned.IcansCriteria()) is None
    assert icans_grade(returned.IcansCriteria(seizure=returned.SEIZURE_NONE)) is None


@pytest.mark.parametrize(
    ("score", "grade"),
    [(10, 0), (9, 1), (7, 1), (6, 2), (3, 2), (2, 3), (0, 3)],
)
def test_the_encephalopathy_score_has_its_bands(score: int, grade: int) -> None:
    """0 in a patient who is awake is grade 3; in whom nobody can arouse, 4."""
    assert icans_grade(returned.IcansCriteria(ice_score=score)) == grade
    unarousable = returned.CONSCIOUSNESS_UNAROUSABLE
    assert icans_grade(returned.IcansCriteria(ice_score=score, consciousness=unarousable)) == 4


@pytest.mark.parametrize(("score", "grade"), [(0, 0), (1, 1), (8, 1), (9, 3)])
def test_children_have_a_score_of_their_own(score: int, grade: int) -> None:
    """CAPD, under twelve years."""
    assert icans_grade(returned.IcansCriteria(capd_score=score)) == grade


@pytest.mark.parametrize(
    ("criteria", "grade"),
    [
        (returned.IcansCriteria(consciousness=returned.CONSCIOUSNESS_ALERT), 0),
        (returned.IcansCriteria(consciousness=returned.CONSCIOUSNESS_AWAKENS_SPONTANEOUSLY), 1),
        (returned.IcansCriteria(consciousness=returned.CONSCIOUSNESS_AWAKENS_TO_VOICE), 2),
        (returned.IcansCriteria(consciousness=returned.CONSCIOUSNESS_AWAKENS_TO_TOUCH), 3),
        (returned.IcansCriteria(consciousness=returned.CONSCIOUSNESS_UNAROUSABLE), 4),
        (returned.IcansCriteria(ice_score=10, seizure=returned.SEIZURE_RESOLVING), 3),
        (returned.IcansCriteria(ice_score=10, seizure=returned.SEIZURE_LIFE_THREATENING), 4),
        (returned.IcansCriteria(ice_score=10, motor_weakness=returned.MOTOR_WEAKNESS_DEEP_FOCAL), 4),
        (returned.IcansCriteria(ice_score=10, cerebral_oedema=returned.CEREBRAL_OEDEMA_FOCAL), 3),
        (returned.IcansCriteria(ice_score=10, cerebral_oedema=returned.CEREBRAL_OEDEMA_DIFFUSE), 4),
        (returned.IcansCriteria(fatal=True), 5),
    ],
)
def test_the_most_severe_event_decides(criteria: returned.IcansCriteria, grade: int) -> None:
    """Each by itself."""
    assert icans_grade(criteria) == grade


# The word of the ledger.


def _graded(grade: int, **criteria: object) -> returned.ToxicityGraded:
    return returned.ToxicityGraded(toxicity=CRS, grade=grade, **criteria)  # type: ignore[arg-type]  # Fields by name.


LOW_FLOW = returned.CrsCriteria(
    fever=returned.FEVER_PRESENT, hypotension=returned.HYPOTENSION_NONE, hypoxia=returned.HYPOXIA_LOW_FLOW
)


def test_the_grade_stated_is_held_against_its_criteria() -> None:
    """A disagreement names grade and criteria; agreement says nothing."""
    numbers = (1, 2, 3)
    assert stated_and_computed(_graded(2, crs=LOW_FLOW)) == (2, 2)
    assert treatment_findings(_graded(2, crs=LOW_FLOW), numbers) == []
    assert treatment_findings(_graded(1, crs=LOW_FLOW), numbers) == [Finding("GRADE_DISAGREES", (1, 2))]


def test_a_grade_without_its_criteria_is_said_to_be() -> None:
    """Those of the other toxicity are none; what is neither has none."""
    assert treatment_findings(_graded(2), (1, 2)) == [Finding("GRADE_NOT_COMPUTABLE", ())]
    other = returned.IcansCriteria(ice_score=5)
    assert treatment_findings(_graded(2, icans=other), (1, 2, 4)) == [Finding("GRADE_NOT_COMPUTABLE", (2,))]
    icans = returned.ToxicityGraded(toxicity=ICANS, grade=2, icans=other)
    assert treatment_findings(icans, (1, 2, 4)) == []


@pytest.mark.parametrize(
    ("body", "is_wrong"),
    [
        (returned.ToxicityGraded(toxicity=CRS, grade=6, crs=LOW_FLOW), True),
        (returned.ToxicityGraded(toxicity=CRS, grade=5, crs=returned.CrsCriteria(fatal=True)), False),
        (returned.ToxicityGraded(toxicity=CRS, crs=returned.CrsCriteria(fever=returned.FEVER_NONE)), False),
        (returned.AdverseEventReported(grade=0), True),
        (returned.AdverseEventReported(grade=5), False),
        (returned.ReactionObserved(grade=6), True),
        (returned.ReactionObserved(grade=1), False),
    ],
)
def test_grades_have_their_range(
    body: returned.ToxicityGraded | returned.AdverseEventReported | returned.ReactionObserved, is_wrong: bool
) -> None:
    """Toxicity 0 to 5, events 1 to 5."""
    found = treatment_findings(body, (1, 2, 3))
    assert [one.code for one in found] == (["GRADE_OUT_OF_RANGE"] if is_wrong else [])


def test_who_acknowledges_a_late_result_says_what_will_be_done() -> None:
    """In words, or by a document of that kind."""
    assert [one.code for one in treatment_findings(returned.ResultAcknowledged(), ())] == ["PLAN_MISSING"]
    assert treatment_findings(returned.ResultAcknowledged(plan="cultures, antibiotics"), ()) == []
    plan = common.Document(sha256=bytes(32), kind="plan")
    assert treatment_findings(returned.ResultAcknowledged(documents=[plan]), ()) == []
    other = common.Document(sha256=bytes(32), kind="letter")
    assert [one.code for one in treatment_findings(returned.ResultAcknowledged(documents=[other]), ())] == [
        "PLAN_MISSING"
    ]


def test_the_highest_grade_is_that_of_the_first_day_it_was_reached() -> None:
    """Whatever the order they came in."""
    given = [
        Graded(CRS, 1, 1, b"a"),
        Graded(CRS, 3, 4, b"b"),
        Graded(CRS, 3, 3, b"c"),
        Graded(CRS, 2, 2, b"d"),
        Graded(ICANS, 4, 5, b"e"),
    ]
    for order in itertools.permutations(given):
        assert maximum(order, CRS) == given[2]
        assert maximum(order, ICANS) == given[4]
    assert maximum([], CRS) is None
