"""The plant's part: accession, acceptance by quality, line clearance, start, steps, filling, labels, freezing.

A batch may fail: its cells will not grow and quality gives it up, or a result lies outside its limits and quality
rejects it (`deciding`).
"""

from __future__ import annotations

from fractions import Fraction

from google.protobuf.message import Message

from cellcustody.clients.simulation.course import Bag, Batch, Course
from cellcustody.clients.simulation.deciding import reject, release, terminate, test
from cellcustody.clients.simulation.quantities import DAY, HOUR, document, exact, volume
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["FROZEN_MILLICELSIUS", "make"]

FROZEN_MILLICELSIUS = -150_000
_SHARE_TERMINATED = 0.6  # Of the batches that fail; the others are rejected for a result.
_SHARE_CONDITIONAL = 0.7


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
        terminate(course, batch, made)
        return batch
    _fill(course, batch, made)
    is_conditional = not fails and course.dice.happens(_SHARE_CONDITIONAL)
    failing = test(course, batch, fails, is_conditional)
    if failing:
        reject(course, batch, failing)
    else:
        release(course, batch, is_conditional)
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
    course.tell(
        course.cast.reviewers[0],
        modification.MaterialAccepted(
            batch=batch.batch,
            materials=[bag.material for bag in collected],
            documents=[document("receipt-record", batch.batch)],
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
