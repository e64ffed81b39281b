"""Judge and evolve the stream of one piece of equipment: what it is, until when it is fit, whether it may be used.

The rules:

* Equipment is registered once and first, with the asset identifier by which acts name it and the unit that owns it,
  by somebody of the owner's site.
* Its owner's site records calibrations and qualifications, and returns it to service when one is in force.
* Anybody may say that it is out of service, place a hold or raise a deviation. It is then not to be used from that
  moment on, until it is returned to service or the hold is lifted.
* Two streams may name the same asset by mistake; whoever uses it is held to what is said of either.

This module reads no clock, no network and no database. Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status, UnitRef
from cellcustody.ledger.custody.authorisations import News, check_common, evolve_common
from cellcustody.ledger.custody.common_acts import check_common_fact, named_by_common
from cellcustody.ledger.custody.findings import Findings, is_blocking
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.qualifications import (
    Qualification,
    QualificationKind,
    check_recorded,
    check_withdrawn,
    in_force,
    qualified,
    withdrawn,
)
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["EquipmentRules", "EquipmentState", "judge_equipment_authorisation"]

KINDS: Final = frozenset({QualificationKind.CALIBRATION, QualificationKind.EQUIPMENT})


@dataclass(frozen=True, slots=True)
class OutOfService:
    """A time in which equipment is not to be used; `until` is None while it lasts."""

    since: int
    by: bytes
    until: int | None = None


@dataclass(slots=True)
class EquipmentState(FoldState):
    """A piece of equipment as its acts leave it."""

    stream: bytes = b""
    asset: str = ""
    kind: str = ""
    owner: UnitRef | None = None
    registered_by: bytes | None = None
    qualifications: dict[bytes, Qualification] = field(default_factory=dict)
    outages: list[OutOfService] = field(default_factory=list)
    deviations: tuple[str, ...] = ()

    def in_force(self, at: int) -> tuple[Qualification, ...]:
        """Returns the calibrations and qualifications in force at a time."""
        return in_force(self.qualifications.values(), at, *KINDS)

    def is_in_service(self, at: int) -> bool:
        """Tells whether it was in service at a time, and no hold stands on it."""
        return not self.holds and not any(
            one.since <= at and (one.until is None or at < one.until) for one in self.outages
        )

    def is_fit(self, at: int) -> bool:
        """Tells whether it might be used at a time: in service, and calibrated or qualified."""
        return self.is_in_service(at) and bool(self.in_force(at))


class EquipmentRules:
    """The rules of one piece of equipment's stream, for `Fold`."""

    def __init__(self, stream: bytes, *, pack: PolicyPack = DEFAULT_PACK) -> None:
        self._stream = stream
        self._pack = pack

    def new_state(self) -> EquipmentState:
        """Returns the state of equipment of which nothing is known."""
        return EquipmentState(stream=self._stream)

    def opens(self, act: Act) -> bool:
        """Tells whether the act registers the equipment."""
        return isinstance(act.body, facilities.EquipmentRegistered)

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns what an act common to all streams names; no other fact about equipment names another."""
        return named_by_common(act)

    def check(self, state: EquipmentState, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in a fact, in order of code."""
        found = Findings()
        match act.body:
            case facilities.EquipmentRegistered() as body:
                if state.registered_by is not None:
                    found.add("EQUIPMENT_ALREADY_REGISTERED")
                if not body.asset or not body.kind:
                    found.add("EQUIPMENT_NAMELESS", act.leaves_of(1, 2))
                if body.owner.site != act.site:
                    found.add("SIGNED_FOR_ANOTHER_SITE", act.leaves_of(3))
            case facilities.EquipmentTakenOutOfService() | quality.HoldPlaced() | quality.DeviationRaised():
                if state.registered_by is None:
                    found.add("EQUIPMENT_NOT_REGISTERED")
            case _ if check_common_fact(state, act, self._pack, found):
                pass
            case _:
                found.add("BODY_NOT_OF_EQUIPMENT")
        return found.result()

    def evolve(self, state: EquipmentState, act: Act, judged: Judged) -> None:
        """Lets the act change the state, by its judgement alone."""
        match act.body:
            case facilities.EquipmentRegistered() as body if state.registered_by is None:
                state.registered_by = act.digest
                state.asset = body.asset
                state.kind = body.kind
                state.owner = UnitRef(body.owner.site, body.owner.unit)
            case facilities.EquipmentTakenOutOfService():
                state.outages.append(OutOfService(act.occurred_start, act.digest))
            case facilities.EquipmentReturnedToService():
                state.outages = [
                    OutOfService(one.since, one.by, act.occurred_start) if one.until is None else one
                    for one in state.outages
                ]
            case facilities.QualificationRecorded() as body:
                state.qualifications[act.digest] = qualified(act, body)
            case facilities.QualificationWithdrawn() as body:
                withdrawn(state.qualifications, act, body)
            case quality.HoldPlaced():
                _open(state, act, "HOLD_PLACED")
            case quality.DeviationRaised() as body:
                state.deviations = (*state.deviations, body.reference)
            case _:
                evolve_common(state, act, judged)
        if judged.status is Status.NONCONFORMING:
            for finding in judged.findings:
                if is_blocking(finding.code):
                    _open(state, act, finding.code)


def _open(state: EquipmentState, act: Act, code: str) -> None:
    state.open_hold(
        Hold(hold_id(act.digest, code), code, act.digest, state.stream, ScopeOfHold.EQUIPMENT, act.occurred_start)
    )


def judge_equipment_authorisation(
    state: EquipmentState, act: Act, pack: PolicyPack, news: Collection[News] = ()
) -> tuple[Finding, ...]:
    """Returns what the rules find in an authorisation against the equipment as it is now, in order of code."""
    if state.registered_by is None:
        return (Finding("EQUIPMENT_NOT_REGISTERED"),)
    found = Findings()
    check_common(state, act, pack, news, found)
    is_owners = state.owner is not None and state.owner.site == act.site
    match act.body:
        case facilities.QualificationRecorded() as body:
            check_recorded(act, body, KINDS, found)
            if not is_owners:
                found.add("EQUIPMENT_OF_ANOTHER")
        case facilities.QualificationWithdrawn() as body:
            check_withdrawn(state.qualifications, act, body, found)
        case facilities.EquipmentReturnedToService():
            if all(one.until is not None for one in state.outages):
                found.add("EQUIPMENT_IN_SERVICE")
            if not state.in_force(act.occurred_start):
                found.add("EQUIPMENT_NOT_QUALIFIED")
            if not is_owners:
                found.add("EQUIPMENT_OF_ANOTHER")
        case (
            quality.HoldLifted()
            | quality.StatementCorrected()
            | quality.StatementRetracted()
            | quality.DeviationClosed()
        ):
            pass
        case _:
            found.add("BODY_NOT_OF_EQUIPMENT")
    return found.result()
