"""Leave a ledger running to play with: one therapy under way, profiles for its people, three commands to try.

Run by `make serve`. Everything lies in `var/demo` below the project, which is made anew; Ctrl-C ends the server.
"""

from __future__ import annotations

import argparse
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

from demo.cast import enrol_cast
from demo.course import WITHIN_PLANT, tell_to_the_plant
from demo.inspection import enrol_inspector
from demo.profiles import write_profile
from demo.telling import Story
from demo.world import PASSPHRASE, World

PROJECT = Path(__file__).resolve().parents[2]
HTTP_LISTEN = "127.0.0.1:8480"  # The same every time, so that the README's addresses work.


def main() -> None:
    """Starts the server, drives a therapy to the plant's door, and waits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=PROJECT / "var" / "demo", help="removed first, if it is there")
    parser.add_argument("--http-listen", default=HTTP_LISTEN, help="where the log answers over HTTP")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # However it is ended, the server is ended with it.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = datetime.now(UTC) - WITHIN_PLANT
    with World(folder, http_listen=arguments.http_listen, begin=begin) as world:
        try:
            world.start_server()
            print(_what_to_try(world, _under_way(world)), flush=True)
            world.wait_for_server()
        except KeyboardInterrupt:
            print(f"\nThe server ends; {_shown(folder)} stays until the next time.", flush=True)


def _under_way(world: World) -> Story:
    """Drives a therapy to the plant, up to now; writes two profiles, and serves by the real clock from then on."""
    story = Story(world, enrol_cast(world))
    tell_to_the_plant(story)
    enrol_inspector(story)
    world.clock.catch_up()
    write_profile(world, story.cast.nurse, world.folder / "nurse.toml", site=story.cast.sites["Hospital"])
    return story


def _what_to_try(world: World, story: Story) -> str:
    folder = _shown(world.folder)
    program = ".venv/bin/cellcustody"
    return f"""
The ledger is running: gRPC on {world.grpc_target}, the log over HTTP on {world.http_address}.
The passphrase of every key file in {folder} is: {PASSPHRASE}
Reading needs none; to sign: export CELLCUSTODY_PASSPHRASE='{PASSPHRASE}'

Three commands to try, in another terminal:

  {program} --profile {folder}/nurse.toml history {story.coi}

  {program} --profile {folder}/nurse.toml custody {story.coi}

  {program} --profile {folder}/inspector.toml export therapy {story.coi} --to {folder}/therapy.dossier \\
    --purpose "trying it out" && {program} verify {folder}/therapy.dossier --anchor {_shown(world.founded.anchor)}

Ctrl-C ends the server."""


def _shown(path: Path) -> Path:
    """Returns a path as it is typed in the project's folder."""
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path


if __name__ == "__main__":
    main()
