"""Lots, sites, equipment and consignments take complaints, closed deviations and declined co-signatures alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message
from tests.unit.custody_facilities.test_equipment import OTHER, OWNER, OWNERS_UNIT, told

from cellcustody.ledger.custody.act import Act, Finding, Status
from cellcustody.ledger.custody.consignment_authorisations import judge_authorisation as judge_consignment
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.equipment import EquipmentRules, EquipmentState, judge_equipment_authorisation
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.lots import LotRules, LotState, judge_lot_authorisation
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.signatures import outstanding_in
from cellcustody.ledger.custody.sites import SiteRules, SiteState, judge_site_authorisation
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

OPENED: dict[str, tuple[bytes, list[Message]]] = {
    "lot": (
        b"\x03" + b"l" * 16,
        [modification.LotRegistered(lot_number="V-1", kind="vector", expires_at_unix_micros=1_000)],
    ),
    "site": (b"\x04" + OTHER, []),
    "equipment": (
        b"\x0a" + b"e" * 16,
        [facilities.EquipmentRegistered(asset="BIO-7", kind="bioreactor", owner=OWNERS_UNIT)],
    ),
    "consignment": (
        b"\x02" + b"c" * 16,
        [
            transport.ConsignmentOpened(
                unit=OWNERS_UNIT,
                destination=common.Unit(site=OTHER),
                containers=[common.Container(container="box", kind="box")],
            )
        ],
    ),
}


def fold_of(
    kind: str, acts: list[Act]
) -> Fold[LotState] | Fold[SiteState] | Fold[EquipmentState] | Fold[ConsignmentState]:
    """Returns the fold of a stream, delivered backwards."""
    stream, _ = OPENED[kind]
    fold: Fold[LotState] | Fold[SiteState] | Fold[EquipmentState] | Fold[ConsignmentState]
    match kind:
        case "lot":
            fold = Fold(LotRules(stream))
        case "site":
            fold = Fold(SiteRules(stream))
        case "equipment":
            fold = Fold(EquipmentRules(stream))
        case _:
            fold = Fold(ConsignmentRules(stream))
    for act in reversed(acts):
        fold.append(act)
    return fold


def judge(state: FoldState, act: Act) -> tuple[Finding, ...]:
    """Returns what is found in an authorisation."""
    match state:
        case LotState():
            return judge_lot_authorisation(state, act, DEFAULT_PACK)
        case SiteState():
            return judge_site_authorisation(state, act, DEFAULT_PACK)
        case EquipmentState():
            return judge_equipment_authorisation(state, act, DEFAULT_PACK)
        case ConsignmentState():
            return judge_consignment(state, act, DEFAULT_PACK)
        case _:
            raise AssertionError("another kind of state")


@pytest.mark.parametrize("kind", sorted(OPENED))
def test_a_deviation_is_raised_closed_and_complained_of(kind: str) -> None:
    """In any order of delivery; closed once."""
    stream, opening = OPENED[kind]
    acts = [told(body, 1, stream=stream) for body in opening]
    raised = told(quality.DeviationRaised(reference="D-1"), 2, stream=stream)
    closed = told(quality.DeviationClosed(deviation=raised.digest, capa_reference="C-1"), 3, stream=stream)
    complaint = told(quality.ComplaintRecorded(reference="B-1", deviation=raised.digest), 4, stream=stream)
    before = fold_of(kind, [*acts, raised]).state
    assert judge(before, closed) == ()
    fold = fold_of(kind, [*acts, raised, closed, complaint])
    assert fold.judged[complaint.digest].status is Status.CONFORMING
    assert fold.state.deviations_closed == {raised.digest: closed.digest}
    assert fold.state.complaints == {complaint.digest: "B-1"}
    assert not fold.state.holds
    again = told(quality.DeviationClosed(deviation=raised.digest), 5, stream=stream)
    assert codes_of(judge(fold.state, again)) == {"DEVIATION_CLOSED_ALREADY"}
    alone = fold_of(kind, [*acts, complaint])
    assert alone.judged[complaint.digest].status is Status.AWAITING


@pytest.mark.parametrize("kind", sorted(OPENED))
def test_declining_what_asks_for_nobody_is_shown_and_does_nothing(kind: str) -> None:
    """A deviation needs no second person."""
    stream, opening = OPENED[kind]
    acts = [told(body, 1, stream=stream) for body in opening]
    raised = told(quality.DeviationRaised(reference="D-1"), 2, stream=stream)
    said = told(quality.CoSignatureDeclined(declined=raised.digest), 3, stream=stream)
    fold = fold_of(kind, [*acts, raised, said])
    assert codes_of(fold.judged[said.digest].findings) == {"DECLINES_NOTHING"}
    assert fold.judged[said.digest].status is Status.CONFORMING
    assert not fold.state.declines


def test_custody_that_somebody_would_not_establish_waits_for_nobody() -> None:
    """It takes two persons in a consignment too."""
    stream, (opening,) = OPENED["consignment"]
    opened = told(opening, 1, stream=stream)
    body = transport.CustodyEstablished(custodian=common.Unit(site=OTHER), containers=["box"])
    done = told(body, 2, stream=stream)
    pending = replace(done, in_effect_at=None)
    fold: Fold[ConsignmentState] = Fold(ConsignmentRules(stream))
    fold.extend((opened, pending))
    assert [one.digest for one in outstanding_in(fold, DEFAULT_PACK)] == [pending.digest]
    fold.append(told(quality.CoSignatureDeclined(declined=pending.digest), 3, site=OWNER, stream=stream))
    assert not list(outstanding_in(fold, DEFAULT_PACK))
