"""The hospital's part before the cells leave: enrolment, consent, screening, slot, kit, collection, labels.

Days of collection follow each other closely, since fresh cells have to reach the plant within the pack's hours from
the first of them.
"""

from __future__ import annotations

from cellcustody.clients.simulation.course import Bag, Course
from cellcustody.clients.simulation.quantities import DAY, HOUR, MINUTE, document, exact, volume
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["collect", "enrol"]

_LABELS_IN_KIT = 3


def enrol(course: Course) -> None:
    """Enrols the therapy, with consent, eligibility and screening."""
    hospital, pack, cast = course.hospital, course.pack, course.cast
    course.tell(
        hospital.physician,
        harvest.TherapyEnrolled(
            aliases=[common.Alias(scheme="isbt128-coi", value=course.coi)],
            patient_identifiers=course.patient,
            product=pack.product,
            jurisdiction=pack.jurisdiction,
            policy_digest=pack.digest,
            treating_unit=course.ward,
            participants=sorted([cast.plant.site, cast.courier.site, cast.laboratory.site]),
            custodian_of_record=hospital.site.site,
            indication="an indication to try out",
        ),
    )
    course.tell(
        hospital.physician,
        harvest.ConsentRecorded(
            scopes=[one for one in harvest.ConsentScope.values() if one],
            form_version="4",
            documents=[document("consent-form", course.telling.number)],
        ),
    )
    course.tell(
        hospital.physician,
        harvest.EligibilityAssessed(
            outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, criteria_version="2", grounds=["by the criteria"]
        ),
    )
    course.telling.wait(course.dice.between(1, 7) * DAY)


def collect(course: Course) -> list[Bag]:
    """Collects cells on one to three days running; returns the bags, in the hospital's cell laboratory."""
    course.attempt += 1
    tell, hospital, pack, cast = course.tell, course.hospital, course.pack, course.cast
    markers = sorted(pack.eligibility.markers)
    tell(
        hospital.physician,
        harvest.DonorScreened(
            sample_taken_at_unix_micros=course.now - DAY,
            markers=[harvest.MarkerTested(marker=one, evaluated=True) for one in markers],
            results=[harvest.MarkerResult(marker=one, outcome=harvest.MARKER_OUTCOME_NON_REACTIVE) for one in markers],
            biohazard=harvest.BIOHAZARD_NEGATIVE,
            laboratory="hospital laboratory",
        ),
    )
    slot = tell(
        cast.operators[0],
        harvest.SlotReserved(
            slot=f"SLOT-{course.telling.number:06d}-{course.attempt}",
            unit=course.suite,
            attempt=course.attempt,
            collect_from_unix_micros=course.now,
            collect_until_unix_micros=course.now + 21 * DAY,
            manufacture_from_unix_micros=course.now + DAY,
        ),
    )
    course.telling.wait(course.dice.between(3, 8) * DAY)
    bags = []
    for day in range(1, course.days + 1):
        began = course.now
        bags.append(_collect_day(course, day, slot))
        if day < course.days:
            course.telling.wait(began + 20 * HOUR - course.now)
    return bags


def _collect_day(course: Course, day: int, slot: bytes) -> Bag:
    tell, hospital, dice = course.tell, course.hospital, course.dice
    nurse, second = hospital.nurses if dice.happens(0.5) else hospital.nurses[::-1]
    stem = f"L{course.telling.number:06d}{course.attempt}{day}"
    serials = [f"{stem}-{index}" for index in range(1, _LABELS_IN_KIT + 1)]
    kit_lot = course.cast.lots["kit"]
    kit = tell(
        nurse,
        harvest.KitReceived(
            lot=kit_lot.use(),
            kit_serial=f"KIT-{stem}",
            expires_at_unix_micros=course.now + 300 * DAY,
            label_serials=serials,
            labels_counted=len(serials),
            unit=course.apheresis,
            intact=True,
        ),
    )
    course.compare(nurse, second, harvest.IDENTITY_POINT_CHAIRSIDE, [])
    din, number = course.next_donation()
    started = tell(
        nurse,
        harvest.CollectionStarted(
            day=day,
            din=din,
            unit=course.apheresis,
            equipment=hospital.apheresis_device,
            attempt=course.attempt,
            kit=kit,
            slot=slot,
            anticoagulant="ACD-A",
        ),
    )
    course.telling.wait(dice.between(150, 240) * MINUTE)
    bag = course.new_bag(common.MATERIAL_KIND_COLLECTION)
    bag.din, bag.number = din, number
    tell(
        nurse,
        harvest.CollectionCompleted(
            started=started,
            outputs=[common.NewMaterial(material=bag.material, kind=bag.kind, quantity=volume(dice.between(90, 140)))],
            unit=course.apheresis,
            measurements=[common.Measurement(name="TNC", quantity=exact(dice.between(50, 120) * 10**8, "{cells}"))],
        ),
    )
    course.label(nurse, second, course.apheresis, [bag], serials, "S0999100")
    technician = hospital.technicians[0]
    tell(
        nurse,
        harvest.UnitTransferred(materials=[bag.material], releaser=course.apheresis, receiver=course.cell_lab),
        join=technician,
    )
    tell(
        technician,
        harvest.FreshHoldStarted(
            materials=[bag.material],
            position=common.Position(unit=course.cell_lab, place=f"fridge-{dice.between(1, 4)}"),
            temperature=exact(4, "Cel"),
        ),
    )
    return bag
