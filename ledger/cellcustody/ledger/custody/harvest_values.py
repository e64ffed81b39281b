"""Values that make a count of labels plain to whoever submitted it: by how much it is off, and what the ledger knows.

The rules:

* Values are computed when shown and never stored; they come of the classes that the submitter of the act may read.
* What a scan should have said is never among them: it would invite typing that until the check passes.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.therapy_evolution import has_code
from cellcustody.ledger.custody.therapy_judging import unit_of
from cellcustody.ledger.custody.therapy_rules_harvest_labels import label_difference
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import labels_pb2 as labels

__all__ = ["harvest_values"]


def harvest_values(state: object, act: Act, judged: Judged) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Returns values by code for the findings on an act."""
    if not isinstance(state, TherapyState) or not isinstance(act.body, labels.LabelsReconciled):
        return []
    found: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    if has_code(judged, "LABELS_DO_NOT_BALANCE"):
        found.append(("LABELS_DO_NOT_BALANCE", (("difference", str(label_difference(act.body))),)))
    if has_code(judged, "LABEL_COUNT_DIFFERS"):
        known = state.harvest.tally(unit_of(act.body.unit))
        told = (
            ("known_printed", str(known.printed)),
            ("known_applied", str(known.applied)),
            ("known_voided", str(known.voided)),
            ("known_returned", str(known.returned)),
        )
        found.append(("LABEL_COUNT_DIFFERS", told))
    return found
