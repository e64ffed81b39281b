"""A deviation is told with what quality decided of it, and with nothing that was decided of anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import Course, World

from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import quality_pb2 as quality


@pytest.fixture
def views(world: World, tmp_path: Path) -> Iterator[Views]:
    with Views.open(tmp_path / "views.sqlite3", world.harness.ledger) as opened:
        yield opened


def about(course: Course, bag: str) -> quality.Scope:
    return quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[course.material(bag)])


def lifted_hold(world: World, course: Course, bag: str) -> bytes:
    """Returns the statement that lifts a hold which quality had placed on a bag."""
    placed = course.say(world.reviewer, quality.HoldPlaced(scope=about(course, bag)))
    hold = hold_id(placed.statement_digest, "HOLD_PLACED")
    lifting = quality.HoldLifted(holds=[hold])
    lifting.circumstances.reason = "looked at"
    return course.say(world.reviewer, lifting).statement_digest


def test_a_hold_lifted_on_another_bag_disposes_of_no_deviation(world: World, views: Views) -> None:
    course = world.course().to_the_product()
    raised = quality.DeviationRaised(reference="D-1", scope=about(course, "bag-1"))
    raised.circumstances.reason = "a torn overwrap"
    course.say(world.reviewer, raised)
    lifted_hold(world, course, "bag-2")
    of_this_bag = lifted_hold(world, course, "bag-1")

    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    site = world.reviewer.site
    found = world.harness.ledger.registry.latest.site(site)
    assert found is not None
    request = pb.InspectRequest(subject=pb.Subject(therapy=custody.TherapyName(stream=course.stream)))
    reader = Reader(site, found.capabilities)
    (deviation,) = views.inspection.inspect_deviations(request, reader, world.harness.clock, 1).deviations

    assert [one.statement.statement_digest for one in deviation.dispositions] == [of_this_bag]
