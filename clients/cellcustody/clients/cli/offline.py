"""The commands that sign into a file and join what lies in one, for desks and hours without a server.

Registrars use them: each signs at their own desk, and whoever has all the files takes them to the ledger, with
`offline send` while it runs, or with `log-keys install` where a log key is lost and it cannot.

A file is the SubmitRequest of the contract: envelope and openings. It is not secret beyond what the body says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.message import DecodeError

from cellcustody.clients.cli.acting import body_named, confirmation, meaning_named, stream_for, text_of
from cellcustody.clients.cli.context import AsJson, Yes, context_of
from cellcustody.clients.cli.plain import as_json, body_from_json
from cellcustody.clients.cli.screen import print_recorded, say
from cellcustody.clients.errors import StatementRefused
from cellcustody.clients.outbox import deliver_statements
from cellcustody.clients.session import ActOptions, SignedStatement, SigningOptions
from cellcustody.clients.showing import name_in_words
from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements import PayloadType, StatementId, parse_statement, verify_openings
from cellcustody.ledger.statements.commitment import Opening
from cellcustody.v1 import ledger_service_pb2

__all__ = ["register"]

FILE_BYTES_MAX: Final = 2 * 1024 * 1024  # A body has at most 1 MiB of openings.

To = Annotated[Path, typer.Option(help="The file to be made.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    offline = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Sign into files, without a server.")
    offline.command("sign")(sign)
    offline.command("join")(join)
    offline.command("send")(send)
    app.add_typer(offline, name="offline")


def sign(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The act, such as rotate-log-keys; `acts` lists them.")],
    body: Annotated[str, typer.Option(help="The body as JSON, @FILE, or - for standard input. Bytes in hexadecimal.")],
    to: To,
    stream: Annotated[str, typer.Option(help="The stream in hexadecimal; `new` opens one.")] = "",
    role: Annotated[str, typer.Option(help="The role acted in; the profile's if left out.")] = "",
    yes: Yes = False,
) -> None:
    """Sign an act into a file: show it, have it confirmed, sign it; nobody is asked."""
    row = body_named(name)
    session = context_of(context).profile.open_session(confirm=confirmation(yes))
    options: ActOptions = {"role": role} if role else {}
    message = body_from_json(row.message_class, text_of(body))
    _write(to, session.sign(session.draft(stream_for(row, stream), message, options), options))


def join(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file with the statement to join.")],
    to: To,
    meaning: Annotated[str, typer.Option(help="What the signature means, such as verified or approved.")] = "approved",
    role: Annotated[str, typer.Option(help="The role acted in; the profile's if left out.")] = "",
    yes: Yes = False,
) -> None:
    """Join a statement that lies in a file: show what it says, have it confirmed, sign "I too" into another file."""
    request = _read(file)
    statement = parse_statement(request.envelope)
    row = BODIES.get(statement.header.body_type)
    if row is None or statement.payload_type is PayloadType.CO_SIGNATURE:
        raise ConfigurationError("a co-signature is not joined itself", path=file)
    openings = [Opening(one.index, one.salt, one.record) for one in request.openings]
    # Shown is what the signer committed to, and all of it: nobody joins what they were not shown.
    shown = row.message_class.FromString(verify_openings(statement.commitment, openings))
    session = context_of(context).profile.open_session(confirm=confirmation(yes))
    act = name_in_words(row.short_name)
    say(f"{act} by {statement.header.signer.signer_id.hex()}:")
    say(as_json(shown))
    options: SigningOptions = {"role": role} if role else {}
    draft = session.draft_co_signature(statement.stream, statement.digest, meaning_named(meaning), options, act=act)
    _write(to, session.sign(draft, options))


def send(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Files with signed statements, in the order to be recorded.")],
    json: AsJson = False,
) -> None:
    """Send statements that were signed into files, whoever signed them."""
    statements = []
    for file in files:
        request = _read(file)
        statement = parse_statement(request.envelope)
        statements.append(
            SignedStatement(
                request.envelope,
                tuple(Opening(one.index, one.salt, one.record) for one in request.openings),
                StatementId(statement.statement_id),
                statement.digest,
                statement.stream,
                statement.header.body_type,
            )
        )
    with context_of(context).profile.connect() as connection:
        outcomes = deliver_statements(connection, statements)
    for outcome in outcomes:
        if isinstance(outcome, StatementRefused):
            raise outcome
        print_recorded(outcome, as_json_text=json)


def _read(path: Path) -> ledger_service_pb2.SubmitRequest:
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
        request = ledger_service_pb2.SubmitRequest.FromString(raw)
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=path, because=refusal.strerror) from refusal
    except DecodeError as refusal:
        raise ConfigurationError("the file holds no signed statement", path=path) from refusal
    if len(raw) > FILE_BYTES_MAX or not request.envelope:
        raise ConfigurationError("the file holds no signed statement", path=path)
    return request


def _write(path: Path, signed: SignedStatement) -> None:
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as refusal:
        raise ConfigurationError("the file cannot be made", path=path, because=refusal.strerror) from refusal
    with os.fdopen(file, "wb") as stream:
        stream.write(signed.request().SerializeToString(deterministic=True))
    say(f"{path}: statement {signed.digest.hex()}")
