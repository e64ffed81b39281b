"""Quality's acceptance of what came in, before it is worked on."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification

from .packs import case_under, codes_under, pack_with, refused_with, step
from .stories import (
    APHERESIS,
    COI,
    DIN,
    MINUTE,
    NURSE,
    OPERATOR,
    RETURN,
    REVIEWER,
    SUITE,
    Story,
    material,
    new,
)
from .test_condition import Leg

INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE
ACCEPTED = pack_with(
    step("MaterialAccepted", "MaterialAccessioned"), step("SelectionPerformed", "MaterialAccepted", optional=True)
)
STARTED = pack_with(
    step("MaterialAccepted", "MaterialAccessioned"),
    step("ManufacturingStarted", "MaterialAccepted"),
    step("SelectionPerformed", "ManufacturingStarted", optional=True),
)
OPTIONAL = pack_with(
    step("MaterialAccepted", "MaterialAccessioned", optional=True),
    step("SelectionPerformed", "MaterialAccepted", optional=True),
)


def _ready(*bags: str) -> Story:
    names = bags or ("apheresis",)
    story = Story().to_the_plant(*names)
    story.accessions(*names)
    return story


def _body(*bags: str, batch: str = "batch") -> modification.MaterialAccepted:
    return modification.MaterialAccepted(batch=material(batch), materials=[material(bag) for bag in bags])


def _accepts(story: Story, *bags: str) -> Act:
    return story.tell(_body(*(bags or ("apheresis",))), REVIEWER)


def _selects(story: Story, *inputs: str) -> Act:
    return story.performs(modification.SelectionPerformed, inputs or ("apheresis",), [new("s", INTERMEDIATE, 90)])


def test_what_quality_accepted_is_worked_on() -> None:
    """And nothing stands against it."""
    story = _ready()
    _accepts(story)
    selected = _selects(story)
    assert codes_under(ACCEPTED, story, selected) == set()


def test_what_nobody_accepted_is_found_once_and_held() -> None:
    """At its first step; what was made of it is held with it, and not found again."""
    story = _ready()
    selected = _selects(story)
    activated = story.performs(modification.ActivationPerformed, ("s",), [new("a", INTERMEDIATE, 90)])
    assert codes_under(ACCEPTED, story, selected) == {"MATERIAL_NOT_ACCEPTED"}
    assert codes_under(ACCEPTED, story, activated) == {"HOLD_OPEN"}


def test_a_word_that_comes_after_the_step_heals_nothing() -> None:
    """It stands behind it in the order."""
    story = _ready()
    selected = _selects(story)
    _accepts(story)
    assert codes_under(ACCEPTED, story, selected) == {"MATERIAL_NOT_ACCEPTED"}


@pytest.mark.parametrize("pack", [OPTIONAL, pack_with()])
def test_a_pack_that_does_not_ask_for_it_finds_nothing(pack: object) -> None:
    """Optional, or not among its steps."""
    story = _ready()
    selected = _selects(story)
    assert codes_under(pack, story, selected) == set()  # type: ignore[arg-type]  # Packs by parameter.


def test_every_bag_is_accepted() -> None:
    """Of two bags that go in, one was left out."""
    story = _ready("day-1", "day-2")
    _accepts(story, "day-1")
    selected = _selects(story, "day-1", "day-2")
    assert codes_under(ACCEPTED, story, selected) == {"MATERIAL_NOT_ACCEPTED"}


def test_manufacture_starts_on_what_was_accepted() -> None:
    """The start finds it, for each bag of its batch that is still there."""
    for accepted, expected in ((("day-1",), {"MATERIAL_NOT_ACCEPTED"}), (("day-1", "day-2"), set())):
        story = _ready("day-1", "day-2")
        _accepts(story, *accepted)
        body = modification.ManufacturingStarted(
            batch=material("batch"), unit=SUITE, process_area="isolator-1", batch_record="MBR-7 v3"
        )
        assert codes_under(STARTED, story, story.tell(body, OPERATOR)) == expected


def test_an_acceptance_is_of_the_site_that_works() -> None:
    """Accepted by quality of one plant is not accepted at another."""
    story = _ready()
    accepted = _accepts(story)
    assert case_under(ACCEPTED, story).state.materials[material("apheresis")].accepted_at == accepted.site


# What is refused.


def test_quality_accepts_what_is_sound() -> None:
    """In its batch, at its site, unpacked, free of holds."""
    assert refused_with(_ready(), _body("apheresis"), pack=ACCEPTED) == set()


def test_nothing_is_accepted_that_is_not_there() -> None:
    """An unknown bag or batch may be in another outbox; no bag at all is none."""
    story = _ready()
    assert refused_with(story, _body("no bag"), pack=ACCEPTED) == {"MATERIAL_UNKNOWN"}
    assert refused_with(story, _body(), pack=ACCEPTED) == {"NO_MATERIAL"}
    assert "BATCH_UNKNOWN" in refused_with(story, _body("apheresis", batch="no batch"), pack=ACCEPTED)


def test_a_bag_is_accepted_in_its_batch() -> None:
    """A bag that nobody took into the batch is none of it."""
    story = Story().to_the_plant("day-1", "day-2")
    story.accessions("day-1")
    assert refused_with(story, _body("day-2"), pack=ACCEPTED) == {"NOT_IN_BATCH"}


def test_quality_accepts_what_lies_at_its_own_site() -> None:
    """A nurse's hospital does not speak for the plant."""
    assert "NOT_CUSTODIAN" in refused_with(_ready(), _body("apheresis"), pack=ACCEPTED, signer=NURSE)


def test_a_held_bag_stays_in_quarantine() -> None:
    """A hold on the bag stands against it; so does a broken chain of identity."""
    story = _ready()
    story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_MANUFACTURE]), NURSE)
    assert "HOLD_OPEN" in refused_with(story, _body("apheresis"), pack=ACCEPTED)
    broken = _ready()
    broken.tell(
        harvest.IdentityChecked(
            point=harvest.IDENTITY_POINT_RECEIPT, coi_read="CHA999925000002", materials=[material("apheresis")]
        ),
        OPERATOR,
    )
    assert "IDENTITY_BROKEN" in refused_with(broken, _body("apheresis"), pack=ACCEPTED)


def test_what_has_ended_or_expired_is_not_accepted() -> None:
    """A bag that was used up; a bag past the date on its label."""
    used = _ready()
    _selects(used)
    assert "AFTER_TERMINAL_ACT" in refused_with(used, _body("apheresis"), pack=ACCEPTED)
    for late, found in ((0, set()), (1, {"EXPIRED"})):
        story = _ready()
        applied = [act for act in story.acts if isinstance(act.body, harvest.LabelApplied)]
        story.tell(harvest.LabelVoided(applied=applied[-1].digest), OPERATOR)
        label = harvest.LabelApplied(
            material=material("apheresis"),
            din=DIN,
            coi=COI,
            texts=["FOR AUTOLOGOUS USE ONLY"],
            expires_at_unix_micros=story.now + 20 * MINUTE - late,  # The label and the acceptance: ten minutes each.
        )
        assert story.codes(story.tell(label, OPERATOR)) == set()
        assert refused_with(story, _body("apheresis"), pack=ACCEPTED) == found


def test_what_is_packed_again_is_not_accepted() -> None:
    """It lies in a box, and nobody can look at it."""
    story = _ready()
    story.opens_consignment(RETURN, SUITE, APHERESIS, OPERATOR)
    story.packs("apheresis", RETURN, SUITE, OPERATOR)
    assert refused_with(story, _body("apheresis"), pack=ACCEPTED) == {"MATERIAL_PACKED"}


def test_a_refusal_points_at_the_bag_that_it_is_about() -> None:
    """Of three bags, the second is none of the batch, and the third is not known."""
    story = Story().to_the_plant("day-1", "day-2")
    story.accessions("day-1")
    trial = Story(list(story.acts), story.now)
    act = trial.tell(
        _body("day-1", "day-2", "day-3"), REVIEWER, role="quality_reviewer", is_in_effect=False, seen=story.acts
    )
    found, _ = case_under(ACCEPTED, story).judge_authorisation(act)
    leaves = act.leaves_of(2)
    assert {(one.code, one.leaves) for one in found} == {
        ("NOT_IN_BATCH", leaves[1:2]),
        ("MATERIAL_UNKNOWN", leaves[2:3]),
    }


def test_what_travelled_with_a_logger_that_nobody_read_is_not_accepted() -> None:
    """Unknown is never in range."""
    leg = Leg().sets_out()
    leg.takes_out()
    leg.accessions("apheresis")
    assert refused_with(leg, _body("apheresis"), pack=ACCEPTED) == {"CONDITION_UNKNOWN"}
