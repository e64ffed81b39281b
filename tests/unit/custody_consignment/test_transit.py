"""Between two handoffs: coolant, customs, shocks, losses, numbers, documents, and what is scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory

START = 1_800_000_000_000_000
MINUTE = 60_000_000
COI, OTHER_COI = "CHA999925000001G", "CHA999925000002E"


def gravity(tenths: int, unit: str = "[g]") -> common.Quantity:
    """Returns a measured acceleration."""
    return common.Quantity(mantissa=tenths, exponent=-1, unit=unit, comparator=common.COMPARATOR_EQUAL)


def opens_with(story: ConsignmentStory, **changed: object) -> Act:
    """The cell laboratory opens a consignment of one box with what is changed of it."""
    body = story.opening("box")
    for name, value in changed.items():
        setattr(body.containers[0], name, value)
    return story.says(story.cell_lab, body)


# Coolant. ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minute", "codes"), [(30, set()), (31, {"COOLANT_RAN_OUT"})])
def test_coolant_is_filled_in_before_it_has_run_out(story: ConsignmentStory, minute: int, codes: set[str]) -> None:
    """To the minute; after that the container is held, however much is filled in."""
    opens_with(story, coolant_until_unix_micros=START + 30 * MINUTE)
    filled = story.says(
        story.cell_lab,
        transport.CoolantReplenished(
            container="box", coolant="dry_ice", coolant_until_unix_micros=START + 90 * MINUTE, place="hub north"
        ),
        minute=minute,
    )
    assert story.codes(filled) == codes
    assert story.held() == codes
    assert story.container().coolant_until == START + 90 * MINUTE
    assert story.container().place == "hub north"


def test_who_fills_in_coolant_says_until_when_it_lasts(story: ConsignmentStory) -> None:
    """A stranger who does it, and says nothing of the time, is shown; nothing is held."""
    story.opens()
    filled = story.says(story.courier, transport.CoolantReplenished(container="box", coolant="dry_ice"))
    assert story.codes(filled) == {"NOT_BY_CUSTODIAN", "COOLANT_TIME_MISSING"}
    assert story.status(filled) is Status.CONFORMING


@pytest.mark.parametrize(("minute", "is_spent"), [(40, False), (41, True)])
def test_coolant_that_is_spent_on_receipt_is_shown(story: ConsignmentStory, minute: int, is_spent: bool) -> None:
    """The logger decides about the cells; the coolant is a reason to look."""
    opens_with(story, coolant_until_unix_micros=START + 40 * MINUTE)
    story.hands_over(story.cell_lab, story.plant)
    inspected = story.says(
        story.plant, transport.ReceiptInspected(unit=story.plant.stated, containers=["box"]), minute=minute
    )
    assert ("COOLANT_SPENT" in story.codes(inspected)) is is_spent


# Customs. ----------------------------------------------------------------------------------------------------------


def test_customs_keep_a_container_without_answering_for_it(story: ConsignmentStory) -> None:
    """Custody and possession stay with the courier; the stay ends when it is cleared, and once."""
    story.opens()
    story.hands_over(story.cell_lab, story.courier)
    held = story.says(story.courier, transport.CustomsHeld(place="border", reference="C-7", containers=["box"]))
    assert story.where() == (story.courier.unit, story.courier.unit)
    assert story.state.customs[held.digest].cleared_at is None
    cleared = story.says(story.courier, transport.CustomsCleared(held=held.digest))
    assert (story.codes(held), story.codes(cleared)) == (set(), set())
    assert story.state.customs[held.digest].cleared_by == cleared.digest
    again = story.says(story.courier, transport.CustomsCleared(held=held.digest))
    assert story.codes(again) == {"CUSTOMS_CLEARED_BEFORE"}
    assert story.state.customs[held.digest].cleared_by == cleared.digest


def test_what_an_authority_opened_is_held(story: ConsignmentStory) -> None:
    """X-rays are for luggage. Only the containers that were kept are held."""
    story.opens("box", "lid")
    held = story.says(story.cell_lab, transport.CustomsHeld(place="border", containers=["box"]))
    cleared = story.says(story.cell_lab, transport.CustomsCleared(held=held.digest, opened_or_irradiated=True))
    assert story.codes(cleared) == {"OPENED_BY_AUTHORITY"}
    assert [hold.containers for hold in story.state.holds.values()] == [frozenset({"box"})]


def test_a_clearance_waits_for_the_stay_that_it_names(story: ConsignmentStory) -> None:
    """Delivered first it waits, and has effect once the stay is there; of another statement it is nonconforming."""
    story.opens()
    held = story.act(transport.CustomsHeld(place="border", containers=["box"]), story.courier, minute=5)
    cleared = story.says(story.courier, transport.CustomsCleared(held=held.digest), minute=6)
    assert story.status(cleared) is Status.AWAITING
    assert story.held() == set()
    story.tell(held)
    assert story.status(cleared) is Status.CONFORMING
    seal = story.says(story.cell_lab, transport.SealApplied(container="box", seal="S"))
    wrong = story.says(story.courier, transport.CustomsCleared(held=seal.digest))
    assert story.codes(wrong) == {"OTHER_STATEMENT_NAMED"}


# Shocks and losses. ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "limit", "codes"),
    [
        (gravity(30), gravity(30), set()),
        (gravity(31), gravity(30), {"SHOCK_EXCEEDED"}),
        (gravity(30), gravity(30, "m/s2"), {"SHOCK_EXCEEDED"}),
        (gravity(30), None, {"SHOCK_EXCEEDED"}),
    ],
    ids=["at the limit", "over it", "in another unit", "without a limit"],
)
def test_a_shock_over_its_limit_holds_the_container(
    story: ConsignmentStory, reading: common.Quantity, limit: common.Quantity | None, codes: set[str]
) -> None:
    """What cannot be compared is not within the limit."""
    story.opens("box", "lid")
    told = story.says(
        story.courier,
        transport.ShockRecorded(
            container="box", logger="G-1", kind=transport.SHOCK_KIND_IMPACT, reading=reading, limit=limit
        ),
    )
    assert story.codes(told) == codes
    assert [hold.containers for hold in story.state.holds.values()] == [frozenset({"box"})] * len(codes)


def test_a_lost_container_is_held_until_it_is_found_and_freed(story: ConsignmentStory) -> None:
    """Nobody has it; whoever finds it says so; its custodian goes on answering for it; quality frees it."""
    story.opens()
    story.hands_over(story.cell_lab, story.courier)
    lost = story.says(story.courier, transport.ContainersLost(containers=["box"], last_place="hub north"))
    assert story.codes(lost) == {"CONTAINER_LOST"}
    assert story.where() == (story.courier.unit, None)
    assert story.container().is_lost
    found = story.says(
        story.other_plant,
        transport.PossessionReported(possessor=story.other_plant.stated, containers=["box"], place="dock 3"),
    )
    assert story.codes(found) == {"POSSESSION_DISPUTED"}
    assert story.where() == (story.courier.unit, story.other_plant.unit)
    assert not story.container().is_lost
    assert story.container().place == "dock 3"
    assert story.held() == {"CONTAINER_LOST"}


# Numbers, documents, places. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "is_right"),
    [
        ([(1, 2), (2, 2)], True),
        ([(2, 2), (1, 2)], True),
        ([(0, 0), (0, 0)], True),
        ([(1, 2), (1, 2)], False),
        ([(1, 3), (2, 3)], False),
        ([(1, 2), (0, 0)], False),
        ([(0, 0), (2, 2)], False),
        ([(0, 2), (1, 2)], False),
    ],
)
def test_containers_are_numbered_1_to_n(
    story: ConsignmentStory, numbers: list[tuple[int, int]], is_right: bool
) -> None:
    """Each once, all of the same N that there are; or none at all."""
    body = story.opening("box", "lid")
    for container, (number, number_of) in zip(body.containers, numbers, strict=True):
        container.number, container.number_of = number, number_of
    assert story.codes(story.says(story.cell_lab, body)) == (set() if is_right else {"CONTAINERS_MISNUMBERED"})


def test_documents_that_travel_are_told_of_at_the_destination(story: ConsignmentStory) -> None:
    """Missing ones are shown there, and only there."""
    body = story.opening()
    body.documents.add(sha256=b"\x05" * 32, kind="request")
    story.says(story.cell_lab, body)
    story.hands_over(story.cell_lab, story.courier)
    on_the_way = transport.ReceiptInspected(unit=story.courier.stated, containers=["box"])
    assert "DOCUMENT_NOT_RECEIVED" not in story.codes(story.says(story.courier, on_the_way))
    story.hands_over(story.courier, story.plant)
    without = transport.ReceiptInspected(unit=story.plant.stated, containers=["box"])
    assert "DOCUMENT_NOT_RECEIVED" in story.codes(story.says(story.plant, without))
    there = transport.ReceiptInspected(unit=story.plant.stated, containers=["box"])
    there.documents.add(sha256=b"\x05" * 32, kind="request")
    assert "DOCUMENT_NOT_RECEIVED" not in story.codes(story.says(story.plant, there))


def test_an_inspection_elsewhere_than_at_the_destination_is_shown(story: ConsignmentStory) -> None:
    """A courier may look; another plant is the wrong place, and says so."""
    story.opens()
    story.hands_over(story.cell_lab, story.courier)
    looked = story.says(story.courier, transport.ReceiptInspected(unit=story.courier.stated, containers=["box"]))
    assert "NOT_THE_DESTINATION" not in story.codes(looked)
    story.hands_over(story.courier, story.other_plant)
    body = transport.ReceiptInspected(unit=story.other_plant.stated, containers=["box"])
    assert "NOT_THE_DESTINATION" in story.codes(story.says(story.other_plant, body))


@pytest.mark.parametrize(
    ("attestation", "codes"),
    [
        (common.Attestation(name_sha256=bytes(32), badge="B-1"), {"UNSIGNED_BY_RECEIVER"}),
        (common.Attestation(name_sha256=bytes(32), waybill="W-1"), {"UNSIGNED_BY_RECEIVER"}),
        (common.Attestation(name_sha256=bytes(32)), {"UNSIGNED_BY_RECEIVER", "ATTESTATION_EMPTY"}),
        (common.Attestation(badge="B-1"), {"UNSIGNED_BY_RECEIVER", "ATTESTATION_EMPTY"}),
    ],
    ids=["by badge", "by waybill", "by nothing", "without a name"],
)
def test_an_attestation_lets_the_receiver_be_found_again(
    story: ConsignmentStory, attestation: common.Attestation, codes: set[str]
) -> None:
    """The name by its digest, and a badge, a waybill or the seals read."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    body = story.acceptance(story.courier, release)
    body.attestation.CopyFrom(attestation)
    assert story.codes(story.says(story.cell_lab, body)) == codes


# Scans. ------------------------------------------------------------------------------------------------------------


def scan(raw: str, method: common.ReadMethod.ValueType = common.READ_METHOD_SCANNED) -> common.Scan:
    """Returns one scan of the box."""
    return common.Scan(raw=raw, method=method, on="box")


@pytest.mark.parametrize(
    ("one", "codes"),
    [
        (scan(f"&/{COI[:-1]}"), set()),
        (scan("C-1"), set()),
        (scan("box"), set()),
        (scan("logger-box"), set()),
        (scan(COI, common.READ_METHOD_MANUAL), set()),
        (scan(f"&/{OTHER_COI[:-1]}"), {"SCAN_MISMATCH"}),
        (scan("another box"), {"SCAN_OF_ANOTHER_ITEM"}),
        (scan("", common.READ_METHOD_UNREADABLE), {"SCAN_UNREADABLE"}),
    ],
    ids=["chain of identity", "consignment", "label", "logger", "typed", "another patient's", "another box", "unread"],
)
def test_a_courier_compares_consignment_containers_and_chain_of_identity(
    story: ConsignmentStory, one: common.Scan, codes: set[str]
) -> None:
    """A mismatch is recorded, moves custody all the same, and holds the box."""
    opens_with(story, coi=COI)
    release = story.releases(story.cell_lab, story.courier)
    body = story.acceptance(story.courier, release)
    body.scans.append(one)
    accepted = story.says(story.courier, body)
    assert story.codes(accepted) == codes
    assert story.held() == codes
    assert story.where() == (story.courier.unit, story.courier.unit)


def test_a_chain_of_identity_that_no_box_bears_is_not_compared(story: ConsignmentStory) -> None:
    """Where samples of several therapies share a box, its outside names none of them."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    body = story.acceptance(story.courier, release)
    body.scans.append(scan(f"&/{COI[:-1]}"))
    assert story.codes(story.says(story.courier, body)) == set()


def test_a_hold_for_a_label_is_lifted_after_two_persons_have_scanned_it_again(story: ConsignmentStory) -> None:
    """Neither one person, nor a scan of before, nor one that confirms nothing will do."""
    opens_with(story, coi=COI)
    before = transport.TransitCheckpointPassed(place="hub", containers=["box"], scans=[scan(f"&/{COI[:-1]}")])
    told = story.says(story.cell_lab, before)
    story.joins(story.second_technician, told)
    release = story.releases(story.cell_lab, story.courier)
    body = story.acceptance(story.courier, release)
    body.scans.append(scan(f"&/{OTHER_COI[:-1]}"))
    wrong = story.says(story.courier, body)
    lifting = quality.HoldLifted(holds=[hold_id(wrong.digest, "SCAN_MISMATCH")])
    assert story.asks(story.quality, lifting) == {"RESCAN_MISSING"}

    weak = transport.TransitCheckpointPassed(place="hub", containers=["box"], scans=[scan("box")])
    story.joins(story.second_driver, story.says(story.courier, weak))
    assert story.asks(story.quality, lifting) == {"RESCAN_MISSING"}
    again = story.says(story.courier, before)
    assert story.asks(story.quality, lifting) == {"RESCAN_MISSING"}
    story.joins(story.second_driver, again)
    assert story.asks(story.quality, lifting) == set()
    story.authorises(story.quality, lifting)
    assert story.held() == set()
