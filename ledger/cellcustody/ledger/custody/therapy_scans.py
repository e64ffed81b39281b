"""What the labels scanned in an act of a therapy are expected to say.

The rules:

* Every label bears the therapy's chain of identity identifier.
* A label on a material that the act touches bears the donation numbers of the collections it comes from, and the
  product code and division of its label. `Scan.on` names the material in hexadecimal where there are several; with any
  other text there, the label may be that of any one of them.
* A collection's labels bear its own donation number; a label being applied or read back says what the statement says
  it does. Where no material is touched, a donation number is one of the therapy's collections' or printed labels'.
* A container that is packed into or emptied is the one that the statement names.

Nothing is expected that the state does not know: such a scan is not compared, and confirms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.custody.scan_comparison import (
    Expectation,
    ScanKind,
    compare_scans,
    scan_findings,
    scans_of,
)
from cellcustody.ledger.custody.therapy_state import MaterialState, TherapyState
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels

__all__ = ["expectation_of", "kinds_scanned", "therapy_scan_findings"]


def therapy_scan_findings(state: TherapyState, act: Act, touched: Iterable[bytes]) -> tuple[Finding, ...]:
    """Returns what comparing the act's scans finds; `touched` are the materials that the act is about."""
    return scan_findings(act, expectation_of(state, act, touched))


def kinds_scanned(state: TherapyState, act: Act, touched: Iterable[bytes]) -> frozenset[ScanKind]:
    """Returns what the scans of an act confirm: the kinds of identifier that matched, none if anything mismatched."""
    compared = compare_scans(scans_of(act), expectation_of(state, act, touched))
    if any(one.mismatched for one in compared):
        return frozenset()
    return frozenset(kind for one in compared for kind in one.matched)


def expectation_of(state: TherapyState, act: Act, touched: Iterable[bytes]) -> Callable[[str], Expectation]:
    """Returns what a label is expected to say, as a function of what it is on."""
    cois = (state.coi,)
    container: tuple[str, tuple[str, ...]] | None = None
    match act.body:
        case harvest.CollectionStarted() as body:
            return _always(Expectation.of(cois=cois, dins=[body.din]))
        case harvest.CollectionCompleted() as body:
            collection = state.collections.get(state.current(body.started))
            return _always(Expectation.of(cois=cois, dins=[] if collection is None else [collection.din]))
        case harvest.LabelApplied() as body:
            return _always(_of_label(state, body))
        case labels.LabelReadBack() as body:
            applied = state.placed.get(state.current(body.applied))
            return _always(_of_label(state, None if applied is None else applied.body))
        case harvest.MaterialPacked() | harvest.MaterialReceived() as body:
            container = _container(state, body)
        case _:
            pass
    materials = {one.hex(): found for one in touched if (found := state.materials.get(one)) is not None}

    def on(label: str) -> Expectation:
        if container is not None and label == container[0]:
            return Expectation.of(cois=cois, assets=container[1], texts=[container[0]])
        if not materials:
            return Expectation.of(cois=cois, dins=state.dins)
        if label in materials:
            return _of_materials(state, [materials[label]])
        return _of_materials(state, materials.values())

    return on


def _of_label(state: TherapyState, applied: object) -> Expectation:
    if not isinstance(applied, harvest.LabelApplied):
        return Expectation.of(cois=[state.coi])
    return Expectation.of(
        cois=[state.coi], dins=[applied.din], product_codes=[applied.product_code], divisions=[applied.division]
    )


def _always(expected: Expectation) -> Callable[[str], Expectation]:
    return lambda on: expected


def _container(
    state: TherapyState, body: harvest.MaterialPacked | harvest.MaterialReceived
) -> tuple[str, tuple[str, ...]]:
    consignment = state.consignments.get(body.consignment)
    found = None if consignment is None else consignment.containers.get(body.container)
    return (body.container, () if found is None else (found.asset,))


def _of_materials(state: TherapyState, materials: Iterable[MaterialState]) -> Expectation:
    dins: set[str] = set()
    codes: set[str] = set()
    divisions: set[str] = set()
    for material in materials:
        dins |= donation_numbers(state, material)
        label = material.label
        codes.add(material.product_code if label is None else label.product_code)
        divisions.add(material.division if label is None else label.division)
    return Expectation.of(cois=(state.coi,), dins=dins, product_codes=codes, divisions=divisions)
