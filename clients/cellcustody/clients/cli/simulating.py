"""The command that fills a ledger to try it out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import say
from cellcustody.clients.signers import read_passphrase
from cellcustody.clients.simulation import LedgerFolder, Summary, Wishes, open_ground, simulate
from cellcustody.clients.simulation.running import BEGIN

__all__ = ["register"]

_SHOWN_MAX = 20
NOTE = "FOR TRYING OUT ONLY: the people's keys follow from the seed, so that anybody can sign for them."


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("simulate")(run)


def run(
    therapies: Annotated[int, typer.Option(min=1, help="How many therapies, of about 100 statements each.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same acts.")] = 1,
    ledger: Annotated[Path, typer.Option(help="The folder that `init` made; its server runs.")] = Path("ledger"),
    folder: Annotated[Path, typer.Option(help="What the simulation keeps of its world.")] = Path("simulation"),
    server: Annotated[str, typer.Option(help="host:port of the server, where it took a free port.")] = "",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Therapies told at once.")] = 8,
    begin: Annotated[str, typer.Option(help="When the first therapies begin.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Drive realistic therapies through a ledger to try it out; ends with 1 if anything was found that was not meant.

    The ledger is one made by `init`, with registrars' keys and private authority in its folder. A world of seven sites
    is enrolled by the first run; later runs with the same folder and seed go on in it.
    """
    passphrase = read_passphrase(prompt="Passphrase of the registrars' keys: ")
    found = LedgerFolder.of(ledger, passphrase=passphrase, target=server)
    when: datetime = time_of(begin) if begin else BEGIN
    screen = Console(stderr=True, highlight=False)
    screen.print(NOTE, markup=False)
    folder.mkdir(parents=True, exist_ok=True)

    def tell(text: str) -> None:
        screen.print(text, markup=False)

    with open_ground(found, folder, seed=seed, begin=when, tell=tell) as ground:
        columns = (
            TextColumn("therapies"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[statements]} statements, {task.fields[rate]}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=screen) as bar:
            task = bar.add_task("", total=therapies, statements=0, rate=0)

            def show(so_far: Summary) -> None:
                bar.update(task, completed=so_far.therapies, statements=so_far.statements, rate=round(so_far.rate))

            summary = simulate(ground, Wishes(therapies, threads=threads, begin=when), progress=show)
    _print(summary, as_json_text=json)
    if not summary.is_as_intended:
        raise typer.Exit(1)


def _print(summary: Summary, *, as_json_text: bool) -> None:
    deviations = [*summary.refusals, *summary.unintended, *summary.missed]
    if as_json_text:
        typer.echo(
            as_json(
                {
                    "therapies": summary.therapies,
                    "statements": summary.statements,
                    "statements_enrolling": summary.enrolling,
                    "seconds": round(summary.seconds, 1).__str__(),
                    "rate_per_second": round(summary.rate),
                    "refusals": len(summary.refusals),
                    "nonconformities_intended": summary.intended,
                    "nonconformities_unintended": len(summary.unintended),
                    "nonconformities_not_found": len(summary.missed),
                    "outcomes": dict(sorted(summary.outcomes.items())),
                    "counts": dict(sorted(summary.counts.items())),
                    "deviations": [str(one) for one in deviations],
                }
            )
        )
        return
    say(
        f"{summary.therapies} therapies, {summary.statements:,} statements in {summary.seconds:.0f} s:"
        f" {summary.rate:.0f} a second; {summary.enrolling} more enrolled the world"
    )
    say("; ".join(f"{count} {name}" for name, count in sorted(summary.outcomes.items())))
    say(", ".join(f"{name}: {count}" for name, count in sorted(summary.counts.items())))
    say(
        f"refusals: {len(summary.refusals)}; nonconformities: {summary.intended} intended,"
        f" {len(summary.unintended)} unintended, {len(summary.missed)} intended and not found",
        style="green" if summary.is_as_intended else "bold red",
    )
    for one in deviations[:_SHOWN_MAX]:
        say(f"  {one}")
    if len(deviations) > _SHOWN_MAX:
        say(f"  ... and {len(deviations) - _SHOWN_MAX} more")
