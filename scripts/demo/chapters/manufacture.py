"""The plant's part: an override, accession, cleared line, steps, filling, division, labels, freezing."""

from __future__ import annotations

import os
from datetime import timedelta
from fractions import Fraction

from google.protobuf.message import Message

from cellcustody.clients.simulation.quantities import DAY, HOUR, document, exact, volume
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from demo.cast import unit_of
from demo.chapters.harvest import scan_of_coi, scan_of_din
from demo.telling import Bag, Story

__all__ = ["fill", "make", "override"]

AREA = "closed set 31"
ISOLATOR = "ISOLATOR-1"
CELLS = 300 * 10**6  # Of what was collected, those that are selected.


def override(story: Story) -> None:
    """Quality lets one gate pass beforehand, for an hour, with a reason."""
    story.chapter("An override, beforehand")
    cast = story.cast
    story.tell(
        cast.quality_head,
        quality.GateOverridden(
            gate="BUDGET_EXCEEDED",
            scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
            valid_until_unix_micros=story.now + HOUR,
            circumstances=common.Circumstances(
                mode=common.ENTRY_MODE_DIRECT, reason="the box came a day late; fresh cells are stable for 96 hours"
            ),
        ),
        "BUDGET_EXCEEDED, for one hour: the box came a day late",
    )


def make(story: Story) -> None:
    """From the accession to the formulated cells."""
    story.chapter("Manufacture")
    cast = story.cast
    operator, second, suite = cast.operator, cast.second_operator, unit_of(cast.operator)
    story.batch = os.urandom(16)
    _compare(story, harvest.IDENTITY_POINT_RECEIPT, story.collected)
    story.tell(
        operator,
        modification.MaterialAccessioned(
            batch=story.batch,
            batch_number="B-0031",
            materials=[bag.material for bag in story.collected],
            unit=suite,
            attempt=1,
        ),
        "batch B-0031, both bags",
        intends={"GATE_OVERRIDDEN"},
    )
    story.tell(
        cast.reviewer,
        modification.MaterialAccepted(
            batch=story.batch,
            materials=[bag.material for bag in story.collected],
            documents=[document("receipt-record", story.batch)],
        ),
        "quality takes both bags out of quarantine",
    )
    cleared = story.tell(
        operator,
        modification.LineCleared(batch=story.batch, process_area=AREA, unit=suite, clear=True, equipment=[ISOLATOR]),
        AREA,
    )
    story.tell(
        operator,
        modification.ManufacturingStarted(
            batch=story.batch,
            unit=suite,
            process_area=AREA,
            equipment=[ISOLATOR],
            batch_record="MBR-7, version 3",
            line_clearance=cleared.statement_digest,
        ),
        "master record MBR-7, version 3",
        join=second,
        intends={"GATE_OVERRIDDEN"},
    )
    lots = {kind: lot.use() for kind, lot in cast.lots.items()}
    selection = modification.SelectionPerformed(selected="CD4 and CD8", lots=[lots["reagent"]])
    made = _step(story, selection, story.collected, "selected cells", 90)
    story.wait(timedelta(days=1))
    activation = modification.ActivationPerformed(
        method=modification.ACTIVATION_METHOD_CD3_CD28, lots=[lots["activator"], lots["reagent"]]
    )
    made = _step(story, activation, [made], "activated cells", 95)
    story.wait(timedelta(days=1))
    modified = modification.ModificationPerformed(
        vector_lot=lots["vector"], target_antigen="an antigen", multiplicity_of_infection=exact(3, "{particles}/{cell}")
    )
    made = _step(story, modified, [made], "modified cells", 100, Fraction(9, 10))
    story.wait(timedelta(days=7))
    made = _step(story, modification.ExpansionPerformed(culture_day=7), [made], "culture", 900, Fraction(40))
    made = _step(story, modification.CultureHarvested(culture_day=7), [made], "harvested cells", 300, Fraction(9, 10))
    made = _step(story, modification.FormulationPerformed(vehicle="cryoprotectant"), [made], "formulated cells", 145)
    story.formulated = made


def _compare(story: Story, point: harvest.IdentityPoint.ValueType, bags: list[Bag]) -> None:
    names = " and ".join(bag.name for bag in bags)
    story.tell(
        story.cast.operator,
        harvest.IdentityChecked(
            point=point,
            coi_read=story.coi,
            materials=[bag.material for bag in bags],
            scans=[scan_of_coi(story)],
        ),
        names,
        join=story.cast.second_operator,
    )


def _step(
    story: Story, body: Message, inputs: list[Bag], name: str, millilitres: int, ratio: Fraction = Fraction(1)
) -> Bag:
    """Two persons compare what goes in; then the step makes one new material."""
    _compare(story, harvest.IDENTITY_POINT_PROCESS, inputs)
    cells = inputs[0].cells or CELLS
    output = Bag(os.urandom(16), name, inputs[0].din, int(cells * ratio))
    story.named[output.material] = output.name
    shared = modification.SelectionPerformed(  # The fields that all steps share have the same numbers.
        batch=story.batch,
        inputs=[bag.material for bag in inputs],
        outputs=[
            common.NewMaterial(
                material=output.material, kind=common.MATERIAL_KIND_INTERMEDIATE, quantity=volume(millilitres)
            )
        ],
        unit=unit_of(story.cast.operator),
        process_area=AREA,
        equipment=[ISOLATOR],
        cells_in=exact(cells, "{cells}"),
        cells_out=exact(output.cells, "{cells}"),
    )
    body.MergeFromString(shared.SerializeToString())
    story.tell(story.cast.operator, body, f"{millilitres} mL, {output.cells // 10**6:,} million cells")
    return output


def fill(story: Story) -> None:
    """Two bags of product and one for testing, which is divided; labels; the freezer."""
    story.chapter("Filling, division, freezing")
    cast = story.cast
    suite, made = unit_of(cast.operator), story.formulated
    assert made is not None  # It was made in the chapter before.
    _compare(story, harvest.IDENTITY_POINT_PROCESS, [made])
    story.products = [_bag(story, f"product bag {letter}", made) for letter in "AB"]
    drawn = _bag(story, "bag for testing", made)
    story.expires_at = story.now + 365 * DAY
    filled = [
        common.NewMaterial(
            material=bag.material,
            kind=common.MATERIAL_KIND_PRODUCT,
            quantity=volume(65),
            dose=exact(10**8, "{cells}"),
        )
        for bag in story.products
    ]
    filled.append(common.NewMaterial(material=drawn.material, kind=common.MATERIAL_KIND_SAMPLE, quantity=volume(12)))
    story.tell(
        cast.operator,
        modification.FillPerformed(
            batch=story.batch,
            inputs=[made.material],
            outputs=filled,
            unit=suite,
            process_area=AREA,
            lost=volume(3),
            cryoprotectant_lot=cast.lots["cryoprotectant"].use(),
            containers=modification.ContainerCount(taken=4, filled=3, spoiled=1),
        ),
        "two bags of 65 mL, 12 mL for testing, 3 mL lost",
    )
    _divide(story, drawn)
    _label(story)
    _freeze(story)
    story.tell_custody()


def _bag(story: Story, name: str, made: Bag) -> Bag:
    bag = Bag(os.urandom(16), name, made.din)
    story.named[bag.material] = name
    return bag


def _divide(story: Story, drawn: Bag) -> None:
    story.sample, story.retain = _bag(story, "sample", drawn), _bag(story, "retain", drawn)
    story.tell(
        story.cast.operator,
        modification.MaterialDivided(
            material=drawn.material,
            outputs=[
                common.NewMaterial(
                    material=story.sample.material, kind=common.MATERIAL_KIND_SAMPLE, quantity=volume(8)
                ),
                common.NewMaterial(
                    material=story.retain.material, kind=common.MATERIAL_KIND_RETAIN, quantity=volume(4)
                ),
            ],
            unit=unit_of(story.cast.operator),
        ),
        "8 mL to test, 4 mL to retain",
    )


def _label(story: Story) -> None:
    cast = story.cast
    suite, serials = unit_of(cast.operator), ["P-1", "P-2", "P-3"]
    story.tell(
        cast.operator,
        labels.LabelsPrinted(
            serials=serials,
            coi=story.coi,
            din=story.products[0].din,
            unit=suite,
            template="T-4",
            printer="printer-2",
        ),
        ", ".join(serials),
    )
    for index, (bag, serial) in enumerate(zip(story.products, serials[1:], strict=True)):
        applied = story.tell(
            cast.operator,
            harvest.LabelApplied(
                material=bag.material,
                din=bag.din,
                coi=story.coi,
                product_code="S1999100",
                division=f"{'AB'[index]}0",
                expires_at_unix_micros=story.expires_at,
                label_serial=serial,
                texts=["FOR AUTOLOGOUS USE ONLY"],
            ),
            f"{serial} on {bag.name}",
        )
        story.tell(
            cast.second_operator,
            labels.LabelReadBack(
                applied=applied.statement_digest, material=bag.material, scans=[scan_of_coi(story), scan_of_din(bag)]
            ),
            f"{serial}, both codes scanned by another operator",
        )
    story.tell(cast.operator, harvest.LabelVoided(serials=serials[:1], reason="misprinted"), "P-1, misprinted")
    story.tell(
        cast.operator,
        labels.LabelsReconciled(unit=suite, printed=3, applied=2, voided=1),
        "3 = 2 applied, 1 voided",
    )


def _freeze(story: Story) -> None:
    cast, frozen = story.cast, [bag.material for bag in story.products]
    suite = unit_of(cast.operator)
    begun = story.tell(
        cast.operator,
        harvest.CryopreservationStarted(
            materials=frozen,
            unit=suite,
            equipment="FREEZER-1",
            programme="CRF-2",
            cryoprotectant=cast.lots["cryoprotectant"].use(),
        ),
        "programme CRF-2",
    )
    story.tell(
        cast.operator,
        harvest.CryopreservationCompleted(
            started=begun.statement_digest,
            rate_trace=document("rate-trace", "B-0031"),
            materials=frozen,
            temperature_end=exact(-150, "Cel"),
            position=common.Position(unit=suite, place="tank-1"),
        ),
        "-150 Cel, tank-1",
        after=timedelta(hours=1),
    )
    for bag in story.products:
        story.tell(
            cast.operator,
            harvest.MaterialStored(
                material=bag.material,
                position=common.Position(unit=suite, place="tank-1/rack-3"),
                temperature=exact(-150, "Cel"),
            ),
            f"{bag.name} in tank-1/rack-3",
        )
