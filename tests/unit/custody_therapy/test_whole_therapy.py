"""A therapy told without fault, from enrolment to closure."""

from __future__ import annotations

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.therapy_state import BatchStatus, Life, custody_of

from .stories import (
    APHERESIS,
    COURIER,
    DRIVER,
    HOSPITAL,
    NURSE,
    OUTWARD,
    PLANT,
    RETURN,
    SUITE,
    VAN,
    Story,
    material,
    unhappy,
)


def test_a_therapy_without_fault_has_no_finding_that_holds() -> None:
    """Every act conforms, nothing is held, every material has ended and the therapy is closed."""
    case = Story().to_the_end().case()

    assert unhappy(case) == {}
    assert not case.state.holds
    assert all(one.life.has_ended for one in case.state.materials.values())
    assert case.state.materials[material("bag-1")].life is Life.INFUSED
    assert case.state.materials[material("bag-2")].life is Life.DESTROYED
    assert case.state.batches[material("batch")].status is BatchStatus.RELEASED
    assert case.state.closed
    assert case.outstanding() == ()
    assert case.cited == {OUTWARD, RETURN}


def test_custody_of_a_packed_bag_is_its_containers() -> None:
    """While a bag is under way, who answers for its container answers for it; nothing is copied."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert custody_of(story.case().state, material("apheresis"))[0] == UnitRef(HOSPITAL, "apheresis")

    release = story.releases(OUTWARD, APHERESIS, VAN, NURSE)
    assert custody_of(story.case().state, material("apheresis"))[0] == UnitRef(HOSPITAL, "apheresis")

    story.accepts(release, VAN, DRIVER)
    assert custody_of(story.case().state, material("apheresis")) == (UnitRef(COURIER), UnitRef(COURIER))
    assert story.case().state.materials[material("apheresis")].custodian == UnitRef(HOSPITAL, "apheresis")


def test_received_material_is_answered_for_by_the_unit_that_took_it_out() -> None:
    """Receipt ends the join: the material is the plant's own again."""
    case = Story().to_the_plant().case()

    assert custody_of(case.state, material("apheresis")) == (UnitRef(PLANT, "suite"), UnitRef(PLANT, "suite"))
    assert case.state.materials[material("apheresis")].packed is None


def test_the_state_at_a_time_is_that_of_what_had_occurred_by_then() -> None:
    """As it was at a time: later acts have no part in it, and the case itself is left as it is."""
    story = Story().to_the_plant()
    received = story.acts[-1]
    story.accessions("apheresis")
    case = story.case()

    then = case.as_of(received.occurred_start - 1)
    assert then.materials[material("apheresis")].packed is not None
    assert not then.batches
    assert custody_of(then, material("apheresis"))[0] == UnitRef(PLANT, "suite")

    assert case.as_of(received.occurred_start).materials[material("apheresis")].packed is None
    assert case.state.batches
