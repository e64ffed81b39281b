"""The command that names the verifiers that dossiers carry, and gives them out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.cli.context import AsJson
from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.cli.screen import say
from cellcustody.ledger.dossier import embedded_digests, embedded_verifiers
from cellcustody.ledger.errors import ConfigurationError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verifiers)


def verifiers(
    to: Annotated[Path | None, typer.Option(help="Folder to write them to.")] = None,
    json: AsJson = False,
) -> None:
    """Print SHA-256 of the verifiers that dossiers of this release carry, and write them to a folder if asked."""
    digests = embedded_digests()
    if to is not None:
        try:
            to.mkdir(parents=True, exist_ok=True)
            for name, content in embedded_verifiers().items():
                (to / name).write_bytes(content)
        except OSError as refusal:
            raise ConfigurationError("the folder cannot be written", path=to, because=refusal.strerror) from refusal
    if json:
        typer.echo(as_json({"verifiers": [{"name": name, "sha256": digest} for name, digest in digests.items()]}))
        return
    for name, digest in digests.items():
        say(f"{digest}  {name}")
