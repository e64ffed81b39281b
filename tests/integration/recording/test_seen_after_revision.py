"""Whoever read a consignment after something in it was judged again has seen all that stands before."""

from __future__ import annotations

from courses import World, celsius, status

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport


def test_a_rejudgement_in_a_consignment_is_seen_like_any_statement(world: World) -> None:
    """An alarm on the way; then a handoff's halves come in the wrong order, and the ledger speaks last."""
    course, harness = world.course(), world.harness
    course.enrols()
    course.consents()
    course.collects("apheresis")
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    course.packs(world.nurse, world.apheresis, consignment, "apheresis")
    alarmed = harness.say(
        world.nurse,
        consignment,
        transport.ExcursionAlarmed(container="box-1", logger="logger-1", temperature=celsius(120)),
    )
    assert status(alarmed) is Status.NONCONFORMING
    placed = course.say(
        world.reviewer,
        quality.HoldPlaced(
            scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[course.material("apheresis")]),
            grounds="until the alarm is understood",
        ),
    )
    release = harness.statement(
        world.nurse,
        consignment,
        transport.CustodyReleased(releaser=world.apheresis, receiver=world.van, containers=["box-1"], count=1),
    )
    harness.tick()
    accepted = harness.say(
        world.driver,
        consignment,
        transport.CustodyAccepted(
            release=parse_statement(release.envelope).digest,
            receiver=world.van,
            lines=[common.HandoffLine(container="box-1", outcome=common.LINE_OUTCOME_ACCEPTED)],
            count=1,
        ),
    )
    assert status(accepted) is Status.AWAITING
    harness.submit(release)
    seen = harness.all_seen()
    assert seen[consignment] not in (accepted.statement_digest, parse_statement(release.envelope).digest)

    lifted = course.say(
        world.reviewer, quality.HoldLifted(holds=placed.holds_opened, disposition="understood"), seen=seen
    )

    assert status(lifted) is Status.IN_EFFECT
    harness.check()
