"""What is said too late, for another, or against what stands heals nothing: told to a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from courses import MINUTE, RECORD_NUMBER, WRISTBAND, Course, World, codes, read, status, volume

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.recording.custody_judging import CoiTakenError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A founded ledger with its sites and people."""
    return World(tmp_path)


def test_a_second_person_who_signs_after_the_infusion_began_comes_too_late(world: World) -> None:
    """Whatever time the co-signature gives as that of its occurrence."""
    course = world.course().to_the_bedside()
    checked = course.say(world.nurse, course.bedside_check("bag-1"))
    started = course.starts_infusion("bag-1", checked)
    assert codes(started) == {"OUT_OF_CRYO_UNKNOWN", "SECOND_PERSON_MISSING"}  # The course tells of no frozen store.
    now = world.harness.clock
    course.join(world.second_nurse, checked, at=now - MINUTE // 2, signed_at=now + MINUTE)
    latest = world.harness.recorded(course.stream)[started.statement_digest].judged
    assert "SECOND_PERSON_MISSING" in {finding.code for finding in latest.findings}


def test_a_recalled_lot_stops_the_release_of_what_it_went_into(world: World) -> None:
    """A recall between the signature and the co-signature that would complete the release."""
    lot = world.vector_lot()
    course = made_with(world, lot)
    course.is_tested()
    released = course.say(world.reviewer, course.release_of_batch("bag-1", "bag-2"))
    assert status(released) is Status.PENDING
    world.harness.say(world.reviewer, lot, modification.LotStatusChanged(status=modification.LOT_STATUS_RECALLED))
    with pytest.raises(RuleRefusedError) as refused:
        course.join(world.second_reviewer, released, seen=world.harness.all_seen())
    assert [one.code for one in refused.value.findings] == ["LOT_HELD"]


def test_a_hold_on_a_lot_stops_the_issue_of_what_it_went_into_and_not_its_return(world: World) -> None:
    """The bag comes back to the cell laboratory all the same."""
    lot = world.vector_lot()
    course = made_with(world, lot)
    course.is_tested()
    course.is_released()
    held = world.harness.say(
        world.reviewer, lot, quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_LOT, ids=[lot]))
    )
    assert status(held) is Status.CONFORMING
    consignment = course.opens_consignment(world.operator, world.suite, world.cell_lab)
    assert codes(course.packs(world.operator, world.suite, consignment, "bag-1")) == {"LOT_HELD"}
    back = course.opens_consignment(world.operator, world.suite, world.bench)
    assert codes(course.packs(world.operator, world.suite, back, "bag-2")) == set()


def test_a_chain_of_identity_identifier_names_one_therapy_however_it_is_printed(world: World) -> None:
    """Spaces in print make no other identifier."""
    first = world.course()
    first.enrols()
    second = world.course()
    second.coi = ChainOfIdentity.parse_printed(first.coi).format_print()
    with pytest.raises(CoiTakenError):
        second.enrols()


def test_restoring_identity_lifts_no_hold_that_quality_placed(world: World) -> None:
    """A hold placed is lifted by whom the pack names for it, and not along the way."""
    course = world.course().to_the_collection()
    bag = course.material("apheresis")
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[bag])
    placed = course.say(world.reviewer, quality.HoldPlaced(scope=scope))
    course.say(world.nurse, course.identity_check(identifiers=read(((RECORD_NUMBER, "other"), (WRISTBAND, "W-0815")))))
    again = course.say(world.nurse, course.reidentification())
    course.join(world.second_nurse, again)
    body = quality.IdentityRestored(reidentification=again.statement_digest, holds=placed.holds_opened)
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, body)
    assert [one.code for one in refused.value.findings] == ["LIFTING_NOT_PERMITTED"]


def test_possession_said_for_another_site_moves_nothing(world: World) -> None:
    """Only whoever has a material says so."""
    course = world.course().to_the_collection()
    bag = course.material("apheresis")
    before = world.harness.therapy(course.stream).state.materials[bag].possessor
    body = transport.PossessionReported(possessor=common.Unit(site=world.laboratory), materials=[bag], place="a shelf")
    assert "SIGNED_FOR_ANOTHER_SITE" in codes(course.say(world.driver, body))
    assert world.harness.therapy(course.stream).state.materials[bag].possessor == before


def test_a_negative_part_balances_nothing(world: World) -> None:
    """150 mL and less than nothing do not come out of 100 mL."""
    course = world.course().to_the_plant()
    course.accessions("apheresis")
    body = modification.MaterialDivided(
        material=course.material("apheresis"),
        outputs=course.outputs(common.MATERIAL_KIND_INTERMEDIATE, 150, "whole"),
        lost=volume(-50),
        unit=world.suite,
    )
    assert codes(course.say(world.operator, body)) == {"QUANTITY_NEGATIVE"}


def test_a_body_that_names_very_many_things_is_judged_like_any_other(world: World) -> None:
    """The writer's work grows with what a body names, and not with its square."""
    course = world.course().to_the_collection()
    body = harvest.IdentityChecked(
        point=harvest.IDENTITY_POINT_PROCESS, coi_read=course.coi, materials=[b"%d" % one for one in range(4_000)]
    )
    assert status(course.say(world.nurse, body)) is Status.AWAITING


def made_with(world: World, lot: bytes) -> Course:
    """Returns a course told up to labelled bags that were modified with a lot."""

    class _WithThatLot(Course):
        def modifies(self, source: str, output: str, _lot: bytes) -> Recorded:
            return super().modifies(source, output, lot)

    return _WithThatLot(world, 7).to_the_product()
