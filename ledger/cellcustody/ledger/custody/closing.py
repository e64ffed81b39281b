"""Judge closing, reopening and handing on a therapy's record, and a physician's word on a breached bag.

The rules:

* A therapy is closed when nothing of it is open: every bag and sample has ended, every infusion has stopped, nothing
  is under way or unanswered, no hold stands, no label is unaccounted for, no result is open, every destruction was
  witnessed. A refusal names all that is open, by kind and id (`open_matters`). It says until when the record is kept,
  which lies ahead.
* A closed therapy is reopened with a reason, naming the closure.
* The record passes from the site that keeps it, or from the treating site where that is gone, to another, whose person
  co-signs. A full copy goes with it, named by digest, with the size and root of the log that it reaches to.
* A bag that was not whole after its thaw is to be used only under a culture, from a sample of that very bag, and with a
  deviation raised about it. Quality lifts the hold after that, and not before.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.after_infusion import late_results
from cellcustody.ledger.custody.back_entry import unattested
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_judging import co_signers_min
from cellcustody.ledger.custody.therapy_state import MaterialKind, TherapyState
from cellcustody.v1 import return_pb2 as returned

__all__ = [
    "OpenMatter",
    "check_breach_decided",
    "check_breach_lifted",
    "check_closed",
    "check_record_passed",
    "check_reopened",
    "joining_site",
    "open_matters",
]

_DIGEST_BYTES: Final = 32
_SITE_BYTES: Final = 16
_SAMPLES: Final = frozenset({MaterialKind.SAMPLE, MaterialKind.RETAIN})
_DESTROYED: Final = returned.MaterialDestroyed.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True, order=True)
class OpenMatter:
    """One thing that keeps a therapy open: the finding's code, what kind of thing it is, and its id as shown."""

    code: str
    kind: str
    id: str


# What is open.


def open_matters(state: TherapyState, pack: PolicyPack) -> tuple[OpenMatter, ...]:
    """Returns all that keeps the therapy from being closed, in order of code, kind and id."""
    return tuple(sorted(set(_open_matters(state, pack))))


def _open_matters(state: TherapyState, pack: PolicyPack) -> Iterator[OpenMatter]:
    for material in state.materials.values():
        if material.life.has_ended:
            continue
        if material.kind in _SAMPLES:
            yield OpenMatter("SAMPLES_NOT_ENDED", "sample", material.material.hex())
        else:
            yield OpenMatter("MATERIALS_NOT_ENDED", "bag", material.material.hex())
        if material.packed is not None:
            yield OpenMatter("HANDOFF_OPEN", "packed", material.material.hex())
    for hold in state.holds.values():
        yield OpenMatter("HOLD_OPEN", "hold", hold.hold.hex())
    for material in state.materials.values():
        for journey in material.journeys:
            consignment = state.consignments.get(journey.consignment)
            if consignment is not None:
                for hold in consignment.holds_on(journey.container):
                    if (material.material, hold.hold) in state.disposed:
                        continue  # Quality decided about this bag's condition.
                    yield OpenMatter("HOLD_OPEN", "hold", hold.hold.hex())
    for act in unattested(state, state.stream):
        yield OpenMatter("BACK_ENTRY_UNWITNESSED", "statement", act.digest.hex())
    for infusion in state.infusions.values():
        if infusion.stopped_at is None:
            yield OpenMatter("INFUSION_NOT_STOPPED", "infusion", infusion.started_by.hex())
    for consignment in state.consignments.values():
        for release in consignment.open_releases():
            yield OpenMatter("HANDOFF_OPEN", "release", release.digest.hex())
    for late in late_results(state):
        if not late.is_acknowledged:
            yield OpenMatter("RESULTS_OPEN", "late result", late.result.hex())
    for batch in state.batches.values():
        for test in batch.open_items:
            yield OpenMatter("RESULTS_OPEN", "test", test)
    yield from _unwitnessed(state, pack)


def _unwitnessed(state: TherapyState, pack: PolicyPack) -> Iterator[OpenMatter]:
    needed = pack.co_signing_for(_DESTROYED, co_signers_min(_DESTROYED)).number
    for material in state.materials.values():
        ended = state.placed.get(material.ended_by)
        if ended is not None and ended.body_type == _DESTROYED:
            joined = {one.person for one in state.others_who_signed(ended)}
            if len(joined) < needed:
                yield OpenMatter("WITNESS_MISSING", "destruction", ended.digest.hex())


# Closing and reopening.


def check_closed(
    state: TherapyState, act: Act, body: returned.TherapyClosed, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against closing the therapy."""
    if state.closed:
        found.add("ALREADY_CLOSED")
    if not body.kept_until_unix_micros:
        found.add("RETENTION_NOT_STATED")
    elif body.kept_until_unix_micros <= act.occurred_start:
        found.add("KEPT_WITHOUT_DATE", act.leaves_of(1))
    for matter in open_matters(state, pack):
        found.add(matter.code)


def check_reopened(state: TherapyState, act: Act, body: returned.TherapyReopened, found: Findings) -> None:
    """Adds what stands against reopening the therapy."""
    if not state.closed or state.closed_by != body.closed:
        found.add("THERAPY_NOT_CLOSED", act.leaves_of(1))
    if not body.circumstances.reason:
        found.add("REASON_MISSING", act.leaves_of(51))


# The record.


def joining_site(body: Message | None) -> bytes | None:
    """Returns the site whose person must join an authorisation, or None where any site's may."""
    return body.custodian_of_record if isinstance(body, returned.CustodianOfRecordChanged) else None


def check_record_passed(
    state: TherapyState, act: Act, body: returned.CustodianOfRecordChanged, found: Findings
) -> None:
    """Adds what stands against passing the record to another site."""
    entitled = {state.custodian_of_record}
    if state.treating_unit is not None:
        entitled.add(state.treating_unit.site)
    if act.site not in entitled:
        found.add("NOT_CUSTODIAN_OF_RECORD")
    if len(body.custodian_of_record) != _SITE_BYTES or body.custodian_of_record == state.custodian_of_record:
        found.add("RECORD_NOT_PASSED", act.leaves_of(1))
    elif body.custodian_of_record == act.site:
        found.add("RECORD_TAKEN_ALONE", act.leaves_of(1))
    if (
        len(body.copy_sha256) != _DIGEST_BYTES
        or len(body.checkpoint_root) != _DIGEST_BYTES
        or not 0 < body.checkpoint_size <= act.leaf_index
    ):
        found.add("COPY_NOT_STATED", act.leaves_of(2, 3, 4))
    if not body.circumstances.reason:
        found.add("REASON_MISSING", act.leaves_of(51))


# A bag that was not whole.


def check_breach_decided(state: TherapyState, act: Act, body: returned.BreachDecided, found: Findings) -> None:
    """Adds what stands against a physician's decision about a breached bag."""
    thawed = state.placed.get(state.current(body.thawed))
    if thawed is None:
        found.add("PREDECESSOR_MISSING", act.leaves_of(1))
        return
    if not isinstance(thawed.body, returned.MaterialThawed):
        found.add("OTHER_STATEMENT_NAMED", act.leaves_of(1))
        return
    if thawed.body.intact:
        found.add("NOT_BREACHED", act.leaves_of(1))
    if body.decision == returned.BREACH_DECISION_UNSPECIFIED:
        found.add("DECISION_MISSING")
    if body.decision != returned.BREACH_DECISION_USE:
        return
    bag = thawed.body.material
    sample = state.materials.get(body.culture_sample)
    if (
        sample is None
        or sample.kind != MaterialKind.SAMPLE
        or all(one.material != bag for one in state.line_of(body.culture_sample))
    ):
        found.add("CULTURE_MISSING", act.leaves_of(3))
    breached = state.materials.get(bag)
    batch = b"" if breached is None else breached.batch
    if not any(
        one.digest == state.current(body.deviation)
        and (bag in one.materials or batch in one.batches or not (one.materials or one.batches))
        for one in state.deviations
    ):
        found.add("DEVIATION_MISSING", act.leaves_of(4))


def check_breach_lifted(state: TherapyState, code: str, statement: bytes) -> bool:
    """Tells whether the hold that `code` of this statement opened may be lifted as far as a breach goes."""
    if code != "BAG_BREACHED":
        return True
    held_by = state.placed.get(statement)
    if held_by is None or not isinstance(held_by.body, returned.MaterialThawed):
        return True  # Found on receipt, before the thaw: quality's alone.
    decided = state.treatment.breaches.get(statement)
    return decided is not None and decided.is_to_be_used
