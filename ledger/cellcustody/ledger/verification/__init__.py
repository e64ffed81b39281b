"""The offline verifier: bytes in, a report out. No I/O, no clock, no database (design, section 10).

`verify_dossier` verifies one file against an anchor; `verify_entries` a sequence of entries of any length.
"""

from cellcustody.ledger.verification.container import EntryToVerify, OpenedDossier, open_dossier
from cellcustody.ledger.verification.dossiers import verify_dossier, verify_log_checkpoint
from cellcustody.ledger.verification.errors import (
    AliasesInvalidError,
    CheckpointInvalidError,
    CommitmentInvalidError,
    CompletenessInvalidError,
    CoSignatureInvalidError,
    DossierError,
    DossierFormError,
    EntryInvalidError,
    InclusionInvalidError,
    IssuerMismatchError,
    JudgementInvalidError,
    ManifestInvalidError,
    NothingCheckedError,
    ReferenceInvalidError,
    RegistryInvalidError,
    ScopeInvalidError,
    SignerInvalidError,
    StatementInvalidError,
    StreamBrokenError,
    WitnessQuorumError,
)
from cellcustody.ledger.verification.exports import (
    ChunkRunner,
    ExportReport,
    SoFar,
    VerifiedChunk,
    VerifyChunk,
    verify_chunk,
    verify_entries,
)
from cellcustody.ledger.verification.receipts import (
    VerifiedReceipt,
    checkpoint_standing,
    verify_receipt_by_registry,
)
from cellcustody.ledger.verification.registry_replay import ReplayedRegistry, replay_registry
from cellcustody.ledger.verification.report import (
    Check,
    CheckLine,
    KeyFinding,
    Outcome,
    Report,
    Result,
    StatementVerdict,
)
from cellcustody.ledger.verification.statements import CheckedStatement, StatementVerifier
from cellcustody.ledger.verification.witnesses import CheckedReceipt, verify_receipt

__all__ = [
    "AliasesInvalidError",
    "Check",
    "CheckLine",
    "CheckedReceipt",
    "CheckedStatement",
    "CheckpointInvalidError",
    "ChunkRunner",
    "CoSignatureInvalidError",
    "CommitmentInvalidError",
    "CompletenessInvalidError",
    "DossierError",
    "DossierFormError",
    "EntryInvalidError",
    "EntryToVerify",
    "ExportReport",
    "InclusionInvalidError",
    "IssuerMismatchError",
    "JudgementInvalidError",
    "KeyFinding",
    "ManifestInvalidError",
    "NothingCheckedError",
    "OpenedDossier",
    "Outcome",
    "ReferenceInvalidError",
    "RegistryInvalidError",
    "ReplayedRegistry",
    "Report",
    "Result",
    "ScopeInvalidError",
    "SignerInvalidError",
    "SoFar",
    "StatementInvalidError",
    "StatementVerdict",
    "StatementVerifier",
    "StreamBrokenError",
    "VerifiedChunk",
    "VerifiedReceipt",
    "VerifyChunk",
    "WitnessQuorumError",
    "checkpoint_standing",
    "open_dossier",
    "replay_registry",
    "verify_chunk",
    "verify_dossier",
    "verify_entries",
    "verify_log_checkpoint",
    "verify_receipt",
    "verify_receipt_by_registry",
]
