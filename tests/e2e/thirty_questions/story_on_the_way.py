"""The small story on the way: boxes, seals, loggers, handoffs; one box is missing and found, one ran warm."""

from __future__ import annotations

import hashlib
import os
import time

from tests.e2e.thirty_questions.story_people import (
    ACCEPTED,
    Telling,
    celsius,
    document,
    unit,
)

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import StatementRefused
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import (
    common_pb2,
    harvest_pb2,
    quality_pb2,
    transport_pb2,
)
from demo.world import Person

__all__ = ["OnTheWay"]


class OnTheWay(Telling):
    """Tells what happens between the sites."""

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
