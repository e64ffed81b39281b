"""Tell therapies as short stories: acts with real bodies, folded with their consignments in any order of delivery."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Comparison, Finding, Judged, Outcome, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.custody.references import References, reference_keys
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

PACK = PolicyPack.parse(sample_pack_bytes())

HOSPITAL, COURIER, PLANT, LABORATORY = (bytes([n]) * 16 for n in (1, 2, 3, 4))
NURSE, SECOND_NURSE, DRIVER, OPERATOR, SECOND_OPERATOR, REVIEWER, SECOND_REVIEWER = (
    bytes([n]) * 16 for n in range(0x11, 0x18)
)
SITE_OF = {
    NURSE: HOSPITAL,
    SECOND_NURSE: HOSPITAL,
    DRIVER: COURIER,
    OPERATOR: PLANT,
    SECOND_OPERATOR: PLANT,
    REVIEWER: PLANT,
    SECOND_REVIEWER: PLANT,
}
THERAPY = bytes([1]) + b"t" * 16
OTHER_THERAPY = bytes([1]) + b"o" * 16
OUTWARD = bytes([2]) + b"a" * 16
RETURN = bytes([2]) + b"b" * 16
COI = "CHA999925000001G"
OTHER_COI = "CHA999925000002E"
DIN = "A999925000001"
OTHER_DIN = "A999925000002"
SECOND_MICROS = 1_000_000
MINUTE = 60 * SECOND_MICROS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_760_000_000 * SECOND_MICROS

APHERESIS = common.Unit(site=HOSPITAL, unit="apheresis")
CELL_LAB = common.Unit(site=HOSPITAL, unit="cell-lab")
WARD = common.Unit(site=HOSPITAL, unit="ward")
VAN = common.Unit(site=COURIER, unit="")
SUITE = common.Unit(site=PLANT, unit="suite")
CERTIFICATE = common.Document(sha256=bytes(32), kind="certificate-of-analysis", media_type="application/pdf")
RELEASE_FOR_INFUSION = common.Document(sha256=bytes(32), kind="release-for-infusion", media_type="application/pdf")
MATCHING = (Comparison(0, Outcome.MATCH), Comparison(1, Outcome.MATCH))
MISMATCHING = (Comparison(0, Outcome.MATCH), Comparison(1, Outcome.MISMATCH))
UNREADABLE = (Comparison(0, Outcome.MATCH), Comparison(1, Outcome.UNREADABLE))
ALL_SCOPES = (
    harvest.CONSENT_SCOPE_COLLECTION,
    harvest.CONSENT_SCOPE_MANUFACTURE,
    harvest.CONSENT_SCOPE_INFUSION,
)


def material(name: str) -> bytes:
    """Returns the id of the material of that name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def volume(millilitres: int, unit: str = "mL") -> common.Quantity:
    """Returns a measured volume."""
    return common.Quantity(
        mantissa=millilitres,
        unit=unit,
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def new(name: str, kind: common.MaterialKind.ValueType, millilitres: int) -> common.NewMaterial:
    """Returns a new material of that name."""
    return common.NewMaterial(material=material(name), kind=kind, quantity=volume(millilitres))


def _field_numbers(body: Message) -> tuple[int, ...]:
    numbers: list[int] = []
    for descriptor, value in body.ListFields():
        is_scattered = descriptor.is_repeated and descriptor.type in (
            descriptor.TYPE_MESSAGE,
            descriptor.TYPE_BYTES,
            descriptor.TYPE_STRING,
        )
        numbers.extend([descriptor.number] * (len(value) if is_scattered else 1))
    return tuple(numbers)


@dataclass(slots=True)
class Story:
    """Acts in the order they are told. Each is told ten minutes after the one before, unless a time is given."""

    acts: list[Act] = field(default_factory=list)
    now: int = START
    therapy: bytes = THERAPY

    def tell(
        self,
        body: Message,
        signer: bytes = NURSE,
        *,
        stream: bytes | None = None,
        at: int | None = None,
        until: int | None = None,
        role: str = "nurse",
        seen: Iterable[Act] = (),
        comparisons: tuple[Comparison, ...] = (),
        entry_findings: tuple[Finding, ...] = (),
        is_in_effect: bool = True,
    ) -> Act:
        """Tells one act and returns it."""
        self.now = self.now + 10 * MINUTE if at is None else at
        option = body.DESCRIPTOR.GetOptions().Extensions[options.act]
        is_authorisation = option.kind == options.ACT_KIND_AUTHORISATION
        leaf = len(self.acts)
        streams = {one.stream: one.digest for one in seen}
        where = self.therapy if stream is None else stream
        act = Act(
            digest=hashlib.sha256(b"%d" % leaf + where + body.SerializeToString(deterministic=True)).digest(),
            stream=where,
            leaf_index=leaf,
            body_type=body.DESCRIPTOR.full_name,
            body=body,
            signer=signer,
            site=SITE_OF[signer],
            role=role,
            occurred_start=self.now,
            occurred_end=until,
            signed_at=self.now,
            seen=tuple(sorted(streams.items())),
            field_numbers=_field_numbers(body),
            comparisons=comparisons,
            entry_findings=entry_findings,
            is_authorisation=is_authorisation,
            in_effect_at=leaf if is_authorisation and is_in_effect else None,
        )
        self.acts.append(act)
        return act

    def join(self, act: Act, signer: bytes, *, after: int = MINUTE) -> Act:
        """Lets another person join an act, some time after it was signed."""
        leaf = len(self.acts)
        joined = Act(
            digest=hashlib.sha256(b"joins%d" % leaf + act.digest).digest(),
            stream=act.stream,
            leaf_index=leaf,
            body_type="",
            body=None,
            signer=signer,
            site=SITE_OF[signer],
            role="witness",
            occurred_start=act.signed_at + after,
            occurred_end=None,
            signed_at=act.signed_at + after,
            joins=act.digest,
        )
        self.acts.append(joined)
        return joined

    def without(self, *left_out: Act) -> list[Act]:
        """Returns the acts without some of them."""
        digests = {act.digest for act in left_out}
        return [act for act in self.acts if act.digest not in digests]

    def case(self, *, creators: dict[bytes, frozenset[bytes]] | None = None) -> TherapyCase:
        """Returns the therapy as told so far, folded at once."""
        return case_of(self.acts, stream=self.therapy, creators=creators)

    def judged(self, act: Act) -> Judged:
        """Returns the present judgement of an act."""
        return self.case().judged[act.digest]

    def codes(self, act: Act) -> set[str]:
        """Returns the codes of the findings on an act."""
        return {finding.code for finding in self.judged(act).findings}

    # The acts that most stories share.

    def enrols(self) -> Act:
        """The hospital enrols the therapy under the sample pack."""
        body = harvest.TherapyEnrolled(
            aliases=[common.Alias(scheme="isbt128-coi", value=COI)],
            product=PACK.product,
            jurisdiction=PACK.jurisdiction,
            policy_digest=PACK.digest,
            treating_unit=WARD,
            participants=[PLANT, COURIER],
            custodian_of_record=HOSPITAL,
        )
        return self.tell(body)

    def consents(self, *scopes: harvest.ConsentScope.ValueType) -> Act:
        """The patient consents."""
        return self.tell(harvest.ConsentRecorded(scopes=scopes or ALL_SCOPES))

    def checks_identity(
        self,
        point: harvest.IdentityPoint.ValueType = harvest.IDENTITY_POINT_CHAIRSIDE,
        *,
        comparisons: tuple[Comparison, ...] = MATCHING,
        second: bytes | None = SECOND_NURSE,
        signer: bytes = NURSE,
        materials: Sequence[bytes] = (),
        coi_read: str = COI,
    ) -> Act:
        """Two persons check identity."""
        act = self.tell(
            harvest.IdentityChecked(point=point, coi_read=coi_read, materials=materials),
            signer,
            comparisons=comparisons,
        )
        if second is not None:
            self.join(act, second)
        return act

    def reidentifies(
        self,
        *,
        comparisons: tuple[Comparison, ...] = MATCHING,
        second: bytes | None = SECOND_NURSE,
        coi_read: str = COI,
        source_record: str = "enrolment file, ward archive",
    ) -> Act:
        """Two persons identify anew from the source record."""
        act = self.tell(
            harvest.ReidentificationPerformed(source_record=source_record, coi_read=coi_read), comparisons=comparisons
        )
        if second is not None:
            self.join(act, second)
        return act

    def starts_collection(self, *, day: int = 1, din: str = DIN) -> Act:
        """Collection starts in apheresis."""
        return self.tell(harvest.CollectionStarted(day=day, din=din, unit=APHERESIS))

    def completes_collection(self, started: Act, *bags: str) -> Act:
        """Collection ends with bags of 100 mL each."""
        outputs = [new(bag, common.MATERIAL_KIND_COLLECTION, 100) for bag in bags]
        return self.tell(harvest.CollectionCompleted(started=started.digest, outputs=outputs, unit=APHERESIS))

    def collects(self, *bags: str, day: int = 1, din: str = DIN) -> Act:
        """A day's collection, from the check at the chair to the bags."""
        self.checks_identity()
        return self.completes_collection(self.starts_collection(day=day, din=din), *bags)

    def labels(
        self,
        bag: str,
        *,
        din: str = DIN,
        coi: str = COI,
        signer: bytes = NURSE,
        expires_at: int | None = None,
    ) -> Act:
        """A label is put on a bag."""
        return self.tell(
            harvest.LabelApplied(material=material(bag), din=din, coi=coi, expires_at_unix_micros=expires_at),
            signer,
        )

    def opens_consignment(
        self, stream: bytes, unit: common.Unit, destination: common.Unit, signer: bytes, *containers: str
    ) -> Act:
        """A consignment is opened."""
        return self.tell(
            transport.ConsignmentOpened(
                unit=unit,
                destination=destination,
                containers=[
                    common.Container(container=one, kind="dry_shipper", qualified_until_unix_micros=START + 365 * DAY)
                    for one in containers or ("shipper-1",)
                ],
                carrier=COURIER,
            ),
            signer,
            stream=stream,
        )

    def packs(
        self,
        bag: str,
        stream: bytes,
        unit: common.Unit,
        signer: bytes,
        *,
        container: str = "shipper-1",
        coi_read: str = COI,
    ) -> Act:
        """A bag is packed."""
        return self.tell(
            harvest.MaterialPacked(
                material=material(bag), consignment=stream, container=container, unit=unit, coi_read=coi_read
            ),
            signer,
        )

    def releases(
        self, stream: bytes, releaser: common.Unit, receiver: common.Unit, signer: bytes, *containers: str
    ) -> Act:
        """The custodian's half of a handoff."""
        names = containers or ("shipper-1",)
        return self.tell(
            transport.CustodyReleased(releaser=releaser, receiver=receiver, containers=names, count=len(names)),
            signer,
            stream=stream,
        )

    def accepts(self, release: Act, receiver: common.Unit, signer: bytes, *containers: str) -> Act:
        """The receiver's half of a handoff."""
        names = containers or ("shipper-1",)
        return self.tell(
            transport.CustodyAccepted(
                release=release.digest,
                receiver=receiver,
                lines=[common.HandoffLine(container=one, outcome=common.LINE_OUTCOME_ACCEPTED) for one in names],
                count=len(names),
            ),
            signer,
            stream=release.stream,
        )

    def hands_over(
        self,
        stream: bytes,
        releaser: common.Unit,
        receiver: common.Unit,
        releasing: bytes,
        receiving: bytes,
        *containers: str,
    ) -> Act:
        """Both halves of a handoff."""
        release = self.releases(stream, releaser, receiver, releasing, *containers)
        return self.accepts(release, receiver, receiving, *containers)

    def receives(
        self,
        bag: str,
        stream: bytes,
        unit: common.Unit,
        signer: bytes,
        *,
        container: str = "shipper-1",
        coi_read: str = COI,
        din_read: str = DIN,
        intact: bool = True,
    ) -> Act:
        """A bag is taken out of its container."""
        return self.tell(
            harvest.MaterialReceived(
                material=material(bag),
                consignment=stream,
                container=container,
                unit=unit,
                coi_read=coi_read,
                din_read=din_read,
                intact=intact,
            ),
            signer,
        )

    def accessions(self, *bags: str, batch: str = "batch", unit: common.Unit = SUITE, signer: bytes = OPERATOR) -> Act:
        """Bags are taken into a batch."""
        return self.tell(
            modification.MaterialAccessioned(
                batch=material(batch),
                batch_number="B-1",
                materials=[material(bag) for bag in bags],
                unit=unit,
                attempt=1,
            ),
            signer,
        )

    def performs(
        self,
        step: type[
            modification.SelectionPerformed
            | modification.ActivationPerformed
            | modification.ModificationPerformed
            | modification.ExpansionPerformed
            | modification.FormulationPerformed
        ],
        inputs: Sequence[str],
        outputs: Sequence[common.NewMaterial],
        *,
        signer: bytes = OPERATOR,
        unit: common.Unit = SUITE,
        batch: str = "batch",
        at: int | None = None,
        is_compared: bool = True,
    ) -> Act:
        """A step of manufacturing, each material compared before it unless told otherwise."""
        if is_compared and inputs:
            self.compares(*inputs, signer=signer, at=None if at is None else at - MINUTE)
        body = step(
            batch=material(batch),
            inputs=[material(one) for one in inputs],
            outputs=outputs,
            unit=unit,
            process_area="isolator-1",
        )
        if isinstance(body, modification.ModificationPerformed):
            body.vector_lot.CopyFrom(common.LotUse(lot_number="V-1", kind="vector"))
        return self.tell(body, signer, at=at)

    def compares(self, *names: str, signer: bytes = OPERATOR, at: int | None = None) -> Act:
        """Two persons compare materials before their cells are opened."""
        act = self.tell(
            harvest.IdentityChecked(
                point=harvest.IDENTITY_POINT_PROCESS, coi_read=COI, materials=[material(one) for one in names]
            ),
            signer,
            at=at,
        )
        self.join(act, SECOND_OPERATOR if SITE_OF[signer] == PLANT else SECOND_NURSE)
        return act

    def divides(
        self,
        whole: str,
        outputs: Sequence[common.NewMaterial],
        *,
        left: common.Quantity | None = None,
        lost: common.Quantity | None = None,
        signer: bytes = OPERATOR,
        unit: common.Unit = SUITE,
    ) -> Act:
        """A material is divided."""
        return self.tell(
            modification.MaterialDivided(material=material(whole), outputs=outputs, left=left, lost=lost, unit=unit),
            signer,
        )

    def reports(
        self,
        test: str,
        outcome: modification.ResultOutcome.ValueType = modification.RESULT_OUTCOME_PASS,
        *,
        interim: bool = False,
        sample: str = "sample",
        batch: str = "batch",
        signer: bytes = OPERATOR,
    ) -> Act:
        """A result is reported, with a value where the pack limits it."""
        limit = PACK.limits_for(test)
        value = None
        if limit is not None and limit.has_limits:
            value = common.Quantity(
                mantissa=90 if outcome != modification.RESULT_OUTCOME_FAIL else 40,
                unit=limit.unit or "",
                comparator=common.COMPARATOR_EQUAL,
                basis=common.QUANTITY_BASIS_MEASURED,
            )
        return self.tell(
            modification.ResultReported(
                sample=material(sample),
                batch=material(batch),
                test=test,
                outcome=outcome,
                interim=interim,
                value=value,
                method=f"{test}-method-1",
                specification="specification-1",
            ),
            signer,
        )

    def releases_batch(self, *bags: str, is_in_effect: bool = True) -> Act:
        """Quality releases the batch with these bags."""
        act = self.tell(
            modification.BatchReleased(
                batch=material("batch"),
                materials=[material(bag) for bag in bags],
                certificate=CERTIFICATE,
                release_for_infusion=RELEASE_FOR_INFUSION,
            ),
            REVIEWER,
            role="quality_reviewer",
            is_in_effect=is_in_effect,
            seen=self.acts[-1:],
        )
        if is_in_effect:
            self.join(act, SECOND_REVIEWER)
        return act

    def conditions(self, *, started_at: int = START - 4 * DAY, stopped_at: int = START - 3 * DAY) -> Act:
        """Lymphodepletion is given, three days before the therapy's own story begins; returns its end."""
        now = self.now
        started = self.tell(returned.LymphodepletionStarted(unit=WARD, course=1), at=started_at)
        stopped = self.tell(returned.LymphodepletionStopped(started=started.digest, completed=True), at=stopped_at)
        self.now = now
        return stopped

    def stores(self, bag: str, unit: common.Unit, signer: bytes, *, celsius: int = -150) -> Act:
        """A bag is put into a frozen store."""
        quantity = common.Quantity(
            mantissa=celsius,
            unit="Cel",
            comparator=common.COMPARATOR_EQUAL,
            basis=common.QUANTITY_BASIS_MEASURED,
        )
        body = harvest.MaterialStored(
            material=material(bag), position=common.Position(unit=unit, place="vapour-1"), temperature=quantity
        )
        return self.tell(body, signer)

    def issues(self, bag: str) -> Act:
        """The cell laboratory issues a bag to the ward."""
        act = self.tell(returned.MaterialIssued(material=material(bag), releaser=CELL_LAB, receiver=WARD))
        self.join(act, SECOND_NURSE)
        return act

    def thaws(self, bag: str, *, intact: bool = True, signer: bytes = NURSE) -> Act:
        """A bag is thawed on the ward."""
        return self.tell(returned.MaterialThawed(material=material(bag), unit=WARD, intact=intact), signer)

    def checks_bedside(
        self,
        bag: str,
        *,
        second: bytes | None = SECOND_NURSE,
        coi_read: str = COI,
        din_read: str = DIN,
        patient_present: bool = True,
        comparisons: tuple[Comparison, ...] = MATCHING,
    ) -> Act:
        """Two persons compare patient and bag."""
        act = self.tell(
            returned.BedsideChecked(
                material=material(bag), coi_read=coi_read, din_read=din_read, patient_present=patient_present
            ),
            comparisons=comparisons,
        )
        if second is not None:
            self.join(act, second)
        return act

    def starts_infusion(self, bag: str, check: Act | None, *, after: int = 5 * MINUTE) -> Act:
        """The infusion of a bag starts."""
        return self.tell(
            returned.InfusionStarted(
                material=material(bag), unit=WARD, bedside_check=b"" if check is None else check.digest
            ),
            at=self.now + after,
        )

    def stops_infusion(
        self,
        bag: str,
        started: Act | None,
        outcome: returned.InfusionOutcome.ValueType = returned.INFUSION_OUTCOME_COMPLETE,
    ) -> Act:
        """The infusion of a bag stops."""
        return self.tell(
            returned.InfusionStopped(
                material=material(bag), started=b"" if started is None else started.digest, outcome=outcome
            )
        )

    # Chapters.

    def to_the_collection(self, *bags: str) -> Story:
        """Tells up to the labelled bags of the first day."""
        self.enrols()
        self.consents()
        names = bags or ("apheresis",)
        self.collects(*names)
        for bag in names:
            self.labels(bag)
        return self

    def to_the_plant(self, *bags: str) -> Story:
        """Tells up to the receipt at the plant."""
        names = bags or ("apheresis",)
        self.to_the_collection(*names)
        self.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
        for bag in names:
            self.packs(bag, OUTWARD, APHERESIS, NURSE)
        self.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
        self.hands_over(OUTWARD, VAN, SUITE, DRIVER, OPERATOR)
        for bag in names:
            self.receives(bag, OUTWARD, SUITE, OPERATOR)
        return self

    def to_the_product(self) -> Story:
        """Tells up to two labelled bags of product and a sample."""
        self.to_the_plant()
        self.accessions("apheresis")
        intermediate = common.MATERIAL_KIND_INTERMEDIATE
        self.performs(modification.SelectionPerformed, ["apheresis"], [new("selected", intermediate, 90)])
        self.performs(modification.ActivationPerformed, ["selected"], [new("activated", intermediate, 90)])
        self.performs(modification.ModificationPerformed, ["activated"], [new("modified", intermediate, 90)])
        self.performs(modification.ExpansionPerformed, ["modified"], [new("expanded", intermediate, 900)])
        self.performs(modification.FormulationPerformed, ["expanded"], [new("formulated", intermediate, 130)])
        self.divides(
            "formulated",
            [
                new("bag-1", common.MATERIAL_KIND_PRODUCT, 60),
                new("bag-2", common.MATERIAL_KIND_PRODUCT, 60),
                new("sample", common.MATERIAL_KIND_SAMPLE, 8),
            ],
            lost=volume(2),
        )
        for bag in ("bag-1", "bag-2"):
            self.labels(bag, signer=OPERATOR, expires_at=START + 300 * DAY)
            self.stores(bag, SUITE, OPERATOR)
        return self

    def to_the_release(self) -> Story:
        """Tells up to quality's release of both bags."""
        self.to_the_product()
        for test in ("identity", "sterility", "viability"):
            self.reports(test)
        self.tell(returned.MaterialConsumed(material=material("sample"), unit=SUITE), OPERATOR)
        self.releases_batch("bag-1", "bag-2")
        return self

    def to_the_ward(self, *bags: str) -> Story:
        """Tells up to the bags in the hospital's cell laboratory."""
        names = bags or ("bag-1", "bag-2")
        self.to_the_release()
        self.conditions()
        self.opens_consignment(RETURN, SUITE, CELL_LAB, OPERATOR)
        for bag in names:
            self.packs(bag, RETURN, SUITE, OPERATOR)
        self.hands_over(RETURN, SUITE, VAN, OPERATOR, DRIVER)
        self.hands_over(RETURN, VAN, CELL_LAB, DRIVER, NURSE)
        for bag in names:
            self.receives(bag, RETURN, CELL_LAB, NURSE)
        return self

    def to_the_bedside(self, bag: str = "bag-1") -> Story:
        """Tells up to the thawed bag on the ward."""
        self.to_the_ward()
        self.issues(bag)
        self.thaws(bag)
        return self

    def to_the_end(self) -> Story:
        """Tells a whole therapy: one bag infused, one destroyed, closed."""
        self.to_the_bedside()
        check = self.checks_bedside("bag-1")
        self.stops_infusion("bag-1", self.starts_infusion("bag-1", check))
        destroyed = self.tell(
            returned.MaterialDestroyed(
                material=material("bag-2"),
                unit=CELL_LAB,
                method="incineration",
                certificate=common.Document(sha256=bytes(32), kind="destruction", media_type="application/pdf"),
            )
        )
        self.join(destroyed, SECOND_NURSE)
        self.tell(returned.FollowUpRecorded(visit="month-1"))
        self.tell(returned.TherapyClosed(kept_until_unix_micros=START + 30 * 365 * DAY))
        return self


def creators_of(acts: Iterable[Act]) -> dict[bytes, frozenset[bytes]]:
    """Returns who stands behind each key, as the links of these acts tell."""
    found: dict[bytes, set[bytes]] = {}
    for act in acts:
        if act.stream[0] == 1:
            for key in reference_keys(act):
                found.setdefault(key, set()).add(act.stream)
    return {key: frozenset(streams) for key, streams in found.items()}


def folds_of(acts: Iterable[Act]) -> dict[bytes, Fold[ConsignmentState]]:
    """Returns the consignments of these acts, each folded alone."""
    streams: dict[bytes, list[Act]] = {}
    for act in acts:
        if act.stream[0] == 2:
            streams.setdefault(act.stream, []).append(act)
    folds = {}
    for stream, own in streams.items():
        folds[stream] = Fold(ConsignmentRules(stream))
        folds[stream].extend(own)
    return folds


def case_of(
    acts: Sequence[Act], *, stream: bytes = THERAPY, creators: dict[bytes, frozenset[bytes]] | None = None
) -> TherapyCase:
    """Returns a therapy folded from scratch; `creators` are claims beside those of the acts."""
    merged = creators_of(acts)
    for key, streams in (creators or {}).items():
        merged[key] = merged.get(key, frozenset()) | streams
    references = References(folds_of(acts), merged)
    return TherapyCase(stream, PACK, [act for act in acts if act.stream == stream], references)


class Delivery:
    """Delivers acts one by one, as a ledger gets them, to the consignments and the therapy."""

    def __init__(self, stream: bytes = THERAPY) -> None:
        self.stream = stream
        self.delivered: list[Act] = []
        self.consignments: dict[bytes, Fold[ConsignmentState]] = {}
        self.case = TherapyCase(stream, PACK)
        self.revised: list[frozenset[bytes]] = []

    def deliver(self, act: Act) -> None:
        """Delivers one act."""
        self.delivered.append(act)
        if act.stream == self.stream:
            references = References(dict(self.consignments), creators_of(self.delivered))
            self.revised.append(self.case.append(act, references=references))
            return
        fold = self.consignments.setdefault(act.stream, Fold(ConsignmentRules(act.stream)))
        fold.append(act)
        self.revised.append(self.case.consignment_advanced(act.stream, fold))


def outcome(case: TherapyCase) -> dict[str, object]:
    """Returns all that must not depend on the order of delivery, in a form that compares."""
    state = case.state
    return {
        "order": [act.digest for act in case.order],
        "judged": dict(case.judged),
        "holds": sorted(state.holds),
        "materials": dict(state.materials),
        "batches": dict(state.batches),
        "breaks": list(state.identity_breaks),
        "infusions": dict(state.infusions),
        "treatment": state.treatment,
        "containers": {stream: dict(consignment.containers) for stream, consignment in state.consignments.items()},
    }


def unhappy(case: TherapyCase) -> dict[str, set[str]]:
    """Returns the acts that are not in order, with what was found; empty for a story without fault."""
    bad = (Status.NONCONFORMING, Status.AWAITING)
    return {
        f"{act.leaf_index} {act.body_type}": {finding.code for finding in case.judged[act.digest].findings}
        for act in case.order
        if case.judged[act.digest].status in bad
    }
