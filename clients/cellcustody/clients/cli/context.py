"""What every command has: the profile, read when it is first needed, and the two options that many share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from cellcustody.clients.cli.profile import Profile, read_profile
from cellcustody.clients.regulator import RegulatorClient

__all__ = ["POSITION_MAX", "AsJson", "Context", "Yes", "context_of"]

POSITION_MAX: Final = (1 << 63) - 1
"""What a position, an index or a count may be at most: stores number entries with 63 bits."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without being asked; the statement is still shown.")]


@dataclass(frozen=True, slots=True)
class Context:
    """The profile's path, if one was given."""

    profile_path: Path | None

    @property
    def profile(self) -> Profile:
        """The profile.

        Raises:
            ConfigurationError: there is none, or it is not one.
        """
        return read_profile(self.profile_path)

    def open_reader(self) -> RegulatorClient:
        """Returns a connected client that asks and signs nothing."""
        profile = self.profile
        return RegulatorClient(profile.connect(), profile.open_store())


def context_of(context: typer.Context) -> Context:
    """Returns what `app` put there."""
    found: object = context.obj
    if not isinstance(found, Context):
        raise TypeError("a command runs under the program's own callback")
    return found
