"""Back to the hospital, frozen; and the patient is made ready meanwhile."""

from __future__ import annotations

from datetime import timedelta

from cellcustody.clients.simulation.quantities import exact
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned
from demo.cast import unit_of
from demo.legs import Box, Leg
from demo.telling import Story

__all__ = ["bring_back", "condition"]

FROZEN = (-180_000, -120_000)
AGENTS = (("fludarabine", 30), ("cyclophosphamide", 500))


def bring_back(story: Story) -> None:
    """Both bags in one dewar, into the hospital's tank."""
    story.chapter("Back to the hospital")
    cast = story.cast
    box = Box("dewar-1", "DEWAR-01", "LOGGER-04", tuple(story.products))
    leg = Leg(story, "C-1003", cast.operator, cast.technician, (box,), FROZEN)
    leg.pack()
    leg.hand_over(cast.operator, cast.driver)
    story.wait(timedelta(hours=20))
    leg.hand_over(cast.driver, cast.technician)
    leg.inspect()
    leg.receive()
    for bag in story.products:
        story.tell(
            cast.technician,
            harvest.MaterialStored(
                material=bag.material,
                position=common.Position(unit=unit_of(cast.technician), place="tank-2/rack-6"),
                temperature=exact(-150, "Cel"),
            ),
            f"{bag.name} in tank-2/rack-6",
        )
    story.tell_custody()


def condition(story: Story) -> None:
    """Lymphodepletion over three days; its window opens three days later."""
    story.chapter("Lymphodepletion")
    physician = story.cast.physician
    agents = [returned.ConditioningAgent(agent=agent, dose=exact(amount, "mg/m2"), days=3) for agent, amount in AGENTS]
    begun = story.tell(
        physician,
        returned.LymphodepletionStarted(unit=unit_of(physician), course=1, agents=agents),
        " and ".join(agent for agent, _ in AGENTS),
    )
    story.tell(
        physician,
        returned.LymphodepletionStopped(started=begun.statement_digest, completed=True, agents=agents),
        "completed; the infusion is to follow within 3 to 14 days",
        after=timedelta(days=3),
    )
