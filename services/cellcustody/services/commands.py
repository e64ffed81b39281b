"""The server's commands: `serve` runs it, `init` founds a ledger to try out, `init tls` lets a site connect; `witness`
cosigns other ledgers' logs, `monitor` follows one.

They are added to the command line through the entry-point group `cellcustody.commands`, and stand by themselves as
`python -m cellcustody.services`. What they make is printed as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.services.certificates import issue_client_certificate
from cellcustody.services.configuration import load_configuration
from cellcustody.services.founding import FoundingWishes, found_ledger
from cellcustody.services.keeping_commands import make_backup, recover_tail, restore_backup, scrub_store
from cellcustody.services.log_key_commands import log_keys
from cellcustody.services.monitor.commands import monitor
from cellcustody.services.server import run_server
from cellcustody.services.timestamp_commands import renew_timestamps, time_authority
from cellcustody.services.witness.commands import witness

__all__ = ["app", "init", "serve"]

PASSPHRASE_VARIABLE = "CELLCUSTODY_PASSPHRASE"
POSTGRES_PASSWORD_VARIABLE = "CELLCUSTODY_POSTGRES_PASSWORD"

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Found a ledger, and serve it.")
init = typer.Typer(add_completion=False, help="Found a ledger in an empty folder, to try out.")


@app.command()
def serve(
    config: Annotated[Path, typer.Option(help="The configuration, as `init` writes it.")],
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when everything answers: JSON with the ports that were bound.")
    ] = None,
) -> None:
    """Serves a ledger until SIGTERM, then drains."""
    run_server(load_configuration(config), ready_file=ready_file)


@init.callback(invoke_without_command=True)
def found(
    context: typer.Context,
    directory: Annotated[Path, typer.Option(help="An empty folder, or one to be made.")] = Path("ledger"),
    origin: Annotated[str, typer.Option(help="The log's origin line, a name without scheme.")] = "localhost/log",
    registrars: Annotated[int, typer.Option(help="How many registrars found it.")] = 3,
    threshold: Annotated[int, typer.Option(help="How many of them later acts take.")] = 2,
    host: Annotated[list[str] | None, typer.Option(help="Names and addresses of the server.")] = None,
    grpc_listen: Annotated[str, typer.Option(help="Where gRPC listens; port 0 takes a free one.")] = "127.0.0.1:8443",
    http_listen: Annotated[str, typer.Option(help="Where the log's HTTP listens.")] = "127.0.0.1:8480",
    entries_open: Annotated[bool, typer.Option(help="Give entries to anyone over HTTP.")] = False,
    witness_policy: Annotated[
        Path | None, typer.Option(help="C2SP tlog-policy of witnesses, with their addresses, for the anchor.")
    ] = None,
    postgres_host: Annotated[
        str, typer.Option(help="Keep entries in PostgreSQL on this host, or in this folder of a local socket.")
    ] = "",
    postgres_port: Annotated[int, typer.Option(help="Its port.")] = 5432,
    postgres_dbname: Annotated[str, typer.Option(help="Its database.")] = "cellcustody",
    postgres_user: Annotated[str, typer.Option(help="Its user.")] = "cellcustody",
    postgres_schema: Annotated[str, typer.Option(help="The schema, which exists and is empty.")] = "public",
    postgres_password_file: Annotated[
        Path | None, typer.Option(help=f"File with the password, mode 0600; else {POSTGRES_PASSWORD_VARIABLE} is read.")
    ] = None,
    passphrase_environment: Annotated[
        str, typer.Option(help="Variable with the passphrase of the registrars' key files; asked for if not set.")
    ] = PASSPHRASE_VARIABLE,
) -> None:
    """Founds a ledger: keys, certificates, configuration, anchor, and the first entries."""
    if context.invoked_subcommand is not None:
        return
    passphrase = os.environ.get(passphrase_environment) or typer.prompt(
        "Passphrase for the registrars' keys", hide_input=True, confirmation_prompt=True, err=True
    )
    wishes = FoundingWishes(
        directory=directory,
        origin=origin,
        registrars=registrars,
        threshold=threshold,
        hosts=tuple(host or FoundingWishes(directory, origin).hosts),
        grpc_listen=grpc_listen,
        http_listen=http_listen,
        entries_open=entries_open,
        witness_policy=_policy_text(witness_policy),
        postgres=_postgres_table(
            postgres_host, postgres_port, postgres_dbname, postgres_user, postgres_schema, postgres_password_file
        ),
    )
    made = found_ledger(
        wishes, registrar_passphrase=passphrase, now=lambda: datetime.now(UTC), environment=dict(os.environ)
    )
    _print(
        {
            "configuration": str(made.configuration),
            "anchor": str(made.anchor),
            "ledger_id": made.ledger_id.hex(),
            "founding_digest": made.founding_digest.hex(),
            "registrars": [str(path) for path in made.registrars],
            "authority": str(made.authority),
            "operator_certificate": str(made.operator.certificate),
        }
    )


@init.command()
def tls(
    site: Annotated[str, typer.Option(help="A name for the files: letters, digits, - and _.")],
    directory: Annotated[Path, typer.Option(help="The ledger's folder.")] = Path("ledger"),
    out: Annotated[Path | None, typer.Option(help="Where to write; the ledger's tls folder by default.")] = None,
) -> None:
    """Issues a client certificate of the private CA; enrol its key id with the site."""
    authority = directory / "tls" / "ca.pem"
    target = out or authority.parent
    if not target.is_dir():
        raise ConfigurationError("a folder is missing", value=target)
    issued = issue_client_certificate(authority, target, site, now=datetime.now(UTC))
    _print(
        {
            "certificate": str(issued.certificate),
            "key": str(issued.key),
            "authority": str(authority),
            "tls_key_id": issued.tls_key_id.hex(),
        }
    )


app.add_typer(init, name="init")
app.add_typer(log_keys, name="log-keys")
app.command("backup")(make_backup)
app.command("restore")(restore_backup)
app.command("recover")(recover_tail)
app.command("scrub")(scrub_store)
app.command("renew-timestamps")(renew_timestamps)
app.command("time-authority")(time_authority)
app.add_typer(monitor, name="monitor")
app.add_typer(witness, name="witness")


def _policy_text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as defect:
        raise ConfigurationError("the witness policy cannot be read", key="--witness-policy", value=path) from defect


def _postgres_table(host: str, port: int, dbname: str, user: str, schema: str, password_file: Path | None) -> str:
    """Returns the lines of a [postgres] table; empty without a host."""
    if not host:
        return ""
    secret = (
        f"password_environment = {json.dumps(POSTGRES_PASSWORD_VARIABLE)}"
        if password_file is None
        else f"password_file = {json.dumps(str(password_file.resolve()))}"
    )
    texts = {"host": host, "dbname": dbname, "user": user, "schema": schema}
    return "\n".join([*(f"{key} = {json.dumps(text)}" for key, text in texts.items()), f"port = {port}", secret])


def _print(value: dict[str, object]) -> None:
    typer.echo(json.dumps(value, indent=1))


def run() -> None:
    """Runs the commands by themselves, and ends with 2 where a configuration or an input is wrong."""
    try:
        app(prog_name="python -m cellcustody.services")
    except CellcustodyError as error:
        print(f"cellcustody: {error}", file=sys.stderr)
        sys.exit(2)
