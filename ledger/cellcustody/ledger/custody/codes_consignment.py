"""Findings on the acts of a consignment: handoffs, seals, transit, receipt."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register


def _rule(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


RULES = (
    _rule(
        "CONSIGNMENT_UNKNOWN",
        Strength.AWAITING,
        "Nothing happens to a consignment before it is opened.",
        "Deliver the ConsignmentOpened of this stream.",
    ),
    _rule(
        "RELEASE_UNKNOWN",
        Strength.AWAITING,
        "An acceptance, refusal, withdrawal or renaming names a release that has effect.",
        "Deliver the CustodyReleased that it names.",
    ),
    _rule(
        "NOT_A_RELEASE",
        Strength.GATE,
        "An acceptance, refusal, withdrawal or renaming names a CustodyReleased of this consignment.",
        "Correct the fact so that it names the release.",
    ),
    _rule(
        "ALREADY_OPENED",
        Strength.GATE,
        "A consignment is opened once.",
        "Open another consignment under an id of its own.",
    ),
    _rule(
        "CONTAINERS_NOT_DISTINCT",
        Strength.GATE,
        "A consignment has at least one container, and each has a label of its own.",
        "Correct the opening so that every container has its own label.",
    ),
    _rule(
        "SIGNED_FOR_ANOTHER_SITE",
        Strength.GATE,
        "Who signs for a unit belongs to that unit's site.",
        "Let a person of that site sign.",
    ),
    _rule(
        "NOT_CUSTODIAN",
        Strength.GATE,
        "Only the accountable custodian of a container, by a person of its site, can release it.",
        "Let the custodian release it, or establish custody first.",
    ),
    _rule(
        "NOT_BY_CUSTODIAN",
        Strength.ADVISORY,
        "Loggers, checkpoints and inspections are recorded by the custodian of the container.",
        "Let the custodian record it, or hand the container over first.",
    ),
    _rule(
        "SEALED_BY_OTHERS",
        Strength.GATE,
        "Only the custodian's site seals a container.",
        "Let the custodian inspect the container and seal it again.",
    ),
    _rule(
        "SEAL_REUSED",
        Strength.GATE,
        "A seal's number stands on one container only.",
        "Seal the container with a fresh seal.",
    ),
    _rule(
        "UNKNOWN_CONTAINER",
        Strength.GATE,
        "An act names containers that the consignment has.",
        "Correct the label, or report the container as an extra one in an acceptance.",
    ),
    _rule(
        "COUNT_MISMATCH",
        Strength.GATE,
        "The count as counted agrees with the containers named or accepted.",
        "Count again and correct the fact.",
    ),
    _rule(
        "ALREADY_RELEASED",
        Strength.GATE,
        "A container is in one open release at a time.",
        "Withdraw the first release, or wait for its answer.",
    ),
    _rule(
        "RELEASED_ON_HOLD",
        Strength.ADVISORY,
        "A container on hold is handed over to return or keep it, never for use.",
        "Have the hold lifted before its materials are used.",
    ),
    _rule(
        "SEAL_MISMATCH",
        Strength.GATE,
        "The seals read are those that were applied.",
        "Inspect the container, seal it again and have quality lift the hold.",
    ),
    _rule(
        "SEAL_BROKEN",
        Strength.GATE,
        "Seals are whole.",
        "Inspect the container, seal it again and have quality lift the hold.",
    ),
    _rule(
        "SEAL_NOT_READ",
        Strength.ADVISORY,
        "Every seal of a sealed container is read at a handoff.",
        "Read the seals at the next handoff.",
    ),
    _rule(
        "RELEASE_ALREADY_ANSWERED",
        Strength.GATE,
        "A release is answered, refused or withdrawn once.",
        "Let the custodian release the container again.",
    ),
    _rule(
        "RELEASE_WITHDRAWN",
        Strength.GATE,
        "A withdrawn release cannot be accepted.",
        "Let the custodian release the container again, and accept that release.",
    ),
    _rule(
        "RELEASE_NOT_BY_CUSTODIAN",
        Strength.GATE,
        "Custody passes only from the accountable custodian.",
        "Let the custodian release it to you, or have custody established.",
    ),
    _rule(
        "NOT_RELEASER",
        Strength.GATE,
        "Only the site that released withdraws a release or renames its receiver.",
        "Let a person of the releasing site sign.",
    ),
    _rule(
        "WRONG_RECEIVER",
        Strength.HARD_GATE,
        "Only the receiver that the release names answers it.",
        "Let the releaser rename the receiver, then accept again; or hand the container back.",
    ),
    _rule(
        "ACCEPTED_LATE",
        Strength.ADVISORY,
        "A release is answered within the time that the policy gives.",
        "Nothing: look into the delay.",
    ),
    _rule(
        "CONTAINER_NOT_PRESENT",
        Strength.GATE,
        "Every released container is there when the release is answered.",
        "Find it, have its possessor report it, and have quality lift the hold.",
    ),
    _rule(
        "EXTRA_CONTAINER",
        Strength.GATE,
        "Nothing arrives that the release does not name.",
        "Find out whose it is, and have custody of it established.",
    ),
    _rule(
        "LINE_MISSING",
        Strength.GATE,
        "An acceptance has one line for each released container.",
        "Correct the acceptance so that it answers for every container.",
    ),
    _rule(
        "LINE_REPEATED",
        Strength.GATE,
        "An acceptance has one line for each released container.",
        "Correct the acceptance so that it answers once for every container.",
    ),
    _rule(
        "UNSIGNED_BY_RECEIVER",
        Strength.ADVISORY,
        "A receiver without a key is attested for by another person, with a second one.",
        "Nothing: it is shown as unsigned by the receiver.",
    ),
    _rule(
        "ATTESTATION_UNWITNESSED",
        Strength.HARD_GATE,
        "Custody that came by attestation is passed on only once a second person has joined the attestation.",
        "Have another person co-sign the attested acceptance.",
    ),
    _rule(
        "POSSESSION_DISPUTED",
        Strength.ADVISORY,
        "Custodian and possessor of a container agree.",
        "Hand the container over by release and acceptance, or have custody established.",
    ),
    _rule(
        "LOGGER_CALIBRATION_LAPSED",
        Strength.GATE,
        "A logger's calibration holds while it records.",
        "Have quality decide on the leg, and use a calibrated logger.",
    ),
    _rule(
        "SHIPPER_NOT_QUALIFIED",
        Strength.GATE,
        "A shipper's qualification holds until receipt.",
        "Have quality decide on the leg, and use a qualified shipper.",
    ),
    _rule(
        "SHIPPER_QUALIFICATION_UNKNOWN",
        Strength.ADVISORY,
        "The opening of a consignment says until when each shipper is qualified.",
        "State the qualification when opening the consignment.",
    ),
    _rule(
        "EXCURSION_ALARMED",
        Strength.GATE,
        "No logger alarms on the way.",
        "Have quality decide with a cited stability study.",
    ),
    _rule(
        "EXCURSION",
        Strength.GATE,
        "A container stays within its band all the time.",
        "Have quality decide with a cited stability study.",
    ),
    _rule(
        "CONDITION_UNKNOWN",
        Strength.GATE,
        "Every container has a logger with a summary of the whole leg; unknown is never in range.",
        "Read the logger out and enter its summary, or have quality decide.",
    ),
    _rule(
        "LEG_NOT_COVERED",
        Strength.ADVISORY,
        "A logger's readings begin before its container leaves and go on until whoever receives it answers for it.",
        "Nothing for this leg: its condition is unknown. Start loggers before they leave, and stop them on receipt.",
    ),
    _rule(
        "LOGGER_CLOCK_DISAGREES",
        Strength.ADVISORY,
        "A logger's clock agrees with the ledger's times within five minutes.",
        "Nothing for this leg: its condition is unknown. Set the logger's clock before it is started.",
    ),
    _rule(
        "CONTAINERS_MISNUMBERED",
        Strength.GATE,
        "Numbered containers are numbered 1 to N, each once, and each says how many there are.",
        "Correct the opening so that every container says its own number of the same N.",
    ),
    _rule(
        "COOLANT_RAN_OUT",
        Strength.GATE,
        "Coolant is filled in again before it has run out.",
        "Have quality decide on the leg, by its logger's readings.",
    ),
    _rule(
        "COOLANT_SPENT",
        Strength.ADVISORY,
        "A container arrives while its coolant lasts.",
        "Nothing: the logger's readings decide. Look into the delay.",
    ),
    _rule(
        "COOLANT_TIME_MISSING",
        Strength.ADVISORY,
        "Who fills in coolant says until when it lasts, and that lies ahead.",
        "Correct the fact so that it says until when the coolant lasts.",
    ),
    _rule(
        "CUSTOMS_CLEARED_BEFORE",
        Strength.ADVISORY,
        "An authority lets go once what it keeps.",
        "Retract the statement that was made twice.",
    ),
    _rule(
        "OPENED_BY_AUTHORITY",
        Strength.GATE,
        "Nobody opens a container or has it X-rayed on the way.",
        "Inspect the container, seal it again and have quality decide.",
    ),
    _rule(
        "SHOCK_EXCEEDED",
        Strength.GATE,
        "An impact or a tilt stays within the limit set for the container; one that cannot be compared does not.",
        "Inspect the materials and have quality decide.",
    ),
    _rule(
        "CONTAINER_LOST",
        Strength.GATE,
        "The custodian knows where a container is.",
        "Find it, have whoever has it report it, and have quality lift the hold.",
    ),
    _rule(
        "DOCUMENT_NOT_RECEIVED",
        Strength.ADVISORY,
        "The documents that travel with a consignment are told of when it is inspected at its destination.",
        "Ask the sender for the document, and tell of it in another inspection.",
    ),
    _rule(
        "NOT_THE_DESTINATION",
        Strength.ADVISORY,
        "A consignment is inspected on receipt at its destination, or by its carrier.",
        "Hand it over to a carrier, and let the destination inspect it.",
    ),
    _rule(
        "ATTESTATION_EMPTY",
        Strength.GATE,
        "An attestation names the receiver by the digest of the name, and by a badge, a waybill or the seals read.",
        "Correct the acceptance so that the receiver can be found again.",
    ),
    _rule(
        "RELEASE_OPEN_AT_CLOSURE",
        Strength.GATE,
        "A consignment is closed when no release waits for an answer.",
        "Answer or withdraw the release.",
    ),
    _rule(
        "AFTER_CLOSURE",
        Strength.GATE,
        "No handoff, seal, logger or inspection follows the closure of a consignment.",
        "Correct or retract the closure, or open another consignment.",
    ),
    _rule(
        "BODY_NOT_OF_CONSIGNMENT",
        Strength.GATE,
        "A consignment's stream takes the acts of a consignment only.",
        "File the act in the stream that it belongs to.",
    ),
)

register(*RULES)
