"""Grade cytokine release syndrome and neurotoxicity from their criteria, by the ASTCT consensus.

The rules of this module (Lee et al., Biology of Blood and Marrow Transplantation 2019; 25: 625-638):

* CRS: no fever, no CRS, unless treatment masks it. With fever alone 1; hypotension without vasopressor or low-flow
  oxygen 2; one vasopressor or high-flow oxygen 3; several vasopressors or positive pressure 4; death of it 5. The more
  severe of hypotension and hypoxia decides.
* ICANS: the most severe of ICE score (7-9: 1, 3-6: 2, 0-2: 3, 0 in whom nobody can arouse: 4), consciousness, seizures,
  motor weakness and oedema; death of it 5. Children under twelve have CAPD instead: 1-8: 1, 9 or more: 3.
* What was not assessed is unknown. The grade is that of what was assessed, and None if a decisive criterion is missing:
  fever, hypotension and hypoxia for CRS; a score or consciousness for ICANS.

All of it is clinical: these functions are called with openings, at entry and by readers, and never by the fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cellcustody.v1 import return_pb2 as returned

__all__ = ["GRADE_MAX", "Graded", "crs_grade", "icans_grade", "maximum", "stated_and_computed"]

GRADE_MAX: Final = 5
_ICE_SCORE_MAX: Final = 10
_CAPD_SEVERE_MIN: Final = 9

_BY_HYPOTENSION: Final = {
    returned.HYPOTENSION_NONE: 1,
    returned.HYPOTENSION_WITHOUT_VASOPRESSOR: 2,
    returned.HYPOTENSION_ONE_VASOPRESSOR: 3,
    returned.HYPOTENSION_MULTIPLE_VASOPRESSORS: 4,
}
_BY_HYPOXIA: Final = {
    returned.HYPOXIA_NONE: 1,
    returned.HYPOXIA_LOW_FLOW: 2,
    returned.HYPOXIA_HIGH_FLOW: 3,
    returned.HYPOXIA_POSITIVE_PRESSURE: 4,
}
_BY_CONSCIOUSNESS: Final = {
    returned.CONSCIOUSNESS_ALERT: 0,
    returned.CONSCIOUSNESS_AWAKENS_SPONTANEOUSLY: 1,
    returned.CONSCIOUSNESS_AWAKENS_TO_VOICE: 2,
    returned.CONSCIOUSNESS_AWAKENS_TO_TOUCH: 3,
    returned.CONSCIOUSNESS_UNAROUSABLE: 4,
}
_BY_SEIZURE: Final = {returned.SEIZURE_RESOLVING: 3, returned.SEIZURE_LIFE_THREATENING: 4}
_BY_MOTOR_WEAKNESS: Final = {returned.MOTOR_WEAKNESS_DEEP_FOCAL: 4}
_BY_OEDEMA: Final = {returned.CEREBRAL_OEDEMA_FOCAL: 3, returned.CEREBRAL_OEDEMA_DIFFUSE: 4}


@dataclass(frozen=True, slots=True)
class Graded:
    """A toxicity as graded on a day after the first infusion, day 0; `toxicity` is the contract's ReactionKind."""

    toxicity: int
    grade: int
    day: int
    digest: bytes


def crs_grade(criteria: returned.CrsCriteria) -> int | None:
    """Returns the grade of cytokine release syndrome, 0 to 5, or None if a decisive criterion was not assessed."""
    if criteria.fatal:
        return 5
    if criteria.fever == returned.FEVER_NONE:
        return 0
    if criteria.fever == returned.FEVER_UNSPECIFIED:
        return None
    by_pressure = _BY_HYPOTENSION.get(criteria.hypotension)
    by_oxygen = _BY_HYPOXIA.get(criteria.hypoxia)
    if by_pressure is None or by_oxygen is None:
        return None
    return max(by_pressure, by_oxygen)


def icans_grade(criteria: returned.IcansCriteria) -> int | None:
    """Returns the grade of neurotoxicity, 0 to 5, or None if neither a score nor consciousness was assessed."""
    if criteria.fatal:
        return 5
    by_score = _by_score(criteria)
    by_consciousness = _BY_CONSCIOUSNESS.get(criteria.consciousness)
    if by_score is None and by_consciousness is None:
        return None
    return max(
        by_score or 0,
        by_consciousness or 0,
        _BY_SEIZURE.get(criteria.seizure, 0),
        _BY_MOTOR_WEAKNESS.get(criteria.motor_weakness, 0),
        _BY_OEDEMA.get(criteria.cerebral_oedema, 0),
    )


def _by_score(criteria: returned.IcansCriteria) -> int | None:
    if criteria.HasField("ice_score"):
        score = criteria.ice_score
        if score >= _ICE_SCORE_MAX:
            return 0
        return 1 if score >= 7 else 2 if score >= 3 else 3
    if criteria.HasField("capd_score"):
        score = criteria.capd_score
        return 0 if score == 0 else 1 if score < _CAPD_SEVERE_MIN else 3
    return None


def stated_and_computed(body: returned.ToxicityGraded) -> tuple[int, int | None]:
    """Returns the grade as stated, and as the criteria make it; None if they do not."""
    match body.toxicity:
        case returned.REACTION_KIND_CRS if body.HasField("crs"):
            return body.grade, crs_grade(body.crs)
        case returned.REACTION_KIND_ICANS if body.HasField("icans"):
            return body.grade, icans_grade(body.icans)
        case _:
            return body.grade, None


def maximum(graded: Iterable[Graded], toxicity: int) -> Graded | None:
    """Returns the highest grade of one toxicity and the first day on which it was reached, or None if none was graded.

    Day and digest break ties, so that the answer depends on no order.
    """
    of_kind = [one for one in graded if one.toxicity == toxicity]
    return min(of_kind, key=lambda one: (-one.grade, one.day, one.digest), default=None)
