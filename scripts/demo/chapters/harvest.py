"""The hospital's part before the cells leave: enrolment, screening, slot, two days of collection, labels, cold.

What goes otherwise than planned: a label is torn and voided, the scanner reads the label of somebody else's bag, and a
storage position is entered wrongly.
"""

from __future__ import annotations

import os
from datetime import timedelta

from cellcustody.clients.simulation.quantities import DAY, document, exact, scanned, volume
from cellcustody.ledger.identifiers import ChainOfIdentity, Din, next_chain_of_identity, next_din
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import quality_pb2 as quality
from demo.cast import unit_of
from demo.telling import Bag, Story

__all__ = ["collect", "enrol", "mend"]

FACILITY = "A9999"  # The standard's own example.
DRAWN = timedelta(hours=3)
APHERESIS = "APHERESIS-2"


def enrol(story: Story) -> None:
    """Enrols the therapy and its patient in a study; consent, eligibility, screening, a slot at the plant."""
    story.chapter("Enrolment")
    cast, pack = story.cast, story.cast.pack
    story.coi = next_chain_of_identity(FACILITY, story.year, int.from_bytes(os.urandom(2), "big") + 1).printed_compact
    story.patient = [
        common.PatientIdentifier(kind=kind, value=value, method=common.READ_METHOD_SCANNED)
        for kind, value in (("medical_record_number", "MRN-000000"), ("wristband", "WB-000000"))
    ]
    enrolled = harvest.TherapyEnrolled(
        aliases=[common.Alias(scheme="isbt128-coi", value=story.coi)],
        patient_identifiers=story.patient,
        product=pack.product,
        jurisdiction=pack.jurisdiction,
        policy_digest=pack.digest,
        treating_unit=unit_of(cast.physician),
        participants=sorted(cast.sites[name].site for name in ("Courier", "Manufacturer", "Laboratory")),
        custodian_of_record=cast.physician.site,
        indication="an indication to try out",
    )
    story.tell(cast.physician, enrolled, f"chain of identity {story.coi}")
    story.tell(
        cast.physician,
        harvest.ConsentRecorded(
            scopes=[one for one in harvest.ConsentScope.values() if one],
            form_version="4",
            documents=[document("consent-form", "form")],
        ),
        "all scopes, form version 4",
    )
    story.tell(
        cast.physician,
        harvest.EligibilityAssessed(
            outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, criteria_version="2", grounds=["by the criteria"]
        ),
        "eligible",
    )
    study = harvest.TrialEnrolled(
        study="STUDY-0001",
        protocol="PROT-1",
        protocol_version="3",
        subject="S-007",
        arm="A",
        unit=unit_of(cast.physician),
    )
    story.tell(cast.physician, study, "study STUDY-0001, arm A")
    _screen(story)


def _screen(story: Story) -> None:
    cast, markers = story.cast, sorted(story.cast.pack.eligibility.markers)
    story.tell(
        cast.physician,
        harvest.DonorScreened(
            sample_taken_at_unix_micros=story.now - DAY // 2,
            markers=[harvest.MarkerTested(marker=one, evaluated=True) for one in markers],
            results=[harvest.MarkerResult(marker=one, outcome=harvest.MARKER_OUTCOME_NON_REACTIVE) for one in markers],
            biohazard=harvest.BIOHAZARD_NEGATIVE,
            laboratory="hospital laboratory",
        ),
        f"{', '.join(markers)}: not reactive",
        after=timedelta(days=1),
    )
    story.slot = story.tell(
        cast.operator,
        harvest.SlotReserved(
            slot="SLOT-31",
            unit=unit_of(cast.operator),
            attempt=1,
            collect_from_unix_micros=story.now,
            collect_until_unix_micros=story.now + 21 * DAY,
            manufacture_from_unix_micros=story.now + 4 * DAY,
        ),
        "SLOT-31",
    ).statement_digest


def collect(story: Story, day: int) -> None:
    """A day's collection, from the kit to the cell laboratory's refrigerator."""
    story.chapter(f"Collection, day {day} of 2")
    cast = story.cast
    nurse, second, apheresis = cast.nurse, cast.second_nurse, unit_of(cast.nurse)
    serials = [f"L{day}-{index}" for index in (1, 2, 3)]
    kit = story.tell(
        nurse,
        harvest.KitReceived(
            lot=cast.lots["kit"].use(),
            kit_serial=f"KIT-020-{day}",
            expires_at_unix_micros=story.now + 300 * DAY,
            label_serials=serials,
            labels_counted=len(serials),
            unit=apheresis,
            intact=True,
        ),
        "whole, with three labels",
    )
    story.tell(
        nurse,
        harvest.IdentityChecked(
            point=harvest.IDENTITY_POINT_CHAIRSIDE,
            patient_identifiers=story.patient,
            coi_read=story.coi,
            scans=[scan_of_coi(story)],
        ),
        "at the chair, wristband and record scanned",
        join=second,
    )
    drawn = next_din(FACILITY, story.year, int.from_bytes(os.urandom(2), "big") * 10 + day)
    bag = Bag(os.urandom(16), f"bag of day {day}", drawn.number + drawn.check_character)
    started = story.tell(
        nurse,
        harvest.CollectionStarted(
            day=day,
            din=bag.din,
            unit=apheresis,
            equipment=APHERESIS,
            attempt=1,
            kit=kit.statement_digest,
            slot=story.slot,
            anticoagulant="ACD-A",
            scans=[scan_of_din(bag)],
        ),
        f"donation {bag.din}",
    )
    story.tell(
        nurse,
        harvest.CollectionCompleted(
            started=started.statement_digest,
            outputs=[
                common.NewMaterial(
                    material=bag.material, kind=common.MATERIAL_KIND_COLLECTION, quantity=volume(118 + day)
                )
            ],
            unit=apheresis,
            tolerance="well",
        ),
        f"{118 + day} mL",
        after=DRAWN,
    )
    story.collected.append(bag)
    story.named[bag.material] = bag.name
    _label(story, bag, serials)
    story.tell(
        nurse,
        harvest.UnitTransferred(materials=[bag.material], releaser=apheresis, receiver=unit_of(cast.technician)),
        "to the cell laboratory",
        join=cast.technician,
    )
    story.tell(
        cast.technician,
        harvest.FreshHoldStarted(
            materials=[bag.material],
            position=common.Position(unit=unit_of(cast.technician), place="fridge-1"),
            temperature=exact(4, "Cel"),
        ),
        "at 4 Cel, for 72 hours at the most",
    )
    story.tell_custody()


def _label(story: Story, bag: Bag, serials: list[str]) -> None:
    """The first label is torn, the second is on the bag, the third goes back; another nurse reads it back."""
    nurse, second = story.cast.nurse, story.cast.second_nurse
    torn, used, left = serials
    story.tell(nurse, harvest.LabelVoided(serials=[torn], reason="torn"), f"{torn}, torn")
    applied = story.tell(
        nurse,
        harvest.LabelApplied(
            material=bag.material,
            din=bag.din,
            coi=story.coi,
            product_code="S0999100",
            division="00",
            label_serial=used,
            texts=["FOR AUTOLOGOUS USE ONLY"],
        ),
        used,
    )
    story.tell(
        second,
        labels.LabelReadBack(
            applied=applied.statement_digest, material=bag.material, scans=[scan_of_coi(story), scan_of_din(bag)]
        ),
        "both codes scanned by another nurse",
    )
    story.tell(nurse, labels.LabelsReturned(serials=[left], unit=unit_of(nurse)), left)
    days = len(story.collected)
    story.tell(
        nurse,
        labels.LabelsReconciled(unit=unit_of(nurse), printed=3 * days, applied=days, voided=days, returned=days),
        f"{3 * days} = {days} applied, {days} voided, {days} returned",
    )


def mend(story: Story) -> None:
    """A scan reads another patient's label, and identity is restored by two; a position is corrected."""
    story.chapter("A wrong scan, and a slip of the pen")
    cast, bag = story.cast, story.collected[1]
    other = next_chain_of_identity(FACILITY, story.year, 70_001)
    stored = _stored(story, bag, "fridge-2")
    stored.scans.append(scanned(other.wire()))
    strange = story.tell(cast.technician, stored, "the scanner reads another bag's label", intends={"SCAN_MISMATCH"})
    identified = story.tell(
        cast.technician,
        harvest.ReidentificationPerformed(
            source_record="enrolment file of the ward",
            patient_identifiers=story.patient,
            coi_read=story.coi,
            materials=[bag.material],
            breaks=[strange.statement_digest],
        ),
        "from the source record, by two persons",
        join=cast.second_technician,
    )
    story.tell(
        cast.reviewer,
        quality.IdentityRestored(reidentification=identified.statement_digest, holds=strange.holds_opened),
        "a label had lain beside the bag",
        join=cast.quality_head,
    )
    wrong = story.tell(cast.technician, _stored(story, bag, "fridge-2/shelf-9"), "a slip: shelf 9")
    right = _stored(story, bag, "fridge-2/shelf-6")
    right.replaces = wrong.statement_digest
    replacement = story.tell(cast.technician, right, "waits for the correction", intends={"CORRECTION_MISSING"})
    story.tell(
        cast.technician,
        quality.StatementCorrected(
            corrected=wrong.statement_digest,
            replacement=replacement.statement_digest,
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="the shelf was misread"),
        ),
        "shelf 9 corrected to shelf 6; both stay in the record",
    )
    story.tell_custody()


def _stored(story: Story, bag: Bag, place: str) -> harvest.MaterialStored:
    return harvest.MaterialStored(
        material=bag.material,
        position=common.Position(unit=unit_of(story.cast.technician), place=place),
        temperature=exact(4, "Cel"),
    )


def scan_of_coi(story: Story) -> common.Scan:
    """Returns the therapy's chain of identity identifier as a scanner gives it."""
    return scanned(ChainOfIdentity.parse_printed(story.coi).wire())


def scan_of_din(bag: Bag) -> common.Scan:
    """Returns a bag's donation number as a scanner gives it."""
    return scanned(Din.parse_printed(bag.din).wire())
