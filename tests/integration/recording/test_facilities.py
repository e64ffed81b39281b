"""What therapies rest on, through the real append core: qualifications, recalls, emergencies, disputes, declines."""

from __future__ import annotations

import json

import pytest
from courses import BOX, DAY, Course, World, codes, status
from ledger_harness import MICROS, Signing

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.equipment import EquipmentState
from cellcustody.ledger.custody.exceptions import Kind, emergency_use, exceptional_acts
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.custody.recall_records import RecallAction
from cellcustody.ledger.custody.recalls import recall_fan_out
from cellcustody.ledger.custody.references import uses_key
from cellcustody.ledger.custody.sites import SiteState
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.recording.authorisations import CoSignatureRefusedError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError, RuleRefusedRetryableError
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import registry_pb2
from cellcustody.v1 import transport_pb2 as transport

REGISTRY = single_stream_id(StreamKind.REGISTRY)
YEAR = 365 * DAY


def publish(world: World, **changed: object) -> None:
    """Publishes the next version of the pack with members changed, under which new courses are enrolled."""
    members = json.loads(sample_pack_bytes()) | changed | {"version": world.pack.version + 1}
    raw = canonical_json(members)
    world.pack = pack = PolicyPack.parse(raw)
    body = registry_pb2.PolicyPublished(
        product=pack.product, jurisdiction=pack.jurisdiction, version=pack.version, pack=raw
    )
    world.harness.by_quorum(single_stream_id(StreamKind.POLICY), body)


def asks_for(*named: str, equipment: tuple[str, ...] = ()) -> dict[str, object]:
    """Returns what a pack asks to be qualified."""
    kinds = ("courier", "lane", "logger", "shipper")
    return {"qualifications_required": {"equipment": list(equipment)} | {kind: kind in named for kind in kinds}}


def registers(world: World, by: Signing, asset: str, kind: str, unit: common.Unit, *, days: int | None = 365) -> bytes:
    """Registers equipment, calibrated for so many days from now unless None; returns its stream."""
    harness = world.harness
    stream = harness.new_stream(StreamKind.EQUIPMENT)
    harness.say(by, stream, facilities.EquipmentRegistered(asset=asset, kind=kind, owner=unit))
    if days is not None:
        qualifies(world, by, stream, facilities.QUALIFICATION_KIND_CALIBRATION, until=harness.clock + days * DAY)
    return stream


def qualifies(
    world: World,
    by: Signing,
    stream: bytes,
    kind: facilities.QualificationKind.ValueType,
    *,
    until: int,
    lane: facilities.Lane | None = None,
) -> Recorded:
    """Records a qualification from now on."""
    body = facilities.QualificationRecorded(
        kind=kind, valid_from_unix_micros=world.harness.clock, valid_until_unix_micros=until, lane=lane, reference="Q"
    )
    return world.harness.say(by, stream, body)


def opens(world: World, *, shipper: str = "", logger: str = "") -> bytes:
    """The hospital opens a consignment to the plant with one box; returns its stream."""
    harness = world.harness
    stream = harness.new_stream(StreamKind.CONSIGNMENT)
    body = transport.ConsignmentOpened(
        unit=world.apheresis,
        destination=world.suite,
        containers=[
            common.Container(
                container=BOX,
                kind="dry_shipper",
                asset=shipper,
                logger=logger,
                qualified_until_unix_micros=harness.clock + YEAR,
            )
        ],
        carrier=world.courier,
    )
    harness.say(world.nurse, stream, body)
    return stream


def ended(world: World, course: Course) -> None:
    """Everything verified again, before and after a restart."""
    world.harness.check()
    world.harness.reopen()
    world.harness.check()


# Qualification in force on the day. ---------------------------------------------------------------------------------


def test_a_bag_goes_on_its_way_only_in_what_was_qualified_that_day(world: World) -> None:
    """Nothing registered: four findings; everything qualified by a site of the therapy: none; lapsed: found again."""
    publish(world, **asks_for("courier", "lane", "logger", "shipper"))
    course = world.course().to_the_collection("one", "two", "three")
    bare = course.packs(world.nurse, world.apheresis, opens(world, shipper="S-1", logger="L-1"), "one")
    assert codes(bare) >= {
        "SHIPPER_QUALIFICATION_MISSING",
        "LOGGER_CALIBRATION_MISSING",
        "COURIER_NOT_QUALIFIED",
        "LANE_NOT_QUALIFIED",
    }
    assert status(bare) is Status.NONCONFORMING

    courier = bytes([StreamKind.SITE]) + world.courier
    lane = facilities.Lane(origin=world.hospital, destination=world.plant)
    registers(world, world.driver, "S-1", "shipper", world.van, days=10)
    registers(world, world.driver, "L-1", "logger", world.van)
    until = world.harness.clock + YEAR
    qualifies(world, world.reviewer, courier, facilities.QUALIFICATION_KIND_COURIER, until=until)
    qualifies(world, world.reviewer, courier, facilities.QUALIFICATION_KIND_LANE, until=until, lane=lane)
    fine = course.packs(world.nurse, world.apheresis, opens(world, shipper="S-1", logger="L-1"), "two")
    assert status(fine) is Status.CONFORMING

    # What came later changed nothing of what was judged before.
    first = world.harness.recorded(course.stream)[bare.statement_digest].judged
    assert first.status is Status.NONCONFORMING
    world.harness.tick(11 * 86_400)
    lapsed = course.packs(world.nurse, world.apheresis, opens(world, shipper="S-1", logger="L-1"), "three")
    assert "SHIPPER_QUALIFICATION_MISSING" in codes(lapsed)
    assert "LOGGER_CALIBRATION_MISSING" not in codes(lapsed)
    ended(world, course)


def test_a_strangers_word_on_a_courier_counts_for_nothing(world: World) -> None:
    """Only sites of the therapy say on whom it relies; nobody qualifies themselves."""
    publish(world, **asks_for("courier"))
    stranger, (administrator, _) = world.harness.site("stranger", options.CAPABILITY_RELEASE)
    reviewer = world.harness.enrol("quality_reviewer", stranger, administrator)
    courier = bytes([StreamKind.SITE]) + world.courier
    until = world.harness.clock + YEAR
    qualifies(world, reviewer, courier, facilities.QUALIFICATION_KIND_COURIER, until=until)
    with pytest.raises(RuleRefusedError) as refused:
        qualifies(world, world.driver, courier, facilities.QUALIFICATION_KIND_COURIER, until=until)
    assert [one.code for one in refused.value.findings] == ["QUALIFIED_BY_ITSELF"]
    course = world.course().to_the_collection("bag")
    assert "COURIER_NOT_QUALIFIED" in codes(course.packs(world.nurse, world.apheresis, opens(world), "bag"))


def selects(course: Course, asset: str, at: int | None = None) -> Recorded:
    """Cells are selected on a piece of equipment."""
    world = course.world
    body = modification.SelectionPerformed(
        batch=course.batch,
        inputs=[course.material("apheresis")],
        outputs=course.outputs(common.MATERIAL_KIND_INTERMEDIATE, 90, "selected"),
        unit=world.suite,
        process_area="isolator-1",
        equipment=[asset],
    )
    return course.say(world.operator, body) if at is None else course.say(world.operator, body, at=at)


@pytest.mark.parametrize(
    ("kinds", "kind", "days", "expected"),
    [
        (("isolator",), "isolator", 1, set()),
        (("isolator",), "isolator", None, {"EQUIPMENT_OUT_OF_CALIBRATION"}),
        (("freezer",), "isolator", None, {"QUALIFICATION_LAPSED"}),
        ((), "isolator", None, {"QUALIFICATION_LAPSED"}),
        (("isolator",), "", None, {"EQUIPMENT_UNKNOWN"}),
        ((), "", None, set()),
    ],
)
def test_a_step_is_held_to_the_calibration_of_its_equipment(
    world: World, kinds: tuple[str, ...], kind: str, days: int | None, expected: set[str]
) -> None:
    """A gate for the kinds that the pack names, an advisory for others; unknown is not qualified."""
    publish(world, **asks_for(equipment=kinds))
    course = world.course().to_the_plant()
    course.accessions("apheresis")
    course.checks_process("apheresis")
    if kind:
        registers(world, world.operator, "ISO-1", kind, world.suite, days=days)
    told = selects(course, "ISO-1")
    assert codes(told) & {"EQUIPMENT_OUT_OF_CALIBRATION", "QUALIFICATION_LAPSED", "EQUIPMENT_UNKNOWN"} == expected


def test_equipment_out_of_service_is_found_for_the_time_of_the_act(world: World) -> None:
    """Whatever the pack asks for; what was done before it went out is in order though told later."""
    course = world.course().to_the_plant()
    course.accessions("apheresis")
    course.checks_process("apheresis")
    stream = registers(world, world.operator, "ISO-1", "isolator", world.suite)
    earlier = world.harness.tick()
    world.harness.say(world.second_operator, stream, facilities.EquipmentTakenOutOfService(grounds="leak"))
    assert "EQUIPMENT_OUT_OF_SERVICE" not in codes(selects(course, "ISO-1", at=earlier))
    world.harness.say(
        world.operator,
        stream,
        quality.DeviationRaised(reference="D-1", scope=quality.Scope(kind=quality.SCOPE_KIND_EQUIPMENT)),
    )
    assert "EQUIPMENT_OUT_OF_SERVICE" in codes(selects(course, "ISO-1"))
    back = facilities.EquipmentReturnedToService(grounds="sealed")
    world.harness.say(world.operator, stream, back)
    state = world.harness.case(stream).state
    assert isinstance(state, EquipmentState)
    assert state.is_fit(world.harness.clock)
    assert course.stream in world.harness.store.linked(uses_key("ISO-1"))
    ended(world, course)


def test_a_consignment_tells_of_a_lapsed_shipper_and_is_not_held(world: World) -> None:
    """An advisory: it has no pack of its own."""
    registers(world, world.driver, "S-1", "shipper", world.van, days=1)
    world.harness.tick(2 * 86_400)
    stream = opens(world, shipper="S-1")
    (opened,) = world.harness.recorded(stream).values()
    assert opened.judged.status is Status.CONFORMING
    assert [one.code for one in opened.judged.findings] == ["QUALIFICATION_LAPSED"]


# Recalls. -----------------------------------------------------------------------------------------------------------


def test_a_recalled_lot_is_followed_into_every_therapy_that_used_it(world: World) -> None:
    """Frozen at the plant in one, on the way to the hospital in another; each action is recorded and closes its due."""
    harness = world.harness
    lot = world.vector_lot()
    world.vector_lot = lambda *, expires_after=YEAR: lot  # type: ignore[method-assign]  # Both use the same lot.
    frozen, moving = world.course().to_the_product(), world.course().to_the_product()
    moving.is_tested()
    moving.is_released()
    back = moving.opens_consignment(world.operator, world.suite, world.cell_lab)
    moving.packs(world.operator, world.suite, back, "bag-1")
    early = frozen.say(world.operator, recall(frozen, lot, RecallAction.QUARANTINE, "bag-1"))
    assert codes(early) == {"LOT_NOT_RECALLED"}
    harness.say(world.reviewer, lot, modification.LotStatusChanged(status=modification.LOT_STATUS_RECALLED))

    using = sorted(stream for stream in harness.store.linked(lot) if stream[0] == StreamKind.THERAPY)
    assert using == sorted((frozen.stream, moving.stream))
    fan_out = recall_fan_out(lot, [harness.therapy(stream).state for stream in using])
    due = {(one.therapy, one.material): one.action for one in fan_out if one.is_open}
    assert due[frozen.stream, frozen.material("bag-2")] is RecallAction.QUARANTINE
    assert due[moving.stream, moving.material("bag-1")] is RecallAction.STOP_AND_RETURN
    assert (frozen.stream, frozen.material("bag-1")) not in due

    taken = frozen.say(world.operator, recall(frozen, lot, RecallAction.QUARANTINE, "bag-2"))
    assert status(taken) is Status.CONFORMING
    assert taken.holds_opened == (hold_id(taken.statement_digest, "RECALL_QUARANTINE"),)
    moving.say(world.operator, recall(moving, lot, RecallAction.STOP_AND_RETURN, "bag-1"))
    left = recall_fan_out(lot, [harness.therapy(stream).state for stream in using])
    assert not any(one.is_open for one in left if one.material in (*_bags(frozen), moving.material("bag-1")))
    ended(world, frozen)


def _bags(course: Course) -> tuple[bytes, bytes]:
    return course.material("bag-1"), course.material("bag-2")


def recall(course: Course, lot: bytes, action: RecallAction, *bags: str) -> facilities.RecallActionTaken:
    """Returns what the plant does about a recall."""
    return facilities.RecallActionTaken(
        lot=lot,
        action=facilities.RecallAction.ValueType(action),
        materials=[course.material(bag) for bag in bags],
        unit=course.world.suite,
    )


# Emergencies. -------------------------------------------------------------------------------------------------------


def test_an_emergency_credential_marks_every_act_and_is_reviewed(world: World) -> None:
    """Two administrators, one day, one review by somebody else."""
    harness = world.harness
    clerk = harness.enrol("clerk", world.hospital, world.hospital_administrator)
    publish(world, roles=json.loads(sample_pack_bytes())["roles"] | {"ConsentRecorded": ["nurse"]})
    course = world.course()
    course.enrols()
    consent = harvest.ConsentRecorded(scopes=[harvest.CONSENT_SCOPE_COLLECTION])
    assert "ROLE_NOT_HELD" in codes(course.say(clerk, consent, role="nurse"))
    grant = harness.say(
        world.hospital_administrator,
        REGISTRY,
        registry_pb2.EmergencyCredentialGranted(
            person=clerk.person, roles=["nurse"], valid_from_unix_micros=harness.clock + 60 * MICROS, valid_seconds=7200
        ),
        seen={},
    )
    assert status(grant) is Status.PENDING
    harness.co_sign(world.second_hospital_administrator, REGISTRY, grant.statement_digest)
    told = course.say(clerk, consent, role="nurse")
    assert "EMERGENCY_CREDENTIAL" in codes(told)
    assert "ROLE_NOT_HELD" not in codes(told)
    (shown,) = [one for one in told.explained if one.code == "EMERGENCY_CREDENTIAL"]
    assert ("grant", grant.statement_digest.hex()) in shown.values
    harness.tick(7200)
    assert "ROLE_NOT_HELD" in codes(course.say(clerk, consent, role="nurse"))

    case = harness.therapy(course.stream)
    listed = list(exceptional_acts(case.order, case.judged))
    assert [one.digest for one in listed if one.kind is Kind.EMERGENCY] == [told.statement_digest]
    grants = harness.ledger.registry.latest.emergency_grants_of_site(world.hospital)
    site = bytes([StreamKind.SITE]) + world.hospital
    (use,) = emergency_use(grants, listed, {})
    assert use.statements == (told.statement_digest,)
    assert use.is_to_review
    review = facilities.EmergencyUseReviewed(grant=grant.statement_digest, statements=use.statements, outcome="fine")
    for by in (clerk, world.hospital_administrator, world.second_hospital_administrator):
        with pytest.raises(RuleRefusedError) as refused:
            harness.say(by, site, review)
        assert "REVIEWER_CONCERNED" in [one.code for one in refused.value.findings]
    with pytest.raises(RuleRefusedError) as elsewhere:
        harness.say(world.reviewer, bytes([StreamKind.SITE]) + world.plant, review)
    assert "EMERGENCY_GRANT_UNKNOWN" in [one.code for one in elsewhere.value.findings]
    harness.say(world.nurse, site, review)
    state = harness.case(site).state
    assert isinstance(state, SiteState)
    assert not emergency_use(grants, listed, state.reviews)[0].is_to_review
    ended(world, course)


# Donation numbers in dispute. ---------------------------------------------------------------------------------------


def test_a_disputed_donation_number_is_given_to_one_therapy_by_two_persons_of_quality(world: World) -> None:
    """Both are held; one is freed, the other is refused and corrects its claim."""
    harness = world.harness
    first, second = world.course(), world.course()
    claims = []
    for course in (first, second):
        course.enrols()
        course.consents()
        course.checks_identity()
        claims.append(course.starts_collection(din=first.din or None))
    holds = [hold_id(claim.statement_digest, "DIN_CLAIMED_TWICE") for claim in claims]
    for course, hold in zip((first, second), holds, strict=True):
        assert hold in harness.therapy(course.stream).state.holds
    with pytest.raises(RuleRefusedError) as refused:
        first.say(world.reviewer, quality.HoldLifted(holds=holds[:1], disposition="ours"))
    assert "LIFTING_NOT_PERMITTED" in [one.code for one in refused.value.findings]

    def settles(claim: Recorded) -> facilities.DonationNumberSettled:
        return facilities.DonationNumberSettled(din=first.din, claim=claim.statement_digest, grounds="run sheet")

    settled = first.say(world.reviewer, settles(claims[0]))
    assert status(settled) is Status.PENDING
    assert holds[0] in harness.therapy(first.stream).state.holds
    first.join(world.second_reviewer, settled, seen=harness.all_seen())
    assert holds[0] not in harness.therapy(first.stream).state.holds
    with pytest.raises(RuleRefusedError) as late:
        second.say(world.reviewer, settles(claims[1]))
    assert [one.code for one in late.value.findings] == ["DIN_SETTLED_OTHERWISE"]

    other = harvest.CollectionStarted(
        day=1, din=second.new_din(), unit=world.apheresis, replaces=claims[1].statement_digest
    )
    right = second.say(world.nurse, other)
    second.say(
        world.nurse,
        quality.StatementCorrected(corrected=claims[1].statement_digest, replacement=right.statement_digest),
    )
    assert holds[1] not in harness.therapy(second.stream).state.holds
    ended(world, first)


def test_a_settlement_waits_for_its_claim(world: World) -> None:
    """What it names may still come."""
    course = world.course()
    course.enrols()
    with pytest.raises(RuleRefusedRetryableError):
        course.say(world.reviewer, facilities.DonationNumberSettled(din=course.new_din(), claim=bytes(32)))


# Declined co-signatures. --------------------------------------------------------------------------------------------


def test_nobody_joins_what_somebody_declined(world: World) -> None:
    """The pending release ends; signed anew, it may be joined."""
    course = world.course().to_the_product()
    course.is_tested()
    body = course.release_of_batch("bag-1", "bag-2")
    pending = course.say(world.reviewer, body)
    assert status(pending) is Status.PENDING
    course.say(
        world.second_reviewer, quality.CoSignatureDeclined(declined=pending.statement_digest, grounds="trace missing")
    )
    with pytest.raises(CoSignatureRefusedError) as refused:
        course.join(world.second_reviewer, pending, seen=world.harness.all_seen())
    assert refused.value.rule == "CO_SIGNATURE_DECLINED"
    assert not world.harness.therapy(course.stream).outstanding()
    again = course.say(world.reviewer, body)
    course.join(world.second_reviewer, again, seen=world.harness.all_seen())
    state = world.harness.therapy(course.stream).state
    assert isinstance(state, TherapyState)
    assert state.materials[course.material("bag-1")].is_released
    ended(world, course)
