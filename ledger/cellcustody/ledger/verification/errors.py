"""Every way in which a dossier can be broken; the reason names the link, the values say what was found.

VerificationError
`- DossierError                  DOSSIER_INVALID
   |- DossierFormError           DOSSIER_FORM
   |- EntryInvalidError          ENTRY_INVALID
   |- IssuerMismatchError        ISSUER_MISMATCH
   |- RegistryInvalidError       REGISTRY_INVALID
   |- CheckpointInvalidError     CHECKPOINT_INVALID
   |- WitnessQuorumError         WITNESS_QUORUM_UNMET
   |- InclusionInvalidError      INCLUSION_INVALID
   |- ManifestInvalidError       MANIFEST_INVALID
   |- ScopeInvalidError          SCOPE_INVALID
   |- CompletenessInvalidError   COMPLETENESS_INVALID
   |- AliasesInvalidError        ALIASES_INVALID
   |- StatementInvalidError      STATEMENT_INVALID
   |- CommitmentInvalidError     BODY_INVALID
   |- SignerInvalidError         SIGNER_INVALID
   |- StreamBrokenError          STREAM_BROKEN
   |- JudgementInvalidError      JUDGEMENT_INVALID
   |- CoSignatureInvalidError    CO_SIGNATURE_INVALID
   |- ReferenceInvalidError      REFERENCE_INVALID
   |- TimeInvalidError           TIME_INVALID
   |- AlgorithmBrokenError       ALGORITHM_BROKEN
   `- NothingCheckedError        NOTHING_CHECKED
`- ReportInvalidError            REPORT_INVALID: of a signed report, not of a dossier
"""

from __future__ import annotations

from typing import ClassVar

from cellcustody.ledger.errors import VerificationError
from cellcustody.ledger.verification.report import Check, Report

__all__ = [
    "AlgorithmBrokenError",
    "AliasesInvalidError",
    "CheckpointInvalidError",
    "CoSignatureInvalidError",
    "CommitmentInvalidError",
    "CompletenessInvalidError",
    "DossierError",
    "DossierFormError",
    "EntryInvalidError",
    "InclusionInvalidError",
    "IssuerMismatchError",
    "JudgementInvalidError",
    "ManifestInvalidError",
    "NothingCheckedError",
    "ReferenceInvalidError",
    "RegistryInvalidError",
    "ReportInvalidError",
    "ScopeInvalidError",
    "SignerInvalidError",
    "StatementInvalidError",
    "StreamBrokenError",
    "TimeInvalidError",
    "WitnessQuorumError",
]


class DossierError(VerificationError):
    """Raised at the first broken link; `report` says what was checked before it, where a whole dossier is verified."""

    reason = "DOSSIER_INVALID"
    check: ClassVar[Check] = Check.CONTAINER
    report: Report | None = None


class DossierFormError(DossierError):
    """Raised when the file, or a file in it, is not in its exact form."""

    reason = "DOSSIER_FORM"
    check = Check.CONTAINER


class EntryInvalidError(DossierError):
    """Raised when an entry is not in its exact form."""

    reason = "ENTRY_INVALID"
    check = Check.ENTRIES


class IssuerMismatchError(DossierError):
    """Raised when the dossier is of another ledger, or another log, than the anchor names."""

    reason = "ISSUER_MISMATCH"
    check = Check.ISSUER


class RegistryInvalidError(DossierError):
    """Raised when the registry's entries are not what the rules make of them, or one of them is broken."""

    reason = "REGISTRY_INVALID"
    check = Check.REGISTRY


class CheckpointInvalidError(DossierError):
    """Raised when the checkpoint is not signed by every key that signs for the log at that size."""

    reason = "CHECKPOINT_INVALID"
    check = Check.CHECKPOINT


class WitnessQuorumError(DossierError):
    """Raised when fewer witnesses cosigned than the anchor asks for; `lacking` names those that did not."""

    reason = "WITNESS_QUORUM_UNMET"
    check = Check.WITNESSES


class InclusionInvalidError(DossierError):
    """Raised when the entries are not in the tree that the checkpoint names."""

    reason = "INCLUSION_INVALID"
    check = Check.INCLUSION


class ManifestInvalidError(DossierError):
    """Raised when the manifest is not signed by the ledger, or does not list these very files."""

    reason = "MANIFEST_INVALID"
    check = Check.MANIFEST


class ScopeInvalidError(DossierError):
    """Raised when the entries are others than the manifest says, or a stream that is cited is not there."""

    reason = "SCOPE_INVALID"
    check = Check.SCOPE


class CompletenessInvalidError(DossierError):
    """Raised when entries of a stream are left out, or the map that says where streams end does not hold."""

    reason = "COMPLETENESS_INVALID"
    check = Check.COMPLETENESS


class AliasesInvalidError(DossierError):
    """Raised when an alias of the therapy names another, or the key or a proof that shows it does not hold."""

    reason = "ALIASES_INVALID"
    check = Check.ALIASES


class StatementInvalidError(DossierError):
    """Raised when a statement's bytes, signatures or header are wrong."""

    reason = "STATEMENT_INVALID"
    check = Check.SIGNATURES


class CommitmentInvalidError(DossierError):
    """Raised when the records shown are not those that were signed, or not the wire form of the body."""

    reason = "BODY_INVALID"
    check = Check.BODIES


class SignerInvalidError(DossierError):
    """Raised when a key could not sign there, or a signer lacked what the entry does not say they lacked."""

    reason = "SIGNER_INVALID"
    check = Check.SIGNERS


class StreamBrokenError(DossierError):
    """Raised when a stream's entries are not one unbroken chain from its first."""

    reason = "STREAM_BROKEN"
    check = Check.STREAMS


class JudgementInvalidError(DossierError):
    """Raised when a judgement is missing, cannot stand, or was revised by somebody else than the ledger."""

    reason = "JUDGEMENT_INVALID"
    check = Check.JUDGEMENTS


class CoSignatureInvalidError(DossierError):
    """Raised when persons are missing, count twice, or may not join; or an authorisation is in effect without them."""

    reason = "CO_SIGNATURE_INVALID"
    check = Check.CO_SIGNATURES


class ReferenceInvalidError(DossierError):
    """Raised when a statement rests on a schema, a policy or a statement that was not there yet."""

    reason = "REFERENCE_INVALID"
    check = Check.REFERENCES


class NothingCheckedError(DossierError):
    """Raised when there was nothing to check, so that nothing can be said."""

    reason = "NOTHING_CHECKED"
    check = Check.ENTRIES


class TimeInvalidError(DossierError):
    """Raised when time evidence is not in its form, is not of this log, or is an authority's and does not hold."""

    reason = "TIME_INVALID"
    check = Check.TIME


class AlgorithmBrokenError(DossierError):
    """Raised when statements rest on algorithms that the verifier holds broken; the report tells which do and why."""

    reason = "ALGORITHM_BROKEN"
    check = Check.SIGNATURES


class ReportInvalidError(VerificationError):
    """Raised when a verification report is not what the key that is believed signed."""

    reason = "REPORT_INVALID"
