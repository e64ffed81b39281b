"""Start the command line: find the commands, run one, and end with the exit code that says what happened.

The rules:

* Errors are printed to standard error in one form, reason and values first, never as a traceback.
* The exit codes are those of `EXIT_CODES` and docs/cli.md, and do not change.
* Other parts of this distribution add commands through the entry-point group `cellcustody.commands`; the name of an
  entry point is the name of its command. One is loaded only when it is asked for, or listed, and where its extra is
  not installed the command says so.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

__all__ = ["EXIT_CODES", "exit_code_of", "run"]

COMMANDS_GROUP: Final = "cellcustody.commands"

EXIT_CODES: Final[dict[int, str]] = {
    0: "done; for verify: every check that was made passed",
    1: "a verification failed, or a log or an export contradicts itself; for policy check: the pack is not fit",
    2: "the command, its input or the profile is wrong",
    3: "refused: nothing of it is in the log; or not confirmed, and nothing was signed",
    4: "nobody answered, or the outcome is unknown: what was signed is kept in the outbox",
    5: "not found, or not for this caller",
    6: "access denied",
}
"""What each exit code means."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and leaves it with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from cellcustody.clients.cli.app import app
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is not installed: install cellcustody[cli]", file=sys.stderr)
        sys.exit(2)
    from cellcustody.ledger.errors import CellcustodyError, ConfigurationError

    _add_commands_of_other_parts(app, given)
    try:
        app(given, prog_name="cellcustody")
    except CellcustodyError as error:
        print(f"cellcustody: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))
    except OSError as fault:
        if fault.filename is None:
            raise
        # A folder that is not there, a full disk, no permission: whichever command it was, the place was given to it.
        print(
            f"cellcustody: {ConfigurationError('a file cannot be used', path=fault.filename, because=fault.strerror)}",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def exit_code_of(error: Exception) -> int:
    """Returns the exit code of an error."""
    from cellcustody.clients import errors
    from cellcustody.ledger.errors import AccessDeniedError, ClientError, NotFoundError, RefusedError, VerificationError

    match error:
        case VerificationError() | errors.LogInconsistent() | errors.ExportMismatched():
            return 1
        case errors.StatementRefused() | errors.SigningDeclined():
            return 3
        case errors.NotFound() | NotFoundError():
            return 5
        case errors.AccessDenied() | AccessDeniedError():
            return 6
        case errors.RequestInvalid() | errors.OutboxUnusable() | RefusedError():
            return 2
        case ClientError():
            return 4
        case _:
            return 2


def _add_commands_of_other_parts(app: typer.Typer, given: Sequence[str]) -> None:
    asked = next((argument for argument in given if not argument.startswith("-")), None)
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        # Each part is loaded only when it is wanted: a server's modules take longer than most commands.
        if asked not in (None, entry_point.name):
            continue
        try:
            command = entry_point.load()
        except ModuleNotFoundError as missing:
            command = _not_installed(entry_point.name, missing.name or "a module")
        if hasattr(command, "registered_commands"):
            app.add_typer(command, name=entry_point.name)
        else:
            app.command(entry_point.name)(command)


def _not_installed(command: str, module: str) -> object:
    def not_installed() -> None:
        """Needs the extra `server`."""
        print(f"{command} needs {module}: install cellcustody[server]", file=sys.stderr)
        sys.exit(2)

    return not_installed


if __name__ == "__main__":
    run()
