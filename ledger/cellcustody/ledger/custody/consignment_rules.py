"""Check the acts of a consignment against the acts in front of them.

The rules, in the order they are checked:

* A consignment is opened first; until then its facts wait (CONSIGNMENT_UNKNOWN). After its closure no physical act
  follows. Who signs for a unit belongs to that unit's site. Containers named are containers it has.
* Only the accountable custodian of a container releases it, in one open release at a time; the count agrees and the
  seals read are those applied. A release by anybody else is a phantom: it moves nothing. A hold does not stop a
  release, for what is held must be returned.
* An answer names a release (RELEASE_UNKNOWN until it is there) that is still open. Only the receiver that the release
  names answers it, line by line: accepted, refused, not present, extra. Each released container has one line.
* A receiver without a key is attested for; custody that came so is passed on only after a second person has joined.
* Only the releaser withdraws a release or renames its receiver, and only before an answer.
* An attestation names the receiver by digest, and by a badge, a waybill or the seals that were read.
* Whoever has a container may say so. Where that disagrees with the custodian it is shown, never refused.
* Unknown is never in range: a container without a logger, a logger without a summary of the whole leg, one with gaps or
  with nothing but a minimum and a maximum leaves the condition unknown.

Every fact is checked; none is lost. What effect a nonconforming one has stands in `consignment_evolution`.
This module reads no clock, no network and no database: everything it needs is passed in.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Finding, Judged, UnitRef
from cellcustody.ledger.custody.common_acts import check_common_fact, named_by_common
from cellcustody.ledger.custody.consignment_checks import by_custodian, known, signed_for
from cellcustody.ledger.custody.consignment_evolution import evolve_consignment
from cellcustody.ledger.custody.consignment_readings import check_loggers, check_seals
from cellcustody.ledger.custody.consignment_state import (
    ConsignmentState,
    Release,
    ReleaseStatus,
    unit_ref,
)
from cellcustody.ledger.custody.consignment_touch import containers_touched
from cellcustody.ledger.custody.consignment_transit import (
    check_coolant_on_receipt,
    check_documents,
    check_numbers,
    check_transit,
    consignment_scan_findings,
)
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.overrides import let_pass
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["ConsignmentRules", "is_receiver"]

MICROS_PER_SECOND = 1_000_000
_DIGEST_BYTES = 32


def is_receiver(named: UnitRef, answering: UnitRef) -> bool:
    """Tells whether a unit may answer a release that names `named`: same site and, where one is named, same unit."""
    return named.site == answering.site and (not named.unit or named.unit == answering.unit)


class ConsignmentRules:
    """The rules of one consignment's stream, for `Fold`; `stream` may be left out where they only evolve."""

    def __init__(self, stream: bytes = b"", *, pack: PolicyPack = DEFAULT_PACK) -> None:
        self._stream = stream
        self._pack = pack

    def new_state(self) -> ConsignmentState:
        """Returns the state of a consignment of which nothing is known."""
        return ConsignmentState(stream=self._stream)

    def opens(self, act: Act) -> bool:
        """Tells whether the act opens the consignment."""
        return isinstance(act.body, transport.ConsignmentOpened)

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns the digest of the release that an answer, a withdrawal or a renaming names."""
        body = act.body
        if isinstance(
            body,
            transport.CustodyAccepted
            | transport.CustodyRefused
            | transport.ReleaseWithdrawn
            | transport.ReceiverRenamed,
        ):
            return frozenset((body.release,))
        return named_by_common(act)

    def check(self, state: ConsignmentState, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in a fact, in order of code."""
        if isinstance(act.body, transport.ConsignmentOpened):
            found = Findings()
            _check_opened(state, act, act.body, found)
            return found.result()
        if state.opened_by is None:
            return (Finding("CONSIGNMENT_UNKNOWN"),)
        found = Findings()
        _check_body(state, act, self._pack, found)
        for one in consignment_scan_findings(state, act):
            found.add(one.code, one.leaves)
        result = found.result()
        if not state.overrides or not result:
            return result
        touched = containers_touched(state, act)
        return let_pass(result, state.overrides, act.occurred_start, containers=touched)

    def evolve(self, state: ConsignmentState, act: Act, judged: Judged) -> None:
        """Lets the act change the state, by its judgement alone."""
        evolve_consignment(state, act, judged)


def _check_body(state: ConsignmentState, act: Act, pack: PolicyPack, found: Findings) -> None:
    body = act.body
    if isinstance(body, quality.DeviationRaised | quality.HoldPlaced):
        known(state, body.scope.containers, act.leaves_of(2) * len(body.scope.containers), found)
        return
    if isinstance(body, transport.PossessionReported):
        _check_possession(state, act, body, found)
        return
    if check_common_fact(state, act, pack, found):
        return
    if state.closed_by is not None:
        found.add("AFTER_CLOSURE")
    match body:
        case transport.CustodyReleased():
            _check_released(state, act, body, found)
        case transport.CustodyAccepted():
            _check_accepted(state, act, body, pack, found)
        case transport.CustodyRefused():
            _check_refused(state, act, body, found)
        case transport.ReleaseWithdrawn():
            _open_release_of_signer(state, act, body.release, found)
        case transport.ReceiverRenamed():
            _open_release_of_signer(state, act, body.release, found)
        case transport.LoggerStarted():
            by_custodian(state, act, (body.container,), act.leaves_of(1), "NOT_BY_CUSTODIAN", found)
            if body.calibrated_until_unix_micros < act.occurred_start:
                found.add("LOGGER_CALIBRATION_LAPSED", act.leaves_of(2, 3))
        case transport.SealApplied():
            _check_sealed(state, act, body, found)
        case transport.TransitCheckpointPassed():
            by_custodian(state, act, body.containers, act.leaves_of(2), "NOT_BY_CUSTODIAN", found)
            check_seals(state, act, body.seals, 3, (), found)
        case transport.DelayReported():
            pass
        case transport.ExcursionAlarmed():
            known(state, (body.container,), act.leaves_of(1), found)
            found.add("EXCURSION_ALARMED", act.leaves_of(1, 2, 3))
        case transport.ReceiptInspected():
            _check_inspected(state, act, body, found)
        case transport.ConsignmentClosed():
            signed_for(act, body.unit, 1, found)
            if any(one.status is ReleaseStatus.OPEN for one in state.releases.values()):
                found.add("RELEASE_OPEN_AT_CLOSURE")
        case _ if check_transit(state, act, found):
            pass
        case _:
            found.add("BODY_NOT_OF_CONSIGNMENT")


# What several acts have in common ---------------------------------------------------------------------------------


def _open_release(state: ConsignmentState, act: Act, digest: bytes, found: Findings) -> Release | None:
    """Returns the release an act names; finds one that is not there yet, is no release, or is no longer open."""
    release = state.release_of(digest)
    if release is None:
        named = state.placed.get(state.current(digest))
        if named is not None and not isinstance(named.body, transport.CustodyReleased):
            found.add("NOT_A_RELEASE", act.leaves_of(1))
        elif state.current(digest) not in state.retracted:  # The fold itself finds what names a retracted fact.
            found.add("RELEASE_UNKNOWN", act.leaves_of(1))
        return None
    if release.status is ReleaseStatus.WITHDRAWN:
        found.add("RELEASE_WITHDRAWN", act.leaves_of(1))
    elif release.status is not ReleaseStatus.OPEN:
        found.add("RELEASE_ALREADY_ANSWERED", act.leaves_of(1))
    return release


def _open_release_of_signer(state: ConsignmentState, act: Act, digest: bytes, found: Findings) -> None:
    release = _open_release(state, act, digest, found)
    if release is not None and act.site != release.releaser.site:
        found.add("NOT_RELEASER", act.leaves_of(1))


# One rule for each act --------------------------------------------------------------------------------------------


def _check_opened(state: ConsignmentState, act: Act, body: transport.ConsignmentOpened, found: Findings) -> None:
    if state.opened_by is not None:
        found.add("ALREADY_OPENED")
    signed_for(act, body.unit, 1, found)
    labels = [one.container for one in body.containers]
    if not labels or "" in labels or len(set(labels)) != len(labels):
        found.add("CONTAINERS_NOT_DISTINCT", act.leaves_of(3))
    check_numbers(act, body, found)


def _check_released(state: ConsignmentState, act: Act, body: transport.CustodyReleased, found: Findings) -> None:
    releaser = unit_ref(body.releaser)
    if act.site != releaser.site:
        found.add("NOT_CUSTODIAN", act.leaves_of(1))
    for container, leaf in known(state, body.containers, act.leaves_of(3), found):
        if container.custodian is None or not is_receiver(container.custodian, releaser):
            found.add("NOT_CUSTODIAN", leaf)
        elif container.release is not None:
            found.add("ALREADY_RELEASED", leaf)
        elif container.attested_by is not None:
            attested = state.placed.get(container.attested_by)
            if attested is None or not state.others_who_signed(attested):
                found.add("ATTESTATION_UNWITNESSED", leaf)
        if container.is_disputed:
            found.add("POSSESSION_DISPUTED", leaf)
        if state.holds and state.holds_on(container.container):
            found.add("RELEASED_ON_HOLD", leaf)
    if body.count != len(set(body.containers)) or len(set(body.containers)) != len(body.containers):
        found.add("COUNT_MISMATCH", act.leaves_of(3, 4))
    check_seals(state, act, body.seals, 5, body.containers, found)


def _check_accepted(
    state: ConsignmentState, act: Act, body: transport.CustodyAccepted, pack: PolicyPack, found: Findings
) -> None:
    release = _open_release(state, act, body.release, found)
    if body.HasField("attestation"):
        found.add("UNSIGNED_BY_RECEIVER", act.leaves_of(6))
        _check_attestation(act, body, found)
        if act.site != body.receiver.site and release is not None and act.site != release.releaser.site:
            found.add("SIGNED_FOR_ANOTHER_SITE", act.leaves_of(2))  # Only the two at the handoff can attest to it.
    else:
        signed_for(act, body.receiver, 2, found)
    lines = act.leaves_of(3)
    answered: set[str] = set()
    accepted: list[str] = []
    released = frozenset() if release is None else frozenset(release.containers)
    for index, line in enumerate(body.lines):
        leaf = lines[index : index + 1]
        label = line.container
        if label in answered:
            found.add("LINE_REPEATED", leaf)
        answered.add(label)
        if line.outcome == common.LINE_OUTCOME_ACCEPTED:
            accepted.append(label)
        if line.outcome == common.LINE_OUTCOME_NOT_PRESENT:
            found.add("CONTAINER_NOT_PRESENT", leaf)
        elif line.outcome == common.LINE_OUTCOME_EXTRA or (release is not None and label not in released):
            found.add("EXTRA_CONTAINER", leaf)
        elif release is not None and label in release.phantom:
            found.add("RELEASE_NOT_BY_CUSTODIAN", leaf)
    if body.count != len(set(accepted)):
        found.add("COUNT_MISMATCH", act.leaves_of(3, 4))
    check_seals(state, act, body.seals, 5, accepted, found)
    if release is None:
        return
    if not is_receiver(release.receiver, unit_ref(body.receiver)):
        found.add("WRONG_RECEIVER", act.leaves_of(2))
    if not released <= answered:
        found.add("LINE_MISSING", lines)
    if act.occurred_start - release.released_at > pack.handoff_acceptance_seconds * MICROS_PER_SECOND:
        found.add("ACCEPTED_LATE", act.leaves_of(1))


def _check_attestation(act: Act, body: transport.CustodyAccepted, found: Findings) -> None:
    """Finds an attestation by which nobody could find the receiver again."""
    attested = body.attestation
    if len(attested.name_sha256) != _DIGEST_BYTES or not (attested.badge or attested.waybill or body.seals):
        found.add("ATTESTATION_EMPTY", act.leaves_of(6))


def _check_refused(state: ConsignmentState, act: Act, body: transport.CustodyRefused, found: Findings) -> None:
    release = _open_release(state, act, body.release, found)
    signed_for(act, body.receiver, 2, found)
    if release is not None and not is_receiver(release.receiver, unit_ref(body.receiver)):
        found.add("WRONG_RECEIVER", act.leaves_of(2))


def _check_possession(state: ConsignmentState, act: Act, body: transport.PossessionReported, found: Findings) -> None:
    signed_for(act, body.possessor, 1, found)
    if body.materials:
        found.add("BODY_NOT_OF_CONSIGNMENT", act.leaves_of(3))  # Materials are named in a therapy's stream only.
    for container, leaf in known(state, body.containers, act.leaves_of(2), found):
        if container.custodian is None or container.custodian.site != body.possessor.site:
            found.add("POSSESSION_DISPUTED", leaf)


def _check_sealed(state: ConsignmentState, act: Act, body: transport.SealApplied, found: Findings) -> None:
    by_custodian(state, act, (body.container,), act.leaves_of(1), "SEALED_BY_OTHERS", found)
    for other in state.containers.values():
        if other.container != body.container and body.seal in other.seals:
            found.add("SEAL_REUSED", act.leaves_of(2))


def _check_inspected(state: ConsignmentState, act: Act, body: transport.ReceiptInspected, found: Findings) -> None:
    signed_for(act, body.unit, 1, found)
    by_custodian(state, act, body.containers, act.leaves_of(2), "NOT_BY_CUSTODIAN", found)
    check_seals(state, act, body.seals, 3, (), found)
    check_documents(state, act, body, found)
    inspected = known(state, body.containers, act.leaves_of(2), found)
    for container, leaf in inspected:
        check_coolant_on_receipt(act, container, leaf, found)
        if not container.qualified_until:
            found.add("SHIPPER_QUALIFICATION_UNKNOWN", leaf)
        elif container.qualified_until < act.occurred_start:
            found.add("SHIPPER_NOT_QUALIFIED", leaf)
        for logger in container.loggers.values():
            if logger.calibrated_until < act.occurred_start:
                found.add("LOGGER_CALIBRATION_LAPSED", leaf)
    check_loggers(act, body, inspected, found)
