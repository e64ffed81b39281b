"""Moving a therapy to another policy pack, told to a real ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from courses import Course, World, codes, status, volume
from ledger_harness import MICROS

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.policy import PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.statements.ids import single_stream_id
from cellcustody.ledger.views.follower import Packs as ViewPacks
from cellcustody.ledger.views.past import TherapyPast
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import policy_pb2, registry_pb2


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A founded ledger."""
    return World(tmp_path)


def _publish_second(world: World) -> PolicyPack:
    members = json.loads(sample_pack_bytes()) | {"version": 2, "volume_tolerance": "0.01"}
    members["roles"]["TherapyRepinned"] = ["quality_reviewer"]
    raw = canonical_json(members)
    pack = PolicyPack.parse(raw)
    world.harness.by_quorum(
        single_stream_id(StreamKind.POLICY),
        registry_pb2.PolicyPublished(product=pack.product, jurisdiction=pack.jurisdiction, version=2, pack=raw),
    )
    return pack


def _move(before: PolicyPack, after: PolicyPack) -> policy_pb2.TherapyRepinned:
    return policy_pb2.TherapyRepinned(
        from_policy_digest=before.digest,
        to_policy_digest=after.digest,
        circumstances=common.Circumstances(reason="the second version is in force"),
    )


def _division(course: Course, number: int) -> modification.MaterialDivided:
    return modification.MaterialDivided(
        material=course.material(f"bag-{number}"),
        outputs=course.outputs(common.MATERIAL_KIND_SAMPLE, 48, f"sample-{number}"),
        left=volume(50),
        unit=course.world.apheresis,
    )


def test_a_moved_therapy_is_judged_by_both_packs(world: World) -> None:
    """Each fact under the pack of its time, each entry naming it; everything folds anew to the same."""
    second = _publish_second(world)
    course = world.course()
    course.enrols()
    course.consents()
    course.collects("bag-1", "bag-2", "bag-3")
    before_at = world.harness.clock
    before = course.say(world.nurse, _division(course, 1))
    course.say(world.reviewer, _move(world.pack, second), role="quality_reviewer")
    relied = course.say(world.nurse, _division(course, 2), policy_digest=world.pack.digest)
    late = course.say(world.nurse, _division(course, 3), at=before_at + MICROS, policy_digest=world.pack.digest)
    assert status(before) is Status.CONFORMING
    assert codes(relied) == {"POLICY_NOT_PINNED", "VOLUME_IMBALANCE"}
    assert codes(late) == set()
    told = world.harness.recorded(course.stream)
    assert told[before.statement_digest].policy_digest == world.pack.digest
    assert told[late.statement_digest].policy_digest == world.pack.digest
    assert told[relied.statement_digest].policy_digest == second.digest
    assert world.harness.therapy(course.stream).pack.digest == second.digest
    world.harness.check()
    # Views and readiness go by the pack in force, though the last entry names the old one.
    ledger = world.harness.ledger
    seen = TherapyPast(ledger, ViewPacks(ledger), course.stream, ledger.checkpoint_size())
    assert (seen.pack.digest, seen.case().pack.digest) == (second.digest, second.digest)
    earlier = TherapyPast(ledger, ViewPacks(ledger), course.stream, before.position)
    assert earlier.pack.digest == world.pack.digest


def test_a_move_from_a_pack_that_is_not_in_force_is_refused(world: World) -> None:
    """The one moved to has to be published, the one moved from the therapy's own."""
    second = _publish_second(world)
    course = world.course()
    course.enrols()
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, _move(second, world.pack), role="quality_reviewer")
    assert {one.code for one in refused.value.findings} == {"PACK_NOT_IN_FORCE", "PACK_UNCHANGED"}


def test_only_roles_that_the_pack_in_force_names_move_a_therapy_back(world: World) -> None:
    """The second pack names the quality reviewer; a nurse is refused, a reviewer is not."""
    second = _publish_second(world)
    course = world.course()
    course.enrols()
    course.say(world.reviewer, _move(world.pack, second), role="quality_reviewer")
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.nurse, _move(second, world.pack))
    assert "ROLE_NOT_PERMITTED" in {one.code for one in refused.value.findings}
    course.say(world.reviewer, _move(second, world.pack), role="quality_reviewer")
    assert world.harness.therapy(course.stream).pack.digest == world.pack.digest
    world.harness.check()
