"""Findings about the treatment: conditioning, the bag before it is given, the bedside, what follows, and closing."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = ["RULES"]

_HARD = Strength.HARD_GATE
_GATE = Strength.GATE
_ADVISORY = Strength.ADVISORY


def _fold(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


def _entry(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.ENTRY, rule, remedy)


RULES: tuple[FindingRule, ...] = (
    _fold(
        "LYMPHODEPLETION_MISSING",
        _GATE,
        "Where the pack asks for lymphodepletion, a whole course has ended before a bag is issued or infused.",
        "Enter the course as it was given, or give it first.",
    ),
    _fold(
        "LYMPHODEPLETION_TOO_RECENT",
        _GATE,
        "A bag is infused no earlier after the end of lymphodepletion than the pack says.",
        "Wait until the window begins.",
    ),
    _fold(
        "LYMPHODEPLETION_LAPSED",
        _GATE,
        "A bag is issued and infused within the pack's window after the end of lymphodepletion.",
        "Let the physician decide; a gate the pack lets be overridden is overridden beforehand.",
    ),
    _fold(
        "LYMPHODEPLETION_TO_REPEAT",
        _GATE,
        "Lymphodepletion that ended longer ago than the pack's time for repeating it is given again.",
        "Give another course, and enter it.",
    ),
    _fold(
        "LYMPHODEPLETION_RUNNING",
        _GATE,
        "A course of lymphodepletion ends before another starts.",
        "Enter the end of the course that runs.",
    ),
    _fold(
        "LYMPHODEPLETION_ALREADY_STOPPED",
        _GATE,
        "A course of lymphodepletion stops once.",
        "Retract the stop that did not happen.",
    ),
    _fold(
        "PREMEDICATION_MISSING",
        _GATE,
        "Where the pack asks for premedication, it was given within the pack's time before the infusion.",
        "Enter what was given, or give it first.",
    ),
    _fold(
        "TOO_MANY_BAGS_ISSUED",
        _GATE,
        "No more bags are issued and not yet given than the pack lets be: one, as a rule.",
        "Give, return or destroy the bag that is out first.",
    ),
    _fold(
        "RECONSTITUTION_NOT_STATED",
        _GATE,
        "Reconstitution states what was done: diluted, washed or drawn.",
        "Correct the statement so that it says so.",
    ),
    _fold(
        "OUT_OF_CRYO_TOO_LONG",
        _GATE,
        "All the time that a bag was out of its frozen store, added up until it is given, stays within the pack.",
        "Let quality decide; a gate the pack lets be overridden is overridden beforehand.",
    ),
    _fold(
        "OUT_OF_CRYO_UNKNOWN",
        _ADVISORY,
        "The time out of the frozen store is known from freezing or a store whose temperature was stated.",
        "Enter the freezing or the storage, with the temperature of the store.",
    ),
    _fold(
        "EXPIRY_MISMATCH",
        _HARD,
        "The expiry read at the bedside is the one that the bag's label bears.",
        "Stop; read the label again, and find out which bag this is.",
    ),
    _fold(
        "RELEASE_CERTIFICATE_MISSING",
        _GATE,
        "Where the pack asks for it, the certificate that releases the bag for infusion lies at the bedside.",
        "Check again with the certificate.",
    ),
    _fold(
        "RELEASE_CERTIFICATE_MISMATCH",
        _GATE,
        "The certificate for infusion at the bedside is the one that quality released the bag with.",
        "Check again with the certificate of this release.",
    ),
    _fold(
        "RESCUE_MEDICINE_MISSING",
        _GATE,
        "Medicines against reactions are at hand at the bedside, as many doses as the pack asks for.",
        "Bring them, and check again.",
    ),
    _entry(
        "CERTIFICATE_NOT_GENUINE",
        _GATE,
        "A readiness certificate is in its exact form, of this ledger, and signed by a service key of it.",
        "Check again online, or with a certificate that the ledger issued.",
    ),
    _fold(
        "CERTIFICATE_OF_ANOTHER_BAG",
        _HARD,
        "A readiness certificate is of the bag that is checked.",
        "Stop; find out which bag this is, and check with its own certificate.",
    ),
    _fold(
        "CERTIFICATE_EXPIRED",
        _GATE,
        "A check without a network rests on a readiness certificate that holds at its time.",
        "Check again online, or fetch a new certificate.",
    ),
    _fold(
        "CERTIFICATE_OVERTAKEN",
        _GATE,
        "Nothing that stands against infusing came between a readiness certificate and the check: no hold, no release "
        "taken back, no consent withdrawn.",
        "Do not infuse; look at what came between, and check again once it is settled.",
    ),
    _fold(
        "INFUSION_OUT_OF_ORDER",
        _GATE,
        "Bags are infused in the order of the places stated for them.",
        "Correct the place that was stated, or have the order overridden beforehand.",
    ),
    _fold(
        "REMAINDER_NOT_STATED",
        _ADVISORY,
        "What is left in a bag that was infused in part is stated.",
        "State it in the act that ends the remainder.",
    ),
    _entry(
        "GRADE_DISAGREES",
        _ADVISORY,
        "The grade stated is the one that the criteria make by the ASTCT consensus.",
        "Grade again, or correct the criteria; where the physician's word stands, say why.",
    ),
    _entry(
        "GRADE_NOT_COMPUTABLE",
        _ADVISORY,
        "A toxicity is graded with the criteria that decide its grade.",
        "Correct the statement with the criteria.",
    ),
    _entry(
        "PLAN_MISSING",
        _GATE,
        "Whoever acknowledges a late result says what will be done.",
        "Acknowledge with the plan.",
    ),
    _fold(
        "DAY_DISAGREES",
        _ADVISORY,
        "The day stated is the one since the first infusion, day 0, give or take one.",
        "Correct the day, or the time of the statement.",
    ),
    _fold(
        "NOT_THE_INFUSING_SITE",
        _GATE,
        "A late result is told to a site that infused a bag of this therapy.",
        "Tell the site that infused.",
    ),
    _fold(
        "NOT_THE_SITE_TOLD",
        _GATE,
        "A late result is acknowledged by the site that was told.",
        "Let that site acknowledge it.",
    ),
    _fold(
        "ACKNOWLEDGED_BEFORE",
        _ADVISORY,
        "A notice is acknowledged once; the first word counts.",
        "Nothing: it is acknowledged.",
    ),
    _fold(
        "VISIT_NOT_PLANNED",
        _ADVISORY,
        "A visit bears the name that the pack's schedule gives it.",
        "Correct the name, or leave it as a visit beside the schedule.",
    ),
    _fold(
        "DESTRUCTION_NOT_CERTIFIED",
        _ADVISORY,
        "The destruction of product has a certificate.",
        "Correct the statement so that it names the certificate.",
    ),
    _fold(
        "KEPT_WITHOUT_DATE",
        _GATE,
        "What is archived or kept for a study, and the record of a closed therapy, is kept until a date in the future.",
        "Correct the statement with the date.",
    ),
    _fold(
        "STUDY_NOT_NAMED",
        _GATE,
        "What is kept for a study names the study.",
        "Correct the statement so that it names the study.",
    ),
    _fold(
        "SAMPLES_NOT_ENDED",
        _GATE,
        "A therapy is closed once every sample and retain has ended.",
        "Consume, destroy or archive what is left.",
    ),
    _fold(
        "RESULTS_OPEN",
        _GATE,
        "A therapy is closed once every result that a release left open is in, and every late one acknowledged.",
        "Report what is open; notify and acknowledge what came late.",
    ),
    _fold(
        "WITNESS_MISSING",
        _GATE,
        "A therapy is closed once every destruction was witnessed by another person.",
        "Let the witness co-sign the destruction.",
    ),
    _fold(
        "THERAPY_NOT_CLOSED",
        _GATE,
        "A therapy is reopened by naming the closure that stands.",
        "Nothing, or name the TherapyClosed in effect.",
    ),
    _fold(
        "NOT_CUSTODIAN_OF_RECORD",
        _GATE,
        "The record is passed on by the site that keeps it, or by the treating site.",
        "Let the custodian of record sign, and the receiving site join.",
    ),
    _fold(
        "RECORD_NOT_PASSED",
        _GATE,
        "The record passes to another site than the one that keeps it.",
        "Name the receiving site.",
    ),
    _fold(
        "RECORD_TAKEN_ALONE",
        _GATE,
        "The record is not passed by the site that receives it; that site joins.",
        "Let the other site sign, and join it.",
    ),
    _fold(
        "COPY_NOT_STATED",
        _GATE,
        "The record passes with a full copy, named by digest, and with size and root of the log that it reaches to.",
        "Export the therapy, and name copy and checkpoint.",
    ),
    _fold(
        "COPY_OF_ANOTHER_LOG",
        _GATE,
        "The checkpoint that a full copy reaches to is one of this log: its root is the log's at that size.",
        "Name size and root of a checkpoint that this ledger has signed.",
    ),
    _fold(
        "NOT_BREACHED",
        _GATE,
        "A physician decides about a bag that was found breached at its thaw.",
        "Name the MaterialThawed that says so.",
    ),
    _fold(
        "DECISION_MISSING",
        _GATE,
        "A decision says whether the bag is used or discarded.",
        "Say which.",
    ),
    _fold(
        "CULTURE_MISSING",
        _GATE,
        "A breached bag is used only with a sample of that very bag taken for culture.",
        "Take the sample by a division, and name it.",
    ),
    _fold(
        "DEVIATION_MISSING",
        _GATE,
        "A breached bag is used only with a deviation raised about it.",
        "Raise the deviation, and name it.",
    ),
    _fold(
        "RETENTION_NOT_STATED",
        _ADVISORY,
        "Who closes a therapy says until when its record is kept.",
        "Nothing: reopen and close it again with the date, or pass the record on with it.",
    ),
    _fold(
        "BREACH_UNDECIDED",
        _GATE,
        "Quality lifts the hold of a bag breached at its thaw once a physician has decided that it is to be used.",
        "Let the physician decide, with a culture and a deviation.",
    ),
)

register(*RULES)
