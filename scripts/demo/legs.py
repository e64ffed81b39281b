"""A leg: boxes opened, packed, sealed, handed over, inspected and emptied, each act said by whoever does it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cellcustody.clients.answers import Recorded
from cellcustody.clients.session import unix_micros
from cellcustody.clients.simulation.quantities import celsius, document
from cellcustody.ledger.condition import ACTIVATION_ENERGY_JOULES_PER_MOLE
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import transport_pb2 as transport
from demo.cast import unit_of
from demo.telling import Bag, Story
from demo.world import Person

__all__ = ["Box", "Leg"]

INTERVAL_SECONDS: Final = 300
QUALIFIED: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Box:
    """A container with what travels in it, its shipper, its logger and its seal."""

    name: str
    shipper: str
    logger: str
    bags: tuple[Bag, ...]

    @property
    def seal(self) -> str:
        """The number on its seal."""
        return f"SEAL-{self.name}"


@dataclass
class Leg:
    """One consignment; `band` is in thousandths of a degree Celsius."""

    story: Story
    number: str
    sender: Person
    receiver: Person
    boxes: tuple[Box, ...]
    band: tuple[int, int]
    stream: bytes = field(default_factory=lambda: new_stream_id(StreamKind.CONSIGNMENT, os.urandom))
    began: int = 0

    def pack(self) -> None:
        """Opens the consignment, starts the loggers, packs and seals."""
        story, sender = self.story, self.sender
        until = unix_micros(story.world.clock.now() + QUALIFIED)
        story.tell(
            sender,
            transport.ConsignmentOpened(
                unit=unit_of(sender),
                consignment_number=self.number,
                containers=[
                    common.Container(
                        container=box.name,
                        kind="dry_shipper" if self.band[1] < 0 else "cooler",
                        asset=box.shipper,
                        qualified_until_unix_micros=until,
                        logger=box.logger,
                        number=index,
                        number_of=len(self.boxes),
                        coi=story.coi,
                    )
                    for index, box in enumerate(self.boxes, 1)
                ],
                destination=unit_of(self.receiver),
                carrier=story.cast.driver.site,
            ),
            f"{self.number}: {', '.join(box.name for box in self.boxes)}",
            stream=self.stream,
        )
        for box in self.boxes:
            self._pack(box, until)

    def _pack(self, box: Box, until: int) -> None:
        story, sender = self.story, self.sender
        started = transport.LoggerStarted(
            container=box.name,
            logger=box.logger,
            calibrated_until_unix_micros=until,
            interval_seconds=INTERVAL_SECONDS,
            band_min=celsius(self.band[0]),
            band_max=celsius(self.band[1]),
        )
        story.tell(sender, started, f"{box.logger} in {box.name}, shipper {box.shipper}", stream=self.stream)
        self.began = self.began or story.now
        for bag in box.bags:
            packed = harvest.MaterialPacked(
                material=bag.material,
                consignment=self.stream,
                container=box.name,
                unit=unit_of(sender),
                coi_read=story.coi,
            )
            story.tell(sender, packed, f"{bag.name} into {box.name}")
        sealed = transport.SealApplied(container=box.name, seal=box.seal)
        story.tell(sender, sealed, box.seal, stream=self.stream)

    # Handoffs. -----------------------------------------------------------------------------------------------------

    def released(self, by: Person, to: Person, boxes: tuple[Box, ...] = ()) -> transport.CustodyReleased:
        """Returns the giver's half of a handoff."""
        given = boxes or self.boxes
        return transport.CustodyReleased(
            releaser=unit_of(by),
            receiver=unit_of(to),
            containers=[box.name for box in given],
            count=len(given),
            seals=seals_of(given),
            waybill=f"WB-{self.number}",
        )

    def accepted(
        self, by: Person, release: bytes, boxes: tuple[Box, ...] = (), missing: tuple[Box, ...] = ()
    ) -> transport.CustodyAccepted:
        """Returns the taker's half of a handoff, line by line."""
        there = tuple(box for box in boxes or self.boxes if box not in missing)
        lines = [common.HandoffLine(container=box.name, outcome=common.LINE_OUTCOME_ACCEPTED) for box in there]
        lines += [common.HandoffLine(container=box.name, outcome=common.LINE_OUTCOME_NOT_PRESENT) for box in missing]
        return transport.CustodyAccepted(
            release=release, receiver=unit_of(by), lines=lines, count=len(there), seals=seals_of(there)
        )

    def hand_over(self, by: Person, to: Person, boxes: tuple[Box, ...] = (), *, intends: Collection[str] = ()) -> None:
        """Both halves of a handoff; `intends` is what the ledger is to find in the giver's."""
        story = self.story
        names = ", ".join(box.name for box in boxes or self.boxes)
        release = story.tell(
            by,
            self.released(by, to, boxes),
            f"{names} to {story.world.names[to.site]}",
            stream=self.stream,
            intends=intends,
        )
        accepted = self.accepted(to, release.statement_digest, boxes)
        story.tell(to, accepted, names, stream=self.stream)

    # Receipt. ------------------------------------------------------------------------------------------------------

    def inspect(self, *, warm: Box | None = None) -> Recorded:
        """The receiver reads seals and loggers; one of them may have been warm for 40 minutes."""
        note = "seals whole, loggers read"
        if warm is not None:
            note = f"the logger of {warm.name} was above its band for 40 minutes"
        return self.story.tell(
            self.receiver,
            transport.ReceiptInspected(
                unit=unit_of(self.receiver),
                containers=[box.name for box in self.boxes],
                seals=seals_of(self.boxes),
                loggers=[self._summary(box, 2400 if box is warm else 0) for box in self.boxes],
            ),
            note,
            stream=self.stream,
            intends={"EXCURSION"} if warm is not None else (),
        )

    def receive(self) -> None:
        """Takes out every bag, reads its label, and closes the consignment."""
        story, receiver = self.story, self.receiver
        for box in self.boxes:
            for bag in box.bags:
                story.tell(
                    receiver,
                    harvest.MaterialReceived(
                        material=bag.material,
                        consignment=self.stream,
                        container=box.name,
                        unit=unit_of(receiver),
                        din_read=bag.din,
                        coi_read=story.coi,
                        intact=True,
                    ),
                    f"{bag.name} out of {box.name}",
                )
        story.tell(receiver, transport.ConsignmentClosed(unit=unit_of(receiver)), self.number, stream=self.stream)

    def _summary(self, box: Box, outside_seconds: int) -> common.LoggerSummary:
        least, most = self.band
        middle = (least + most) // 2000 * 1000
        now = self.story.now
        return common.LoggerSummary(
            logger=box.logger,
            file=document("logger-file", self.number, box.name),
            temperature_min=celsius(middle - 1_000),
            temperature_max=celsius(most + 3_000 if outside_seconds else middle + 1_000),
            temperature_mean_kinetic=celsius(middle),
            activation_energy_joules_per_mole=ACTIVATION_ENERGY_JOULES_PER_MOLE,
            out_of_band_seconds=outside_seconds,
            longest_out_of_band_seconds=outside_seconds,
            above_band_seconds=outside_seconds,
            interval_seconds=INTERVAL_SECONDS,
            first_reading_unix_micros=self.began,
            last_reading_unix_micros=now,
            readings=max(3, (now - self.began) // (INTERVAL_SECONDS * 1_000_000)),
            band_min=celsius(least),
            band_max=celsius(most),
            condition=common.CONDITION_OUT_OF_RANGE if outside_seconds else common.CONDITION_IN_RANGE,
        )


def seals_of(boxes: tuple[Box, ...]) -> list[common.SealReading]:
    """Returns that every seal was read and whole."""
    return [common.SealReading(container=box.name, seal=box.seal, intact=True) for box in boxes]
