"""Seals, loggers, transit, inspection and closure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory

START = 1_800_000_000_000_000
MINUTE = 60_000_000
MICROS = START + 10_000 * MINUTE


def celsius(tenths: int) -> common.Quantity:
    """Returns a measured temperature."""
    return common.Quantity(
        mantissa=tenths,
        exponent=-1,
        unit="Cel",
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def summary(**changed: object) -> common.LoggerSummary:
    """Returns the summary of a good leg, with what is changed."""
    good = common.LoggerSummary(
        logger="logger-box",
        temperature_min=celsius(21),
        temperature_max=celsius(62),
        readings=300,
        condition=common.CONDITION_IN_RANGE,
        file=common.Document(sha256=b"\x01" * 32, kind="logger-file"),
        interval_seconds=300,
        first_reading_unix_micros=START,
        last_reading_unix_micros=START + 4 * MINUTE,
    )
    for name, value in changed.items():
        good.ClearField(name)  # type: ignore[arg-type]  # The names are those of the message's fields.
        if isinstance(value, common.Quantity):
            getattr(good, name).CopyFrom(value)
        elif value is not None:
            setattr(good, name, value)
    return good


def starts_logger(story: ConsignmentStory, *, calibrated_until: int = MICROS) -> Act:
    """The cell laboratory starts the logger in the box with a band of 2 to 8 degrees."""
    return story.says(
        story.cell_lab,
        transport.LoggerStarted(
            container="box",
            logger="logger-box",
            calibrated_until_unix_micros=calibrated_until,
            interval_seconds=300,
            band_min=celsius(20),
            band_max=celsius(80),
        ),
    )


SHIPPER_CODES = {"SHIPPER_QUALIFICATION_UNKNOWN", "SHIPPER_NOT_QUALIFIED"}


def inspects(story: ConsignmentStory, *loggers: common.LoggerSummary, minute: int | None = None) -> Act:
    """The plant, having accepted, inspects the box."""
    return story.says(
        story.plant,
        transport.ReceiptInspected(unit=story.plant.stated, containers=["box"], loggers=loggers),
        minute=minute,
    )


def test_a_good_leg_is_in_range(story: ConsignmentStory) -> None:
    """Logger started, box handed over, inspected with a whole summary: nothing is found."""
    story.opens()
    starts_logger(story)
    story.hands_over(story.cell_lab, story.plant)
    inspected = inspects(story, summary())
    assert story.judged(inspected).findings == ()
    assert story.container().condition == common.CONDITION_IN_RANGE


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"condition": common.CONDITION_OUT_OF_RANGE}, "EXCURSION"),
        ({"out_of_band_seconds": 60}, "EXCURSION"),
        ({"temperature_max": celsius(81)}, "EXCURSION"),
        ({"temperature_min": celsius(19)}, "EXCURSION"),
        ({"condition": common.CONDITION_UNKNOWN}, "CONDITION_UNKNOWN"),
        ({"gap_seconds": 900}, "CONDITION_UNKNOWN"),
        ({"readings": 2}, "CONDITION_UNKNOWN"),
        ({"temperature_max": None}, "CONDITION_UNKNOWN"),
        ({"temperature_max": common.Quantity(mantissa=5, exponent=2_000_000_000, unit="Cel")}, "CONDITION_UNKNOWN"),
    ],
)
def test_a_summary_counts_by_its_numbers(story: ConsignmentStory, changed: dict[str, object], code: str) -> None:
    """Whatever the summary says of itself, its numbers decide; unknown is never in range."""
    story.opens()
    starts_logger(story)
    story.hands_over(story.cell_lab, story.plant)
    inspected = inspects(story, summary(**changed))
    assert story.codes(inspected) == {code}
    assert {hold.containers for hold in story.state.holds.values()} == {frozenset({"box"})}


def test_a_logger_without_a_summary_leaves_the_condition_unknown(story: ConsignmentStory) -> None:
    """The inspection says nothing of the logger that was started."""
    story.opens()
    starts_logger(story)
    story.hands_over(story.cell_lab, story.plant)
    assert story.codes(inspects(story)) == {"CONDITION_UNKNOWN"}
    assert story.container().condition == common.CONDITION_UNKNOWN


def test_a_container_without_a_logger_has_an_unknown_condition(story: ConsignmentStory) -> None:
    """No logger was declared nor started."""
    body = story.opening("box")
    body.containers[0].logger = ""
    story.says(story.cell_lab, body)
    story.hands_over(story.cell_lab, story.plant)
    assert story.codes(inspects(story)) == {"CONDITION_UNKNOWN"}


def test_a_shipper_out_of_qualification_is_found_on_receipt(story: ConsignmentStory) -> None:
    """The qualification ran out on the way."""
    story.opens()
    story.hands_over(story.cell_lab, story.plant)
    assert story.codes(inspects(story, summary(), minute=10_001)) == {"SHIPPER_NOT_QUALIFIED"}


def test_a_lapsed_calibration_is_found_at_the_start_and_on_receipt(story: ConsignmentStory) -> None:
    """A logger whose calibration has run out says nothing that can be relied on."""
    story.opens()
    started = starts_logger(story, calibrated_until=1)
    story.hands_over(story.cell_lab, story.plant)
    assert story.codes(started) == story.codes(inspects(story, summary())) == {"LOGGER_CALIBRATION_LAPSED"}


def seals(story: ConsignmentStory, seal: str, *, by_courier: bool = False) -> Act:
    """The cell laboratory (or the courier) seals the box."""
    by = story.courier if by_courier else story.cell_lab
    return story.says(by, transport.SealApplied(container="box", seal=seal))


@pytest.mark.parametrize(
    ("reading", "codes"),
    [
        (common.SealReading(container="box", seal="S-1", intact=True), set[str]()),
        (common.SealReading(container="box", seal="S-1", intact=False), {"SEAL_BROKEN"}),
        (common.SealReading(container="box", seal="S-9", intact=True), {"SEAL_MISMATCH", "SEAL_NOT_READ"}),
        (common.SealReading(container="crate", seal="S-1", intact=True), {"UNKNOWN_CONTAINER", "SEAL_NOT_READ"}),
    ],
)
def test_seals_read_are_those_applied(story: ConsignmentStory, reading: common.SealReading, codes: set[str]) -> None:
    """The receiver reads the seal; what differs is a finding and custody passes all the same."""
    story.opens()
    seals(story, "S-1")
    body = story.release(story.cell_lab, story.courier)
    body.seals.append(common.SealReading(container="box", seal="S-1", intact=True))
    release = story.says(story.cell_lab, body)
    assert story.judged(release).findings == ()
    answer = story.acceptance(story.courier, release)
    answer.seals.append(reading)
    accepted = story.says(story.courier, answer)
    assert story.codes(accepted) == codes
    assert story.container().custodian == story.courier.unit


def test_a_seal_that_nobody_read_is_an_advisory(story: ConsignmentStory) -> None:
    """A sealed box handed over without reading its seal."""
    story.opens()
    seals(story, "S-1")
    release = story.releases(story.cell_lab, story.courier)
    assert story.status(release) is Status.CONFORMING
    assert story.codes(release) == {"SEAL_NOT_READ"}


def test_a_broken_seal_is_replaced_by_a_fresh_one(story: ConsignmentStory) -> None:
    """After a broken seal was read the custodian seals again, and the new seal is the one to read."""
    story.opens()
    seals(story, "S-1")
    story.says(
        story.courier,
        transport.TransitCheckpointPassed(
            place="hub", containers=["box"], seals=[common.SealReading(container="box", seal="S-1")]
        ),
    )
    assert story.container().has_broken_seal
    seals(story, "S-2")
    assert story.container().seals == {"S-2"}


def test_a_stranger_who_seals_is_found(story: ConsignmentStory) -> None:
    """A courier without custody seals the box; the seal is there all the same."""
    story.opens("box", "cooler")
    sealed = seals(story, "S-1", by_courier=True)
    assert story.codes(sealed) == {"SEALED_BY_OTHERS"}
    assert story.container().seals == {"S-1"}
    reused = story.says(story.cell_lab, transport.SealApplied(container="cooler", seal="S-1"))
    assert story.codes(reused) == {"SEAL_REUSED"}


def test_an_alarm_on_the_way_holds_its_container(story: ConsignmentStory) -> None:
    """An excursion alarm is nonconforming by itself; a delay is not."""
    story.opens("box", "cooler")
    story.says(story.courier, transport.DelayReported(place="airport", expected_seconds=3600))
    assert not story.state.holds
    alarmed = story.says(
        story.courier, transport.ExcursionAlarmed(container="box", logger="logger-box", temperature=celsius(120))
    )
    assert story.codes(alarmed) == {"EXCURSION_ALARMED"}
    assert story.held() == {"EXCURSION_ALARMED"}
    assert story.state.holds_on("cooler") == ()
    assert story.container().condition == common.CONDITION_OUT_OF_RANGE


def test_a_good_summary_does_not_undo_an_alarm(story: ConsignmentStory) -> None:
    """The logger alarmed on the way; what is read on receipt leaves the condition out of range."""
    story.opens()
    starts_logger(story)
    story.says(story.courier, transport.ExcursionAlarmed(container="box", logger="logger-box"))
    story.hands_over(story.cell_lab, story.plant)
    inspects(story, summary())
    assert story.container().condition == common.CONDITION_OUT_OF_RANGE


def test_a_held_container_can_be_returned(story: ConsignmentStory) -> None:
    """A hold never blocks a release; it is shown on it."""
    story.opens()
    story.hands_over(story.cell_lab, story.courier)
    story.says(story.courier, transport.ExcursionAlarmed(container="box", logger="logger-box"))
    returned = story.releases(story.courier, story.cell_lab)
    assert story.status(returned) is Status.CONFORMING
    assert story.codes(returned) == {"RELEASED_ON_HOLD"}


def closes(story: ConsignmentStory) -> Act:
    """The plant closes the consignment."""
    return story.says(story.plant, transport.ConsignmentClosed(unit=story.plant.stated))


def test_nothing_physical_follows_the_closure(story: ConsignmentStory) -> None:
    """Handed over, inspected, closed; a release behind that is a finding, a report of possession is not."""
    story.opens()
    story.hands_over(story.cell_lab, story.plant)
    assert story.status(closes(story)) is Status.CONFORMING
    assert story.state.closed
    assert "AFTER_CLOSURE" in story.codes(story.releases(story.plant, story.courier))
    reported = story.says(story.plant, transport.PossessionReported(possessor=story.plant.stated, containers=["box"]))
    assert story.codes(reported) == set()


def test_a_consignment_is_not_closed_over_an_open_release(story: ConsignmentStory) -> None:
    """A release still waits for its answer."""
    story.opens()
    story.releases(story.cell_lab, story.plant)
    assert story.codes(closes(story)) == {"RELEASE_OPEN_AT_CLOSURE"}


def test_a_second_opening_changes_nothing(story: ConsignmentStory) -> None:
    """The first opening counts; another is a finding."""
    story.opens("box")
    again = story.opens("box", "cooler")
    assert story.codes(again) == {"ALREADY_OPENED"}
    assert set(story.state.containers) == {"box"}


def test_an_opening_signed_for_another_site_gives_custody_to_nobody(story: ConsignmentStory) -> None:
    """A courier opens a consignment in the cell laboratory's name."""
    opened = story.says(story.courier, story.opening("box", "box"))
    assert story.codes(opened) == {"SIGNED_FOR_ANOTHER_SITE", "CONTAINERS_NOT_DISTINCT"}
    assert story.where() == (None, None)
    assert "NOT_CUSTODIAN" in story.codes(story.releases(story.cell_lab, story.courier))


# The leg that a summary speaks for. --------------------------------------------------------------------------------


def a_leg(story: ConsignmentStory, changed: dict[str, object], *, grace_seconds: int = 0) -> Act:
    """A logger started at minute 2, the box away at minute 22 and received at minute 42, inspected at minute 60."""
    story.opens(minute=1)
    started = transport.LoggerStarted(
        container="box",
        logger="logger-box",
        calibrated_until_unix_micros=MICROS,
        interval_seconds=300,
        band_min=celsius(20),
        band_max=celsius(80),
        grace_seconds=grace_seconds,
    )
    story.says(story.cell_lab, started, minute=2)
    away = story.releases(story.cell_lab, story.courier, minute=21)
    story.says(story.courier, story.acceptance(story.courier, away), minute=22)
    given = story.releases(story.courier, story.plant, minute=41)
    story.says(story.plant, story.acceptance(story.plant, given), minute=42)
    at: dict[str, object] = {
        "first_reading_unix_micros": START + 2 * MINUTE,
        "last_reading_unix_micros": START + 60 * MINUTE,
    }
    return inspects(story, summary(**(at | changed)), minute=60)


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, set()),
        ({"first_reading_unix_micros": START + 29 * MINUTE + 30_000_000}, set()),
        ({"first_reading_unix_micros": START + 29 * MINUTE + 30_000_001}, {"CONDITION_UNKNOWN", "LEG_NOT_COVERED"}),
        ({"last_reading_unix_micros": START + 34 * MINUTE + 30_000_000}, set()),
        ({"last_reading_unix_micros": START + 34 * MINUTE + 29_999_999}, {"CONDITION_UNKNOWN", "LEG_NOT_COVERED"}),
        ({"first_reading_unix_micros": None}, {"CONDITION_UNKNOWN", "LEG_NOT_COVERED"}),
        ({"last_reading_unix_micros": None}, {"CONDITION_UNKNOWN", "LEG_NOT_COVERED"}),
        # An interval told by the summary never lends more than the one that was set.
        (
            {"first_reading_unix_micros": START + 30 * MINUTE, "interval_seconds": 86_400},
            {"CONDITION_UNKNOWN", "LEG_NOT_COVERED"},
        ),
        ({"last_reading_unix_micros": START + 65 * MINUTE}, set()),
        ({"last_reading_unix_micros": START + 65 * MINUTE + 1}, {"CONDITION_UNKNOWN", "LOGGER_CLOCK_DISAGREES"}),
        ({"clock_ahead_seconds": -300}, set()),
        ({"clock_ahead_seconds": 301}, {"CONDITION_UNKNOWN", "LOGGER_CLOCK_DISAGREES"}),
        ({"file": None}, {"CONDITION_UNKNOWN"}),
    ],
)
def test_a_summary_speaks_for_the_leg_by_the_ledgers_own_times(
    story: ConsignmentStory, changed: dict[str, object], codes: set[str]
) -> None:
    """From when the box left to when its receiver answered for it, an interval and a half to spare at both ends."""
    inspected = a_leg(story, changed)
    assert story.codes(inspected) == codes
    known = common.CONDITION_UNKNOWN if codes else common.CONDITION_IN_RANGE
    assert story.container().condition == known
    assert story.container().readings["logger-box"].shown == known


WARM: dict[str, object] = {
    "condition": common.CONDITION_OUT_OF_RANGE,
    "temperature_max": celsius(95),
    "out_of_band_seconds": 900,
    "longest_out_of_band_seconds": 600,
    "band_min": celsius(20),
    "band_max": celsius(80),
}


@pytest.mark.parametrize(
    ("grace", "changed", "codes"),
    [
        (600, {}, set()),
        (599, {}, {"EXCURSION"}),
        (600, {"band_max": celsius(81)}, {"EXCURSION"}),
        (600, {"band_min": None}, {"EXCURSION"}),
        (600, {"longest_out_of_band_seconds": None}, {"EXCURSION"}),
        (600, {"readings": 2}, {"CONDITION_UNKNOWN"}),
    ],
    ids=["just", "too long", "a wider band", "no band", "no longest time", "too few readings"],
)
def test_the_grace_set_with_the_logger_lets_a_short_excursion_pass(
    story: ConsignmentStory, grace: int, changed: dict[str, object], codes: set[str]
) -> None:
    """Only where the time was counted against a band no wider than the one that was set."""
    assert story.codes(a_leg(story, WARM | changed, grace_seconds=grace)) == codes


@pytest.mark.parametrize(("longest", "codes"), [(120, set()), (121, {"CONDITION_UNKNOWN"})])
def test_the_grace_lets_a_short_gap_pass(story: ConsignmentStory, longest: int, codes: set[str]) -> None:
    """Two gaps of a minute or two, with two minutes of grace."""
    assert story.codes(a_leg(story, {"gap_seconds": 180, "longest_gap_seconds": longest}, grace_seconds=120)) == codes


def test_a_shipper_says_until_when_it_is_qualified(story: ConsignmentStory) -> None:
    """Unsaid is shown, and is not the same as lapsed; on its last moment it still is."""
    opening = story.opening("box")
    opening.containers[0].ClearField("qualified_until_unix_micros")
    story.says(story.cell_lab, opening)
    story.hands_over(story.cell_lab, story.plant)
    assert {"SHIPPER_QUALIFICATION_UNKNOWN"} == story.codes(inspects(story)) & SHIPPER_CODES


@pytest.mark.parametrize(("before", "codes"), [(0, set()), (1, {"SHIPPER_NOT_QUALIFIED"})])
def test_a_shipper_is_qualified_until_its_last_moment(story: ConsignmentStory, before: int, codes: set[str]) -> None:
    """A microsecond later it is not."""
    opening = story.opening("box")
    opening.containers[0].qualified_until_unix_micros = (
        story.act(opening, story.plant, minute=9).occurred_start - before
    )
    story.says(story.cell_lab, opening)
    story.hands_over(story.cell_lab, story.plant)
    assert story.codes(inspects(story, minute=9)) & SHIPPER_CODES == codes
