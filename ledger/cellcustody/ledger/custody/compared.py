"""Find cells that nobody compared with the therapy before they are taken in or opened.

The rules:

* Where the pack asks for it, each material was compared at that point of the process, at the site that acts: on
  receipt before it enters a batch, in process before its cells are opened.
* A check counts that broke no rule, and in which the chain of identity identifier was read or scanned: one that reads
  nothing has compared nothing.
* It is one of two persons, and the second had joined before anybody relies on it.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.scan_comparison import ScanKind
from cellcustody.ledger.custody.therapy_judging import Judging, same_coi
from cellcustody.ledger.custody.therapy_scans import kinds_scanned
from cellcustody.ledger.custody.therapy_state import MaterialState, TherapyState
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["check_compared", "names_course"]

# By point: how a pack names it among its required identity checks, and what is found where it is missing.
_ASKED: Final = {
    harvest.IDENTITY_POINT_RECEIPT: ("RECEIPT", "RECEIPT_CHECK_MISSING"),
    harvest.IDENTITY_POINT_PROCESS: ("PROCESS", "PROCESS_CHECK_MISSING"),
}


def names_course(state: TherapyState, checked: Act) -> bool:
    """Tells whether the chain of identity identifier was read or scanned at a check, and is the therapy's."""
    if isinstance(checked.body, harvest.IdentityChecked) and same_coi(checked.body.coi_read, state.coi):
        return True
    return ScanKind.COI in kinds_scanned(state, checked, ())


def check_compared(
    judging: Judging,
    material: MaterialState,
    field: int,
    point: harvest.IdentityPoint.ValueType = harvest.IDENTITY_POINT_PROCESS,
) -> None:
    """Finds, where the pack asks for it, that nobody compared the material at that point, or one person alone did."""
    asked, code = _ASKED[point]
    if asked not in judging.pack.required_identity_checks:
        return
    state = judging.state
    checks = [
        state.placed[check.digest]
        for check in state.identity_checks.values()
        if check.point == point
        and check.is_sound
        and check.site == judging.act.site
        and material.material in check.materials
    ]
    compared = [checked for checked in checks if names_course(state, checked)]
    if not compared:
        judging.find(code, field)
    elif not any(judging.is_joined(checked) for checked in compared):
        judging.find("SECOND_PERSON_MISSING", field)
