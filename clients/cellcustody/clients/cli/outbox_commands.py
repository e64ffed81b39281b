"""The commands of the outbox: what waits, delivering it, handing it to another site, and clearing what arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.answers import Recorded
from cellcustody.clients.cli.context import POSITION_MAX, AsJson, context_of
from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.cli.screen import moment, print_table, say
from cellcustody.clients.errors import StatementRefused
from cellcustody.clients.outbox import deliver_statements, read_relay
from cellcustody.clients.sealed import write_new_file
from cellcustody.clients.showing import name_in_words
from cellcustody.clients.signers import read_passphrase
from cellcustody.ledger.errors import ConfigurationError

__all__ = ["register"]

RELAY_VARIABLE = "CELLCUSTODY_RELAY_PASSPHRASE"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Statements signed and not yet recorded.")
    group.command("list")(list_outbox)
    group.command("deliver")(deliver)
    group.command("export")(export)
    group.command("relay")(relay)
    group.command("requeue")(requeue)
    group.command("acknowledge")(acknowledge)
    app.add_typer(group, name="outbox")


def list_outbox(context: typer.Context, json: AsJson = False) -> None:
    """List what the outbox holds: queued, parked with the reason, delivered."""
    profile = context_of(context).profile
    held = profile.open_outbox(profile.open_store()).list()
    if json:
        typer.echo(
            as_json(
                [
                    {
                        "number": each.number,
                        "state": each.state,
                        "body_type": each.body_type,
                        "stream": each.stream.hex(),
                        "statement_id": each.statement_id.hex(),
                        "statement_digest": each.statement_digest.hex(),
                        "queued_at_unix_micros": each.queued_at_unix_micros,
                        "reason": each.reason,
                        "message": each.message,
                        "position": each.position,
                    }
                    for each in held
                ]
            )
        )
        return
    print_table(
        "Outbox",
        ("number", "state", "what", "statement", "queued", "reason or position"),
        (
            (
                str(each.number),
                each.state,
                name_in_words(each.body_type.rpartition(".")[2]) if each.body_type else "Co-signature",
                each.statement_digest.hex(),
                moment(each.queued_at_unix_micros),
                each.reason or (str(each.position) if each.position else "-"),
            )
            for each in held
        ),
    )


def deliver(
    context: typer.Context,
    stop: Annotated[
        bool, typer.Option("--stop-at-refusal", help="Send one by one; stop at the first refusal.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Deliver what is queued, in order. Ends with 3 where something was refused."""
    profile = context_of(context).profile
    outbox = profile.open_outbox(profile.open_store())
    with profile.connect() as connection:
        outcomes = outbox.deliver(connection, stop_at_refusal=stop)
    _print_outcomes(outcomes, json=json)


def export(
    context: typer.Context, file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")]
) -> None:
    """Write everything queued to a sealed file that another site can deliver with `outbox relay`."""
    profile = context_of(context).profile
    outbox = profile.open_outbox(profile.open_store())
    passphrase = read_passphrase(variable=RELAY_VARIABLE, prompt="Passphrase of the file: ", confirm=True)
    count = len(outbox.list("queued"))
    write_new_file(file, outbox.relay(passphrase))
    say(f"{count} statements in {file}; they stay queued here until they are delivered")


def relay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File that another site's `outbox export` wrote.")],
    json: AsJson = False,
) -> None:
    """Deliver what another site's client signed. Ends with 3 where something was refused."""
    profile = context_of(context).profile
    try:
        raw = file.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=file, because=refusal.strerror) from refusal
    statements = read_relay(raw, read_passphrase(variable=RELAY_VARIABLE, prompt="Passphrase of the file: "))
    with profile.connect() as connection:
        outcomes = deliver_statements(connection, statements) if statements else ()
    _print_outcomes(tuple(outcomes), json=json)


def requeue(
    context: typer.Context,
    number: Annotated[int, typer.Argument(min=0, max=POSITION_MAX, help="Number of a parked statement.")],
) -> None:
    """Put a parked statement back into the queue, after what it was refused for has been mended."""
    profile = context_of(context).profile
    profile.open_outbox(profile.open_store()).requeue(number)
    say(f"{number} is queued")


def acknowledge(
    context: typer.Context,
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers; all that are delivered if left out.")] = None,
) -> None:
    """Remove delivered statements from the outbox. Nothing else is ever removed."""
    profile = context_of(context).profile
    removed = profile.open_outbox(profile.open_store()).acknowledge(*(numbers or ()))
    say(f"{removed} removed")


def _print_outcomes(outcomes: tuple[Recorded | StatementRefused, ...], *, json: bool) -> None:
    if json:
        typer.echo(
            as_json(
                [
                    {"position": each.position, "status": each.status.name, "digest": each.statement_digest.hex()}
                    if isinstance(each, Recorded)
                    else {"refused": each.refusal_reason, "message": each.message, "retryable": each.retryable}
                    for each in outcomes
                ]
            )
        )
    else:
        for each in outcomes:
            if isinstance(each, Recorded):
                say(f"{each.status.name} at position {each.position}: {each.statement_digest.hex()}")
            else:
                say(f"refused, {'stays queued' if each.retryable else 'parked'}: {each}", style="red")
        say(f"{len(outcomes)} sent")
    if any(isinstance(each, StatementRefused) for each in outcomes):
        raise typer.Exit(3)
