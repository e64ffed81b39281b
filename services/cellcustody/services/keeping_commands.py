"""The commands that keep a ledger: back it up, put a backup in place, bring a lost tail back, look for damage."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.ledger.recording.scrubbing import scrub
from cellcustody.ledger.store import KeyStore, Vault, back_up_key_store
from cellcustody.ledger.store.journal import read_last_note
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.services.backups import back_up, restore
from cellcustody.services.configuration import load_configuration
from cellcustody.services.open_ledger import open_store
from cellcustody.services.recovery import recover

__all__ = ["make_backup", "recover_tail", "restore_backup", "scrub_store"]

Config = Annotated[Path, typer.Option(help="The server's configuration.")]
Programs = Annotated[
    Path | None, typer.Option(help="Folder of pg_dump and pg_restore, for PostgreSQL; else they are on the path.")
]


def make_backup(
    config: Config,
    to: Annotated[Path, typer.Option(help="A folder to be made.")],
    keys_to: Annotated[
        Path | None, typer.Option(help="A file to be made with the wrapped keys of the bodies; on another medium.")
    ] = None,
    programs: Programs = None,
) -> None:
    """Copies the entries while the server runs, and prints, as JSON, which head the copy holds."""
    configuration = load_configuration(config)
    made = back_up(configuration, to, os.environ, now=datetime.now(UTC), programs=programs)
    if keys_to is not None:
        back_up_key_store(configuration.ledger.key_store, keys_to)
    typer.echo(json.dumps(asdict(made), indent=1))


def restore_backup(
    config: Config,
    source: Annotated[Path, typer.Option("--from", help="The folder of a backup.")],
    programs: Programs = None,
) -> None:
    """Puts a backup in an empty place, reads it all again, and tells whether the ledger may start from it."""
    restored = restore(load_configuration(config), source, os.environ, programs=programs)
    typer.echo(json.dumps(asdict(restored), indent=1))


def scrub_store(
    config: Config,
    bodies: Annotated[bool, typer.Option(help="Open every body too, and hold it to what was signed.")] = True,
) -> None:
    """Reads the whole store again, beside a running server; ends with 2 and the place where something is damaged."""
    configuration = load_configuration(config)
    with ExitStack() as opened:
        store = open_store(configuration, os.environ)
        opened.callback(store.close)
        vault = None
        if bodies:
            keys = KeyStore(configuration.ledger.key_store, configuration.keys.master_key(os.environ))
            opened.callback(keys.close)
            vault = Vault(keys)
        # The head is read after the journal, so that it is never behind it.
        note = read_last_note(configuration.ledger.journal)
        signed = None if note is None else parse_checkpoint(note)
        found = scrub(store, vault, signed=None if signed is None else (signed.size, signed.root))
    shown = {
        "size": found.head.size,
        "root_hash": found.head.root_hash.hex(),
        "signed_size": None if signed is None else signed.size,
        "entries": found.entries,
        "tiles": found.tiles,
        "bodies": found.bodies if bodies else None,
        "bodies_with_erased_records": found.bodies_erased if bodies else None,
    }
    typer.echo(json.dumps(shown, indent=1))


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
