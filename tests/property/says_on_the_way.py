"""Say facts of consignments: handoffs in both halves, and what is told of containers beside them."""

from __future__ import annotations

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

from .custody_model import Unit
from .places import ALL_UNITS, APHERESIS, BOXES, COURIER, PLANT, identity, stated
from .scribe import Scribe


class CarriersScribe(Scribe):
    """Says what happens to containers."""

    def say_on_the_way(self, stream: bytes) -> None:
        """Says a fact of a consignment, most often the one that comes next."""
        told = self.told_on_the_way().told
        boxes = {label: box for (one, label), box in told.boxes.items() if one == stream}
        if not boxes and not self.off():
            unit = self.unit(self.one((APHERESIS, (PLANT, "store"))))
            self.fact(stream, opening(unit), self.person(unit[0]))
            return
        label = self.one(tuple(boxes)) if boxes and not self.off() else self.one((*BOXES, "stray"))
        box = boxes.get(label)
        waiting = None if box is None or box.waiting is None else box.waiting
        release = next((act for act in self.said if act.digest == waiting), None)
        draw = self.rng.random()
        if draw < 0.25:
            self.say_about_containers(stream, label)
        elif release is None or self.off():
            self.releases(stream, label, None if box is None else box.answers)
        else:
            self.answers(stream, release)

    def releases(self, stream: bytes, label: str, holder: Unit | None) -> None:
        """Releases containers."""
        releaser, receiver = self.unit(holder), self.one(ALL_UNITS)
        labels = BOXES if self.chance(0.3) else (label,)
        body = transport.CustodyReleased(
            releaser=stated(releaser),
            receiver=stated(receiver),
            containers=labels,
            count=len(labels) + self.off(),
        )
        self.fact(stream, body, self.person(releaser[0]))

    def answers(self, stream: bytes, release: Act) -> None:
        """Answers a release, takes it back, or names another receiver."""
        assert isinstance(release.body, transport.CustodyReleased)
        digest = self.statement(release)
        renamed = [act.body for act in self.said if isinstance(act.body, transport.ReceiverRenamed)]
        meant = [body.receiver for body in renamed if body.release == release.digest]
        named = meant[-1] if meant else release.body.receiver
        receiver = self.unit((named.site, named.unit))
        releaser = release.body.releaser
        body: Message
        match self.rng.randrange(10):
            case 0:
                body = transport.CustodyRefused(release=digest, receiver=stated(receiver))
                self.fact(stream, body, self.person(receiver[0]))
            case 1:
                self.fact(stream, transport.ReleaseWithdrawn(release=digest), self.person(releaser.site))
            case 2:
                body = transport.ReceiverRenamed(release=digest, receiver=stated(self.one(ALL_UNITS)))
                self.fact(stream, body, self.person(releaser.site))
            case _:
                outcomes = (
                    common.LINE_OUTCOME_REFUSED,
                    common.LINE_OUTCOME_NOT_PRESENT,
                    common.LINE_OUTCOME_EXTRA,
                )
                lines = [
                    common.HandoffLine(
                        container=label if not self.off() else self.one((*BOXES, "stray")),
                        outcome=self.one(outcomes) if self.off() else common.LINE_OUTCOME_ACCEPTED,
                    )
                    for label in release.body.containers
                    if not self.off()
                ]
                body = transport.CustodyAccepted(
                    release=digest, receiver=stated(receiver), lines=lines, count=len(lines)
                )
                speaker = self.person(receiver[0])
                if self.chance(0.1):  # The receiver has no key: somebody of the releaser attests.
                    speaker = self.person(releaser.site)
                    body.attestation.name_sha256 = identity("driver") * 2
                    body.attestation.badge = "B-1"
                act = self.fact(stream, body, speaker)
                if body.HasField("attestation") and not self.off() and act in self.acts:
                    self.join(act)

    def say_about_containers(self, stream: bytes, label: str) -> None:
        """Says something about containers that is no half of a handoff."""
        unit = self.one(ALL_UNITS)
        body: Message
        match self.rng.randrange(12):
            case 0 | 1 | 2:
                body = transport.PossessionReported(possessor=stated(unit), containers=[label])
            case 3:
                body = transport.ContainersLost(containers=[label])
            case 4 | 5:
                body = transport.SealApplied(container=label, seal="S-1")
            case 6:
                body = quality.HoldPlaced(
                    scope=quality.Scope(kind=quality.SCOPE_KIND_CONSIGNMENT, ids=[stream], containers=[label])
                )
            case 7:
                body = opening(self.one(ALL_UNITS))
            case 8:
                body = transport.ConsignmentClosed(unit=stated(unit))
            case 9:
                body = transport.CustomsHeld(containers=[label], place="border")
            case 10:
                body = transport.ShockRecorded(container=label, kind=transport.SHOCK_KIND_TILT)
            case _:
                body = transport.ReceiptInspected(unit=stated(unit), containers=[label])
        self.fact(stream, body, self.person(unit[0]))


def opening(unit: Unit) -> transport.ConsignmentOpened:
    """Returns the body that opens a consignment of two boxes."""
    return transport.ConsignmentOpened(
        unit=stated(unit),
        destination=stated((PLANT, "suite")),
        containers=[common.Container(container=label, kind="dry_shipper") for label in BOXES],
        carrier=COURIER,
    )
