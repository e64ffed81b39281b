"""What was signed with a key that turns out to be stolen is told as suspect, until somebody affirms it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import World

from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import registry_pb2

REGISTRY = single_stream_id(StreamKind.REGISTRY)


@pytest.fixture
def views(world: World, tmp_path: Path) -> Iterator[Views]:
    with Views.open(tmp_path / "views.sqlite3", world.harness.ledger) as opened:
        yield opened


def told(world: World, views: Views, stream: bytes) -> dict[int, int]:
    """Returns the verdict on the keys of every statement of a therapy, by position."""
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    found = world.harness.ledger.registry.latest.site(world.hospital)
    assert found is not None
    request = custody.GetHistoryRequest(therapy=custody.TherapyName(stream=stream))
    answer = views.get_history(request, Reader(world.hospital, found.capabilities), wait_seconds=1)
    return {item.leaf_index + 1: item.key_verdict for item in answer.items}


def test_a_history_tells_which_statements_are_suspect(world: World, views: Views) -> None:
    """Before the compromise valid, from there on suspect; affirmed by two administrators, valid again."""
    course = world.course()
    before = course.enrols()
    stolen = [course.consents(), course.checks_identity()]
    assert set(told(world, views, course.stream).values()) == {custody.KEY_VERDICT_VALID}

    revoked = registry_pb2.KeyRevoked(key_id=world.nurse.signer.key_id, compromised_since_leaf=stolen[0].position - 1)
    world.harness.say(world.hospital_administrator, REGISTRY, revoked, seen={})
    verdicts = told(world, views, course.stream)
    assert verdicts[before.position] == custody.KEY_VERDICT_VALID
    assert [verdicts[one.position] for one in stolen] == [custody.KEY_VERDICT_SUSPECT] * 2

    affirmed = registry_pb2.StatementsAffirmed(
        key_id=world.nurse.signer.key_id, statement_digests=[stolen[0].statement_digest], grounds="paper record"
    )
    proposed = world.harness.say(world.hospital_administrator, REGISTRY, affirmed, seen={})
    world.harness.co_sign(world.second_hospital_administrator, REGISTRY, proposed.statement_digest)
    verdicts = told(world, views, course.stream)
    assert verdicts[stolen[0].position] == custody.KEY_VERDICT_VALID
    assert verdicts[stolen[1].position] == custody.KEY_VERDICT_SUSPECT
