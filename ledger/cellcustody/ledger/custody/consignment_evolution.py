"""Let the acts of a consignment change its state, by their judgement alone.

The rules: what each act does, conforming or not.

* An opening makes the containers; its unit answers for them, unless it was signed for another site: then nobody does.
  A second opening changes nothing.
* A release moves nothing; it waits for an answer. Containers that the releaser did not answer for are its phantoms:
  that the releaser says to have them is noted, and their custody cannot pass by it.
* An acceptance by the named receiver answers the release: what is accepted is answered for and had by the receiver;
  what is refused stays with the releaser; what is not present stays with the releaser and nobody has it; what is extra
  the receiver has, and its custodian stays who it was.
* An acceptance by the wrong receiver, or of a release withdrawn, answered or retracted, moves possession alone: the
  releaser still answers, and an open release stays open. One signed for another site changes nothing.
* A refusal or withdrawal as a whole ends the release and moves nothing: who said to have a container still has it. One
  by somebody without standing, or of a release that is not open, changes nothing; neither does such a renaming.
* A report of possession moves possession alone. Custody established moves both; by a release that is open, custody of
  the containers settled cannot pass any more, and that of the others still can.
* A seal applied, a broken seal and a condition read are noted whoever says so, for they are in the world.
* Every gate found in a nonconforming fact opens a hold on the containers it concerns.

Nothing here judges: the code is total over every entry that a ledger may hold, and reads no policy.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.authorisations import evolve_common
from cellcustody.ledger.custody.consignment_readings import condition_over_leg, loggers_of
from cellcustody.ledger.custody.consignment_state import (
    ConsignmentState,
    ContainerState,
    LoggerReading,
    LoggerState,
    Release,
    ReleaseStatus,
    unit_ref,
)
from cellcustody.ledger.custody.consignment_touch import containers_found
from cellcustody.ledger.custody.consignment_transit import evolve_transit
from cellcustody.ledger.custody.findings import codes_of, is_blocking, leaves_in
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["evolve_consignment"]

# Findings with which an acceptance moves possession and leaves custody and the release as they are.
_POSSESSION_ONLY = frozenset(
    ("WRONG_RECEIVER", "RELEASE_WITHDRAWN", "RELEASE_ALREADY_ANSWERED", "NOT_A_RELEASE", "NAMES_RETRACTED")
)
# Findings with which a refusal, withdrawal or renaming has no effect.
_NO_EFFECT = _POSSESSION_ONLY | {"NOT_RELEASER", "SIGNED_FOR_ANOTHER_SITE"}
# Findings on a container's leaf with which custody of that container cannot pass by this release.
_PHANTOM = ("NOT_CUSTODIAN", "ALREADY_RELEASED", "UNKNOWN_CONTAINER")
_HOLD_PLACED = "HOLD_PLACED"
_NOTHING: frozenset[str] = frozenset()


def evolve_consignment(state: ConsignmentState, act: Act, judged: Judged) -> None:
    """Lets one act, a fact or an authorisation in effect, change the state."""
    codes = codes_of(judged.findings) if judged.findings else _NOTHING
    match act.body:
        case transport.ConsignmentOpened() as body:
            _opened(state, act, body, codes)
        case transport.CustodyReleased() as body:
            _released(state, act, body, judged)
        case transport.CustodyAccepted() as body:
            _accepted(state, act, body, codes)
        case transport.CustodyRefused() as body:
            _answered(state, act, body.release, ReleaseStatus.REFUSED, codes)
        case transport.ReleaseWithdrawn() as body:
            _answered(state, act, body.release, ReleaseStatus.WITHDRAWN, codes)
        case transport.ReceiverRenamed() as body:
            release = state.release_of(body.release)
            if release is not None and codes.isdisjoint(_NO_EFFECT):
                release.receiver = unit_ref(body.receiver)
        case transport.PossessionReported() as body:
            if "SIGNED_FOR_ANOTHER_SITE" not in codes:
                for container in _named(state, body.containers):
                    container.give_possession(unit_ref(body.possessor), act.occurred_start)
                    container.place = body.place
        case transport.CustodyEstablished() as body:
            _established(state, act, body)
        case transport.LoggerStarted() as body:
            for container in _named(state, (body.container,)):
                container.loggers[body.logger] = _logger(body)
        case transport.SealApplied() as body:
            for container in _named(state, (body.container,)):
                if container.has_broken_seal:
                    container.seals.clear()
                    container.has_broken_seal = False
                container.seals.add(body.seal)
        case transport.TransitCheckpointPassed() as body:
            _read_seals(state, body.seals)
            state.last_place = body.place
            for container in _named(state, body.containers):
                container.place = body.place
        case transport.DelayReported() as body:
            state.last_place = body.place
        case transport.ExcursionAlarmed() as body:
            for container in _named(state, (body.container,)):
                container.condition = common.CONDITION_OUT_OF_RANGE
        case transport.ReceiptInspected() as body:
            _inspected(state, act, body)
        case transport.ConsignmentClosed():
            if state.closed_by is None:
                state.closed_by = act.digest
                state.closed_at = act.occurred_start
        case quality.HoldPlaced() as body:
            _hold(state, act, _HOLD_PLACED, frozenset(body.scope.containers))
        case _:
            if not evolve_transit(state, act):
                evolve_common(state, act, judged)
    if judged.status is Status.NONCONFORMING:
        for finding in judged.findings:
            if is_blocking(finding.code):
                _hold(state, act, finding.code, containers_found(state, act, finding))


def _named(state: ConsignmentState, labels: Iterable[str]) -> list[ContainerState]:
    return [state.containers[label] for label in labels if label in state.containers]


def _hold(state: ConsignmentState, act: Act, code: str, containers: frozenset[str]) -> None:
    state.open_hold(
        Hold(
            hold_id(act.digest, code),
            code,
            act.digest,
            state.stream,
            ScopeOfHold.CONSIGNMENT,
            act.occurred_start,
            containers=containers,
        )
    )


def _opened(state: ConsignmentState, act: Act, body: transport.ConsignmentOpened, codes: frozenset[str]) -> None:
    if state.opened_by is not None:
        return
    state.opened_by = act.digest
    state.unit = unit_ref(body.unit)
    state.destination = unit_ref(body.destination) if body.HasField("destination") else None
    state.carrier = body.carrier
    state.consignment_number = body.consignment_number
    state.documents = frozenset(one.sha256 for one in body.documents)
    first = None if "SIGNED_FOR_ANOTHER_SITE" in codes else state.unit
    for one in body.containers:
        state.containers.setdefault(
            one.container,
            ContainerState(
                one.container,
                first,
                first,
                kind=one.kind,
                asset=one.asset,
                qualified_until=one.qualified_until_unix_micros,
                declared_logger=one.logger,
                coi=one.coi,
                coolant_until=one.coolant_until_unix_micros,
                custodian_since=act.occurred_start,
                possessor_since=act.occurred_start,
            ),
        )


def _released(state: ConsignmentState, act: Act, body: transport.CustodyReleased, judged: Judged) -> None:
    releaser = unit_ref(body.releaser)
    findings = judged.findings
    phantom: frozenset[str] = frozenset()
    if findings and not codes_of(findings).isdisjoint(_PHANTOM):
        leaves = leaves_in(findings, *_PHANTOM)
        if act.site != releaser.site or not leaves:
            phantom = frozenset(body.containers)
        else:
            each = zip(body.containers, act.leaves_of(3), strict=False)
            phantom = frozenset(label for label, leaf in each if leaf in leaves)
        not_theirs = leaves_in(findings, "NOT_CUSTODIAN")
        if act.site == releaser.site and not_theirs:
            each = zip(body.containers, act.leaves_of(3), strict=False)
            for container in _named(state, [label for label, leaf in each if leaf in not_theirs]):
                container.give_possession(releaser, act.occurred_start)
    state.releases[act.digest] = Release(
        act.digest,
        releaser,
        unit_ref(body.receiver),
        tuple(body.containers),
        act.occurred_start,
        phantom,
    )
    for container in _named(state, body.containers):
        if container.container not in phantom:
            container.release = act.digest
    _read_seals(state, body.seals)


def _accepted(state: ConsignmentState, act: Act, body: transport.CustodyAccepted, codes: frozenset[str]) -> None:
    _read_seals(state, body.seals)
    if "SIGNED_FOR_ANOTHER_SITE" in codes:
        return
    receiver = unit_ref(body.receiver)
    release = state.release_of(body.release)
    if release is None or not codes.isdisjoint(_POSSESSION_ONLY):
        for line in body.lines:
            if line.outcome in (common.LINE_OUTCOME_ACCEPTED, common.LINE_OUTCOME_EXTRA):
                for container in _named(state, (line.container,)):
                    container.give_possession(receiver, act.occurred_start)
        return
    _close_release(state, release, ReleaseStatus.ANSWERED, act)
    release.is_unsigned_by_receiver = body.HasField("attestation")
    for line in body.lines:
        found = state.containers.get(line.container)
        if found is None:
            if line.outcome == common.LINE_OUTCOME_NOT_PRESENT:
                continue
            found = state.containers[line.container] = ContainerState(line.container, None, None, is_declared=False)
        found.last_outcome = line.outcome
        _apply_line(found, release, receiver, line.outcome, act, body.HasField("attestation"))


def _apply_line(
    container: ContainerState,
    release: Release,
    receiver: UnitRef,
    outcome: common.LineOutcome.ValueType,
    act: Act,
    is_attested: bool,
) -> None:
    since = act.occurred_start
    is_released = container.container in release.containers
    match outcome:
        case common.LINE_OUTCOME_ACCEPTED if is_released and container.container not in release.phantom:
            container.give_custody(receiver, since)
            container.attested_by = act.digest if is_attested else None
        case common.LINE_OUTCOME_ACCEPTED | common.LINE_OUTCOME_EXTRA:
            container.give_possession(receiver, since)
        case common.LINE_OUTCOME_REFUSED:
            container.give_possession(release.releaser, since)
        case common.LINE_OUTCOME_NOT_PRESENT:
            container.give_possession(None, since)
        case _:
            pass  # Not stated: refused as wire form at ingest, and nothing is said of the container.


def _close_release(state: ConsignmentState, release: Release, status: ReleaseStatus, act: Act) -> None:
    release.status = status
    release.answered_by = act.digest
    release.answered_at = act.occurred_start
    for container in _named(state, release.containers):
        if container.release == release.digest:
            container.release = None


def _answered(state: ConsignmentState, act: Act, digest: bytes, status: ReleaseStatus, codes: frozenset[str]) -> None:
    release = state.release_of(digest)
    if release is None or release.status is not ReleaseStatus.OPEN or not codes.isdisjoint(_NO_EFFECT):
        return
    _close_release(state, release, status, act)


def _established(state: ConsignmentState, act: Act, body: transport.CustodyEstablished) -> None:
    custodian = unit_ref(body.custodian)
    for container in _named(state, body.containers):
        release = None if container.release is None else state.releases.get(container.release)
        if release is not None and release.status is ReleaseStatus.OPEN:
            release.phantom |= {container.container}
            if release.phantom.issuperset(release.containers):
                _close_release(state, release, ReleaseStatus.SETTLED, act)
        container.release = None
        container.attested_by = None
        container.give_custody(custodian, act.occurred_start)


def _logger(body: transport.LoggerStarted) -> LoggerState:
    return LoggerState(
        body.logger,
        body.calibrated_until_unix_micros,
        body.interval_seconds,
        body.band_min if body.HasField("band_min") else None,
        body.band_max if body.HasField("band_max") else None,
        body.grace_seconds,
    )


def _read_seals(state: ConsignmentState, readings: Iterable[common.SealReading]) -> None:
    for reading in readings:
        container = state.containers.get(reading.container)
        if container is not None and not reading.intact:
            container.has_broken_seal = True


def _inspected(state: ConsignmentState, act: Act, body: transport.ReceiptInspected) -> None:
    _read_seals(state, body.seals)
    summaries = {one.logger: one for one in body.loggers}
    for container in _named(state, body.containers):
        shown = []
        container.inspected_by = act.digest
        for logger in sorted(loggers_of(container)):
            summary = summaries.get(logger)
            if summary is None:
                shown.append(common.CONDITION_UNKNOWN)
                continue
            condition = condition_over_leg(act, container, summary)
            container.readings[logger] = LoggerReading(act.digest, act.occurred_start, summary, condition)
            shown.append(condition)
        if common.CONDITION_OUT_OF_RANGE in shown or container.condition == common.CONDITION_OUT_OF_RANGE:
            container.condition = common.CONDITION_OUT_OF_RANGE
        elif not shown or common.CONDITION_UNKNOWN in shown:
            container.condition = common.CONDITION_UNKNOWN
        else:
            container.condition = common.CONDITION_IN_RANGE
