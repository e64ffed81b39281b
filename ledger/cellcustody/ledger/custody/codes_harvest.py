"""Findings about the way to the frozen bag: eligibility, screening, slots, kits, collection, labels, cold."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

_HARD = Strength.HARD_GATE
_GATE = Strength.GATE
_ADVISORY = Strength.ADVISORY


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


RULES: tuple[FindingRule, ...] = (
    _rule(
        "NOT_ELIGIBLE",
        _GATE,
        "A patient whose last assessment said not eligible, or not now, is not collected from or taken into a study.",
        "Assess the patient again; record the EligibilityAssessed before going on.",
    ),
    _rule(
        "IN_STUDY_ALREADY",
        _GATE,
        "A patient is taken into one study once.",
        "Leave it; correct the number of the study if it is another.",
    ),
    _rule(
        "STUDY_UNNAMED",
        _GATE,
        "An enrolment in a trial names its study and its protocol.",
        "Name the study and the protocol.",
    ),
    _rule(
        "CONSENT_WITHOUT_FORM",
        _ADVISORY,
        "A consent names the version of its form and the signed form by its digest.",
        "Correct the statement, with form version and the form's digest as a document of kind consent-form.",
    ),
    _rule(
        "SCREENING_MISSING",
        _GATE,
        "Each infectious marker that the policy asks for is tested, or left out with the label's reason where the "
        "policy lets it, before cells are collected.",
        "Record the DonorScreened, or have the gate overridden beforehand.",
    ),
    _rule(
        "SCREENING_TOO_OLD",
        _GATE,
        "The sample that was screened is no further from the collection than the policy allows.",
        "Take and test a new sample.",
    ),
    _rule(
        "LABEL_REASON_MISSING",
        _GATE,
        "A marker that was not evaluated is named with the reason that the label gives.",
        "Correct the statement with the label's reason, such as for autologous use only.",
    ),
    _rule(
        "SAMPLE_NOT_TAKEN_YET",
        _GATE,
        "A sample is taken before it is tested.",
        "Correct the time of the sample.",
    ),
    _rule(
        "SLOT_MISSING",
        _GATE,
        "Cells are collected for a slot in manufacture that stands, where the policy asks for one.",
        "Record the SlotReserved, or name the slot that stands.",
    ),
    _rule(
        "SLOT_OUTSIDE",
        _GATE,
        "Cells are collected within the times of their slot.",
        "Move the slot, or collect within its times.",
    ),
    _rule(
        "SLOT_NOT_STANDING",
        _GATE,
        "A slot is moved, released or used while it stands.",
        "Reserve another slot.",
    ),
    _rule(
        "SLOT_EMPTY",
        _GATE,
        "The times of a slot begin before they end.",
        "Correct the times.",
    ),
    _rule(
        "KIT_MISSING",
        _GATE,
        "Cells are collected with a kit that was received here, where the policy asks for one.",
        "Record the KitReceived and name it.",
    ),
    _rule(
        "KIT_EXPIRY_UNKNOWN",
        _GATE,
        "A kit bears an expiry; unknown is never in date.",
        "Correct the receipt with the date on the kit, or take another kit.",
    ),
    _rule(
        "DAY_OUT_OF_RANGE",
        _GATE,
        "The days of a collection are counted from 1.",
        "Correct the statement with the day.",
    ),
    _rule(
        "STORE_OUT_OF_BAND",
        _GATE,
        "A store's stated temperature is known and lies within the pack's band for what is kept there; what was frozen "
        "stays in the frozen band.",
        "Move it to a store within its band; have quality decide with a cited stability study.",
    ),
    _rule(
        "KIT_EXPIRED",
        _HARD,
        "A kit is received and used before it expires.",
        "Take another kit.",
    ),
    _rule(
        "KIT_USED",
        _GATE,
        "A kit serves one collection.",
        "Take another kit.",
    ),
    _rule(
        "KIT_NOT_WHOLE",
        _GATE,
        "A kit arrives whole and sealed.",
        "Take another kit; let quality decide on this one.",
    ),
    _rule(
        "KIT_LABELS_MISCOUNTED",
        _GATE,
        "The labels of a kit are as many as its list names, each once.",
        "Count again; let quality find the missing label before the kit is used.",
    ),
    _rule(
        "IDENTITY_CHECK_STALE",
        _HARD,
        "Collection begins within the policy's time of the check at the chair.",
        "Check identity again, with a second person.",
    ),
    _rule(
        "DAY_COLLECTED_ALREADY",
        _GATE,
        "A day of an attempt has one collection, under one donation number.",
        "Correct the day or the attempt.",
    ),
    _rule(
        "ATTEMPT_SKIPPED",
        _ADVISORY,
        "Attempts are counted from 1, each by one.",
        "Deliver or correct the earlier attempt.",
    ),
    _rule(
        "SOURCE_RECORD_MISSING",
        _GATE,
        "A re-identification names the source record that it rests on.",
        "Say which record, and where it is kept.",
    ),
    _rule(
        "COURSE_LINK_INVALID",
        _GATE,
        "A linked course is another therapy of the same patient, under another chain of identity identifier.",
        "Correct the stream, the relation or the identifier.",
    ),
    _rule(
        "LABEL_SERIAL_TAKEN",
        _GATE,
        "A label's serial is given once.",
        "Find which label bears the serial; correct the other statement.",
    ),
    _rule(
        "LABEL_SERIAL_UNKNOWN",
        _GATE,
        "A label bears the serial of one that was printed or came with a kit.",
        "Record the LabelsPrinted or the KitReceived that it is of.",
    ),
    _rule(
        "LABEL_SERIAL_SPENT",
        _GATE,
        "A label is applied, voided unused or returned once.",
        "Find which statement is of another label; correct it.",
    ),
    _rule(
        "LABEL_TEXT_MISSING",
        _GATE,
        "A label on cells of a donor who is reactive, or not wholly evaluated, says so.",
        "Void the label; print and apply one that bears the text.",
    ),
    _rule(
        "LABEL_NOT_READ_BACK",
        _GATE,
        "A label on a bag is scanned by a second person before the bag leaves, where the policy asks for it.",
        "Let a second person scan it and sign a LabelReadBack.",
    ),
    _rule(
        "LABEL_MISSING",
        _GATE,
        "Where the policy asks for labels to be read back, what is collected or given bears one when it leaves.",
        "Put a label on the bag, and let a second person scan it.",
    ),
    _rule(
        "READ_BACK_BY_SAME_PERSON",
        _HARD,
        "Who reads a label back is not who applied it.",
        "Let another person read it back.",
    ),
    _rule(
        "READ_BACK_INCOMPLETE",
        _GATE,
        "Reading a label back scans its chain of identity identifier and its donation number, and both match.",
        "Scan both identifiers of the label.",
    ),
    _rule(
        "LABELS_DO_NOT_BALANCE",
        _GATE,
        "Labels printed are labels applied, voided and returned.",
        "Find the labels that nobody accounts for, or let quality decide; count again.",
    ),
    _rule(
        "LABEL_COUNT_DIFFERS",
        _GATE,
        "Labels counted are those that the ledger knows.",
        "Deliver the missing statements about labels, or count again.",
    ),
    _rule(
        "LABELS_NOT_RECONCILED",
        _GATE,
        "The labels of an earlier collection, or at closure all labels, are accounted for by a sound count.",
        "Void or return what is left, and sign a LabelsReconciled.",
    ),
    _rule(
        "FRESH_HOLD_EXCEEDED",
        _GATE,
        "Fresh cells are frozen or sent on within the policy's time from the start of their hold.",
        "Let quality decide; a gate the pack lets be overridden is overridden beforehand.",
    ),
    _rule(
        "FROZEN_ALREADY",
        _GATE,
        "What is frozen is not frozen again, nor held fresh.",
        "Correct the material that the statement names.",
    ),
    _rule(
        "FREEZING_INCOMPLETE",
        _GATE,
        "The end of a freezing tells of each material that began it, and of no other.",
        "Correct the materials of the start or of the end.",
    ),
    _rule(
        "FREEZING_FAILED",
        _GATE,
        "What is frozen froze as the programme has it.",
        "Let quality decide on the material.",
    ),
    _rule(
        "RATE_TRACE_MISSING",
        _GATE,
        "A freezing at a controlled rate keeps the freezer's trace by its digest.",
        "Correct the statement with the trace's digest.",
    ),
)

register(*RULES)
