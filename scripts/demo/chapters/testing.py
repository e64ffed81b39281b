"""A contract laboratory tests, by a sample whose custody is its own; quality reviews and releases, and not before."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from cellcustody.clients.simulation.quantities import document, exact
from cellcustody.ledger.custody.policy import ResultLimit, ResultPhase
from cellcustody.v1 import modification_pb2 as modification
from demo.legs import Box, Leg
from demo.telling import Story

__all__ = ["release", "test"]

COOLED = (2_000, 8_000)


def test(story: Story) -> None:
    """The sample travels; every test that the pack asks for is reported with its value."""
    story.chapter("Testing by the contract laboratory")
    cast = story.cast
    assert story.sample is not None
    box = Box("box-3", "COOLER-03", "LOGGER-03", (story.sample,))
    leg = Leg(story, "C-1002", cast.operator, cast.analyst, (box,), COOLED)
    leg.pack()
    leg.hand_over(cast.operator, cast.driver)
    story.wait(timedelta(hours=4))
    leg.hand_over(cast.driver, cast.analyst)
    leg.inspect()
    leg.receive()
    story.refused(cast.qualified_person, _released(story), "no result is in yet")
    for limit in cast.pack.tests:
        if limit.is_required and ResultPhase.RELEASE in limit.phases:
            wait = timedelta(days=14) if limit.test == "sterility" else timedelta(hours=5)
            story.tell(cast.analyst, _result(story, limit), _words(limit), after=wait)


def release(story: Story) -> None:
    """The batch is reviewed, released by the qualified person and another, and the dose is planned."""
    story.chapter("Release")
    cast = story.cast
    story.tell(
        cast.reviewer,
        modification.BatchReviewed(batch=story.batch, batch_record=document("batch-record", "B-0031"), acceptable=True),
        "the batch record is acceptable",
    )
    story.tell(cast.qualified_person, _released(story), "B-0031, both bags", join=cast.reviewer)
    asked = cast.pack.dose
    assert asked is not None  # The pack limits the dose.
    story.tell(
        cast.physician,
        modification.DosePlanned(
            bags=[
                modification.PlannedBag(material=bag.material, order=order)
                for order, bag in enumerate(story.products, 1)
            ],
            per_kilogram=exact((asked.least + asked.most) / 2, asked.unit),
        ),
        "both bags, one after the other",
    )
    story.tell_custody()


def _released(story: Story) -> modification.BatchReleased:
    return modification.BatchReleased(
        batch=story.batch,
        materials=[bag.material for bag in story.products],
        certificate=document("certificate", "B-0031"),
        release_for_infusion=document("release-for-infusion", "B-0031"),
    )


def _result(story: Story, limit: ResultLimit) -> modification.ResultReported:
    assert story.sample is not None
    body = modification.ResultReported(
        sample=story.sample.material,
        batch=story.batch,
        test=limit.test,
        outcome=modification.RESULT_OUTCOME_PASS,
        phase=modification.RESULT_PHASE_RELEASE,
        method=f"{limit.test} method 3",
        specification="2",
    )
    if limit.has_limits:
        body.value.CopyFrom(exact(_value(limit), limit.unit or "1"))
    return body


def _value(limit: ResultLimit) -> Fraction:
    """Returns a value well within the limits."""
    least = Fraction(0) if limit.least is None else limit.least
    most = least + 1 if limit.most is None else limit.most
    return least + (most - least) * Fraction(2, 5)


def _words(limit: ResultLimit) -> str:
    value = f" {float(_value(limit)):g} {limit.unit}," if limit.has_limits else ""
    return f"{limit.test},{value} pass"
