"""A deviation is told with what quality decided of it, and with nothing that was decided of anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import BOX, Course, World
from journeys import Journey

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.entries import read_judgement
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport


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


STUDY = common.Document(sha256=b"\x07" * 32, kind="stability-study")


def reader_of(world: World, site: bytes) -> Reader:
    found = world.harness.ledger.registry.latest.site(site)
    assert found is not None
    return Reader(site, found.capabilities)


def about_therapy(course: Course) -> pb.InspectRequest:
    return pb.InspectRequest(subject=pb.Subject(therapy=custody.TherapyName(stream=course.stream)))


def accepted(course: Course, hold: bytes, inspection: bytes = b"") -> transport.ConditionDisposed:
    return transport.ConditionDisposed(
        materials=[course.material("day-1")],
        holds=[hold],
        inspection=inspection,
        decision=transport.CONDITION_DECISION_ACCEPTED,
        study_reference="STAB-7",
        study=STUDY,
    )


def test_an_excursion_of_a_box_is_told_with_what_its_therapy_decided(world: World, views: Views) -> None:
    """With the study, and for a reader of that therapy alone: of the other one nothing was decided."""
    one, other = world.course(), world.course()
    journey = Journey(world, one, other)
    inspected = journey.inspects(journey.summary(30, 35))
    for course in (one, other):
        journey.takes_out(course)
    hold = hold_id(inspected.statement_digest, "EXCURSION")
    decided = one.say(world.reviewer, accepted(one, hold, inspected.statement_digest))
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)

    plant = reader_of(world, world.plant)
    asked = pb.InspectRequest(subject=pb.Subject(consignment=journey.stream))
    (excursion,) = views.inspection.inspect_deviations(asked, plant, world.harness.clock, 1).deviations
    assert (excursion.kind, excursion.statement.statement_digest) == ("excursion", inspected.statement_digest)
    (disposition,) = excursion.dispositions
    assert disposition.statement.statement_digest == decided.statement_digest
    assert (disposition.disposition, disposition.support) == ("accepted; STAB-7", STUDY)
    courier = reader_of(world, world.courier)
    (seen,) = views.inspection.inspect_deviations(asked, courier, world.harness.clock, 1).deviations
    assert not seen.dispositions

    for course, told in ((one, [decided.statement_digest]), (other, [])):
        (leg,) = views.inspection.inspect_conditions(about_therapy(course), plant, world.harness.clock, 1).legs
        assert [item.statement.statement_digest for item in leg.dispositions] == told
        (limit,) = leg.limits
        band = world.pack.band_for("collection", "fresh")
        assert band is not None and limit.material == course.material("day-1")
        assert (limit.band_min.mantissa, limit.band_max.mantissa) == (band.millicelsius_min, band.millicelsius_max)
        accepted_way = common.CONDITION_IN_RANGE if told else common.CONDITION_OUT_OF_RANGE
        assert (limit.condition, limit.policy_digest) == (accepted_way, world.pack.digest)


def test_a_store_too_warm_is_an_excursion_with_its_disposition(world: World, views: Views) -> None:
    """It stands in the therapy's own stream, and is listed like one on the way."""
    course = world.course()
    course.to_the_collection("day-1")
    warm = common.Quantity(mantissa=25, unit="Cel", comparator=common.COMPARATOR_EQUAL)
    warm.basis = common.QUANTITY_BASIS_MEASURED
    position = common.Position(unit=world.apheresis, place="shelf")
    kept = harvest.MaterialStored(material=course.material("day-1"), position=position, temperature=warm)
    stored = course.say(world.nurse, kept)
    decided = course.say(world.reviewer, accepted(course, hold_id(stored.statement_digest, "STORE_OUT_OF_BAND")))
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    plant = reader_of(world, world.plant)
    (excursion,) = views.inspection.inspect_deviations(about_therapy(course), plant, world.harness.clock, 1).deviations
    assert (excursion.kind, excursion.statement.statement_digest) == ("excursion", stored.statement_digest)
    assert [one.statement.statement_digest for one in excursion.dispositions] == [decided.statement_digest]


def test_a_hold_lifted_on_another_box_is_none_of_this_legs(world: World, views: Views) -> None:
    """Two boxes of one consignment: what was decided of the one is not told of the other."""
    course = world.course()
    course.to_the_collection("day-1")
    stream = course.opens_consignment(world.nurse, world.apheresis, world.suite, BOX, "shipper-2")
    for box in (BOX, "shipper-2"):
        course.starts_logger(world.nurse, stream, box)
    lifted = {}
    for box in (BOX, "shipper-2"):
        scope = quality.Scope(kind=quality.SCOPE_KIND_CONSIGNMENT, containers=[box])
        placed = world.harness.say(world.nurse, stream, quality.HoldPlaced(scope=scope))
        lifting = quality.HoldLifted(holds=[hold_id(placed.statement_digest, "HOLD_PLACED")])
        lifting.circumstances.reason = "looked at"
        lifted[box] = world.harness.say(world.reviewer, stream, lifting).statement_digest
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    asked = pb.InspectRequest(subject=pb.Subject(consignment=stream))
    answer = views.inspection.inspect_conditions(asked, reader_of(world, world.hospital), world.harness.clock, 1)
    assert {leg.container: [one.statement.statement_digest for one in leg.dispositions] for leg in answer.legs} == {
        box: [digest] for box, digest in lifted.items()
    }


def test_a_replacement_is_told_as_it_is_judged_now(world: World, views: Views) -> None:
    """It waited at its own entry; since the correction it conforms, and the corrected one is superseded."""
    course = world.course()
    course.to_the_collection("day-1")
    original = course.say(world.nurse, _moved(world, course, "shelf 1"))
    replacement = _moved(world, course, "shelf 2")
    replacement.replaces = original.statement_digest
    waiting = course.say(world.nurse, replacement)
    correction = quality.StatementCorrected(corrected=original.statement_digest, replacement=waiting.statement_digest)
    correction.circumstances.reason = "read wrongly"
    course.say(world.nurse, correction)
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    reader = reader_of(world, world.hospital)
    (told,) = views.inspection.inspect_corrections(about_therapy(course), reader, world.harness.clock, 1).corrections
    assert told.replacement.statement_digest == waiting.statement_digest
    assert read_judgement(told.replacement.judgement).judged.status is Status.CONFORMING


def _moved(world: World, course: Course, place: str) -> harvest.MaterialMoved:
    return harvest.MaterialMoved(
        material=course.material("day-1"), position=common.Position(unit=world.apheresis, place=place)
    )


def test_a_pool_names_the_other_patients_bag_that_went_into_it(world: World, views: Views) -> None:
    """Beside its own parent; the pool is an orphan, and the statement stands among those that mix two patients."""
    one, other = world.course(), world.course()
    for course in (one, other):
        course.to_the_collection("day-1")
    pooled = one.say(
        world.nurse,
        modification.MaterialPooled(
            inputs=[one.material("day-1"), other.material("day-1")],
            output=common.NewMaterial(material=one.material("pool"), kind=common.MATERIAL_KIND_COLLECTION),
            unit=world.apheresis,
            process_area="hood 1",
        ),
    )
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    reader = reader_of(world, world.hospital)
    answer = views.inspection.inspect_genealogy(about_therapy(one), reader, world.harness.clock, 1)
    pool = next(node for node in answer.materials if node.custody.material == one.material("pool"))
    assert list(pool.custody.parents) == [one.material("day-1")]
    assert list(pool.foreign_parents) == [other.material("day-1")]
    assert list(answer.orphans) == [one.material("pool")]
    assert [item.statement_digest for item in answer.mixing] == [pooled.statement_digest]
