"""Facts that every kind of stream takes besides holds and deviations: complaints, and co-signatures declined.

The rules:

* A complaint is noted and holds nothing; whoever wants something held places a hold. It names the deviation that it
  led to, if any.
* Who declines says so of a statement of the stream that is no co-signature. A pending authorisation ends with it, and
  nobody joins it any more: its signer signs a new one. The signer may decline too, and so takes the word back.
* Somebody in a role that the pack does not ask to join has no say: declining is then shown and ends nothing.
* An authorisation in effect stays in effect, and a fact stays what it was.

This module reads no clock, no network and no database.
"""

from __future__ import annotations

from functools import lru_cache

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.back_entry import co_signing_of
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.fold_state import CoSigner, FoldState
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["check_common_fact", "co_signers_min", "evolve_common_fact", "named_by_common"]

_NO_SAY = frozenset({"DECLINED_WITHOUT_SAY", "DECLINES_NOTHING"})


@lru_cache(maxsize=256)  # Every body of the contract, and then some.
def co_signers_min(body_type: str) -> int:
    """Returns the count of co-signatures that the contract wants on a body, which no pack goes below."""
    body = BODIES.get(body_type)
    return 0 if body is None else body.co_signers_min


def named_by_common(act: Act) -> frozenset[bytes]:
    """Returns the digests that a fact common to all streams names."""
    match act.body:
        case quality.CoSignatureDeclined() as body:
            named = body.declined
        case quality.ComplaintRecorded() as body:
            named = body.deviation
        case _:
            return frozenset()
    return frozenset((named,)) if named else frozenset()


def check_common_fact(state: FoldState, act: Act, pack: PolicyPack, found: Findings) -> bool:
    """Adds what the rules find in a fact common to all streams; tells whether it is one."""
    match act.body:
        case quality.CoSignatureDeclined() as body:
            joined = state.placed.get(state.current(body.declined))
            if joined is None or joined.joins is not None or joined.body_type == act.body_type:
                found.add("DECLINES_NOTHING", act.leaves_of(1))
                return True
            asked = co_signing_of(pack, joined.body_type, joined.body, co_signers_min(joined.body_type))
            if not asked.number:
                found.add("DECLINES_NOTHING", act.leaves_of(1))
            elif act.signer != joined.signer and asked.roles and act.role not in asked.roles:
                found.add("DECLINED_WITHOUT_SAY", act.leaves_of(1))
        case quality.ComplaintRecorded() as body:
            raised = state.placed.get(state.current(body.deviation)) if body.deviation else None
            if raised is not None and not isinstance(raised.body, quality.DeviationRaised):
                found.add("OTHER_STATEMENT_NAMED", act.leaves_of(4))
        case _:
            return False
    return True


def evolve_common_fact(state: FoldState, act: Act, judged: Judged) -> bool:
    """Lets a fact common to all streams have its effect; tells whether it is one."""
    match act.body:
        case quality.CoSignatureDeclined() as body:
            if judged.status is Status.CONFORMING and all(one.code not in _NO_SAY for one in judged.findings):
                said = CoSigner(act.signer, act.site, act.role, act.signed_at, act.digest)
                state.declines.setdefault(state.current(body.declined), []).append(said)
        case quality.ComplaintRecorded() as body:
            state.complaints[act.digest] = body.reference
        case _:
            return False
    return True
