"""The commands for authors of policy packs: compile a source to the bytes that are signed, check it, try it.

Nothing here asks a server or needs a profile: a pack is checked with the rules that the ledger runs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellcustody.clients.cli.context import AsJson
from cellcustody.clients.cli.plain import Plain, as_json
from cellcustody.clients.cli.screen import say
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_lint import Lint, LintLevel, lint
from cellcustody.ledger.custody.policy_simulation import ELSEWHERE, Simulation, Trial, simulate
from cellcustody.ledger.custody.policy_source import compile_pack
from cellcustody.ledger.errors import ConfigurationError

if TYPE_CHECKING:
    from cellcustody.ledger.custody.policy_course import Told

__all__ = ["register"]

Source = Annotated[Path, typer.Argument(help="The pack: TOML, or JSON where the name ends in .json.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Write, check and try policy packs.")
    group.command("compile")(compile_policy)
    group.command("check")(check_policy)
    app.add_typer(group, name="policy")


def compile_policy(
    file: Source,
    output: Annotated[Path | None, typer.Option(help="Where to; by default beside the source, as .json.")] = None,
) -> None:
    """Compile a pack to the canonical bytes that are published; print its digest."""
    compiled = _compiled(file)
    target = file.with_suffix(".json") if output is None else output
    if target.resolve() == file.resolve():
        raise ConfigurationError("the source would be overwritten: name another --output", path=file)
    try:
        target.write_bytes(compiled)
    except OSError as refusal:
        raise ConfigurationError("the file cannot be written", path=target, because=refusal.strerror) from refusal
    say(hashlib.sha256(compiled).hexdigest())


def check_policy(
    file: Source,
    role: Annotated[list[str] | None, typer.Option(help="A role that your sites give; repeat for all of them.")] = None,
    without_course: Annotated[bool, typer.Option("--without-course", help="Lint only; simulate nothing.")] = False,
    json: AsJson = False,
) -> None:
    """Lint a pack, simulate a therapy under it, and try each of its limits at it and just beyond.

    Ends with 0 if the pack is fit, with 1 if a rule of it cannot be meant, the course does not conform or a limit does
    not bite, and with 2 if it is no pack.
    """
    compiled = _compiled(file)
    pack = PolicyPack.parse(compiled)
    found = lint(pack, roles=role or ())
    simulation = None if without_course else simulate(pack)
    fit = all(one.level is not LintLevel.ERROR for one in found) and (
        simulation is None or not (simulation.unhappy or simulation.toothless)
    )
    if json:
        typer.echo(as_json(_plain(pack, found, simulation, fit)))
    else:
        _print(pack, found, simulation)
        say("fit" if fit else "not fit: see above")
    if not fit:
        raise typer.Exit(1)


def _compiled(file: Path) -> bytes:
    try:
        source = file.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=file, because=refusal.strerror) from refusal
    return compile_pack(source, is_toml=file.suffix != ".json")


def _print(pack: PolicyPack, found: tuple[Lint, ...], simulation: Simulation | None) -> None:
    say(f"{pack.product} {pack.jurisdiction} version {pack.version}, digest {pack.digest.hex()}")
    for one in found:
        say(f"{one.level.value}: {one.path} = {one.value}: {one.message}. {one.remedy}")
    if simulation is None:
        return
    say("")
    say("A standard course under this pack:")
    for told in simulation.course:
        say(f"  {_clock(told.seconds)}  {_verdict(told):14}{told.body}{''.join(f'  {code}' for code in told.codes)}")
    say("")
    say("Each limit, just met and just beyond:")
    for trial in simulation.trials:
        say(f"  {_bite(trial):14}{trial.path} = {trial.limit}: {_shown(trial)}")
    say("")
    say("Judged elsewhere, and not tried here:")
    for path, where in ELSEWHERE.items():
        say(f"  {path}: {where}")
    say("")


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"day {days:4d} {rest // 3600:02d}:{rest // 60 % 60:02d}"


def _verdict(told: Told) -> str:
    return "refused" if told.status is None else told.status.name.lower()


def _bite(trial: Trial) -> str:
    return "bites" if trial.bites else "shadowed" if trial.is_shadowed else "does not bite"


def _shown(trial: Trial) -> str:
    """Returns the first thing found beyond the limit, or at it where that is found already."""
    found = trial.at_limit or trial.beyond
    if not found:
        return "nothing is found beyond it"
    (body, code), more = found[0], len(found) - 1
    where = "at the limit already" if trial.at_limit else "beyond it"
    return f"{where} {body} {code}" + (f", and {more} more" if more else "")


def _plain(pack: PolicyPack, found: tuple[Lint, ...], simulation: Simulation | None, fit: bool) -> dict[str, Plain]:
    plain: dict[str, Plain] = {
        "product": pack.product,
        "jurisdiction": pack.jurisdiction,
        "version": pack.version,
        "policy_digest": pack.digest.hex(),
        "fit": fit,
        "findings": [
            {
                "level": one.level.value,
                "path": one.path,
                "value": one.value,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in found
        ],
    }
    if simulation is not None:
        plain["course"] = [
            {"seconds": told.seconds, "body": told.body, "verdict": _verdict(told), "findings": list(told.codes)}
            for told in simulation.course
        ]
        plain["limits"] = [
            {
                "path": trial.path,
                "limit": trial.limit,
                "bites": trial.bites,
                "at_limit": [{"body": body, "finding": code} for body, code in trial.at_limit],
                "beyond": [{"body": body, "finding": code} for body, code in trial.beyond],
            }
            for trial in simulation.trials
        ]
        plain["elsewhere"] = dict(ELSEWHERE)
    return plain
