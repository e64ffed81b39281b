"""Findings on equipment, qualifications, recalls, disputed numbers, emergencies, and what every stream takes."""

from __future__ import annotations

from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, register


def _fold(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.FOLD, rule, remedy)


def _entry(code: str, strength: Strength, rule: str, remedy: str) -> FindingRule:
    return FindingRule(code, strength, Family.ENTRY, rule, remedy)


RULES = (
    # The streams of equipment.
    _fold(
        "EQUIPMENT_NOT_REGISTERED",
        Strength.AWAITING,
        "Nothing happens to equipment before it is registered.",
        "Deliver the EquipmentRegistered of this stream.",
    ),
    _fold(
        "EQUIPMENT_ALREADY_REGISTERED",
        Strength.GATE,
        "Equipment is registered once.",
        "Register the other piece under an id of its own.",
    ),
    _fold(
        "EQUIPMENT_NAMELESS",
        Strength.GATE,
        "Equipment has an asset identifier and a kind.",
        "Correct the registration and state both.",
    ),
    _fold(
        "BODY_NOT_OF_EQUIPMENT",
        Strength.GATE,
        "The stream of a piece of equipment takes the acts of that equipment only.",
        "File the act in the stream that it belongs to.",
    ),
    _fold(
        "EQUIPMENT_OF_ANOTHER",
        Strength.GATE,
        "The site that owns equipment says that it is calibrated, qualified or back in service.",
        "Let a person of the owner's site sign.",
    ),
    _fold(
        "EQUIPMENT_IN_SERVICE",
        Strength.GATE,
        "Only what is out of service returns to it.",
        "Nothing: it is in service.",
    ),
    _fold(
        "EQUIPMENT_NOT_QUALIFIED",
        Strength.GATE,
        "Equipment returns to service while a calibration or qualification of it is in force.",
        "Record the calibration or qualification first.",
    ),
    # Qualifications.
    _fold(
        "QUALIFICATION_MISPLACED",
        Strength.GATE,
        "Equipment is calibrated and qualified in its own stream; carriers, lanes and sites in the site's.",
        "File it in the stream of what is qualified.",
    ),
    _fold(
        "QUALIFICATION_EMPTY",
        Strength.GATE,
        "A qualification ends after it begins.",
        "State from when until when it holds.",
    ),
    _fold(
        "LANE_UNCLEAR",
        Strength.GATE,
        "A lane leads from one site to another; only the qualification of a lane names one.",
        "Name both sites, or leave the lane out.",
    ),
    _fold(
        "QUALIFIED_BY_ITSELF",
        Strength.GATE,
        "A carrier, a lane or a site is qualified by another site than itself.",
        "Let the site that relies on it record the qualification.",
    ),
    _fold(
        "QUALIFICATION_UNKNOWN",
        Strength.AWAITING,
        "A withdrawal names a qualification of this stream.",
        "Deliver the qualification first, then send this again unchanged.",
    ),
    _fold(
        "QUALIFICATION_ENDED",
        Strength.GATE,
        "A qualification is withdrawn once.",
        "Nothing: it is withdrawn.",
    ),
    _fold(
        "QUALIFICATION_OF_ANOTHER",
        Strength.GATE,
        "The site that qualified withdraws the qualification.",
        "Let a person of that site sign, or place a hold.",
    ),
    _entry(
        "EQUIPMENT_OUT_OF_CALIBRATION",
        Strength.GATE,
        "Equipment of a kind that the policy names is calibrated or qualified on the day it is used.",
        "Use equipment that is; quality decides about what was done with this.",
    ),
    _entry(
        "EQUIPMENT_UNKNOWN",
        Strength.GATE,
        "Where the policy asks for qualified equipment, whatever is used is registered in this ledger.",
        "Register the equipment with its qualification before it is used.",
    ),
    _entry(
        "EQUIPMENT_OUT_OF_SERVICE",
        Strength.GATE,
        "Equipment that is out of service or on hold is not used.",
        "Use other equipment, or have its owner return it to service.",
    ),
    _entry(
        "SHIPPER_QUALIFICATION_MISSING",
        Strength.GATE,
        "Where the policy asks for it, a shipper is registered, in service and qualified on the day it is used.",
        "Pack into a qualified shipper.",
    ),
    _entry(
        "LOGGER_CALIBRATION_MISSING",
        Strength.GATE,
        "Where the policy asks for it, the loggers of a shipper are registered, in service and calibrated that day.",
        "Use a calibrated logger.",
    ),
    _entry(
        "COURIER_NOT_QUALIFIED",
        Strength.GATE,
        "Where the policy asks for it, the carrier was qualified, on that day, by a site of the therapy.",
        "Have a qualified carrier take it, or record the qualification first.",
    ),
    _entry(
        "LANE_NOT_QUALIFIED",
        Strength.GATE,
        "Where the policy asks for it, the way by this carrier was qualified, on that day, by a site of the therapy.",
        "Send it by a qualified way, or record the qualification first.",
    ),
    _entry(
        "QUALIFICATION_LAPSED",
        Strength.ADVISORY,
        "What is registered as equipment is calibrated or qualified on the day it is used.",
        "Record the qualification, or use other equipment.",
    ),
    # Recalls.
    _fold(
        "RECALL_OF_ANOTHER_LOT",
        Strength.GATE,
        "An action on a recall names materials into which that lot went.",
        "Name the lot and the materials into which it went.",
    ),
    _fold(
        "RECALL_ACTION_NOT_DUE",
        Strength.ADVISORY,
        "In a store a recalled lot's material is quarantined, on the way brought back, infused its physician is told.",
        "Do what is due where the material is.",
    ),
    _entry(
        "LOT_NOT_RECALLED",
        Strength.ADVISORY,
        "An action on a recall follows the recall of the lot.",
        "Have quality recall the lot.",
    ),
    # Donation numbers in dispute.
    _fold(
        "DIN_NOT_DISPUTED",
        Strength.GATE,
        "Only a donation number is settled that two therapies claim and nobody has settled.",
        "Nothing: the number is not in dispute here.",
    ),
    _fold(
        "CLAIM_OF_ANOTHER_NUMBER",
        Strength.GATE,
        "A settlement names the collection of this therapy that bears the number.",
        "Name the CollectionStarted that states it.",
    ),
    _fold(
        "DIN_SETTLED_OTHERWISE",
        Strength.GATE,
        "A donation number belongs to one therapy, and quality has given it to the other.",
        "Correct the collection of this therapy.",
    ),
    # Deviations, complaints and declined co-signatures, in every kind of stream.
    _fold(
        "NO_DEVIATION",
        Strength.GATE,
        "What is closed is a deviation that stands.",
        "Name the DeviationRaised.",
    ),
    _fold(
        "DEVIATION_CLOSED_ALREADY",
        Strength.GATE,
        "A deviation is closed once.",
        "Nothing, or raise another deviation.",
    ),
    _fold(
        "DECLINES_NOTHING",
        Strength.ADVISORY,
        "Who declines names a statement of this stream that asks for other persons.",
        "Name the statement that was to be joined.",
    ),
    _fold(
        "DECLINED_WITHOUT_SAY",
        Strength.ADVISORY,
        "Only those end a pending authorisation by declining whom the policy asks to join, or who signed it.",
        "Let somebody decline who is asked.",
    ),
    # Emergency credentials.
    _entry(
        "EMERGENCY_CREDENTIAL",
        Strength.ADVISORY,
        "The signer acted in a role that two administrators granted for a day at most; quality reviews it afterwards.",
        "Quality of the site reviews the use of the credential.",
    ),
    _entry(
        "EMERGENCY_GRANT_UNKNOWN",
        Strength.GATE,
        "A review names an emergency credential in effect, in the stream of the site that granted it.",
        "Name the grant, in the stream of its site.",
    ),
    _entry(
        "REVIEWER_CONCERNED",
        Strength.GATE,
        "Whoever used an emergency credential, or granted it, does not review its use.",
        "Let another person of quality review it.",
    ),
    _fold(
        "REVIEWED_ALREADY",
        Strength.GATE,
        "The use of an emergency credential is reviewed once.",
        "Nothing, or raise a deviation.",
    ),
)

register(*RULES)
