"""What became of what: the tree of a therapy's materials, and the labels on them.

The rules:

* Every material stands in the tree with its parents and children; one that was not collected and has no parent known is
  an orphan, one that nobody has and that has not ended is missing.
* Quantities add up only where all are known and in one unit; whether they had to is the rules' word, told as found.
* That no event mixes two patients is shown by the absence of statements found to do so; those found are listed.
* Labels are counted by serial number where they have one; the difference is what was printed and is nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.genealogy import Orphaned, orphans, units_agree
from cellcustody.ledger.custody.therapy_state import Amount, custody_of
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.messages import material_custody
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import common_pb2
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import labels_pb2 as labels_of
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["genealogy", "labels"]

MIXING: Final = frozenset(
    {
        "OTHER_PATIENTS_MATERIAL",
        "MATERIAL_CLAIMED_TWICE",
        "BATCH_CLAIMED_TWICE",
        "PROCESS_AREA_SHARED",
        "CONTAINER_SHARED_OPEN",
    }
)
_AGAINST_BALANCE: Final = frozenset(
    {
        "VOLUME_IMBALANCE",
        "UNIT_MISMATCH",
        "QUANTITY_UNKNOWN",
        "QUANTITY_NOT_MEASURED",
        "YIELD_UNKNOWN",
        "YIELD_IMPLAUSIBLE",
        "CONTAINER_IMBALANCE",
        "CONTAINERS_NOT_COUNTED",
    }
)
_DIGITS_MAX: Final = 6  # Of a fraction that no decimal number is equal to.


def genealogy(answer: pb.InspectGenealogyResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the tree of a therapy."""
    state = account.therapy
    if state is None:
        return
    for material in state.materials.values():
        node = answer.materials.add(
            custody=material_custody(state, account.stream, material),
            children=dict.fromkeys(material.children),
            foreign_parents=material.foreign_parents,
        )
        for digest, place in ((material.created_by, node.created_by), (material.ended_by, node.ended_by)):
            if digest in account.told:
                place.CopyFrom(bare(account.told[digest]))
        _, possessor = custody_of(state, material.material)
        if possessor is None and not material.life.has_ended:
            answer.missing.append(material.material)
    loose = (one.material for one in orphans(state) if one.why is not Orphaned.NOT_ENDED)
    answer.orphans.extend(dict.fromkeys(loose))
    held: dict[bytes, Amount] = {}  # What each material had when the event began.
    for told in account.own():
        codes = {finding.code for finding in account.latest[told.act.digest].judged.findings}
        if codes & MIXING:
            answer.mixing.append(bare(told))
        balance = _balance(told, held)
        held.update(_stated(told.act.body))
        if balance is not None:
            balance.balanced = not codes & _AGAINST_BALANCE
            answer.balances.append(balance)


def _stated(body: Message | None) -> dict[bytes, Amount]:
    """Returns what an event says that materials have from it on."""
    made: object = getattr(body, "outputs", ())
    found = {
        one.material: _amount(one.quantity)
        for one in (made if isinstance(made, Iterable) else ())
        if isinstance(one, common_pb2.NewMaterial) and one.HasField("quantity")
    }
    match body:
        case modification.MaterialPooled() if body.output.HasField("quantity"):
            found[body.output.material] = _amount(body.output.quantity)
        case modification.MaterialDivided() | returned.MaterialReconstituted() if body.HasField("left"):
            found[body.material] = _amount(body.left)
        case _:
            pass
    return found


def _balance(told: Told, held: dict[bytes, Amount]) -> pb.BalanceRecord | None:
    body = told.act.body
    out: list[common_pb2.Quantity] = []
    conserving = True
    match body:
        case modification.MaterialDivided() | returned.MaterialReconstituted():
            inputs, outputs = [body.material], [one.material for one in body.outputs]
            out = [one.quantity for one in body.outputs]
            out += [one for one, has in ((body.left, body.HasField("left")), (body.lost, body.HasField("lost"))) if has]
        case modification.MaterialPooled():
            inputs, outputs, out = list(body.inputs), [body.output.material], [body.output.quantity]
            out += [body.lost] if body.HasField("lost") else []
        case (
            modification.SelectionPerformed()
            | modification.ActivationPerformed()
            | modification.ModificationPerformed()
            | modification.ExpansionPerformed()
            | modification.FormulationPerformed()
            | modification.CultureTransferred()
            | modification.CultureHarvested()
            | modification.FillPerformed()
        ):
            conserving = isinstance(body, modification.FillPerformed | modification.CultureTransferred)
            inputs, outputs = list(body.inputs), [one.material for one in body.outputs]
            out = [one.quantity for one in body.outputs]
            if isinstance(body, modification.FillPerformed | modification.CultureTransferred) and body.HasField("lost"):
                out.append(body.lost)
        case _:
            return None
    record = pb.BalanceRecord(event=bare(told), inputs=inputs, outputs=outputs, conserving=conserving)
    going_in = _sum([held.get(one) for one in inputs])
    coming_out = _sum([_amount(one) for one in out])
    for total, place in ((going_in, record.quantity_in), (coming_out, record.quantity_out)):
        if total is not None:
            place.CopyFrom(_quantity(*total))
    if going_in is not None and coming_out is not None and going_in[1] == coming_out[1]:
        record.difference = _decimal(coming_out[0] - going_in[0])
    return record


def _amount(quantity: common_pb2.Quantity) -> Amount:
    return Amount(quantity.mantissa, quantity.exponent, quantity.unit, quantity.comparator, quantity.basis)


def _sum(amounts: Iterable[Amount | None]) -> tuple[Fraction, str] | None:
    known = list(amounts)
    values = [None if one is None else one.value for one in known]
    present = [one for one in known if one is not None]
    if not present or None in values or not units_agree(present):
        return None
    return sum((value for value in values if value is not None), Fraction(0)), present[0].unit


def _quantity(value: Fraction, unit: str) -> common_pb2.Quantity:
    exponent = 0
    while value.denominator != 1 and exponent > -_DIGITS_MAX:
        value, exponent = value * 10, exponent - 1
    return common_pb2.Quantity(
        mantissa=round(value),
        exponent=exponent,
        unit=unit,
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_CALCULATED,
    )


def _decimal(value: Fraction) -> str:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{round(exact, _DIGITS_MAX).normalize():f}"


def labels(answer: pb.InspectLabelsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every act on a label, and the count of a therapy's labels."""
    if account.therapy is None:
        return
    records = [record for told in account.standing(alone=True) for record in _label_acts(told, account, teller)]
    for record in records:
        if not scope.material or record.material == scope.material:
            answer.labels.append(record)
    counts = dict.fromkeys(("printed", "applied", "voided", "destroyed", "returned"), 0)
    for record in records:
        if record.act in counts:
            counts[record.act] += record.count
    difference = counts["printed"] - counts["applied"] - counts["destroyed"] - counts["returned"]
    answer.reconciliations.add(therapy=account.stream, difference=difference if counts["printed"] else 0, **counts)


def _label_acts(told: Told, account: Account, teller: Teller) -> Iterable[pb.LabelRecord]:
    body: Message | None = told.act.body
    match body:
        case labels_of.LabelsPrinted() | harvest.KitReceived():
            for serial in body.serials if isinstance(body, labels_of.LabelsPrinted) else body.label_serials:
                yield pb.LabelRecord(act="printed", serial=serial, count=1, statement=bare(told))
        case harvest.LabelApplied():
            serial = body.label_serial if teller.may_read(told, DisclosureClass.OPERATIONAL) else ""
            yield pb.LabelRecord(act="applied", material=body.material, serial=serial, count=1, statement=bare(told))
        case harvest.LabelVoided():
            applied = account.told.get(body.applied)
            material = b""
            if applied is not None and isinstance(applied.act.body, harvest.LabelApplied):
                material = applied.act.body.material
                yield pb.LabelRecord(act="voided", material=material, count=1, statement=bare(told), voids=body.applied)
            for serial in body.serials:
                yield pb.LabelRecord(act="destroyed", serial=serial, count=1, statement=bare(told))
        case labels_of.LabelsReturned():
            for serial in body.serials:
                yield pb.LabelRecord(act="returned", serial=serial, count=1, statement=bare(told))
        case labels_of.LabelsReconciled():
            yield pb.LabelRecord(act="reconciled", count=body.printed, statement=bare(told))
        case _:
            return
