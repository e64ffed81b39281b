"""Leave a ledger running to play with: one therapy under way, profiles for its people, three commands to try.

Run by `make serve`. Everything lies in `var/demo` below the project, which is made anew; Ctrl-C ends the server.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from demo.profiles import write_profile
from demo.story import Story
from demo.world import PASSPHRASE, REGULATE, World

FOLDER = Path(__file__).resolve().parents[2] / "var" / "demo"


def main() -> None:
    """Starts the server, drives a therapy to the plant's door, and waits."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with World(FOLDER, http_listen="127.0.0.1:8480") as world:
        world.start_server()
        story = Story(world)
        story.title("Enrolment")
        story.enrol_everyone()
        story.harvest()
        story.store_and_correct()
        story.to_the_plant()
        regulator = world.enrol_site(world.registrars(), "Regulator", [REGULATE], ["inspection"])
        inspector = world.enrol(regulator, "inspector", "inspection")
        nurse = write_profile(world, story.nurse, FOLDER / "nurse.toml", site=story.sites["Hospital"])
        office = write_profile(world, inspector, FOLDER / "inspector.toml", site=regulator)
        print(
            f"""
The ledger is running: gRPC on {world.grpc_target}, the log over HTTP on {world.http_address}.
The passphrase of every key file in var/demo is: {PASSPHRASE}

Three commands to try, in another terminal:

  export CELLCUSTODY_PASSPHRASE='{PASSPHRASE}'
  .venv/bin/cellcustody --profile {nurse.relative_to(FOLDER.parents[1])} history {story.coi}
  .venv/bin/cellcustody --profile {nurse.relative_to(FOLDER.parents[1])} custody {story.coi}
  .venv/bin/cellcustody --profile {office.relative_to(FOLDER.parents[1])} export therapy {story.coi} --output therapy.dossier \\
    && .venv/bin/cellcustody verify therapy.dossier --anchor {world.founded.anchor.relative_to(FOLDER.parents[1])}

Ctrl-C ends the server.""",
            flush=True,
        )
        try:
            world.wait_for_server()
        except KeyboardInterrupt:
            print("\nThe server ends; var/demo stays until the next time.")


if __name__ == "__main__":
    main()
