"""How materials end, what keeps a therapy open, reopening, and passing the record on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.closing import OpenMatter, joining_site, open_matters
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    CELL_LAB,
    COURIER,
    DAY,
    DRIVER,
    HOSPITAL,
    MINUTE,
    NURSE,
    OPERATOR,
    PACK,
    PLANT,
    RETURN,
    START,
    SUITE,
    VAN,
    WARD,
    Story,
    material,
)

KEPT_UNTIL = START + 30 * 365 * DAY
CLOSURE = returned.TherapyClosed(kept_until_unix_micros=KEPT_UNTIL)
DESTRUCTION = common.Document(sha256=bytes(32), kind="destruction")
REASON = common.Circumstances(reason="a reason")


def stands_against(story: Story, body: Message, signer: bytes = NURSE, *, role: str = "nurse") -> set[str]:
    """Returns the codes of what stands against an authorisation by someone who has seen everything."""
    latest = {act.stream: act for act in story.acts if act.joins is None}
    act = story.tell(body, signer, role=role, seen=latest.values())
    story.acts.remove(act)
    found, _ = story.case().judge_authorisation(act)
    return set(codes_of(found))


def ended() -> Story:
    """A therapy of which nothing is open: one bag infused, one destroyed."""
    story = Story().to_the_end()
    story.acts.pop()  # The closure.
    return story


# Ends.


def test_destruction_of_product_has_a_certificate() -> None:
    """Shown if it has none; a sample needs none."""
    story = Story().to_the_ward()
    bare = story.tell(returned.MaterialDestroyed(material=material("bag-1"), unit=CELL_LAB))
    assert story.codes(bare) == {"DESTRUCTION_NOT_CERTIFIED"}
    other = returned.MaterialDestroyed(material=material("bag-2"), unit=CELL_LAB, certificate=DESTRUCTION)
    assert story.codes(story.tell(other)) == set()
    sample = Story().to_the_product()
    body = returned.MaterialDestroyed(material=material("sample"), unit=SUITE)
    assert sample.codes(sample.tell(body, OPERATOR)) == set()


@pytest.mark.parametrize(("after", "found"), [(1, set()), (0, {"KEPT_WITHOUT_DATE"})])
def test_what_is_archived_is_kept_until_a_date(after: int, found: set[str]) -> None:
    """In the future of the act."""
    story = Story().to_the_product()
    at = story.now + DAY
    body = returned.MaterialArchived(
        material=material("sample"), position=common.Position(unit=SUITE), kept_until_unix_micros=at + after
    )
    assert story.codes(story.tell(body, OPERATOR, at=at)) == found


def _retained(**changed: object) -> returned.RemainderRetained:
    fields: dict[str, object] = {"study": "LTFU-1", "kept_until_unix_micros": KEPT_UNTIL} | changed
    return returned.RemainderRetained(
        material=material("bag-1"),
        position=common.Position(unit=CELL_LAB, place="study-freezer"),
        **fields,  # type: ignore[arg-type]  # Fields by name.
    )


def test_what_is_kept_for_a_study_has_the_patients_consent_a_study_and_a_date() -> None:
    """Each is found by itself; it has ended all the same, where it says."""
    story = Story().to_the_ward()
    assert story.codes(story.tell(_retained())) == {"CONSENT_MISSING"}
    kept = story.case().state.materials[material("bag-1")]
    assert (kept.life, kept.place) == (Life.RETAINED, "study-freezer")
    for changed, found in (
        ({}, set()),
        ({"study": ""}, {"STUDY_NOT_NAMED"}),
        ({"kept_until_unix_micros": 0}, {"KEPT_WITHOUT_DATE"}),
    ):
        willing = Story().to_the_ward()
        willing.consents(harvest.CONSENT_SCOPE_BIOBANK)
        assert willing.codes(willing.tell(_retained(**changed))) == found
    assert "AFTER_TERMINAL_ACT" in story.codes(story.thaws("bag-1"))


# What keeps a therapy open.


def test_a_therapy_of_which_nothing_is_open_is_closed() -> None:
    """Nothing stands against it, and nothing is listed."""
    story = ended()
    assert open_matters(story.case().state, PACK) == ()
    assert stands_against(story, CLOSURE) == set()


def _a_bag(story: Story) -> None:
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("MaterialDestroyed")]


def _a_sample(story: Story) -> None:
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("MaterialConsumed")]


def _a_hold(story: Story) -> None:
    story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)))


def _an_infusion(story: Story) -> None:
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("InfusionStopped")]


def _a_late_result(story: Story) -> None:
    story.reports("sterility", modification.RESULT_OUTCOME_FAIL)


def _a_witness(story: Story) -> None:
    destroyed = next(act for act in story.acts if act.body_type.endswith("MaterialDestroyed"))
    story.acts[:] = [act for act in story.acts if act.joins != destroyed.digest]


def _a_release(story: Story) -> None:
    story.releases(RETURN, CELL_LAB, VAN, NURSE)


def _a_back_entry(story: Story) -> None:
    paper = common.Circumstances(mode=common.ENTRY_MODE_FROM_PAPER, form="F-1")
    story.tell(quality.ComplaintRecorded(reference="B-1", circumstances=paper))


@pytest.mark.parametrize(
    ("leaves_open", "codes"),
    [
        (_a_back_entry, {"BACK_ENTRY_UNWITNESSED"}),
        (_a_bag, {"MATERIALS_NOT_ENDED"}),
        (_a_sample, {"SAMPLES_NOT_ENDED"}),
        (_a_hold, {"HOLD_OPEN"}),
        (_an_infusion, {"INFUSION_NOT_STOPPED", "MATERIALS_NOT_ENDED"}),
        (_a_late_result, {"HOLD_OPEN", "RESULTS_OPEN"}),
        (_a_witness, {"WITNESS_MISSING"}),
        (_a_release, {"HANDOFF_OPEN"}),
    ],
)
def test_whatever_is_open_is_told(leaves_open: Callable[[Story], None], codes: set[str]) -> None:
    """By its code, and each thing by its id."""
    story = ended()
    leaves_open(story)
    assert stands_against(story, CLOSURE) == codes
    assert {one.code for one in open_matters(story.case().state, PACK)} == codes


def test_all_that_is_open_is_listed_at_once() -> None:
    """A bag, a sample and a hold, by their ids."""
    story = ended()
    for leaves_open in (_a_bag, _a_sample, _a_hold):
        leaves_open(story)
    (hold,) = story.case().state.holds
    assert open_matters(story.case().state, PACK) == (
        OpenMatter("HOLD_OPEN", "hold", hold.hex()),
        OpenMatter("MATERIALS_NOT_ENDED", "bag", material("bag-2").hex()),
        OpenMatter("SAMPLES_NOT_ENDED", "sample", material("sample").hex()),
    )


def test_a_late_result_that_was_acknowledged_keeps_nothing_open() -> None:
    """Its hold is another matter."""
    story = ended()
    failed = story.reports("sterility", modification.RESULT_OUTCOME_FAIL)
    notified = story.tell(returned.ResultNotified(result=failed.digest, told=WARD), OPERATOR)
    assert "RESULTS_OPEN" in stands_against(story, CLOSURE)
    story.tell(returned.ResultAcknowledged(notification=notified.digest, unit=WARD))
    assert stands_against(story, CLOSURE) == {"HOLD_OPEN"}


# Reopening.


def test_a_closed_therapy_is_reopened_with_a_reason() -> None:
    """And closed again; the closure named is the one that stands."""
    story = Story().to_the_end()
    closed = story.acts[-1]
    assert story.case().state.closed
    assert stands_against(story, returned.TherapyReopened(closed=closed.digest)) == {"REASON_MISSING"}
    other = returned.TherapyReopened(closed=story.acts[0].digest, circumstances=REASON)
    assert stands_against(story, other) == {"THERAPY_NOT_CLOSED"}
    body = returned.TherapyReopened(closed=closed.digest, circumstances=REASON)
    assert stands_against(story, body) == set()
    reopened = story.tell(body)
    assert not story.case().state.closed
    assert story.case().state.treatment.reopened_by == [reopened.digest]
    assert stands_against(story, body) == {"THERAPY_NOT_CLOSED"}
    assert stands_against(story, CLOSURE) == set()
    story.tell(CLOSURE)
    assert story.case().state.closed


@pytest.mark.parametrize(("after", "found"), [(None, {"RETENTION_NOT_STATED"}), (0, {"KEPT_WITHOUT_DATE"}), (1, set())])
def test_a_closed_therapys_record_is_kept_until_a_date(after: int | None, found: set[str]) -> None:
    """In the future of the closure; no date is shown and holds nothing up."""
    story = ended()
    at = story.now + 10 * MINUTE
    body = returned.TherapyClosed(kept_until_unix_micros=0 if after is None else at + after)
    assert stands_against(story, body) == found


# The record.


def _passes(**changed: object) -> returned.CustodianOfRecordChanged:
    fields: dict[str, object] = {
        "custodian_of_record": PLANT,
        "copy_sha256": b"c" * 32,
        "checkpoint_size": 10,
        "checkpoint_root": b"r" * 32,
        "circumstances": REASON,
    } | changed
    return returned.CustodianOfRecordChanged(**fields)  # type: ignore[arg-type]  # Fields by name.


def test_the_record_passes_with_a_full_copy_to_another_site() -> None:
    """The site that keeps it signs; a person of the one that takes it joins."""
    story = Story().to_the_ward()
    body = _passes()
    assert stands_against(story, body) == set()
    assert joining_site(body) == PLANT
    assert joining_site(returned.TherapyClosed()) is None
    story.tell(body)
    state = story.case().state
    assert state.custodian_of_record == PLANT
    (passed,) = state.treatment.records_passed
    assert (passed.to, passed.copy_sha256, passed.checkpoint_size) == (PLANT, b"c" * 32, 10)


@pytest.mark.parametrize(
    ("changed", "signer", "found"),
    [
        ({"copy_sha256": b"short"}, NURSE, {"COPY_NOT_STATED"}),
        ({"checkpoint_root": b""}, NURSE, {"COPY_NOT_STATED"}),
        ({"checkpoint_size": 0}, NURSE, {"COPY_NOT_STATED"}),
        ({"checkpoint_size": 10_000}, NURSE, {"COPY_NOT_STATED"}),
        ({"custodian_of_record": HOSPITAL}, NURSE, {"RECORD_NOT_PASSED"}),
        ({"custodian_of_record": b"x"}, NURSE, {"RECORD_NOT_PASSED"}),
        ({"circumstances": common.Circumstances()}, NURSE, {"REASON_MISSING"}),
        ({}, OPERATOR, {"NOT_CUSTODIAN_OF_RECORD", "RECORD_TAKEN_ALONE"}),
        ({"custodian_of_record": COURIER}, DRIVER, {"NOT_CUSTODIAN_OF_RECORD", "RECORD_TAKEN_ALONE"}),
    ],
)
def test_what_stands_against_passing_the_record(changed: dict[str, object], signer: bytes, found: set[str]) -> None:
    """A log larger than there is has no root to name."""
    assert stands_against(Story().to_the_ward(), _passes(**changed), signer) == found


def test_the_record_is_kept_as_long_as_before_unless_it_says_otherwise() -> None:
    """A shorter or longer time comes with the passing alone."""
    for stated, kept in ((0, KEPT_UNTIL), (KEPT_UNTIL + DAY, KEPT_UNTIL + DAY)):
        story = ended()
        story.tell(CLOSURE)
        story.tell(_passes(kept_until_unix_micros=stated))
        assert story.case().state.kept_until == kept


def test_the_treating_site_passes_the_record_of_a_site_that_is_gone() -> None:
    """It had passed to the plant before."""
    story = Story().to_the_ward()
    story.tell(_passes())
    assert stands_against(story, _passes(custodian_of_record=COURIER)) == set()


def test_a_remainder_that_was_not_stated_is_shown() -> None:
    """It is to be ended all the same."""
    story = Story().to_the_bedside()
    started = story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    stopped = story.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_PARTIAL)
    assert story.codes(stopped) == {"REMAINDER_NOT_STATED"}


def test_a_closed_pack_of_open_matters_takes_the_packs_witnesses() -> None:
    """A pack may ask for two."""
    story = ended()
    co_signing = dict(PACK.co_signing)
    co_signing["MaterialDestroyed"] = replace(PACK.co_signing["BedsideChecked"], number=2)
    found = open_matters(story.case().state, replace(PACK, co_signing=co_signing))
    assert {one.code for one in found} == {"WITNESS_MISSING"}
