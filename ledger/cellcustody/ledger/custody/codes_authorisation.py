"""Findings for which an authorisation common to all streams is refused."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


RULES = (
    _rule(
        "STREAM_NOT_SEEN",
        Strength.GATE,
        "Who authorises has seen a statement of each kind of stream that the policy asks for.",
        "Look at these streams, then sign again naming the last statement of each.",
    ),
    _rule(
        "UNSEEN_DECISION",
        Strength.GATE,
        "Who authorises has seen every hold, rejection, failure, correction and break of identity that concerns it.",
        "Look at what is listed, then sign again with it among what was seen.",
    ),
    _rule(
        "HOLD_UNKNOWN",
        Strength.GATE,
        "Holds that are lifted stand in this stream.",
        "Name the ids of holds that stand; one that fell or was lifted needs nothing more.",
    ),
    _rule(
        "LIFTING_NOT_PERMITTED",
        Strength.GATE,
        "A hold is lifted in a role that the policy names for its cause.",
        "Let a person in such a role lift it.",
    ),
    _rule(
        "TARGET_UNKNOWN",
        Strength.AWAITING,
        "What is corrected or retracted is in the log.",
        "Deliver that fact first, then send this again unchanged.",
    ),
    _rule(
        "TARGET_NOT_A_FACT",
        Strength.GATE,
        "Facts can be corrected or retracted; authorisations and co-signatures cannot.",
        "Sign the authorisation that sets the matter right.",
    ),
    _rule(
        "TARGET_SUPERSEDED",
        Strength.GATE,
        "A fact is corrected or retracted once; then its replacement is.",
        "Name the fact that stands in its place.",
    ),
    _rule(
        "TARGET_OF_ANOTHER_SITE",
        Strength.GATE,
        "Only the site that stated a fact corrects or retracts it.",
        "Ask that site, or state your own fact beside it.",
    ),
    _rule(
        "REPLACEMENT_UNKNOWN",
        Strength.AWAITING,
        "The replacement of a fact is in the log.",
        "Deliver the replacement first, then send this again unchanged.",
    ),
    _rule(
        "REPLACEMENT_NAMES_ANOTHER",
        Strength.GATE,
        "A replacement names in `replaces` the fact that it is to replace.",
        "State a replacement that names the corrected fact.",
    ),
    _rule(
        "REPLACEMENT_OF_ANOTHER_KIND",
        Strength.GATE,
        "A fact is replaced by a fact with the same kind of body.",
        "Retract the fact and state the other one.",
    ),
    _rule(
        "GATE_UNKNOWN",
        Strength.GATE,
        "An override names a gate of the rules on order and state.",
        "Name the code of a gate in the table of findings.",
    ),
    _rule(
        "HARD_GATE_NO_OVERRIDE",
        Strength.HARD_GATE,
        "A hard gate has no override.",
        "Take the explicit way on: re-identification, a second person, or custody established.",
    ),
    _rule(
        "OVERRIDE_NOT_PERMITTED",
        Strength.GATE,
        "A gate is overridden in a role that the policy names for it.",
        "Let a person in such a role override it, if the policy names any.",
    ),
    _rule(
        "OVERRIDE_RUN_OUT",
        Strength.GATE,
        "An override is valid beyond the time of its signing.",
        "State a time until which it is valid.",
    ),
    _rule(
        "OVERRIDDEN_AFTERWARDS",
        Strength.GATE,
        "A gate is overridden beforehand: no recorded fact was stopped there that the override would let pass.",
        "Raise a deviation about the fact, and let quality lift its hold.",
    ),
    _rule(
        "SCOPE_EMPTY",
        Strength.GATE,
        "An override says what it covers; one for materials or batches names them.",
        "Name what it is to cover.",
    ),
    _rule(
        "NOT_LAST_CUSTODIAN",
        Strength.GATE,
        "Custody is established by the last custodian's site or the site that keeps the record.",
        "Let a person of one of these sites sign.",
    ),
    _rule(
        "ESTABLISHES_NOTHING",
        Strength.GATE,
        "Custody is established of containers that the consignment has, for a site.",
        "Name the unit and the containers.",
    ),
)

register(*RULES)
