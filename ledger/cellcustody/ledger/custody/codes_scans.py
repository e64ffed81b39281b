"""Findings about raw scans: what was read against what is expected."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

RULES: tuple[FindingRule, ...] = (
    FindingRule(
        "SCAN_MISMATCH",
        Strength.HARD_GATE,
        Family.FOLD,
        "A scan of a label names the chain of identity, donation, product, division or consignment expected of it.",
        "Stop; re-identify from the source record with two persons, then restore identity.",
    ),
    FindingRule(
        "SCAN_UNREADABLE",
        Strength.HARD_GATE,
        Family.FOLD,
        "A label can be read, or two other identifiers on it match.",
        "Scan two other identifiers of the same label in a new statement; else re-identify from the source record.",
    ),
    FindingRule(
        "SCAN_OF_ANOTHER_ITEM",
        Strength.GATE,
        Family.FOLD,
        "A scan of a container, shipper or logger names one that takes part.",
        "Scan the container, shipper or logger that the statement names, or correct the statement.",
    ),
    FindingRule(
        "SCAN_TYPED",
        Strength.ADVISORY,
        Family.ENTRY,
        "An identifier is scanned; one that a person typed is marked as typed.",
        "Scan the label where it can be scanned.",
    ),
    FindingRule(
        "SCAN_NAMES_PERSON",
        Strength.ADVISORY,
        Family.ENTRY,
        "What names a patient or donor is sent as a patient identifier, which can be erased, and never as a scan.",
        "Leave the wristband's person identifiers out of the scans; send them as patient identifiers.",
    ),
)

register(*RULES)
