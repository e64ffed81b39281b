"""Findings on the streams of lots and of sites."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


RULES = (
    _rule(
        "LOT_NOT_REGISTERED",
        Strength.AWAITING,
        "Nothing happens to a lot before it is registered.",
        "Deliver the LotRegistered of this stream.",
    ),
    _rule(
        "LOT_ALREADY_REGISTERED",
        Strength.GATE,
        "A lot is registered once.",
        "Register the other lot under an id of its own.",
    ),
    _rule(
        "LOT_KIND_UNKNOWN",
        Strength.GATE,
        "A lot is of a kind that the policy knows.",
        "Correct the kind, or publish a policy that knows it.",
    ),
    _rule(
        "LOT_RECALL_STANDS",
        Strength.GATE,
        "A recalled lot is never used again.",
        "Register a new lot.",
    ),
    _rule(
        "BODY_NOT_OF_LOT",
        Strength.GATE,
        "A lot's stream takes the acts of a lot only.",
        "File the act in the stream that it belongs to.",
    ),
    _rule(
        "BODY_NOT_OF_SITE",
        Strength.GATE,
        "A site's stream takes holds and deviations of that site only.",
        "File the act in the stream that it belongs to.",
    ),
)

register(*RULES)
