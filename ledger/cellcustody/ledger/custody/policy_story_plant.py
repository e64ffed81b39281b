"""The plant's part of the standard course: receipt, acceptance, start, steps, filling, tests, quality's word.

The rules of this module:

* Steps are those of the pack, in its order; yields and results lie in the middle of what it lets pass, unless the pace
  says otherwise.
* A dose is in the middle of the pack's limits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from cellcustody.ledger.custody.policy import PolicyPack, ResultLimit, ResultPhase
from cellcustody.ledger.custody.policy_course import (
    COI,
    DAY,
    DIN,
    HOSPITAL,
    HOUR,
    MICROS,
    MINUTE,
    OUTWARD,
    PLANT,
    Course,
    exact,
)
from cellcustody.ledger.custody.policy_story_pieces import (
    APHERESIS,
    BATCH,
    FILE,
    SUITE,
    compare,
    end_freezing,
    in_millilitres,
    label_bags,
    material_of,
    new_material,
    travel,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["decide", "manufacture", "to_the_plant"]

AREA: Final = "isolator-1"
PRODUCT_SERIALS: Final = ("P-1", "P-2")


def to_the_plant(course: Course) -> None:
    """Tells the way to the plant, the comparing on receipt, and the accession."""
    travel(course, OUTWARD, "collection", ["apheresis"], (APHERESIS, SUITE), ("nurse", "operator"))
    compare(course, "RECEIPT", ["apheresis"], "operator", PLANT)
    at = None if _is_started(course.pack) else _start(course)
    course.tell(
        modification.MaterialAccessioned(
            batch=BATCH, batch_number="B-1", materials=[material_of("apheresis")], unit=SUITE, attempt=1
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
            modification.MaterialAccepted(batch=BATCH, materials=[material_of("apheresis")], documents=[FILE]),
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


def manufacture(course: Course) -> None:
    """Tells manufacture from acceptance to the frozen bags."""
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
            inputs=[material_of(made)],
            outputs=[
                common.NewMaterial(material=material_of(name), kind=intermediate, quantity=in_millilitres(volume))
            ],
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
        compare(course, "PROCESS", [made], "operator", PLANT)
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
        new_material("bag-1", common.MATERIAL_KIND_PRODUCT, kept * Fraction(2, 5)),
        new_material("bag-2", common.MATERIAL_KIND_PRODUCT, kept * Fraction(2, 5)),
        new_material("sample", common.MATERIAL_KIND_SAMPLE, kept * Fraction(1, 5)),
    ]
    if pack.dose is not None:
        dose = exact(_dose(course), pack.dose.unit)
        for output in outputs[:2]:
            output.dose.CopyFrom(dose)
            if pack.dose.per_kilogram:
                output.dose.CopyFrom(exact(Fraction(10**8), "{cells}"))
    compare(course, "PROCESS", [made], "operator", PLANT)
    fills = not pack.step_order or pack.step_for("FillPerformed") is not None
    lost = in_millilitres(volume - sum((_amount(one) for one in outputs), Fraction(0)) - volume * course.pace.lost)
    if fills:
        course.tell(
            modification.FillPerformed(
                batch=BATCH,
                inputs=[material_of(made)],
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
            modification.MaterialDivided(material=material_of(made), outputs=outputs, lost=lost, unit=SUITE),
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
    label_bags(course, ["bag-1", "bag-2"], serials, SUITE, "operator", PLANT)
    begun = course.tell(
        harvest.CryopreservationStarted(
            materials=[material_of("bag-1"), material_of("bag-2")],
            unit=SUITE,
            cryoprotectant=common.LotUse(lot_number="C-2"),
        ),
        "operator",
        PLANT,
    )
    end_freezing(course, begun, ["bag-1", "bag-2"], SUITE, "operator", PLANT)


def _amount(output: common.NewMaterial) -> Fraction:
    return Fraction(output.quantity.mantissa) * Fraction(10) ** output.quantity.exponent


def _dose(course: Course) -> Fraction:
    dose = course.pack.dose
    if course.pace.dose is not None:
        return course.pace.dose
    return Fraction(0) if dose is None else (dose.least + dose.most) / 2


def decide(course: Course) -> None:
    """Tells tests, review, release and the plan of the dose."""
    phases = {
        ResultPhase.IN_PROCESS: modification.RESULT_PHASE_IN_PROCESS,
        ResultPhase.RELEASE: modification.RESULT_PHASE_RELEASE,
    }
    for limit in course.pack.tests:
        for phase, number in phases.items():
            if phase in limit.phases and limit.is_required:
                _report(course, limit, number)
    course.tell(returned.MaterialConsumed(material=material_of("sample"), unit=SUITE), "operator", PLANT)
    if "BatchReviewed" in course.pack.steps_before("BatchReleased"):
        course.tell(
            modification.BatchReviewed(batch=BATCH, batch_record=FILE, acceptable=True), "quality_reviewer", PLANT
        )
    bags = [material_of("bag-1"), material_of("bag-2")]
    course.tell(
        modification.BatchReleased(batch=BATCH, materials=bags, certificate=FILE, release_for_infusion=FILE),
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
        sample=material_of("sample"),
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
