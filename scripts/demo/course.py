"""The whole course of one therapy, chapter by chapter, and how far a demonstration takes it.

Days and hours count from when the story begins; chapters last some hours or days by themselves.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from demo.chapters import aftermath, harvest, homeward, manufacture, outward, testing, treatment
from demo.telling import Story

__all__ = ["WHOLE_COURSE", "WITHIN_PLANT", "tell_harvest", "tell_to_the_plant", "tell_whole"]

WHOLE_COURSE: Final = timedelta(days=140)
"""How long before now a whole therapy begins, so that it does not end in the future."""

WITHIN_PLANT: Final = timedelta(days=8, hours=16)
"""How long before now a therapy begins that is at the plant now."""


def tell_harvest(story: Story) -> None:
    """From enrolment to two bags in the hospital's cell laboratory."""
    harvest.enrol(story)
    story.wait_until(6)
    harvest.collect(story, 1)
    story.wait_until(7)
    harvest.collect(story, 2)


def tell_to_the_plant(story: Story) -> None:
    """From enrolment to two bags at the plant, one of which was missing and warm on the way."""
    tell_harvest(story)
    harvest.mend(story)
    outward.bring_to_plant(story)


def tell_whole(story: Story) -> None:
    """From enrolment to closure."""
    tell_to_the_plant(story)
    story.wait_until(9, 2)
    manufacture.override(story)
    manufacture.make(story)
    manufacture.fill(story)
    testing.test(story)
    story.wait_until(34)
    testing.release(story)
    story.wait_until(35)
    homeward.bring_back(story)
    story.wait_until(37)
    homeward.condition(story)
    story.wait_until(44)
    treatment.infuse(story)
    aftermath.monitor(story)
    aftermath.follow(story)
    aftermath.close(story)
