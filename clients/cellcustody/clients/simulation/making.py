"""The plant's part: accession, steps, filling, freezing, samples to the laboratory, results, quality's word.

* A batch may fail: its cells will not grow and quality gives it up, or a result lies outside its limits and quality
  rejects it. What is left is destroyed.
* Compendial sterility takes its fourteen days: most batches are released on the interim result, with that test open,
  and the final one follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from google.protobuf.message import Message

from cellcustody.clients.simulation.course import Bag, Course
from cellcustody.clients.simulation.quantities import DAY, HOUR, document, exact, volume
from cellcustody.clients.simulation.travel import Leg, travel
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import ResultLimit, ResultPhase
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

__all__ = ["FROZEN_MILLICELSIUS", "Batch", "archive", "make", "report_final"]

FROZEN_MILLICELSIUS = -150_000
_STERILITY = "sterility"
_SHARE_TERMINATED = 0.6  # Of the batches that fail; the others are rejected for a result.
_SHARE_CONDITIONAL = 0.7


@dataclass(slots=True)
class Batch:
    """What a batch came to: bags of product, a sample, a retain, and whether a final result is still to come."""

    batch: bytes
    area: str
    products: list[Bag] = field(default_factory=list)
    sample: Bag | None = None
    retain: Bag | None = None
    doses_planned: int = 2
    is_open: bool = False
    failed: bool = False


def make(course: Course, collected: list[Bag]) -> Batch:
    """Tells a batch from accession to quality's word; `failed` says that it came to nothing."""
    batch = Batch(course.dice.take(16), f"closed set {course.telling.number:06d}/{course.attempt}")
    fails = course.dice.happens(course.telling.rates.batches_failed)
    is_terminated = fails and course.dice.happens(_SHARE_TERMINATED)
    batch.doses_planned = 2 if course.dice.happens(0.4) else 1
    course.telling.count("batches")
    course.batches += 1
    _begin(course, batch, collected)
    made = _steps(course, batch, collected, is_terminated)
    if is_terminated:
        _terminate(course, batch, made)
        return batch
    _fill(course, batch, made)
    is_conditional = not fails and course.dice.happens(_SHARE_CONDITIONAL)
    failing = _test(course, batch, fails, is_conditional)
    if failing:
        _reject(course, batch, failing)
    else:
        _release(course, batch, is_conditional)
    return batch


# From accession to the filled bags.


def _begin(course: Course, batch: Batch, collected: list[Bag]) -> None:
    operator, second, _ = course.cast.operators
    course.compare(operator, second, harvest.IDENTITY_POINT_RECEIPT, collected)
    course.tell(
        operator,
        modification.MaterialAccessioned(
            batch=batch.batch,
            batch_number=f"B-{course.telling.number:06d}-{course.attempt}",
            materials=[bag.material for bag in collected],
            unit=course.suite,
            attempt=course.batches,
        ),
    )
    isolator = _isolator(course)
    cleared = course.tell(
        operator,
        modification.LineCleared(
            batch=batch.batch, process_area=batch.area, unit=course.suite, clear=True, equipment=[isolator]
        ),
    )
    course.tell(
        operator,
        modification.ManufacturingStarted(
            batch=batch.batch,
            unit=course.suite,
            process_area=batch.area,
            equipment=[isolator],
            batch_record="MBR-7, version 3",
            line_clearance=cleared,
        ),
        join=second,
    )


def _isolator(course: Course) -> str:
    return course.dice.pick(course.cast.assets_of("isolator")).asset


def _steps(course: Course, batch: Batch, collected: list[Bag], is_terminated: bool) -> Bag:
    cast = course.cast
    vector, activator, reagent = (cast.lots[kind].use() for kind in ("vector", "activator", "reagent"))
    made = _step(course, batch, modification.SelectionPerformed(selected="CD4 and CD8", lots=[reagent]), collected, 90)
    course.telling.wait(DAY)
    activation = modification.ActivationPerformed(
        method=modification.ACTIVATION_METHOD_CD3_CD28, lots=[activator, reagent]
    )
    made = _step(course, batch, activation, [made], 95)
    course.telling.wait(DAY)
    changed = modification.ModificationPerformed(
        vector_lot=vector, target_antigen="an antigen", multiplicity_of_infection=exact(3, "{particles}/{cell}")
    )
    made = _step(course, batch, changed, [made], 100)
    days = course.dice.between(5, 8)
    course.telling.wait(days * DAY)
    ratio = Fraction(2) if is_terminated else Fraction(course.dice.between(20, 60))
    made = _step(course, batch, modification.ExpansionPerformed(culture_day=days), [made], 900, ratio)
    if is_terminated:
        return made
    made = _step(course, batch, modification.CultureHarvested(culture_day=days), [made], 300)
    return _step(course, batch, modification.FormulationPerformed(vehicle="cryoprotectant"), [made], 145)


def _step(
    course: Course, batch: Batch, body: Message, inputs: list[Bag], millilitres: int, ratio: Fraction = Fraction(1)
) -> Bag:
    operator, second, _ = course.cast.operators
    course.compare(operator, second, harvest.IDENTITY_POINT_PROCESS, inputs)
    output = course.new_bag(common.MATERIAL_KIND_INTERMEDIATE)
    output.din, output.number = inputs[0].din, inputs[0].number
    cells = course.dice.between(200, 400) * 10**6
    shared = modification.SelectionPerformed(  # The fields that all steps share have the same numbers.
        batch=batch.batch,
        inputs=[bag.material for bag in inputs],
        outputs=[common.NewMaterial(material=output.material, kind=output.kind, quantity=volume(millilitres))],
        unit=course.suite,
        process_area=batch.area,
        equipment=[_isolator(course)],
        cells_in=exact(cells, "{cells}"),
        cells_out=exact(cells * ratio, "{cells}"),
    )
    body.MergeFromString(shared.SerializeToString())
    course.tell(operator, body, lasting=HOUR)
    for bag in inputs:
        bag.has_ended = True
    return output


def _fill(course: Course, batch: Batch, made: Bag) -> None:
    operator, second, _ = course.cast.operators
    course.compare(operator, second, harvest.IDENTITY_POINT_PROCESS, [made])
    batch.products = [course.new_bag(common.MATERIAL_KIND_PRODUCT) for _ in range(2)]
    batch.sample = course.new_bag(common.MATERIAL_KIND_SAMPLE)
    batch.retain = course.new_bag(common.MATERIAL_KIND_RETAIN)
    outputs = []
    for bag, millilitres in ((batch.products[0], 65), (batch.products[1], 65), (batch.sample, 8), (batch.retain, 4)):
        bag.din, bag.number = made.din, made.number
        new = common.NewMaterial(material=bag.material, kind=bag.kind, quantity=volume(millilitres))
        if bag.kind == common.MATERIAL_KIND_PRODUCT:
            new.dose.CopyFrom(_dose(course, batch))
            bag.expires_at = course.now + 365 * DAY
        outputs.append(new)
    course.tell(
        operator,
        modification.FillPerformed(
            batch=batch.batch,
            inputs=[made.material],
            outputs=outputs,
            unit=course.suite,
            process_area=batch.area,
            lost=volume(3),
            cryoprotectant_lot=course.cast.lots["cryoprotectant"].use(),
            containers=modification.ContainerCount(taken=5, filled=4, spoiled=1),
        ),
    )
    made.has_ended = True
    serials = [f"P{course.telling.number:06d}{course.attempt}-{index}" for index in range(1, 4)]
    course.tell(
        operator,
        labels.LabelsPrinted(
            serials=serials, coi=course.coi, din=made.din, unit=course.suite, template="T-4", printer="printer-2"
        ),
    )
    course.label(operator, second, course.suite, batch.products, serials, "S1999100")
    _freeze(course, batch)


def _dose(course: Course, batch: Batch) -> common.Quantity:
    asked = course.pack.dose
    assert asked is not None  # Both shipped packs limit the dose.
    if asked.per_kilogram:
        return exact(10**8, "{cells}")
    whole = (asked.least + asked.most) / 2
    return exact(whole / batch.doses_planned, asked.unit)


def _freeze(course: Course, batch: Batch) -> None:
    operator = course.cast.operators[0]
    frozen = [bag.material for bag in batch.products]
    begun = course.tell(
        operator,
        harvest.CryopreservationStarted(
            materials=frozen,
            unit=course.suite,
            equipment="FREEZER-1",
            programme="CRF-2",
            cryoprotectant=course.cast.lots["cryoprotectant"].use(),
        ),
    )
    course.telling.wait(HOUR)
    course.tell(
        operator,
        harvest.CryopreservationCompleted(
            started=begun,
            rate_trace=document("rate-trace", batch.batch),
            materials=frozen,
            temperature_end=exact(-150, "Cel"),
            position=common.Position(unit=course.suite, place="tank-1"),
        ),
    )
    for bag in batch.products:
        course.store(operator, course.suite, bag, FROZEN_MILLICELSIUS)


# Tests.


def _test(course: Course, batch: Batch, fails: bool, is_conditional: bool) -> bytes:
    """Sends the sample to the laboratory and reports every test; returns the failing result, empty if none."""
    assert batch.sample is not None
    analyst = course.cast.analysts[0]
    travel(
        course,
        Leg(
            [batch.sample],
            "sample",
            "fresh",
            course.suite,
            course.cast.laboratory.unit("microbiology"),
            course.cast.operators[1],
            analyst,
            (2, 10),
            "COOLER",
        ),
    )
    course.telling.wait(course.dice.between(2, 4) * DAY)
    tests = [one for one in course.pack.tests if one.is_required and ResultPhase.RELEASE in one.phases]
    limited = [one.test for one in tests if one.has_limits and one.least is not None]
    failing_test = course.dice.pick(limited) if fails and limited else ""
    failing = b""
    for limit in tests:
        if limit.test == _STERILITY and not is_conditional:
            course.telling.wait(course.dice.between(8, 10) * DAY)
        reported = _report(course, batch, limit, limit.test == failing_test, is_conditional)
        failing = reported if limit.test == failing_test else failing
    if is_conditional:
        batch.is_open = True
    else:
        _consume(course, batch)
    return failing


def _report(course: Course, batch: Batch, limit: ResultLimit, fails: bool, is_interim: bool) -> bytes:
    assert batch.sample is not None
    interim = is_interim and limit.may_be_conditional
    body = modification.ResultReported(
        sample=batch.sample.material,
        batch=batch.batch,
        test=limit.test,
        outcome=modification.RESULT_OUTCOME_FAIL if fails else modification.RESULT_OUTCOME_PASS,
        phase=modification.RESULT_PHASE_INTERIM if interim else modification.RESULT_PHASE_RELEASE,
        interim=interim,
        method=f"{limit.test} method 3",
        specification="2",
    )
    if limit.has_limits:
        body.value.CopyFrom(exact(_value(course, limit, fails), limit.unit or "1"))
    intends = {"RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION"} if fails else set()
    return course.tell(course.cast.analysts[0], body, intends=intends)


def _value(course: Course, limit: ResultLimit, fails: bool) -> Fraction:
    if fails:
        assert limit.least is not None
        return limit.least / 2
    least = Fraction(0) if limit.least is None else limit.least
    most = least + 1 if limit.most is None else limit.most
    return least + (most - least) * course.dice.between(25, 75) / 100


def report_final(course: Course, batch: Batch) -> None:
    """Reports what a conditional release left open, once its time has come."""
    if not batch.is_open:
        return
    batch.is_open = False
    for limit in course.pack.tests:
        if limit.may_be_conditional:
            _report(course, batch, limit, fails=False, is_interim=False)
    _consume(course, batch)


def _consume(course: Course, batch: Batch) -> None:
    assert batch.sample is not None
    course.tell(
        course.cast.analysts[0],
        returned.MaterialConsumed(material=batch.sample.material, unit=course.cast.laboratory.unit("microbiology")),
    )
    batch.sample.has_ended = True


# Quality.


def _review(course: Course, batch: Batch, acceptable: bool) -> None:
    course.tell(
        course.cast.reviewers[0],
        modification.BatchReviewed(
            batch=batch.batch, batch_record=document("batch-record", batch.batch), acceptable=acceptable
        ),
    )


def _release(course: Course, batch: Batch, is_conditional: bool) -> None:
    cast, pack = course.cast, course.pack
    _review(course, batch, acceptable=True)
    materials = [bag.material for bag in batch.products]
    certificate = document("certificate", batch.batch)
    for_infusion = document("release-for-infusion", batch.batch)
    by = cast.qualified_person if pack.jurisdiction == "EU" else cast.reviewers[1]
    joining = cast.reviewers[0]
    if is_conditional:
        course.telling.count("conditional releases")
        due = course.now + 21 * DAY
        course.tell(
            by,
            modification.BatchReleasedConditionally(
                batch=batch.batch,
                materials=materials,
                certificate=certificate,
                release_for_infusion=for_infusion,
                open_items=[
                    modification.OpenItem(test=one, due_unix_micros=due) for one in sorted(pack.conditional_tests)
                ],
            ),
            join=joining,
        )
    else:
        course.tell(
            by,
            modification.BatchReleased(
                batch=batch.batch,
                materials=materials,
                certificate=certificate,
                release_for_infusion=for_infusion,
            ),
            join=joining,
        )
    _plan_dose(course, batch)


def _plan_dose(course: Course, batch: Batch) -> None:
    asked = course.pack.dose
    assert asked is not None
    body = modification.DosePlanned(
        bags=[
            modification.PlannedBag(material=bag.material, order=order)
            for order, bag in enumerate(batch.products[: batch.doses_planned], 1)
        ]
    )
    if asked.per_kilogram:
        body.per_kilogram.CopyFrom(exact((asked.least + asked.most) / 2, asked.unit))
    course.tell(course.hospital.physician, body)


def _terminate(course: Course, batch: Batch, made: Bag) -> None:
    """The cells would not grow; quality gives the batch up."""
    course.telling.count("batches terminated")
    course.tell(
        course.cast.reviewers[0],
        modification.BatchTerminated(batch=batch.batch, cause=modification.TERMINATION_CAUSE_MANUFACTURING_FAILURE),
    )
    _end(course, batch, [made])


def _reject(course: Course, batch: Batch, failing: bytes) -> None:
    """A result lies outside its limits; quality rejects the batch, and lifts its holds when nothing is left."""
    course.telling.count("batches rejected")
    reviewer = course.cast.reviewers[0]
    reference = f"OOS-{course.telling.number:06d}-{course.attempt}"
    raised = course.tell(
        reviewer,
        quality.DeviationRaised(
            reference=reference,
            scope=quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[batch.batch]),
            description="a result lies outside its specification",
        ),
    )
    _review(course, batch, acceptable=False)
    course.tell(reviewer, modification.BatchRejected(batch=batch.batch))
    left = [*batch.products]
    _end(course, batch, left)
    course.tell(
        reviewer,
        quality.HoldLifted(
            holds=sorted(hold_id(failing, code) for code in ("RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION")),
            disposition="the batch is rejected and destroyed",
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="nothing is left to hold"),
        ),
    )
    course.tell(
        reviewer,
        quality.DeviationClosed(deviation=raised, outcome="rejected", report=document("deviation-report", reference)),
    )


def _end(course: Course, batch: Batch, left: list[Bag]) -> None:
    batch.failed = True
    operator, second, _ = course.cast.operators
    course.destroy(operator, second, course.suite, left)
    archive(course, batch)


def archive(course: Course, batch: Batch) -> None:
    """The retain goes into the archive."""
    if batch.retain is None or batch.retain.has_ended:
        return
    course.tell(
        course.cast.operators[2],
        returned.MaterialArchived(
            material=batch.retain.material,
            position=common.Position(unit=course.cast.plant.unit("suite"), place="archive/1"),
            kept_until_unix_micros=course.now + 30 * 365 * DAY,
        ),
    )
    batch.retain.has_ended = True
