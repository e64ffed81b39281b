"""A signed report can be read back however many statements it tells of."""

import pytest

from cellcustody.ledger.statements import Ed25519Signer, parse_public_key
from cellcustody.ledger.statements.envelope import ENVELOPE_BYTES_MAX
from cellcustody.ledger.verification.errors import ReportInvalidError
from cellcustody.ledger.verification.report_files import REPORT_BYTES_MAX, read_report, sign_report
from cellcustody.v1 import verification_report_pb2

AUDITOR = Ed25519Signer(b"\x07" * 32)
STATEMENTS_OF_A_LONG_THERAPY = 1_000


def _report(count: int, note: str = "") -> verification_report_pb2.VerificationReport:
    return verification_report_pb2.VerificationReport(
        format_version=1,
        outcome="VERIFIED",
        statements=[
            verification_report_pb2.ReportedStatement(
                leaf_index=index, stream=b"s" * 17, statement_digest=b"d" * 32, body_type=note or "cellcustody.v1.Body"
            )
            for index in range(count)
        ],
    )


def test_a_report_of_many_statements_is_read_back() -> None:
    """It is in no log, so that the limit of an entry is not its limit."""
    raw = sign_report(_report(STATEMENTS_OF_A_LONG_THERAPY), [AUDITOR])
    assert len(raw) > ENVELOPE_BYTES_MAX
    told = read_report(raw, parse_public_key(AUDITOR.public_key.spki))
    assert len(told.statements) == STATEMENTS_OF_A_LONG_THERAPY


def test_what_nobody_could_read_back_is_not_written() -> None:
    """A report beyond the limit is refused while it is signed."""
    with pytest.raises(ReportInvalidError, match="too large"):
        sign_report(_report(1, "x" * REPORT_BYTES_MAX), [AUDITOR])
