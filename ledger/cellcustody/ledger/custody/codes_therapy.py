"""Findings about what is done with materials: where they lie, whose work it is, order, time and balance.

What therapies share with consignments (NOT_CUSTODIAN, SIGNED_FOR_ANOTHER_SITE, ...) stands in `codes_consignment`.
"""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

_HARD = Strength.HARD_GATE
_GATE = Strength.GATE
_FOLD = Family.FOLD

RULES: tuple[FindingRule, ...] = (
    FindingRule(
        "BODY_NOT_OF_THERAPY",
        _GATE,
        _FOLD,
        "A therapy's stream takes the acts of a therapy only.",
        "File the act in the stream that it belongs to.",
    ),
    FindingRule(
        "ALREADY_CLOSED",
        _HARD,
        _FOLD,
        "A therapy is closed once.",
        "Nothing: the therapy is closed.",
    ),
    FindingRule(
        "THERAPY_CLOSED",
        _GATE,
        _FOLD,
        "Nothing is collected or manufactured in a closed therapy.",
        "Enrol a new course.",
    ),
    FindingRule(
        "UNITS_OF_TWO_SITES",
        _GATE,
        _FOLD,
        "A transfer or issue stays within one site; between sites a consignment carries the material.",
        "Pack the material into a consignment and hand that over.",
    ),
    FindingRule(
        "SITE_NOT_TAKING_PART",
        _GATE,
        _FOLD,
        "Manufacture happens at a site that takes part in the therapy.",
        "Enrol the therapy with this site as a participant.",
    ),
    FindingRule(
        "CONTAINER_NOT_HELD",
        _GATE,
        _FOLD,
        "Materials are packed by the unit that answers for the container.",
        "Let the container's custodian pack, or hand the container over first.",
    ),
    FindingRule(
        "CONTAINER_SEALED",
        _GATE,
        _FOLD,
        "Nothing is put into a sealed container.",
        "Pack into another container, or correct the time of sealing.",
    ),
    FindingRule(
        "CONSIGNMENT_CLOSED",
        _GATE,
        _FOLD,
        "Nothing is packed into a closed consignment.",
        "Open another consignment.",
    ),
    FindingRule(
        "ALREADY_PACKED",
        _GATE,
        _FOLD,
        "A material lies in one container at a time.",
        "Receive it out of the other container first.",
    ),
    FindingRule(
        "ALREADY_RECEIVED",
        _GATE,
        _FOLD,
        "A material is taken out of a container once.",
        "Retract the receipt that did not happen.",
    ),
    FindingRule(
        "NOT_PACKED_THERE",
        _GATE,
        _FOLD,
        "A material is received out of the container it was packed into.",
        "Find out which container it came in; correct packing or receipt.",
    ),
    FindingRule(
        "MATERIAL_PACKED",
        _GATE,
        _FOLD,
        "Nobody works on a material while it lies in a container.",
        "Receive the material first.",
    ),
    FindingRule(
        "BAG_UNREADABLE",
        _GATE,
        _FOLD,
        "The bag's identifiers are read when it is packed or received.",
        "Read the bag again and correct the statement; an illegible label is replaced after re-identification.",
    ),
    FindingRule(
        "BAG_NOT_IDENTIFIED",
        _HARD,
        _FOLD,
        "At the bedside every identifier on the bag's label is read.",
        "Check again and read the whole label.",
    ),
    FindingRule(
        "BAG_BREACHED",
        _GATE,
        _FOLD,
        "A bag is whole on receipt and after the thaw.",
        "Let a physician and quality decide; lift the hold with a culture and a deviation.",
    ),
    FindingRule(
        "AFTER_TERMINAL_ACT",
        _HARD,
        _FOLD,
        "No physical act follows a material's end.",
        "Correct the statement that names the wrong material, or retract the end that did not happen.",
    ),
    FindingRule(
        "NO_MATERIAL",
        _GATE,
        _FOLD,
        "An act on materials names at least one; a collection, step or division makes at least one.",
        "Correct the statement so that it names them.",
    ),
    FindingRule(
        "OUTPUT_KIND_WRONG",
        _GATE,
        _FOLD,
        "A collection makes collections, samples and retains; a step makes intermediates, formulation and filling "
        "also product; a pool is of the kind of what went in; samples and retains stay what they are.",
        "Correct the statement so that each new material is of the kind it is.",
    ),
    FindingRule(
        "ALREADY_COMPLETED",
        _GATE,
        _FOLD,
        "A collection is completed once.",
        "Retract the completion that did not happen.",
    ),
    FindingRule(
        "OTHER_STATEMENT_NAMED",
        _GATE,
        _FOLD,
        "A fact names the statement that it follows.",
        "Correct the fact so that it names the right statement.",
    ),
    FindingRule(
        "BATCH_DECIDED",
        _GATE,
        _FOLD,
        "Nothing enters or is worked on in a batch that quality has released or rejected.",
        "Open another batch as a further attempt.",
    ),
    FindingRule(
        "BATCH_OF_ANOTHER_SITE",
        _GATE,
        _FOLD,
        "A batch is made at the site that opened it.",
        "Open a batch at this site.",
    ),
    FindingRule(
        "IN_ANOTHER_BATCH",
        _GATE,
        _FOLD,
        "A material belongs to one batch.",
        "Name the batch the material is in.",
    ),
    FindingRule(
        "NOT_IN_BATCH",
        _GATE,
        _FOLD,
        "Steps and results concern materials of their batch.",
        "Take the material into the batch first, or name the right batch.",
    ),
    FindingRule(
        "PROCESS_CHECK_MISSING",
        _GATE,
        _FOLD,
        "Where the policy pack asks for it, each material is compared before its cells are opened.",
        "Check identity at the point process, naming the material.",
    ),
    FindingRule(
        "STEP_OUT_OF_ORDER",
        _GATE,
        _FOLD,
        "Steps come in the policy pack's order: in manufacturing along the line of each material, else in the therapy.",
        "Enter the missing step, or correct times and inputs.",
    ),
    FindingRule(
        "HOLD_OPEN",
        _GATE,
        _FOLD,
        "A hold stands in the way of processing, dispatch for use, issue, thaw and infusion.",
        "Let quality lift the hold, with what it rests on.",
    ),
    FindingRule(
        "BUDGET_EXCEEDED",
        _GATE,
        _FOLD,
        "Time from collection to manufacture, from thaw to infusion and of the infusion stays within the policy pack.",
        "Let quality decide; a gate the pack lets be overridden is overridden beforehand.",
    ),
    FindingRule(
        "ENDED_BEFORE_START",
        _GATE,
        _FOLD,
        "What has a beginning and an end ends after it began.",
        "Correct the time of the beginning or of the end.",
    ),
    FindingRule(
        "QUANTITY_NEGATIVE",
        _GATE,
        _FOLD,
        "No quantity of material is below nothing.",
        "Correct the statement with measured quantities.",
    ),
    FindingRule(
        "QUANTITY_UNKNOWN",
        _GATE,
        _FOLD,
        "A division, pooling, filling or transfer states every quantity exactly; unknown is never in balance.",
        "Correct the statement with measured quantities.",
    ),
    FindingRule(
        "UNIT_MISMATCH",
        _GATE,
        _FOLD,
        "Quantities that are added bear the same unit.",
        "Correct the statement so that all quantities bear one unit.",
    ),
    FindingRule(
        "VOLUME_IMBALANCE",
        _GATE,
        _FOLD,
        "What came out of a division, pooling, filling or transfer, what is left and what was lost add up to what "
        "was there and was added, within the pack's tolerance.",
        "Measure again, state what was lost, or raise a deviation.",
    ),
)

register(*RULES)
