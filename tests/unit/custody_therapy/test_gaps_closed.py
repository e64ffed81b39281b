"""What the process asks for where acts could slip through: compared, named, whole, in its time, and in its order."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

from .packs import codes_under, limit, member, pack_with, refused_with, step
from .stories import (
    APHERESIS,
    CELL_LAB,
    COI,
    DAY,
    HOUR,
    MINUTE,
    NURSE,
    OPERATOR,
    OUTWARD,
    SECOND_OPERATOR,
    START,
    SUITE,
    WARD,
    Story,
    material,
    new,
    volume,
)

COLLECTION, INTERMEDIATE, PRODUCT, SAMPLE = (
    common.MATERIAL_KIND_COLLECTION,
    common.MATERIAL_KIND_INTERMEDIATE,
    common.MATERIAL_KIND_PRODUCT,
    common.MATERIAL_KIND_SAMPLE,
)
RECEIPT = pack_with(member("required_identity_checks", ["CHAIRSIDE", "PROCESS", "RECEIPT"]))
READ_BACK = pack_with(member("required_identity_checks", ["CHAIRSIDE", "LABEL"]))
ASKS_FOR_EXPIRY = pack_with(
    member("bedside", {"bags_at_once_max": 1, "must_read": ["expiry"], "premedication_seconds_max": None,
                       "rescue_medicines": {}})
)  # fmt: skip
EARLIER = START - DAY


def _compares(
    story: Story, point: harvest.IdentityPoint.ValueType, *names: str, coi: str = COI, is_joined: bool = True
) -> Act:
    body = harvest.IdentityChecked(point=point, coi_read=coi, materials=[material(one) for one in names])
    checked = story.tell(body, OPERATOR)
    if is_joined:
        story.join(checked, SECOND_OPERATOR)
    return checked


# Compared before they are taken in or opened.


def test_cells_are_compared_on_receipt_before_they_enter_a_batch() -> None:
    """By two persons who read the identifier; a check in process is not one on receipt."""
    for told, found in (
        ({}, set()),
        ({"coi": ""}, {"RECEIPT_CHECK_MISSING"}),
        ({"is_joined": False}, {"SECOND_PERSON_MISSING"}),
        ({"point": harvest.IDENTITY_POINT_PROCESS}, {"RECEIPT_CHECK_MISSING"}),
    ):
        story = Story().to_the_plant()
        details = {"point": harvest.IDENTITY_POINT_RECEIPT, **told}
        _compares(story, details.pop("point"), "apheresis", **details)  # type: ignore[arg-type]  # By name.
        assert codes_under(RECEIPT, story, story.accessions("apheresis")) == found

    unchecked = Story().to_the_plant()
    assert codes_under(RECEIPT, unchecked, unchecked.accessions("apheresis")) == {"RECEIPT_CHECK_MISSING"}
    other = Story().to_the_plant("apheresis", "spare")
    _compares(other, harvest.IDENTITY_POINT_RECEIPT, "spare")
    assert codes_under(RECEIPT, other, other.accessions("apheresis")) == {"RECEIPT_CHECK_MISSING"}
    assert unchecked.codes(unchecked.acts[-1]) == set()  # Where no pack asks for it, nothing is found.


def test_a_check_in_process_reads_something_and_is_joined() -> None:
    """A check in which nothing was read has compared nothing; one person alone is no two."""
    for details, found in (
        ({}, set()),
        ({"coi": ""}, {"PROCESS_CHECK_MISSING"}),
        ({"is_joined": False}, {"SECOND_PERSON_MISSING"}),
    ):
        story = Story().to_the_plant()
        story.accessions("apheresis")
        _compares(story, harvest.IDENTITY_POINT_PROCESS, "apheresis", **details)
        outputs = [new("selected", INTERMEDIATE, 90)]
        act = story.performs(modification.SelectionPerformed, ["apheresis"], outputs, is_compared=False)
        assert story.codes(act) == found


def test_a_check_that_somebody_joins_after_the_step_was_none_of_two_before_it() -> None:
    """In whichever order they arrive."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    checked = _compares(story, harvest.IDENTITY_POINT_PROCESS, "apheresis", is_joined=False)
    outputs = [new("selected", INTERMEDIATE, 90)]
    act = story.performs(modification.SelectionPerformed, ["apheresis"], outputs, is_compared=False)
    story.join(checked, SECOND_OPERATOR, after=14 * MINUTE)
    assert story.codes(act) == {"SECOND_PERSON_MISSING"}


# In an area that is named.


def test_cells_are_opened_in_an_area_that_is_named() -> None:
    """One without a name can be compared with nobody's."""
    for area, found in (("isolator-1", set()), (" ", {"AREA_NOT_NAMED"}), ("", {"AREA_NOT_NAMED"})):
        story = Story().to_the_plant()
        story.accessions("apheresis")
        story.compares("apheresis")
        body = modification.SelectionPerformed(
            batch=material("batch"),
            inputs=[material("apheresis")],
            outputs=[new("selected", INTERMEDIATE, 90)],
            unit=SUITE,
            process_area=area,
        )
        assert story.codes(story.tell(body, OPERATOR)) == found


def test_a_pool_is_made_in_an_area_that_is_named() -> None:
    """As a step is."""
    story = Story().to_the_plant("day-1", "day-2")
    story.compares("day-1", "day-2")
    body = modification.MaterialPooled(
        inputs=[material("day-1"), material("day-2")], output=new("pool", COLLECTION, 200), unit=SUITE
    )
    assert story.codes(story.tell(body, OPERATOR)) == {"AREA_NOT_NAMED"}


# Made before it is released; testing material stays that.


def test_a_bag_divided_off_on_the_way_is_not_released() -> None:
    """It has not been through what the pack wants before a release."""
    story = Story().to_the_product()
    assert "STEP_OUT_OF_ORDER" not in refused_with(story, _release("bag-1"))
    early = Story().to_the_plant()
    early.accessions("apheresis")
    early.divides("apheresis", [new("early", PRODUCT, 90), new("sample", SAMPLE, 10)])
    for test in ("identity", "sterility", "viability"):
        early.reports(test)
    assert refused_with(early, _release("early")) == {"STEP_OUT_OF_ORDER"}
    lean = pack_with(member("steps", []))
    assert refused_with(early, _release("early"), pack=lean) == set()


def _release(bag: str) -> modification.BatchReleased:
    named = common.Document(sha256=bytes(32), kind="certificate")
    return modification.BatchReleased(
        batch=material("batch"), materials=[material(bag)], certificate=named, release_for_infusion=named
    )


def test_a_sample_does_not_become_product() -> None:
    """It is divided into samples and retains, and nothing else."""
    for kind, found in ((SAMPLE, set()), (PRODUCT, {"OUTPUT_KIND_WRONG"}), (INTERMEDIATE, {"OUTPUT_KIND_WRONG"})):
        story = Story().to_the_product()
        assert story.codes(story.divides("sample", [new("part", kind, 8)])) == found


def test_nothing_is_divided_for_use_while_identity_is_broken() -> None:
    """A sample may be taken, to find out whose cells these are."""
    story = Story().to_the_plant("apheresis", "spare")
    story.receives("spare", OUTWARD, SUITE, OPERATOR)  # Once more: held for that alone, and identity is whole.
    _compares(story, harvest.IDENTITY_POINT_PROCESS, "spare", coi="CHA999925000002E")
    used = story.divides("apheresis", [new("half", COLLECTION, 50)], left=volume(50))
    assert "IDENTITY_BROKEN" in story.codes(used)
    sampled = story.divides("apheresis", [new("drop", SAMPLE, 5)], left=volume(45))
    assert story.codes(sampled) == set()


# Labels.


def _packed(story: Story, bag: str) -> Act:
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    return story.packs(bag, OUTWARD, APHERESIS, NURSE)


def test_what_is_collected_leaves_with_a_label() -> None:
    """Where the pack has labels read back; a sample may go under the laboratory's own."""
    bare = Story()
    bare.enrols()
    bare.consents()
    bare.collects("apheresis")
    packed = _packed(bare, "apheresis")
    assert codes_under(READ_BACK, bare, packed) == {"LABEL_MISSING"}
    assert bare.codes(packed) == set()

    sampled = Story().to_the_collection()
    sampled.divides("apheresis", [new("drop", SAMPLE, 5)], left=volume(95), signer=NURSE, unit=APHERESIS)
    assert codes_under(READ_BACK, sampled, _packed(sampled, "drop")) == set()


@pytest.mark.parametrize(
    ("biohazard", "left_out", "is_said"),
    [
        (harvest.BIOHAZARD_NEGATIVE, False, False),
        (harvest.BIOHAZARD_NEGATIVE, True, True),
        (harvest.BIOHAZARD_UNSPECIFIED, False, True),
        (harvest.BIOHAZARD_REACTIVE, False, True),
    ],
)
def test_a_label_says_so_unless_all_was_evaluated_and_negative(
    biohazard: harvest.Biohazard.ValueType, left_out: bool, is_said: bool
) -> None:
    """What nobody stated is not negative."""
    story = Story()
    story.enrols()
    story.consents()
    story.tell(
        harvest.DonorScreened(
            sample_taken_at_unix_micros=START,
            markers=[harvest.MarkerTested(marker="hiv", evaluated=not left_out)],
            biohazard=biohazard,
            label_reason="for autologous use only",
        )
    )
    story.collects("apheresis")
    assert story.codes(story.labels("apheresis")) == ({"LABEL_TEXT_MISSING"} if is_said else set())


# Issue, thaw, bedside, infusion.


def test_a_bag_is_issued_before_it_is_thawed() -> None:
    """Where the pack wants it; otherwise nobody asks."""
    story = Story().to_the_ward()
    thawed = story.tell(returned.MaterialThawed(material=material("bag-1"), unit=CELL_LAB, intact=True))
    assert story.codes(thawed) == {"NOT_ISSUED"}
    assert codes_under(pack_with(step("MaterialThawed")), story, thawed) == set()
    issued = Story().to_the_ward()
    issued.issues("bag-1")
    assert issued.codes(issued.thaws("bag-1")) == set()


def test_what_is_left_of_an_infusion_is_not_drawn_into_a_syringe() -> None:
    """Whatever it is called then, it would be given from twice."""
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    body = returned.InfusionStopped(
        material=material("bag-1"),
        started=started.digest,
        outcome=returned.INFUSION_OUTCOME_PARTIAL,
        remainder=volume(20),
    )
    assert story.codes(story.tell(body)) == set()
    drawn = story.tell(
        returned.MaterialReconstituted(
            material=material("bag-1"),
            reconstitution=returned.RECONSTITUTION_KIND_DRAWN,
            unit=WARD,
            outputs=[new("syringe", PRODUCT, 20)],
        )
    )
    assert story.codes(drawn) == {"ALREADY_INFUSED_FROM"}


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (volume(63), set()),  # The pack lets 5 parts in a hundred go astray.
        (volume(64), {"VOLUME_IMBALANCE"}),
        (volume(1, unit="L"), {"UNIT_MISMATCH"}),
        (common.Quantity(mantissa=70, unit="mL", comparator=common.COMPARATOR_LESS), set()),  # Open-ended: unknown.
    ],
)
def test_no_more_is_left_of_a_bag_than_there_was(left: common.Quantity, found: set[str]) -> None:
    """The bag had 60 mL."""
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    body = returned.InfusionStopped(
        material=material("bag-1"), started=started.digest, outcome=returned.INFUSION_OUTCOME_PARTIAL, remainder=left
    )
    assert story.codes(story.tell(body)) == found


@pytest.mark.parametrize(
    ("on_label", "read", "found"),
    [
        (START + 300 * DAY, START + 300 * DAY, set()),
        (START + 300 * DAY, EARLIER, {"EXPIRED", "EXPIRY_MISMATCH"}),
        (None, START + 300 * DAY, {"EXPIRY_MISMATCH"}),
        (None, EARLIER, {"EXPIRED", "EXPIRY_MISMATCH"}),
    ],
)
def test_an_expiry_read_at_the_bedside_is_the_labels_and_lies_ahead(
    on_label: int | None, read: int, found: set[str]
) -> None:
    """Also where the ledger knows of none: what was read was read."""
    story = Story().to_the_bedside()
    labelled = next(act for act in story.acts if isinstance(act.body, harvest.LabelApplied) and act.signer == OPERATOR)
    assert isinstance(labelled.body, harvest.LabelApplied)
    if on_label is None:
        labelled.body.ClearField("expires_at_unix_micros")
    checked = story.checks_bedside("bag-1")
    assert isinstance(checked.body, returned.BedsideChecked)
    checked.body.expires_read_unix_micros = read
    assert codes_under(ASKS_FOR_EXPIRY, story, checked) == found


# Ends that lie before their beginnings.


def test_what_ends_ends_after_it_began() -> None:
    """A collection, a course of lymphodepletion, an infusion; at the same moment is late enough."""
    for after, found in ((0, set()), (-MINUTE, {"ENDED_BEFORE_START"})):
        story = Story()
        story.enrols()
        story.consents()
        story.join(story.checks_identity(), b"\x12" * 16)
        started = story.starts_collection()
        completed = harvest.CollectionCompleted(
            started=started.digest, outputs=[new("bag", COLLECTION, 100)], unit=APHERESIS
        )
        assert story.codes(story.tell(completed, at=started.occurred_start + after)) == found

        course = story.tell(returned.LymphodepletionStarted(unit=WARD, course=1))
        stopped = returned.LymphodepletionStopped(started=course.digest, completed=True)
        assert story.codes(story.tell(stopped, at=course.occurred_start + after)) == found


def test_a_freezing_and_an_infusion_end_after_they_began() -> None:
    """As a collection does."""
    story = Story().to_the_collection()
    begun = story.tell(harvest.CryopreservationStarted(materials=[material("apheresis")], unit=APHERESIS))
    frozen = harvest.CryopreservationCompleted(
        started=begun.digest,
        rate_trace=common.Document(sha256=bytes(32), kind="rate-trace"),
        materials=[material("apheresis")],
    )
    assert story.codes(story.tell(frozen, at=begun.occurred_start - MINUTE)) == {"ENDED_BEFORE_START"}

    given = Story().to_the_bedside()
    started = given.starts_infusion("bag-1", given.checks_bedside("bag-1"))
    stopped = returned.InfusionStopped(
        material=material("bag-1"), started=started.digest, outcome=returned.INFUSION_OUTCOME_COMPLETE
    )
    assert given.codes(given.tell(stopped, at=started.occurred_start - MINUTE)) == {"ENDED_BEFORE_START"}


# Values that nothing has.


def test_nothing_is_measured_below_nothing() -> None:
    """Unless the pack itself looks for it there."""
    least = pack_with(limit("endotoxin", max="2.5", unit="[EU]/mL"))
    below = pack_with(limit("endotoxin", min="-5", max="2.5", unit="[EU]/mL"))
    for pack, mantissa, found in (
        (least, 1, set()),
        (least, 0, set()),
        (least, -1, {"RESULT_VALUE_UNKNOWN"}),
        (below, -1, set()),
    ):
        story = Story().to_the_product()
        reported = story.reports("endotoxin")
        assert isinstance(reported.body, modification.ResultReported)
        reported.body.value.CopyFrom(
            common.Quantity(mantissa=mantissa, unit="[EU]/mL", comparator=common.COMPARATOR_EQUAL)
        )
        assert codes_under(pack, story, reported) == found


def test_no_less_than_nothing_is_destroyed_or_kept() -> None:
    """A quantity is measured, or left out."""
    story = Story().to_the_ward()
    certificate = common.Document(sha256=bytes(32), kind="destruction")
    body = returned.MaterialDestroyed(
        material=material("bag-1"), unit=CELL_LAB, certificate=certificate, quantity=volume(-1)
    )
    assert story.codes(story.tell(body)) == {"QUANTITY_NEGATIVE"}
    kept = returned.RemainderRetained(
        material=material("bag-2"),
        position=common.Position(unit=CELL_LAB, place="tank"),
        study="S-1",
        kept_until_unix_micros=START + 900 * DAY,
        quantity=volume(-1),
    )
    assert story.codes(story.tell(kept)) >= {"QUANTITY_NEGATIVE"}


def test_the_record_of_a_closed_therapy_is_kept_until_a_date_ahead() -> None:
    """In the past it is refused; left out it is shown."""
    ended = Story().to_the_end()
    ended.acts.pop()  # The closure.
    for kept_until, found in (
        (START + 30 * 365 * DAY, set()),
        (EARLIER, {"KEPT_WITHOUT_DATE"}),
        (ended.now + HOUR * 0, {"KEPT_WITHOUT_DATE"}),
        (0, {"RETENTION_NOT_STATED"}),
    ):
        body = returned.TherapyClosed(kept_until_unix_micros=kept_until)
        assert refused_with(ended, body, role="nurse") == found
