"""The commands of a witness: `witness` runs it, `witness init` makes its keys and its configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.services.witness.configuration import load_witness_configuration
from cellcustody.services.witness.running import make_witness, run_witness

__all__ = ["witness"]

witness = typer.Typer(add_completion=False, help="Cosign logs that only grow, for your own organisation.")


@witness.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The witness's configuration, as `witness init` writes it.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when it answers: JSON with the address that was bound.")
    ] = None,
) -> None:
    """Cosigns checkpoints of the logs in the configuration until SIGTERM (C2SP tlog-witness over HTTP)."""
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise ConfigurationError("a witness runs by its configuration", key="--config")
    run_witness(load_witness_configuration(config), ready_file=ready_file)


@witness.command("init")
def make(
    name: Annotated[str, typer.Option(help="The witness's key name, a URL without scheme.")],
    directory: Annotated[Path, typer.Option(help="An empty folder, or one to be made.")] = Path("witness"),
    listen: Annotated[str, typer.Option(help="Where it listens; port 0 takes a free one.")] = "127.0.0.1:8490",
    anchor: Annotated[list[Path] | None, typer.Option(help="Anchor of a ledger whose log is to be witnessed.")] = None,
    url: Annotated[str, typer.Option(help="Where ledgers reach it, for the lines of a policy.")] = "",
) -> None:
    """Makes keys and configuration of a witness, and prints its verifier keys and lines for a policy."""
    made = make_witness(directory, name, listen=listen, anchors=tuple(anchor or ()))
    address = f" {url}" if url else ""
    typer.echo(
        json.dumps(
            {
                "configuration": str(made.configuration),
                "vkeys": list(made.vkeys),
                "policy_lines": [
                    f"witness {name}{suffix} {vkey}{address}"
                    for suffix, vkey in zip(("", "/ml-dsa-44"), made.vkeys, strict=True)
                ],
            },
            ensure_ascii=False,
            indent=1,
        )
    )
