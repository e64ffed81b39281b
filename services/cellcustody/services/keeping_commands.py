"""The commands that keep a ledger: back it up, put a backup in place, bring a lost tail back."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.services.backups import back_up, restore
from cellcustody.services.configuration import load_configuration
from cellcustody.services.recovery import recover

__all__ = ["make_backup", "recover_tail", "restore_backup"]

Config = Annotated[Path, typer.Option(help="The server's configuration.")]
Programs = Annotated[
    Path | None, typer.Option(help="Folder of pg_dump and pg_restore, for PostgreSQL; else they are on the path.")
]


def make_backup(
    config: Config,
    to: Annotated[Path, typer.Option(help="A folder to be made.")],
    programs: Programs = None,
) -> None:
    """Copies the entries while the server runs, and prints, as JSON, which head the copy holds."""
    made = back_up(load_configuration(config), to, os.environ, now=datetime.now(UTC), programs=programs)
    typer.echo(json.dumps(asdict(made), indent=1))


def restore_backup(
    config: Config,
    source: Annotated[Path, typer.Option("--from", help="The folder of a backup.")],
    programs: Programs = None,
) -> None:
    """Puts a backup in an empty place, reads it all again, and tells whether the ledger may start from it."""
    restored = restore(load_configuration(config), source, os.environ, programs=programs)
    typer.echo(json.dumps(asdict(restored), indent=1))


def recover_tail(
    config: Config,
    source: Annotated[
        list[Path],
        typer.Option("--from", help="A dossier, a database file, a folder with the log's paths, a signed statement."),
    ],
    checkpoint: Annotated[
        Path | None, typer.Option(help="A later signed head that somebody kept, where the journal was lost too.")
    ] = None,
) -> None:
    """Brings back the entries that a restored database lacks, exactly as they were signed for, or nothing."""
    recovered = recover(load_configuration(config), source, os.environ, checkpoint=checkpoint)
    shown = {
        "from_size": recovered.from_size,
        "size": recovered.head.size,
        "root_hash": recovered.head.root_hash.hex(),
        "records_absent": recovered.records_absent,
        "therapies_without_identifiers": [one.hex() for one in recovered.therapies_without_identifiers],
    }
    typer.echo(json.dumps(shown, indent=1))
