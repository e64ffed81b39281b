"""The small story at the hospital and the plant: collection, a correction, manufacture, tests, release."""

from __future__ import annotations

import os
import time

from google.protobuf.message import Message
from tests.e2e.thirty_questions.story_on_the_way import OnTheWay
from tests.e2e.thirty_questions.story_people import (
    ACCEPTED,
    APPROVED,
    FACILITY,
    VERIFIED,
    celsius,
    document,
    unit,
    volume,
)

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.identifiers import next_chain_of_identity, next_din
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import (
    common_pb2,
    harvest_pb2,
    modification_pb2,
    quality_pb2,
    return_pb2,
    transport_pb2,
)

__all__ = ["Making"]


class Making(OnTheWay):
    """Tells what is collected and made."""

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
