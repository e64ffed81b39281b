"""The commands of the log's own keys: make one, see who signs, take over a rotation signed elsewhere.

What registrars sign is signed with `cellcustody enrol log-keys`, at their own desks.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.opening import open_registry
from cellcustody.ledger.statements.key_files import KeyKind
from cellcustody.ledger.store import KeyStore, Vault
from cellcustody.services.configuration import load_configuration
from cellcustody.services.log_keys import install_log_keys, new_log_key
from cellcustody.services.open_ledger import load_ledger_keys, open_store, read_anchor

__all__ = ["log_keys"]

Config = Annotated[Path, typer.Option(help="The server's configuration.")]

log_keys = typer.Typer(no_args_is_help=True, add_completion=False, help="The keys that sign checkpoints.")


@log_keys.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="The key file to make.")],
    config: Config,
    kind: Annotated[str, typer.Option(help="note-ed25519 or note-ml-dsa-44.")] = KeyKind.NOTE_ED25519.value,
) -> None:
    """Draws a key, seals it under the ledger's passphrase, and prints the verifier key that registrars rotate to."""
    known = {one.value: one for one in KeyKind if one.signs_notes}
    if kind not in known:
        raise ConfigurationError("no such kind of key", value=kind, known=", ".join(known))
    vkey = new_log_key(load_configuration(config), file, known[kind], os.environ)
    typer.echo(json.dumps({"file": str(file), "vkey": vkey}, indent=1))


@log_keys.command("show")
def show(config: Config) -> None:
    """Prints, as JSON, the log's keys of every era, and which have their signer in this configuration."""
    configuration = load_configuration(config)
    origin = read_anchor(configuration.ledger.anchor).log_origin
    here = {one.vkey for one in load_ledger_keys(configuration.keys, os.environ, origin=origin).log_signers}
    key_store = KeyStore(configuration.ledger.key_store, configuration.keys.master_key(os.environ))
    store = open_store(configuration, os.environ)
    try:
        eras = open_registry(store, Vault(key_store)).log_keys.changes(1 << 63)
        size = store.head().size
    finally:
        store.close()
        key_store.close()
    in_force = eras[-1][1].signing(size) if eras else ()
    shown = {
        "size": size,
        "eras": [
            {
                "since_leaf": leaf,
                "keys": list(era.keys),
                "overlapping": list(era.overlapping),
                "overlap_until_size": era.overlap_until_size,
                "lost": list(era.lost),
                "compromised_since_size": era.compromised_since_size,
            }
            for leaf, era in eras
        ],
        "signing": [{"vkey": vkey, "signer_is_here": vkey in here} for vkey in in_force],
        "waiting": sorted(here.difference(in_force)),
    }
    typer.echo(json.dumps(shown, indent=1))


@log_keys.command("install")
def install(
    statements: Annotated[list[Path], typer.Argument(help="What registrars signed into files, the rotation first.")],
    config: Config,
) -> None:
    """Records a rotation signed elsewhere, with the server stopped, and signs with the new keys from there on.

    It is the way to replace a log key that is lost; with all keys there the server takes a rotation itself.
    """
    installed = install_log_keys(load_configuration(config), statements, os.environ)
    shown = {
        "size": installed.size,
        "signing": list(installed.vkeys),
        "positions": list(installed.recorded),
        "checkpoint_base64": base64.b64encode(installed.checkpoint).decode(),
    }
    typer.echo(json.dumps(shown, indent=1))
