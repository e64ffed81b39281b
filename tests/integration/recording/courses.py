"""Tell whole courses of therapy to a real ledger, act by act, each act signed by whoever would sign it.

A `World` is a founded ledger with a hospital, a courier, a plant and a contract laboratory. A `Course` is one therapy
in it. Chapters tell many acts; everything told is recorded, durable and under a signed head when a method returns.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Unpack

from google.protobuf.message import Message
from ledger_harness import MICROS, Faults, LedgerHarness, Signing, SubmitDetails

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.identifiers.donations import Din
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.store import LedgerApplication
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

MINUTE = 60 * MICROS
DAY = 86_400 * MICROS
RECORD_NUMBER, WRISTBAND = "medical_record_number", "wristband"
PATIENT = ((RECORD_NUMBER, "A-4711"), (WRISTBAND, "W-0815"))
ALL_SCOPES = (
    harvest.CONSENT_SCOPE_COLLECTION,
    harvest.CONSENT_SCOPE_MANUFACTURE,
    harvest.CONSENT_SCOPE_INFUSION,
)
COLLECTION = (harvest.CONSENT_SCOPE_COLLECTION,)
BOX = "box-1"


def volume(millilitres: int) -> common.Quantity:
    """Returns a measured volume."""
    return common.Quantity(
        mantissa=millilitres,
        unit="mL",
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def document(kind: str) -> common.Document:
    """Returns a document of a kind, by a digest."""
    return common.Document(sha256=hashlib.sha256(kind.encode()).digest(), kind=kind, media_type="application/pdf")


def celsius(tenths: int) -> common.Quantity:
    """Returns a measured temperature."""
    return common.Quantity(
        mantissa=tenths,
        exponent=-1,
        unit="Cel",
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def read(
    identifiers: Iterable[tuple[str, str]] = PATIENT, method: common.ReadMethod.ValueType = common.READ_METHOD_SCANNED
) -> list[common.PatientIdentifier]:
    """Returns identifiers of a patient as they were read."""
    return [common.PatientIdentifier(kind=kind, value=value, method=method) for kind, value in identifiers]


def codes(recorded: Recorded) -> set[str]:
    """Returns the codes of the findings that a submitter was told."""
    assert recorded.judgement is not None
    return {finding.code for finding in recorded.judgement.judged.findings}


def status(recorded: Recorded) -> Status:
    """Returns the status that a submitter was told."""
    assert recorded.judgement is not None
    return recorded.judgement.judged.status


class World:
    """A founded ledger with its sites and people, a published pack and a released lot of vector."""

    def __init__(self, folder: Path, *, opener: Callable[[Faults], LedgerApplication] | None = None) -> None:
        self.harness = harness = LedgerHarness(folder, opener=opener)
        harness.found()
        self.pack = harness.publish_pack()
        self.hospital, (hospital_administrator, self.second_hospital_administrator) = harness.site(
            "hospital", options.CAPABILITY_COLLECT, options.CAPABILITY_STORE, options.CAPABILITY_INFUSE
        )
        self.courier, (courier_administrator, _) = harness.site("courier", options.CAPABILITY_TRANSPORT)
        self.plant, (self.plant_administrator, _) = harness.site(
            "plant", options.CAPABILITY_STORE, options.CAPABILITY_PROCESS, options.CAPABILITY_RELEASE
        )
        self.laboratory, (laboratory_administrator, _) = harness.site("laboratory", options.CAPABILITY_TEST)
        self.hospital_administrator = hospital_administrator
        self.courier_administrator = courier_administrator
        self.nurse = harness.enrol("nurse", self.hospital, hospital_administrator)
        self.second_nurse = harness.enrol("nurse", self.hospital, hospital_administrator)
        self.driver = harness.enrol("driver", self.courier, courier_administrator)
        self.operator = harness.enrol("operator", self.plant, self.plant_administrator)
        self.second_operator = harness.enrol("operator", self.plant, self.plant_administrator)
        self.reviewer = harness.enrol("quality_reviewer", self.plant, self.plant_administrator)
        self.second_reviewer = harness.enrol("quality_reviewer", self.plant, self.plant_administrator)
        self.analyst = harness.enrol("analyst", self.laboratory, laboratory_administrator)
        self.apheresis = common.Unit(site=self.hospital, unit="apheresis")
        self.cell_lab = common.Unit(site=self.hospital, unit="cell-lab")
        self.ward = common.Unit(site=self.hospital, unit="ward")
        self.van = common.Unit(site=self.courier)
        self.suite = common.Unit(site=self.plant, unit="suite")
        self.bench = common.Unit(site=self.laboratory, unit="bench")
        self.courses = 0

    def course(self) -> Course:
        """Returns a therapy of which nothing is told yet."""
        self.courses += 1
        return Course(self, self.courses)

    def vector_lot(self, *, expires_after: int = 365 * DAY) -> bytes:
        """Registers and releases a lot of vector; returns its stream."""
        harness = self.harness
        lot = harness.new_stream(StreamKind.LOT)
        harness.say(
            self.operator,
            lot,
            modification.LotRegistered(
                lot_number="V-1", kind="vector", expires_at_unix_micros=harness.clock + expires_after
            ),
        )
        harness.say(self.reviewer, lot, modification.LotStatusChanged(status=modification.LOT_STATUS_RELEASED))
        return lot


class Course:
    """One therapy. Materials are known by name here; `material` gives their ids."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.harness = world.harness
        self.stream: bytes = self.harness.new_stream(StreamKind.THERAPY)
        self.coi = ChainOfIdentity(f"CHA999925{number:06d}").printed_compact
        self._number = number
        self._materials: dict[str, bytes] = {}
        self._dins = 0
        self.din = ""
        self.is_conditioned = False
        self._din_of: dict[str, str] = {}
        self.batch = os.urandom(16)

    def material(self, name: str) -> bytes:
        """Returns the id of the material of that name."""
        return self._materials.setdefault(name, os.urandom(16))

    def new_din(self) -> str:
        """Returns a donation number that no other collection bears."""
        self._dins += 1
        self.din = Din.of_number(f"A999925{self._number:04d}{self._dins:02d}").format_print()
        return self.din

    def say(self, by: Signing, body: Message, **details: Unpack[SubmitDetails]) -> Recorded:
        """Says something in the therapy's stream."""
        return self.harness.say(by, self.stream, body, **details)

    def join(self, by: Signing, joined: Recorded, **details: Unpack[SubmitDetails]) -> Recorded:
        """Lets another person join a statement of the therapy."""
        return self.harness.co_sign(by, self.stream, joined.statement_digest, **details)

    # Bodies.

    def enrolment(self) -> harvest.TherapyEnrolled:
        """Returns the body of the enrolment."""
        world = self.world
        return harvest.TherapyEnrolled(
            aliases=[common.Alias(scheme="isbt128-coi", value=self.coi)],
            patient_identifiers=read(),
            product=world.pack.product,
            jurisdiction=world.pack.jurisdiction,
            policy_digest=world.pack.digest,
            treating_unit=world.ward,
            participants=sorted([world.plant, world.courier, world.laboratory]),
            custodian_of_record=world.hospital,
            indication="an indication",
        )

    def identity_check(
        self,
        point: harvest.IdentityPoint.ValueType = harvest.IDENTITY_POINT_CHAIRSIDE,
        identifiers: Sequence[common.PatientIdentifier] | None = None,
    ) -> harvest.IdentityChecked:
        """Returns the body of a check of identity."""
        return harvest.IdentityChecked(
            point=point, patient_identifiers=read() if identifiers is None else identifiers, coi_read=self.coi
        )

    def reidentification(self, **changed: object) -> harvest.ReidentificationPerformed:
        """Returns the body of a re-identification from the source record; `identifiers` may be changed."""
        identifiers = changed.get("identifiers", read())
        assert isinstance(identifiers, list)
        return harvest.ReidentificationPerformed(
            source_record="enrolment file, ward archive", patient_identifiers=identifiers, coi_read=self.coi
        )

    def outputs(self, kind: common.MaterialKind.ValueType, millilitres: int, *names: str) -> list[common.NewMaterial]:
        """Returns new materials."""
        return [
            common.NewMaterial(material=self.material(name), kind=kind, quantity=volume(millilitres)) for name in names
        ]

    def bedside_check(self, bag: str, **changed: object) -> returned.BedsideChecked:
        """Returns the body of a check at the bedside; `identifiers` and `patient_present` may be changed."""
        identifiers = changed.get("identifiers", read())
        assert isinstance(identifiers, list)
        return returned.BedsideChecked(
            material=self.material(bag),
            patient_identifiers=identifiers,
            coi_read=self.coi,
            din_read=self._din_of.get(bag, self.din),
            patient_present=bool(changed.get("patient_present", True)),
        )

    # Harvest.

    def enrols(self) -> Recorded:
        """The hospital enrols the therapy."""
        return self.say(self.world.nurse, self.enrolment())

    def consents(self) -> Recorded:
        """The patient consents to everything."""
        return self.say(self.world.nurse, harvest.ConsentRecorded(scopes=ALL_SCOPES))

    def checks_identity(self) -> Recorded:
        """Two nurses check identity at the chair."""
        checked = self.say(self.world.nurse, self.identity_check())
        self.join(self.world.second_nurse, checked)
        return checked

    def starts_collection(self, day: int = 1, din: str | None = None) -> Recorded:
        """Collection starts."""
        return self.say(
            self.world.nurse,
            harvest.CollectionStarted(day=day, din=din or self.new_din(), unit=self.world.apheresis),
        )

    def completes_collection(self, started: Recorded, *bags: str) -> Recorded:
        """Collection ends with bags of 100 mL."""
        return self.say(
            self.world.nurse,
            harvest.CollectionCompleted(
                started=started.statement_digest,
                outputs=self.outputs(common.MATERIAL_KIND_COLLECTION, 100, *bags),
                unit=self.world.apheresis,
                tolerance="well",
            ),
        )

    def collects(self, *bags: str, day: int = 1) -> list[Recorded]:
        """A day's collection, from the check at the chair to the labels."""
        told = [self.checks_identity(), self.starts_collection(day)]
        told.append(self.completes_collection(told[-1], *bags))
        return told + [self.labels(bag) for bag in bags]

    def labels(self, bag: str, *, by: Signing | None = None, expires_at: int | None = None) -> Recorded:
        """A label is put on a bag, with the donation number of the last collection."""
        self._din_of[bag] = self.din
        return self.say(
            by or self.world.nurse,
            harvest.LabelApplied(
                material=self.material(bag), din=self.din, coi=self.coi, expires_at_unix_micros=expires_at
            ),
        )

    # Transport.

    def opens_consignment(self, by: Signing, unit: common.Unit, destination: common.Unit, *boxes: str) -> bytes:
        """A consignment is opened; returns its stream."""
        stream = self.harness.new_stream(StreamKind.CONSIGNMENT)
        qualified = self.harness.clock + 365 * DAY
        self.harness.say(
            by,
            stream,
            transport.ConsignmentOpened(
                unit=unit,
                destination=destination,
                containers=[
                    common.Container(container=one, kind="dry_shipper", qualified_until_unix_micros=qualified)
                    for one in boxes or (BOX,)
                ],
                carrier=self.world.courier,
            ),
        )
        return stream

    def packs(self, by: Signing, unit: common.Unit, consignment: bytes, bag: str, box: str = BOX) -> Recorded:
        """A bag is packed."""
        return self.say(
            by,
            harvest.MaterialPacked(
                material=self.material(bag), consignment=consignment, container=box, unit=unit, coi_read=self.coi
            ),
        )

    def seals(self, by: Signing, consignment: bytes, seal: str, box: str = BOX) -> Recorded:
        """A container is sealed."""
        return self.harness.say(by, consignment, transport.SealApplied(container=box, seal=seal))

    def starts_logger(self, by: Signing, consignment: bytes, box: str = BOX) -> Recorded:
        """A logger is started with a band of 2 to 8 degrees."""
        return self.harness.say(
            by,
            consignment,
            transport.LoggerStarted(
                container=box,
                logger=f"logger-{box}",
                calibrated_until_unix_micros=self.harness.clock + 365 * DAY,
                interval_seconds=300,
                band_min=celsius(20),
                band_max=celsius(80),
            ),
        )

    def releases(
        self,
        by: Signing,
        consignment: bytes,
        releaser: common.Unit,
        receiver: common.Unit,
        boxes: Sequence[str] = (BOX,),
        seals: Sequence[common.SealReading] = (),
    ) -> Recorded:
        """The custodian's half of a handoff."""
        body = transport.CustodyReleased(
            releaser=releaser, receiver=receiver, containers=boxes, count=len(boxes), seals=seals
        )
        return self.harness.say(by, consignment, body)

    def accepts(
        self,
        by: Signing,
        consignment: bytes,
        release: Recorded,
        receiver: common.Unit,
        boxes: Sequence[str] = (BOX,),
        missing: Sequence[str] = (),
        seals: Sequence[common.SealReading] = (),
    ) -> Recorded:
        """The receiver's half of a handoff, line by line."""
        lines = [common.HandoffLine(container=one, outcome=common.LINE_OUTCOME_ACCEPTED) for one in boxes]
        lines += [common.HandoffLine(container=one, outcome=common.LINE_OUTCOME_NOT_PRESENT) for one in missing]
        body = transport.CustodyAccepted(
            release=release.statement_digest, receiver=receiver, lines=lines, count=len(boxes), seals=seals
        )
        return self.harness.say(by, consignment, body)

    def hands_over(
        self, consignment: bytes, giving: tuple[Signing, common.Unit], taking: tuple[Signing, common.Unit]
    ) -> list[Recorded]:
        """Both halves of a handoff of one box without seals."""
        release = self.releases(giving[0], consignment, giving[1], taking[1])
        return [release, self.accepts(taking[0], consignment, release, taking[1])]

    def receives(self, by: Signing, unit: common.Unit, consignment: bytes, bag: str, box: str = BOX) -> Recorded:
        """A bag is taken out of its container."""
        return self.say(
            by,
            harvest.MaterialReceived(
                material=self.material(bag),
                consignment=consignment,
                container=box,
                unit=unit,
                coi_read=self.coi,
                din_read=self._din_of.get(bag, self.din),
                intact=True,
            ),
        )

    def travels(
        self, bags: Sequence[str], sender: tuple[Signing, common.Unit], receiver: tuple[Signing, common.Unit]
    ) -> bytes:
        """Bags go from one site to another by courier in one box; returns the consignment."""
        consignment = self.opens_consignment(sender[0], sender[1], receiver[1])
        for bag in bags:
            self.packs(sender[0], sender[1], consignment, bag)
        courier = (self.world.driver, self.world.van)
        self.hands_over(consignment, sender, courier)
        self.hands_over(consignment, courier, receiver)
        for bag in bags:
            self.receives(receiver[0], receiver[1], consignment, bag)
        return consignment

    # Modification.

    def accessions(self, *bags: str) -> Recorded:
        """Bags are taken into the batch."""
        return self.say(
            self.world.operator,
            modification.MaterialAccessioned(
                batch=self.batch,
                batch_number="B-1",
                materials=[self.material(bag) for bag in bags],
                unit=self.world.suite,
                attempt=1,
            ),
        )

    def checks_process(self, *bags: str) -> Recorded:
        """Two operators check what they are about to work on."""
        checked = self.say(
            self.world.operator,
            harvest.IdentityChecked(
                point=harvest.IDENTITY_POINT_PROCESS,
                coi_read=self.coi,
                materials=[self.material(bag) for bag in bags],
            ),
        )
        self.join(self.world.second_operator, checked)
        return checked

    def performs(
        self,
        step: type[
            modification.SelectionPerformed
            | modification.ActivationPerformed
            | modification.ExpansionPerformed
            | modification.FormulationPerformed
        ],
        inputs: Sequence[str],
        output: str,
        millilitres: int,
    ) -> Recorded:
        """A step of manufacturing, each material compared before it."""
        self.checks_process(*inputs)
        return self.say(
            self.world.operator,
            step(
                batch=self.batch,
                inputs=[self.material(one) for one in inputs],
                outputs=self.outputs(common.MATERIAL_KIND_INTERMEDIATE, millilitres, output),
                unit=self.world.suite,
                process_area="isolator-1",
            ),
        )

    def modifies(self, source: str, output: str, lot: bytes) -> Recorded:
        """Cells are modified with a lot of vector, compared before."""
        self.checks_process(source)
        return self.say(
            self.world.operator,
            modification.ModificationPerformed(
                batch=self.batch,
                inputs=[self.material(source)],
                outputs=self.outputs(common.MATERIAL_KIND_INTERMEDIATE, 90, output),
                unit=self.world.suite,
                process_area="isolator-1",
                vector_lot=common.LotUse(lot=lot, lot_number="V-1", kind="vector"),
                target_antigen="CD19",
            ),
        )

    def divides(self, whole: str) -> Recorded:
        """The formulated product becomes two bags, a sample and a retain."""
        return self.say(
            self.world.operator,
            modification.MaterialDivided(
                material=self.material(whole),
                outputs=[
                    *self.outputs(common.MATERIAL_KIND_PRODUCT, 60, "bag-1", "bag-2"),
                    *self.outputs(common.MATERIAL_KIND_SAMPLE, 6, "sample"),
                    *self.outputs(common.MATERIAL_KIND_RETAIN, 2, "retain"),
                ],
                lost=volume(2),
                unit=self.world.suite,
            ),
        )

    def reports(
        self, test: str, outcome: modification.ResultOutcome.ValueType = modification.RESULT_OUTCOME_PASS
    ) -> Recorded:
        """The contract laboratory reports a result on the sample."""
        return self.say(
            self.world.analyst,
            self.result(test, outcome),
        )

    def result(self, test: str, outcome: modification.ResultOutcome.ValueType) -> modification.ResultReported:
        """Returns the body of a result, with a value where the pack limits it."""
        limit = self.world.pack.limits_for(test)
        value = None
        if limit is not None and limit.has_limits:
            value = common.Quantity(
                mantissa=40 if outcome == modification.RESULT_OUTCOME_FAIL else 90,
                unit=limit.unit or "",
                comparator=common.COMPARATOR_EQUAL,
                basis=common.QUANTITY_BASIS_MEASURED,
            )
        return modification.ResultReported(
            sample=self.material("sample"),
            batch=self.batch,
            test=test,
            outcome=outcome,
            value=value,
            method=f"{test}-method-1",
            specification="specification-1",
        )

    def release_of_batch(self, *bags: str) -> modification.BatchReleased:
        """Returns the body of quality's release."""
        return modification.BatchReleased(
            batch=self.batch,
            materials=[self.material(bag) for bag in bags],
            certificate=document("certificate-of-analysis"),
            release_for_infusion=document("release-for-infusion"),
        )

    # Return.

    def conditions(self, *, stopped_before: int = 3 * DAY) -> Recorded:
        """Lymphodepletion was given, and is entered late; it stopped so long before now. Returns its end."""
        stopped_at = self.harness.clock - stopped_before
        body = returned.LymphodepletionStarted(unit=self.world.ward, course=1)
        started = self.say(self.world.nurse, body, at=stopped_at - DAY, signed_at=self.harness.clock)
        self.is_conditioned = True
        return self.say(
            self.world.nurse,
            returned.LymphodepletionStopped(started=started.statement_digest, completed=True),
            at=stopped_at,
            signed_at=self.harness.clock,
        )

    def issues(self, bag: str) -> Recorded:
        """The cell laboratory issues a bag to the ward, where a second nurse takes it; conditioning came before."""
        if not self.is_conditioned:
            self.conditions()
        issued = self.say(
            self.world.nurse,
            returned.MaterialIssued(
                material=self.material(bag), releaser=self.world.cell_lab, receiver=self.world.ward
            ),
        )
        self.join(self.world.second_nurse, issued)
        return issued

    def thaws(self, bag: str) -> Recorded:
        """A bag is thawed on the ward."""
        return self.say(
            self.world.nurse,
            returned.MaterialThawed(material=self.material(bag), unit=self.world.ward, intact=True),
        )

    def checks_bedside(self, bag: str) -> Recorded:
        """Two nurses compare patient and bag."""
        checked = self.say(self.world.nurse, self.bedside_check(bag))
        self.join(self.world.second_nurse, checked)
        return checked

    def starts_infusion(self, bag: str, check: Recorded) -> Recorded:
        """The infusion of a bag starts."""
        return self.say(
            self.world.nurse,
            returned.InfusionStarted(
                material=self.material(bag), unit=self.world.ward, bedside_check=check.statement_digest
            ),
        )

    def stops_infusion(
        self, bag: str, started: Recorded, outcome: returned.InfusionOutcome.ValueType, left: int = 0
    ) -> Recorded:
        """The infusion of a bag stops."""
        return self.say(
            self.world.nurse,
            returned.InfusionStopped(
                material=self.material(bag),
                started=started.statement_digest,
                outcome=outcome,
                remainder=volume(left) if left else None,
            ),
        )

    # Chapters.

    def to_the_collection(self, *bags: str) -> Course:
        """Tells up to labelled bags of the first day."""
        self.enrols()
        self.consents()
        self.collects(*(bags or ("apheresis",)))
        return self

    def to_the_plant(self, *bags: str) -> Course:
        """Tells up to the receipt at the plant."""
        world = self.world
        names = bags or ("apheresis",)
        self.to_the_collection(*names)
        self.travels(names, (world.nurse, world.apheresis), (world.operator, world.suite))
        return self

    def to_the_product(self) -> Course:
        """Tells up to labelled bags of product, a sample at the laboratory and a retain."""
        self.to_the_plant()
        self.makes_product("apheresis")
        return self

    def makes_product(self, *bags: str) -> list[Recorded]:
        """Manufacture, from the accession to the labels of two bags."""
        told = [self.accessions(*bags)]
        told.append(self.performs(modification.SelectionPerformed, bags, "selected", 90))
        told.append(self.performs(modification.ActivationPerformed, ["selected"], "activated", 90))
        told.append(self.modifies("activated", "modified", self.world.vector_lot()))
        told.append(self.performs(modification.ExpansionPerformed, ["modified"], "expanded", 900))
        told.append(self.performs(modification.FormulationPerformed, ["expanded"], "formulated", 130))
        told.append(self.divides("formulated"))
        for bag in ("bag-1", "bag-2"):
            told.append(self.labels(bag, by=self.world.operator, expires_at=self.harness.clock + 300 * DAY))
        return told

    def is_tested(self) -> list[Recorded]:
        """The sample goes to the contract laboratory, which reports and uses it up."""
        world = self.world
        self.travels(["sample"], (world.operator, world.suite), (world.analyst, world.bench))
        told = [self.reports(test) for test in ("identity", "sterility", "viability")]
        consumed = returned.MaterialConsumed(material=self.material("sample"), unit=world.bench)
        return [*told, self.say(world.analyst, consumed)]

    def is_released(self) -> Recorded:
        """Quality releases both bags, two persons; returns the statement that the second one joined."""
        released = self.say(self.world.reviewer, self.release_of_batch("bag-1", "bag-2"))
        self.join(self.world.second_reviewer, released, seen=self.harness.all_seen())
        return released

    def to_the_ward(self) -> Course:
        """Tells up to both bags in the hospital's cell laboratory."""
        world = self.world
        self.to_the_product()
        self.is_tested()
        self.is_released()
        self.travels(["bag-1", "bag-2"], (world.operator, world.suite), (world.nurse, world.cell_lab))
        return self

    def to_the_bedside(self, bag: str = "bag-1") -> Course:
        """Tells up to a thawed bag on the ward."""
        self.to_the_ward()
        self.issues(bag)
        self.thaws(bag)
        return self
