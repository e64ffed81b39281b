"""What acts leave in the state of a therapy: materials made and used up, and what a hold covers."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.custody.holds import ScopeOfHold
from cellcustody.ledger.custody.therapy_evolution import hold_over, make_materials, note_findings, note_foreign, use_up
from cellcustody.ledger.custody.therapy_state import Life, TherapyState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

from .stories import OTHER_COI, SUITE, Story, material, new

INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE


def _batch() -> Story:
    story = Story().to_the_plant("a", "b")
    story.accessions("a", "b")
    return story


def test_what_a_step_makes_is_known_to_its_parents_and_its_batch() -> None:
    """Each once, in the order of the body."""
    story = _batch()
    story.performs(modification.SelectionPerformed, ["a"], [new("x", INTERMEDIATE, 50), new("y", INTERMEDIATE, 40)])
    state = story.case().state
    assert state.materials[material("a")].children == [material("x"), material("y")]
    assert state.materials[material("b")].children == []
    assert state.batches[material("batch")].materials[-2:] == [material("x"), material("y")]
    assert state.materials[material("x")].parents == (material("a"),)
    assert [member.material for member in state.line_of(material("x"))] == [material("x"), material("a")]
    assert {member.material for member in state.line_of(material("a"))} == {material("a")}


def test_an_id_that_is_taken_stays_what_it_was_and_a_short_one_is_none() -> None:
    """Both ids that could be are told of."""
    story = _batch()
    state = story.case().state
    act = story.acts[-1]
    before = state.materials[material("a")].created_by
    short = common.NewMaterial(material=b"short", kind=INTERMEDIATE)
    bare = common.NewMaterial(material=material("x"), kind=INTERMEDIATE)
    ids = make_materials(
        state,
        act,
        [new("a", INTERMEDIATE, 1), short, bare, new("y", INTERMEDIATE, 7)],
        maker=state.materials[material("b")].custodian,  # type: ignore[arg-type]  # It has one.
        custodian=None,
    )
    assert ids == (material("a"), material("x"), material("y"))
    assert state.materials[material("a")].created_by == before
    assert b"short" not in state.materials
    unmeasured, measured = state.materials[material("x")], state.materials[material("y")]
    assert (unmeasured.quantity, unmeasured.dose, unmeasured.custodian) == (None, None, None)
    assert measured.quantity is not None
    assert measured.quantity.value == 7
    assert unmeasured.possessor == state.materials[material("b")].custodian


def test_what_has_ended_keeps_its_first_end() -> None:
    """And what nobody knows has none."""
    story = _batch()
    state = story.case().state
    first, second = story.acts[-2], story.acts[-1]
    use_up(state, first, [material("a"), material("nowhere")], Life.USED)
    use_up(state, second, [material("a"), material("b")], Life.DESTROYED)
    a, b = state.materials[material("a")], state.materials[material("b")]
    assert (a.life, a.ended_by, b.life, b.ended_by) == (Life.USED, first.digest, Life.DESTROYED, second.digest)


@pytest.mark.parametrize(
    ("materials", "batches", "scope", "covered"),
    [
        (["a", "nowhere"], ["batch"], ScopeOfHold.MATERIAL, ({"a"}, {"batch"})),
        (["nowhere"], ["batch", "no batch"], ScopeOfHold.BATCH, (set(), {"batch"})),
        (["nowhere"], ["no batch"], ScopeOfHold.THERAPY, (set(), set())),
        ([], [], ScopeOfHold.THERAPY, (set(), set())),
    ],
)
def test_a_hold_covers_what_is_known_or_the_whole_therapy(
    materials: list[str], batches: list[str], scope: ScopeOfHold, covered: tuple[set[str], set[str]]
) -> None:
    """What nobody knows cannot be held by itself, and is never let go for that."""
    story = _batch()
    state = story.case().state
    hold_over(state, story.acts[-1], "EXCURSION", map(material, materials), map(material, batches))
    (hold,) = state.holds.values()
    assert hold.scope is scope
    assert [hold.materials, hold.batches] == [frozenset(map(material, names)) for names in covered]


def test_another_patients_material_is_noted_with_what_named_it_first() -> None:
    """If a finding says that it is one, and the therapy has none of that id."""
    story = _batch()
    first, second = story.acts[-2], story.acts[-1]
    strange = (Finding("OTHER_PATIENTS_MATERIAL"),)
    state = TherapyState()
    for act, findings in ((first, ()), (second, strange), (first, strange)):
        note_foreign(state, act, Judged(Status.NONCONFORMING, findings), [material("strange")])
    assert state.foreign_materials == {material("strange"): second.digest}
    known = story.case().state
    note_foreign(known, first, Judged(Status.NONCONFORMING, strange), [material("a")])
    assert known.foreign_materials == {}


def test_findings_hold_and_break_identity_in_what_is_nonconforming_alone() -> None:
    """An advisory holds nothing; a withdrawn consent holds the whole therapy."""
    story = _batch()
    act = story.acts[-1]
    for status, findings, scopes, breaks in (
        (Status.AWAITING, (Finding("VOLUME_IMBALANCE"),), [], 0),
        (Status.NONCONFORMING, (Finding("VOLUME_IMBALANCE"), Finding("SCAN_TYPED")), [ScopeOfHold.MATERIAL], 0),
        (Status.NONCONFORMING, (Finding("IDENTITY_MISMATCH"),), [ScopeOfHold.MATERIAL], 1),
        (Status.NONCONFORMING, (Finding("CONSENT_WITHDRAWN"),), [ScopeOfHold.THERAPY], 0),
    ):
        state = story.case().state
        note_findings(state, act, Judged(status, findings), [material("a")], [])
        assert [hold.scope for hold in state.holds.values()] == scopes
        assert len(state.identity_breaks) == breaks


def test_a_broken_collection_completes_with_what_it_made() -> None:
    """Bags that were filled are there, whatever else was wrong; held with the therapy."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(coi_read=OTHER_COI)
    started = story.starts_collection()
    story.completes_collection(started, "bag")
    state = story.case().state
    assert state.identity_broken
    assert state.materials[material("bag")].life is Life.AVAILABLE
    assert {hold.code for hold in state.holds_on(material("bag"))} >= {"IDENTITY_MISMATCH"}


def test_a_hold_on_a_batch_covers_its_materials_and_no_others() -> None:
    """By the batch that each belongs to."""
    story = Story().to_the_plant("a", "b")
    story.accessions("a")
    scope = quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[material("batch")])
    story.tell(quality.HoldPlaced(scope=scope, grounds="wait"))
    state = story.case().state
    assert [len(state.holds_on(material(name))) for name in ("a", "b")] == [1, 0]
    assert len(state.holds_on_batch(material("batch"))) == 1
    assert state.holds_on_batch(material("no batch")) == ()


def test_a_moved_bag_lies_where_it_was_put() -> None:
    """Another bag beside it does not move."""
    story = Story().to_the_plant("a", "b")
    body = harvest.MaterialMoved(material=material("a"), position=common.Position(unit=SUITE, place="shelf-9"))
    story.tell(body, story.acts[-1].signer)
    state = story.case().state
    assert state.materials[material("a")].place == "shelf-9"
    assert state.materials[material("b")].place != "shelf-9"
