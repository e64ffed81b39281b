"""What stands against a lot is told of everything that it went into, wherever that is now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from courses import Course, World

from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import common_pb2, modification_pb2, options_pb2, quality_pb2
from cellcustody.v1 import custody_query_service_pb2 as pb


@pytest.fixture
def views(world: World) -> Iterator[Views]:
    with Views.open(world.harness.folder / "views.sqlite3", world.harness.ledger) as opened:
        yield opened


def reasons(views: Views, world: World, course: Course) -> set[str]:
    """The codes that stand against infusing the first bag."""
    answer = views.get_readiness(
        pb.GetReadinessRequest(material=course.material("bag-1"), position_min=world.harness.store.head().size),
        Reader(world.hospital, frozenset({options_pb2.CAPABILITY_INFUSE})),
        now_micros=world.harness.clock,
        wait_seconds=10,
    )
    return {one.code for one in answer.reasons}


def alerts(views: Views, world: World) -> set[bytes]:
    """The holds that the hospital is alerted of."""
    answer = views.lists.get_worklist(
        pb.GetWorklistRequest(unit=common_pb2.Unit(site=world.hospital), position_min=world.harness.store.head().size),
        Reader(world.hospital, frozenset({options_pb2.CAPABILITY_INFUSE})),
        now_micros=world.harness.clock,
        wait_seconds=10,
    )
    return {one.hold for one in answer.alerts}


def lot_inside(world: World, course: Course) -> bytes:
    """The lot that went into the therapy's product."""
    return world.harness.therapy(course.stream).state.lots[0].lot


def test_a_hold_on_a_lot_reaches_the_bags_at_the_bedside(world: World, views: Views) -> None:
    course = world.course().to_the_ward()
    assert "LOT_HELD" not in reasons(views, world, course)
    assert not alerts(views, world)
    lot = lot_inside(world, course)

    placed = world.harness.say(
        world.reviewer, lot, quality_pb2.HoldPlaced(scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_LOT, ids=[lot]))
    )

    assert "LOT_HELD" in reasons(views, world, course)
    assert alerts(views, world) == set(placed.holds_opened) != set()


def test_a_recalled_lot_is_a_reason_against_infusing_what_it_went_into(world: World, views: Views) -> None:
    course = world.course().to_the_ward()
    recall = modification_pb2.LotStatusChanged(status=modification_pb2.LOT_STATUS_RECALLED)

    world.harness.say(world.reviewer, lot_inside(world, course), recall)

    assert "LOT_HELD" in reasons(views, world, course)
