"""Condition of materials by their pack, quality's disposition of it, and what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.leg_conditions import band_of, way_condition
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_limits import Excursion, MeanKinetic, TemperatureBand
from cellcustody.ledger.custody.references import References
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

from .stories import (
    APHERESIS,
    DAY,
    DRIVER,
    MINUTE,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OUTWARD,
    PACK,
    REVIEWER,
    START,
    SUITE,
    THERAPY,
    VAN,
    Delivery,
    Story,
    creators_of,
    folds_of,
    material,
    new,
    outcome,
)

BOX = "shipper-1"
STUDY = common.Document(sha256=b"\x07" * 32, kind="stability-study")


def celsius(millicelsius: int) -> common.Quantity:
    """Returns a temperature."""
    return common.Quantity(mantissa=millicelsius, exponent=-3, unit="Cel", comparator=common.COMPARATOR_EQUAL)


def band(least: int | None, most: int | None, **changed: int) -> TemperatureBand:
    """Returns the band of fresh collections."""
    return TemperatureBand(
        "collection", "fresh", least, most, changed.get("mean_kinetic"), changed.get("grace_seconds")
    )


def pack_with(fresh: TemperatureBand, *, gap: int = 0, energy: int | None = None, logger: bool = False) -> PolicyPack:
    """Returns the sample pack with another band for fresh collections."""
    return replace(
        PACK,
        temperature_bands=(fresh,),
        excursion=Excursion(0, gap, None if energy is None else MeanKinetic(energy)),
        qualifications_required=replace(PACK.qualifications_required, logger=logger),
    )


def summary(first: int, last: int, **changed: object) -> common.LoggerSummary:
    """Returns the summary of a leg between 2.1 and 6.2 degrees, with what is changed."""
    found = common.LoggerSummary(
        logger="L-1",
        file=common.Document(sha256=b"\x01" * 32, kind="logger-file"),
        temperature_min=celsius(2_100),
        temperature_max=celsius(6_200),
        temperature_mean_kinetic=celsius(4_000),
        readings=300,
        condition=common.CONDITION_IN_RANGE,
        first_reading_unix_micros=first,
        last_reading_unix_micros=last,
        interval_seconds=300,
        band_min=celsius(2_000),
        band_max=celsius(8_000),
        activation_energy_joules_per_mole=83_144,
    )
    for name, value in changed.items():
        found.ClearField(name)  # type: ignore[arg-type]  # The names are those of the message's fields.
        if isinstance(value, common.Quantity):
            getattr(found, name).CopyFrom(value)
        elif value is not None:
            setattr(found, name, value)
    return found


class Leg(Story):
    """A story of one bag that travels with a logger, started with a band of 2 to 8 degrees and a grace."""

    def sets_out(self, *bags: str, grace_seconds: int = 0) -> Leg:
        """Tells up to the acceptance at the plant."""
        names = bags or ("apheresis",)
        self.to_the_collection(*names)
        self.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
        for bag in names:
            self.packs(bag, OUTWARD, APHERESIS, NURSE)
        started = transport.LoggerStarted(
            container=BOX,
            logger="L-1",
            calibrated_until_unix_micros=START + 300 * DAY,
            interval_seconds=300,
            band_min=celsius(2_000),
            band_max=celsius(8_000),
            grace_seconds=grace_seconds,
        )
        self.tell(started, NURSE, stream=OUTWARD)
        self.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
        self.hands_over(OUTWARD, VAN, SUITE, DRIVER, OPERATOR)
        return self

    def inspects(self, **changed: object) -> Act:
        """The plant reads the logger out."""
        told = summary(self.now - 40 * MINUTE, self.now, **changed)
        body = transport.ReceiptInspected(unit=SUITE, containers=[BOX], loggers=[told])
        return self.tell(body, OPERATOR, stream=OUTWARD)

    def takes_out(self, bag: str = "apheresis") -> Act:
        """The plant takes the bag out."""
        return self.receives(bag, OUTWARD, SUITE, OPERATOR)

    def uses(self, bag: str = "apheresis") -> Act:
        """The plant works on the bag."""
        self.accessions(bag)
        return self.performs(
            modification.SelectionPerformed, [bag], [new("selected", common.MATERIAL_KIND_INTERMEDIATE, 90)]
        )

    def under(self, pack: PolicyPack) -> TherapyCase:
        """Returns the therapy folded under a pack."""
        references = References(folds_of(self.acts), creators_of(self.acts))
        return TherapyCase(THERAPY, pack, [act for act in self.acts if act.stream == THERAPY], references)

    def found(self, act: Act, pack: PolicyPack = PACK) -> set[str]:
        """Returns the codes found in an act of the therapy under a pack."""
        return set(codes_of(self.under(pack).judged[act.digest].findings))

    def decides(self, *bags: str, holds: Iterable[bytes], by: bytes = REVIEWER, **changed: object) -> Act:
        """Quality decides about bags; accepted on a study unless `changed` says otherwise."""
        return self.tell(disposition(*bags, holds=holds, **changed), by, role="quality_reviewer")

    def asked(self, body: transport.ConditionDisposed | quality.HoldLifted, role: str = "quality_reviewer") -> set[str]:
        """Returns what would be found in an authorisation now, its signer having seen everything."""
        told = Story(acts=list(self.acts), now=self.now)
        seen = {act.stream: act for act in self.acts}.values()
        act = told.tell(body, REVIEWER, role=role, is_in_effect=False, seen=seen)
        found, _ = self.case().judge_authorisation(act, pack=PACK)
        return set(codes_of(found))


def disposition(*bags: str, holds: Iterable[bytes] = (), **changed: object) -> transport.ConditionDisposed:
    """Returns the body of a disposition that accepts bags on a study, with what is changed."""
    body = transport.ConditionDisposed(
        materials=[material(bag) for bag in bags or ("apheresis",)],
        holds=holds,
        decision=transport.CONDITION_DECISION_ACCEPTED,
        study_reference="STAB-7",
        study=STUDY,
    )
    for name, value in changed.items():
        body.ClearField(name)  # type: ignore[arg-type]  # The names are those of the message's fields.
        if value is not None:
            setattr(body, name, value)
    return body


WARM = {
    "condition": common.CONDITION_OUT_OF_RANGE,
    "temperature_max": celsius(9_500),
    "out_of_band_seconds": 900,
    "longest_out_of_band_seconds": 600,
}

# What the pack says of the leg. ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pack", "changed", "codes"),
    [
        (pack_with(band(2_100, 6_200)), {}, set()),
        (pack_with(band(2_101, None)), {}, {"EXCURSION"}),
        (pack_with(band(None, 6_199)), {}, {"EXCURSION"}),
        (pack_with(band(None, None)), {}, set()),
        (pack_with(band(2_000, 8_000)), {"temperature_max": None}, {"CONDITION_UNKNOWN"}),
        (pack_with(band(2_000, 8_000, mean_kinetic=4_000)), {}, set()),
        (pack_with(band(2_000, 8_000, mean_kinetic=3_999)), {}, {"EXCURSION"}),
        (pack_with(band(2_000, 8_000, mean_kinetic=4_000)), {"temperature_mean_kinetic": None}, {"CONDITION_UNKNOWN"}),
        (pack_with(band(2_000, 8_000, mean_kinetic=4_000), energy=60_000), {}, {"CONDITION_UNKNOWN"}),
        (
            pack_with(band(2_000, 8_000, mean_kinetic=4_000), energy=60_000),
            {"activation_energy_joules_per_mole": 60_000},
            set(),
        ),
    ],
)
def test_the_packs_band_is_held_against_the_extremes(
    pack: PolicyPack, changed: dict[str, object], codes: set[str]
) -> None:
    """Ends of the band are inside; what is not known is not in range."""
    story = Leg().sets_out()
    if "temperature_max" in changed:  # The logger's own band would find it first.
        story.acts = [act for act in story.acts if not isinstance(act.body, transport.LoggerStarted)]
        body = story.acts[[isinstance(act.body, transport.ConsignmentOpened) for act in story.acts].index(True)].body
        assert isinstance(body, transport.ConsignmentOpened)
        body.containers[0].logger = "L-1"
    story.inspects(**changed)
    received = story.takes_out()
    assert story.found(received, pack) == codes
    held = {hold.code for hold in story.under(pack).state.holds_on(material("apheresis"))}
    assert held == codes


@pytest.mark.parametrize(
    ("grace", "changed", "codes"),
    [
        (600, {}, set()),
        (599, {}, {"EXCURSION"}),
        (600, {"band_max": celsius(8_001)}, {"EXCURSION"}),
    ],
    ids=["just", "too long", "counted against a wider band"],
)
def test_the_packs_own_grace_lets_a_short_excursion_pass(
    grace: int, changed: dict[str, object], codes: set[str]
) -> None:
    """The logger was given an hour of grace; the pack of its product decides."""
    story = Leg().sets_out(grace_seconds=3600)
    if changed:
        story.acts = [_without_band(act) for act in story.acts]
    story.inspects(**(WARM | changed))
    received = story.takes_out()
    assert story.found(received, pack_with(band(2_000, 8_000, grace_seconds=grace))) == codes


def _without_band(act: Act) -> Act:
    if not isinstance(act.body, transport.LoggerStarted):
        return act
    body = transport.LoggerStarted()
    body.CopyFrom(act.body)
    body.ClearField("band_min")
    body.ClearField("band_max")
    return replace(act, body=body)


@pytest.mark.parametrize(("gap", "codes"), [(120, set()), (119, {"CONDITION_UNKNOWN"})])
def test_the_packs_own_limit_of_gaps_counts(gap: int, codes: set[str]) -> None:
    """A gap of two minutes, with an hour of grace given to the logger; all gaps, where the longest is not told."""
    for longest in (120, None):
        story = Leg().sets_out(grace_seconds=3600)
        story.inspects(gap_seconds=120, longest_gap_seconds=longest)
        received = story.takes_out()
        assert story.found(received, pack_with(band(2_000, 8_000), gap=gap)) == codes


@pytest.mark.parametrize("grace", [600, 599])
def test_a_band_with_one_end_has_a_grace_too(grace: int) -> None:
    """Nothing is too cold, and eight degrees is the end."""
    story = Leg().sets_out(grace_seconds=3600)
    story.inspects(**WARM)
    received = story.takes_out()
    pack = pack_with(band(None, 8_000, grace_seconds=grace))
    assert story.found(received, pack) == (set() if grace == 600 else {"EXCURSION"})


def _way_of(story: Leg, pack: PolicyPack) -> common.Condition.ValueType | None:
    state = story.under(pack).state
    bag = state.materials[material("apheresis")]
    return way_condition(state, pack, bag, bag.journeys[-1])


def test_what_the_inspection_made_of_a_logger_is_not_made_better_by_a_pack() -> None:
    """Numbers within the band of a leg that the logger did not cover; and a pack that has no band for the kind."""
    pack, none = pack_with(band(2_000, 8_000)), pack_with(replace(band(2_000, 8_000), kind="sample"))
    for changed, condition in (
        ({"first_reading_unix_micros": None}, common.CONDITION_UNKNOWN),
        (WARM, common.CONDITION_OUT_OF_RANGE),
        ({}, common.CONDITION_IN_RANGE),
    ):
        story = Leg().sets_out()
        story.inspects(**changed)
        assert (_way_of(story, pack), _way_of(story, none)) == (condition, condition)


@pytest.mark.parametrize(("asked", "condition"), [(True, common.CONDITION_UNKNOWN), (False, None)])
def test_a_box_that_the_consignment_does_not_have_has_no_condition(
    asked: bool, condition: common.Condition.ValueType | None
) -> None:
    """The bag was packed into it all the same, says the statement."""
    story = Leg()
    story.to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE, container="no such box")
    assert _way_of(story, pack_with(band(2_000, 8_000), logger=asked)) == condition


def test_a_frozen_bag_is_held_to_the_frozen_band_until_it_is_thawed() -> None:
    """The state of a material follows what was done to it; a pack with one band for its kind means that one."""
    frozen = TemperatureBand("collection", "frozen", None, -120_000, None, None)
    fresh = band(2_000, 8_000)
    both = replace(PACK, temperature_bands=(fresh, frozen))
    story = Story().to_the_collection()
    bag = story.case().state.materials[material("apheresis")]
    assert band_of(both, bag) == fresh
    assert band_of(replace(PACK, temperature_bands=(frozen,)), bag) == frozen
    story.stores("apheresis", APHERESIS, NURSE)
    assert band_of(both, story.case().state.materials[material("apheresis")]) == frozen
    unstated = harvest.MaterialStored(
        material=material("apheresis"), position=common.Position(unit=APHERESIS, place="tank-2")
    )
    story.tell(unstated)
    assert band_of(both, story.case().state.materials[material("apheresis")]) == frozen
    story.thaws("apheresis")
    assert band_of(both, story.case().state.materials[material("apheresis")]) == fresh
    story.stores("apheresis", APHERESIS, NURSE)
    story.stores("apheresis", APHERESIS, NURSE, celsius=5)
    assert band_of(both, story.case().state.materials[material("apheresis")]) == fresh


# Loggers that are read late, or never. -----------------------------------------------------------------------------


def test_a_logger_that_nobody_read_leaves_the_bag_unusable() -> None:
    """Taking it out is in order; using it is not, until the logger was read, however late that is told."""
    story = Leg().sets_out()
    received = story.takes_out()
    inspection_at = story.now + MINUTE
    used = story.uses()
    assert story.found(received) == set()
    assert story.found(used) == {"CONDITION_UNKNOWN"}
    told = summary(inspection_at - 60 * MINUTE, inspection_at)
    body = transport.ReceiptInspected(unit=SUITE, containers=[BOX], loggers=[told])
    story.tell(body, OPERATOR, stream=OUTWARD, at=inspection_at)
    assert story.found(used) == set()
    assert story.case().state.holds_on(material("selected")) == ()


def test_a_logger_read_after_the_receipt_is_held_to_the_pack_when_the_bag_is_used() -> None:
    """In range by the band that the logger was given, not by the pack's; the cells made of it are held too."""
    story = Leg().sets_out()
    story.takes_out()
    story.inspects()
    used = story.uses()
    strict = pack_with(band(2_000, 6_000))
    assert story.found(used, strict) == {"EXCURSION"}
    assert {hold.code for hold in story.under(strict).state.holds_on(material("selected"))} == {"EXCURSION"}
    assert story.found(used) == set()


@pytest.mark.parametrize(("asked", "codes"), [(True, {"CONDITION_UNKNOWN"}), (False, set())])
def test_a_box_without_a_logger_is_unknown_where_the_pack_asks_for_loggers(asked: bool, codes: set[str]) -> None:
    """Elsewhere nothing is said of it."""
    story = Story().to_the_plant()
    received = next(act for act in story.acts if isinstance(act.body, harvest.MaterialReceived))
    leg = Leg(acts=story.acts, now=story.now)
    assert leg.found(received, pack_with(band(2_000, 8_000), logger=asked)) == codes


# Dispositions. -----------------------------------------------------------------------------------------------------


def _held() -> tuple[Leg, Act, bytes]:
    """Returns a story with an excursion of 20 minutes, the inspection, and the hold that it opened."""
    story = Leg().sets_out("apheresis", "second")
    inspected = story.inspects(**WARM)
    story.takes_out()
    story.takes_out("second")
    return story, inspected, hold_id(inspected.digest, "EXCURSION")


def test_an_excursion_is_accepted_on_a_study_for_the_bags_named_alone() -> None:
    """The other bag of the box stays held; the one accepted is used, and its ways are in order."""
    story, inspected, hold = _held()
    assert {one.hold for one in story.case().state.holds_on(material("apheresis"))} == {hold}
    body = disposition(holds=[hold], inspection=inspected.digest)
    assert story.asked(body) == set()
    decided = story.decides("apheresis", holds=[hold], inspection=inspected.digest)
    state = story.case().state
    assert state.holds_on(material("apheresis")) == ()
    assert {one.hold for one in state.holds_on(material("second"))} == {hold}
    (kept,) = state.dispositions
    assert (kept.digest, kept.study_reference, kept.study_sha256) == (decided.digest, "STAB-7", STUDY.sha256)
    assert story.found(story.uses()) == set()
    assert story.asked(disposition("apheresis")) == {"NOTHING_TO_DISPOSE"}


def test_a_rejected_bag_is_never_used_and_is_freed_for_closure_by_its_end() -> None:
    """The hold of the rejection stands until the bag has ended; then quality lifts it."""
    story, inspected, hold = _held()
    rejected = transport.CONDITION_DECISION_REJECTED
    body = disposition(holds=[hold], inspection=inspected.digest, decision=rejected, study_reference=None, study=None)
    assert story.asked(body) == set()
    decided = story.tell(body, REVIEWER, role="quality_reviewer")
    stands = hold_id(decided.digest, "CONDITION_REJECTED")
    assert {one.hold for one in story.case().state.holds_on(material("apheresis"))} == {stands}
    assert story.asked(quality.HoldLifted(holds=[stands])) == {"DISPOSITION_NEEDED"}
    again = disposition(holds=[stands], inspection=inspected.digest)
    assert story.asked(again) == {"HOLD_NOT_OF_CONDITION"}
    used = story.uses()
    assert story.found(used) == {"HOLD_OPEN"}

    other, inspected, hold = _held()
    decided = other.decides("second", holds=[hold], inspection=inspected.digest, decision=rejected)
    returned = transport.MaterialReturned(
        material=material("second"), unit=SUITE, reason=transport.RETURN_REASON_CONDITION_REJECTED
    )
    assert other.found(other.tell(returned, OPERATOR)) == set()
    assert other.asked(quality.HoldLifted(holds=[hold_id(decided.digest, "CONDITION_REJECTED")])) == set()


def test_a_rejection_is_news_to_whoever_decides_about_the_same_bag() -> None:
    """An acceptance is none; a rejection of another bag is none either."""
    for decision, bag, codes in (
        (transport.CONDITION_DECISION_REJECTED, "apheresis", {"UNSEEN_DECISION"}),
        (transport.CONDITION_DECISION_REJECTED, "second", set()),
        (transport.CONDITION_DECISION_ACCEPTED, "apheresis", set()),
    ):
        story, inspected, hold = _held()
        had_seen = {act.stream: act for act in story.acts}.values()
        story.decides(bag, holds=[hold], inspection=inspected.digest, decision=decision)
        told = Story(acts=list(story.acts), now=story.now)
        established = transport.CustodyEstablished(custodian=SUITE, materials=[material("apheresis")])
        act = told.tell(established, OPERATOR, role="operator", is_in_effect=False, seen=had_seen)
        assert codes_of(story.case().judge_authorisation(act, pack=PACK)[0]) == codes


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"study_reference": None}, {"STUDY_MISSING"}),
        ({"study": None}, {"STUDY_MISSING"}),
        ({"inspection": None}, {"INSPECTION_MISSING"}),
        ({"inspection": b"\x09" * 32}, {"PREDECESSOR_MISSING"}),
        ({"materials": None}, {"NOTHING_TO_DISPOSE", "HOLD_UNKNOWN"}),
    ],
    ids=["no reference", "no study", "no inspection", "an inspection to come", "no materials"],
)
def test_a_disposition_says_what_it_rests_on(changed: dict[str, object], codes: set[str]) -> None:
    """To accept, a study and the inspection that showed the excursion."""
    story, inspected, hold = _held()
    told: dict[str, object] = {"inspection": inspected.digest}
    assert story.asked(disposition(holds=[hold], **(told | changed))) == codes


def test_a_disposition_ends_holds_of_condition_alone() -> None:
    """Another hold, one that does not stand, another role and an inspection that is none are refused."""
    story, inspected, hold = _held()
    placed = story.tell(
        quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("apheresis")])), REVIEWER
    )
    told: dict[str, object] = {"inspection": inspected.digest}
    other = hold_id(placed.digest, "HOLD_PLACED")
    assert story.asked(disposition(holds=[hold, other], **told)) == {"HOLD_NOT_OF_CONDITION"}
    assert story.asked(disposition(holds=[bytes(32)], **told)) == {"HOLD_UNKNOWN"}
    assert story.asked(disposition(holds=[hold], **told), role="nurse") == {"LIFTING_NOT_PERMITTED"}
    assert story.asked(disposition(holds=[hold], inspection=placed.digest)) == {"INSPECTION_MISSING"}
    assert story.asked(disposition("unheard of", holds=[], **told)) == {"MATERIAL_UNKNOWN"}


def test_a_hold_of_condition_is_not_just_lifted() -> None:
    """Neither that of the bag by its pack, nor with support; only while the bag has not ended."""
    strict = pack_with(band(2_000, 6_000))
    story = Leg().sets_out()
    story.inspects()
    received = story.takes_out()
    hold = hold_id(received.digest, "EXCURSION")
    act = Story(acts=list(story.acts), now=story.now).tell(
        quality.HoldLifted(holds=[hold], support=STUDY),
        REVIEWER,
        role="quality_reviewer",
        is_in_effect=False,
        seen={one.stream: one for one in story.acts}.values(),
    )
    found, _ = story.under(strict).judge_authorisation(act, pack=strict)
    assert codes_of(found) == {"DISPOSITION_NEEDED"}


def test_a_hold_of_the_therapy_itself_is_gone_once_all_it_covers_was_decided_about() -> None:
    """The receipt of one bag opened it; with that bag accepted nothing is left to close the therapy over."""
    strict = pack_with(band(2_000, 6_000))
    story = Leg().sets_out()
    inspected = story.inspects()
    received = story.takes_out()
    hold = hold_id(received.digest, "EXCURSION")
    assert set(story.under(strict).state.holds) == {hold}
    story.decides("apheresis", holds=[hold], inspection=inspected.digest)
    assert story.under(strict).state.holds == {}


def test_dispositions_end_the_same_in_any_order_of_delivery() -> None:
    """An inspection, a receipt and a decision from three outboxes, with what follows."""
    story = Leg().sets_out()
    inspected = story.inspects(**WARM)
    story.takes_out()
    story.decides("apheresis", holds=[hold_id(inspected.digest, "EXCURSION")], inspection=inspected.digest)
    story.uses()
    last = [act for act in story.acts if act.digest not in {one.digest for one in story.acts[:-6]}]
    wanted = None
    for order in itertools.islice(itertools.permutations(last), 0, None, 37):
        delivery = Delivery()
        for act in (*story.acts[:-6], *order):
            delivery.deliver(act)
        found = outcome(delivery.case) | {"disposed": set(delivery.case.state.disposed)}
        wanted = wanted or found
        assert found == wanted
    assert wanted is not None and wanted["disposed"]


# What arrives, and what comes back. --------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "codes"), [(0, set()), (1, {"EXPIRED_ON_RECEIPT"})])
def test_what_arrives_after_its_expiry_is_held(late: int, codes: set[str]) -> None:
    """To the microsecond."""
    story = Leg().sets_out()
    story.inspects()
    label = next(act for act in story.acts if isinstance(act.body, harvest.LabelApplied))
    assert isinstance(label.body, harvest.LabelApplied)
    label.body.expires_at_unix_micros = story.now + 10 * MINUTE - late
    assert story.found(story.takes_out()) == codes


def test_a_box_that_bears_another_chain_of_identity_takes_no_bag_of_this_one() -> None:
    """What is printed on the outside is what the courier goes by."""
    for coi, codes in ((OTHER_COI, {"IDENTITY_MISMATCH"}), ("", set())):
        story = Leg().to_the_collection()
        opened = story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
        assert isinstance(opened.body, transport.ConsignmentOpened)
        opened.body.containers[0].coi = coi
        packed = story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
        assert story.codes(packed) == codes
        assert story.case().state.identity_broken is bool(codes)


def test_what_came_back_is_not_used_again() -> None:
    """The unit that answers for it takes it back; nothing physical follows, and a stranger cannot."""
    story = Leg().sets_out()
    story.inspects()
    story.takes_out()
    body = transport.MaterialReturned(material=material("apheresis"), unit=SUITE, reason=transport.RETURN_REASON_UNUSED)
    returned = story.tell(body, OPERATOR)
    assert story.codes(returned) == set()
    ended = story.case().state.materials[material("apheresis")]
    assert (ended.life, ended.ended_by, ended.ended_at) == (Life.RETURNED, returned.digest, returned.occurred_start)
    assert story.codes(story.uses()) >= {"AFTER_TERMINAL_ACT"}


def test_a_return_is_the_custodians_and_of_an_unpacked_bag() -> None:
    """A driver takes back what is his, and nobody takes back what lies in a box."""
    story = Leg().sets_out()
    body = transport.MaterialReturned(material=material("apheresis"), unit=VAN, reason=transport.RETURN_REASON_UNUSED)
    told = story.tell(body, DRIVER)
    assert story.codes(told) == {"NOT_CUSTODIAN", "MATERIAL_PACKED"}
    assert story.judged(told).status is Status.NONCONFORMING
