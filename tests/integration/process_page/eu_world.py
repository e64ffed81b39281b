"""A ledger under the shipped EU pack, with everybody and everything that the pack asks for, and courses told in it.

A `Course` of the recording tests tells a lean pack; an `EuCourse` tells the whole page: screening, slot, kit, labels
read back and counted, qualified equipment and ways, loggers read out, pairs of persons, doses, filling and freezing.
What a chapter tells conforms, and it says so: an act that does not is a failure of the chapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from courses import ALL_SCOPES, DAY, MINUTE, Course, codes, document, read, status
from google.protobuf.message import Message
from ledger_harness import LedgerHarness, Signing

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.identifiers import ChainOfIdentity, Din
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import registry_pb2 as registry
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

EU_PACK = "cellcustody-sample-product-eu-1"
HOUR = 60 * MINUTE
SHIPPER, COOLER, LOGGER, ISOLATOR, FREEZER = "DEWAR-1", "COOLER-1", "LOGGER-1", "ISOLATOR-1", "FREEZER-1"
QUALIFIED_FOR = 900 * DAY
REASON = common.Circumstances(reason="a reason")
_BANDS = {"fresh": (2_000, 8_000), "frozen": (-196_000, -120_000), "sample": (2_000, 25_000)}


def exact(mantissa: int, unit: str, exponent: int = 0) -> common.Quantity:
    """Returns a measured quantity."""
    return common.Quantity(
        mantissa=mantissa,
        exponent=exponent,
        unit=unit,
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def scanned(raw: str) -> common.Scan:
    """Returns what a scanner read."""
    return common.Scan(raw=raw, method=common.READ_METHOD_SCANNED)


def conforms(recorded: Recorded) -> Recorded:
    """Returns what was recorded; fails unless nothing stands against it."""
    assert status(recorded) in (Status.CONFORMING, Status.IN_EFFECT, Status.PENDING), codes(recorded)
    return recorded


class EuWorld:
    """Hospital, courier, plant and laboratory under the shipped EU pack, with lots, equipment and qualified ways."""

    def __init__(self, folder: Path) -> None:
        self.harness = harness = LedgerHarness(folder)
        harness.found()
        raw = sample_pack_bytes(EU_PACK)
        self.pack = PolicyPack.parse(raw)
        harness.by_quorum(
            single_stream_id(StreamKind.POLICY),
            registry.PolicyPublished(
                product=self.pack.product, jurisdiction=self.pack.jurisdiction, version=self.pack.version, pack=raw
            ),
        )
        capability = options
        self.hospital, self.hospital_administrators = harness.site(
            "hospital", capability.CAPABILITY_COLLECT, capability.CAPABILITY_STORE, capability.CAPABILITY_INFUSE
        )
        self.other_hospital, other = harness.site(
            "other hospital", capability.CAPABILITY_COLLECT, capability.CAPABILITY_STORE, capability.CAPABILITY_INFUSE
        )
        self.courier, courier = harness.site("courier", capability.CAPABILITY_TRANSPORT)
        self.plant, plant = harness.site(
            "plant", capability.CAPABILITY_STORE, capability.CAPABILITY_PROCESS, capability.CAPABILITY_RELEASE
        )
        self.laboratory, laboratory = harness.site("laboratory", capability.CAPABILITY_TEST)
        self._administrators = {
            self.hospital: self.hospital_administrators[0],
            self.other_hospital: other[0],
            self.courier: courier[0],
            self.plant: plant[0],
            self.laboratory: laboratory[0],
        }
        self.nurse = self.enrol("collection_nurse", self.hospital)
        self.second_nurse = self.enrol("collection_nurse", self.hospital)
        self.technician = self.enrol("cell_lab_technician", self.hospital)
        self.ward_nurse = self.enrol("ward_nurse", self.hospital)
        self.second_ward_nurse = self.enrol("ward_nurse", self.hospital)
        self.physician = self.enrol("physician", self.hospital)
        self.stranger = self.enrol("collection_nurse", self.other_hospital)
        self.driver = self.enrol("driver", self.courier)
        self.second_driver = self.enrol("driver", self.courier)
        self.operator = self.enrol("manufacturing_operator", self.plant)
        self.second_operator = self.enrol("manufacturing_operator", self.plant)
        self.reviewer = self.enrol("quality_reviewer", self.plant)
        self.second_reviewer = self.enrol("quality_reviewer", self.plant)
        self.qualified_person = self.enrol("qualified_person", self.plant)
        self.analyst = self.enrol("laboratory_analyst", self.laboratory)
        self.apheresis = common.Unit(site=self.hospital, unit="apheresis")
        self.cell_lab = common.Unit(site=self.hospital, unit="cell-lab")
        self.ward = common.Unit(site=self.hospital, unit="ward")
        self.van = common.Unit(site=self.courier)
        self.suite = common.Unit(site=self.plant, unit="suite")
        self.bench = common.Unit(site=self.laboratory, unit="bench")
        self.lots = {kind: self.new_lot(kind) for kind in sorted(self.pack.lot_kinds)}
        self.qualifications: dict[str, Recorded] = {}
        self.assets: dict[str, bytes] = {}
        for asset, kind, by, owner in (
            (SHIPPER, "shipper", self.driver, self.van),
            (COOLER, "shipper", self.driver, self.van),
            (LOGGER, "logger", self.driver, self.van),
            (ISOLATOR, "isolator", self.operator, self.suite),
            (FREEZER, "controlled_rate_freezer", self.operator, self.suite),
        ):
            self.register(asset, kind, by, owner)
        self.qualify_ways()
        self.courses = 0

    def enrol(self, role: str, site: bytes) -> Signing:
        """Enrols a trained person."""
        until = self.harness.clock + QUALIFIED_FOR
        return self.harness.enrol(role, site, self._administrators[site], trained_until=until)

    def new_lot(self, kind: str, *, released: bool = True, expires_after: int = QUALIFIED_FOR) -> common.LotUse:
        """Registers a lot, and releases it."""
        harness = self.harness
        lot = harness.new_stream(StreamKind.LOT)
        number = f"{kind}-{lot[1:4].hex()}"
        body = modification.LotRegistered(
            lot_number=number, kind=kind, expires_at_unix_micros=harness.clock + expires_after
        )
        conforms(harness.say(self.operator, lot, body))
        if released:
            self.quality_says(lot, modification.LOT_STATUS_RELEASED)
        return common.LotUse(lot=lot, lot_number=number, kind=kind)

    def quality_says(self, lot: bytes, standing: modification.LotStatus.ValueType) -> Recorded:
        """Quality releases, quarantines or recalls a lot."""
        return self.harness.say(self.reviewer, lot, modification.LotStatusChanged(status=standing))

    def register(self, asset: str, kind: str, by: Signing, owner: common.Unit, *, valid: int = QUALIFIED_FOR) -> bytes:
        """Registers equipment and qualifies it; returns its stream."""
        stream = self.harness.new_stream(StreamKind.EQUIPMENT)
        conforms(self.harness.say(by, stream, facilities.EquipmentRegistered(asset=asset, kind=kind, owner=owner)))
        sort = (
            facilities.QUALIFICATION_KIND_CALIBRATION if kind == "logger" else facilities.QUALIFICATION_KIND_EQUIPMENT
        )
        self.qualifications[asset] = conforms(self.harness.say(by, stream, self.qualification(sort, valid=valid)))
        self.assets[asset] = stream
        return stream

    def qualification(
        self, kind: facilities.QualificationKind.ValueType, *, valid: int = QUALIFIED_FOR
    ) -> facilities.QualificationRecorded:
        """Returns a qualification in force since yesterday."""
        return facilities.QualificationRecorded(
            kind=kind,
            valid_from_unix_micros=self.harness.clock - DAY,
            valid_until_unix_micros=self.harness.clock + valid,
            reference="Q-1",
            evidence=document("qualification"),
        )

    def qualify_ways(self) -> None:
        """The plant qualifies the courier and each way."""
        stream = bytes([StreamKind.SITE]) + self.courier
        self.qualifications["courier"] = self.harness.say(
            self.reviewer, stream, self.qualification(facilities.QUALIFICATION_KIND_COURIER)
        )
        for origin, destination in (
            (self.hospital, self.plant),
            (self.plant, self.hospital),
            (self.plant, self.laboratory),
        ):
            body = self.qualification(facilities.QUALIFICATION_KIND_LANE)
            body.lane.origin, body.lane.destination = origin, destination
            conforms(self.harness.say(self.reviewer, stream, body))

    def new_course(self) -> EuCourse:
        """Returns a therapy of which nothing is told yet."""
        self.courses += 1
        return EuCourse(self, self.courses)


class EuCourse(Course):
    """One therapy under the EU pack, told act by act; what a chapter tells conforms."""

    def __init__(self, world: EuWorld, number: int) -> None:
        super().__init__(world, number)  # type: ignore[arg-type]  # What a course asks of its world, this one has too.
        self.eu = world
        self.area = f"closed set {number}"
        self.attempt = 1
        self.expiry: dict[str, int] = {}
        self.spare: list[str] = []
        self.slot = b""
        self.kit = b""
        self._serials = 0
        self._tallies: dict[tuple[bytes, str], list[int]] = {}

    @property
    def state(self) -> TherapyState:
        """The therapy folded anew from what is stored."""
        return self.harness.therapy(self.stream).state

    def does(self, by: Signing, body: Message, **details: int) -> Recorded:
        """Says something that nothing stands against."""
        return conforms(self.say(by, body, **details))  # type: ignore[arg-type]  # Details of a header by name.

    def by_two(self, by: Signing, second: Signing, body: Message) -> Recorded:
        """Says something that another person joins a minute later, and nothing stands against."""
        told = self.does(by, body)
        seen = self.harness.all_seen(self.stream, *self.harness.therapy(self.stream).cited)
        self.join(second, told, seen=seen)
        return told

    # 1 to 5: before the collection.

    def enrolment(self) -> harvest.TherapyEnrolled:
        body = super().enrolment()
        return body

    def enrols(self) -> Recorded:
        return self.does(self.eu.physician, self.enrolment())

    def consents(self, *scopes: harvest.ConsentScope.ValueType) -> Recorded:
        body = harvest.ConsentRecorded(
            scopes=scopes or ALL_SCOPES, form_version="4", documents=[document("consent-form")]
        )
        return self.does(self.eu.physician, body)

    def screening(self, *, left_out: Sequence[str] = (), age: int = DAY) -> harvest.DonorScreened:
        """Returns the body of a screening of all that the pack asks for."""
        markers = sorted(self.eu.pack.eligibility.markers)
        return harvest.DonorScreened(
            sample_taken_at_unix_micros=self.harness.clock - age,
            markers=[harvest.MarkerTested(marker=one, evaluated=one not in left_out) for one in markers],
            results=[
                harvest.MarkerResult(marker=one, outcome=harvest.MARKER_OUTCOME_NON_REACTIVE)
                for one in markers
                if one not in left_out
            ],
            biohazard=harvest.BIOHAZARD_NEGATIVE,
            laboratory="hospital laboratory",
        )

    def books_slot(self) -> bytes:
        """The plant books a slot."""
        clock = self.harness.clock
        body = harvest.SlotReserved(
            slot=f"S-{self.attempt}",
            unit=self.eu.suite,
            attempt=self.attempt,
            collect_from_unix_micros=clock,
            collect_until_unix_micros=clock + 5 * DAY,
            manufacture_from_unix_micros=clock + DAY,
            pick_up_from_unix_micros=clock,
            pick_up_until_unix_micros=clock + 6 * DAY,
        )
        self.slot = self.does(self.eu.operator, body).statement_digest
        return self.slot

    def kit_received(self, lot: common.LotUse | None = None) -> harvest.KitReceived:
        """Returns the body of a kit's receipt, with three labels."""
        self.spare = [self.new_serial() for _ in range(3)]
        return harvest.KitReceived(
            lot=lot or self.eu.lots["kit"],
            kit_serial=f"KIT-{self.spare[0]}",
            expires_at_unix_micros=self.harness.clock + 100 * DAY,
            label_serials=self.spare,
            labels_counted=len(self.spare),
            unit=self.eu.apheresis,
            intact=True,
        )

    def receives_kit(self, lot: common.LotUse | None = None) -> bytes:
        """A kit is received and its labels counted in."""
        self.kit = self.does(self.eu.nurse, self.kit_received(lot)).statement_digest
        self._tally(self.eu.apheresis)[0] += len(self.spare)
        return self.kit

    def prepares(self) -> EuCourse:
        """Tells what comes before the chair."""
        self.enrols()
        self.consents()
        self.does(
            self.eu.physician,
            harvest.EligibilityAssessed(outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, criteria_version="2"),
        )
        self.does(self.eu.physician, self.screening())
        self.books_slot()
        self.receives_kit()
        return self

    def compares(self, by: Signing, second: Signing, point: harvest.IdentityPoint.ValueType, *names: str) -> Recorded:
        """Two persons compare materials with the therapy, at the chair also the patient."""
        body = harvest.IdentityChecked(
            point=point,
            patient_identifiers=read() if point == harvest.IDENTITY_POINT_CHAIRSIDE else [],
            coi_read=self.coi,
            materials=[self.material(one) for one in names],
        )
        return self.by_two(by, second, body)

    def at_the_chair(self) -> Recorded:
        """Two nurses check the patient at the chair."""
        return self.compares(self.eu.nurse, self.eu.second_nurse, harvest.IDENTITY_POINT_CHAIRSIDE)

    # 6 to 8: collection, labels, fresh hold.

    def collection_start(self, day: int = 1) -> harvest.CollectionStarted:
        """Returns the body of a collection's start."""
        return harvest.CollectionStarted(
            day=day,
            din=self.new_din(),
            unit=self.eu.apheresis,
            attempt=self.attempt,
            equipment="",
            software="7.2",
            anticoagulant="ACD-A",
            kit=self.kit,
            slot=self.slot,
        )

    def collects(self, *bags: str, day: int = 1) -> list[Recorded]:
        self.at_the_chair()
        started = self.does(self.eu.nurse, self.collection_start(day))
        body = harvest.CollectionCompleted(
            started=started.statement_digest,
            outputs=self.outputs(common.MATERIAL_KIND_COLLECTION, 100, *bags),
            unit=self.eu.apheresis,
            measurements=[common.Measurement(name="TNC", quantity=exact(80, "{cells}", 8))],
            blood_processed=exact(12, "L"),
            anticoagulant_used=exact(900, "mL"),
            tolerance="well",
        )
        told = [started, self.does(self.eu.nurse, body)]
        self.puts_labels(self.eu.nurse, self.eu.second_nurse, self.eu.apheresis, bags, self.spare)
        return told

    def new_serial(self) -> str:
        """Returns a label's serial of its own."""
        self._serials += 1
        return f"L{self._number}-{self._serials}"

    def _tally(self, unit: common.Unit) -> list[int]:
        return self._tallies.setdefault((unit.site, unit.unit), [0, 0, 0])

    def label(self, bag: str, serial: str) -> harvest.LabelApplied:
        """Returns the body of a label on a bag."""
        self._din_of[bag] = self.din
        body = harvest.LabelApplied(
            material=self.material(bag),
            din=self.din,
            coi=self.coi,
            product_code="S1128TA0",
            label_serial=serial,
            texts=["FOR AUTOLOGOUS USE ONLY"],
        )
        if bag in self.expiry:
            body.expires_at_unix_micros = self.expiry[bag]
        return body

    def read_back(self, applied: Recorded, bag: str) -> labels.LabelReadBack:
        """Returns the body of a second person's scan of a label."""
        return labels.LabelReadBack(
            applied=applied.statement_digest,
            material=self.material(bag),
            scans=[
                scanned(ChainOfIdentity.parse_printed(self.coi).wire()),
                scanned(Din.parse_printed(self._din_of[bag]).wire()),
            ],
        )

    def puts_labels(
        self, by: Signing, second: Signing, unit: common.Unit, bags: Sequence[str], serials: Sequence[str]
    ) -> None:
        """Labels are applied and read back; what is left is returned, and all are counted."""
        for bag, serial in zip(bags, serials, strict=False):
            applied = self.does(by, self.label(bag, serial))
            self.does(second, self.read_back(applied, bag))
        left = list(serials[len(bags) :])
        if left:
            self.does(by, labels.LabelsReturned(serials=left, unit=unit))
        tally = self._tally(unit)
        tally[1] += len(bags)
        tally[2] += len(left)
        self.does(by, labels.LabelsReconciled(unit=unit, printed=tally[0], applied=tally[1], returned=tally[2]))

    def stores(self, by: Signing, unit: common.Unit, bag: str, degrees: int) -> Recorded:
        """A bag is put into a store."""
        body = harvest.MaterialStored(
            material=self.material(bag),
            position=common.Position(unit=unit, place="tank-1/rack-2"),
            temperature=exact(degrees, "Cel"),
        )
        return self.does(by, body)

    def to_the_collection(self, *bags: str) -> EuCourse:
        names = bags or ("apheresis",)
        self.prepares()
        self.collects(*names)
        self.does(
            self.eu.nurse,
            harvest.FreshHoldStarted(
                materials=[self.material(one) for one in names],
                position=common.Position(unit=self.eu.apheresis, place="fridge"),
                temperature=exact(4, "Cel"),
            ),
        )
        return self

    # 9 to 12, 23, 24: the way.

    def consignment_to(
        self, by: Signing, unit: common.Unit, destination: common.Unit, shipper: str = SHIPPER, logger: str = LOGGER
    ) -> bytes:
        """A consignment is opened with one shipper, its logger declared."""
        stream = self.harness.new_stream(StreamKind.CONSIGNMENT)
        ahead = self.harness.clock + 300 * DAY
        body = transport.ConsignmentOpened(
            unit=unit,
            consignment_number=f"C-{stream[1:5].hex()}",
            containers=[
                common.Container(
                    container=shipper,
                    kind="dry_shipper",
                    asset=shipper,
                    qualified_until_unix_micros=ahead,
                    logger=logger,
                    number=1,
                    number_of=1,
                    coolant="liquid nitrogen",
                    coolant_mass=exact(12, "kg"),
                    coolant_until_unix_micros=self.harness.clock + 10 * DAY,
                    coi=self.coi,
                )
            ],
            destination=destination,
            carrier=self.eu.courier,
        )
        conforms(self.harness.say(by, stream, body))
        return stream

    def starts_leg(self, by: Signing, stream: bytes, state: str, shipper: str = SHIPPER, logger: str = LOGGER) -> int:
        """A logger is started in a band; returns when."""
        least, most = _BANDS[state]
        body = transport.LoggerStarted(
            container=shipper,
            logger=logger,
            calibrated_until_unix_micros=self.harness.clock + 300 * DAY,
            interval_seconds=300,
            band_min=exact(least, "Cel", -3),
            band_max=exact(most, "Cel", -3),
        )
        conforms(self.harness.say(by, stream, body))
        return self.harness.clock

    def packing(self, bag: str, stream: bytes, unit: common.Unit, shipper: str = SHIPPER) -> harvest.MaterialPacked:
        """Returns the body of a packing."""
        return harvest.MaterialPacked(
            material=self.material(bag), consignment=stream, container=shipper, unit=unit, coi_read=self.coi
        )

    def seal_readings(self, shipper: str = SHIPPER) -> list[common.SealReading]:
        """Returns the seal as read, whole."""
        return [common.SealReading(container=shipper, seal=f"SEAL-{shipper}", intact=True)]

    def hands(
        self, stream: bytes, giving: tuple[Signing, common.Unit], taking: tuple[Signing, common.Unit]
    ) -> list[Recorded]:
        """Both halves of a handoff of the sealed shipper."""
        seals = self.seal_readings()
        release = conforms(self.releases(giving[0], stream, giving[1], taking[1], [SHIPPER], seals))
        return [release, conforms(self.accepts(taking[0], stream, release, taking[1], [SHIPPER], (), seals))]

    def summary(self, began: int, state: str, *, outside: int = 0) -> common.LoggerSummary:
        """Returns what the logger shows of a leg that began then; `outside` seconds above its band."""
        least, most = _BANDS[state]
        middle = 5_000 if state == "fresh" else -150_000 if state == "frozen" else 10_000
        highest = most + 3_000 if outside else middle + 1_000
        return common.LoggerSummary(
            logger=LOGGER,
            file=document(f"logger-file-{began}"),
            temperature_min=exact(middle - 1_000, "Cel", -3),
            temperature_max=exact(highest, "Cel", -3),
            temperature_mean_kinetic=exact(middle, "Cel", -3),
            activation_energy_joules_per_mole=83_144,
            out_of_band_seconds=outside,
            longest_out_of_band_seconds=outside,
            above_band_seconds=outside,
            interval_seconds=300,
            first_reading_unix_micros=began,
            last_reading_unix_micros=self.harness.clock,
            readings=100,
            band_min=exact(least, "Cel", -3),
            band_max=exact(most, "Cel", -3),
            condition=common.CONDITION_OUT_OF_RANGE if outside else common.CONDITION_IN_RANGE,
        )

    def inspection(self, unit: common.Unit, *summaries: common.LoggerSummary) -> transport.ReceiptInspected:
        """Returns the body of a receipt's inspection."""
        return transport.ReceiptInspected(
            unit=unit, containers=[SHIPPER], seals=self.seal_readings(), loggers=summaries
        )

    def receipt(self, bag: str, stream: bytes, unit: common.Unit) -> harvest.MaterialReceived:
        """Returns the body of taking a bag out."""
        return harvest.MaterialReceived(
            material=self.material(bag),
            consignment=stream,
            container=SHIPPER,
            unit=unit,
            coi_read=self.coi,
            din_read=self._din_of.get(bag, self.din),
            intact=True,
        )

    def leaves(self, bags: Sequence[str], sender: tuple[Signing, common.Unit], to: common.Unit, state: str) -> bytes:
        """Bags are packed, sealed, and handed to the courier; returns the consignment."""
        stream = self.consignment_to(sender[0], sender[1], to)
        self.began = self.starts_leg(sender[0], stream, state)
        for bag in bags:
            self.does(sender[0], self.packing(bag, stream, sender[1]))
        sealed = transport.SealApplied(container=SHIPPER, seal=f"SEAL-{SHIPPER}")
        conforms(self.harness.say(sender[0], stream, sealed))
        self.hands(stream, sender, (self.eu.driver, self.eu.van))
        return stream

    def travels_to(
        self,
        bags: Sequence[str],
        sender: tuple[Signing, common.Unit],
        receiver: tuple[Signing, common.Unit],
        state: str,
    ) -> bytes:
        """Bags go from one site to another, inspected, taken out and closed; returns the consignment."""
        stream = self.leaves(bags, sender, receiver[1], state)
        self.hands(stream, (self.eu.driver, self.eu.van), receiver)
        self.harness.tick()
        conforms(self.harness.say(receiver[0], stream, self.inspection(receiver[1], self.summary(self.began, state))))
        for bag in bags:
            self.does(receiver[0], self.receipt(bag, stream, receiver[1]))
        conforms(self.harness.say(receiver[0], stream, transport.ConsignmentClosed(unit=receiver[1])))
        return stream

    def to_the_plant(self, *bags: str) -> EuCourse:
        names = bags or ("apheresis",)
        self.to_the_collection(*names)
        self.travels_to(names, (self.eu.nurse, self.eu.apheresis), (self.eu.operator, self.eu.suite), "fresh")
        return self

    # 13 to 20: manufacture.

    def accession(self, *bags: str) -> modification.MaterialAccessioned:
        """Returns the body of an accession."""
        return modification.MaterialAccessioned(
            batch=self.batch,
            batch_number=f"B-{self._number}-{self.attempt}",
            materials=[self.material(bag) for bag in bags],
            unit=self.eu.suite,
            attempt=self.attempt,
        )

    def accessions(self, *bags: str) -> Recorded:
        self.compares(self.eu.operator, self.eu.second_operator, harvest.IDENTITY_POINT_RECEIPT, *bags)
        return self.does(self.eu.operator, self.accession(*bags))

    def acceptance(self, *bags: str) -> modification.MaterialAccepted:
        """Returns the body of quality's acceptance of what came in."""
        return modification.MaterialAccepted(
            batch=self.batch, materials=[self.material(one) for one in bags], documents=[document("receipt-record")]
        )

    def starts_manufacture(self) -> Recorded:
        """Quality accepts what came in, the line is cleared, and a pair of operators starts."""
        state = self.state
        body = self.acceptance()
        body.materials.extend(
            one
            for one in state.batches[self.batch].materials
            if state.materials[one].kind == common.MATERIAL_KIND_COLLECTION and not state.materials[one].life.has_ended
        )
        self.does(self.eu.reviewer, body)
        return self.clears_and_starts()

    def clears_and_starts(self) -> Recorded:
        """The line is cleared, and a pair of operators starts."""
        cleared = self.does(
            self.eu.operator,
            modification.LineCleared(
                batch=self.batch, process_area=self.area, unit=self.eu.suite, clear=True, equipment=[ISOLATOR]
            ),
        )
        body = modification.ManufacturingStarted(
            batch=self.batch,
            unit=self.eu.suite,
            process_area=self.area,
            equipment=[ISOLATOR],
            batch_record="MBR-7, version 3",
            line_clearance=cleared.statement_digest,
        )
        return self.by_two(self.eu.operator, self.eu.second_operator, body)

    def step(self, body: Message, inputs: Sequence[str], output: str, ratio: int = 1) -> Recorded:
        """A step, each material compared before it, in an area of the batch's own."""
        self.compares(self.eu.operator, self.eu.second_operator, harvest.IDENTITY_POINT_PROCESS, *inputs)
        return self.does(self.eu.operator, self.filled_in(body, inputs, output, ratio))

    def filled_in(self, body: Message, inputs: Sequence[str], output: str, ratio: int = 1) -> Message:
        """Returns the body of a step with what all steps say."""
        shared = modification.SelectionPerformed(  # The fields that all steps share have the same numbers.
            batch=self.batch,
            inputs=[self.material(one) for one in inputs],
            outputs=self.outputs(common.MATERIAL_KIND_INTERMEDIATE, 140, output),
            unit=self.eu.suite,
            process_area=self.area,
            equipment=[ISOLATOR],
            cells_in=exact(3, "{cells}", 8),
            cells_out=exact(3 * ratio, "{cells}", 8),
        )
        body.MergeFromString(shared.SerializeToString())
        return body

    def makes_steps(self, *bags: str) -> list[Recorded]:
        """Selection to formulation."""
        lots = self.eu.lots
        return [
            self.step(modification.SelectionPerformed(selected="CD3", lots=[lots["reagent"]]), bags, "selected"),
            self.step(
                modification.ActivationPerformed(
                    method=modification.ACTIVATION_METHOD_CD3_CD28, lots=[lots["activator"]]
                ),
                ["selected"],
                "activated",
            ),
            self.step(
                modification.ModificationPerformed(
                    vector_lot=lots["vector"],
                    target_antigen="an antigen",
                    multiplicity_of_infection=exact(3, "{particles}/{cell}"),
                ),
                ["activated"],
                "modified",
            ),
            self.expands(),
            self.step(modification.CultureHarvested(culture_day=9), ["expanded"], "harvested"),
            self.step(modification.FormulationPerformed(vehicle="cryoprotectant"), ["harvested"], "formulated"),
        ]

    def expands(self) -> Recorded:
        """The culture grows for nine days."""
        self.harness.tick(9 * 86_400)
        return self.step(modification.ExpansionPerformed(culture_day=9), ["modified"], "expanded", 40)

    def filling(self, whole: str = "formulated") -> modification.FillPerformed:
        """Returns the body of a filling into two bags, a sample and a retain."""
        outputs = [
            *self.outputs(common.MATERIAL_KIND_PRODUCT, 62, "bag-1", "bag-2"),
            *self.outputs(common.MATERIAL_KIND_SAMPLE, 9, "sample"),
            *self.outputs(common.MATERIAL_KIND_RETAIN, 4, "retain"),
        ]
        for one in outputs[:2]:
            one.dose.CopyFrom(exact(1, "{cells}", 8))
        return modification.FillPerformed(
            batch=self.batch,
            inputs=[self.material(whole)],
            outputs=outputs,
            unit=self.eu.suite,
            process_area=self.area,
            lost=exact(3, "mL"),
            cryoprotectant_lot=self.eu.lots["cryoprotectant"],
            containers=modification.ContainerCount(taken=5, filled=4, spoiled=1),
        )

    def fills(self) -> Recorded:
        """The formulated product is filled, labelled, and the labels counted."""
        self.compares(self.eu.operator, self.eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "formulated")
        filled = self.does(self.eu.operator, self.filling())
        serials = [self.new_serial() for _ in range(3)]
        self.does(
            self.eu.operator,
            labels.LabelsPrinted(
                serials=serials, coi=self.coi, din=self.din, unit=self.eu.suite, template="T-4", printer="printer-2"
            ),
        )
        self._tally(self.eu.suite)[0] += len(serials)
        for bag in ("bag-1", "bag-2"):
            self.expiry[bag] = self.harness.clock + 300 * DAY
        self.puts_labels(self.eu.operator, self.eu.second_operator, self.eu.suite, ("bag-1", "bag-2"), serials)
        return filled

    def freezes(self) -> Recorded:
        """Both bags are frozen and put into the tank."""
        bags = [self.material("bag-1"), self.material("bag-2")]
        begun = self.does(
            self.eu.operator,
            harvest.CryopreservationStarted(
                materials=bags,
                unit=self.eu.suite,
                equipment=FREEZER,
                programme="CRF-2",
                cryoprotectant=self.eu.lots["cryoprotectant"],
            ),
        )
        frozen = self.does(
            self.eu.operator,
            harvest.CryopreservationCompleted(
                started=begun.statement_digest,
                rate_trace=document("rate-trace"),
                materials=bags,
                temperature_end=exact(-150, "Cel"),
                position=common.Position(unit=self.eu.suite, place="tank-1"),
            ),
        )
        for bag in ("bag-1", "bag-2"):
            self.stores(self.eu.operator, self.eu.suite, bag, -150)
        return frozen

    def to_the_steps(self) -> EuCourse:
        """Tells up to the formulated product."""
        self.to_the_plant()
        self.accessions("apheresis")
        self.starts_manufacture()
        self.makes_steps("apheresis")
        return self

    def to_the_product(self) -> EuCourse:
        self.to_the_steps()
        self.fills()
        self.freezes()
        return self

    # 21, 22: tests and quality.

    def sends_sample(self) -> None:
        """The sample goes to the contract laboratory."""
        self.travels_to(["sample"], (self.eu.operator, self.eu.suite), (self.eu.analyst, self.eu.bench), "sample")

    def test_result(self, test: str, *, fails: bool = False, **more: object) -> modification.ResultReported:
        """Returns the body of a result."""
        values = {
            "viability": exact(40 if fails else 90, "%"),
            "purity": exact(95, "%"),
            "vector_copy_number": exact(2, "{copies}/{cell}"),
            "endotoxin": exact(5, "[EU]/mL", -1),
        }
        body = modification.ResultReported(
            sample=self.material("sample"),
            batch=self.batch,
            test=test,
            outcome=modification.RESULT_OUTCOME_FAIL if fails else modification.RESULT_OUTCOME_PASS,
            phase=modification.RESULT_PHASE_RELEASE,
            method=f"{test} method 3",
            specification="2",
            documents=[document(f"raw-{test}")],
            value=values.get(test),
        )
        if more.get("interim"):
            body.interim, body.phase = True, modification.RESULT_PHASE_INTERIM
        return body

    def is_tested(self, *, interim: Sequence[str] = (), but_not: Sequence[str] = ()) -> list[Recorded]:
        tests = sorted(self.eu.pack.required_tests - set(but_not))
        return [self.does(self.eu.analyst, self.test_result(one, interim=one in interim)) for one in tests]

    def uses_sample_up(self) -> Recorded:
        """What is left of the sample is used up."""
        body = returned.MaterialConsumed(material=self.material("sample"), unit=self.eu.bench)
        return self.does(self.eu.analyst, body)

    def is_reviewed(self) -> Recorded:
        """A reviewer finds the batch record acceptable."""
        body = modification.BatchReviewed(batch=self.batch, batch_record=document("batch-record"), acceptable=True)
        return self.does(self.eu.reviewer, body)

    def is_released(self) -> Recorded:
        self.is_reviewed()
        return self.by_two(self.eu.qualified_person, self.eu.reviewer, self.release_of_batch("bag-1", "bag-2"))

    def dose_plan(self, *bags: str) -> modification.DosePlanned:
        """Returns the body of a plan of these bags, in this order."""
        return modification.DosePlanned(
            bags=[
                modification.PlannedBag(material=self.material(one), order=order)
                for order, one in enumerate(bags or ("bag-1", "bag-2"), 1)
            ],
            total=exact(len(bags) or 2, "{cells}", 8),
            per_kilogram=exact(15, "{cells}/kg", 5),
        )

    def to_the_release(self) -> EuCourse:
        """Tells up to quality's release of both bags."""
        self.to_the_product()
        self.sends_sample()
        self.is_tested()
        self.uses_sample_up()
        self.is_released()
        return self

    def to_the_ward(self) -> EuCourse:
        self.to_the_release()
        self.does(self.eu.physician, self.dose_plan())
        bags = ("bag-1", "bag-2")
        self.travels_to(bags, (self.eu.operator, self.eu.suite), (self.eu.technician, self.eu.cell_lab), "frozen")
        for bag in bags:
            self.stores(self.eu.technician, self.eu.cell_lab, bag, -150)
        return self

    # 25 to 28: treatment.

    def conditions(self, *, stopped_before: int = 4 * DAY) -> Recorded:
        clock = self.harness.clock
        stopped_at = clock - stopped_before
        agents = [returned.ConditioningAgent(agent="fludarabine", dose=exact(30, "mg/m2"), days=3)]
        started = self.does(
            self.eu.physician,
            returned.LymphodepletionStarted(unit=self.eu.ward, course=1, agents=agents),
            at=stopped_at - DAY,
            signed_at=clock,
        )
        body = returned.LymphodepletionStopped(started=started.statement_digest, completed=True, agents=agents)
        self.is_conditioned = True
        return self.does(self.eu.physician, body, at=stopped_at, signed_at=clock)

    def issue(self, bag: str) -> returned.MaterialIssued:
        """Returns the body of an issue to the ward."""
        return returned.MaterialIssued(material=self.material(bag), releaser=self.eu.cell_lab, receiver=self.eu.ward)

    def issues(self, bag: str) -> Recorded:
        if not self.is_conditioned:
            self.conditions()
        return self.by_two(self.eu.technician, self.eu.ward_nurse, self.issue(bag))

    def thaw(self, bag: str) -> returned.MaterialThawed:
        """Returns the body of a thaw on the ward."""
        return returned.MaterialThawed(
            material=self.material(bag),
            unit=self.eu.ward,
            equipment="",
            intact=True,
            usable_until_unix_micros=self.harness.clock + 2 * HOUR,
        )

    def thaws(self, bag: str) -> Recorded:
        premedicated = returned.PremedicationGiven(unit=self.eu.ward)
        self.does(self.eu.ward_nurse, premedicated)
        return self.does(self.eu.ward_nurse, self.thaw(bag))

    def bedside_check(self, bag: str, **changed: object) -> returned.BedsideChecked:
        body = super().bedside_check(bag, **changed)
        body.expires_read_unix_micros = self.expiry[bag]
        body.release_certificate.CopyFrom(document("release-for-infusion"))
        body.rescue_medicines.add(medicine="tocilizumab", doses=2)
        return body

    def checks_bedside(self, bag: str) -> Recorded:
        return self.by_two(self.eu.ward_nurse, self.eu.second_ward_nurse, self.bedside_check(bag))

    def infusion(self, bag: str, check: Recorded, order: int = 0) -> returned.InfusionStarted:
        """Returns the body of an infusion's start."""
        return returned.InfusionStarted(
            material=self.material(bag), unit=self.eu.ward, bedside_check=check.statement_digest, bag_order=order
        )

    def infuses(
        self,
        bag: str,
        outcome: returned.InfusionOutcome.ValueType = returned.INFUSION_OUTCOME_COMPLETE,
        left: int = 0,
    ) -> list[Recorded]:
        """A thawed bag is checked and given."""
        check = self.checks_bedside(bag)
        started = self.does(self.eu.ward_nurse, self.infusion(bag, check))
        stopped = returned.InfusionStopped(
            material=self.material(bag),
            started=started.statement_digest,
            outcome=outcome,
            given=exact(62 - left, "mL"),
        )
        if left:
            stopped.remainder.CopyFrom(exact(left, "mL"))
        return [check, started, self.does(self.eu.ward_nurse, stopped)]

    def to_the_bedside(self, bag: str = "bag-1") -> EuCourse:
        self.to_the_ward()
        self.issues(bag)
        self.thaws(bag)
        return self

    def to_the_infusion(self) -> EuCourse:
        """Tells up to both bags infused."""
        self.to_the_ward()
        for bag in ("bag-1", "bag-2"):
            self.issues(bag)
            self.thaws(bag)
            self.infuses(bag)
        return self

    def archives_retain(self) -> Recorded:
        """The retain goes into the archive."""
        return self.does(
            self.eu.operator,
            returned.MaterialArchived(
                material=self.material("retain"),
                position=common.Position(unit=self.eu.suite, place="archive/1"),
                kept_until_unix_micros=self.harness.clock + 30 * 365 * DAY,
            ),
        )

    def closes(self) -> Recorded:
        """The therapy is closed, with a retention date."""
        self.archives_retain()
        return self.does(
            self.eu.physician,
            returned.TherapyClosed(
                kept_until_unix_micros=self.harness.clock + 30 * 365 * DAY, closing_reason="all was given"
            ),
        )
