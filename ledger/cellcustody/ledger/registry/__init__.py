"""The registry: sites, persons, devices, keys, policies and schemas, judged by position in the log. Pure.

What other packages use is named here; the modules hold the rules. Refusals stand in `registry.errors`.
"""

from cellcustody.ledger.registry.admission import (
    HANDOFF_BODIES,
    LEDGER_KINDS,
    Admission,
    SignerFacts,
    admit_signer,
    competence,
)
from cellcustody.ledger.registry.anchor import Anchor, encode_anchor, parse_anchor
from cellcustody.ledger.registry.audit import verify_registry
from cellcustody.ledger.registry.evolution import apply, replay
from cellcustody.ledger.registry.founding import founding_keys, ledger_id_of
from cellcustody.ledger.registry.judging import judge, judge_co_signature
from cellcustody.ledger.registry.possession import enrolled_key, verify_possession
from cellcustody.ledger.registry.records import (
    ROLE_ADMINISTRATOR,
    ROLE_DEVICE,
    ROLE_LEDGER,
    ROLE_REGISTRAR,
    Device,
    EmergencyGrant,
    Founding,
    KeyRecord,
    KeyStanding,
    KeyState,
    KeyVerdict,
    LogKeys,
    Person,
    Policy,
    Registrars,
    RegistryJudgement,
    RoleGrant,
    Schema,
    Site,
)
from cellcustody.ledger.registry.state import Joined, RegistryState, RegistryView
from cellcustody.ledger.registry.statement import RegistryEntry, RegistryStatement

__all__ = [
    "HANDOFF_BODIES",
    "LEDGER_KINDS",
    "ROLE_ADMINISTRATOR",
    "ROLE_DEVICE",
    "ROLE_LEDGER",
    "ROLE_REGISTRAR",
    "Admission",
    "Anchor",
    "Device",
    "EmergencyGrant",
    "Founding",
    "Joined",
    "KeyRecord",
    "KeyStanding",
    "KeyState",
    "KeyVerdict",
    "LogKeys",
    "Person",
    "Policy",
    "Registrars",
    "RegistryEntry",
    "RegistryJudgement",
    "RegistryState",
    "RegistryStatement",
    "RegistryView",
    "RoleGrant",
    "Schema",
    "SignerFacts",
    "Site",
    "admit_signer",
    "apply",
    "competence",
    "encode_anchor",
    "enrolled_key",
    "founding_keys",
    "judge",
    "judge_co_signature",
    "ledger_id_of",
    "parse_anchor",
    "replay",
    "verify_possession",
    "verify_registry",
]
