"""The standard course itself: who does what when, from enrolment to the closed therapy.

The rules of this module:

* It does what the pack asks for (screening, slot, kit, labels, review, plan of the dose, follow-up) and no more.
* Results lie in the middle of their limits, yields in the middle of their bands, the dose at its least, unless the
  pace says otherwise.
* The infusion is the fixed point of the last day: issue, thaw and bedside check are told backwards from it.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.custody.policy_course import (
    COI,
    COURIER,
    DAY,
    DIN,
    HOSPITAL,
    HOUR,
    LABORATORY,
    MICROS,
    MINUTE,
    PLANT,
    RETURN,
    Course,
    Told,
)
from cellcustody.ledger.custody.policy_story_pieces import (
    APHERESIS,
    BAG,
    CELL_LAB,
    FILE,
    SUITE,
    WARD,
    celsius,
    end_freezing,
    in_millilitres,
    label_bags,
    material_of,
    new_material,
    travel,
)
from cellcustody.ledger.custody.policy_story_plant import decide, manufacture, to_the_plant
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["BAG", "tell_course"]

SERIALS: Final = ("L-1", "L-2")
_SCOPES: Final = tuple(one for one in harvest.ConsentScope.values() if one)
_CONSENT_FORM: Final = common.Document(sha256=FILE.sha256, kind="consent-form")


def tell_course(course: Course) -> tuple[Told, ...]:
    """Tells the whole course, or as far as its pace goes; returns what the rules say of each act."""
    _enrolment(course)
    _collection(course)
    if course.pace.freezes_collection:
        return course.outcome()
    to_the_plant(course)
    manufacture(course)
    decide(course)
    _back(course)
    _infusion(course)
    _after(course)
    return course.outcome()


def _enrolment(course: Course) -> None:
    pack = course.pack
    course.tell(
        harvest.TherapyEnrolled(
            aliases=[common.Alias(scheme="isbt128-coi", value=COI)],
            product=pack.product,
            jurisdiction=pack.jurisdiction,
            policy_digest=pack.digest,
            treating_unit=WARD,
            participants=[PLANT, COURIER, LABORATORY],
            custodian_of_record=HOSPITAL,
        ),
        "physician",
        HOSPITAL,
    )
    course.tell(
        harvest.ConsentRecorded(scopes=_SCOPES, form_version="1", documents=[_CONSENT_FORM]), "physician", HOSPITAL
    )
    markers = sorted(pack.eligibility.markers)
    if markers:
        left_out = course.pace.markers_left_out
        course.tell(
            harvest.DonorScreened(
                sample_taken_at_unix_micros=course.now - course.pace.screening_age_days * DAY * MICROS + HOUR * MICROS,
                markers=[harvest.MarkerTested(marker=one, evaluated=one not in left_out) for one in markers],
                results=[
                    harvest.MarkerResult(marker=one, outcome=harvest.MARKER_OUTCOME_NON_REACTIVE)
                    for one in markers
                    if one not in left_out
                ],
                biohazard=harvest.BIOHAZARD_NOT_EVALUATED if left_out else harvest.BIOHAZARD_NEGATIVE,
                label_reason="not evaluated for infectious substances" if left_out else "",
                laboratory="hospital laboratory",
            ),
            "physician",
            HOSPITAL,
        )


def _collection(course: Course) -> None:
    pack, pace = course.pack, course.pace
    slot = kit = b""
    if pack.slot_required:
        slot = course.tell(
            harvest.SlotReserved(
                slot="slot-1",
                unit=SUITE,
                collect_from_unix_micros=course.now,
                collect_until_unix_micros=course.now + 7 * DAY * MICROS,
            ),
            "operator",
            PLANT,
        )
    if pack.kit_required or pack.labels_reconciled:
        kit = course.tell(
            harvest.KitReceived(
                lot=common.LotUse(lot_number="K-1", kind="kit"),
                kit_serial="kit-1",
                expires_at_unix_micros=course.now + 300 * DAY * MICROS,
                label_serials=SERIALS,
                labels_counted=len(SERIALS),
                unit=APHERESIS,
                intact=True,
            ),
            "nurse",
            HOSPITAL,
        )
    course.tell(
        harvest.IdentityChecked(point=harvest.IDENTITY_POINT_CHAIRSIDE, coi_read=COI),
        "nurse",
        HOSPITAL,
        matches=True,
        join="second nurse",
    )
    checked_at = course.now
    # Whoever relies on a check waits until the second person has joined.
    joined = course.pace.co_signing.get("IdentityChecked", MINUTE) + MINUTE
    started = course.tell(
        harvest.CollectionStarted(day=1, din=DIN, unit=APHERESIS, kit=kit, slot=slot),
        "nurse",
        HOSPITAL,
        at=checked_at + max(pace.chairside, joined) * MICROS,
    )
    course.wait(3 * HOUR)
    course.tell(
        harvest.CollectionCompleted(
            started=started, outputs=[new_material("apheresis", common.MATERIAL_KIND_COLLECTION, 100)], unit=APHERESIS
        ),
        "nurse",
        HOSPITAL,
    )
    course.collected_at = course.now
    label_bags(course, ["apheresis"], SERIALS, APHERESIS, "nurse", HOSPITAL)
    if pace.freezes_collection:
        held = pace.fresh_hold if pace.fresh_hold is not None else HOUR
        begun = course.tell(
            harvest.CryopreservationStarted(
                materials=[material_of("apheresis")], unit=APHERESIS, cryoprotectant=common.LotUse(lot_number="C-1")
            ),
            "nurse",
            HOSPITAL,
            at=course.collected_at + held * MICROS,
        )
        end_freezing(course, begun, ["apheresis"], APHERESIS, "nurse", HOSPITAL)


def _back(course: Course) -> None:
    course.wait(DAY)
    travel(course, RETURN, "product", ["bag-1", "bag-2"], (SUITE, CELL_LAB), ("operator", "nurse"))
    for bag in ("bag-1", "bag-2"):
        course.tell(
            harvest.MaterialStored(
                material=material_of(bag),
                position=common.Position(unit=CELL_LAB, place="tank-2"),
                temperature=celsius(-150),
            ),
            "nurse",
            HOSPITAL,
        )


def _infusion(course: Course) -> None:
    pack, pace = course.pack, course.pace
    window = pack.lymphodepletion_to_infusion
    infusion = course.now + 2 * DAY * MICROS
    if window is not None:
        begun = course.tell(returned.LymphodepletionStarted(unit=WARD, course=1), "physician", HOSPITAL)
        course.wait(3 * DAY)
        course.tell(returned.LymphodepletionStopped(started=begun, completed=True), "physician", HOSPITAL)
        since = pace.lymphodepletion_to_infusion
        infusion = course.now + (window.min_seconds + HOUR if since is None else since) * MICROS
    end = infusion + pace.infusion * MICROS
    thawed = infusion - pace.thaw_to_start * MICROS
    if pace.thaw_to_end is not None:
        thawed = end - pace.thaw_to_end * MICROS
    issued = thawed - (10 * MINUTE + pace.out_of_cryo_more) * MICROS
    issue_joined = pace.co_signing.get("MaterialIssued", MINUTE)
    bag = material_of("bag-1")
    course.tell(
        returned.MaterialIssued(material=bag, releaser=CELL_LAB, receiver=WARD),
        "nurse",
        HOSPITAL,
        at=min(issued, thawed - (issue_joined + MINUTE) * MICROS),
        join="second nurse",
    )
    course.tell(returned.MaterialThawed(material=bag, unit=WARD, intact=True), "nurse", HOSPITAL, at=thawed)
    given = course.case.state.materials.get(bag)
    expires_at = None if given is None else given.label
    if pack.bedside.premedication_seconds_max is not None:
        course.tell(
            returned.PremedicationGiven(unit=WARD, agents=[returned.ConditioningAgent(agent="an agent")]),
            "nurse",
            HOSPITAL,
            at=infusion - pace.premedication * MICROS,
        )
    bedside = pace.bedside_to_start
    body = returned.BedsideChecked(
        material=bag,
        coi_read=COI,
        din_read=DIN,
        patient_present=True,
        release_certificate=FILE,
        rescue_medicines=[
            returned.RescueMedicine(medicine=name, doses=doses)
            for name, doses in sorted(pack.bedside.rescue_medicines.items())
        ],
    )
    if expires_at is not None and expires_at.expires_at is not None:
        body.expires_read_unix_micros = expires_at.expires_at
    check = course.tell(body, "nurse", HOSPITAL, at=infusion - bedside * MICROS, matches=True, join="second nurse")
    started = course.tell(
        returned.InfusionStarted(material=bag, unit=WARD, bedside_check=check, bag_order=1),
        "nurse",
        HOSPITAL,
        at=infusion,
    )
    course.tell(
        returned.InfusionStopped(
            material=bag, started=started, outcome=returned.INFUSION_OUTCOME_COMPLETE, given=in_millilitres(40)
        ),
        "nurse",
        HOSPITAL,
        at=end,
    )


def _after(course: Course) -> None:
    pack = course.pack
    infused = course.now
    course.tell(
        returned.MaterialDestroyed(
            material=material_of("bag-2"), unit=CELL_LAB, method="incineration", certificate=FILE
        ),
        "nurse",
        HOSPITAL,
        join="second nurse",
    )
    for day in range(0 if pack.monitoring is None else pack.monitoring.total_days + 1):
        course.tell(
            returned.PatientMonitored(unit=WARD, day=day), "nurse", HOSPITAL, at=infused + (day * DAY + HOUR) * MICROS
        )
    for visit in pack.follow_up:
        course.tell(
            returned.FollowUpRecorded(visit=visit.visit, outcome=returned.FOLLOW_UP_OUTCOME_SEEN),
            "physician",
            HOSPITAL,
            at=infused + visit.due_after_days * DAY * MICROS,
        )
    course.tell(
        returned.TherapyClosed(kept_until_unix_micros=course.now + 30 * 365 * DAY * MICROS), "physician", HOSPITAL
    )
