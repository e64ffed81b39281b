"""Say facts of therapies: from the enrolment to the end of each material."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Comparison
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .custody_model import Unit
from .places import (
    ALL_UNITS,
    APHERESIS,
    BOXES,
    COIS,
    CONSIGNMENTS,
    COURIER,
    DAY,
    HOSPITAL,
    MATCHING,
    PACK,
    PEOPLE,
    PLANT,
    START,
    THERAPIES,
    identity,
    stated,
    volume,
)
from .says_on_the_way import CarriersScribe


class TherapyScribe(CarriersScribe):
    """Says what happens to patients and materials."""

    def say_in_therapy(self, therapy: bytes) -> None:
        """Says a fact of a therapy, most often one that can come next."""
        teller = self.told(therapy)
        if not teller.enrolled and not self.off():
            self.enrols(therapy)
        elif not teller.told.bags and not self.off():
            self.collects(therapy)
        elif self.chance(0.12):
            self.say_about_the_patient(therapy)
        else:
            self.say_about_material(therapy)

    def enrols(self, therapy: bytes) -> None:
        """Enrols a therapy: an authorisation, which is refused the second time."""
        against = ("ALREADY_ENROLLED",) if self.told(therapy).enrolled else ()
        body = harvest.TherapyEnrolled(
            aliases=[common.Alias(scheme="isbt128-coi", value=COIS[therapy])],
            product=PACK.product,
            jurisdiction=PACK.jurisdiction,
            policy_digest=PACK.digest,
            treating_unit=stated((HOSPITAL, "ward")),
            participants=[PLANT, COURIER],
            custodian_of_record=HOSPITAL,
        )
        if self.permit(therapy, body, self.one(PEOPLE[HOSPITAL]), against=against) is not None and not against:
            scopes = (
                harvest.CONSENT_SCOPE_COLLECTION,
                harvest.CONSENT_SCOPE_MANUFACTURE,
                harvest.CONSENT_SCOPE_INFUSION,
            )
            self.fact(therapy, harvest.ConsentRecorded(scopes=scopes), self.person(HOSPITAL))

    def collects(self, therapy: bytes) -> None:
        """Collects cells, after a check at the chair."""
        unit = self.unit(APHERESIS)
        self.checks_identity(therapy)
        days = sum(isinstance(act.body, harvest.CollectionStarted) for act in self.said) + 1
        din = f"A99992500{days + 1000 * THERAPIES.index(therapy):04d}"
        started = self.fact(
            therapy, harvest.CollectionStarted(day=days, din=din, unit=stated(unit)), self.person(unit[0])
        )
        body = harvest.CollectionCompleted(
            started=self.statement(started), outputs=[self.new(therapy) for _ in range(2)], unit=stated(unit)
        )
        self.fact(therapy, body, self.person(unit[0]))

    def new(self, therapy: bytes) -> common.NewMaterial:
        """Returns a new material, now and then under an id that was given away."""
        self.number += 1
        taken = [*self.told(therapy).told.bags, *self.told(self.other(therapy)).told.bags]
        name = self.one(taken) if taken and self.chance(self.wrong / 6) else identity(f"bag-{self.number}")
        return common.NewMaterial(material=name, kind=common.MATERIAL_KIND_COLLECTION, quantity=volume(100))

    def checks_identity(self, therapy: bytes) -> Act:
        """Two persons compare identity; now and then only one does, or the wrong patient is there."""
        coi = COIS[self.other(therapy) if self.chance(self.wrong / 4) else therapy]
        body = harvest.IdentityChecked(
            point=self.one((harvest.IDENTITY_POINT_CHAIRSIDE, harvest.IDENTITY_POINT_PROCESS)), coi_read=coi
        )
        act = self.fact(therapy, body, self.person(HOSPITAL), comparisons=MATCHING)
        if not self.off() and act in self.acts:
            self.join(act)
        return act

    def say_about_the_patient(self, therapy: bytes) -> None:
        """Says something that concerns no single material."""
        scopes = [harvest.CONSENT_SCOPE_MANUFACTURE]
        match self.rng.randrange(6):
            case 0:
                self.checks_identity(therapy)
            case 1:
                self.fact(therapy, harvest.ConsentWithdrawn(scopes=scopes), self.person(HOSPITAL))
            case 2:
                self.fact(therapy, harvest.ConsentRecorded(scopes=scopes), self.person(HOSPITAL))
            case 3:
                scope = quality.Scope(kind=quality.SCOPE_KIND_THERAPY)
                self.fact(therapy, quality.HoldPlaced(scope=scope), self.person(PLANT))
            case 4:
                reading = harvest.ReidentificationPerformed(source_record="enrolment", coi_read=COIS[therapy])
                act = self.fact(therapy, reading, self.person(HOSPITAL), comparisons=MATCHING)
                if not self.off() and act in self.acts:
                    self.join(act)
            case _:
                self.collects(therapy)

    def say_about_material(self, therapy: bytes) -> None:
        """Says what happens to a material, most often by whoever answers for it."""
        name = self.bag(therapy)
        holder = self.holder(therapy, name)
        teller = self.told(therapy)
        found = teller.told.bags.get(name)
        packed = None if found is None else found.packed
        if packed is not None and not self.off():
            box = self.told_on_the_way().told.boxes.get(packed)
            answers = None if box is None else box.answers
            arrived = self.unit(answers)
            if self.chance(0.5):
                self.receives(therapy, name, packed, arrived)
                return
            self.say_on_the_way(packed[0])
            return
        unit = self.unit(holder)
        speaker = self.person(unit[0])
        told: Callable[[bytes, bytes, Unit, bytes], None] = self.one(
            (
                self.packs,
                self.packs,
                self.packs,
                self.moves,
                self.moves,
                self.moves,
                self.transfers,
                self.transfers,
                self.works,
                self.works,
                self.works,
                self.treats,
                self.ends,
                self.notes,
            )
        )
        told(therapy, name, unit, speaker)

    def packs(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Packs a material, most often into a container that the unit answers for."""
        boxes = self.told_on_the_way().told.boxes
        mine = [key for key, box in boxes.items() if box.answers == unit and box.waiting is None]
        stream, label = self.one(mine) if mine and not self.off() else (self.one(CONSIGNMENTS), self.one(BOXES))
        body = harvest.MaterialPacked(
            material=name, consignment=stream, container=label, unit=stated(unit), coi_read=COIS[therapy]
        )
        self.fact(therapy, body, speaker)

    def receives(self, therapy: bytes, name: bytes, packed: tuple[bytes, str], unit: Unit) -> None:
        """Takes a material out of its container."""
        stream, label = packed if not self.off() else (self.one(CONSIGNMENTS), self.one(BOXES))
        body = harvest.MaterialReceived(
            material=name,
            consignment=stream,
            container=label,
            unit=stated(unit),
            coi_read=COIS[therapy],
            intact=not self.off(),
        )
        self.fact(therapy, body, self.person(unit[0]))

    def moves(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Stores or moves a material, or says who has it."""
        where = stated(unit if self.chance(0.7) else self.inside(unit))
        body: Message
        match self.rng.randrange(3):
            case 0:
                body = harvest.MaterialStored(material=name, position=common.Position(unit=where, place="a"))
            case 1:
                body = harvest.MaterialMoved(material=name, position=common.Position(unit=where, place="b"))
            case _:
                where = stated(self.one(ALL_UNITS))
                speaker = self.person(where.site)
                body = transport.PossessionReported(possessor=where, materials=[name])
        self.fact(therapy, body, speaker)

    def transfers(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Passes a material on within a site."""
        receiver = stated(self.inside(unit))
        body: Message = harvest.UnitTransferred(materials=[name], releaser=stated(unit), receiver=receiver)
        if self.chance(0.25):
            body = returned.MaterialIssued(material=name, releaser=stated(unit), receiver=receiver)
        act = self.fact(therapy, body, speaker)
        if not self.off() and act in self.acts:
            self.join(act)

    def works(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Divides, pools, takes into a batch, or works on a material."""
        batch = identity(f"batch-{THERAPIES.index(therapy)}")
        body: Message
        match self.rng.randrange(6):
            case 0 | 1:
                body = modification.MaterialDivided(
                    material=name, outputs=[self.new(therapy), self.new(therapy)], unit=stated(unit)
                )
            case 2:
                other = self.bag(therapy)
                body = modification.MaterialPooled(
                    inputs=[name, other], output=self.new(therapy), unit=stated(unit), process_area="isolator-1"
                )
            case 3:
                body = modification.MaterialAccessioned(
                    batch=batch, batch_number="B-1", materials=[name], unit=stated(unit), attempt=1
                )
            case 4:
                body = returned.MaterialReconstituted(
                    material=name,
                    reconstitution=returned.RECONSTITUTION_KIND_WASHED,
                    unit=stated(unit),
                    outputs=[self.new(therapy)],
                )
            case _:
                kind = self.one((modification.SelectionPerformed, modification.ExpansionPerformed))
                body = kind(
                    batch=batch if not self.off() else identity("no batch"),
                    inputs=[name],
                    outputs=[self.new(therapy)],
                    unit=stated(unit),
                    process_area="isolator-1",
                )
        self.fact(therapy, body, speaker)

    def treats(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Thaws a bag, checks it at the bedside, starts or stops its infusion."""
        body: Message
        comparisons: tuple[Comparison, ...] = ()
        match self.rng.randrange(4):
            case 0:
                body = returned.MaterialThawed(material=name, unit=stated(unit), intact=True)
            case 1:
                comparisons = MATCHING
                body = returned.BedsideChecked(material=name, coi_read=COIS[therapy], patient_present=True)
            case 2:
                check = self.last(returned.BedsideChecked, therapy)
                body = returned.InfusionStarted(
                    material=name, unit=stated(unit), bedside_check=b"" if check is None else self.statement(check)
                )
            case _:
                started = self.last(returned.InfusionStarted, therapy)
                outcomes = (
                    returned.INFUSION_OUTCOME_COMPLETE,
                    returned.INFUSION_OUTCOME_PARTIAL,
                    returned.INFUSION_OUTCOME_NOT_INFUSED,
                )
                body = returned.InfusionStopped(
                    material=name,
                    started=b"" if started is None else self.statement(started),
                    outcome=self.one(outcomes),
                )
        act = self.fact(therapy, body, speaker, comparisons=comparisons)
        if isinstance(body, returned.BedsideChecked) and not self.off() and act in self.acts:
            self.join(act)

    def ends(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Ends a material."""
        kept = common.Position(unit=stated(unit), place="archive")
        body: Message
        match self.rng.randrange(5):
            case 0:
                body = returned.MaterialDestroyed(material=name, unit=stated(unit), method="incineration")
            case 1:
                body = returned.MaterialConsumed(material=name, unit=stated(unit))
            case 2:
                body = returned.MaterialArchived(
                    material=name, position=kept, kept_until_unix_micros=START + 3000 * DAY
                )
            case 3:
                body = transport.MaterialReturned(
                    material=name, unit=stated(unit), reason=transport.RETURN_REASON_UNUSED
                )
            case _:
                body = returned.RemainderRetained(
                    material=name, position=kept, study="S", kept_until_unix_micros=START + 3000 * DAY
                )
        self.fact(therapy, body, speaker)

    def notes(self, therapy: bytes, name: bytes, unit: Unit, speaker: bytes) -> None:
        """Labels a material, or places a hold on it."""
        body: Message
        if self.chance(0.5):
            coi = COIS[self.other(therapy) if self.chance(self.wrong / 3) else therapy]
            body = harvest.LabelApplied(material=name, din="A999925000001", coi=coi)
        else:
            body = quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[name]))
        self.fact(therapy, body, speaker)
