"""At the ward: each of two bags is issued, thawed, checked by two persons and given; what is left is destroyed."""

from __future__ import annotations

from datetime import timedelta

from cellcustody.clients.readiness import BedsideCertificates, ServiceKeys
from cellcustody.clients.simulation.quantities import HOUR, document, volume
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import Opening
from cellcustody.v1 import return_pb2 as returned
from demo.cast import unit_of
from demo.chapters.harvest import scan_of_coi, scan_of_din
from demo.telling import Bag, Story

__all__ = ["infuse"]


def infuse(story: Story) -> None:
    """Both bags of the dose, and the end of the remainder."""
    story.chapter("Infusion")
    cast = story.cast
    nurse, ward = cast.ward_nurse, unit_of(cast.ward_nurse)
    story.tell(
        nurse,
        returned.PremedicationGiven(unit=ward, agents=[returned.ConditioningAgent(agent="paracetamol")]),
        "paracetamol",
    )
    for order, bag in enumerate(story.products, 1):
        _give(story, bag, order, left=15 if order == 2 else 0)
    last = story.products[-1]
    story.tell(
        nurse,
        returned.MaterialDestroyed(
            material=last.material,
            unit=ward,
            method="incineration",
            quantity=volume(15),
            certificate=document("certificate-of-destruction", "1"),
        ),
        f"the remainder of {last.name}, 15 mL",
        join=cast.second_ward_nurse,
    )
    story.tell_custody()


def _give(story: Story, bag: Bag, order: int, *, left: int) -> None:
    cast = story.cast
    nurse, ward = cast.ward_nurse, unit_of(cast.ward_nurse)
    certificate = _certificate(story, bag)
    story.tell(
        cast.technician,
        returned.MaterialIssued(material=bag.material, releaser=unit_of(cast.technician), receiver=ward),
        f"{bag.name} to the ward",
        join=nurse,
    )
    story.tell(
        nurse,
        returned.MaterialThawed(
            material=bag.material,
            unit=ward,
            equipment="BATH-1",
            intact=True,
            usable_until_unix_micros=story.now + 2 * HOUR,
        ),
        bag.name,
    )
    checked = story.tell(
        nurse,
        returned.BedsideChecked(
            material=bag.material,
            patient_identifiers=story.patient,
            coi_read=story.coi,
            din_read=bag.din,
            patient_present=True,
            expires_read_unix_micros=story.expires_at,
            release_certificate=document("release-for-infusion", "B-0031"),
            rescue_medicines=[
                returned.RescueMedicine(medicine=name, doses=doses)
                for name, doses in sorted(cast.pack.bedside.rescue_medicines.items())
            ],
            readiness_certificate=certificate,
            scans=[scan_of_coi(story), scan_of_din(bag)],
        ),
        "patient, bag, expiry, certificates; two codes scanned",
        join=cast.second_ward_nurse,
    )
    nurse.client.note_position(story.position)
    ready = nurse.client.readiness(bag.material)
    if not ready.ready:
        raise SystemExit("not ready: " + " ".join(one.code for one in ready.reasons))
    story.remark("readiness: yes")
    started = story.tell(
        nurse,
        returned.InfusionStarted(
            material=bag.material, unit=ward, bedside_check=checked.statement_digest, bag_order=order
        ),
        f"{bag.name}, number {order} of {len(story.products)}",
    )
    story.first_infusion = story.first_infusion or story.now
    stopped = returned.InfusionStopped(
        material=bag.material,
        started=started.statement_digest,
        outcome=returned.INFUSION_OUTCOME_PARTIAL if left else returned.INFUSION_OUTCOME_COMPLETE,
        given=volume(65 - left),
        stop_reason="the line was blocked" if left else "",
    )
    if left:
        stopped.remainder.CopyFrom(volume(left))
    story.tell(
        nurse,
        stopped,
        f"{65 - left} of 65 mL given" + (", the line was blocked" if left else ""),
        after=timedelta(minutes=15),
    )


def _certificate(story: Story, bag: Bag) -> bytes:
    """Fetches the ledger's certificate for a bag, and verifies it as the ward does when its network is gone."""
    world, client = story.world, story.cast.ward_nurse.client
    client.note_position(story.position)
    founding = client.entry(leaf_index=0)
    keys = ServiceKeys.of_founding(
        parse_anchor(world.founded.anchor.read_bytes()),
        read_entry(founding.entry).envelope,
        [Opening(one.index, one.salt, one.record) for one in founding.openings],
    )
    kept = BedsideCertificates(world.folder / "certificates", keys, world.clock)
    kept.preload(client, [bag.material])
    found = kept.certificate_for(bag.material)
    story.remark(
        f"{bag.name}: readiness certificate at position {found.certificate.position}, verified without a network"
    )
    return found.envelope
