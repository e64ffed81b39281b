"""Findings of the fold itself: what is missing, what has been replaced, what was let pass."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

RULES = (
    FindingRule(
        "PREDECESSOR_MISSING",
        Strength.AWAITING,
        Family.FOLD,
        "A fact has effect only once every statement it names is in the log and has effect itself.",
        "Deliver the statement that it names.",
    ),
    FindingRule(
        "SEEN_MISSING",
        Strength.AWAITING,
        Family.FOLD,
        "A fact has effect only once the statement of its own stream that its signer had seen is in the log.",
        "Deliver the earlier statement, or enter it anew naming its digest as the refused one.",
    ),
    FindingRule(
        "CORRECTION_MISSING",
        Strength.AWAITING,
        Family.FOLD,
        "A fact that replaces another has effect only once a correction names both.",
        "Sign a StatementCorrected that names the fact and its replacement.",
    ),
    FindingRule(
        "SUPERSEDED",
        Strength.ADVISORY,
        Family.FOLD,
        "A corrected fact stays in the log and has no effect; its replacement stands in its place.",
        "Nothing: read the replacement.",
    ),
    FindingRule(
        "RETRACTED",
        Strength.ADVISORY,
        Family.FOLD,
        "A retracted fact stays in the log and has no effect.",
        "Nothing: it did not happen.",
    ),
    FindingRule(
        "NAMES_RETRACTED",
        Strength.GATE,
        Family.FOLD,
        "A fact must not rest on a statement that has been retracted.",
        "Correct the fact so that it names what did happen, or retract it too.",
    ),
    FindingRule(
        "GATE_OVERRIDDEN",
        Strength.ADVISORY,
        Family.FOLD,
        "A gate was let pass by an override that was in effect beforehand.",
        "Nothing: the override names the gate, its scope and its reason.",
    ),
)

register(*RULES)
