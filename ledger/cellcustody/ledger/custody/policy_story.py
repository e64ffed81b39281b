"""The standard course itself: who does what when, from enrolment to the closed therapy.

The rules of this module:

* It does what the pack asks for (screening, slot, kit, labels, review, plan of the dose, follow-up) and no more.
* Results lie in the middle of their limits, yields in the middle of their bands, the dose at its least, unless the
  pace says otherwise.
* The infusion is the fixed point of the last day: issue, thaw and bedside check are told backwards from it.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Final

from cellcustody.ledger.condition import ACTIVATION_ENERGY_JOULES_PER_MOLE
from cellcustody.ledger.custody.policy import PolicyPack, ResultLimit, ResultPhase
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
    OUTWARD,
    PLANT,
    RETURN,
    Course,
    Told,
    exact,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["BAG", "tell_course"]

APHERESIS = common.Unit(site=HOSPITAL, unit="apheresis")
CELL_LAB = common.Unit(site=HOSPITAL, unit="cell-lab")
WARD = common.Unit(site=HOSPITAL, unit="ward")
VAN = common.Unit(site=COURIER)
SUITE = common.Unit(site=PLANT, unit="suite")
AREA: Final = "isolator-1"
BATCH: Final = hashlib.sha256(b"batch").digest()[:16]
BAG: Final = hashlib.sha256(b"bag-1").digest()[:16]  # The bag that is infused.
SERIALS: Final = ("L-1", "L-2")
PRODUCT_SERIALS: Final = ("P-1", "P-2")
_SCOPES: Final = tuple(one for one in harvest.ConsentScope.values() if one)
_FILE: Final = common.Document(sha256=hashlib.sha256(b"a document").digest(), kind="document")
GRACE_SECONDS: Final = 48 * HOUR  # The logger lets pass what the pack is to judge.
_CONSENT_FORM: Final = common.Document(sha256=_FILE.sha256, kind="consent-form")
_POINTS: Final = {"RECEIPT": harvest.IDENTITY_POINT_RECEIPT, "PROCESS": harvest.IDENTITY_POINT_PROCESS}


def _material(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def _volume(millilitres: Fraction | int) -> common.Quantity:
    return exact(Fraction(millilitres), "mL")


def _new(name: str, kind: common.MaterialKind.ValueType, millilitres: Fraction | int) -> common.NewMaterial:
    return common.NewMaterial(material=_material(name), kind=kind, quantity=_volume(millilitres))


def tell_course(course: Course) -> tuple[Told, ...]:
    """Tells the whole course, or as far as its pace goes; returns what the rules say of each act."""
    _enrolment(course)
    _collection(course)
    if course.pace.freezes_collection:
        return course.outcome()
    _to_the_plant(course)
    _manufacture(course)
    _quality(course)
    _back(course)
    _infusion(course)
    _after(course)
    return course.outcome()


# The hospital.


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
            started=started, outputs=[_new("apheresis", common.MATERIAL_KIND_COLLECTION, 100)], unit=APHERESIS
        ),
        "nurse",
        HOSPITAL,
    )
    course.collected_at = course.now
    _labels(course, ["apheresis"], SERIALS, APHERESIS, "nurse", HOSPITAL)
    if pace.freezes_collection:
        held = pace.fresh_hold if pace.fresh_hold is not None else HOUR
        begun = course.tell(
            harvest.CryopreservationStarted(
                materials=[_material("apheresis")], unit=APHERESIS, cryoprotectant=common.LotUse(lot_number="C-1")
            ),
            "nurse",
            HOSPITAL,
            at=course.collected_at + held * MICROS,
        )
        _frozen(course, begun, ["apheresis"], APHERESIS, "nurse", HOSPITAL)


def _labels(
    course: Course, bags: list[str], serials: tuple[str, ...], unit: common.Unit, person: str, site: bytes
) -> None:
    reconciles = course.pack.labels_reconciled
    expires_at = course.now + 300 * DAY * MICROS
    for bag, serial in zip(bags, serials, strict=False):
        applied = course.tell(
            harvest.LabelApplied(
                material=_material(bag),
                din=DIN,
                coi=COI,
                label_serial=serial if reconciles else "",
                texts=["FOR AUTOLOGOUS USE ONLY"],
                expires_at_unix_micros=expires_at,
            ),
            person,
            site,
        )
        if reconciles or "LABEL" in course.pack.required_identity_checks:
            course.tell(
                labels.LabelReadBack(
                    applied=applied,
                    material=_material(bag),
                    scans=[
                        common.Scan(raw=f"&/{COI[:-1]}", method=common.READ_METHOD_SCANNED),
                        common.Scan(raw=f"={DIN}00", method=common.READ_METHOD_SCANNED),
                    ],
                ),
                f"second {person}",
                site,
            )
    if not reconciles:
        return
    left = serials[len(bags) :]
    if left:
        course.tell(labels.LabelsReturned(serials=left, unit=unit), person, site)
    course.tell(
        labels.LabelsReconciled(unit=unit, printed=len(serials), applied=len(bags), returned=len(left)), person, site
    )


def _frozen(course: Course, begun: bytes, bags: list[str], unit: common.Unit, person: str, site: bytes) -> None:
    course.wait(HOUR)
    course.tell(
        harvest.CryopreservationCompleted(
            started=begun,
            rate_trace=_FILE,
            materials=[_material(bag) for bag in bags],
            temperature_end=_celsius(-150),
            position=common.Position(unit=unit, place="tank-1"),
        ),
        person,
        site,
    )


def _celsius(degrees: Fraction | int) -> common.Quantity:
    return exact(Fraction(degrees), "Cel")


def _summary(course: Course, kind: str, first_reading: int) -> common.LoggerSummary:
    """Returns what a logger shows: within the pack's band but for the time that the pace says."""
    pack, pace = course.pack, course.pace
    band = pack.band_for(kind, "fresh") if kind == "collection" else pack.band_for(kind, "frozen")
    band = band or next((one for one in pack.temperature_bands if one.kind == kind), None)
    least, most = (-150_000, -150_000) if band is None else (band.millicelsius_min, band.millicelsius_max)
    if least is None:
        least = (0 if most is None else most) - 10_000
    if most is None:
        most = least + 1_000
    summary = common.LoggerSummary(
        logger="logger-1",
        file=_FILE,
        temperature_min=_celsius(Fraction(least, 1000)),
        temperature_max=_celsius(Fraction(most, 1000)),
        temperature_mean_kinetic=_celsius(Fraction(least + most, 2000)),
        activation_energy_joules_per_mole=ACTIVATION_ENERGY_JOULES_PER_MOLE,
        readings=100,
        condition=common.CONDITION_IN_RANGE,
        first_reading_unix_micros=first_reading,
        last_reading_unix_micros=course.now,
        interval_seconds=5 * MINUTE,
        band_min=_celsius(Fraction(least, 1000)),
        band_max=_celsius(Fraction(most, 1000)),
        gap_seconds=pace.gaps.get(kind, 0),
        longest_gap_seconds=pace.gaps.get(kind, 0),
    )
    if pack.excursion.mean_kinetic is not None:
        summary.activation_energy_joules_per_mole = pack.excursion.mean_kinetic.activation_energy_joules_per_mole
    out = pace.out_of_band.get(kind, 0)
    if out:
        summary.temperature_max.CopyFrom(_celsius(Fraction(most + 1_000, 1000)))
        summary.out_of_band_seconds = summary.longest_out_of_band_seconds = out
    return summary


def _travel(
    course: Course,
    stream: bytes,
    kind: str,
    bags: list[str],
    way: tuple[common.Unit, common.Unit],
    people: tuple[str, str],
) -> None:
    """Packs, hands over twice, and takes out."""
    (sender, receiver), (sending, receiving) = way, people
    course.tell(
        transport.ConsignmentOpened(
            unit=sender,
            destination=receiver,
            containers=[
                common.Container(
                    container="shipper-1",
                    kind="dry_shipper",
                    qualified_until_unix_micros=course.now + 300 * DAY * MICROS,
                )
            ],
            carrier=COURIER,
        ),
        sending,
        sender.site,
        stream=stream,
    )
    course.tell(
        transport.LoggerStarted(
            container="shipper-1",
            logger="logger-1",
            calibrated_until_unix_micros=course.now + 300 * DAY * MICROS,
            interval_seconds=5 * MINUTE,
            grace_seconds=GRACE_SECONDS,
        ),
        sending,
        sender.site,
        stream=stream,
    )
    first_reading = course.now
    for bag in bags:
        course.tell(
            harvest.MaterialPacked(
                material=_material(bag), consignment=stream, container="shipper-1", unit=sender, coi_read=COI
            ),
            sending,
            sender.site,
        )
    for giving, taking, giver, taker in ((sender, VAN, sending, "driver"), (VAN, receiver, "driver", receiving)):
        released = course.tell(
            transport.CustodyReleased(releaser=giving, receiver=taking, containers=["shipper-1"], count=1),
            giver,
            giving.site,
            stream=stream,
        )
        course.tell(
            transport.CustodyAccepted(
                release=released,
                receiver=taking,
                lines=[common.HandoffLine(container="shipper-1", outcome=common.LINE_OUTCOME_ACCEPTED)],
                count=1,
            ),
            taker,
            taking.site,
            stream=stream,
        )
    course.tell(
        transport.ReceiptInspected(
            unit=receiver,
            containers=["shipper-1"],
            loggers=[_summary(course, kind, first_reading)],
        ),
        receiving,
        receiver.site,
        stream=stream,
    )
    for bag in bags:
        course.tell(
            harvest.MaterialReceived(
                material=_material(bag),
                consignment=stream,
                container="shipper-1",
                unit=receiver,
                coi_read=COI,
                din_read=DIN,
                intact=True,
            ),
            receiving,
            receiver.site,
        )


def _identity(course: Course, point: str, bags: list[str], person: str, site: bytes) -> None:
    if point in course.pack.required_identity_checks:
        course.tell(
            harvest.IdentityChecked(point=_POINTS[point], coi_read=COI, materials=[_material(bag) for bag in bags]),
            person,
            site,
            join=f"second {person}",
        )
        course.wait(course.pace.co_signing.get("IdentityChecked", MINUTE))


# The plant.


def _to_the_plant(course: Course) -> None:
    _travel(course, OUTWARD, "collection", ["apheresis"], (APHERESIS, SUITE), ("nurse", "operator"))
    _identity(course, "RECEIPT", ["apheresis"], "operator", PLANT)
    at = None if _is_started(course.pack) else _start(course)
    course.tell(
        modification.MaterialAccessioned(
            batch=BATCH, batch_number="B-1", materials=[_material("apheresis")], unit=SUITE, attempt=1
        ),
        "operator",
        PLANT,
        at=at,
    )


def _is_started(pack: PolicyPack) -> bool:
    """Tells whether the pack has manufacture start by an act of its own; otherwise the accession starts it."""
    return pack.step_for("ManufacturingStarted") is not None


def _start(course: Course) -> int | None:
    """Returns when manufacture starts, where the pace says so."""
    budget = course.pace.collection_to_start
    return None if budget is None else course.collected_at + budget * MICROS


def _accepted(course: Course) -> None:
    if course.pack.step_for("MaterialAccepted") is not None:
        course.tell(
            modification.MaterialAccepted(batch=BATCH, materials=[_material("apheresis")], documents=[_FILE]),
            "quality_reviewer",
            PLANT,
        )


def _started(course: Course) -> None:
    cleared = course.tell(
        modification.LineCleared(batch=BATCH, process_area=AREA, unit=SUITE, clear=True), "operator", PLANT
    )
    course.tell(
        modification.ManufacturingStarted(
            batch=BATCH, unit=SUITE, process_area=AREA, batch_record="BR-1", line_clearance=cleared
        ),
        "operator",
        PLANT,
        at=_start(course) if _is_started(course.pack) else None,
        join="second operator",
    )
    course.wait(course.pace.co_signing.get("ManufacturingStarted", MINUTE))


def _manufacture(course: Course) -> None:
    _accepted(course)
    if not course.pack.step_order or _is_started(course.pack):
        _started(course)
    intermediate = common.MATERIAL_KIND_INTERMEDIATE
    made = "apheresis"
    volume = Fraction(100)
    steps = (
        (modification.SelectionPerformed, "selected"),
        (modification.ActivationPerformed, "activated"),
        (modification.ModificationPerformed, "modified"),
        (modification.ExpansionPerformed, "expanded"),
        (modification.CultureHarvested, "harvested"),
        (modification.FormulationPerformed, "formulated"),
    )
    for step, name in steps:
        short = step.DESCRIPTOR.name
        if course.pack.step_order and course.pack.step_for(short) is None:
            continue
        if short in course.pace.left_out:
            continue
        ratio = _yield(course, short)
        volume = volume * ratio if _is_by_volume(course.pack, short) else volume
        body = step(
            batch=BATCH,
            inputs=[_material(made)],
            outputs=[common.NewMaterial(material=_material(name), kind=intermediate, quantity=_volume(volume))],
            unit=SUITE,
            process_area=AREA,
        )
        body.cells_in.CopyFrom(exact(Fraction(10**6), "{cells}"))
        body.cells_out.CopyFrom(exact(10**6 * ratio, "{cells}"))
        if isinstance(body, modification.ModificationPerformed):
            body.vector_lot.CopyFrom(common.LotUse(lot_number="V-1", kind="vector"))
        if isinstance(body, modification.ActivationPerformed):
            body.method = modification.ACTIVATION_METHOD_CD3_CD28
        course.wait(0 if made == "apheresis" else DAY)
        _identity(course, "PROCESS", [made], "operator", PLANT)
        course.tell(body, "operator", PLANT, lasting=HOUR)
        course.wait(HOUR)
        made = name
    _fill(course, made, volume)


def _yield(course: Course, body: str) -> Fraction:
    told = course.pace.yields.get(body)
    if told is not None:
        return told
    band = course.pack.yield_for(body)
    if band is None:
        return Fraction(1)
    return max(band.least, min(Fraction(10), band.most))


def _is_by_volume(pack: PolicyPack, body: str) -> bool:
    band = pack.yield_for(body)
    return band is not None and band.measurement is None


def _fill(course: Course, made: str, volume: Fraction) -> None:
    pack = course.pack
    kept = volume * (1 - course.pace.lost)
    outputs = [
        _new("bag-1", common.MATERIAL_KIND_PRODUCT, kept * Fraction(2, 5)),
        _new("bag-2", common.MATERIAL_KIND_PRODUCT, kept * Fraction(2, 5)),
        _new("sample", common.MATERIAL_KIND_SAMPLE, kept * Fraction(1, 5)),
    ]
    if pack.dose is not None:
        dose = exact(_dose(course), pack.dose.unit)
        for output in outputs[:2]:
            output.dose.CopyFrom(dose)
            if pack.dose.per_kilogram:
                output.dose.CopyFrom(exact(Fraction(10**8), "{cells}"))
    _identity(course, "PROCESS", [made], "operator", PLANT)
    fills = not pack.step_order or pack.step_for("FillPerformed") is not None
    lost = _volume(volume - sum((_amount(one) for one in outputs), Fraction(0)) - volume * course.pace.lost)
    if fills:
        course.tell(
            modification.FillPerformed(
                batch=BATCH,
                inputs=[_material(made)],
                outputs=outputs,
                unit=SUITE,
                process_area=AREA,
                lost=lost,
                containers=modification.ContainerCount(
                    taken=len(outputs) + 1 + course.pace.containers_missing, filled=len(outputs), spoiled=1
                ),
            ),
            "operator",
            PLANT,
        )
    else:
        course.tell(
            modification.MaterialDivided(material=_material(made), outputs=outputs, lost=lost, unit=SUITE),
            "operator",
            PLANT,
        )
    serials = PRODUCT_SERIALS
    if pack.labels_reconciled:
        course.tell(
            labels.LabelsPrinted(serials=serials, coi=COI, din=DIN, unit=SUITE, template="T-1", printer="printer-1"),
            "operator",
            PLANT,
        )
    _labels(course, ["bag-1", "bag-2"], serials, SUITE, "operator", PLANT)
    begun = course.tell(
        harvest.CryopreservationStarted(
            materials=[_material("bag-1"), _material("bag-2")],
            unit=SUITE,
            cryoprotectant=common.LotUse(lot_number="C-2"),
        ),
        "operator",
        PLANT,
    )
    _frozen(course, begun, ["bag-1", "bag-2"], SUITE, "operator", PLANT)


def _amount(output: common.NewMaterial) -> Fraction:
    return Fraction(output.quantity.mantissa) * Fraction(10) ** output.quantity.exponent


def _dose(course: Course) -> Fraction:
    dose = course.pack.dose
    if course.pace.dose is not None:
        return course.pace.dose
    return Fraction(0) if dose is None else (dose.least + dose.most) / 2


def _quality(course: Course) -> None:
    phases = {
        ResultPhase.IN_PROCESS: modification.RESULT_PHASE_IN_PROCESS,
        ResultPhase.RELEASE: modification.RESULT_PHASE_RELEASE,
    }
    for limit in course.pack.tests:
        for phase, number in phases.items():
            if phase in limit.phases and limit.is_required:
                _report(course, limit, number)
    course.tell(returned.MaterialConsumed(material=_material("sample"), unit=SUITE), "operator", PLANT)
    if "BatchReviewed" in course.pack.steps_before("BatchReleased"):
        course.tell(
            modification.BatchReviewed(batch=BATCH, batch_record=_FILE, acceptable=True), "quality_reviewer", PLANT
        )
    bags = [_material("bag-1"), _material("bag-2")]
    course.tell(
        modification.BatchReleased(batch=BATCH, materials=bags, certificate=_FILE, release_for_infusion=_FILE),
        "quality_reviewer",
        PLANT,
    )
    dose = course.pack.dose
    if dose is not None:
        body = modification.DosePlanned(bags=[modification.PlannedBag(material=bags[0], order=1)])
        if dose.per_kilogram:
            body.per_kilogram.CopyFrom(exact(_dose(course), dose.unit))
        course.tell(body, "physician", HOSPITAL)


def _report(course: Course, limit: ResultLimit, phase: modification.ResultPhase.ValueType) -> None:
    body = modification.ResultReported(
        sample=_material("sample"),
        batch=BATCH,
        test=limit.test,
        outcome=modification.RESULT_OUTCOME_PASS,
        phase=phase,
        method="M-1",
        specification="S-1",
    )
    if limit.test in course.pace.failed:
        body.outcome = modification.RESULT_OUTCOME_FAIL
    if limit.has_limits:
        body.value.CopyFrom(exact(course.pace.results.get(limit.test, _middle(limit)), limit.unit or "1"))
    course.tell(body, "analyst", PLANT)


def _middle(limit: ResultLimit) -> Fraction:
    if limit.least is not None and limit.most is not None:
        return (limit.least + limit.most) / 2
    return limit.least if limit.least is not None else (limit.most or Fraction(0)) / 2


# Back at the hospital.


def _back(course: Course) -> None:
    course.wait(DAY)
    _travel(course, RETURN, "product", ["bag-1", "bag-2"], (SUITE, CELL_LAB), ("operator", "nurse"))
    for bag in ("bag-1", "bag-2"):
        course.tell(
            harvest.MaterialStored(
                material=_material(bag),
                position=common.Position(unit=CELL_LAB, place="tank-2"),
                temperature=_celsius(-150),
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
    bag = _material("bag-1")
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
        release_certificate=_FILE,
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
            material=bag, started=started, outcome=returned.INFUSION_OUTCOME_COMPLETE, given=_volume(40)
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
            material=_material("bag-2"), unit=CELL_LAB, method="incineration", certificate=_FILE
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
