"""Findings about manufacture, results, release and dose."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


_GATE = Strength.GATE
_HARD = Strength.HARD_GATE
_ADVISORY = Strength.ADVISORY

RULES: tuple[FindingRule, ...] = (
    _rule(
        "ATTEMPT_OUT_OF_ORDER",
        _GATE,
        "A further attempt follows quality's word on every batch of the attempts before it, and none is left out.",
        "Terminate, reject or release the earlier batch first, or correct the number of the attempt.",
    ),
    _rule(
        "AREA_NOT_NAMED",
        _GATE,
        "A line clearance, and whatever is done while cells are open, names the suite or device it is done in.",
        "Correct the statement so that it names the area.",
    ),
    _rule(
        "RECEIPT_CHECK_MISSING",
        _GATE,
        "Where the policy pack asks for it, two persons compare each material on receipt before it enters a batch.",
        "Check identity at the point receipt, naming the material.",
    ),
    _rule(
        "HANDOFF_TOO_LONG",
        _GATE,
        "Each handoff on a material's way was answered within its policy pack's time.",
        "Find out where it was in between; have quality lift the hold, or override it beforehand.",
    ),
    _rule(
        "MATERIAL_NOT_ACCEPTED",
        _GATE,
        "Where the policy pack has that step, quality of the site accepts what came in before it is worked on.",
        "Let quality sign MaterialAccepted for it; until then it lies in quarantine.",
    ),
    _rule(
        "LINE_NOT_CLEAR",
        _GATE,
        "Nothing of another batch is found at a line clearance.",
        "Remove what was found, raise a deviation, and clear the line again.",
    ),
    _rule(
        "LINE_NOT_CLEARED",
        _GATE,
        "Manufacture starts in an area that was cleared for this batch at this site, without findings.",
        "Clear the line, then start naming that clearance.",
    ),
    _rule(
        "BATCH_RECORD_NOT_NAMED",
        _GATE,
        "A start names the master batch record, with its version.",
        "Correct the statement so that it names the record.",
    ),
    _rule(
        "ALREADY_STARTED",
        _GATE,
        "A batch is started once.",
        "Retract the start that did not happen, or name the right batch.",
    ),
    _rule(
        "MANUFACTURING_NOT_STARTED",
        _GATE,
        "Where the policy pack asks for it, a batch is started before its first step.",
        "Enter the ManufacturingStarted.",
    ),
    _rule(
        "STEP_NOT_IN_PACK",
        _GATE,
        "A step stands in the policy pack's order of steps.",
        "Name the right step, or move the therapy to a pack that has it.",
    ),
    _rule(
        "VECTOR_NOT_NAMED",
        _GATE,
        "A modification names the lot of vector or editing reagent.",
        "Correct the statement so that it names the lot.",
    ),
    _rule(
        "ANTIGEN_NOT_NAMED",
        _GATE,
        "Priming with an antigen names the antigen and its lot.",
        "Correct the statement so that it names both.",
    ),
    _rule(
        "PRESENTING_CELLS_NOT_NAMED",
        _GATE,
        "Activation by pulsed cells names the cells: the patient's own material, or their lot.",
        "Correct the statement so that it names them.",
    ),
    _rule(
        "CONTAINER_IMBALANCE",
        _GATE,
        "Containers taken are filled, spoiled or given back, within the pack's tolerance; as many are filled as made.",
        "Count again, or raise a deviation.",
    ),
    _rule(
        "CONTAINERS_NOT_COUNTED",
        _GATE,
        "A filling counts the containers taken for it.",
        "Correct the statement with the count.",
    ),
    _rule(
        "CONTAINER_SHARED_OPEN",
        _HARD,
        "Material of two patients never shares an open container: what travels together is sealed, each by itself.",
        "Stop both; assess cross-contamination and mix-up; correct the packing if it was entered wrongly.",
    ),
    _rule(
        "POOL_OF_ONE",
        _GATE,
        "A pool is made of at least two materials.",
        "Correct the statement so that it names all that went in.",
    ),
    _rule(
        "QUANTITY_NOT_MEASURED",
        _GATE,
        "What a growing step makes has a measured quantity.",
        "Measure, and correct the statement.",
    ),
    _rule(
        "YIELD_UNKNOWN",
        _GATE,
        "A growing step tells what went in and what came out in one unit; unknown is never plausible.",
        "Correct the statement with the count of cells, or the quantities of the materials.",
    ),
    _rule(
        "YIELD_IMPLAUSIBLE",
        _GATE,
        "The yield of a growing step lies within the pack's band.",
        "Count again; look for a mistyped quantity or a mix-up.",
    ),
    _rule(
        "DOSE_UNKNOWN",
        _GATE,
        "Each bag of a dose has its dose, in one unit; a dose by weight states the dose for each kilogram.",
        "Correct the filling, or state what is missing.",
    ),
    _rule(
        "DOSE_NOT_THE_SUM",
        _GATE,
        "The total of a dose plan is the sum of the doses of its bags.",
        "Add up again.",
    ),
    _rule(
        "DOSE_OUT_OF_LIMITS",
        _GATE,
        "A planned dose lies within the policy pack's limits, in their unit.",
        "Plan other bags.",
    ),
    _rule(
        "DOSE_RATIO_WRONG",
        _GATE,
        "The components of a dose are in the policy pack's ratio, within its tolerance.",
        "Plan other bags of the components.",
    ),
    _rule(
        "BAG_PLANNED_TWICE",
        _GATE,
        "A bag stands once in a dose plan.",
        "Name each bag once.",
    ),
    _rule(
        "BAG_OUT_OF_TURN",
        _GATE,
        "Where a dose plan is in effect, its bags are infused, in their order, and no others.",
        "Give the bag that comes first, or sign another DosePlanned.",
    ),
    _rule(
        "TEST_NOT_IN_PACK",
        _ADVISORY,
        "The policy pack knows the test at that stage.",
        "Name the test as the pack does, or leave it as additional.",
    ),
    _rule(
        "METHOD_NOT_NAMED",
        _ADVISORY,
        "A result names its method and the version of the specification.",
        "Correct the result so that it names both.",
    ),
    _rule(
        "RESULT_OUT_OF_SPECIFICATION",
        _GATE,
        "A value lies within the policy pack's limits; outside them it fails, whatever outcome is stated.",
        "Investigate; let quality reject the batch, or lift the hold with what it rests on.",
    ),
    _rule(
        "RESULT_VALUE_UNKNOWN",
        _GATE,
        "A passing result of a test with limits has a value in their unit; unknown is never in range.",
        "Correct the result with its value.",
    ),
    _rule(
        "RESULT_FAILED_LATE",
        _ADVISORY,
        "A failing result comes before anything of its batch is infused; after that, whoever infused is told.",
        "Notify the treating physician, and have it acknowledged.",
    ),
    _rule(
        "RESULT_REPEATED",
        _ADVISORY,
        "A valid result is not replaced by testing again; a repetition names the result that it repeats.",
        "Look at both results before deciding.",
    ),
    _rule(
        "RESULT_NOT_FAILING",
        _GATE,
        "A request for bags outside their specification names the results of that batch that failed.",
        "Name the failing results.",
    ),
    _rule(
        "NOT_TREATING_SITE",
        _GATE,
        "The treating site asks for what is outside specification, and informs the patient.",
        "Let a physician of the treating site sign.",
    ),
    _rule(
        "DOCUMENT_MISSING",
        _GATE,
        "What quality decides on rests on documents, named by digest; the policy pack may ask for kinds of them.",
        "Name the document by its digest and kind.",
    ),
    _rule(
        "BATCH_NOT_REVIEWED",
        _GATE,
        "Where the policy pack asks for it, the batch record was reviewed and found acceptable before the release.",
        "Review the batch record first.",
    ),
    _rule(
        "CERTIFICATE_MISSING",
        _GATE,
        "A release names the certificate of analysis by its digest.",
        "Name the certificate.",
    ),
    _rule(
        "RELEASE_FOR_INFUSION_MISSING",
        _ADVISORY,
        "A release names the release for infusion certificate, or what stands for it, by its digest.",
        "Name the certificate, where the jurisdiction has one.",
    ),
    _rule(
        "OPEN_ITEM_MISSING",
        _GATE,
        "A conditional release names every test whose final result is outstanding.",
        "Name the open tests, or release without condition.",
    ),
    _rule(
        "OUT_OF_SPECIFICATION_NOT_ALLOWED",
        _HARD,
        "A batch outside its specification is given only where the policy pack allows it for this product.",
        "Reject the batch.",
    ),
    _rule(
        "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE",
        _HARD,
        "A release outside specification names request, risk evaluation, informed patient and notified authority, "
        "each sound and about these bags.",
        "Complete the chain of statements, then release.",
    ),
)

register(*RULES)
