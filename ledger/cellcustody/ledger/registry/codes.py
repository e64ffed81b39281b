"""Findings on a signer, made once at entry: key, device, site, role, training, unit."""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register

__all__ = [
    "CAPABILITY_MISSING",
    "DEVICE_OF_COUNTERPARTY",
    "DEVICE_UNKNOWN",
    "HYBRID_KEY_MISSING",
    "LATE_AFTER_RETIREMENT",
    "ROLE_NOT_HELD",
    "RULES",
    "TRAINING_LAPSED",
    "TRAINING_NOT_RECORDED",
    "UNIT_NOT_HELD",
]

LATE_AFTER_RETIREMENT: Final = FindingRule(
    "LATE_AFTER_RETIREMENT",
    Strength.ADVISORY,
    Family.ENTRY,
    "What was signed before its key was retired may arrive within the grace that the retirement names.",
    "Nothing: the statement stands. Sign new statements with the new key.",
)
DEVICE_UNKNOWN: Final = FindingRule(
    "DEVICE_UNKNOWN",
    Strength.GATE,
    Family.ENTRY,
    "A statement is signed on a device of the signer's site, or names the signer where no device is registered.",
    "Have an administrator of the site enrol the device.",
)
DEVICE_OF_COUNTERPARTY: Final = FindingRule(
    "DEVICE_OF_COUNTERPARTY",
    Strength.ADVISORY,
    Family.ENTRY,
    "At a handoff whoever has no device at hand may sign with the own key on a registered device of the other site.",
    "Nothing: it is shown whose device it was.",
)
CAPABILITY_MISSING: Final = FindingRule(
    "CAPABILITY_MISSING",
    Strength.GATE,
    Family.ENTRY,
    "The signer's site is enrolled for one of the capabilities that the act asks for.",
    "Have the registrars change what the site may do, or have a site act that may.",
)
ROLE_NOT_HELD: Final = FindingRule(
    "ROLE_NOT_HELD",
    Strength.GATE,
    Family.ENTRY,
    "A person acts in a role that an administrator of their site granted them; a device in the role device.",
    "Have an administrator of the site grant the role, or have someone act who holds it.",
)
TRAINING_LAPSED: Final = FindingRule(
    "TRAINING_LAPSED",
    Strength.GATE,
    Family.ENTRY,
    "Training for the role holds at the time of signing.",
    "Have an administrator of the site record the renewed training, or have someone act whose training holds.",
)
TRAINING_NOT_RECORDED: Final = FindingRule(
    "TRAINING_NOT_RECORDED",
    Strength.GATE,
    Family.ENTRY,
    "Where the policy asks for training in a role, an administrator has recorded it, and it was passed before signing.",
    "Have an administrator of the site record the training, or have someone act whose training is recorded.",
)
UNIT_NOT_HELD: Final = FindingRule(
    "UNIT_NOT_HELD",
    Strength.GATE,
    Family.ENTRY,
    "A person whose work is limited to units acts for one of them.",
    "Have an administrator of the site add the unit, or have someone of that unit act.",
)

HYBRID_KEY_MISSING: Final = FindingRule(
    "HYBRID_KEY_MISSING",
    Strength.GATE,
    Family.ENTRY,
    "In the roles that the policy names, a person signs with two keys: an ML-DSA-65 key and one of another algorithm.",
    "Have an administrator of the site add the second key, and sign with both.",
)

RULES: Final = (
    CAPABILITY_MISSING,
    DEVICE_OF_COUNTERPARTY,
    DEVICE_UNKNOWN,
    HYBRID_KEY_MISSING,
    LATE_AFTER_RETIREMENT,
    ROLE_NOT_HELD,
    TRAINING_LAPSED,
    TRAINING_NOT_RECORDED,
    UNIT_NOT_HELD,
)

register(*RULES)
