"""The commands that prove what is not in the log, online or from a file, and fetch the key of aliases."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.absence import alias_key_of, prove_heads
from cellcustody.clients.cli.context import POSITION_MAX, AsJson, Context, context_of
from cellcustody.clients.cli.plain import Plain, as_json
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import therapy_of
from cellcustody.clients.cli.screen import print_table, say
from cellcustody.clients.connection import Connection
from cellcustody.clients.queries import COI_SCHEME
from cellcustody.ledger.completeness.values import AliasKey, blinded_alias, parse_alias_key_file
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.registry.anchor import Anchor, parse_anchor
from cellcustody.ledger.verification import Outcome
from cellcustody.ledger.verification.heads_proofs import HeadsReport, verify_heads_proof

__all__ = ["register"]

_STREAM_BYTES = 17


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("absent")(absent)
    app.command("alias-key")(fetch_alias_key)


def absent(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A stream in hexadecimal, a CoI identifier, or scheme:value.")],
    anchor: Annotated[Path | None, typer.Option(help="Anchor file; else the profile's.")] = None,
    but: Annotated[str, typer.Option(help="The one therapy (stream) that the alias may name.")] = "",
    alias_key: Annotated[Path | None, typer.Option(help="Alias key file; else the server is asked.")] = None,
    proof: Annotated[Path | None, typer.Option(help="Verify this proof instead of asking a server.")] = None,
    to: Annotated[Path | None, typer.Option(help="Keep the proof in this file.")] = None,
    position: Annotated[
        int, typer.Option(min=0, max=POSITION_MAX, help="Demand a map that covers the log up to this size.")
    ] = 0,
    json: AsJson = False,
) -> None:
    """Prove that a stream is not in the log, or that an alias names no therapy, or none but one.

    Ends with 0 if that is so, with 1 if it is not or cannot be shown.
    """
    subject = therapy_of(name)
    only = id_from_text(but, "but", _STREAM_BYTES) if but else b""
    if only and isinstance(subject, bytes):
        raise ConfigurationError("--but is said of an alias, not of a stream", but=but)
    found = context_of(context)
    trusted = _anchor(found, anchor)
    with ExitStack() as opened:
        given = None if alias_key is None else parse_alias_key_file(_read(alias_key))
        if proof is not None:
            if not isinstance(subject, bytes) and given is None:
                raise ConfigurationError("without a server the key of aliases comes from --alias-key")
            report = verify_heads_proof(_read(proof), trusted)
        else:
            connection = opened.enter_context(found.profile.connect())
            if not isinstance(subject, bytes) and given is None:
                given = alias_key_of(connection, found.profile.id("ledger"))
            report = _asked(connection, trusted, subject, given, position, to)
    if report.outcome is not Outcome.VERIFIED:
        raise ConfigurationError("an anchor is needed to believe a proof")
    _tell(report, subject, only, given, position, is_json=json)


def _asked(
    connection: Connection, anchor: Anchor, subject: bytes | str, key: AliasKey | None, position: int, to: Path | None
) -> HeadsReport:
    keys = [] if isinstance(subject, bytes) or key is None else [blinded_alias(key.key, *_alias(subject))]
    streams = [subject] if isinstance(subject, bytes) else []
    proved = prove_heads(connection, anchor, streams=streams, alias_keys=keys, position_min=position)
    if to is not None:
        to.write_bytes(proved.proof)
    return proved.report


def _tell(
    report: HeadsReport, subject: bytes | str, only: bytes, key: AliasKey | None, position: int, *, is_json: bool
) -> None:
    """Says what the proof shows, and ends with 1 where that is not what was asked."""
    if isinstance(subject, bytes):
        if subject not in report.streams:
            raise ConfigurationError("the proof does not speak of this stream", stream=subject)
        count, head = report.streams[subject]
        is_so = count == 0
        words = "is not in the log" if is_so else f"is in the log: {count} entries, the last {head.hex()}"
        plain: dict[str, Plain] = {"stream": subject.hex(), "entries": count, "last_leaf_hash": head.hex()}
    else:
        scheme, value = _alias(subject)
        therapies = report.therapies_named(_known(key), scheme, value)
        is_so = set(therapies) <= ({only} if only else set())
        shown = " ".join(one.hex() for one in therapies)
        words = f"names {shown}" + (" and no other" if len(therapies) == 1 else "") if therapies else "names no therapy"
        plain = {"scheme": scheme, "value": value, "therapies": [one.hex() for one in therapies]}
    is_late = report.covered_size < position
    if is_json:
        typer.echo(
            as_json(
                {
                    **plain,
                    "is_so": is_so and not is_late,
                    "covered_size": report.covered_size,
                    "position": report.position,
                    "log_origin": report.log_origin,
                    "checks": [
                        {"check": line.check.name, "result": line.result.value, "checked": line.checked}
                        for line in report.checks
                    ],
                }
            )
        )
    else:
        print_table(
            "Checks",
            ("check", "result", "checked", "note"),
            ((line.check.name, line.result.value, str(line.checked), line.note) for line in report.checks),
        )
        name = subject.hex() if isinstance(subject, bytes) else subject
        say(
            f"{name} {words}, as of the log's first {report.covered_size} entries",
            style="bold green" if is_so and not is_late else "bold red",
        )
    if is_late or not is_so:
        raise typer.Exit(1)


def fetch_alias_key(
    context: typer.Context,
    to: Annotated[Path, typer.Option(help="File to write; only its owner may read it.")],
) -> None:
    """Fetch the key of aliases, for verifying offline; for auditors and regulators."""
    profile = context_of(context).profile
    with profile.connect() as connection:
        key = alias_key_of(connection, profile.id("ledger"))
    try:
        descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as refusal:
        raise ConfigurationError("the file cannot be made", path=to, because=refusal.strerror) from refusal
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.to_file())
    say(f"{to}: commitment {key.commitment.hex()}")


def _alias(text: str) -> tuple[str, str]:
    scheme, colon, value = text.partition(":")
    found = (scheme, value) if colon else (COI_SCHEME, text)
    if found[0] == COI_SCHEME:
        ChainOfIdentity.parse_printed(found[1])  # A slip of the pen names nobody, and must not be proved to.
    return found


def _known(key: AliasKey | None) -> AliasKey:
    if key is None:
        raise ConfigurationError("the key of aliases is needed")
    return key


def _anchor(found: Context, given: Path | None) -> Anchor:
    path = given
    if path is None:
        profile = found.profile
        if "anchor" not in profile.paths:
            raise ConfigurationError("the profile lacks a member", profile=profile.path, member="anchor")
        path = profile.paths["anchor"]
    return parse_anchor(_read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=path, because=refusal.strerror) from refusal
