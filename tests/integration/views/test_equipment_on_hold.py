"""A hold on equipment is told to the unit that owns it; the views follow its stream like any other."""

from __future__ import annotations

from courses import World

from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import common_pb2, facilities_pb2, options_pb2, quality_pb2
from cellcustody.v1 import custody_query_service_pb2 as pb


def test_a_hold_on_equipment_alerts_its_owner_until_it_is_lifted(world: World) -> None:
    """And nobody else."""
    harness = world.harness
    stream = harness.new_stream(StreamKind.EQUIPMENT)
    with Views.open(harness.folder / "views.sqlite3", harness.ledger) as views:

        def alerts(site: bytes, unit: str) -> set[bytes]:
            answer = views.lists.get_worklist(
                pb.GetWorklistRequest(
                    unit=common_pb2.Unit(site=site, unit=unit), position_min=harness.store.head().size
                ),
                Reader(site, frozenset({options_pb2.CAPABILITY_INFUSE, options_pb2.CAPABILITY_PROCESS})),
                now_micros=harness.clock,
                wait_seconds=10,
            )
            return {one.hold for one in answer.alerts}

        harness.say(
            world.operator,
            stream,
            facilities_pb2.EquipmentRegistered(asset="ISO-1", kind="isolator", owner=world.suite),
        )
        scope = quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_EQUIPMENT)
        placed = harness.say(world.nurse, stream, quality_pb2.HoldPlaced(scope=scope, grounds="maker's notice"))
        assert alerts(world.plant, "suite") == set(placed.holds_opened) != set()
        assert not alerts(world.hospital, "ward")
        harness.say(world.reviewer, stream, quality_pb2.HoldLifted(holds=placed.holds_opened, disposition="checked"))
        assert not alerts(world.plant, "suite")
