"""Labels: printed, put on, read back by a second person, voided, returned, reconciled."""

from __future__ import annotations

import random

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.therapy_harvest_state import LabelFate, LabelTally
from cellcustody.ledger.custody.therapy_rules_harvest_labels import check_labels_at_closure, label_difference
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels

from .stories import (
    APHERESIS,
    COI,
    DIN,
    NURSE,
    OTHER_COI,
    OTHER_DIN,
    OUTWARD,
    PACK,
    SECOND_NURSE,
    SUITE,
    Story,
    case_of,
    material,
)
from .test_before_collection_rules import codes_under, consented, pack_with, starts

RECONCILED = pack_with(labels_reconciled=True)
READ_BACK = pack_with(required_identity_checks=["CHAIRSIDE", "LABEL", "PROCESS", "RECEIPT"])


def collected(*bags: str) -> Story:
    """Returns a story told up to unlabelled bags."""
    story = consented()
    story.collects(*(bags or ("apheresis",)))
    return story


def _prints(story: Story, *serials: str, coi: str = COI, din: str = DIN) -> Act:
    return story.tell(labels.LabelsPrinted(serials=serials, coi=coi, din=din, unit=APHERESIS))


def _applies(story: Story, serial: str, bag: str = "apheresis", din: str = DIN) -> Act:
    return story.tell(harvest.LabelApplied(material=material(bag), din=din, coi=COI, label_serial=serial))


def _voids(story: Story, *serials: str) -> Act:
    return story.tell(harvest.LabelVoided(serials=serials, reason="spoilt"))


def _returns(story: Story, *serials: str) -> Act:
    return story.tell(labels.LabelsReturned(serials=serials, unit=APHERESIS))


def _counts(story: Story, printed: int, applied: int, voided: int, returned: int) -> Act:
    return story.tell(
        labels.LabelsReconciled(unit=APHERESIS, printed=printed, applied=applied, voided=voided, returned=returned)
    )


def _reads_back(story: Story, applied: Act, *raw: str, by: bytes = SECOND_NURSE, bag: str = "apheresis") -> Act:
    scans = [common.Scan(raw=one, method=common.READ_METHOD_SCANNED) for one in raw]
    return story.tell(labels.LabelReadBack(applied=applied.digest, material=material(bag), scans=scans), by)


COI_SCAN, DIN_SCAN, OTHER_DIN_SCAN = "&/CHA999925000001", f"={DIN}00", f"={OTHER_DIN}00"


def test_a_serial_is_given_once() -> None:
    """Twice in one print, in two prints, or printed after it came with a kit."""
    story = consented()
    assert story.codes(_prints(story, "L1", "L2")) == set()
    assert story.codes(_prints(story, "L3", "L3")) == {"LABEL_SERIAL_TAKEN"}
    assert story.codes(_prints(story, "L2")) == {"LABEL_SERIAL_TAKEN"}


def test_a_print_under_anothers_identifier_breaks_identity() -> None:
    """Whoever has such labels puts them on the wrong bag."""
    story = consented()
    assert story.codes(_prints(story, "L1", coi=OTHER_COI)) == {"LABEL_MISMATCH"}
    assert story.case().state.identity_broken


def test_a_label_put_on_was_printed_where_the_policy_reconciles() -> None:
    """An unknown serial, or none, is found under such a pack alone."""
    story = collected()
    _prints(story, "L1")
    known = _applies(story, "L1")
    assert codes_under(RECONCILED, story, known) == story.codes(known) == set()
    for serial in ("L9", ""):
        story = collected()
        unknown = _applies(story, serial)
        assert codes_under(RECONCILED, story, unknown) == {"LABEL_SERIAL_UNKNOWN"}
        assert story.codes(unknown) == set()


def test_a_label_is_put_on_once_and_under_the_number_it_was_printed_with() -> None:
    """The second bag's label is spent; one printed for another day's donation breaks identity."""
    story = collected("a", "b")
    _prints(story, "L1")
    _prints(story, "L2", din=OTHER_DIN)
    _prints(story, "L3", din="")
    assert story.codes(_applies(story, "L1", "a")) == set()
    assert story.codes(_applies(story, "L1", "b")) == {"LABEL_SERIAL_SPENT"}
    story = collected("a", "b")
    _prints(story, "L2", din=OTHER_DIN)
    _prints(story, "L3", din="")
    assert story.codes(_applies(story, "L3", "a")) == set()
    assert story.codes(_applies(story, "L2", "b")) == {"LABEL_MISMATCH"}


def test_labels_have_one_fate() -> None:
    """Voided unused or returned, they are not put on; an applied one may be voided."""
    story = collected()
    _prints(story, "L1", "L2", "L3", "L4")
    applied = _applies(story, "L1")
    assert story.codes(_voids(story, "L2")) == story.codes(_returns(story, "L3")) == set()
    assert story.codes(_voids(story, "L1")) == {"LABEL_SERIAL_SPENT"}
    assert story.codes(_voids(story, "L3")) == {"LABEL_SERIAL_SPENT"}
    assert story.codes(_returns(story, "L2")) == {"LABEL_SERIAL_SPENT"}
    assert story.codes(_returns(story, "L9")) == {"LABEL_SERIAL_UNKNOWN"}
    voided = story.tell(harvest.LabelVoided(applied=applied.digest))
    assert story.codes(voided) == set()
    fates = {serial: one.fate for serial, one in story.case().state.harvest.labels.items()}
    assert fates == {
        "L1": LabelFate.VOIDED,
        "L2": LabelFate.VOIDED,
        "L3": LabelFate.RETURNED,
        "L4": LabelFate.PRINTED,
    }


@pytest.mark.parametrize(
    ("biohazard", "found"),
    [
        (harvest.BIOHAZARD_NEGATIVE, set()),
        (harvest.BIOHAZARD_REACTIVE, {"LABEL_TEXT_MISSING"}),
        (harvest.BIOHAZARD_NOT_EVALUATED, {"LABEL_TEXT_MISSING"}),
    ],
)
def test_a_label_says_what_the_screening_found(biohazard: harvest.Biohazard.ValueType, found: set[str]) -> None:
    """By the last sample: an earlier one that was reactive is not what counts."""

    def applied(*texts: str) -> set[str]:
        story = collected()
        for sampled, says in ((2, biohazard), (1, harvest.BIOHAZARD_REACTIVE)):
            story.tell(harvest.DonorScreened(sample_taken_at_unix_micros=sampled, biohazard=says))
        body = harvest.LabelApplied(material=material("apheresis"), din=DIN, coi=COI, texts=texts)
        return story.codes(story.tell(body))

    assert applied() == found
    assert applied("BIOHAZARD") == set()


def test_labels_are_printed_by_the_own_unit_and_put_on_unpacked_bags() -> None:
    """A bag in a box cannot be labelled; nobody prints or counts for another site."""
    story = collected()
    assert story.codes(story.tell(labels.LabelsPrinted(serials=["L1"], coi=COI, unit=SUITE))) == {
        "SIGNED_FOR_ANOTHER_SITE"
    }
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(story.tell(labels.LabelsReturned(unit=SUITE)))
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(story.tell(labels.LabelsReconciled(unit=SUITE)))
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.codes(_applies(story, "")) == {"MATERIAL_PACKED"}


def test_a_void_names_a_label_that_stands_or_serials_or_both() -> None:
    """One that names nothing waits; one that names both is judged for both."""
    story = collected()
    _prints(story, "L1", "L2")
    applied = _applies(story, "L1")
    nothing = story.tell(harvest.LabelVoided())
    both = story.tell(harvest.LabelVoided(applied=applied.digest, serials=["L2"]))
    again = story.tell(harvest.LabelVoided(applied=applied.digest, serials=["L2"]))
    assert story.codes(nothing) == {"PREDECESSOR_MISSING"}
    assert story.codes(both) == set()
    assert story.codes(again) == {"LABEL_NOT_STANDING", "LABEL_SERIAL_SPENT"}


# Read back.


def test_a_second_person_reads_a_label_back_before_the_bag_leaves() -> None:
    """Where the policy asks for it; by two scans that match."""
    story = collected()
    applied = _applies(story, "L1")
    read = _reads_back(story, applied, COI_SCAN, DIN_SCAN)
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert story.codes(read) == set()
    assert codes_under(READ_BACK, story, packed) == set()

    story = collected()
    _applies(story, "L1")
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert codes_under(READ_BACK, story, packed) == {"LABEL_NOT_READ_BACK"}
    assert story.codes(packed) == set()


@pytest.mark.parametrize(
    ("raw", "by", "found"),
    [
        ((COI_SCAN, DIN_SCAN), NURSE, {"READ_BACK_BY_SAME_PERSON"}),
        ((COI_SCAN,), SECOND_NURSE, {"READ_BACK_INCOMPLETE"}),
        ((DIN_SCAN,), SECOND_NURSE, {"READ_BACK_INCOMPLETE"}),
        ((), SECOND_NURSE, {"READ_BACK_INCOMPLETE"}),
        ((COI_SCAN, OTHER_DIN_SCAN), SECOND_NURSE, {"READ_BACK_INCOMPLETE", "SCAN_MISMATCH"}),
    ],
)
def test_a_read_back_that_breaks_a_rule_reads_nothing_back(raw: tuple[str, ...], by: bytes, found: set[str]) -> None:
    """The bag's label is as if nobody had looked."""
    story = collected()
    read = _reads_back(story, _applies(story, "L1"), *raw, by=by)
    assert story.codes(read) == found
    assert not story.case().state.harvest.read_back


def test_a_read_back_is_of_the_label_that_stands_on_its_bag() -> None:
    """Not of another bag's, and not of one voided since."""
    story = collected("a", "b")
    applied = _applies(story, "L1", "a")
    assert story.codes(_reads_back(story, applied, COI_SCAN, DIN_SCAN, bag="b")) == {
        "LABEL_NOT_STANDING",
        "OTHER_STATEMENT_NAMED",
    }
    story.tell(harvest.LabelVoided(applied=applied.digest))
    assert story.codes(_reads_back(story, applied, COI_SCAN, DIN_SCAN, bag="a")) == {"LABEL_NOT_STANDING"}


# Reconciled.


def _four_labels() -> Story:
    story = collected()
    _prints(story, "L1", "L2", "L3", "L4")
    _applies(story, "L1")
    _voids(story, "L2")
    _returns(story, "L3", "L4")
    return story


def test_printed_is_applied_and_voided_and_returned() -> None:
    """A count that balances and agrees finds nothing."""
    story = _four_labels()
    counted = _counts(story, 4, 1, 1, 2)
    assert story.codes(counted) == set()
    assert story.case().state.harvest.tally(story.case().state.collections.popitem()[1].unit) == LabelTally(4, 1, 1, 2)


@pytest.mark.parametrize(
    ("numbers", "found", "difference"),
    [
        ((4, 1, 1, 1), {"LABELS_DO_NOT_BALANCE", "LABEL_COUNT_DIFFERS"}, 1),
        ((4, 1, 2, 2), {"LABELS_DO_NOT_BALANCE", "LABEL_COUNT_DIFFERS"}, -1),
        ((5, 2, 1, 2), {"LABEL_COUNT_DIFFERS"}, 0),
    ],
)
def test_a_count_that_does_not_balance_tells_the_difference(
    numbers: tuple[int, int, int, int], found: set[str], difference: int
) -> None:
    """Positive: labels nobody accounts for; negative: more than were printed."""
    story = _four_labels()
    counted = _counts(story, *numbers)
    assert story.codes(counted) == found
    assert isinstance(counted.body, labels.LabelsReconciled)
    assert label_difference(counted.body) == difference


def test_a_label_that_is_left_over_does_not_balance() -> None:
    """It is printed and nothing else."""
    story = collected()
    _prints(story, "L1", "L2")
    _applies(story, "L1")
    assert story.codes(_counts(story, 2, 1, 0, 0)) == {"LABELS_DO_NOT_BALANCE"}


def test_a_label_that_was_never_printed_does_not_balance() -> None:
    """More are on bags than were printed."""
    story = collected("a", "b")
    _prints(story, "L1")
    _applies(story, "L1", "a")
    _applies(story, "L9", "b")
    assert story.codes(_counts(story, 1, 2, 0, 0)) == {"LABELS_DO_NOT_BALANCE"}


def _second_day(story: Story, *told: str) -> set[str]:
    return codes_under(RECONCILED, story, starts(story, day=2, din=OTHER_DIN, attempt=2)) & {"LABELS_NOT_RECONCILED"}


def test_labels_are_reconciled_before_the_site_collects_again() -> None:
    """By a sound count behind the last word on each label of the earlier day; the next day's may be there already."""
    story = consented()
    _prints(story, "L1", "L2")
    story.collects("apheresis")
    _applies(story, "L1")
    _voids(story, "L2")
    assert _second_day(Story(list(story.acts), story.now)) == {"LABELS_NOT_RECONCILED"}

    _counts(story, 2, 1, 1, 0)
    _prints(story, "L3", din=OTHER_DIN)
    assert _second_day(Story(list(story.acts), story.now)) == set()

    unsound = consented()
    _prints(unsound, "L1", "L2")
    unsound.collects("apheresis")
    _applies(unsound, "L1")
    _counts(unsound, 2, 1, 0, 1)
    assert _second_day(unsound) == {"LABELS_NOT_RECONCILED"}


def test_a_label_known_as_the_collection_ended_is_of_that_collection() -> None:
    """At the very end it still is; a count as the last word was said is behind it."""
    for later, found in ((0, {"LABELS_NOT_RECONCILED"}), (1, set())):
        story = consented()
        story.collects("apheresis")
        body = labels.LabelsPrinted(serials=["L1"], coi=COI, din=OTHER_DIN, unit=APHERESIS)
        story.tell(body, at=story.now + later)
        assert _second_day(story) == found
    story = consented()
    _prints(story, "L1")
    story.collects("apheresis")
    _applies(story, "L1")
    count = labels.LabelsReconciled(unit=APHERESIS, printed=1, applied=1)
    story.tell(count, at=story.now, seen=[story.acts[-1]])
    assert _second_day(story) == set()


def test_a_word_on_a_label_after_the_count_asks_for_another_count() -> None:
    """A label voided behind the count was counted as applied."""
    story = consented()
    _prints(story, "L1")
    story.collects("apheresis")
    applied = _applies(story, "L1")
    _counts(story, 1, 1, 0, 0)
    story.tell(harvest.LabelVoided(applied=applied.digest))
    assert _second_day(Story(list(story.acts), story.now)) == {"LABELS_NOT_RECONCILED"}
    _counts(story, 1, 0, 1, 0)
    assert _second_day(Story(list(story.acts), story.now)) == set()


def test_a_therapy_is_closed_with_its_labels_accounted_for() -> None:
    """Where the policy asks for it; labels left over stand against it."""
    story = collected()
    _prints(story, "L1", "L2")
    _applies(story, "L1")

    def found(pack: object) -> tuple[str, ...]:
        collected_findings = Findings()
        check_labels_at_closure(story.case().state, pack, collected_findings)  # type: ignore[arg-type]
        return tuple(one.code for one in collected_findings.result())

    assert found(PACK) == ()
    assert found(RECONCILED) == ("LABELS_NOT_RECONCILED",)
    _returns(story, "L2")
    assert found(RECONCILED) == ("LABELS_NOT_RECONCILED",)
    _counts(story, 2, 1, 0, 1)
    assert found(RECONCILED) == ()


def test_labels_come_to_the_same_in_any_order_of_delivery() -> None:
    """Prints delivered behind what used them are found in front of it."""
    story = _four_labels()
    _counts(story, 4, 1, 1, 2)
    expected = case_of(story.acts)
    for seed in range(20):
        acts = list(story.acts)
        random.Random(seed).shuffle(acts)
        case = case_of(acts)
        assert dict(case.judged) == dict(expected.judged)
        assert case.state.harvest == expected.state.harvest
    assert all(judged.status is not Status.NONCONFORMING for judged in expected.judged.values())
