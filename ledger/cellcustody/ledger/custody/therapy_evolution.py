"""What every act of a therapy changes in common: materials come into being, move, are used and end; holds open.

The rules of this module:

* Evolution reads the act and its judgement, never the policy and never another stream; it judges nothing and is total:
  what a body names and the state does not know is left alone.
* A nonconforming fact has effect where the physical world did change. Whoever acts without being the custodian has
  the thing from then on, while the custodian goes on answering for it.
* Every hard gate or gate in a nonconforming fact opens a hold on what the act touches, or on the therapy if that is
  nothing known. A finding that says the identifiers do not agree breaks the chain of identity besides.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.findings import is_blocking
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold, hold_id
from cellcustody.ledger.custody.therapy_judging import amount_of
from cellcustody.ledger.custody.therapy_state import (
    IdentityBreak,
    Life,
    MaterialState,
    TherapyState,
    custody_of,
)
from cellcustody.v1 import common_pb2 as common

__all__ = [
    "BREAKS_IDENTITY",
    "MATERIAL_ID_BYTES",
    "THERAPY_WIDE",
    "end_of",
    "has_code",
    "hold_over",
    "make_materials",
    "move_custody",
    "note_findings",
    "note_foreign",
    "take_out",
    "use_up",
]

MATERIAL_ID_BYTES = 16

# Findings after which nobody may rely on whose cells these are, until they are identified anew.
BREAKS_IDENTITY = frozenset(
    {
        "IDENTITY_MISMATCH",
        "IDENTIFIER_MISMATCH",
        "LABEL_MISMATCH",
        "OTHER_PATIENTS_MATERIAL",
        "SCAN_MISMATCH",
        "SCAN_UNREADABLE",
    }
)

# Findings that stop the whole course, whatever the act touches.
THERAPY_WIDE = frozenset({"CONSENT_WITHDRAWN"})


def has_code(judged: Judged, *codes: str) -> bool:
    """Tells whether one of these codes was found."""
    return any(finding.code in codes for finding in judged.findings)


def end_of(act: Act) -> int:
    """Returns when what the act tells was over, microseconds."""
    return act.occurred_start if act.occurred_end is None else act.occurred_end


def make_materials(
    state: TherapyState,
    act: Act,
    outputs: Iterable[common.NewMaterial],
    *,
    maker: UnitRef,
    custodian: UnitRef | None,
    parents: tuple[bytes, ...] = (),
    batch: bytes = b"",
    made_by_step: str = "",
    collected_at: int | None = None,
    din: str = "",
) -> tuple[bytes, ...]:
    """Lets new materials be, `maker` having them; an id that is taken stays what it was. Returns their ids."""
    ids = []
    for output in outputs:
        if len(output.material) != MATERIAL_ID_BYTES:
            continue
        ids.append(output.material)
        if output.material in state.materials:
            continue
        state.materials[output.material] = MaterialState(
            material=output.material,
            kind=output.kind,
            created_by=act.digest,
            created_at=end_of(act),
            custodian=custodian,
            possessor=maker,
            quantity=amount_of(output.quantity) if output.HasField("quantity") else None,
            dose=amount_of(output.dose) if output.HasField("dose") else None,
            component=output.component,
            product_code=output.product_code,
            division=output.division,
            din=din,
            made_by_step=made_by_step,
            parents=parents,
            batch=batch,
            collected_at=collected_at,
        )
        for parent in parents:
            known = state.materials.get(parent)
            if known is not None:
                known.children.append(output.material)
        opened = state.batches.get(batch)
        if opened is not None:
            opened.materials.append(output.material)
    return tuple(ids)


def use_up(state: TherapyState, act: Act, materials: Iterable[bytes], life: Life) -> None:
    """Ends materials; what has ended before keeps its first end."""
    for material in materials:
        found = state.materials.get(material)
        if found is not None and not found.life.has_ended:
            found.life = life
            found.ended_by = act.digest
            found.ended_at = end_of(act)


def take_out(state: TherapyState, material: MaterialState) -> None:
    """Takes a material out of its container; whoever answers for the container answers for it from now on."""
    if material.packed is not None:
        material.custodian, material.possessor = custody_of(state, material.material)
        material.packed = None


def move_custody(material: MaterialState, unit: UnitRef, *, is_custodian: bool) -> None:
    """Lets `unit` have the material, and answer for it if custody was the giver's to give."""
    if is_custodian:
        material.custodian = unit
    material.possessor = unit


def note_foreign(state: TherapyState, act: Act, judged: Judged, materials: Iterable[bytes]) -> None:
    """Notes which materials of another patient this therapy's act named, and what was made of them."""
    if has_code(judged, "OTHER_PATIENTS_MATERIAL"):
        named = tuple(materials)
        foreign = tuple(material for material in named if material not in state.materials)
        for material in foreign:
            state.foreign_materials.setdefault(material, act.digest)
        for material in named:
            made = state.materials.get(material)
            if made is not None and made.created_by == act.digest:
                made.foreign_parents = foreign


def hold_over(
    state: TherapyState, act: Act, code: str, materials: Iterable[bytes] = (), batches: Iterable[bytes] = ()
) -> None:
    """Opens the hold of one finding on what the state knows of these, or on the whole therapy."""
    known = frozenset(material for material in materials if material in state.materials)
    known_batches = frozenset(batch for batch in batches if batch in state.batches)
    scope = ScopeOfHold.MATERIAL if known else ScopeOfHold.BATCH if known_batches else ScopeOfHold.THERAPY
    state.open_hold(
        Hold(
            hold=hold_id(act.digest, code),
            code=code,
            statement_digest=act.digest,
            stream=act.stream,
            scope=scope,
            since=act.occurred_start,
            materials=known,
            batches=known_batches,
        )
    )


def note_findings(
    state: TherapyState, act: Act, judged: Judged, materials: Iterable[bytes], batches: Iterable[bytes]
) -> None:
    """Opens the holds of a nonconforming fact, and breaks the chain of identity where a finding says so."""
    if judged.status is not Status.NONCONFORMING:
        return
    named = tuple(materials)
    note_foreign(state, act, judged, named)
    for finding in judged.findings:
        if finding.code in BREAKS_IDENTITY:
            state.identity_breaks.append(IdentityBreak(finding.code, act.digest, act.occurred_start))
        if finding.code in THERAPY_WIDE:
            hold_over(state, act, finding.code)
        elif is_blocking(finding.code):
            hold_over(state, act, finding.code, named, batches)
