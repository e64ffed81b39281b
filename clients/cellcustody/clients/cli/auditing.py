"""The commands of auditors and regulators: export a dossier, verify one offline, hold the log to its word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.auditor import AuditorClient
from cellcustody.clients.cli.context import POSITION_MAX, AsJson, Context, context_of
from cellcustody.clients.cli.plain import Plain, as_json
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import therapy_of
from cellcustody.clients.cli.screen import say
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import Anchor, encode_anchor, parse_anchor

__all__ = ["register"]

LeafIndex = Annotated[int, typer.Option(min=-1, max=POSITION_MAX, help="Leaf index, from 0.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    export = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Histories as files.")
    export.command("therapy")(export_therapy)
    export.command("scitt")(export_scitt)
    app.add_typer(export, name="export")
    log = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Hold the log to what it showed before.")
    log.command("checkpoint")(log_checkpoint)
    log.command("receipt")(log_receipt)
    log.command("anchor")(log_anchor)
    app.add_typer(log, name="log")


def export_therapy(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The therapy's stream in hexadecimal, or its CoI identifier.")],
    to: Annotated[Path, typer.Option(help="File to write.")],
    purpose: Annotated[str, typer.Option(help="Why; it is logged.")],
    json: AsJson = False,
) -> None:
    """Write the dossier of a therapy to a file. Complete is not verified: see `verify`."""
    with context_of(context).open_reader() as reader:
        export = reader.export_therapy(therapy_of(name), to, purpose=purpose)
    if json:
        typer.echo(
            as_json(
                {
                    "file": str(export.path),
                    "statements": export.statements,
                    "length_bytes": export.length_bytes,
                    "sha256": export.sha256.hex(),
                }
            )
        )
    else:
        say(f"{export.path}: {export.statements} statements, {export.length_bytes} bytes, sha256 {export.sha256.hex()}")


def export_scitt(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The therapy's stream in hexadecimal, or its CoI identifier.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    purpose: Annotated[str, typer.Option(help="Why; it is logged.")],
    json: AsJson = False,
) -> None:
    """Write a therapy's statements as SCITT and COSE objects, for other tools; `verify` wants a dossier."""
    with context_of(context).open_reader() as reader:
        export = reader.export_scitt(therapy_of(name), output, purpose=purpose)
    if json:
        typer.echo(as_json({"directory": str(output), "statements": export.statements, "sha256": export.sha256.hex()}))
    else:
        say(f"{output}: {export.statements} transparent statements")


def log_checkpoint(context: typer.Context, json: AsJson = False) -> None:
    """Fetch the last checkpoint, verify it, and demand that it continues the one believed before."""
    with _auditor(context_of(context)) as auditor:
        before = auditor.believed
        checkpoint, raw = auditor.checkpoint()
    if json:
        typer.echo(
            as_json(
                {
                    "origin": checkpoint.origin,
                    "size": checkpoint.size,
                    "root": checkpoint.root.hex(),
                    "size_believed_before": 0 if before is None else before.size,
                    "checkpoint": raw.decode(),
                }
            )
        )
        return
    since = "" if before is None else f", continues size {before.size}"
    say(f"{checkpoint.origin}: size {checkpoint.size}, root {checkpoint.root.hex()}{since}", style="green")


def log_receipt(
    context: typer.Context,
    leaf_index: LeafIndex = -1,
    digest: Annotated[str, typer.Option(help="Statement digest in hexadecimal.")] = "",
    to: Annotated[Path | None, typer.Option(help="File to write the receipt to.")] = None,
    json: AsJson = False,
) -> None:
    """Fetch an entry with its receipt, and verify one against the other."""
    if (leaf_index < 0) == (not digest):
        raise ConfigurationError("name the entry by --leaf-index or by --digest")
    with _auditor(context_of(context)) as auditor:
        entry = (
            auditor.receipt(statement_digest=id_from_text(digest, "digest", 32))
            if digest
            else auditor.receipt(leaf_index=leaf_index)
        )
    if to is not None:
        to.write_bytes(entry.receipt)
    size = entry.proof.checkpoint.size
    if json:
        witnesses: list[Plain] | None = None if entry.witnesses is None else [*entry.witnesses]
        receipt = entry.receipt.decode()
        typer.echo(as_json({"leaf_index": entry.leaf_index, "size": size, "receipt": receipt, "witnesses": witnesses}))
    else:
        by = f", cosigned by {', '.join(entry.witnesses)}" if entry.witnesses else ""
        say(f"leaf {entry.leaf_index} is in the tree of size {size}{by}", style="green")


def log_anchor(
    context: typer.Context,
    to: Annotated[Path, typer.Option(help="File to write; an existing one is not replaced.")],
) -> None:
    """Write an anchor with the log's present keys, followed through its registry from the profile's anchor."""
    found = context_of(context)
    with _auditor(found) as auditor:
        renewed = auditor.renewed_anchor()
    before = parse_anchor(_read(found.profile.paths["anchor"]))
    # Whom the auditor believes beside the log is nothing that the log could say.
    renewed = replace(
        renewed, time_authorities=before.time_authorities, time_authorities_min=before.time_authorities_min
    )
    try:
        with to.open("xb") as stream:
            stream.write(encode_anchor(renewed))
    except OSError as refusal:
        raise ConfigurationError("the file cannot be made", path=to, because=refusal.strerror) from refusal
    say(f"{to}: {len(renewed.log_keys)} keys; keep the former anchor for what was signed before", style="green")


def _auditor(found: Context) -> AuditorClient:
    profile = found.profile
    if "anchor" not in profile.paths:
        raise ConfigurationError("the profile lacks a member", profile=profile.path, member="anchor")
    anchor: Anchor = parse_anchor(_read(profile.paths["anchor"]))
    return AuditorClient(
        profile.connect(),
        origin=anchor.log_origin,
        log_keys=anchor.log_keys,
        founding_digest=anchor.founding_digest,
        witness_policy=anchor.witness_policy,
        memory=profile.paths.get("audit_memory", profile.path.with_name("believed.checkpoint")),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=path, because=refusal.strerror) from refusal
