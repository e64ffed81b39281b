"""Findings about results, giving a bag, and what enrolment, release, restoring and closing ask for."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

_HARD = Strength.HARD_GATE
_GATE = Strength.GATE
_ADVISORY = Strength.ADVISORY
_FOLD = Family.FOLD

RULES: tuple[FindingRule, ...] = (
    FindingRule(
        "OUTCOME_MISSING",
        _GATE,
        _FOLD,
        "A result or the end of an infusion states its outcome.",
        "Correct the statement so that it states the outcome.",
    ),
    FindingRule(
        "NOT_A_SAMPLE",
        _GATE,
        _FOLD,
        "Results are reported on samples and retains.",
        "Name the sample that was tested.",
    ),
    FindingRule(
        "RESULT_FAILED",
        _GATE,
        _FOLD,
        "A result outside specification holds its batch.",
        "Let quality reject the batch, or lift the hold with what it rests on.",
    ),
    FindingRule(
        "NOT_RELEASED",
        _GATE,
        _FOLD,
        "Only bags that quality has released are dispatched for use, issued, thawed and infused.",
        "Let quality release the batch with this bag.",
    ),
    FindingRule(
        "EXPIRED",
        _HARD,
        _FOLD,
        "Nothing is issued, thawed, checked or infused after the expiry on its label.",
        "Use another bag.",
    ),
    FindingRule(
        "ALREADY_THAWED",
        _GATE,
        _FOLD,
        "A bag is thawed once.",
        "Correct the statement that names the wrong bag.",
    ),
    FindingRule(
        "NOT_ISSUED",
        _GATE,
        _FOLD,
        "Where the policy pack wants it, a bag is issued before it is thawed.",
        "Enter the issue, or issue the bag first.",
    ),
    FindingRule(
        "NOT_THAWED",
        _GATE,
        _FOLD,
        "A bag is thawed before it is infused.",
        "Enter the thaw.",
    ),
    FindingRule(
        "PATIENT_NOT_PRESENT",
        _HARD,
        _FOLD,
        "The bedside check happens with the patient present.",
        "Check again at the bedside.",
    ),
    FindingRule(
        "BEDSIDE_CHECK_MISSING",
        _HARD,
        _FOLD,
        "An infusion names a check at the bedside of that bag by that site, without findings, made at most an "
        "hour before.",
        "Check bag and patient at the bedside with two persons, then start.",
    ),
    FindingRule(
        "INFUSION_RUNNING",
        _GATE,
        _FOLD,
        "A bag's infusion is started once until it is stopped.",
        "Stop the infusion that runs, or retract the start that did not happen.",
    ),
    FindingRule(
        "ALREADY_INFUSED_FROM",
        _GATE,
        _FOLD,
        "A bag whose infusion was stopped in part is not infused from again.",
        "Discard what is left, or have the new start from it overridden beforehand.",
    ),
    FindingRule(
        "INFUSION_NOT_STARTED",
        _GATE,
        _FOLD,
        "An infusion that gave something was started.",
        "Enter the start, and correct the stop to name it.",
    ),
    FindingRule(
        "INFUSION_ALREADY_STOPPED",
        _GATE,
        _FOLD,
        "An infusion stops once.",
        "Retract the stop that did not happen.",
    ),
    FindingRule(
        "SCOPE_OF_ANOTHER_STREAM",
        _GATE,
        _FOLD,
        "A statement in a therapy's stream covers materials, batches or the therapy.",
        "File it in the stream of the consignment, lot or site.",
    ),
    FindingRule(
        "ALREADY_ENROLLED",
        _HARD,
        _FOLD,
        "A therapy is enrolled once.",
        "Enrol the new course in a stream of its own.",
    ),
    FindingRule(
        "COI_NOT_ONE",
        _HARD,
        _FOLD,
        "A therapy has exactly one chain of identity identifier.",
        "Name one alias of scheme isbt128-coi.",
    ),
    FindingRule(
        "COI_MALFORMED",
        _HARD,
        _FOLD,
        "A chain of identity identifier is given in its exact form, with its check character.",
        "Read the identifier again.",
    ),
    FindingRule(
        "PACK_OF_ANOTHER_PRODUCT",
        _GATE,
        _FOLD,
        "The policy pack is for the therapy's product and jurisdiction.",
        "Name the pack of that product and jurisdiction.",
    ),
    FindingRule(
        "TREATING_UNIT_MISSING",
        _HARD,
        _FOLD,
        "A therapy names the unit that treats and the site that keeps its record.",
        "Name both.",
    ),
    FindingRule(
        "TEST_NOT_PASSED",
        _GATE,
        _FOLD,
        "A batch is released once every test the pack requires has passed, by its latest result.",
        "Report the missing result, or reject the batch.",
    ),
    FindingRule(
        "TEST_INTERIM",
        _GATE,
        _FOLD,
        "An interim result is enough only for a conditional release, where the pack says so.",
        "Wait for the final result, or release conditionally.",
    ),
    FindingRule(
        "NOT_A_PRODUCT",
        _GATE,
        _FOLD,
        "Quality releases bags of the product.",
        "Name the product's bags.",
    ),
    FindingRule(
        "DEVIATION_RAISED",
        _ADVISORY,
        _FOLD,
        "A deviation was raised about what is decided on.",
        "Look at the deviation before deciding.",
    ),
    FindingRule(
        "IDENTITY_NOT_BROKEN",
        _GATE,
        _FOLD,
        "Identity is restored where it is broken.",
        "Nothing: the chain of identity is whole.",
    ),
    FindingRule(
        "REIDENTIFICATION_MISSING",
        _HARD,
        _FOLD,
        "Identity is restored on a re-identification from the source record, made after the break, matching, "
        "joined by a second person.",
        "Re-identify with two persons, then name that check.",
    ),
    FindingRule(
        "REASON_MISSING",
        _GATE,
        _FOLD,
        "An override gives its reason.",
        "State the reason in the circumstances.",
    ),
    FindingRule(
        "MATERIALS_NOT_ENDED",
        _GATE,
        _FOLD,
        "A therapy is closed once every material has ended.",
        "Destroy, consume or archive what is left.",
    ),
    FindingRule(
        "HANDOFF_OPEN",
        _GATE,
        _FOLD,
        "A therapy is closed once no material is under way and no release unanswered.",
        "Receive what is under way first.",
    ),
    FindingRule(
        "INFUSION_NOT_STOPPED",
        _GATE,
        _FOLD,
        "A therapy is closed once every infusion has stopped.",
        "Enter the stop.",
    ),
)

register(*RULES)
