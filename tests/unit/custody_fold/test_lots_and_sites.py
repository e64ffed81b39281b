"""The streams of lots and sites: registered, released, quarantined, recalled, on hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.lots import LotRules, LotStanding, LotState, judge_lot_authorisation
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.sites import SiteRules, SiteState, judge_site_authorisation
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

LOT = b"\x03" + bytes(16)
SITE = b"\x04" + bytes(16)
EXPIRY = 1_000


def act(body: Message, number: int, *, stream: bytes = LOT, in_effect: bool = False) -> Act:
    """Returns an act that occurs at this number of microseconds."""
    return Act(
        digest=bytes((number,)) * 32,
        stream=stream,
        leaf_index=number,
        body_type=body.DESCRIPTOR.full_name,
        body=body,
        signer=bytes(16),
        site=bytes(16),
        role="quality_reviewer",
        occurred_start=number,
        occurred_end=None,
        signed_at=number,
        is_authorisation=in_effect,
        in_effect_at=number if in_effect else None,
    )


REGISTERED = act(modification.LotRegistered(lot_number="V-1", kind="vector", expires_at_unix_micros=EXPIRY), 1)
HELD = act(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_LOT), grounds="titre"), 3)


def status(to: modification.LotStatus.ValueType, number: int) -> Act:
    """Returns quality's word on the lot, in effect."""
    return act(modification.LotStatusChanged(status=to), number, in_effect=True)


def lot(*acts: Act) -> Fold[LotState]:
    """Returns the fold of a lot's stream, delivered backwards."""
    fold = Fold(LotRules(LOT))
    for one in reversed(acts):
        fold.append(one)
    return fold


def test_a_registered_lot_is_usable_only_once_released_and_until_it_expires() -> None:
    """Registered is not released; at its expiry it is no longer usable."""
    assert not lot(REGISTERED).state.is_usable(5)
    released = lot(REGISTERED, status(modification.LOT_STATUS_RELEASED, 2)).state
    assert (released.lot_number, released.kind, released.standing) == ("V-1", "vector", LotStanding.RELEASED)
    assert released.is_usable(EXPIRY - 1)
    assert not released.is_usable(EXPIRY)


@pytest.mark.parametrize(
    "acts",
    [
        (status(modification.LOT_STATUS_QUARANTINED, 4),),
        (status(modification.LOT_STATUS_RECALLED, 4), status(modification.LOT_STATUS_RELEASED, 5)),
        (HELD,),
    ],
    ids=["quarantined", "recalled for good", "held"],
)
def test_a_lot_that_quality_stopped_is_not_usable(acts: tuple[Act, ...]) -> None:
    """Quarantine, recall and hold each stop it."""
    assert not lot(REGISTERED, status(modification.LOT_STATUS_RELEASED, 2), *acts).state.is_usable(9)


def test_a_lifted_hold_lets_the_lot_be_used() -> None:
    """The hold is lifted by its id."""
    lifted = act(quality.HoldLifted(holds=[hold_id(HELD.digest, "HOLD_PLACED")]), 4, in_effect=True)
    assert lot(REGISTERED, status(modification.LOT_STATUS_RELEASED, 2), HELD, lifted).state.is_usable(9)


def test_a_recalled_lot_is_not_released_again() -> None:
    """Quality's later word is refused."""
    recalled = lot(REGISTERED, status(modification.LOT_STATUS_RECALLED, 2)).state
    again = judge_lot_authorisation(recalled, status(modification.LOT_STATUS_RELEASED, 3), DEFAULT_PACK)
    assert codes_of(again) == {"LOT_RECALL_STANDS"}
    assert judge_lot_authorisation(recalled, status(modification.LOT_STATUS_RECALLED, 3), DEFAULT_PACK) == ()


def test_a_lot_is_registered_first_and_once_and_of_a_known_kind() -> None:
    """A hold before the registration waits; a second registration and an unknown kind are found."""
    waiting = lot(HELD)
    assert waiting.judged[HELD.digest].status is Status.AWAITING
    second = replace(REGISTERED, digest=bytes(32), occurred_start=2)
    strange = act(modification.LotRegistered(lot_number="X", kind="spell", expires_at_unix_micros=EXPIRY), 1)
    assert codes_of(lot(REGISTERED, second).judged[second.digest].findings) == {"LOT_ALREADY_REGISTERED"}
    found = lot(strange)
    assert codes_of(found.judged[strange.digest].findings) == {"LOT_KIND_UNKNOWN"}
    assert [hold.code for hold in found.state.holds.values()] == ["LOT_KIND_UNKNOWN"]
    unregistered = judge_lot_authorisation(lot().state, status(modification.LOT_STATUS_RELEASED, 3), DEFAULT_PACK)
    assert codes_of(unregistered) == {"LOT_NOT_REGISTERED"}


def test_a_lot_expires_by_itself_and_stays_recalled() -> None:
    """Nobody says that it expired; a recall outlasts the expiry and is told with its time."""
    released = lot(REGISTERED, status(modification.LOT_STATUS_RELEASED, 2)).state
    assert released.standing_at(EXPIRY - 1) is LotStanding.RELEASED
    assert released.standing_at(EXPIRY) is LotStanding.EXPIRED
    recalled = lot(REGISTERED, status(modification.LOT_STATUS_RECALLED, 4)).state
    assert recalled.standing_at(EXPIRY) is LotStanding.RECALLED
    assert recalled.recalled_at == 4
    assert released.recalled_at is None


def site(*acts: Act) -> Fold[SiteState]:
    """Returns the fold of a site's stream."""
    fold = Fold(SiteRules(SITE))
    for one in acts:
        fold.append(one)
    return fold


def test_a_site_is_on_hold_until_the_hold_is_lifted() -> None:
    """Placed, then lifted by an authorisation that names it."""
    placed = act(quality.HoldPlaced(grounds="inspection"), 1, stream=SITE)
    lifting = act(quality.HoldLifted(holds=[hold_id(placed.digest, "HOLD_PLACED")]), 2, stream=SITE, in_effect=True)
    assert site(placed).state.on_hold
    assert judge_site_authorisation(site(placed).state, lifting, DEFAULT_PACK) == ()
    assert codes_of(judge_site_authorisation(site().state, lifting, DEFAULT_PACK)) == {"HOLD_UNKNOWN"}
    assert not site(placed, lifting).state.on_hold


def test_a_site_takes_holds_and_deviations_only() -> None:
    """A deviation is noted; the registration of a lot has no place here and holds the site."""
    raised = act(quality.DeviationRaised(reference="D-1", description="freezer"), 1, stream=SITE)
    stray = replace(REGISTERED, stream=SITE, digest=bytes(32), occurred_start=2)
    fold = site(raised, stray)
    assert fold.state.deviations == ("D-1",)
    assert codes_of(fold.judged[stray.digest].findings) == {"BODY_NOT_OF_SITE"}
    assert fold.state.on_hold
    status_change = act(
        modification.LotStatusChanged(status=modification.LOT_STATUS_RECALLED), 3, stream=SITE, in_effect=True
    )
    assert codes_of(judge_site_authorisation(fold.state, status_change, DEFAULT_PACK)) == {"BODY_NOT_OF_SITE"}


def test_a_lot_takes_what_is_said_of_lots() -> None:
    """A checkpoint on a road has no place here and holds the lot; nor does custody established."""
    stray = act(transport.TransitCheckpointPassed(place="border"), 2)
    fold = lot(REGISTERED, stray)
    assert codes_of(fold.judged[stray.digest].findings) == {"BODY_NOT_OF_LOT"}
    assert [hold.code for hold in fold.state.holds.values()] == ["BODY_NOT_OF_LOT"]
    established = act(transport.CustodyEstablished(), 3, in_effect=True)
    assert codes_of(judge_lot_authorisation(fold.state, established, DEFAULT_PACK)) == {"BODY_NOT_OF_LOT"}
