"""Findings on downtime, on what was entered late or from paper, and on who attests to it."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

RULES = (
    FindingRule(
        "DOWNTIME_OF_ANOTHER_SITE",
        Strength.GATE,
        Family.FOLD,
        "A site speaks of its own downtime.",
        "Let a person of that site declare or end it.",
    ),
    FindingRule(
        "FORMS_NOT_DISTINCT",
        Strength.GATE,
        Family.FOLD,
        "Each paper form handed out has a number of its own.",
        "Correct the declaration.",
    ),
    FindingRule(
        "DOWNTIME_ENDED_BEFORE",
        Strength.ADVISORY,
        Family.FOLD,
        "A downtime is ended once.",
        "Retract the statement that was made twice.",
    ),
    FindingRule(
        "DOWNTIME_ENDS_BEFORE_START",
        Strength.GATE,
        Family.FOLD,
        "A downtime ends after it began.",
        "Correct the time of its declaration or of its end.",
    ),
    FindingRule(
        "FORMS_UNACCOUNTED",
        Strength.ADVISORY,
        Family.FOLD,
        "Every form handed out in a downtime is told of at its end, as used or as destroyed unused.",
        "Correct the end so that it accounts for each form once.",
    ),
    FindingRule(
        "BACK_ENTRY_UNWITNESSED",
        Strength.GATE,
        Family.FOLD,
        "What was entered from paper is attested to by a second person before a batch is released or a therapy closed.",
        "Have another person compare the entry with its form, and co-sign it.",
    ),
    FindingRule(
        "PAPER_FORM_MISSING",
        Strength.GATE,
        Family.ENTRY,
        "What is entered from paper names its form, which is the record that it was copied from.",
        "Correct the statement so that it names the form.",
    ),
    FindingRule(
        "LATE_WITHOUT_REASON",
        Strength.ADVISORY,
        Family.ENTRY,
        "Who says that a statement was written afterwards says why.",
        "Nothing: it is shown without a reason.",
    ),
    FindingRule(
        "DOWNTIME_UNKNOWN",
        Strength.ADVISORY,
        Family.ENTRY,
        "A back-entry names a downtime that its site has declared.",
        "Declare the downtime in the site's stream, and name it.",
    ),
    FindingRule(
        "OUTSIDE_DOWNTIME",
        Strength.ADVISORY,
        Family.ENTRY,
        "What is entered for a downtime happened while it lasted.",
        "Correct the time, or name the downtime during which it happened.",
    ),
    FindingRule(
        "FORM_NOT_OF_DOWNTIME",
        Strength.ADVISORY,
        Family.ENTRY,
        "A back-entry names a form that was handed out in the downtime that it names.",
        "Correct the number of the form, or the declaration of the downtime.",
    ),
)

register(*RULES)
