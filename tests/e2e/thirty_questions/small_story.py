"""One therapy from harvest to infusion, as its people would enter it; every act is signed by whoever does it.

What goes otherwise than planned on the way, on purpose: a courier's leg is signed offline and delivered later; one of
two boxes is missing at the plant and found again; a logger shows a temperature outside its band; a storage position is
entered wrongly and corrected.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from tests.e2e.thirty_questions.story_making import Making
from tests.e2e.thirty_questions.story_people import (
    ACCEPTED,
    VERIFIED,
    WITNESSED,
    unit,
    volume,
)

from cellcustody.clients.readiness import BedsideCertificates, ServiceKeys
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import Opening, StreamKind, new_stream_id
from cellcustody.v1 import (
    common_pb2,
    harvest_pb2,
    return_pb2,
    transport_pb2,
)

__all__ = ["Story"]


class Story(Making):
    """One therapy from harvest to infusion."""

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
