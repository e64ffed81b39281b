"""The streams of equipment and the qualifications of sites: fit for use, and by whose word."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.equipment import EquipmentRules, EquipmentState, judge_equipment_authorisation
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.qualifications import QualificationKind, in_force
from cellcustody.ledger.custody.sites import SiteRules, SiteState, judge_site_authorisation
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import quality_pb2 as quality

EQUIPMENT = b"\x0a" + b"e" * 16
OWNER, OTHER, COURIER = b"o" * 16, b"x" * 16, b"c" * 16
COURIER_STREAM = b"\x04" + COURIER
OWNERS_UNIT = common.Unit(site=OWNER, unit="suite")
CALIBRATION, QUALIFIED = facilities.QUALIFICATION_KIND_CALIBRATION, facilities.QUALIFICATION_KIND_EQUIPMENT


def told(body: Message, minute: int, *, site: bytes = OWNER, stream: bytes = EQUIPMENT) -> Act:
    """Returns an act at a minute, an authorisation in effect where it is one."""
    is_authorisation = BODIES[body.DESCRIPTOR.full_name].is_authorisation
    return Act(
        digest=hashlib.sha256(bytes((minute,)) + body.SerializeToString(deterministic=True)).digest(),
        stream=stream,
        leaf_index=minute,
        body_type=body.DESCRIPTOR.full_name,
        body=body,
        signer=site,
        site=site,
        role="quality_reviewer",
        occurred_start=minute,
        occurred_end=None,
        signed_at=minute,
        is_authorisation=is_authorisation,
        in_effect_at=minute if is_authorisation else None,
    )


def qualified(
    since: int, until: int, kind: facilities.QualificationKind.ValueType = CALIBRATION
) -> facilities.QualificationRecorded:
    """Returns the body of a qualification."""
    return facilities.QualificationRecorded(
        kind=kind, valid_from_unix_micros=since, valid_until_unix_micros=until, reference="C-1"
    )


REGISTERED = told(facilities.EquipmentRegistered(asset="BIO-7", kind="bioreactor", owner=OWNERS_UNIT), 1)
CALIBRATED = told(qualified(10, 100), 2)
BROKEN = told(facilities.EquipmentTakenOutOfService(grounds="leaks"), 30, site=OTHER)
RETURNED = told(facilities.EquipmentReturnedToService(grounds="new seal"), 40)


def equipment(*acts: Act) -> EquipmentState:
    """Returns what the acts lead to."""
    fold = Fold(EquipmentRules(EQUIPMENT))
    for act in acts:
        fold.append(act)
    return fold.state


def refused(state: EquipmentState, act: Act) -> frozenset[str]:
    """Returns the codes against an authorisation."""
    return codes_of(judge_equipment_authorisation(state, act, DEFAULT_PACK))


@pytest.mark.parametrize(("at", "is_fit"), [(9, False), (10, True), (100, True), (101, False)])
def test_equipment_is_fit_from_the_first_to_the_last_moment_of_its_calibration(at: int, is_fit: bool) -> None:
    """Both ends belong to it."""
    assert equipment(REGISTERED, CALIBRATED).is_fit(at) is is_fit


def test_a_withdrawn_calibration_held_up_to_the_moment_before() -> None:
    """What was done before stays done under it; the first withdrawal counts."""
    ended = told(facilities.QualificationWithdrawn(qualification=CALIBRATED.digest, withdrawn_from_unix_micros=50), 60)
    again = told(facilities.QualificationWithdrawn(qualification=CALIBRATED.digest, withdrawn_from_unix_micros=20), 61)
    state = equipment(REGISTERED, CALIBRATED, ended, again)
    assert state.is_fit(49)
    assert not state.is_fit(50)
    assert refused(equipment(REGISTERED, CALIBRATED), ended) == frozenset()
    assert refused(state, again) == {"QUALIFICATION_ENDED"}
    assert refused(equipment(REGISTERED), ended) == {"QUALIFICATION_UNKNOWN"}


def test_equipment_out_of_service_is_not_used_until_it_is_returned() -> None:
    """Anybody may say that it is out; the owner returns it."""
    state = equipment(REGISTERED, CALIBRATED, BROKEN, RETURNED)
    assert [at for at in (29, 30, 39, 40) if state.is_in_service(at)] == [29, 40]
    assert not equipment(REGISTERED, CALIBRATED, BROKEN).is_fit(99)


def test_what_happens_to_equipment_is_the_same_in_any_order_of_delivery() -> None:
    """All orders of its facts and authorisations end alike."""
    states = {
        repr((state.asset, state.qualifications, state.outages, state.is_fit(35), state.is_fit(45)))
        for order in itertools.permutations((REGISTERED, CALIBRATED, BROKEN, RETURNED))
        for state in (equipment(*order),)
    }
    assert len(states) == 1


def test_the_owner_alone_qualifies_and_returns_equipment() -> None:
    """Another site's word is refused."""
    assert refused(equipment(REGISTERED), CALIBRATED) == frozenset()
    assert refused(equipment(REGISTERED), told(qualified(10, 100), 2, site=OTHER)) == {"EQUIPMENT_OF_ANOTHER"}
    other = told(facilities.EquipmentReturnedToService(grounds="works"), 40, site=OTHER)
    assert refused(equipment(REGISTERED, CALIBRATED, BROKEN), other) == {"EQUIPMENT_OF_ANOTHER"}


def test_equipment_returns_to_service_only_from_outside_and_only_qualified() -> None:
    """A calibration in force at the time is what it rests on."""
    assert refused(equipment(REGISTERED, CALIBRATED, BROKEN), RETURNED) == frozenset()
    assert refused(equipment(REGISTERED, CALIBRATED), RETURNED) == {"EQUIPMENT_IN_SERVICE"}
    lapsed = told(qualified(10, 39), 3)
    assert refused(equipment(REGISTERED, lapsed, BROKEN), RETURNED) == {"EQUIPMENT_NOT_QUALIFIED"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (qualified(10, 10), "QUALIFICATION_EMPTY"),
        (qualified(10, 100, facilities.QUALIFICATION_KIND_COURIER), "QUALIFICATION_MISPLACED"),
        (
            facilities.QualificationRecorded(
                kind=QUALIFIED, valid_from_unix_micros=1, valid_until_unix_micros=2, lane=facilities.Lane(origin=OWNER)
            ),
            "LANE_UNCLEAR",
        ),
    ],
)
def test_a_qualification_that_cannot_hold_is_refused(body: Message, code: str) -> None:
    """It says what is qualified, from when, until when."""
    assert refused(equipment(REGISTERED), told(body, 2)) == {code}


def test_equipment_is_registered_once_and_first_with_a_name_by_its_owner() -> None:
    """What comes before waits; a second registration, a nameless one and a stranger's are found."""
    fold = Fold(EquipmentRules(EQUIPMENT))
    fold.append(BROKEN)
    assert fold.judged[BROKEN.digest].status is Status.AWAITING
    second = told(facilities.EquipmentRegistered(asset="BIO-7", kind="bioreactor", owner=OWNERS_UNIT), 5)
    for act in (REGISTERED, second):
        fold.append(act)
    assert fold.judged[BROKEN.digest].status is Status.CONFORMING
    assert codes_of(fold.judged[second.digest].findings) == {"EQUIPMENT_ALREADY_REGISTERED"}
    strange = Fold(EquipmentRules(EQUIPMENT))
    nameless = told(facilities.EquipmentRegistered(asset="", kind="freezer", owner=OWNERS_UNIT), 1, site=OTHER)
    strange.append(nameless)
    assert codes_of(strange.judged[nameless.digest].findings) == {"EQUIPMENT_NAMELESS", "SIGNED_FOR_ANOTHER_SITE"}
    assert refused(EquipmentState(), CALIBRATED) == {"EQUIPMENT_NOT_REGISTERED"}


def test_a_hold_on_equipment_takes_it_out_of_use() -> None:
    """Until it is lifted; and a stray act holds it too."""
    held = told(quality.HoldPlaced(grounds="recall of the maker"), 20)
    lifting = told(quality.HoldLifted(holds=[hold_id(held.digest, "HOLD_PLACED")]), 25)
    assert not equipment(REGISTERED, CALIBRATED, held).is_fit(22)
    assert equipment(REGISTERED, CALIBRATED, held, lifting).is_fit(27)
    stray = told(facilities.RecallActionTaken(), 20)
    assert [hold.code for hold in equipment(REGISTERED, stray).holds.values()] == ["BODY_NOT_OF_EQUIPMENT"]


# Carriers and lanes. ------------------------------------------------------------------------------------------------

LANE = (OWNER, OTHER)
AS_COURIER = told(qualified(10, 100, facilities.QUALIFICATION_KIND_COURIER), 1, stream=COURIER_STREAM)
BY_LANE = told(
    facilities.QualificationRecorded(
        kind=facilities.QUALIFICATION_KIND_LANE,
        valid_from_unix_micros=10,
        valid_until_unix_micros=100,
        lane=facilities.Lane(origin=LANE[0], destination=LANE[1]),
    ),
    2,
    stream=COURIER_STREAM,
)


def courier(*acts: Act) -> SiteState:
    """Returns the courier's state."""
    fold = Fold(SiteRules(COURIER_STREAM))
    for act in acts:
        fold.append(act)
    return fold.state


def test_a_lane_is_one_way_by_the_word_of_a_site_that_relies_on_it() -> None:
    """The other direction, another kind and a stranger's word are none."""
    held = tuple(courier(AS_COURIER, BY_LANE).qualifications.values())
    assert in_force(held, 50, QualificationKind.LANE, lane=LANE, by={OWNER})
    assert not in_force(held, 50, QualificationKind.LANE, lane=(OTHER, OWNER), by={OWNER})
    assert not in_force(held, 50, QualificationKind.LANE, lane=LANE, by={OTHER})
    assert not in_force(held, 101, QualificationKind.COURIER)
    assert in_force(held, 50, QualificationKind.COURIER)


def test_a_site_is_qualified_by_others_and_what_it_is_said_to_be_is_clear() -> None:
    """Its own word about itself is none; equipment is qualified elsewhere; a lane leads somewhere."""
    state = courier()
    assert judge_site_authorisation(state, AS_COURIER, DEFAULT_PACK) == ()
    own = told(qualified(10, 100, facilities.QUALIFICATION_KIND_COURIER), 1, site=COURIER, stream=COURIER_STREAM)
    assert codes_of(judge_site_authorisation(state, own, DEFAULT_PACK)) == {"QUALIFIED_BY_ITSELF"}
    misplaced = told(qualified(10, 100), 1, stream=COURIER_STREAM)
    assert codes_of(judge_site_authorisation(state, misplaced, DEFAULT_PACK)) == {"QUALIFICATION_MISPLACED"}
    nowhere = told(qualified(10, 100, facilities.QUALIFICATION_KIND_LANE), 1, stream=COURIER_STREAM)
    assert codes_of(judge_site_authorisation(state, nowhere, DEFAULT_PACK)) == {"LANE_UNCLEAR"}


def test_the_site_that_qualified_withdraws() -> None:
    """Another one may place a hold."""
    body = facilities.QualificationWithdrawn(qualification=AS_COURIER.digest, withdrawn_from_unix_micros=20)
    theirs = told(body, 20, stream=COURIER_STREAM)
    anothers = told(body, 20, site=OTHER, stream=COURIER_STREAM)
    state = courier(AS_COURIER)
    assert judge_site_authorisation(state, theirs, DEFAULT_PACK) == ()
    assert codes_of(judge_site_authorisation(state, anothers, DEFAULT_PACK)) == {"QUALIFICATION_OF_ANOTHER"}


def test_an_emergency_is_reviewed_once() -> None:
    """The second review is refused."""
    review = told(facilities.EmergencyUseReviewed(grant=b"g" * 32, outcome="in order"), 5, stream=COURIER_STREAM)
    again = told(facilities.EmergencyUseReviewed(grant=b"g" * 32, outcome="again"), 6, stream=COURIER_STREAM)
    assert judge_site_authorisation(courier(), review, DEFAULT_PACK) == ()
    assert codes_of(judge_site_authorisation(courier(review), again, DEFAULT_PACK)) == {"REVIEWED_ALREADY"}
    assert courier(review, again).reviews == {b"g" * 32: review.digest}
