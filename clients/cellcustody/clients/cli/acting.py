"""The commands that sign: any act by its name, and co-signatures; each shows the statement first."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.message import Message

from cellcustody.clients.cli.context import AsJson, Context, Yes, context_of
from cellcustody.clients.cli.plain import as_json, body_from_json
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import confirm_on_screen, finding_in_words, print_recorded, print_table, say
from cellcustody.clients.errors import Busy, OutcomeUnknown, ServerUnavailable
from cellcustody.clients.session import ActOptions, Confirm, SignedStatement, SigningOptions, unix_micros
from cellcustody.clients.showing import Showing, name_in_words
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.act_rpcs import ACT_RPCS
from cellcustody.ledger.contract import BODIES, BodyType
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import StreamKind, new_stream_id, parse_statement, single_stream_id
from cellcustody.ledger.statements.commitment import Opening, partial_body
from cellcustody.ledger.verification import verify_receipt
from cellcustody.v1 import entry_pb2, statement_pb2

__all__ = ["body_named", "confirmation", "meaning_named", "register", "sign_and_print", "stream_for", "text_of"]

_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(acts)
    app.command()(act)
    app.command("co-sign")(co_sign)


def acts(json: AsJson = False) -> None:
    """List every act that `act` takes, with its streams and whether it is a fact or an authorisation."""
    rows = [(_command_name(rpc), BODIES[body]) for body, (_, rpc) in ACT_RPCS.items()]
    if json:
        typer.echo(
            as_json(
                [
                    {
                        "act": name,
                        "body": body.name,
                        "authorisation": body.is_authorisation,
                        "streams": [*_streams(body)],
                    }
                    for name, body in rows
                ]
            )
        )
        return
    print_table(
        "Acts",
        ("act", "body", "kind", "streams"),
        (
            (name, body.short_name, "authorisation" if body.is_authorisation else "fact", ", ".join(_streams(body)))
            for name, body in rows
        ),
    )


def act(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The act, such as release-custody; `acts` lists them.")],
    body: Annotated[str, typer.Option(help="The body as JSON, @FILE, or - for standard input. Bytes in hexadecimal.")],
    stream: Annotated[str, typer.Option(help="The stream in hexadecimal; `new` opens one.")] = "",
    role: Annotated[str, typer.Option(help="The role acted in; the profile's if left out.")] = "",
    meaning: Annotated[str, typer.Option(help="What the signature means, such as performed or approved.")] = "",
    at: Annotated[str, typer.Option(help="When it happened, ISO 8601 with offset; now if left out.")] = "",
    policy: Annotated[str, typer.Option(help="Digest of the policy pack relied on, in hexadecimal.")] = "",
    queue: Annotated[bool, typer.Option("--queue", help="Keep it in the outbox instead of sending it.")] = False,
    assess: Annotated[bool, typer.Option("--assess", help="Show what the ledger would find, and stop.")] = False,
    witnessed: Annotated[
        bool, typer.Option("--witnessed", help="Wait until a quorum of witnesses stands behind the receipt.")
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Sign an act: show it, have it confirmed, sign it, send it or keep it."""
    found = context_of(context)
    row = body_named(name)
    message = body_from_json(row.message_class, text_of(body))
    options: ActOptions = {}
    if role:
        options["role"] = role
    if meaning:
        options["meaning"] = meaning_named(meaning)
    if at:
        options["occurred_at"] = time_of(at)
    if witnessed:
        options["witnessed"] = True
    if policy:
        options["policy_digest"] = id_from_text(policy, "policy", 32)
    if assess:
        _print_assessment(found, stream_for(row, stream), message, options, json=json)
    elif queue:
        profile = found.profile
        session = profile.open_session(confirm=confirmation(yes))
        outbox = profile.open_outbox(session.store)
        signed = session.sign(session.draft(stream_for(row, stream), message, options), options)
        queued = outbox.queue(signed, queued_at_unix_micros=unix_micros(session.clock()))
        say(f"kept as number {queued.number}: statement {queued.statement_digest.hex()} in {queued.stream.hex()}")
    else:
        sign_and_print(found, stream_for(row, stream), message, options, yes=yes, json=json)


def co_sign(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="Digest of the statement to join, in hexadecimal.")],
    meaning: Annotated[str, typer.Option(help="What the signature means, such as verified or approved.")],
    role: Annotated[str, typer.Option(help="The role acted in; the profile's if left out.")] = "",
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Join another person's statement: show it as recorded, have it confirmed, sign "I too"."""
    found = context_of(context)
    joined = id_from_text(digest, "digest", 32)
    with found.profile.open_site(confirm=confirmation(yes)) as site:
        answer = site.entry(statement_digest=joined)
        envelope = entry_pb2.Entry.FromString(answer.entry).envelope
        statement = parse_statement(envelope)
        if statement.digest != joined:
            raise ConfigurationError("the server showed another statement", asked=joined, shown=statement.digest)
        row = BODIES[statement.header.body_type]
        shown = partial_body(row.message_class, [Opening(o.index, o.salt, o.record) for o in answer.openings])
        say(f"{name_in_words(row.short_name)} by {statement.header.signer.signer_id.hex()}:")
        say(as_json(shown))
        options: SigningOptions = {"role": role} if role else {}
        draft = site.session.draft_co_signature(
            statement.stream, joined, meaning_named(meaning), options, act=name_in_words(row.short_name)
        )
        _send(found, site, site.session.sign(draft, options), json=json)


def sign_and_print(found: Context, stream: bytes, body: Message, options: ActOptions, *, yes: bool, json: bool) -> None:
    """Signs and sends one statement as the profile says, and prints what became of it."""
    with found.profile.open_site(confirm=confirmation(yes)) as site:
        statement = site.session.sign(site.session.draft(stream, body, options), options)
        _send(found, site, statement, json=json, witnessed=options.get("witnessed", False))


def confirmation(yes: bool) -> Confirm:
    """Returns what asks a person, or what only shows where `--yes` was given."""
    if not yes:
        return confirm_on_screen

    def show_only(showing: Showing) -> bool:
        typer.echo(showing.text, err=True)
        return True

    return show_only


def text_of(argument: str) -> str:
    """Returns a text given as it is, as @FILE, or - for standard input.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if argument == "-":
        return sys.stdin.read()
    if not argument.startswith("@"):
        return argument
    try:
        return Path(argument[1:]).read_text(encoding="utf-8")
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=argument[1:], because=refusal.strerror) from refusal


def _send(found: Context, site: SiteClient, statement: SignedStatement, *, json: bool, witnessed: bool = False) -> None:
    """Sends what was signed; where nobody takes it now, it is kept, for nobody signs the same thing twice."""
    try:
        recorded = site.resubmit(statement, witnessed=witnessed)
    except (OutcomeUnknown, ServerUnavailable, Busy):
        _keep(found, site, statement)
        raise
    print_recorded(recorded, as_json_text=json)
    if not witnessed:
        return
    if not recorded.witnessed:
        typer.echo("recorded, and not witnessed yet: `audit receipt --digest` gives the receipt later", err=True)
        return
    anchor = found.profile.paths.get("anchor")
    if anchor is not None:
        entry = site.entry(leaf_index=recorded.leaf_index).entry
        checked = verify_receipt(recorded.receipt, entry, parse_anchor(anchor.read_bytes()))
        typer.echo(f"witnessed by {', '.join(checked.witnesses or ()) or 'nobody the anchor asks for'}", err=True)


def _keep(found: Context, site: SiteClient, statement: SignedStatement) -> None:
    """Puts a statement into the outbox, whose delivery settles what becomes of it."""
    outbox = found.profile.open_outbox(site.store)
    queued = outbox.queue(statement, queued_at_unix_micros=unix_micros(site.session.clock()))
    typer.echo(f"kept in the outbox as number {queued.number}; `outbox deliver` settles it", err=True)


def _print_assessment(found: Context, stream: bytes, body: Message, options: ActOptions, *, json: bool) -> None:
    with found.profile.open_site(confirm=None) as site:
        found_now = site.assess(stream, body, **options)
    status = found_now.status.name if found_now.status is not None else "REFUSED"
    if json:
        typer.echo(
            as_json(
                {
                    "position": found_now.position,
                    "status": status,
                    "refusal_reason": found_now.refusal_reason,
                    "refusal_message": found_now.refusal_message,
                    "co_signers_needed": found_now.co_signers_needed,
                    "findings": [
                        {"code": each.code, "strength": each.strength, "explanation": each.explanation}
                        for each in found_now.findings
                    ],
                }
            )
        )
        return
    say(f"{status} as of position {found_now.position}; co-signatures needed: {found_now.co_signers_needed}")
    if found_now.refusal_reason:
        say(f"{found_now.refusal_reason}: {found_now.refusal_message}", style="red")
    for finding in found_now.findings:
        say(finding_in_words(finding))


def body_named(name: str) -> BodyType:
    """Returns the body that a command names an act by."""
    wanted = name.replace("_", "-").lower()
    for body, (_, rpc) in ACT_RPCS.items():
        row = BODIES[body]
        if wanted in (_command_name(rpc), row.short_name.lower(), row.name.lower()):
            return row
    raise ConfigurationError("no such act; `cellcustody acts` lists them", act=name)


def stream_for(row: BodyType, text: str) -> bytes:
    """Returns the stream that an act goes to: the one there is, the one named, or a new one."""
    kinds = [StreamKind(kind) for kind in sorted(row.stream_kinds)]
    if len(kinds) == 1 and kinds[0].has_one_stream:
        return single_stream_id(kinds[0])
    if text == "new":
        opened = new_stream_id(kinds[0], os.urandom)
        typer.echo(f"new stream {opened.hex()}", err=True)
        return opened
    if not text:
        raise ConfigurationError("this act needs --stream", act=row.short_name, kinds=", ".join(_streams(row)))
    return id_from_text(text, "stream", 17)


def meaning_named(text: str) -> statement_pb2.Meaning.ValueType:
    """Returns what a signature means, by its word."""
    name = f"MEANING_{text.upper()}"
    if name not in statement_pb2.Meaning.keys() or text.upper() == "UNSPECIFIED":  # noqa: SIM118 - an enum, no dict
        known = ", ".join(each.removeprefix("MEANING_").lower() for each in statement_pb2.Meaning.keys()[1:])
        raise ConfigurationError("no such meaning", meaning=text, known=known)
    return statement_pb2.Meaning.Value(name)


def _command_name(rpc: str) -> str:
    return _CAPITAL.sub("-", rpc).lower()


def _streams(row: BodyType) -> list[str]:
    return [StreamKind(kind).name.lower() for kind in sorted(row.stream_kinds)]
