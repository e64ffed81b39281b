"""The program's commands, gathered; `main` starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.cli import (
    absence,
    acting,
    anchoring,
    auditing,
    bedside,
    embedded,
    enrolling,
    inspecting,
    labelling,
    loggers,
    offline,
    outbox_commands,
    policies,
    reading,
    simulating,
    verifying,
    whole_audit,
)
from cellcustody.clients.cli.context import Context
from cellcustody.clients.cli.profile import PROFILE_VARIABLE

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # Errors are printed by `main`, in one form, without a traceback.
    rich_markup_mode=None,  # What was read is never taken for markup.
    context_settings={"max_content_width": 100},  # Lines of help that a README shows without scrolling.
    epilog="Exit codes: 0 done, 1 verification failed, 2 usage, 3 refused, 4 unavailable or outcome unknown,"
    " 5 not found, 6 access denied.",
)


@app.callback()
def start(
    context: typer.Context,
    profile: Annotated[
        Path | None, typer.Option(envvar=PROFILE_VARIABLE, help="TOML file: server, keys, who signs.")
    ] = None,
) -> None:
    """A chain-of-custody ledger for cell therapies: sign what happened, ask who has what, verify it offline."""
    context.obj = Context(profile)


reading.register(app)
inspecting.register(app)
acting.register(app)
enrolling.register(app)
policies.register(app)
outbox_commands.register(app)
auditing.register(app)
verifying.register(app)
anchoring.register(app)
embedded.register(app)
absence.register(app)
whole_audit.register(app)
bedside.register(app)
labelling.register(app)
loggers.register(app)
offline.register(app)
simulating.register(app)
