"""Use outside the specification is told with its whole way, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import World, document

from cellcustody.ledger.custody.policy import PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import registry_pb2


@pytest.fixture
def views(world: World, tmp_path: Path) -> Iterator[Views]:
    with Views.open(tmp_path / "views.sqlite3", world.harness.ledger) as opened:
        yield opened


def _allow(world: World) -> None:
    """Publishes a pack that lets a batch outside its specification be released."""
    members = json.loads(sample_pack_bytes())
    members["version"] = 2
    members["oos_release"]["allowed"] = True
    raw = canonical_json(members)
    world.pack = PolicyPack.parse(raw)
    world.harness.by_quorum(
        single_stream_id(StreamKind.POLICY),
        registry_pb2.PolicyPublished(
            product=world.pack.product, jurisdiction=world.pack.jurisdiction, version=2, pack=raw
        ),
    )


def asked_by(views: Views, world: World, site: bytes, stream: bytes) -> pb.InspectOutOfSpecificationResponse:
    """Returns what a site is told of a therapy."""
    assert views.wait_for(world.harness.ledger.checkpoint_size(), 30)
    found = world.harness.ledger.registry.latest.site(site)
    assert found is not None
    request = pb.InspectRequest(subject=pb.Subject(therapy=custody.TherapyName(stream=stream)))
    reader = Reader(site, found.capabilities)
    return views.inspection.inspect_out_of_specification(request, reader, world.harness.clock, 1)


def test_a_release_outside_specification_is_told_with_its_chain(world: World, views: Views) -> None:
    """Request, risk evaluation, what the patient was told, the authority's notification, two signatures."""
    _allow(world)
    course = world.course().to_the_product()
    course.travels(["sample"], (world.operator, world.suite), (world.analyst, world.bench))
    course.reports("identity")
    course.reports("sterility")
    failing = course.reports("viability", modification.RESULT_OUTCOME_FAIL)
    bags = [course.material("bag-1"), course.material("bag-2")]
    request = course.say(
        world.nurse,
        modification.OutOfSpecificationRequested(
            batch=course.batch, materials=bags, results=[failing.statement_digest], grounds="no other way"
        ),
    ).statement_digest
    risk = course.say(
        world.operator,
        modification.RiskEvaluated(request=request, evaluation=document("risk-evaluation"), acceptable=True),
    )
    informed = course.say(
        world.nurse, modification.PatientInformed(request=request, information=document("information"), agrees=True)
    )
    notified = course.say(
        world.operator,
        modification.AuthorityNotified(
            request=request, authority="the authority", reference="N-1", notification=document("notification")
        ),
    )
    full = course.release_of_batch("bag-1", "bag-2")
    released = course.say(
        world.reviewer,
        modification.OutOfSpecificationReleased(
            batch=full.batch,
            materials=full.materials,
            certificate=full.certificate,
            release_for_infusion=full.release_for_infusion,
            request=request,
            risk_evaluation=risk.statement_digest,
            patient_information=informed.statement_digest,
            authority_notification=notified.statement_digest,
        ),
    )
    course.join(world.second_reviewer, released, seen=world.harness.all_seen())

    (use,) = asked_by(views, world, world.plant, course.stream).uses
    assert use.authorisation.statement_digest == released.statement_digest
    assert use.authorisation.summary and len(use.approvals) == 1
    assert [one.statement_digest for one in use.steps] == [
        request,
        risk.statement_digest,
        informed.statement_digest,
        notified.statement_digest,
    ]
    assert {one.kind for one in use.documents} == {"risk-evaluation", "information", "notification"}
    told = {one.name: one.value for one in use.particulars}
    assert told == {"risk acceptable": "yes", "patient agrees": "yes", "authority": "the authority", "reference": "N-1"}
    (seen_by_laboratory,) = asked_by(views, world, world.laboratory, course.stream).uses
    assert not seen_by_laboratory.documents  # QUALITY is not the contract laboratory's to read.
