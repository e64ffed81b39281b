"""Every refusal of the registry; `reason` is documented, sent over the wire and never changes.

SignatureRefusedError
|- (statements) KeyUnknownError  KEY_UNKNOWN
|- KeyRevokedError               KEY_REVOKED
|- KeySuspendedError             KEY_SUSPENDED
|- KeyRetiredError               KEY_RETIRED
|- SignerMismatchError           SIGNER_MISMATCH
|- ServiceKeyNotPermittedError   SERVICE_KEY_NOT_PERMITTED
`- LedgerOnlyError               LEDGER_ONLY
FormRefusedError
`- LedgerMismatchError           LEDGER_MISMATCH
AuthorisationRefusedError
|- DeviceUnknownError            DEVICE_UNKNOWN
|- PersonNeededError             PERSON_NEEDED
|- FoundingIncompleteError       FOUNDING_INCOMPLETE
|- AlreadyFoundedError           ALREADY_FOUNDED
|- NotRegistrarError             NOT_REGISTRAR
|- NotAdministratorError         NOT_ADMINISTRATOR
|- RegistryRoleError             REGISTRY_ROLE
|- HybridSignatureMissingError   HYBRID_SIGNATURE_MISSING
|- DifferentPersonNeededError    DIFFERENT_PERSON_NEEDED
|- CoSignerNotPermittedError     CO_SIGNER_NOT_PERMITTED
|- NotPendingError               NOT_PENDING
|- RegistryFieldInvalidError     REGISTRY_FIELD_INVALID
|- PossessionNotProvenError      POSSESSION_NOT_PROVEN
|- KeyStateError                 KEY_STATE
|- AdministratorsTooFewError     TWO_ADMINISTRATORS_NEEDED
|- QuorumUnreachableError        QUORUM_UNREACHABLE
`- ServiceKeyInUseError          SERVICE_KEY_IN_USE
ConflictError
|- KeyTakenError                 KEY_TAKEN
|- IdTakenError                  ID_TAKEN
|- TlsKeyTakenError              TLS_KEY_TAKEN
`- CoSignatureRepeatedError      CO_SIGNATURE_REPEATED
RetryableRefusedError
|- NotRegisteredError            NOT_REGISTERED
`- JoinedStatementUnknownError   JOINED_STATEMENT_UNKNOWN
VerificationError
`- RegistryReplayError           REGISTRY_REPLAY
MalformedError
`- AnchorMalformedError          ANCHOR_MALFORMED
"""

from __future__ import annotations

from cellcustody.ledger.errors import (
    AuthorisationRefusedError,
    ConflictError,
    FormRefusedError,
    MalformedError,
    RetryableRefusedError,
    SignatureRefusedError,
    VerificationError,
)
from cellcustody.ledger.statements.errors import KeyUnknownError

__all__ = [
    "AdministratorsTooFewError",
    "AlreadyFoundedError",
    "AnchorMalformedError",
    "CoSignatureRepeatedError",
    "CoSignerNotPermittedError",
    "DeviceUnknownError",
    "DifferentPersonNeededError",
    "FoundingIncompleteError",
    "HybridSignatureMissingError",
    "IdTakenError",
    "JoinedStatementUnknownError",
    "KeyRetiredError",
    "KeyRevokedError",
    "KeyStateError",
    "KeySuspendedError",
    "KeyTakenError",
    "KeyUnknownError",
    "LedgerMismatchError",
    "LedgerOnlyError",
    "NotAdministratorError",
    "NotPendingError",
    "NotRegisteredError",
    "NotRegistrarError",
    "PersonNeededError",
    "PossessionNotProvenError",
    "QuorumUnreachableError",
    "RegistryFieldInvalidError",
    "RegistryReplayError",
    "RegistryRoleError",
    "ServiceKeyInUseError",
    "ServiceKeyNotPermittedError",
    "SignerMismatchError",
    "TlsKeyTakenError",
]


class KeyRevokedError(SignatureRefusedError):
    """Raised when a key that signed was revoked before this position."""

    reason = "KEY_REVOKED"


class KeySuspendedError(SignatureRefusedError):
    """Raised when a key that signed is suspended at this position."""

    reason = "KEY_SUSPENDED"


class KeyRetiredError(SignatureRefusedError):
    """Raised when a retired key signed after its retirement, or the grace for what it signed before is over."""

    reason = "KEY_RETIRED"


class SignerMismatchError(SignatureRefusedError):
    """Raised when a key that signed belongs to somebody else than the signer that the header names."""

    reason = "SIGNER_MISMATCH"


class ServiceKeyNotPermittedError(SignatureRefusedError):
    """Raised when the ledger's service key signed what only persons and devices of sites may say."""

    reason = "SERVICE_KEY_NOT_PERMITTED"


class LedgerOnlyError(SignatureRefusedError):
    """Raised when somebody else than the ledger's service device signed what only the ledger says."""

    reason = "LEDGER_ONLY"


class DeviceUnknownError(AuthorisationRefusedError):
    """Raised when an authorisation was signed on a device that is not of the signer's site."""

    reason = "DEVICE_UNKNOWN"


class PersonNeededError(AuthorisationRefusedError):
    """Raised when a device signs an authorisation or a co-signature; only persons permit and join things."""

    reason = "PERSON_NEEDED"


class FoundingIncompleteError(AuthorisationRefusedError):
    """Raised when anything but the next act of the founding comes before the first schema is published."""

    reason = "FOUNDING_INCOMPLETE"


class AlreadyFoundedError(AuthorisationRefusedError):
    """Raised when a second founding statement comes."""

    reason = "ALREADY_FOUNDED"


class LedgerMismatchError(FormRefusedError):
    """Raised when a statement names another ledger, or none."""

    reason = "LEDGER_MISMATCH"


class NotRegistrarError(AuthorisationRefusedError):
    """Raised when somebody who is no registrar at this position acts as one."""

    reason = "NOT_REGISTRAR"


class NotAdministratorError(AuthorisationRefusedError):
    """Raised when the signer is no administrator, in training, of the site concerned."""

    reason = "NOT_ADMINISTRATOR"


class RegistryRoleError(AuthorisationRefusedError):
    """Raised when an act of the registry is signed in a role or with a meaning that cannot permit it."""

    reason = "REGISTRY_ROLE"


class HybridSignatureMissingError(AuthorisationRefusedError):
    """Raised when an act is signed without an ML-DSA-65 key, or with it alone, in a role that asks for two keys."""

    reason = "HYBRID_SIGNATURE_MISSING"


class DifferentPersonNeededError(AuthorisationRefusedError):
    """Raised when a signer joins their own statement."""

    reason = "DIFFERENT_PERSON_NEEDED"


class CoSignerNotPermittedError(AuthorisationRefusedError):
    """Raised when a co-signature comes from somebody whose word does not count for that act."""

    reason = "CO_SIGNER_NOT_PERMITTED"


class NotPendingError(AuthorisationRefusedError):
    """Raised when a co-signature joins an authorisation that is in effect already."""

    reason = "NOT_PENDING"


class RegistryFieldInvalidError(AuthorisationRefusedError):
    """Raised when a field of a registry act says what it may not; `field` names it."""

    reason = "REGISTRY_FIELD_INVALID"

    def __init__(self, message: str, /, *, field: str, **values: object) -> None:
        super().__init__(message, field=field, **values)
        self.field = field


class PossessionNotProvenError(AuthorisationRefusedError):
    """Raised when a key is enrolled without a proof, by that very key, that its holder has it."""

    reason = "POSSESSION_NOT_PROVEN"


class KeyStateError(AuthorisationRefusedError):
    """Raised when a key is in a state from which the act does not lead on, such as reinstating an active key."""

    reason = "KEY_STATE"


class AdministratorsTooFewError(AuthorisationRefusedError):
    """Raised when an act would leave a site with fewer than two administrators."""

    reason = "TWO_ADMINISTRATORS_NEEDED"


class QuorumUnreachableError(AuthorisationRefusedError):
    """Raised when an act would leave fewer registrars with a usable key than it takes; add a key first."""

    reason = "QUORUM_UNREACHABLE"


class ServiceKeyInUseError(AuthorisationRefusedError):
    """Raised when the service key in use would stop without another in its place; rotate it instead."""

    reason = "SERVICE_KEY_IN_USE"


class KeyTakenError(ConflictError):
    """Raised when a key is enrolled that somebody holds, or ever held, or that speaks for a site in TLS."""

    reason = "KEY_TAKEN"


class IdTakenError(ConflictError):
    """Raised when a site, person, device, policy version or schema is registered already."""

    reason = "ID_TAKEN"


class TlsKeyTakenError(ConflictError):
    """Raised when a TLS key is to speak for two sites, or is a signing key as well."""

    reason = "TLS_KEY_TAKEN"


class CoSignatureRepeatedError(ConflictError):
    """Raised when a person joins the same statement a second time."""

    reason = "CO_SIGNATURE_REPEATED"


class NotRegisteredError(RetryableRefusedError):
    """Raised when an act names a site, person, device or key that is not registered at this position."""

    reason = "NOT_REGISTERED"


class JoinedStatementUnknownError(RetryableRefusedError):
    """Raised when a co-signature joins a statement that is not in the registry's streams yet."""

    reason = "JOINED_STATEMENT_UNKNOWN"


class RegistryReplayError(VerificationError):
    """Raised when a recorded registry entry is not what the rules make of it; `leaf_index` says which."""

    reason = "REGISTRY_REPLAY"


class AnchorMalformedError(MalformedError):
    """Raised when an anchor file is not in its exact form."""

    reason = "ANCHOR_MALFORMED"
