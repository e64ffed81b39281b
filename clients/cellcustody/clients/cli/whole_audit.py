"""The command that audits a whole log: read all, verify all, say what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cellcustody.clients.auditing import AuditProgress, AuditReport, audit_log, open_source
from cellcustody.clients.cli.context import AsJson, Context, context_of
from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.cli.screen import print_table, say
from cellcustody.clients.connection import TlsFiles
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import parse_anchor

__all__ = ["register"]

UNVERIFIED = (
    ("bodies", "they are not in the log; a dossier shows them, record by record"),
    ("findings on custody", "they are the ledger's word; a monitor judges again what it may read"),
    ("times", "they are claims, but for the witnesses' and authorities' own"),
)
"""What an audit of a log cannot show, and who can."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("audit")(run)


def run(
    context: typer.Context,
    log: Annotated[str, typer.Argument(help="The log's address (http, https), or a folder with its files.")],
    anchor: Annotated[Path, typer.Option(help="Anchor file, got elsewhere than from the operator.")],
    state: Annotated[
        Path | None, typer.Option(help="Folder that remembers: go on after an interruption, hold the log to its past.")
    ] = None,
    cores: Annotated[int, typer.Option(min=0, help="How many to use; 0: all.")] = 0,
    ca: Annotated[Path | None, typer.Option(help="Authority of the log's certificate; else the profile's.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Own certificate, where entries are for members.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    json: AsJson = False,
) -> None:
    """Read a whole log and verify everything in it, on all cores; needs no word of the operator's.

    Ends with 1 at the first broken link, and names it.
    """
    try:
        trusted = parse_anchor(anchor.read_bytes())
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=anchor, because=refusal.strerror) from refusal
    source = open_source(log, tls=_tls(context_of(context), ca, certificate, key))
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("entries"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), disable=json) as bar:
        tasks: dict[str, TaskID] = {}

        def show(so_far: AuditProgress) -> None:
            if so_far.stage not in tasks:
                tasks[so_far.stage] = bar.add_task(so_far.stage, total=so_far.total)
            bar.update(tasks[so_far.stage], completed=so_far.done)

        report = audit_log(source, trusted, state_folder=state, threads=cores or None, progress=show)
    _print(report, as_json_text=json)


def _tls(found: Context, ca: Path | None, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    given = [one for one in (ca, certificate, key) if one is not None]
    if not given:
        return found.profile.tls if found.profile_path is not None else None
    if ca is None or certificate is None or key is None:
        raise ConfigurationError("--ca, --certificate and --key belong together", given=len(given))
    return TlsFiles(ca=ca, certificate=certificate, key=key)


def _print(report: AuditReport, *, as_json_text: bool) -> None:
    rate = round(report.signatures / report.seconds) if report.seconds else 0
    export = report.export
    if as_json_text:
        typer.echo(
            as_json(
                {
                    "outcome": "VERIFIED",
                    "log": report.log,
                    "origin": report.origin,
                    "size": report.size,
                    "root": report.root.hex(),
                    "continues_size": report.continues,
                    "entries": export.entries,
                    "signatures_verified": report.signatures,
                    "signed_before": report.signed_before,
                    "co_signatures": export.co_signatures,
                    "registry_entries": report.registry_entries,
                    "revisions": export.revisions,
                    "streams": export.streams,
                    "suspect": export.suspect,
                    "bodies_not_shown": export.bodies_not_shown,
                    "tiles": report.tiles,
                    "maps": report.maps,
                    "time_evidence": report.times._asdict(),
                    "witnesses": None if report.witnesses is None else list(report.witnesses),
                    "unverified": [what for what, _ in UNVERIFIED],
                    "milliseconds": round(report.seconds * 1000),
                    "signatures_per_second": rate,
                    "checkpoint": report.checkpoint.decode(errors="replace"),
                }
            )
        )
        return
    witnesses = "not asked for by the anchor" if report.witnesses is None else ", ".join(report.witnesses) or "none"
    print_table(
        f"Audit of {report.log}",
        ("what", "found right"),
        (
            ("entries, each in the signed tree", f"{export.entries:,}"),
            ("signatures", f"{report.signatures:,} by this run"),
            ("entries with signatures verified by an earlier run", f"{report.signed_before:,}"),
            ("acts of the registry, judged again", f"{report.registry_entries:,}"),
            ("co-signatures", f"{export.co_signatures:,}"),
            ("streams, each an unbroken chain", f"{export.streams:,}"),
            ("judgements revised by the ledger", f"{export.revisions:,}"),
            ("tiles of hashes", f"{report.tiles:,}"),
            ("logged maps of stream heads, made again", f"{report.maps:,}"),
            ("items of time evidence, renewals among them", f"{report.times.items:,}, {report.times.renewals:,}"),
            (
                "time-stamps by authorities of the anchor, by others",
                f"{report.times.tokens:,}, {report.times.unknown_tokens:,}",
            ),
            ("witnesses that cosigned", witnesses),
            ("continues the log believed at size", f"{report.continues:,}" if report.continues else "first visit"),
        ),
    )
    print_table("Not shown by a log", ("UNVERIFIED", "why"), UNVERIFIED)
    if export.suspect:
        say(f"{export.suspect} statements were signed with a key later said to be compromised", style="red")
    say(f"{export.bodies_not_shown:,} bodies were not shown")
    say(f"{report.signatures:,} signatures in {report.seconds:.1f} s: {rate:,} a second")
    say(f"VERIFIED: {report.origin}, size {report.size}, root {report.root.hex()}", style="bold green")
