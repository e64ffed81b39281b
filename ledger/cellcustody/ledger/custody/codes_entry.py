"""Findings made at entry, once: the clock, the signer's standing under the policy pack, characters, lots and sites.

The registry's own findings of entry (capability, role held, training, device) stand in `registry.codes`.
"""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

_ENTRY = Family.ENTRY

RULES = (
    FindingRule(
        "CO_SIGNATURE_OUTSTANDING",
        Strength.ADVISORY,
        _ENTRY,
        "This act is one of two persons; it stands as outstanding until another person has joined it.",
        "Another person co-signs within the policy pack's time.",
    ),
    FindingRule(
        "CO_SIGNATURE_LATE",
        Strength.ADVISORY,
        _ENTRY,
        "A co-signature conforms when it is signed within the policy pack's time of the statement it joins.",
        "Nothing now; what relied on the second person in the meantime says so itself.",
    ),
    FindingRule(
        "CLOCK_AHEAD",
        Strength.ADVISORY,
        _ENTRY,
        "Times of signing and of occurrence are at most five minutes ahead of the ledger's clock.",
        "Set the device's clock; the fact stands with its claimed time.",
    ),
    FindingRule(
        "LATE",
        Strength.ADVISORY,
        _ENTRY,
        "A fact is recorded within the policy pack's time of its occurrence; later is flagged, never refused.",
        "Nothing: lateness is shown with the delay.",
    ),
    FindingRule(
        "DEPENDS_ON_REFUSED",
        Strength.ADVISORY,
        _ENTRY,
        "A fact does not name a statement that was refused when both were delivered together.",
        "Deliver the refused statement again once it is put right; the fact is judged anew when it is in.",
    ),
    FindingRule(
        "CHECK_CHARACTER_WRONG",
        Strength.GATE,
        _ENTRY,
        "An ISBT 128 identifier is given in its exact form, with its check character.",
        "Read the label again; correct the statement if it was mistyped.",
    ),
    FindingRule(
        "ROLE_NOT_PERMITTED",
        Strength.GATE,
        _ENTRY,
        "The policy pack names the roles that may sign this act.",
        "Let somebody in one of those roles sign.",
    ),
    FindingRule(
        "OUT_OF_SCOPE",
        Strength.GATE,
        _ENTRY,
        "Only sites that take part in a therapy, or have its material in custody, act on it.",
        "Let a participating site act, or enrol the therapy with this site as a participant.",
    ),
    FindingRule(
        "POLICY_NOT_PINNED",
        Strength.ADVISORY,
        _ENTRY,
        "A statement relies on the policy pack that its therapy is pinned to.",
        "Name the pinned pack, or none.",
    ),
    FindingRule(
        "POLICY_UNKNOWN",
        Strength.GATE,
        _ENTRY,
        "A statement relies on a policy pack that is published in this ledger.",
        "Publish the pack first, or name one that is.",
    ),
    FindingRule(
        "PATIENT_IDENTIFIERS_TOO_FEW",
        Strength.HARD_GATE,
        _ENTRY,
        "A therapy is enrolled with at least two identifiers of the patient, of different kinds.",
        "Enrol with two or more.",
    ),
    FindingRule(
        "GRADE_OUT_OF_RANGE",
        Strength.GATE,
        _ENTRY,
        "A reaction is graded 1 to 5.",
        "Grade the reaction by ASTCT or CTCAE.",
    ),
    FindingRule(
        "LOT_UNKNOWN",
        Strength.ADVISORY,
        _ENTRY,
        "A lot used in a step is registered in this ledger.",
        "Register the lot and name its stream.",
    ),
    FindingRule(
        "LOT_NOT_USABLE",
        Strength.GATE,
        _ENTRY,
        "A lot is used only while it is released, in date, and not on hold.",
        "Use another lot, or have quality decide.",
    ),
    FindingRule(
        "LOT_HELD",
        Strength.GATE,
        _ENTRY,
        "What a quarantined, recalled or held lot went into is not worked on, released, dispatched, issued or infused.",
        "Have quality decide about the lot, or destroy what it went into.",
    ),
    FindingRule(
        "SITE_ON_HOLD",
        Strength.GATE,
        _ENTRY,
        "No work is done at a site on which a hold stands.",
        "Have quality lift the hold.",
    ),
)

register(*RULES)
