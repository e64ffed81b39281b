"""What goes late and wrong on the way, through the append core: recorded, found, held, mended, and never refused."""

from __future__ import annotations

import pytest
from courses import BOX, DAY, MINUTE, Course, World, codes, status
from ledger_harness import MICROS, Signing

from cellcustody.ledger.custody.act import Status, UnitRef
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.sites import SiteState
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import registry_pb2 as registry
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport


class Place:
    """Another site with one person of it."""

    def __init__(self, world: World, name: str, *capabilities: options.Capability.ValueType) -> None:
        self.site, (administrator, _) = world.harness.site(name, *capabilities)
        self.person: Signing = world.harness.enrol("operator", self.site, administrator)
        self.unit = common.Unit(site=self.site)


class Way:
    """A bag of one course in one box, with the courier."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.harness = world.harness
        self.course: Course = world.course()
        self.course.to_the_collection("day-1")
        self.stream = self.course.opens_consignment(world.nurse, world.apheresis, world.suite)
        self.course.packs(world.nurse, world.apheresis, self.stream, "day-1")
        release = self.course.releases(world.nurse, self.stream, world.apheresis, world.van)
        self.course.accepts(world.driver, self.stream, release, world.van)

    @property
    def state(self) -> ConsignmentState:
        """The consignment folded anew from what is stored."""
        state = self.harness.case(self.stream).state
        assert isinstance(state, ConsignmentState)
        return state

    @property
    def where(self) -> tuple[UnitRef | None, UnitRef | None]:
        """Who answers for the bag, and who has it."""
        return custody_of(self.harness.therapy(self.course.stream).state, self.course.material("day-1"))

    @property
    def held(self) -> set[str]:
        """The codes of the holds that stand on the bag."""
        state = self.harness.therapy(self.course.stream).state
        return {hold.code for hold in state.holds_on(self.course.material("day-1"))}

    def says(self, by: Signing, body: object) -> Recorded:
        """Says something in the consignment's stream."""
        return self.harness.say(by, self.stream, body)  # type: ignore[arg-type]  # Bodies of the contract only.

    def is_lifted(self, told: Recorded, code: str) -> None:
        """Quality lifts a hold of the consignment."""
        lifting = quality.HoldLifted(holds=[hold_id(told.statement_digest, code)], disposition="looked into")
        assert status(self.says(self.world.reviewer, lifting)) is Status.IN_EFFECT

    def arrives(self, release: Recorded) -> None:
        """The plant accepts a release, takes the bag out and answers for it; nothing is found."""
        world = self.world
        assert codes(self.course.accepts(world.operator, self.stream, release, world.suite)) == set()
        assert codes(self.course.receives(world.operator, world.suite, self.stream, "day-1")) == set()
        assert self.where == (UnitRef(world.plant, "suite"), UnitRef(world.plant, "suite"))


@pytest.fixture
def way(world: World) -> Way:
    """A box under way with the courier."""
    return Way(world)


# Somebody else has it. ---------------------------------------------------------------------------------------------


def test_a_box_delivered_to_the_wrong_site_comes_back(world: World, way: Way) -> None:
    """The courier releases it to the plant, and a depot accepts: it has it, the courier answers for it, it is held."""
    depot = Place(world, "depot", options.CAPABILITY_STORE)
    van = UnitRef(world.courier)
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    wrong = way.course.accepts(depot.person, way.stream, release, depot.unit)
    assert (status(wrong), codes(wrong)) == (Status.NONCONFORMING, {"WRONG_RECEIVER"})
    assert way.where == (van, UnitRef(depot.site))
    assert way.held == {"WRONG_RECEIVER"}

    fetched = way.says(world.driver, transport.PossessionReported(possessor=world.van, containers=[BOX], place="ramp"))
    assert codes(fetched) == set()
    assert way.where == (van, van)
    way.is_lifted(wrong, "WRONG_RECEIVER")
    way.arrives(release)  # It is still open: nobody whom it names had answered it.
    world.harness.check()


def test_a_box_released_to_the_wrong_site_is_answered_for_there_and_sent_on(world: World, way: Way) -> None:
    """Custody follows both words; that it is not the destination is shown when it is inspected."""
    other = Place(world, "another plant", options.CAPABILITY_PROCESS)
    release = way.course.releases(world.driver, way.stream, world.van, other.unit)
    assert codes(way.course.accepts(other.person, way.stream, release, other.unit)) == set()
    inspected = way.says(other.person, transport.ReceiptInspected(unit=other.unit, containers=[BOX]))
    assert "NOT_THE_DESTINATION" in codes(inspected)
    assert way.where == (UnitRef(other.site), UnitRef(other.site))
    back = way.course.releases(other.person, way.stream, other.unit, world.van)
    assert codes(way.course.accepts(world.driver, way.stream, back, world.van)) == set()
    assert way.where == (UnitRef(world.courier), UnitRef(world.courier))
    world.harness.check()


def test_a_receiver_is_renamed_while_the_box_is_under_way(world: World, way: Way) -> None:
    """Another unit of the plant takes it; the one first named may not any more."""
    cold_store = common.Unit(site=world.plant, unit="cold-store")
    release = way.course.releases(world.driver, way.stream, world.van, cold_store)
    renamed = way.says(world.driver, transport.ReceiverRenamed(release=release.statement_digest, receiver=world.suite))
    assert codes(renamed) == set()
    assert codes(way.course.accepts(world.operator, way.stream, release, cold_store)) == {"WRONG_RECEIVER"}
    assert way.where[0] == UnitRef(world.courier)
    world.harness.check()


def test_a_handoff_that_is_cancelled_leaves_the_box_where_it_is(world: World, way: Way) -> None:
    """Withdrawn with a reason; who accepts it all the same has it, and it is held."""
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    withdrawn = way.says(
        world.driver,
        transport.ReleaseWithdrawn(
            release=release.statement_digest,
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="handoff cancelled"),
        ),
    )
    assert codes(withdrawn) == set()
    assert way.where == (UnitRef(world.courier), UnitRef(world.courier))
    late = way.course.accepts(world.operator, way.stream, release, world.suite)
    assert codes(late) == {"RELEASE_WITHDRAWN"}
    assert way.where == (UnitRef(world.courier), UnitRef(world.plant, "suite"))
    world.harness.check()


def test_a_refused_box_is_handed_back(world: World, way: Way) -> None:
    """The plant refuses; the courier goes on answering, and hands it back to the hospital."""
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    refused = way.says(world.operator, transport.CustodyRefused(release=release.statement_digest, receiver=world.suite))
    assert codes(refused) == set()
    assert way.where == (UnitRef(world.courier), UnitRef(world.courier))
    back = way.course.releases(world.driver, way.stream, world.van, world.apheresis)
    assert codes(way.course.accepts(world.nurse, way.stream, back, world.apheresis)) == set()
    assert codes(way.course.receives(world.nurse, world.apheresis, way.stream, "day-1")) == set()
    assert way.where == (UnitRef(world.hospital, "apheresis"), UnitRef(world.hospital, "apheresis"))
    world.harness.check()


def test_a_courier_who_is_lost_and_a_box_that_a_hub_finds(world: World, way: Way) -> None:
    """The hub says that it has it; the site that opened the consignment lets it answer, and the box goes on."""
    hub = Place(world, "hub", options.CAPABILITY_TRANSPORT, options.CAPABILITY_STORE)
    lost = way.says(world.driver, transport.ContainersLost(containers=[BOX], last_place="motorway"))
    assert (status(lost), codes(lost)) == (Status.NONCONFORMING, {"CONTAINER_LOST"})
    assert way.where == (UnitRef(world.courier), None)
    found = way.says(
        hub.person, transport.PossessionReported(possessor=hub.unit, containers=[BOX], place="unclaimed goods")
    )
    assert (status(found), codes(found)) == (Status.CONFORMING, {"POSSESSION_DISPUTED"})
    assert way.where == (UnitRef(world.courier), UnitRef(hub.site))
    assert way.state.containers[BOX].place == "unclaimed goods"

    phantom = way.course.releases(hub.person, way.stream, hub.unit, world.suite)
    assert codes(phantom) >= {"NOT_CUSTODIAN"}
    body = transport.CustodyEstablished(custodian=hub.unit, containers=[BOX])
    with pytest.raises(RuleRefusedError, match="NOT_LAST_CUSTODIAN"):
        way.says(world.operator, body)
    established = way.says(world.nurse, body)
    assert status(established) is Status.PENDING
    assert way.where[0] == UnitRef(world.courier)
    world.harness.co_sign(world.second_nurse, way.stream, established.statement_digest)
    assert way.where == (UnitRef(hub.site), UnitRef(hub.site))
    way.is_lifted(lost, "CONTAINER_LOST")
    way.is_lifted(phantom, "NOT_CUSTODIAN")
    way.arrives(way.course.releases(hub.person, way.stream, hub.unit, world.suite))
    assert way.held == set()
    world.harness.check()


def test_boxes_swapped_on_the_way_are_both_held_and_both_set_right(world: World) -> None:
    """Two consignments, each delivered in the place of the other: one missing and one too many, twice."""
    first, second = Way(world), Way(world)
    for one in (first, second):
        release = one.course.releases(world.driver, one.stream, world.van, world.suite)
        lines = [
            common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_NOT_PRESENT),
            common.HandoffLine(container="stray", outcome=common.LINE_OUTCOME_EXTRA, condition="of another number"),
        ]
        told = one.says(
            world.operator,
            transport.CustodyAccepted(release=release.statement_digest, receiver=world.suite, lines=lines),
        )
        assert (status(told), codes(told)) == (Status.NONCONFORMING, {"CONTAINER_NOT_PRESENT", "EXTRA_CONTAINER"})
        assert one.where == (UnitRef(world.courier), None)
        assert one.held == {"CONTAINER_NOT_PRESENT"}
        stray = one.state.containers["stray"]
        assert (stray.custodian, stray.possessor) == (None, UnitRef(world.plant, "suite"))
        found = one.says(world.driver, transport.PossessionReported(possessor=world.van, containers=[BOX]))
        assert codes(found) == set()
        one.is_lifted(told, "CONTAINER_NOT_PRESENT")
        one.arrives(one.course.releases(world.driver, one.stream, world.van, world.suite))
        assert one.held == set()
    world.harness.check()


def test_couriers_swap_on_the_way(world: World, way: Way) -> None:
    """The second courier accepts from the first; what nobody released to it would not have passed."""
    second = Place(world, "second courier", options.CAPABILITY_TRANSPORT)
    taken = way.says(second.person, transport.PossessionReported(possessor=second.unit, containers=[BOX]))
    assert codes(taken) == {"POSSESSION_DISPUTED"}
    release = way.course.releases(world.driver, way.stream, world.van, second.unit)
    assert codes(release) == {"POSSESSION_DISPUTED"}
    assert codes(way.course.accepts(second.person, way.stream, release, second.unit)) == set()
    way.arrives(way.course.releases(second.person, way.stream, second.unit, world.suite))
    world.harness.check()


# Receivers without a key. ------------------------------------------------------------------------------------------


def _attested(world: World, way: Way, release: Recorded) -> Recorded:
    body = transport.CustodyAccepted(
        release=release.statement_digest,
        receiver=world.suite,
        lines=[common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_ACCEPTED)],
        count=1,
        attestation=common.Attestation(name_sha256=bytes(32), badge="N-12", waybill="WB-1"),
    )
    return way.says(world.driver, body)


def test_a_receiver_without_a_key_is_attested_for_by_two(world: World, way: Way) -> None:
    """Shown as unsigned; passed on only once a second person has joined the attestation."""
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    attested = _attested(world, way, release)
    assert (status(attested), codes(attested)) == (Status.CONFORMING, {"UNSIGNED_BY_RECEIVER"})
    assert way.state.releases[release.statement_digest].is_unsigned_by_receiver
    too_soon = way.course.releases(world.operator, way.stream, world.suite, world.bench)
    assert codes(too_soon) == {"ATTESTATION_UNWITNESSED"}
    way.says(world.operator, transport.ReleaseWithdrawn(release=too_soon.statement_digest))
    world.harness.co_sign(world.operator, way.stream, attested.statement_digest)
    assert codes(way.course.releases(world.operator, way.stream, world.suite, world.bench)) == {"RELEASED_ON_HOLD"}
    world.harness.check()


def test_a_receiver_signs_on_the_counterpartys_device(world: World, way: Way) -> None:
    """The operator's own key on the courier's tablet, sent by the courier: it is shown, and custody passes."""
    harness = world.harness
    tablet = bytes(range(16))
    harness.say(
        world.courier_administrator,
        single_stream_id(StreamKind.REGISTRY),
        registry.DeviceEnrolled(site=world.courier, device=tablet, description="tablet"),
        seen={},
    )
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    harness.tick()
    body = transport.CustodyAccepted(
        release=release.statement_digest,
        receiver=world.suite,
        lines=[common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_ACCEPTED)],
        count=1,
    )
    signed = harness.statement(world.operator, way.stream, body, device=tablet)
    accepted = harness.submit(Submission(signed.envelope, signed.openings, world.courier))
    assert (status(accepted), codes(accepted)) == (Status.CONFORMING, {"DEVICE_OF_COUNTERPARTY"})
    entry = read_entry(harness.store.entry(accepted.position - 1))
    assert entry.submitting_site == world.courier
    assert harness.case(way.stream).acts[accepted.statement_digest].site == world.plant
    inspection = transport.ReceiptInspected(unit=world.suite, containers=[BOX])
    elsewhere = harness.statement(world.operator, way.stream, inspection, device=tablet)
    assert "DEVICE_UNKNOWN" in codes(harness.submit(elsewhere))  # Only at a handoff.
    assert way.where == (UnitRef(world.plant, "suite"), UnitRef(world.plant, "suite"))
    harness.check()


# On the way. -------------------------------------------------------------------------------------------------------


def test_customs_coolant_shock_and_delay_are_told_and_held_where_they_must(world: World, way: Way) -> None:
    """A delay at the border, opened by the authority, iced again too late, and dropped."""
    driver = world.driver
    late = way.says(driver, transport.DelayReported(place="border", expected_seconds=7200))
    kept = way.says(driver, transport.CustomsHeld(place="border", reference="Z-9", containers=[BOX]))
    assert codes(late) == codes(kept) == set()
    freed = way.says(driver, transport.CustomsCleared(held=kept.statement_digest, opened_or_irradiated=True))
    until = world.harness.clock + 30 * MINUTE
    iced = transport.CoolantReplenished(container=BOX, coolant="dry_ice", coolant_until_unix_micros=until)
    assert codes(way.says(driver, iced)) == set()
    world.harness.tick(31 * 60)
    iced.coolant_until_unix_micros = world.harness.clock + 2 * DAY
    too_late = way.says(driver, iced)
    limit = common.Quantity(mantissa=5, unit="[g]", comparator=common.COMPARATOR_EQUAL)
    reading = common.Quantity(mantissa=9, unit="[g]", comparator=common.COMPARATOR_EQUAL)
    dropped = way.says(
        driver,
        transport.ShockRecorded(
            container=BOX, logger="G-1", kind=transport.SHOCK_KIND_IMPACT, reading=reading, limit=limit
        ),
    )
    assert [codes(one) for one in (freed, too_late, dropped)] == [
        {"OPENED_BY_AUTHORITY"},
        {"COOLANT_RAN_OUT"},
        {"SHOCK_EXCEEDED"},
    ]
    assert way.held == {"OPENED_BY_AUTHORITY", "COOLANT_RAN_OUT", "SHOCK_EXCEEDED"}
    assert way.where == (UnitRef(world.courier), UnitRef(world.courier))
    world.harness.check()


def test_a_scan_of_another_patients_box_holds_this_one(world: World, way: Way) -> None:
    """What the driver scanned is in the log with the finding; custody passed all the same."""
    release = way.course.releases(world.driver, way.stream, world.van, world.suite)
    body = transport.CustodyAccepted(
        release=release.statement_digest,
        receiver=world.suite,
        lines=[common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_ACCEPTED)],
        count=1,
        scans=[
            common.Scan(raw=BOX, method=common.READ_METHOD_SCANNED, on=BOX),
            common.Scan(raw="box-of-another", method=common.READ_METHOD_MANUAL, on=BOX),
        ],
    )
    told = way.says(world.operator, body)
    assert codes(told) >= {"SCAN_OF_ANOTHER_ITEM"}
    assert status(told) is Status.NONCONFORMING
    assert way.held == {"SCAN_OF_ANOTHER_ITEM"}
    assert way.where[0] == UnitRef(world.plant, "suite")
    world.harness.check()


def test_what_expired_on_the_way_is_held_and_goes_back_for_good(world: World) -> None:
    """Recorded as received, held, and taken back by whoever has it; nothing follows that."""
    course = world.course()
    course.enrols()
    course.consents()
    course.checks_identity()
    course.completes_collection(course.starts_collection(), "day-1")
    course.labels("day-1", expires_at=world.harness.clock + 10 * MINUTE)
    stream = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    course.packs(world.nurse, world.apheresis, stream, "day-1")
    release = course.releases(world.nurse, stream, world.apheresis, world.suite)
    course.accepts(world.operator, stream, release, world.suite)
    world.harness.tick(600)
    received = course.receives(world.operator, world.suite, stream, "day-1")
    assert (status(received), codes(received)) == (Status.NONCONFORMING, {"EXPIRED_ON_RECEIPT"})
    held = world.harness.therapy(course.stream).state.holds_on(course.material("day-1"))
    assert [hold.code for hold in held] == ["EXPIRED_ON_RECEIPT"]
    back = course.say(
        world.operator,
        transport.MaterialReturned(
            material=course.material("day-1"), unit=world.suite, reason=transport.RETURN_REASON_EXPIRED_IN_TRANSIT
        ),
    )
    assert codes(back) == set()
    state = world.harness.therapy(course.stream).state
    assert state.materials[course.material("day-1")].life is Life.RETURNED
    world.harness.check()


# Late and from paper. ----------------------------------------------------------------------------------------------


def test_a_late_fact_tells_its_delay(world: World) -> None:
    """From the end of what happened to its recording, in seconds."""
    course = world.course()
    course.enrols()
    at = world.harness.clock
    world.harness.tick(7 * DAY / MICROS)
    late = common.Circumstances(mode=common.ENTRY_MODE_LATE, reason="tablet was offline")
    told = course.say(world.nurse, returned.FollowUpRecorded(visit="none", circumstances=late), at=at)
    assert status(told) is Status.CONFORMING
    values = {one.code: one.values for one in told.explained}
    assert values["LATE"] == (("delay_seconds", str(7 * 86_400 + 60)),)
    assert "LATE_WITHOUT_REASON" not in values
    late.reason = ""
    told = course.say(world.nurse, returned.FollowUpRecorded(visit="none", circumstances=late))
    assert "LATE_WITHOUT_REASON" in codes(told)
    assert "LATE" not in codes(told)


def _on_paper(**told: object) -> common.Circumstances:
    found = common.Circumstances(mode=common.ENTRY_MODE_FROM_PAPER, form="F-2")
    for name, value in told.items():
        setattr(found, name, value)
    return found


def test_a_downtime_and_what_was_entered_from_its_paper(world: World) -> None:
    """Declared, worked through on paper, ended with its forms accounted for, entered and attested to by two."""
    harness = world.harness
    course = world.course().to_the_collection("day-1")
    site = bytes([StreamKind.SITE]) + world.hospital
    declared = harness.say(
        world.nurse, site, transport.DowntimeDeclared(reference="DT-1", system="ledger", forms=["F-1", "F-2"])
    )
    assert codes(declared) == set()
    happened = harness.tick(3600)
    harness.tick(3600)
    ended = harness.say(
        world.nurse,
        site,
        transport.DowntimeEnded(declared=declared.statement_digest, forms_used=["F-2"], forms_void=["F-1"]),
    )
    assert codes(ended) == set()
    state = harness.case(site).state
    assert isinstance(state, SiteState)
    (downtime,) = state.downtimes.values()
    assert (downtime.forms_used, downtime.ended_by) == (frozenset({"F-2"}), ended.statement_digest)

    def stored(at: int, **told: object) -> Recorded:
        body = harvest.MaterialStored(
            material=course.material("day-1"),
            position=common.Position(unit=world.apheresis, place="fridge-1"),
            circumstances=_on_paper(**({"downtime": declared.statement_digest} | told)),
        )
        return course.say(world.nurse, body, at=at)

    told = stored(happened)
    assert (status(told), codes(told)) == (Status.CONFORMING, {"CO_SIGNATURE_OUTSTANDING"})
    (waiting,) = [one for one in harness.therapy(course.stream).outstanding() if one.digest == told.statement_digest]
    assert waiting.missing == 1
    with pytest.raises(RuleRefusedError, match="BACK_ENTRY_UNWITNESSED"):
        course.say(world.nurse, returned.TherapyClosed(kept_until_unix_micros=harness.clock + DAY))
    course.join(world.second_nurse, told, at=happened + MINUTE)
    assert told.statement_digest not in {one.digest for one in harness.therapy(course.stream).outstanding()}
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.nurse, returned.TherapyClosed(kept_until_unix_micros=harness.clock + DAY))
    assert "BACK_ENTRY_UNWITNESSED" not in {one.code for one in refused.value.findings}

    outstanding = {"CO_SIGNATURE_OUTSTANDING"}
    assert codes(stored(happened, form="")) == outstanding | {"PAPER_FORM_MISSING"}
    assert codes(stored(happened, form="F-9")) == outstanding | {"FORM_NOT_OF_DOWNTIME"}
    assert codes(stored(harness.clock)) == outstanding | {"OUTSIDE_DOWNTIME"}
    assert codes(stored(happened, downtime=bytes(32))) == outstanding | {"DOWNTIME_UNKNOWN"}
    harness.check()


def test_a_downtime_is_its_sites_own_and_accounts_for_its_forms(world: World) -> None:
    """Another site's word changes nothing; a form too many or too few is shown; it ends once, after it began."""
    harness = world.harness
    site = bytes([StreamKind.SITE]) + world.hospital
    strange = harness.say(world.operator, site, transport.DowntimeDeclared(reference="DT-0", forms=["F-1"]))
    assert codes(strange) == {"DOWNTIME_OF_ANOTHER_SITE"}
    state = harness.case(site).state
    assert isinstance(state, SiteState)
    assert state.downtimes == {}
    twice = harness.say(world.nurse, site, transport.DowntimeDeclared(reference="DT-1", forms=["F-1", "F-1"]))
    assert codes(twice) == {"FORMS_NOT_DISTINCT"}

    at = harness.tick()
    declaration = harness.statement(world.nurse, site, transport.DowntimeDeclared(reference="DT-2", forms=["F-1"]))
    digest = parse_statement(declaration.envelope).digest
    ended = harness.say(world.nurse, site, transport.DowntimeEnded(declared=digest, forms_used=["F-1"]))
    assert status(ended) is Status.AWAITING
    harness.submit(declaration)
    assert harness.recorded(site)[ended.statement_digest].judged.status is Status.CONFORMING
    again = harness.say(world.nurse, site, transport.DowntimeEnded(declared=digest, forms_used=["F-1", "F-2"]))
    assert codes(again) == {"DOWNTIME_ENDED_BEFORE", "FORMS_UNACCOUNTED"}
    third = harness.say(world.nurse, site, transport.DowntimeDeclared(reference="DT-3"))
    early = transport.DowntimeEnded(declared=third.statement_digest)
    assert codes(harness.say(world.nurse, site, early, at=at)) == {"DOWNTIME_ENDS_BEFORE_START"}
    other = harness.say(world.nurse, site, transport.DowntimeEnded(declared=ended.statement_digest))
    assert codes(other) == {"OTHER_STATEMENT_NAMED"}
    harness.check()
