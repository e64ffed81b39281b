"""Stores within their band, transfers and issues by two, handoffs answered in time, days and amounts that can be."""

from __future__ import annotations

import json

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .packs import codes_under, pack_with, refused_with
from .stories import (
    APHERESIS,
    CELL_LAB,
    DRIVER,
    HOUR,
    MINUTE,
    NURSE,
    OPERATOR,
    OUTWARD,
    SECOND_NURSE,
    SUITE,
    VAN,
    WARD,
    Story,
    material,
    new,
    volume,
)

PACK = pack_with()
STUDY = common.Document(sha256=b"\x07" * 32, kind="stability-study")
ACCEPTANCE_MICROS = PACK.handoff_acceptance_seconds * 1_000_000


def _celsius(mantissa: int, exponent: int = 0, unit: str = "Cel") -> common.Quantity:
    return common.Quantity(
        mantissa=mantissa,
        exponent=exponent,
        unit=unit,
        comparator=common.COMPARATOR_EQUAL,
        basis=common.QUANTITY_BASIS_MEASURED,
    )


def _stored(bag: str, temperature: common.Quantity | None, unit: common.Unit = APHERESIS) -> harvest.MaterialStored:
    return harvest.MaterialStored(
        material=material(bag), position=common.Position(unit=unit, place="shelf 3"), temperature=temperature
    )


# Stores.


@pytest.mark.parametrize(
    ("temperature", "found"),
    [
        (_celsius(2), set()),
        (_celsius(8), set()),
        (_celsius(8001, -3), {"STORE_OUT_OF_BAND"}),
        (_celsius(1999, -3), {"STORE_OUT_OF_BAND"}),
        (_celsius(25), {"STORE_OUT_OF_BAND"}),
        (_celsius(41, unit="[degF]"), {"STORE_OUT_OF_BAND"}),
        (None, set()),
    ],
)
def test_collected_cells_are_kept_in_their_band(temperature: common.Quantity | None, found: set[str]) -> None:
    """Both ends are in it; what nobody can read is in none; what is not stated is not judged."""
    story = Story().to_the_collection()
    stored = story.tell(_stored("apheresis", temperature))
    assert story.codes(stored) == found


def test_a_frozen_bag_stays_in_the_frozen_band() -> None:
    """Put away frozen, it is not kept in a refrigerator; at the band's end it is."""
    for celsius, found in ((-120, set()), (-119, {"STORE_OUT_OF_BAND"}), (4, {"STORE_OUT_OF_BAND"})):
        story = Story().to_the_product()
        assert story.codes(story.stores("bag-1", SUITE, OPERATOR, celsius=celsius)) == found


def test_a_bag_frozen_by_its_freezing_is_frozen() -> None:
    """Whether or not somebody stated a store since; one that was thawed is not."""
    fresh_band = json.loads(sample_pack_bytes())["temperature_bands"][0]
    frozen_band = {**fresh_band, "state": "frozen", "millicelsius_min": None, "millicelsius_max": -120_000}
    kept = pack_with(lambda members: members["temperature_bands"].append(frozen_band))
    story = Story().to_the_collection()
    begun = story.tell(harvest.CryopreservationStarted(materials=[material("apheresis")], unit=APHERESIS))
    fresh = story.tell(_stored("apheresis", _celsius(4)))
    story.tell(
        harvest.CryopreservationCompleted(
            started=begun.digest,
            materials=[material("apheresis")],
            rate_trace=STUDY,
            position=common.Position(unit=APHERESIS, place="tank-1"),
        )
    )
    warm = story.tell(_stored("apheresis", _celsius(4)))
    cold = story.tell(_stored("apheresis", _celsius(-150)))
    assert codes_under(kept, story, fresh) == set()
    assert codes_under(kept, story, warm) == {"STORE_OUT_OF_BAND"}
    assert codes_under(kept, story, cold) == set()
    story.tell(returned.MaterialThawed(material=material("apheresis"), unit=APHERESIS, intact=True))
    assert codes_under(kept, story, story.tell(_stored("apheresis", _celsius(4)))) == set()


def test_a_kind_without_a_band_is_kept_anywhere() -> None:
    """The pack says nothing of retains."""
    story = Story().to_the_collection()
    story.divides("apheresis", [new("retain", common.MATERIAL_KIND_RETAIN, 5)], left=volume(95))
    assert story.codes(story.tell(_stored("retain", _celsius(30)))) == set()


def test_what_was_kept_too_warm_is_disposed_of_with_a_study() -> None:
    """Its hold is not just lifted; a disposition that cites a study ends it, without an inspection."""
    story = Story().to_the_collection()
    story.tell(_stored("apheresis", _celsius(25)))
    (hold,) = story.case().state.holds_on(material("apheresis"))
    assert "DISPOSITION_NEEDED" in refused_with(story, quality.HoldLifted(holds=[hold.hold]))
    body = transport.ConditionDisposed(
        materials=[material("apheresis")],
        holds=[hold.hold],
        decision=transport.CONDITION_DECISION_ACCEPTED,
        study_reference="STAB-7",
    )
    assert refused_with(story, body) == {"STUDY_MISSING"}
    body.study.CopyFrom(STUDY)
    assert refused_with(story, body) == set()


# Two persons at a transfer.


def _transferred(story: Story, bag: str = "apheresis", *, join: bool = False, after: int = MINUTE) -> Act:
    act = story.tell(harvest.UnitTransferred(materials=[material(bag)], releaser=APHERESIS, receiver=CELL_LAB))
    if join:
        story.join(act, SECOND_NURSE, after=after)
    return act


def test_what_one_person_transferred_is_not_packed() -> None:
    """The transfer itself conforms; whoever relies on it is found. Joined in time, nothing is."""
    for join, found in ((False, {"SECOND_PERSON_MISSING"}), (True, set())):
        story = Story().to_the_collection()
        transfer = _transferred(story, join=join)
        story.opens_consignment(OUTWARD, CELL_LAB, SUITE, NURSE)
        packed = story.packs("apheresis", OUTWARD, CELL_LAB, NURSE)
        assert story.codes(transfer) == set()
        assert story.codes(packed) == found


def test_a_second_transfer_by_two_mends_one_by_one() -> None:
    """The way on: hand it over again, with the second person."""
    story = Story().to_the_collection()
    _transferred(story)
    again = story.tell(harvest.UnitTransferred(materials=[material("apheresis")], releaser=CELL_LAB, receiver=CELL_LAB))
    story.join(again, SECOND_NURSE)
    story.opens_consignment(OUTWARD, CELL_LAB, SUITE, NURSE)
    assert story.codes(story.packs("apheresis", OUTWARD, CELL_LAB, NURSE)) == set()


def test_a_word_about_a_transfer_that_comes_too_late_is_none() -> None:
    """Within the pack's time it counts, a microsecond later it does not."""
    window = PACK.co_signing_for(harvest.UnitTransferred.DESCRIPTOR.full_name, 1).window_seconds * 1_000_000
    for late, found in ((0, set()), (1, {"SECOND_PERSON_MISSING"})):
        story = Story().to_the_collection()
        _transferred(story, join=True, after=window + late)
        story.now += 2 * window
        story.opens_consignment(OUTWARD, CELL_LAB, SUITE, NURSE)
        assert story.codes(story.packs("apheresis", OUTWARD, CELL_LAB, NURSE)) == found


def test_what_one_person_transferred_at_the_plant_is_not_worked_on() -> None:
    """A step relies on the transfer into its unit; a journey since then is another matter."""
    filling = common.Unit(site=SUITE.site, unit="filling")
    story = Story().to_the_plant()
    story.accessions("apheresis")
    story.tell(harvest.UnitTransferred(materials=[material("apheresis")], releaser=SUITE, receiver=filling), OPERATOR)
    selected = story.performs(
        modification.SelectionPerformed,
        ["apheresis"],
        [new("selected", common.MATERIAL_KIND_INTERMEDIATE, 90)],
        unit=filling,
    )
    assert story.codes(selected) == {"SECOND_PERSON_MISSING"}


def test_a_journey_leaves_the_transfer_behind() -> None:
    """It was found where it was relied on, at the packing; the plant is not told again."""
    story = Story().to_the_collection()
    _transferred(story)
    assert story.case().state.materials[material("apheresis")].handed_over_by
    story.opens_consignment(OUTWARD, CELL_LAB, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, CELL_LAB, NURSE)
    assert not story.case().state.materials[material("apheresis")].handed_over_by


def _issued(story: Story, *, join: bool) -> Act:
    act = story.tell(returned.MaterialIssued(material=material("bag-1"), releaser=CELL_LAB, receiver=WARD))
    if join:
        story.join(act, SECOND_NURSE)
    return act


def test_a_bag_that_one_person_issued_is_not_thawed() -> None:
    """A hard gate: nobody overrides it. A second issue by two mends it."""
    story = Story().to_the_ward()
    issued = _issued(story, join=False)
    thawed = story.thaws("bag-1")
    assert story.codes(issued) == set()
    assert story.codes(thawed) == {"SECOND_PERSON_MISSING"}
    assert story.case().judged[thawed.digest].status is Status.NONCONFORMING

    mended = Story().to_the_ward()
    _issued(mended, join=False)
    again = mended.tell(returned.MaterialIssued(material=material("bag-1"), releaser=WARD, receiver=WARD))
    mended.join(again, SECOND_NURSE)
    assert mended.codes(again) == set()
    assert mended.codes(mended.thaws("bag-1")) == set()


# Handoffs.


@pytest.mark.parametrize("leg", [0, 1])
@pytest.mark.parametrize(("late", "found"), [(0, set()), (1, {"HANDOFF_TOO_LONG"})])
def test_a_handoff_on_the_way_is_answered_in_time(leg: int, late: int, found: set[str]) -> None:
    """The packs' time counts for each handoff, and the bag is held at its receipt; custody passed all the same."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    for number, (giver, taker, giving, taking) in enumerate(
        ((APHERESIS, VAN, NURSE, DRIVER), (VAN, SUITE, DRIVER, OPERATOR))
    ):
        released = story.releases(OUTWARD, giver, taker, giving)
        if number == leg:
            story.now = released.occurred_start + ACCEPTANCE_MICROS + late - 10 * MINUTE
        story.accepts(released, taker, taking)
    received = story.receives("apheresis", OUTWARD, SUITE, OPERATOR)
    assert story.codes(received) == found
    found_custodian = story.case().state.materials[material("apheresis")].custodian
    assert found_custodian is not None and found_custodian.site == SUITE.site


def test_a_handoff_of_another_container_is_none_of_this_bags() -> None:
    """Nor is a release that nobody answered."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE, "shipper-1", "shipper-2")
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    other = story.releases(OUTWARD, APHERESIS, VAN, NURSE, "shipper-2")
    story.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
    story.hands_over(OUTWARD, VAN, SUITE, DRIVER, OPERATOR)
    story.now += ACCEPTANCE_MICROS + HOUR
    story.accepts(other, VAN, DRIVER, "shipper-2")
    assert story.codes(story.receives("apheresis", OUTWARD, SUITE, OPERATOR)) == set()


# Days and amounts.


@pytest.mark.parametrize(("day", "found"), [(0, {"DAY_OUT_OF_RANGE"}), (1, set())])
def test_days_are_counted_from_one(day: int, found: set[str]) -> None:
    """A collection on no day is found."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity()
    assert story.codes(story.starts_collection(day=day)) == found


@pytest.mark.parametrize("amount", ["blood_processed", "anticoagulant_used"])
@pytest.mark.parametrize(("millilitres", "found"), [(-1, {"QUANTITY_NEGATIVE"}), (0, set()), (9000, set())])
def test_nobody_processes_less_blood_than_none(amount: str, millilitres: int, found: set[str]) -> None:
    """Less than nothing is a slip of the pen; nothing is possible."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity()
    started = story.starts_collection()
    body = harvest.CollectionCompleted(
        started=started.digest, outputs=[new("apheresis", common.MATERIAL_KIND_COLLECTION, 100)], unit=APHERESIS
    )
    getattr(body, amount).CopyFrom(volume(millilitres))
    assert story.codes(story.tell(body)) == found


# What was made of another patient's material.


def test_what_another_patients_cells_went_into_names_them() -> None:
    """Beside its own parents; what was made of one's own names none."""
    other = Story(therapy=bytes([1]) + b"o" * 16)
    other.to_the_collection("strange")
    story = Story(list(other.acts), other.now)
    story.enrols()
    story.consents()
    story.collects("own", din="A999925000003")
    pooled = story.tell(
        modification.MaterialPooled(
            inputs=[material("own"), material("strange")],
            output=new("pool", common.MATERIAL_KIND_COLLECTION, 200),
            unit=APHERESIS,
            process_area="hood 1",
        )
    )
    assert "OTHER_PATIENTS_MATERIAL" in story.codes(pooled)
    materials = story.case().state.materials
    assert materials[material("pool")].parents == (material("own"),)
    assert materials[material("pool")].foreign_parents == (material("strange"),)
    assert materials[material("own")].foreign_parents == ()
