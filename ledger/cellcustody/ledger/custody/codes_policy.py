"""Findings on moving a therapy to another policy pack."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

RULES = (
    FindingRule(
        "PACK_NOT_IN_FORCE",
        Strength.GATE,
        Family.FOLD,
        "A therapy is moved from the policy pack that it is pinned to.",
        "Look at the pack in force, and sign a move from that one.",
    ),
    FindingRule(
        "PACK_UNCHANGED",
        Strength.GATE,
        Family.FOLD,
        "A therapy is moved to another policy pack than its own.",
        "Name the digest of the pack that it is to have from here on.",
    ),
)

register(*RULES)
