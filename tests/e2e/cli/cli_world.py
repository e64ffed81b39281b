"""A founded ledger with a therapy at the plant's door, and the installed program to speak to it with."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from demo.cast import enrol_cast
from demo.course import WITHIN_PLANT, tell_to_the_plant
from demo.inspection import enrol_inspector
from demo.profiles import write_profile
from demo.telling import Story
from demo.world import PASSPHRASE, Person, World

PROGRAM = Path(sys.executable).with_name("cellcustody")
SECRETS = {
    "CELLCUSTODY_PASSPHRASE": PASSPHRASE,
    "CELLCUSTODY_OUTBOX_PASSPHRASE": "of the outbox",
    "CELLCUSTODY_RELAY_PASSPHRASE": "of the relay",
}
RUN_SECONDS_MAX = 60


@dataclass(frozen=True)
class Printed:
    """What a run of the program printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        """Standard output, read as JSON."""
        return json.loads(self.out)


def run(*arguments: str, typed: str = "", **environment: str) -> Printed:
    """Runs the installed program as a process of its own; nothing it prints is ever a traceback."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **SECRETS, **environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return Printed(done.returncode, done.stdout, done.stderr)


@dataclass
class Desks:
    """Profiles of people of a running ledger, by a short name, and what their therapy is called."""

    world: World
    story: Story
    profiles: dict[str, Path] = field(default_factory=dict)

    @property
    def stream(self) -> str:
        """The therapy's stream in hexadecimal."""
        return self.story.therapy.hex()

    @property
    def bag(self) -> str:
        """The first collected bag in hexadecimal."""
        return self.story.collected[0].material.hex()

    @property
    def hospital(self) -> str:
        """The hospital's id in hexadecimal."""
        return self.story.cast.sites["Hospital"].site.hex()

    @property
    def anchor(self) -> str:
        """The ledger's anchor file."""
        return str(self.world.founded.anchor)

    def says(self, desk: str, *arguments: str, typed: str = "", **environment: str) -> Printed:
        """Runs the program under somebody's profile."""
        return run("--profile", str(self.profiles[desk]), *arguments, typed=typed, **environment)

    def changed(self, desk: str, folder: Path, **members: str) -> Path:
        """Returns a copy of a profile in another folder, with other members."""
        source = self.profiles[desk]
        lines = []
        for line in source.read_text().splitlines():
            name, _, value = line.partition(" = ")
            if name in ("key_file", "store"):
                value = json.dumps(str(source.parent / json.loads(value)))
            if name in members:
                value = json.dumps(members[name])
            lines.append(f"{name} = {value}" if value else line)
        path = folder / source.name
        path.write_text("\n".join(lines))
        return path

    def body_of_hold(self) -> str:
        """A body of HoldPlaced on the first bag."""
        return json.dumps({"scope": {"kind": "SCOPE_KIND_MATERIAL", "ids": [self.bag]}, "grounds": "label is loose"})

    def body_of_transfer(self) -> str:
        """A body of UnitTransferred by a unit that does not have the bag any more."""
        units = [{"site": self.hospital, "unit": unit} for unit in ("apheresis", "ward")]
        return json.dumps({"materials": [self.bag], "releaser": units[0], "receiver": units[1]})


@contextmanager
def running_desks(folder: Path) -> Iterator[Desks]:
    """Founds a ledger, drives a therapy to the plant's door, and writes profiles."""
    with World(folder, tell=lambda _: None, begin=datetime.now(UTC) - WITHIN_PLANT) as world:
        world.start_server()
        story = Story(world, enrol_cast(world))
        tell_to_the_plant(story)
        _, _, inspecting = enrol_inspector(story)
        world.clock.catch_up()
        cast = story.cast
        desks = Desks(world, story, {"inspector": inspecting})
        people: dict[str, tuple[Person, str]] = {
            "nurse": (cast.nurse, "Hospital"),
            "second-nurse": (cast.second_nurse, "Hospital"),
            "administrator": (cast.sites["Hospital"].administrators[0], "Hospital"),
            "driver": (cast.driver, "Courier"),
        }
        for name, (person, site) in people.items():
            desks.profiles[name] = write_profile(world, person, folder / f"{name}.toml", site=cast.sites[site])
        yield desks
