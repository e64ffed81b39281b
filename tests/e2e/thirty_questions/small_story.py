"""One therapy from harvest to infusion, as its people would enter it; every act is signed by whoever does it.

What goes otherwise than planned on the way, on purpose: a courier's leg is signed offline and delivered later; one of
two boxes is missing at the plant and found again; a logger shows a temperature outside its band; a storage position is
entered wrongly and corrected.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import StatementRefused
from cellcustody.clients.readiness import BedsideCertificates, ServiceKeys
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.identifiers import next_chain_of_identity, next_din
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import Opening, StreamKind, new_stream_id
from cellcustody.v1 import (
    common_pb2,
    harvest_pb2,
    modification_pb2,
    quality_pb2,
    return_pb2,
    statement_pb2,
    transport_pb2,
)
from demo.world import COLLECT, INFUSE, PROCESS, RELEASE, STORE, TEST, TRANSPORT, Person, World

__all__ = ["Story"]

FACILITY: Final = "A9999"  # The standard's own example.
WITNESSED: Final = statement_pb2.MEANING_WITNESSED
VERIFIED: Final = statement_pb2.MEANING_VERIFIED
APPROVED: Final = statement_pb2.MEANING_APPROVED
ACCEPTED: Final = statement_pb2.MEANING_ACCEPTED
MILLILITRES: Final = "mL"


def volume(millilitres: int) -> common_pb2.Quantity:
    """Returns a measured volume."""
    return common_pb2.Quantity(
        mantissa=millilitres,
        unit=MILLILITRES,
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_MEASURED,
    )


def celsius(degrees: int) -> common_pb2.Quantity:
    """Returns a measured temperature."""
    return common_pb2.Quantity(
        mantissa=degrees,
        unit="Cel",
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_MEASURED,
    )


def document(kind: str, content: bytes) -> common_pb2.Document:
    """Returns a document by digest."""
    return common_pb2.Document(sha256=hashlib.sha256(content).digest(), kind=kind, media_type="application/pdf")


def unit(person: Person, name: str = "") -> common_pb2.Unit:
    """Returns the unit that a person works in, or another of the same site."""
    return common_pb2.Unit(site=person.site, unit=name or person.unit)


@dataclass
class Story:
    """The therapy as it goes on; `done` counts statements by status."""

    world: World
    therapy: bytes = field(default_factory=lambda: new_stream_id(StreamKind.THERAPY, os.urandom))
    coi: str = ""
    done: dict[str, int] = field(default_factory=dict)

    # Telling. ------------------------------------------------------------------------------------------------------

    def say(self, by: Person, stream: bytes, body: Message, note: str = "", **options: object) -> Recorded:
        """Has a person sign and send an act, and tells what the ledger answered."""
        recorded = by.client.act(stream, body, **options)  # type: ignore[arg-type]  # Options are passed through as they are.
        self._tell(by, body.DESCRIPTOR.name, recorded, note)
        return recorded

    def join(self, by: Person, stream: bytes, digest: bytes, meaning: int, note: str = "") -> Recorded:
        """Has a second person join a statement."""
        recorded = by.client.co_sign(digest, stream, statement_pb2.Meaning.ValueType(meaning))
        self._tell(by, "co-signature", recorded, note)
        return recorded

    def _tell(self, by: Person, act: str, recorded: Recorded, note: str) -> None:
        name = recorded.status.name
        self.done[name] = self.done.get(name, 0) + 1
        codes = [one.code for one in recorded.findings if one.code != "CO_SIGNATURE_OUTSTANDING"]
        shown = f" [{' '.join(codes)}]" if codes else ""
        self.world.tell(
            f"  {recorded.position:>4}  {act:<24} {by.title:<40} {name}{shown}{'  ' + note if note else ''}"
        )

    def title(self, text: str) -> None:
        """Tells what part of the story begins."""
        self.world.tell(f"\n{text}")

    def refused(self, by: Person, stream: bytes, body: Message, why: str) -> None:
        """Has a person try what the rules must refuse."""
        try:
            by.client.act(stream, body)
        except StatementRefused as refusal:
            codes = " ".join(one.code for one in refusal.findings) or refusal.refusal_reason
            self.world.tell(f"     -  {body.DESCRIPTOR.name:<24} {by.title:<40} REFUSED [{codes}]  {why}")
        else:
            raise SystemExit(f"{body.DESCRIPTOR.name} should have been refused: {why}")

    def expect(self, recorded: Recorded, status: Status) -> Recorded:
        """Ends the demonstration if the ledger judged otherwise than the story says."""
        if recorded.status is not status:
            raise SystemExit(f"position {recorded.position}: {recorded.status.name}, not {status.name}")
        return recorded

    # The cast. -----------------------------------------------------------------------------------------------------

    def enrol_everyone(self) -> None:
        """Enrols hospital, courier, manufacturer and contract laboratory with their people, and publishes the pack."""
        world = self.world
        quorum = world.registrars()
        self.pack = world.publish_pack(quorum)
        hospital = world.enrol_site(
            quorum, "Hospital", [COLLECT, STORE, INFUSE], ["apheresis", "cell-lab", "ward", "pharmacy"]
        )
        courier = world.enrol_site(quorum, "Courier", [TRANSPORT], ["road"])
        plant = world.enrol_site(quorum, "Manufacturer", [PROCESS, STORE, RELEASE], ["suite-1", "quality"])
        laboratory = world.enrol_site(quorum, "Laboratory", [TEST, STORE], ["microbiology"])
        self.sites = {one.name: one for one in (hospital, courier, plant, laboratory)}
        self.physician = world.enrol(hospital, "treating_physician", "ward")
        self.nurse = world.enrol(hospital, "collection_nurse", "apheresis")
        self.second_nurse = world.enrol(hospital, "collection_nurse", "apheresis", "second nurse of Hospital")
        self.technician = world.enrol(hospital, "cell_lab_technician", "cell-lab")
        self.ward_nurse = world.enrol(hospital, "ward_nurse", "ward")
        self.second_ward_nurse = world.enrol(hospital, "ward_nurse", "ward", "second ward nurse of Hospital")
        self.driver = world.enrol(courier, "driver", "road")
        self.night_driver = world.enrol(courier, "driver", "road", "night driver of Courier")
        self.operator = world.enrol(plant, "manufacturing_operator", "suite-1")
        self.second_operator = world.enrol(
            plant, "manufacturing_operator", "suite-1", "second operator of Manufacturer"
        )
        self.reviewer = world.enrol(plant, "quality_reviewer", "quality")
        self.head_of_quality = world.enrol(plant, "quality_reviewer", "quality", "head of quality of Manufacturer")
        self.analyst = world.enrol(laboratory, "laboratory_analyst", "microbiology")
        counted = len(world.names)
        world.tell(
            f"  four sites and {counted - 4} people enrolled; policy pack {self.pack.product} {self.pack.jurisdiction}"
        )

    # The therapy. --------------------------------------------------------------------------------------------------

    def harvest(self) -> None:
        """Enrolment, consent, identity, two days of collection, labels."""
        self.title("Harvest at the hospital")
        year = time.gmtime().tm_year
        self.coi = next_chain_of_identity(FACILITY, year, int.from_bytes(os.urandom(2), "big") + 1).printed_compact
        self.patient = [
            common_pb2.PatientIdentifier(
                kind="medical_record_number", value="MRN-000000", method=common_pb2.READ_METHOD_SCANNED
            ),
            common_pb2.PatientIdentifier(kind="wristband", value="WB-000000", method=common_pb2.READ_METHOD_SCANNED),
        ]
        sites = self.sites
        self.expect(
            self.say(
                self.physician,
                self.therapy,
                harvest_pb2.TherapyEnrolled(
                    aliases=[common_pb2.Alias(scheme="isbt128-coi", value=self.coi)],
                    patient_identifiers=self.patient,
                    product=self.pack.product,
                    jurisdiction=self.pack.jurisdiction,
                    policy_digest=self.pack.digest,
                    treating_unit=unit(self.physician),
                    participants=[sites["Manufacturer"].site, sites["Laboratory"].site],
                    custodian_of_record=sites["Hospital"].site,
                ),
                self.coi,
            ),
            Status.IN_EFFECT,
        )
        self.say(
            self.physician,
            self.therapy,
            harvest_pb2.ConsentRecorded(
                scopes=[
                    harvest_pb2.CONSENT_SCOPE_COLLECTION,
                    harvest_pb2.CONSENT_SCOPE_MANUFACTURE,
                    harvest_pb2.CONSENT_SCOPE_DATA,
                    harvest_pb2.CONSENT_SCOPE_INFUSION,
                ],
                form_version="4",
                documents=[document("consent-form", b"form")],
            ),
        )
        self.bags: list[bytes] = []
        self.dins: list[str] = []
        for day in (1, 2):
            self._collect(day, year)

    def _collect(self, day: int, year: int) -> None:
        checked = self.say(
            self.nurse,
            self.therapy,
            harvest_pb2.IdentityChecked(
                point=harvest_pb2.IDENTITY_POINT_CHAIRSIDE, patient_identifiers=self.patient, coi_read=self.coi
            ),
            f"day {day}",
        )
        self.join(self.second_nurse, self.therapy, checked.statement_digest, VERIFIED)
        drawn = next_din(FACILITY, year, int.from_bytes(os.urandom(2), "big") * 10 + day)
        din = drawn.number + drawn.check_character
        started = self.say(
            self.nurse,
            self.therapy,
            harvest_pb2.CollectionStarted(day=day, din=din, unit=unit(self.nurse), equipment="apheresis-2"),
            din,
        )
        bag = os.urandom(16)
        self.expect(
            self.say(
                self.nurse,
                self.therapy,
                harvest_pb2.CollectionCompleted(
                    started=started.statement_digest,
                    outputs=[
                        common_pb2.NewMaterial(
                            material=bag, kind=common_pb2.MATERIAL_KIND_COLLECTION, quantity=volume(120)
                        )
                    ],
                    unit=unit(self.nurse),
                ),
            ),
            Status.CONFORMING,
        )
        self.say(
            self.nurse,
            self.therapy,
            harvest_pb2.LabelApplied(material=bag, din=din, coi=self.coi, product_code="S0999100", division="00"),
        )
        self.bags.append(bag)
        self.dins.append(din)
        moved = self.say(
            self.nurse,
            self.therapy,
            harvest_pb2.UnitTransferred(
                materials=[bag], releaser=unit(self.nurse), receiver=unit(self.nurse, "cell-lab")
            ),
            "to the cell laboratory",
        )
        self.join(self.technician, self.therapy, moved.statement_digest, ACCEPTED)

    def store_and_correct(self) -> None:
        """A storage position is entered wrongly, and corrected: both stay in the record."""
        wrong = self.say(self.technician, self.therapy, self._stored("tank-2/rack-9"), "a slip: rack 9")
        right = self._stored("tank-2/rack-6")
        right.replaces = wrong.statement_digest
        replacement = self.say(self.technician, self.therapy, right, "its replacement waits for the correction")
        self.technician.client.therapy(self.therapy)
        self.expect(
            self.say(
                self.technician,
                self.therapy,
                quality_pb2.StatementCorrected(
                    corrected=wrong.statement_digest,
                    replacement=replacement.statement_digest,
                    circumstances=common_pb2.Circumstances(
                        mode=common_pb2.ENTRY_MODE_DIRECT, reason="rack misread on the label"
                    ),
                ),
                "rack 9 corrected to rack 6",
            ),
            Status.IN_EFFECT,
        )

    def _stored(self, place: str) -> harvest_pb2.MaterialStored:
        return harvest_pb2.MaterialStored(
            material=self.bags[0],
            position=common_pb2.Position(unit=unit(self.technician), place=place),
            temperature=celsius(4),
        )

    def to_the_plant(self) -> None:
        """Two boxes by courier, signed offline on the road; one goes missing and is found."""
        self.title("To the manufacturer")
        self.outward = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
        self._open(self.technician, self.outward, self.operator, ["box-1", "box-2"], (2, 8))
        for bag, box in zip(self.bags, ["box-1", "box-2"], strict=True):
            self.say(
                self.technician,
                self.therapy,
                harvest_pb2.MaterialPacked(
                    material=bag,
                    consignment=self.outward,
                    container=box,
                    unit=unit(self.technician),
                    coi_read=self.coi,
                ),
                box,
            )
        self._seal(self.technician, self.outward, ["box-1", "box-2"])
        release = self._release(self.technician, self.outward, self.driver, ["box-1", "box-2"])

        self.world.tell("        the courier's tablet has no network: three acts are signed on the road")
        queued = self.driver.client.queued
        accepted = queued.act(
            self.outward, self._accepted(self.driver, release, {"box-1": 1, "box-2": 1}), meaning=ACCEPTED
        )
        queued.act(
            self.outward,
            transport_pb2.TransitCheckpointPassed(
                place="hub north", containers=["box-1"], seals=self._seals(["box-1"])
            ),
        )
        handover = queued.act(
            self.outward,
            transport_pb2.CustodyReleased(
                releaser=unit(self.driver),
                receiver=unit(self.operator),
                containers=["box-1", "box-2"],
                count=2,
                seals=self._seals(["box-1", "box-2"]),
                waybill="WB-1",
            ),
        )
        delivered = self.driver.client.deliver()
        self.world.tell(f"        back in reach: {len(delivered)} acts delivered from the outbox, in order")
        for outcome in delivered:
            if isinstance(outcome, StatementRefused):
                raise SystemExit(f"the outbox was refused: {outcome}")
            self._tell(self.driver, "from the outbox", outcome, "")
        del accepted

        self.expect(
            self.say(
                self.operator,
                self.outward,
                self._accepted(self.operator, handover.statement_digest, {"box-1": 1, "box-2": 3}),
                "box 2 is not there",
            ),
            Status.NONCONFORMING,
        )
        self.say(
            self.night_driver,
            self.outward,
            transport_pb2.PossessionReported(
                possessor=unit(self.night_driver), containers=["box-2"], place="hub north, cold room"
            ),
            "box 2 is found",
        )
        second = self._release(self.night_driver, self.outward, self.operator, ["box-2"])
        self.expect(
            self.say(self.operator, self.outward, self._accepted(self.operator, second, {"box-2": 1}), "box 2 arrives"),
            Status.CONFORMING,
        )
        self._inspect_and_decide()
        for bag, din, box in zip(self.bags, self.dins, ["box-1", "box-2"], strict=True):
            self.expect(self._receive(self.operator, self.outward, bag, din, box), Status.CONFORMING)

    def _inspect_and_decide(self) -> None:
        """The logger of box 2 shows an excursion: a hold stands until quality has decided on it."""
        inspected = self.expect(
            self.say(
                self.operator,
                self.outward,
                transport_pb2.ReceiptInspected(
                    unit=unit(self.operator),
                    containers=["box-1", "box-2"],
                    seals=self._seals(["box-1", "box-2"]),
                    loggers=[self._summary("box-1", 3, 6, 0), self._summary("box-2", 3, 11, 2400)],
                ),
                "the logger of box 2 was above 8 Cel for 40 minutes",
            ),
            Status.NONCONFORMING,
        )
        self.say(
            self.reviewer,
            self.outward,
            quality_pb2.DeviationRaised(
                reference="DEV-0001",
                scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_CONSIGNMENT, containers=["box-2"]),
                description="box left at a hub; 40 minutes above the band",
            ),
        )
        holds = [one.hold for one in self.reviewer.client.consignment(self.outward).holds]
        self.world.tell(f"        {len(holds)} holds stand on box 2 (missing at receipt; above its band)")
        if not inspected.holds_opened:
            raise SystemExit("the excursion opened no hold")
        missing = [hold for hold in holds if hold not in inspected.holds_opened]
        self.expect(
            self.say(
                self.reviewer,
                self.outward,
                quality_pb2.HoldLifted(
                    holds=missing,
                    disposition="found in the cold room; seals whole",
                    circumstances=common_pb2.Circumstances(
                        mode=common_pb2.ENTRY_MODE_DIRECT, reason="disposition DEV-0001"
                    ),
                ),
            ),
            Status.IN_EFFECT,
        )
        self.reviewer.client.refresh(self.therapy)
        self.expect(
            self.say(
                self.reviewer,
                self.therapy,
                transport_pb2.ConditionDisposed(
                    materials=[self.bags[1]],
                    holds=inspected.holds_opened,
                    inspection=inspected.statement_digest,
                    decision=transport_pb2.CONDITION_DECISION_ACCEPTED,
                    study_reference="STAB-0007",
                    study=document("stability-study", b"study"),
                    rationale="40 minutes below 11 Cel lie within the study",
                ),
                "quality accepts the bag on its stability study",
            ),
            Status.IN_EFFECT,
        )

    def manufacture(self) -> None:
        """Accession, steps, bags, samples to the contract laboratory, release by two persons."""
        self.title("Manufacturing")
        operator = self.operator
        self.lot = new_stream_id(StreamKind.LOT, os.urandom)
        year_ahead = (int(time.time()) + 365 * 86_400) * 1_000_000
        self.say(
            self.reviewer,
            self.lot,
            modification_pb2.LotRegistered(lot_number="VEC-042", kind="vector", expires_at_unix_micros=year_ahead),
        )
        self.say(
            self.reviewer, self.lot, modification_pb2.LotStatusChanged(status=modification_pb2.LOT_STATUS_RELEASED)
        )
        self.batch = os.urandom(16)
        self.say(
            operator,
            self.therapy,
            modification_pb2.MaterialAccessioned(
                batch=self.batch, batch_number="B-0001", materials=self.bags, unit=unit(operator), attempt=1
            ),
        )
        material = self._step(
            modification_pb2.SelectionPerformed(selected="CD4 and CD8"),
            self.bags,
            common_pb2.MATERIAL_KIND_INTERMEDIATE,
            90,
        )
        material = self._step(
            modification_pb2.ActivationPerformed(
                method=modification_pb2.ACTIVATION_METHOD_ANTIGEN_PRIMING,
                antigen="demo antigen",
                antigen_lot=common_pb2.LotUse(lot_number="ANT-007", kind="reagent"),
            ),
            [material],
            common_pb2.MATERIAL_KIND_INTERMEDIATE,
            95,
        )
        material = self._step(
            modification_pb2.ModificationPerformed(
                vector_lot=common_pb2.LotUse(lot=self.lot, lot_number="VEC-042", kind="vector"),
                target_antigen="demo antigen",
            ),
            [material],
            common_pb2.MATERIAL_KIND_INTERMEDIATE,
            95,
        )
        material = self._step(
            modification_pb2.ExpansionPerformed(culture_day=9), [material], common_pb2.MATERIAL_KIND_INTERMEDIATE, 900
        )
        filled = self._step(
            modification_pb2.FormulationPerformed(vehicle="cryoprotectant"),
            [material],
            common_pb2.MATERIAL_KIND_PRODUCT,
            145,
        )
        self._divide(filled)

    def _step(self, body: Message, inputs: list[bytes], kind: int, millilitres: int) -> bytes:
        checked = self.say(
            self.operator,
            self.therapy,
            harvest_pb2.IdentityChecked(point=harvest_pb2.IDENTITY_POINT_PROCESS, coi_read=self.coi, materials=inputs),
        )
        self.join(self.second_operator, self.therapy, checked.statement_digest, VERIFIED)
        output = os.urandom(16)
        common = modification_pb2.SelectionPerformed(
            batch=self.batch,
            inputs=inputs,
            outputs=[
                common_pb2.NewMaterial(
                    material=output,
                    kind=common_pb2.MaterialKind.ValueType(kind),
                    quantity=volume(millilitres),
                )
            ],
            unit=unit(self.operator),
            process_area="suite-1",
        )
        # The common fields of all steps have the same numbers.
        body.MergeFromString(common.SerializeToString())
        self.expect(self.say(self.operator, self.therapy, body), Status.CONFORMING)
        return output

    def _divide(self, filled: bytes) -> None:
        self.products = [os.urandom(16), os.urandom(16)]
        self.sample, self.retain = os.urandom(16), os.urandom(16)
        outputs = [
            common_pb2.NewMaterial(material=bag, kind=common_pb2.MATERIAL_KIND_PRODUCT, quantity=volume(68))
            for bag in self.products
        ]
        outputs.append(
            common_pb2.NewMaterial(material=self.sample, kind=common_pb2.MATERIAL_KIND_SAMPLE, quantity=volume(5))
        )
        outputs.append(
            common_pb2.NewMaterial(material=self.retain, kind=common_pb2.MATERIAL_KIND_RETAIN, quantity=volume(4))
        )
        self.expect(
            self.say(
                self.operator,
                self.therapy,
                modification_pb2.MaterialDivided(material=filled, outputs=outputs, unit=unit(self.operator)),
                "two product bags, a sample, a retain",
            ),
            Status.CONFORMING,
        )
        for index, bag in enumerate(self.products):
            self.say(
                self.operator,
                self.therapy,
                harvest_pb2.LabelApplied(
                    material=bag,
                    din=self.dins[0],
                    coi=self.coi,
                    product_code="S1999100",
                    division=f"{'AB'[index]}0",
                    expires_at_unix_micros=(int(time.time()) + 180 * 86_400) * 1_000_000,
                ),
            )

    def test_and_release(self) -> None:
        """A sample travels to the contract laboratory; quality releases when every result is in."""
        self.title("Testing and release")
        parcel = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
        self._open(self.operator, parcel, self.analyst, ["tube-box"], (2, 25))
        self.say(
            self.operator,
            self.therapy,
            harvest_pb2.MaterialPacked(
                material=self.sample,
                consignment=parcel,
                container="tube-box",
                unit=unit(self.operator),
                coi_read=self.coi,
            ),
        )
        self._seal(self.operator, parcel, ["tube-box"])
        release = self._release(self.operator, parcel, self.driver, ["tube-box"])
        self.say(self.driver, parcel, self._accepted(self.driver, release, {"tube-box": 1}))
        release = self._release(self.driver, parcel, self.analyst, ["tube-box"])
        self.say(self.analyst, parcel, self._accepted(self.analyst, release, {"tube-box": 1}))
        self.say(
            self.analyst,
            parcel,
            transport_pb2.ReceiptInspected(
                unit=unit(self.analyst),
                containers=["tube-box"],
                seals=self._seals(["tube-box"]),
                loggers=[self._summary("tube-box", 4, 9, 0)],
            ),
        )
        self._receive(self.analyst, parcel, self.sample, "", "tube-box")
        self.refused(self.reviewer, self.therapy, self._release_batch(), "no result is in yet")
        for test in sorted(self.pack.required_tests):
            self.expect(
                self.say(
                    self.analyst,
                    self.therapy,
                    modification_pb2.ResultReported(
                        sample=self.sample,
                        batch=self.batch,
                        test=test,
                        outcome=modification_pb2.RESULT_OUTCOME_PASS,
                        value=self._value(test),
                        phase=modification_pb2.RESULT_PHASE_RELEASE,
                        method=f"{test} method 3",
                        specification="2",
                    ),
                    test,
                ),
                Status.CONFORMING,
            )
        self.say(
            self.analyst,
            self.therapy,
            return_pb2.MaterialConsumed(material=self.sample, unit=unit(self.analyst)),
            "the sample is used up",
        )
        self.reviewer.client.refresh(self.therapy)
        pending = self.expect(self.say(self.reviewer, self.therapy, self._release_batch()), Status.PENDING)
        self.join(self.head_of_quality, self.therapy, pending.statement_digest, APPROVED, "the release takes effect")

    def _value(self, test: str) -> common_pb2.Quantity | None:
        """Returns a value within the pack's limits, where it limits the test."""
        limit = self.pack.limits_for(test)
        if limit is None or not limit.has_limits:
            return None
        return common_pb2.Quantity(
            mantissa=91,
            unit=limit.unit or "",
            comparator=common_pb2.COMPARATOR_EQUAL,
            basis=common_pb2.QUANTITY_BASIS_MEASURED,
        )

    def _release_batch(self) -> modification_pb2.BatchReleased:
        return modification_pb2.BatchReleased(
            batch=self.batch,
            materials=self.products,
            certificate=document("certificate", b"certificate"),
            release_for_infusion=document("release-for-infusion", b"release for infusion"),
        )

    def back_to_the_ward(self) -> None:
        """Back to the hospital, thawed, checked at the bedside and infused."""
        self.title("Return and infusion")
        self.homeward = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
        self._open(self.operator, self.homeward, self.technician, ["dewar"], (-196, -120))
        for bag in self.products:
            self.say(
                self.operator,
                self.therapy,
                harvest_pb2.MaterialPacked(
                    material=bag,
                    consignment=self.homeward,
                    container="dewar",
                    unit=unit(self.operator),
                    coi_read=self.coi,
                ),
            )
        self._seal(self.operator, self.homeward, ["dewar"])
        release = self._release(self.operator, self.homeward, self.driver, ["dewar"])
        self.say(self.driver, self.homeward, self._accepted(self.driver, release, {"dewar": 1}))
        release = self._release(self.driver, self.homeward, self.technician, ["dewar"])
        self.say(self.technician, self.homeward, self._accepted(self.technician, release, {"dewar": 1}))
        self.say(
            self.technician,
            self.homeward,
            transport_pb2.ReceiptInspected(
                unit=unit(self.technician),
                containers=["dewar"],
                seals=self._seals(["dewar"]),
                loggers=[self._summary("dewar", -180, -150, 0)],
            ),
        )
        for bag in self.products:
            self.expect(self._receive(self.technician, self.homeward, bag, self.dins[0], "dewar"), Status.CONFORMING)
        self.say(self.technician, self.homeward, transport_pb2.ConsignmentClosed(unit=unit(self.technician)))
        self._condition()
        self._infuse(self.products[0], return_pb2.INFUSION_OUTCOME_COMPLETE)
        self._infuse(self.products[1], return_pb2.INFUSION_OUTCOME_PARTIAL)
        destroyed = self.say(
            self.ward_nurse,
            self.therapy,
            return_pb2.MaterialDestroyed(
                material=self.products[1], unit=unit(self.ward_nurse), method="incineration", quantity=volume(20)
            ),
            "the remainder",
        )
        self.join(self.second_ward_nurse, self.therapy, destroyed.statement_digest, WITNESSED)
        self.say(
            self.physician,
            self.therapy,
            return_pb2.ReactionObserved(
                reaction=return_pb2.REACTION_KIND_CRS, grade=1, description="fever", materials=self.products
            ),
        )
        self.say(
            self.operator,
            self.therapy,
            return_pb2.MaterialArchived(
                material=self.retain,
                position=common_pb2.Position(unit=unit(self.operator), place="archive/1"),
                kept_until_unix_micros=(int(time.time()) + 30 * 365 * 86_400) * 1_000_000,
            ),
            "the retain",
        )
        self.say(self.physician, self.therapy, return_pb2.FollowUpRecorded(visit="month-1", observations="well"))
        self.physician.client.refresh(self.therapy)
        self.expect(
            self.say(
                self.physician,
                self.therapy,
                return_pb2.TherapyClosed(
                    kept_until_unix_micros=(int(time.time()) + 30 * 365 * 86_400) * 1_000_000,
                ),
            ),
            Status.IN_EFFECT,
        )

    def _condition(self) -> None:
        """Lymphodepletion was given days ago on the ward, and is entered now."""
        now = datetime.now(UTC)
        started = self.say(
            self.physician,
            self.therapy,
            return_pb2.LymphodepletionStarted(unit=unit(self.physician), course=1),
            "entered late",
            occurred_at=now - timedelta(days=6),
        )
        self.say(
            self.physician,
            self.therapy,
            return_pb2.LymphodepletionStopped(started=started.statement_digest, completed=True),
            "three days before the infusion",
            occurred_at=now - timedelta(days=3),
        )

    def _infuse(self, bag: bytes, outcome: int) -> None:
        issued = self.say(
            self.technician,
            self.therapy,
            return_pb2.MaterialIssued(material=bag, releaser=unit(self.technician), receiver=unit(self.ward_nurse)),
        )
        self.join(self.ward_nurse, self.therapy, issued.statement_digest, ACCEPTED)
        self.say(
            self.ward_nurse,
            self.therapy,
            return_pb2.MaterialThawed(material=bag, unit=unit(self.ward_nurse), equipment="bath-1", intact=True),
        )
        check = return_pb2.BedsideChecked(
            material=bag,
            patient_identifiers=self.patient,
            coi_read=self.coi,
            din_read=self.dins[0],
            patient_present=True,
        )
        if outcome == return_pb2.INFUSION_OUTCOME_PARTIAL:
            check.readiness_certificate = self._certificate(bag)
        checked = self.say(self.ward_nurse, self.therapy, check)
        self.join(self.second_ward_nurse, self.therapy, checked.statement_digest, VERIFIED)
        ready = self.ward_nurse.client.readiness(bag)
        if not ready.ready:
            raise SystemExit("not ready: " + " ".join(one.code for one in ready.reasons))
        self.world.tell("        readiness: yes")
        started = self.expect(
            self.say(
                self.ward_nurse,
                self.therapy,
                return_pb2.InfusionStarted(
                    material=bag, unit=unit(self.ward_nurse), bedside_check=checked.statement_digest
                ),
            ),
            Status.CONFORMING,
        )
        stopped = return_pb2.InfusionStopped(
            material=bag, started=started.statement_digest, outcome=return_pb2.InfusionOutcome.ValueType(outcome)
        )
        if outcome == return_pb2.INFUSION_OUTCOME_PARTIAL:
            stopped.remainder.CopyFrom(volume(20))
        self.say(self.ward_nurse, self.therapy, stopped)

    def _certificate(self, bag: bytes) -> bytes:
        """Fetches the ledger's certificate for a bag, and verifies it as the ward does when its network is gone."""
        client = self.ward_nurse.client
        founding = client.entry(leaf_index=0)
        keys = ServiceKeys.of_founding(
            parse_anchor(self.world.founded.anchor.read_bytes()),
            read_entry(founding.entry).envelope,
            [Opening(one.index, one.salt, one.record) for one in founding.openings],
        )
        kept = BedsideCertificates(self.world.folder / "certificates", keys, lambda: time.time_ns() // 1000)
        kept.preload(client, [bag])
        found = kept.certificate_for(bag)
        self.world.tell(
            f"        a readiness certificate at position {found.certificate.position}, verified without a network"
        )
        return found.envelope

    # Consignments. -------------------------------------------------------------------------------------------------

    def _open(self, by: Person, stream: bytes, to: Person, boxes: list[str], band: tuple[int, int]) -> None:
        year_ahead = (int(time.time()) + 365 * 86_400) * 1_000_000
        self.say(
            by,
            stream,
            transport_pb2.ConsignmentOpened(
                unit=unit(by),
                consignment_number=f"C-{stream.hex()[2:10]}",
                containers=[
                    common_pb2.Container(
                        container=box,
                        kind="cooler",
                        asset=f"SHIPPER-{box}",
                        qualified_until_unix_micros=year_ahead,
                        logger=f"LOGGER-{box}",
                    )
                    for box in boxes
                ],
                destination=unit(to),
                carrier=self.driver.site,
            ),
        )
        for box in boxes:
            self.say(
                by,
                stream,
                transport_pb2.LoggerStarted(
                    container=box,
                    logger=f"LOGGER-{box}",
                    calibrated_until_unix_micros=year_ahead,
                    interval_seconds=300,
                    band_min=celsius(band[0]),
                    band_max=celsius(band[1]),
                ),
            )

    def _seal(self, by: Person, stream: bytes, boxes: list[str]) -> None:
        for box in boxes:
            self.say(by, stream, transport_pb2.SealApplied(container=box, seal=f"SEAL-{box}"))

    def _seals(self, boxes: list[str]) -> list[common_pb2.SealReading]:
        return [common_pb2.SealReading(container=box, seal=f"SEAL-{box}", intact=True) for box in boxes]

    def _release(self, by: Person, stream: bytes, to: Person, boxes: list[str]) -> bytes:
        return self.say(
            by,
            stream,
            transport_pb2.CustodyReleased(
                releaser=unit(by),
                receiver=unit(to),
                containers=boxes,
                count=len(boxes),
                seals=self._seals(boxes),
                waybill="WB-1",
            ),
            f"to {self.world.names[to.site]}",
        ).statement_digest

    def _accepted(self, by: Person, release: bytes, outcomes: dict[str, int]) -> transport_pb2.CustodyAccepted:
        there = [box for box, outcome in outcomes.items() if outcome == common_pb2.LINE_OUTCOME_ACCEPTED]
        return transport_pb2.CustodyAccepted(
            release=release,
            receiver=unit(by),
            lines=[
                common_pb2.HandoffLine(container=box, outcome=common_pb2.LineOutcome.ValueType(outcome))
                for box, outcome in outcomes.items()
            ],
            count=len(there),
            seals=self._seals(there),
        )

    def _receive(self, by: Person, consignment: bytes, bag: bytes, din: str, box: str) -> Recorded:
        return self.say(
            by,
            self.therapy,
            transport_receipt(bag, consignment, box, unit(by), din, self.coi),
            box,
        )

    def _summary(self, box: str, low: int, high: int, outside: int) -> common_pb2.LoggerSummary:
        now = int(time.time()) * 1_000_000  # The whole way takes seconds here; it lies within an interval.
        return common_pb2.LoggerSummary(
            logger=f"LOGGER-{box}",
            file=common_pb2.Document(
                sha256=hashlib.sha256(box.encode()).digest(), kind="logger-file", media_type="text/csv"
            ),
            temperature_min=celsius(low),
            temperature_max=celsius(high),
            temperature_mean_kinetic=celsius((low + high) // 2),
            out_of_band_seconds=outside,
            longest_out_of_band_seconds=outside,
            interval_seconds=300,
            first_reading_unix_micros=now,
            last_reading_unix_micros=now,
            readings=576,
            condition=common_pb2.CONDITION_OUT_OF_RANGE if outside else common_pb2.CONDITION_IN_RANGE,
        )


def transport_receipt(
    bag: bytes, consignment: bytes, box: str, at: common_pb2.Unit, din: str, coi: str
) -> harvest_pb2.MaterialReceived:
    """Returns the receipt of one material out of a container."""
    return harvest_pb2.MaterialReceived(
        material=bag, consignment=consignment, container=box, unit=at, din_read=din, coi_read=coi, intact=True
    )
