"""The commands that verify offline: a dossier, and the signed report of a verification."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from cellcustody.clients.cli.context import AsJson
from cellcustody.clients.cli.plain import Plain, as_json
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import moment, print_table, say, short
from cellcustody.clients.signers import open_signer, public_key_of_file
from cellcustody.ledger.completeness.values import parse_alias_key_file
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import parse_public_key
from cellcustody.ledger.timestamps.algorithm_policy import NOTHING_BROKEN, parse_algorithm_policy
from cellcustody.ledger.verification import DossierError, Outcome, Report, verify_dossier
from cellcustody.ledger.verification.report_files import read_report, report_message, sign_report
from cellcustody.ledger.verification.standpoint import Standpoint
from cellcustody.ledger.verification.verdicts import Verdict, structured_verdicts
from cellcustody.v1 import verification_report_pb2

__all__ = ["register"]

_VERDICT_COLUMNS = (
    "leaf",
    "what",
    "signer",
    "role",
    "bytes",
    "signatures",
    "key",
    "standing",
    "commitment",
    "chain",
    "inclusion",
    "completeness",
    "quorum",
    "issuer",
    "replay",
    "time",
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)
    app.command("report")(show_report)


def verify(
    file: Annotated[Path, typer.Argument(help="The dossier.")],
    anchor: Annotated[Path | None, typer.Option(help="Anchor file, got elsewhere than from the operator.")] = None,
    statements: Annotated[bool, typer.Option("--statements", help="Show the verdict on every statement.")] = False,
    alias_key: Annotated[
        Path | None, typer.Option(help="The key of aliases, where the reader was given it: aliases are checked too.")
    ] = None,
    algorithms: Annotated[
        Path | None, typer.Option(help="Which algorithms are held broken, and since when (docs/formats/timestamps.md).")
    ] = None,
    now: Annotated[str, typer.Option(help="The time to verify at, with its offset; else this machine's clock.")] = "",
    report: Annotated[Path | None, typer.Option(help="File to write a signed report to.")] = None,
    sign_with: Annotated[str, typer.Option(help="Key file, or PKCS #11 URI, that signs the report.")] = "",
    json: AsJson = False,
) -> None:
    """Verify a dossier offline, every check with its result, and a verdict on every statement.

    Without an anchor nobody knows whose ledger it is from, and it ends with 1.
    """
    if (report is None) != (not sign_with):
        raise ConfigurationError("--report and --sign-with belong together: a report is signed")
    data = _read(file)
    anchor_file = None if anchor is None else _read(anchor)
    broken: DossierError | None = None
    try:
        found = verify_dossier(
            data,
            None if anchor_file is None else parse_anchor(anchor_file),
            alias_key=None if alias_key is None else parse_alias_key_file(_read(alias_key)),
            standpoint=Standpoint(
                time_of(now) if now else datetime.now(UTC),
                NOTHING_BROKEN if algorithms is None else parse_algorithm_policy(_read(algorithms)),
            ),
        )
    except DossierError as defect:
        if defect.report is None:
            raise
        broken, found = defect, defect.report
    if report is not None:
        message = report_message(
            found,
            dossier=data,
            anchor=anchor_file,
            verified_at=datetime.now(UTC),
            verifier=f"cellcustody {version('cellcustody')}",
            broken=broken,
        )
        locator = Path(sign_with) if not sign_with.startswith("pkcs11:") else sign_with
        report.write_bytes(sign_report(message, [open_signer(locator)]))
    if json:
        typer.echo(as_json(_report_as_plain(found, broken)))
    else:
        _print_report(found, broken, with_statements=statements)
    if found.outcome is not Outcome.VERIFIED:
        raise typer.Exit(1)


def show_report(
    file: Annotated[Path, typer.Argument(help="The report.")],
    key: Annotated[Path, typer.Option(help="Public key (PEM), or key file, of whoever is believed to have signed it.")],
    dossier: Annotated[Path | None, typer.Option(help="The dossier that it should be of.")] = None,
    json: AsJson = False,
) -> None:
    """Check who signed a verification report, and show what it says; ends with 1 unless it says VERIFIED."""
    told = read_report(_read(file), parse_public_key(_public_key(key)))
    if dossier is not None:
        digest = hashlib.sha256(_read(dossier)).digest()
        if digest != told.subject_sha256:
            raise ConfigurationError(
                "the report is of another file", reported=told.subject_sha256.hex(), given=digest.hex()
            )
    if json:
        typer.echo(as_json(_message_as_plain(told)))
    else:
        _print_message(told)
    if told.outcome != Outcome.VERIFIED.value:
        raise typer.Exit(1)


def _print_report(report: Report, broken: DossierError | None, *, with_statements: bool) -> None:
    print_table(
        "Checks",
        ("check", "result", "checked", "what it shows", "note"),
        (
            (line.check.name, line.result.value, str(line.checked), line.check.value, line.note)
            for line in report.checks
        ),
    )
    if with_statements:
        print_table("Statements", _VERDICT_COLUMNS, map(_verdict_row, structured_verdicts(report)))
    if broken is not None:
        say(f"first broken link: {broken}", style="bold red")
    for statements, why in (
        (report.suspect, "were signed with a key later said to be compromised, and are not affirmed"),
        (report.untimely, "claim times that contradict what is proven"),
        (report.invalid, "rest on algorithms held broken"),
    ):
        if statements:
            leaves = ", ".join(str(one.leaf_index) for one in statements[:12])
            more = " ..." if len(statements) > 12 else ""
            say(f"{len(statements)} statements {why}: leaves {leaves}{more}", style="red")
    say(
        f"{report.outcome.value}: {len(report.statements)} statements, position {report.position}",
        style="bold green" if report.outcome is Outcome.VERIFIED else "bold red",
    )


def _verdict_row(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.found
    what = found.body_type.rpartition(".")[2] or "co-signature"
    return (str(found.leaf_index), what, short(found.signer), found.role, *verdict.results.values())


def _report_as_plain(report: Report, broken: DossierError | None) -> Plain:
    return {
        "outcome": report.outcome.value,
        "first_broken_link": None
        if broken is None
        else {"reason": broken.reason, "message": str(broken), "values": dict(broken.values)},
        "checks": [
            {"check": line.check.name, "result": line.result.value, "checked": line.checked, "note": line.note}
            for line in report.checks
        ],
        "ledger_id": report.ledger_id.hex(),
        "log_origin": report.log_origin,
        "position": report.position,
        "complete_below": report.complete_below,
        "therapy": report.therapy.hex(),
        "statements": [_verdict_as_plain(verdict) for verdict in structured_verdicts(report)],
    }


def _verdict_as_plain(verdict: Verdict) -> Plain:
    found = verdict.found
    return {
        "leaf_index": found.leaf_index,
        "stream": found.stream.hex(),
        "sequence": found.sequence,
        "statement_digest": found.statement_digest.hex(),
        "body_type": found.body_type,
        "signer": found.signer.hex(),
        "site": found.site.hex(),
        "role": found.role,
        "key": found.key.value,
        "status": found.status,
        "findings": list(found.findings),
        "co_signers": [one.hex() for one in found.co_signers],
        "records_open": found.records_open,
        "records_closed": found.records_closed,
        "not_before": None if found.not_before is None else found.not_before.isoformat(),
        "not_after": None if found.not_after is None else found.not_after.isoformat(),
        "remarks": list(found.remarks),
        "verdict": dict(verdict.results),
    }


def _print_message(told: verification_report_pb2.VerificationReport) -> None:
    print_table(
        "Checks",
        ("check", "result", "checked", "note"),
        ((line.name, _result(line.result), str(line.checked), line.note) for line in told.checks),
    )
    if told.HasField("first_broken"):
        say(f"first broken link: {told.first_broken.reason}: {told.first_broken.message}", style="bold red")
    say(f"verified by {told.verifier} at {moment(told.verified_at_unix_micros)}, by its own clock")
    say(f"file sha256 {told.subject_sha256.hex()}; anchor sha256 {told.anchor_sha256.hex() or 'none'}")
    say(
        f"{told.outcome}: {len(told.statements)} statements, position {told.position}",
        style="bold green" if told.outcome == Outcome.VERIFIED.value else "bold red",
    )


def _message_as_plain(told: verification_report_pb2.VerificationReport) -> Plain:
    return {
        "outcome": told.outcome,
        "verifier": told.verifier,
        "verified_at_unix_micros": told.verified_at_unix_micros,
        "subject_sha256": told.subject_sha256.hex(),
        "anchor_sha256": told.anchor_sha256.hex(),
        "first_broken_link": {"reason": told.first_broken.reason, "message": told.first_broken.message}
        if told.HasField("first_broken")
        else None,
        "checks": [
            {"check": line.name, "result": _result(line.result), "checked": line.checked, "note": line.note}
            for line in told.checks
        ],
        "position": told.position,
        "therapy": told.therapy.hex(),
        "statements": [
            {
                "leaf_index": one.leaf_index,
                "statement_digest": one.statement_digest.hex(),
                "body_type": one.body_type,
                "key_state": one.key_state,
                "time_state": one.time_state,
                "bytes": _result(one.bytes_form),
                "signatures": _result(one.signatures),
                "standing": _result(one.standing),
                "commitment": _result(one.commitment),
                "chain": _result(one.chain),
                "inclusion": _result(one.inclusion),
                "completeness": _result(one.completeness),
                "quorum": _result(one.quorum),
                "issuer": _result(one.issuer),
                "replay": _result(one.replay),
            }
            for one in told.statements
        ],
    }


def _result(number: verification_report_pb2.VerificationResult.ValueType) -> str:
    name = verification_report_pb2.VerificationResult.Name(number)
    return name.removeprefix("VERIFICATION_RESULT_").replace("_", " ")


def _public_key(path: Path) -> bytes:
    content = _read(path)
    if not content.startswith(b"-----BEGIN PUBLIC KEY-----"):
        return public_key_of_file(path)
    try:
        key = load_pem_public_key(content)
    except ValueError as refusal:
        raise ConfigurationError("the file holds no public key", path=path) from refusal
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=path, because=refusal.strerror) from refusal
