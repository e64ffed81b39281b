"""To the plant: two boxes by courier, signed without a network on the road; one goes missing, was warm, and is kept.

What the plant needs longer for because of it exceeds the pack's time from collection to the start of the batch; quality
says so beforehand, on its stability study.
"""

from __future__ import annotations

from datetime import timedelta

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import StatementRefused
from cellcustody.clients.simulation.quantities import document
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import statement_pb2
from cellcustody.v1 import transport_pb2 as transport
from demo.cast import unit_of
from demo.legs import Box, Leg, seals_of
from demo.telling import Story

__all__ = ["bring_to_plant"]

FRESH = (2_000, 8_000)


def bring_to_plant(story: Story) -> None:
    """From the hospital's packing table to the plant's receipt."""
    story.chapter("To the manufacturer")
    cast = story.cast
    first, second = story.collected
    boxes = (Box("box-1", "COOLER-01", "LOGGER-01", (first,)), Box("box-2", "COOLER-02", "LOGGER-02", (second,)))
    leg = Leg(story, "C-1001", cast.technician, cast.operator, boxes, FRESH)
    story.outward = leg.stream
    leg.pack()
    release = story.tell(
        cast.technician, leg.released(cast.technician, cast.driver), "both boxes to the courier", stream=leg.stream
    )
    handover = _on_the_road(story, leg, release)
    missed = story.tell(
        cast.operator,
        leg.accepted(cast.operator, handover, missing=(boxes[1],)),
        "box-1; box-2 is not there",
        stream=leg.stream,
        intends={"CONTAINER_NOT_PRESENT"},
    )
    story.tell_custody()
    _find(story, leg, boxes[1])
    _decide(story, leg, boxes[1], missed)


def _on_the_road(story: Story, leg: Leg, release: Recorded) -> bytes:
    """The courier's tablet has no network: three acts wait in its outbox; returns the digest of the last."""
    driver = story.cast.driver
    queued = driver.client.queued
    story.wait(timedelta(minutes=10))
    signed = [story.world.clock.now()]
    queued.act(
        leg.stream,
        leg.accepted(driver, release.statement_digest),
        meaning=statement_pb2.MEANING_ACCEPTED,
    )
    story.wait(timedelta(hours=2))
    signed.append(story.world.clock.now())
    queued.act(
        leg.stream,
        transport.TransitCheckpointPassed(
            place="hub north", containers=[box.name for box in leg.boxes], seals=seals_of(leg.boxes)
        ),
    )
    story.wait(timedelta(hours=3))
    signed.append(story.world.clock.now())
    handover = queued.act(leg.stream, leg.released(driver, story.cast.operator))
    story.remark("no network on the road: three acts are signed into the tablet's outbox")
    story.wait(timedelta(minutes=20))
    delivered = driver.client.deliver()
    story.remark(f"back in reach: {len(delivered)} acts delivered from the outbox, in order")
    names = ("CustodyAccepted", "TransitCheckpointPassed", "CustodyReleased")
    for name, at, outcome in zip(names, signed, delivered, strict=True):
        if isinstance(outcome, StatementRefused):
            raise SystemExit(f"the outbox was refused: {outcome}")
        story.note(driver, name, outcome, "from the outbox", at=at)
    return handover.statement_digest


def _find(story: Story, leg: Leg, box: Box) -> None:
    cast = story.cast
    story.tell(
        cast.night_driver,
        transport.PossessionReported(
            possessor=unit_of(cast.night_driver), containers=[box.name], place="hub north, cold room"
        ),
        f"{box.name} is found at hub north",
        stream=leg.stream,
        after=timedelta(hours=9),
    )
    story.wait(timedelta(hours=3))
    leg.hand_over(cast.night_driver, cast.operator, (box,), intends={"RELEASED_ON_HOLD"})


def _decide(story: Story, leg: Leg, box: Box, missed: Recorded) -> None:
    """Both holds are decided on: the one by quality's word, the other on a study alone."""
    cast, materials = story.cast, [bag.material for bag in box.bags]
    inspected = leg.inspect(warm=box)
    story.tell_custody()
    story.tell_alerts(cast.reviewer)
    raised = story.tell(
        cast.reviewer,
        quality.DeviationRaised(
            reference="DEV-0001",
            scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=materials),
            description="the box was left at a hub, and was above its band for 40 minutes",
        ),
        "DEV-0001",
    )
    story.tell(
        cast.reviewer,
        quality.HoldLifted(
            holds=[hold_id(missed.statement_digest, "CONTAINER_NOT_PRESENT")],
            disposition="found in the cold room; seal whole",
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="the box was found"),
        ),
        "the box was found, its seal whole",
        stream=leg.stream,
    )
    leg.receive()
    story.tell(
        cast.reviewer,
        transport.ConditionDisposed(
            materials=materials,
            holds=inspected.holds_opened,
            inspection=inspected.statement_digest,
            decision=transport.CONDITION_DECISION_ACCEPTED,
            study_reference="STAB-0007",
            study=document("stability-study", "STAB-0007"),
            rationale="40 minutes below 11 Cel lie within the study",
        ),
        "accepted on stability study STAB-0007",
        after=timedelta(hours=1),
    )
    story.tell(
        cast.reviewer,
        quality.DeviationClosed(
            deviation=raised.statement_digest,
            capa_reference="CAPA-0001",
            outcome="the hub counts boxes at every departure now",
            report=document("deviation-report", "DEV-0001"),
        ),
        "DEV-0001, with CAPA-0001",
    )
    story.tell_custody()
