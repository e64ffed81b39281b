"""Write a verification report that somebody signs, and read it back.

The rules:

* It is an envelope of kind verification-report over a `VerificationReport` in the exact wire form, signed by whoever
  verified. It is their word: it is worth what their key is worth, and is in no log.
* It names the file that was verified, and the anchor, by SHA-256, so that it cannot be taken for the report of another.
* It says everything that was found: every check, every statement, what is UNVERIFIED among it.
* Whoever reads it brings the public key of the one they believe. Nothing in it is believed before the signature is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import (
    PayloadType,
    PublicKey,
    Signer,
    parse_envelope,
    parse_wire_form,
    sign_envelope,
    verify_envelope,
)
from cellcustody.ledger.verification.errors import DossierError, ReportInvalidError
from cellcustody.ledger.verification.report import Report, Result
from cellcustody.ledger.verification.verdicts import structured_verdicts
from cellcustody.v1 import verification_report_pb2

__all__ = ["FORMAT_VERSION", "REPORT_BYTES_MAX", "read_report", "report_message", "sign_report"]

FORMAT_VERSION: Final = 1
REPORT_BYTES_MAX: Final = 16 << 20
"""A statement takes about 220 bytes, so that a report may tell of 70,000; a therapy has hundreds. It is in no log."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RESULTS: Final = {
    Result.PASSED: verification_report_pb2.VERIFICATION_RESULT_PASSED,
    Result.FAILED: verification_report_pb2.VERIFICATION_RESULT_FAILED,
    Result.UNVERIFIED: verification_report_pb2.VERIFICATION_RESULT_UNVERIFIED,
    Result.NOT_REACHED: verification_report_pb2.VERIFICATION_RESULT_NOT_REACHED,
}


def report_message(
    report: Report,
    *,
    dossier: bytes,
    anchor: bytes | None,
    verified_at: datetime,
    verifier: str,
    broken: DossierError | None = None,
) -> verification_report_pb2.VerificationReport:
    """Returns what was found as a message. `dossier` and `anchor` are the files; `verified_at` is aware."""
    message = verification_report_pb2.VerificationReport(
        format_version=FORMAT_VERSION,
        subject_sha256=hashlib.sha256(dossier).digest(),
        anchor_sha256=b"" if anchor is None else hashlib.sha256(anchor).digest(),
        verified_at_unix_micros=_micros(verified_at),
        verifier=verifier,
        outcome=report.outcome.value,
        checks=[
            verification_report_pb2.ReportedCheck(
                name=line.check.name, result=_RESULTS[line.result], checked=line.checked, note=line.note
            )
            for line in report.checks
        ],
        first_broken=None
        if broken is None
        else verification_report_pb2.ReportedBreak(reason=broken.reason, message=str(broken)),
        ledger_id=report.ledger_id,
        log_origin=report.log_origin,
        position=report.position,
        therapy=report.therapy,
    )
    for verdict in structured_verdicts(report):
        found = verdict.found
        message.statements.append(
            verification_report_pb2.ReportedStatement(
                leaf_index=found.leaf_index,
                stream=found.stream,
                sequence=found.sequence,
                statement_digest=found.statement_digest,
                body_type=found.body_type,
                signer=found.signer,
                site=found.site,
                role=found.role,
                bytes_form=_RESULTS[verdict.bytes_form],
                signatures=_RESULTS[verdict.signatures],
                signature_count=found.signatures,
                key_state=verdict.key_state.value,
                standing=_RESULTS[verdict.standing],
                commitment=_RESULTS[verdict.commitment],
                chain=_RESULTS[verdict.chain],
                inclusion=_RESULTS[verdict.inclusion],
                completeness=_RESULTS[verdict.completeness],
                quorum=_RESULTS[verdict.quorum],
                issuer=_RESULTS[verdict.issuer],
                replay=_RESULTS[verdict.replay],
                time_state=verdict.time_state.value,
                not_before_unix_micros=None if found.not_before is None else _micros(found.not_before),
                not_after_unix_micros=None if found.not_after is None else _micros(found.not_after),
                status=found.status,
                findings=found.findings,
                co_signers=found.co_signers,
                remarks=found.remarks,
            )
        )
    return message


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def sign_report(message: verification_report_pb2.VerificationReport, signers: Sequence[Signer]) -> bytes:
    """Returns the file: an envelope, signed by whoever verified.

    Raises:
        ReportInvalidError: it would have more than `REPORT_BYTES_MAX` bytes, which nobody reads back.
    """
    raw = sign_envelope(message.SerializeToString(deterministic=True), PayloadType.VERIFICATION_REPORT, signers)
    if len(raw) > REPORT_BYTES_MAX:
        raise ReportInvalidError("the report is too large", length=len(raw), limit=REPORT_BYTES_MAX)
    return raw


def read_report(raw: bytes, key: PublicKey) -> verification_report_pb2.VerificationReport:
    """Returns what a report says, after the signature of the one who is believed.

    Raises:
        ReportInvalidError: this key did not sign it, or it is not in its form.
    """
    try:
        envelope = parse_envelope(raw, bytes_max=REPORT_BYTES_MAX)
        if envelope.payload_type is not PayloadType.VERIFICATION_REPORT:
            raise ReportInvalidError("this is no verification report", payload_type=envelope.payload_type.value)
        # The signature covers these very bytes. Nothing in the payload is believed before this step.
        verify_envelope(envelope, {key.key_id: key}.get)
        message = parse_wire_form(verification_report_pb2.VerificationReport, envelope.payload)
    except ReportInvalidError:
        raise
    except CellcustodyError as defect:
        raise ReportInvalidError("the report is not what this key signed", defect=str(defect)) from defect
    if message.format_version != FORMAT_VERSION:
        raise ReportInvalidError("the report is of another format", format_version=message.format_version)
    return message
