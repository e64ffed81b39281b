"""Findings about whose cells these are: what is awaited, identifiers that agree, claims on ids, consent."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

_HARD = Strength.HARD_GATE
_GATE = Strength.GATE
_ADVISORY = Strength.ADVISORY
_AWAITING = Strength.AWAITING
_ENTRY = Family.ENTRY
_FOLD = Family.FOLD

RULES: tuple[FindingRule, ...] = (
    FindingRule(
        "THERAPY_UNKNOWN",
        _AWAITING,
        _FOLD,
        "A therapy begins with its enrolment; what is told before it waits.",
        "Deliver the TherapyEnrolled, or wait for its last co-signature.",
    ),
    FindingRule(
        "MATERIAL_UNKNOWN",
        _AWAITING,
        _FOLD,
        "A fact about a material waits until the statement that creates the material is there.",
        "Deliver the collection, step or division that created the material.",
    ),
    FindingRule(
        "BATCH_UNKNOWN",
        _AWAITING,
        _FOLD,
        "A fact about a batch waits until the accession that opens the batch is there.",
        "Deliver the MaterialAccessioned that opens the batch.",
    ),
    FindingRule(
        "PACKING_UNKNOWN",
        _AWAITING,
        _FOLD,
        "A receipt waits until the packing of the material into that container is there.",
        "Deliver the MaterialPacked of that material.",
    ),
    FindingRule(
        "IDENTIFIER_MISMATCH",
        _HARD,
        _ENTRY,
        "Every identifier read from the patient or the source record is the enrolled patient's.",
        "Stop; re-identify from the source record with two persons, then restore identity.",
    ),
    FindingRule(
        "IDENTIFIER_UNREADABLE",
        _ADVISORY,
        _ENTRY,
        "An identifier that could not be read confirms nothing.",
        "Read it again, or compare another identifier, in a new check.",
    ),
    FindingRule(
        "IDENTITY_MISMATCH",
        _HARD,
        _FOLD,
        "An identifier read from a bag, label or wristband is the therapy's and its label's.",
        "Stop; re-identify from the source record with two persons, then restore identity.",
    ),
    FindingRule(
        "IDENTITY_BROKEN",
        _HARD,
        _FOLD,
        "Nobody collects, works on, issues or infuses cells while the chain of identity is broken.",
        "Re-identify from the source record with two persons, then sign an IdentityRestored.",
    ),
    FindingRule(
        "IDENTITY_NOT_CHECKED",
        _HARD,
        _FOLD,
        "The patient's identity is checked before collection and at the bedside: enough identifiers match, "
        "and none mismatches or is unreadable.",
        "Check identity again, with a second person, before going on.",
    ),
    FindingRule(
        "SECOND_PERSON_MISSING",
        _HARD,
        _FOLD,
        "What two persons must do is joined by the second in time, before anyone relies on it.",
        "Let a second person join a new check before going on.",
    ),
    FindingRule(
        "OTHER_PATIENTS_MATERIAL",
        _HARD,
        _FOLD,
        "A therapy's acts name no material of another therapy.",
        "Stop; put the material back, re-identify, then restore identity.",
    ),
    FindingRule(
        "MATERIAL_CLAIMED_TWICE",
        _HARD,
        _FOLD,
        "A material is created once, in one therapy.",
        "Correct the statement that gave away an id already in use.",
    ),
    FindingRule(
        "DIN_CLAIMED_TWICE",
        _HARD,
        _FOLD,
        "A donation number belongs to one collection of one therapy.",
        "Find which collection bears the number; correct the other.",
    ),
    FindingRule(
        "DIN_REUSED",
        _HARD,
        _FOLD,
        "Each day's collection has a donation number of its own.",
        "Correct the donation number of the later collection.",
    ),
    FindingRule(
        "DIN_MISSING",
        _GATE,
        _FOLD,
        "A collection bears a donation number.",
        "Correct the statement so that it names the donation number.",
    ),
    FindingRule(
        "BATCH_CLAIMED_TWICE",
        _HARD,
        _FOLD,
        "A batch belongs to one therapy.",
        "Correct the accession that gave away an id already in use.",
    ),
    FindingRule(
        "PROCESS_AREA_SHARED",
        _HARD,
        _FOLD,
        "Material of two patients is never open in one process area at the same time.",
        "Stop both; assess cross-contamination and mix-up. If area or time was entered wrongly, correct that step.",
    ),
    FindingRule(
        "LABEL_MISMATCH",
        _HARD,
        _FOLD,
        "A label bears the therapy's chain of identity identifier, and a donation number the cells come from.",
        "Void the label; re-identify with two persons, then restore identity and label anew.",
    ),
    FindingRule(
        "LABEL_STANDING",
        _GATE,
        _FOLD,
        "A material bears one label at a time.",
        "Void the label that stands, then apply the new one.",
    ),
    FindingRule(
        "LABEL_NOT_STANDING",
        _GATE,
        _FOLD,
        "Only a label that stands can be voided.",
        "Name the LabelApplied of the label that stands.",
    ),
    FindingRule(
        "CONSENT_MISSING",
        _GATE,
        _FOLD,
        "Collection, manufacture and infusion each happen with the patient's consent in force.",
        "Record the consent as it was given, with its own date.",
    ),
    FindingRule(
        "CONSENT_WITHDRAWN",
        _GATE,
        _FOLD,
        "A patient who withdraws consent to the treatment stops it.",
        "Decide with the patient; lift the hold once consent is given again, or end the materials.",
    ),
)

register(*RULES)
