"""Say every reason why a bag may not be infused now.

The rules:

* The reasons are those an InfusionStarted would meet at this moment, save the check at the bedside itself, which is
  still to come; none means ready. The answer is computed, never stored.
* A bag that is not thawed yet is not ready: the answer is about infusing, not about thawing. `STILL_TO_COME` are the
  reasons that pass by themselves or by what is done on the ward; a readiness certificate is given in spite of them.
* Readiness permits nothing. What permits is the check at the bedside by two persons.

Pure: the time is passed in, in microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.dose_plans import is_in_turn
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.leg_conditions import use_findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.return_checks import expires_at, lymphodepletion_codes
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND
from cellcustody.ledger.custody.therapy_state import Life, MaterialKind, TherapyState, custody_of
from cellcustody.ledger.custody.therapy_steps import breaks_order
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["STILL_TO_COME", "reasons"]

_INFUSION_STARTED: Final = returned.InfusionStarted.DESCRIPTOR.full_name
_AT_THE_BEDSIDE: Final = frozenset({"MaterialThawed", "BedsideChecked"})  # Steps that follow the question.
STILL_TO_COME: Final = frozenset({"LYMPHODEPLETION_TOO_RECENT", "NOT_THAWED"})


def reasons(state: TherapyState, material: bytes, now_micros: int, pack: PolicyPack) -> tuple[Finding, ...]:
    """Returns every reason against infusing `material` now, in order of code; empty if there is none."""
    found = Findings()
    if not state.is_enrolled:
        found.add("THERAPY_UNKNOWN")
    if state.identity_broken:
        found.add("IDENTITY_BROKEN")
    if not state.consent_in_force(harvest.CONSENT_SCOPE_INFUSION, now_micros):
        found.add("CONSENT_MISSING")
    for code in lymphodepletion_codes(state, pack, now_micros, is_infusion=True):
        found.add(code)
    if breaks_order(pack, _INFUSION_STARTED, state.steps_done | _AT_THE_BEDSIDE):
        found.add("STEP_OUT_OF_ORDER")
    bag = state.materials.get(material)
    if bag is None:
        found.add("MATERIAL_UNKNOWN")
        return found.result()
    if bag.kind != MaterialKind.PRODUCT:
        found.add("NOT_A_PRODUCT")
    if bag.life.has_ended:
        found.add("AFTER_TERMINAL_ACT")
    if bag.packed is not None:
        found.add("MATERIAL_PACKED")
    custodian, _ = custody_of(state, material)
    if state.treating_unit is not None and (custodian is None or custodian.site != state.treating_unit.site):
        found.add("NOT_CUSTODIAN")
    if not bag.is_released:
        found.add("NOT_RELEASED")
    if state.holds_on(material):
        found.add("HOLD_OPEN")
    else:
        for code in use_findings(state, pack, material):
            found.add(code)
    expiry = expires_at(bag)
    if expiry is not None and now_micros > expiry:
        found.add("EXPIRED")
    if bag.thawed_at is None:
        found.add("NOT_THAWED")
    elif (budget := pack.thaw_to_infusion_start_seconds) is not None and (
        now_micros - bag.thawed_at > budget * MICROS_PER_SECOND
    ):
        found.add("BUDGET_EXCEEDED")
    budget = pack.budgets.out_of_cryo_seconds
    spent = None if budget is None else out_of_cryo_micros(state, material, pack, now_micros)
    if budget is not None and spent is not None and spent > budget * MICROS_PER_SECOND:
        found.add("OUT_OF_CRYO_TOO_LONG")
    if bag.life is Life.PARTIALLY_INFUSED:
        found.add("ALREADY_INFUSED_FROM")
    if any(one.material == material and one.stopped_at is None for one in state.infusions.values()):
        found.add("INFUSION_RUNNING")
    if not is_in_turn(state, material):
        found.add("BAG_OUT_OF_TURN")
    return found.result()
