"""Scans in the acts of a therapy: compared with its labels, breaking identity where they are another's."""

from __future__ import annotations

import itertools

import pytest

from cellcustody.ledger.custody.act import Act, Finding, Status
from cellcustody.ledger.recording.entry_checks import body_findings
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

from .stories import (
    APHERESIS,
    COI,
    DIN,
    MATCHING,
    NURSE,
    OTHER_DIN,
    OUTWARD,
    SECOND_NURSE,
    SUITE,
    Delivery,
    Story,
    case_of,
    material,
    outcome,
)

COI_SCAN = "&/CHA999925000001"
DIN_SCAN = f"={DIN}00"
OTHER_SCAN = f"={OTHER_DIN}00"


def scan(raw: str, on: str = "", method: common.ReadMethod.ValueType = common.READ_METHOD_SCANNED) -> common.Scan:
    """Returns a scan."""
    return common.Scan(raw=raw, method=method, on=on)


def _stores(story: Story, bag: str, *scans: common.Scan) -> Act:
    position = common.Position(unit=APHERESIS, place="tank-1")
    return story.tell(harvest.MaterialStored(material=material(bag), position=position, scans=scans))


def test_scans_that_agree_find_nothing() -> None:
    """The bag's chain of identity and donation number are what the ledger has of it."""
    story = Story().to_the_collection()
    stored = _stores(story, "apheresis", scan(COI_SCAN), scan(DIN_SCAN))
    assert story.judged(stored).status is Status.CONFORMING


@pytest.mark.parametrize("raw", ["&/CHA999925000002", OTHER_SCAN])
def test_a_scan_of_anothers_label_breaks_identity(raw: str) -> None:
    """It is recorded, held, and the chain of identity is broken until it is restored."""
    story = Story().to_the_collection()
    stored = _stores(story, "apheresis", scan(raw))
    case = story.case()
    assert case.judged[stored.digest].findings == (Finding("SCAN_MISMATCH", stored.leaves_of(50)),)
    assert case.state.identity_broken
    assert case.state.holds_on(material("apheresis"))
    assert case.state.materials[material("apheresis")].place == "tank-1"  # It lies there all the same.


def test_a_label_that_cannot_be_read_breaks_identity_unless_two_others_match() -> None:
    """An illegible second identifier is as bad as none."""
    blot = scan("", method=common.READ_METHOD_UNREADABLE)
    story = Story().to_the_collection()
    assert story.codes(_stores(story, "apheresis", blot, scan(COI_SCAN))) == {"SCAN_UNREADABLE"}
    assert story.case().state.identity_broken

    again = Story().to_the_collection()
    assert again.codes(_stores(again, "apheresis", blot, scan(COI_SCAN), scan(DIN_SCAN))) == set()


def test_each_bag_is_compared_with_its_own_label() -> None:
    """Two bags of two days, whose labels were read the wrong way round."""
    story = Story().to_the_collection("day-1")
    story.checks_identity()
    story.completes_collection(story.starts_collection(day=2, din=OTHER_DIN), "day-2")
    first, second = material("day-1"), material("day-2")

    def checked(*scans: common.Scan) -> set[str]:
        body = harvest.IdentityChecked(point=harvest.IDENTITY_POINT_PROCESS, materials=[first, second], scans=scans)
        told = Story(list(story.acts), story.now)
        return told.codes(told.tell(body))

    assert checked(scan(DIN_SCAN, first.hex()), scan(OTHER_SCAN, second.hex())) == set()
    assert checked(scan(DIN_SCAN), scan(OTHER_SCAN)) == set()
    assert checked(scan(OTHER_SCAN, first.hex()), scan(DIN_SCAN, second.hex())) == {"SCAN_MISMATCH"}


def test_a_label_being_applied_says_what_the_statement_says() -> None:
    """The read-back scan is compared with the label's own text, donation and division alike."""
    story = Story()
    story.enrols()
    story.consents()
    story.collects("apheresis")

    def applied(*scans: common.Scan) -> set[str]:
        told = Story(list(story.acts), story.now)
        body = harvest.LabelApplied(
            material=material("apheresis"), din=DIN, coi="CHA999925000001G", product_code="S1128TA0", scans=scans
        )
        return told.codes(told.tell(body))

    assert applied(scan("=+03000&/CHA999925000001=A99992500000100=<S1128TA0")) == set()
    assert applied(scan("=<S1128TB0")) == {"SCAN_MISMATCH"}
    assert applied(scan(OTHER_SCAN)) == {"SCAN_MISMATCH"}


def test_a_new_days_donation_number_is_compared_with_its_own_collection() -> None:
    """The number on the kit of day two is not that of day one."""
    story = Story().to_the_collection("day-1")
    story.checks_identity()

    def started(raw: str) -> set[str]:
        told = Story(list(story.acts), story.now)
        body = harvest.CollectionStarted(day=2, din=OTHER_DIN, unit=APHERESIS, scans=[scan(raw)])
        return told.codes(told.tell(body))

    assert started(OTHER_SCAN) == set()
    assert started(DIN_SCAN) == {"SCAN_MISMATCH"}


def test_the_wrong_shipper_is_no_wrong_patient() -> None:
    """Packing into another container than the statement names holds the bag and leaves identity whole."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    packed = story.tell(
        harvest.MaterialPacked(
            material=material("apheresis"),
            consignment=OUTWARD,
            container="shipper-1",
            unit=APHERESIS,
            coi_read="CHA999925000001G",
            scans=[scan("shipper-2", "shipper-1"), scan(DIN_SCAN)],
        )
    )
    assert story.codes(packed) == {"SCAN_OF_ANOTHER_ITEM"}
    assert not story.case().state.identity_broken


def test_a_fact_that_waits_has_no_other_finding() -> None:
    """Scans are compared when there is something to compare them with."""
    story = Story()
    stored = _stores(story, "apheresis", scan(OTHER_SCAN))
    assert story.codes(stored) == {"THERAPY_UNKNOWN"}


def test_scans_come_to_the_same_in_any_order_of_delivery() -> None:
    """A scan delivered before the collection it belongs to is compared when that arrives."""
    story = Story()
    story.enrols()
    story.consents()
    story.collects("apheresis")
    _stores(story, "apheresis", scan(DIN_SCAN), scan(COI_SCAN))
    _stores(story, "apheresis", scan(OTHER_SCAN))
    expected = outcome(case_of(story.acts))
    for order in itertools.islice(itertools.permutations(story.acts[2:]), 0, None, 37):
        delivery = Delivery()
        for act in (*story.acts[:2], *order):
            delivery.deliver(act)
        assert outcome(delivery.case) == expected


def test_typed_scans_are_marked_and_scans_of_persons_told_at_entry() -> None:
    """Advisories of entry: which leaves were typed, and which name somebody."""
    body = harvest.IdentityChecked(
        point=harvest.IDENTITY_POINT_CHAIRSIDE,
        scans=[
            scan(COI_SCAN),
            scan("CHA999925000001G", method=common.READ_METHOD_MANUAL),
            scan("&#0104A123"),
        ],
    )
    assert body_findings(body, (1, 50, 50, 50)) == [Finding("SCAN_TYPED", (2,)), Finding("SCAN_NAMES_PERSON", (3,))]


def test_a_bag_that_was_scanned_was_read() -> None:
    """A matching scan stands for what was typed; another's stands for nothing."""

    def packed(*scans: common.Scan) -> set[str]:
        story = Story().to_the_collection()
        story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
        body = harvest.MaterialPacked(
            material=material("apheresis"), consignment=OUTWARD, container="shipper-1", unit=APHERESIS, scans=scans
        )
        return story.codes(story.tell(body))

    assert packed(scan(COI_SCAN)) == set()
    assert packed() == packed(scan(DIN_SCAN)) == {"BAG_UNREADABLE"}
    assert packed(scan(COI_SCAN), scan(OTHER_SCAN)) == {"BAG_UNREADABLE", "SCAN_MISMATCH"}


def test_the_chain_of_identity_is_read_at_the_chair() -> None:
    """Typed or scanned; a check of the patient alone does not say whose course this is."""

    def started(coi_read: str, *scans: common.Scan) -> set[str]:
        story = Story()
        story.enrols()
        story.consents()
        body = harvest.IdentityChecked(point=harvest.IDENTITY_POINT_CHAIRSIDE, coi_read=coi_read, scans=scans)
        story.join(story.tell(body, comparisons=MATCHING), SECOND_NURSE)
        return story.codes(story.starts_collection())

    assert started(COI) == started("", scan(COI_SCAN)) == set()
    assert started("") == {"IDENTITY_NOT_CHECKED"}
