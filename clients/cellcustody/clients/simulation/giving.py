"""The hospital's part after the release: lymphodepletion, issue, thaw, bedside, infusion, monitoring, follow-up.

Times keep well within both packs: a bag is thawed, checked and given within an hour, and the window between
lymphodepletion and infusion is met.
"""

from __future__ import annotations

from cellcustody.clients.simulation.course import Bag, Batch, Course
from cellcustody.clients.simulation.quantities import DAY, HOUR, MINUTE, document, exact, volume
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import return_pb2 as returned

__all__ = ["follow_up", "give", "prepare"]

_SHARE_PARTIAL = 0.05
_SHARE_CRS = 0.6
_DAYS_MONITORED = (1, 3, 7, 14, 28)  # What is entered; a ward looks daily.
_AGENTS = ("fludarabine", "cyclophosphamide")


def prepare(course: Course) -> None:
    """Gives lymphodepletion, and waits until its window begins."""
    tell, hospital = course.tell, course.hospital
    course.telling.wait(course.dice.between(1, 6) * DAY)
    agents = [
        returned.ConditioningAgent(agent=one, dose=exact(amount, "mg/m2"), days=3)
        for one, amount in zip(_AGENTS, (30, 500), strict=True)
    ]
    begun = tell(hospital.physician, returned.LymphodepletionStarted(unit=course.ward, course=1, agents=agents))
    course.telling.wait(2 * DAY)
    tell(hospital.physician, returned.LymphodepletionStopped(started=begun, completed=True, agents=agents))
    window = course.pack.lymphodepletion_to_infusion
    least = 0 if window is None else window.min_seconds * 1_000_000
    course.telling.wait(least + course.dice.between(3, 40) * HOUR)


def give(course: Course, batch: Batch) -> None:
    """Gives the bags of the dose, one after the other, and ends what is left."""
    given = batch.products[: batch.doses_planned]
    tell, hospital = course.tell, course.hospital
    for order, bag in enumerate(given, 1):
        _give_bag(course, batch, bag, order)
    left = [bag for bag in given if not bag.has_ended]
    course.destroy(*hospital.ward_nurses, course.ward, left)
    spare = batch.products[batch.doses_planned :]
    if spare:
        first, second = hospital.technicians
        course.destroy(first, second, course.cell_lab, spare)
    if course.dice.happens(_SHARE_CRS):
        course.telling.wait(course.dice.between(1, 3) * DAY)
        tell(
            hospital.physician,
            returned.ToxicityGraded(
                toxicity=returned.REACTION_KIND_CRS,
                grade=1,
                crs=returned.CrsCriteria(
                    fever=returned.FEVER_PRESENT,
                    hypotension=returned.HYPOTENSION_NONE,
                    hypoxia=returned.HYPOXIA_NONE,
                ),
                outcome=returned.EVENT_OUTCOME_RESOLVED,
                materials=[bag.material for bag in given],
            ),
        )
        course.telling.count("reactions")


def _give_bag(course: Course, batch: Batch, bag: Bag, order: int) -> None:
    tell, hospital, dice = course.tell, course.hospital, course.dice
    technician = hospital.technicians[0]
    nurse, second = hospital.ward_nurses
    tell(
        technician,
        returned.MaterialIssued(material=bag.material, releaser=course.cell_lab, receiver=course.ward),
        join=nurse,
    )
    tell(
        nurse,
        returned.PremedicationGiven(unit=course.ward, agents=[returned.ConditioningAgent(agent="paracetamol")]),
    )
    tell(
        nurse,
        returned.MaterialThawed(
            material=bag.material,
            unit=course.ward,
            equipment=f"BATH-{hospital.site.stem}",
            intact=True,
            usable_until_unix_micros=course.now + 2 * HOUR,
        ),
    )
    checked = tell(
        nurse,
        returned.BedsideChecked(
            material=bag.material,
            patient_identifiers=course.patient,
            coi_read=course.coi,
            din_read=bag.din,
            patient_present=True,
            expires_read_unix_micros=bag.expires_at,
            release_certificate=document("release-for-infusion", batch.batch),
            rescue_medicines=[
                returned.RescueMedicine(medicine=name, doses=doses)
                for name, doses in sorted(course.pack.bedside.rescue_medicines.items())
            ],
        ),
        join=second,
    )
    started = tell(
        nurse,
        returned.InfusionStarted(material=bag.material, unit=course.ward, bedside_check=checked, bag_order=order),
    )
    course.first_infusion = course.first_infusion or course.now
    course.telling.wait(dice.between(8, 18) * MINUTE)
    is_partial = dice.happens(_SHARE_PARTIAL)
    stopped = returned.InfusionStopped(
        material=bag.material,
        started=started,
        outcome=returned.INFUSION_OUTCOME_PARTIAL if is_partial else returned.INFUSION_OUTCOME_COMPLETE,
        given=volume(50 if is_partial else 65),
        stop_reason="the line was blocked" if is_partial else "",
    )
    if is_partial:
        stopped.remainder.CopyFrom(volume(15))
    tell(nurse, stopped)
    if is_partial:
        course.telling.count("remainders")
    else:
        bag.has_ended = True


def follow_up(course: Course) -> None:
    """Looks after the patient for the pack's days, and at the first visits."""
    hospital, pack, telling = course.hospital, course.pack, course.telling
    monitoring = pack.monitoring
    last = 0 if monitoring is None else monitoring.total_days
    for day in (one for one in _DAYS_MONITORED if one <= last):
        telling.tell(
            hospital.ward_nurses[day % 2],
            returned.PatientMonitored(
                unit=course.ward,
                day=day,
                observations=[
                    common.Measurement(name="temperature", quantity=exact(course.dice.between(36, 38), "Cel"))
                ],
            ),
            at=max(telling.now + MINUTE, course.first_infusion + day * DAY),
        )
    for visit in pack.follow_up:
        if visit.due_after_days > 100:
            break
        telling.tell(
            hospital.physician,
            returned.FollowUpRecorded(
                visit=visit.visit, outcome=returned.FOLLOW_UP_OUTCOME_SEEN, observations="as expected"
            ),
            at=max(telling.now + MINUTE, course.first_infusion + visit.due_after_days * DAY),
        )
