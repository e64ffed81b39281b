"""Findings on the condition of what was carried, on what quality decides about it, and on returns."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


RULES = (
    _rule(
        "DISPOSITION_NEEDED",
        Strength.GATE,
        "A hold for an excursion or an unknown condition ends by a disposition that cites its supporting study.",
        "Let quality dispose of the condition of the materials, with the study.",
    ),
    _rule(
        "RESCAN_MISSING",
        Strength.GATE,
        "A hold for the labels of a container is lifted once two persons have scanned them again, and they were right.",
        "Scan the container's labels in a new statement, have another person co-sign it, then lift the hold.",
    ),
    _rule(
        "NOTHING_TO_DISPOSE",
        Strength.GATE,
        "A disposition names materials whose condition was out of range or is unknown.",
        "Name the materials, and the holds for their condition.",
    ),
    _rule(
        "STUDY_MISSING",
        Strength.GATE,
        "A condition is accepted on a supporting study alone, cited by its reference and its digest.",
        "Cite the study, or reject.",
    ),
    _rule(
        "HOLD_NOT_OF_CONDITION",
        Strength.GATE,
        "A disposition ends holds for what happened to the material on its way, and no others.",
        "Name holds for its condition; have the others lifted for what they are.",
    ),
    _rule(
        "INSPECTION_MISSING",
        Strength.GATE,
        "A disposition of an excursion names the inspection of a consignment in which the material travelled.",
        "Name the ReceiptInspected that carries the logger's summary.",
    ),
    _rule(
        "CONDITION_REJECTED",
        Strength.HARD_GATE,
        "What quality rejected for its condition is not used.",
        "Return or destroy the material.",
    ),
    _rule(
        "EXPIRED_ON_RECEIPT",
        Strength.GATE,
        "A material arrives before it expires.",
        "Return or destroy it; a hold stands on it until quality decides.",
    ),
)

register(*RULES)
