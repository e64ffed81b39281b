"""How one simulated therapy goes: attempts until a dose is given or the hope given up, and then its closure.

The rules:

* An attempt is a collection, its way to the plant, a batch, and the way back. Where quality rejects what travelled, or
  the batch fails, a second attempt follows as often as in practice (about half); there is no third.
* Every material ends in an act of its own, and every therapy is closed.
"""

from __future__ import annotations

from cellcustody.clients.simulation import deciding, giving, harvest, making
from cellcustody.clients.simulation.course import Course
from cellcustody.clients.simulation.desks import Desks
from cellcustody.clients.simulation.quantities import DAY, HOUR
from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.clients.simulation.telling import Rates, Telling
from cellcustody.clients.simulation.travel import Leg, travel
from cellcustody.v1 import return_pb2 as returned

__all__ = ["new_telling", "tell_therapy"]

ATTEMPTS_MAX = 2
ENROLMENT_DAYS = 365  # Over which therapies begin.
_SHARE_TRIED_AGAIN = 0.55  # Of 38 failures in one register, 21 were manufactured again.
# The packs' hours allow no more of fresh cells.
_DAYS_OF_COLLECTION = {"EU": (1, 1, 1, 1, 1, 2, 3), "US": (1, 1, 1, 1, 2)}


def tell_therapy(desks: Desks, telling: Telling) -> Course:
    """Tells a whole therapy and returns it; everything is sent when this returns."""
    dice, cast = telling.dice, desks.cast
    hospital = cast.hospitals[dice.between(0, len(cast.hospitals) - 1)]
    pack = cast.packs[hospital.jurisdiction]
    course = Course(telling, hospital, pack, dice.pick(_DAYS_OF_COLLECTION[hospital.jurisdiction]))
    harvest.enrol(course)
    outcome = "given up"
    for attempt in range(1, ATTEMPTS_MAX + 1):
        if attempt > 1 and not dice.happens(_SHARE_TRIED_AGAIN):
            break
        if attempt > 1:
            telling.count("second attempts")
            telling.wait(dice.between(5, 20) * DAY)
        if _attempt(course):
            outcome = "infused"
            break
    _close(course, outcome)
    telling.finish()
    telling.summary.outcomes[outcome] += 1
    return course


def _attempt(course: Course) -> bool:
    cast, hospital = course.cast, course.hospital
    collected = harvest.collect(course)
    outward = Leg(
        collected,
        "collection",
        "fresh",
        course.cell_lab,
        course.suite,
        hospital.technicians[0],
        cast.operators[0],
        (4, 8),
        "COOLER",
    )
    if not travel(course, outward):
        return False
    batch = making.make(course, collected)
    if batch.failed:
        return False
    course.telling.wait(course.dice.between(4, 30) * HOUR)
    back = Leg(
        batch.products,
        "product",
        "frozen",
        course.suite,
        course.cell_lab,
        cast.operators[1],
        hospital.technicians[0],
        (12, 48),
        "DEWAR",
        making.FROZEN_MILLICELSIUS,
    )
    arrived = travel(course, back)
    if not arrived:
        deciding.report_final(course, batch)
        deciding.archive(course, batch)
        return False
    giving.prepare(course)
    is_late = course.dice.happens(0.5)
    if not is_late:
        deciding.report_final(course, batch)
    giving.give(course, batch)
    deciding.report_final(course, batch)
    deciding.archive(course, batch)
    giving.follow_up(course)
    return True


def _close(course: Course, outcome: str) -> None:
    course.telling.wait(2 * DAY)
    course.tell(
        course.hospital.physician,
        returned.TherapyClosed(
            kept_until_unix_micros=course.now + 30 * 365 * DAY,
            closing_reason="treated" if outcome == "infused" else "no product could be given",
        ),
    )


def new_telling(desks: Desks, number: int, seed: int, rates: Rates, begin: int) -> Telling:
    """Returns the telling of the therapy of this number, which the seed decides."""
    dice = Seeded(seed, "therapy", number)
    desks.begin(number, dice.take)
    return Telling(desks, number, dice, rates, begin=begin + dice.between(0, ENROLMENT_DAYS * 24) * HOUR)
