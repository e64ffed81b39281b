"""The main job, for real: one therapy vein to vein under the EU pack, then an offline verification of what came out.

Run by `make demo`. A server of its own on the embedded store, real gRPC clients over mTLS, everything in a temporary
folder that is removed at the end unless `--keep` names one. The story's months pass in seconds, by a clock of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cellcustody.clients.regulator import RegulatorClient
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.verification import Report, verify_dossier
from demo.cast import enrol_cast
from demo.chapters import harvest
from demo.course import WHOLE_COURSE, tell_whole
from demo.inspection import ask, check_judgements, enrol_inspector
from demo.telling import Story
from demo.witnesses import DemoWitnesses, without_witness
from demo.world import World

WITNESSES: Final = ("hospital.example/witness", "plant.example/witness")


def main() -> None:
    """Runs the demonstration; ends with an error if anything is otherwise than it says."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--keep", type=Path, help="a new folder to keep everything in")
    keep = arguments.parse_args().keep
    began = time.monotonic()
    if keep is not None:
        keep.mkdir(parents=True)
        run(keep)
    else:
        with tempfile.TemporaryDirectory(prefix="cellcustody-demo-") as folder:
            run(Path(folder))
    print(f"\nAll as intended, in {time.monotonic() - began:.0f} seconds.")


def run(folder: Path) -> None:
    """Runs the whole demonstration in a folder."""
    print(
        "A ledger is founded: three registrars, two of whom it takes; SQLite; a server on loopback with mTLS; two\n"
        "witnesses of other organisations, whom the anchor asks for both; a time authority that stamps what the log\n"
        "signs."
    )
    (folder / "one").mkdir()
    witnesses = DemoWitnesses.make(folder, WITNESSES)
    with World(folder / "one", begin=_begin(), witnesses=witnesses, is_stamped=True) as world:
        world.start_server()
        story = Story(world, enrol_cast(world))
        _introduce(story)
        tell_whole(story)
        counted = ", ".join(f"{count} {name}" for name, count in sorted(story.done.items()))
        print(f"\n{sum(story.done.values())} statements of the therapy and its consignments: {counted}.")
        regulator, inspector, profile = enrol_inspector(story)
        inspector.client.note_position(story.position)
        check_judgements(story, inspector.client.history(story.therapy))
        print("Judged again by all that came later, every one stands as the story meant it.")
        print("\nAn inspector asks")
        ask(story, profile)
        with RegulatorClient(world.connect(regulator.certificate)) as client:
            purpose = "demonstration of an inspection"
            export = client.export_therapy(story.coi, folder / "therapy.dossier", purpose=purpose)
        print(
            f"\nExported: {export.length_bytes:,} bytes, {export.statements} statements,"
            f" digest {export.sha256.hex()[:16]}..."
        )
        anchor = parse_anchor(world.founded.anchor.read_bytes())
    print("The server is stopped. What follows uses the file and the anchor alone.")

    dossier = (folder / "therapy.dossier").read_bytes()
    report = verify_dossier(dossier, anchor)
    _show(report)
    print("\nWithout an anchor the same file is:", verify_dossier(dossier, None).outcome)
    _must_fail(
        f"the same file without the signatures of {WITNESSES[0]}", without_witness(dossier, WITNESSES[0]), anchor
    )
    _must_fail("one byte of a tampered copy changed", _tampered(dossier), anchor)
    forged = _forged(folder)
    _must_fail("a dossier forged whole, by another ledger that says it is this one", forged, anchor)
    print("Without an anchor the forged one is:", verify_dossier(forged, None).outcome)


def _begin() -> datetime:
    """Returns half past six of a morning long enough ago."""
    return (datetime.now(UTC) - WHOLE_COURSE).replace(hour=6, minute=30, second=0, microsecond=0)


def _introduce(story: Story) -> None:
    cast, world = story.cast, story.world
    people = len(world.names) - len(cast.sites)
    print(
        f"{len(cast.sites)} sites and {people} people are enrolled; {cast.statements} statements register and qualify"
        " lots, equipment, courier and lanes.\n"
        f"The pack is {cast.pack.product}, {cast.pack.jurisdiction}: an invented product with invented limits, fit for"
        " no patient.\n"
        "In what follows, ! is a rule that was broken (a hold opens), ~ is shown, ? waits; = says who answers for what"
        ", * wants attention."
    )


def _show(report: Report) -> None:
    """Prints every check with its result."""
    print(f"\nOffline verification: {report.outcome}")
    for line in report.checks:
        counted = f"{line.checked:>5}" if line.checked else "     "
        print(f"  {line.result.value:<12} {counted}  {line.check.value}{'  - ' + line.note if line.note else ''}")


def _must_fail(what: str, dossier: bytes, anchor: Anchor) -> None:
    try:
        verify_dossier(dossier, anchor)
    except CellcustodyError as refusal:
        print(f"\n{what}: refused.\n  {refusal}")
    else:
        raise SystemExit(f"{what} was accepted")


def _tampered(dossier: bytes) -> bytes:
    """Returns the dossier with one bit turned in its middle."""
    changed = bytearray(dossier)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def _forged(folder: Path) -> bytes:
    """Returns a dossier of another ledger under the same origin: all its signatures verify, by other keys."""
    (folder / "two").mkdir()
    with World(folder / "two", tell=lambda _: None, begin=_begin()) as world:
        world.start_server()
        story = Story(world, enrol_cast(world))
        harvest.enrol(story)
        regulator, _, _ = enrol_inspector(story)
        with RegulatorClient(world.connect(regulator.certificate)) as client:
            client.export_therapy(story.therapy, folder / "forged.dossier", purpose="forgery")
    return (folder / "forged.dossier").read_bytes()


if __name__ == "__main__":
    main()
