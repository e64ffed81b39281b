"""The main job, for real: one therapy from harvest to infusion, then an offline verification of what came out.

Run by `make demo`. A server of its own on the embedded store, real gRPC clients over mTLS, everything in a temporary
folder that is removed at the end unless `--keep` names one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from cellcustody.clients.regulator import Export, RegulatorClient
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.verification import Report, verify_dossier
from cellcustody.v1 import custody_query_service_pb2, entry_pb2
from demo.story import Story
from demo.world import REGULATE, World


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
    print("A ledger is founded: three registrars, two of whom it takes; SQLite; a server on loopback with mTLS.")
    (folder / "one").mkdir()
    with World(folder / "one") as world:
        world.start_server()
        story = Story(world)
        story.title("Enrolment")
        story.enrol_everyone()
        story.harvest()
        story.store_and_correct()
        story.to_the_plant()
        story.manufacture()
        story.test_and_release()
        story.back_to_the_ward()
        counted = ", ".join(f"{count} {name}" for name, count in sorted(story.done.items()))
        print(f"\n{sum(story.done.values())} statements recorded: {counted}.")
        export = _export(world, story, folder / "therapy.dossier")
        print(
            f"Exported: {export.length_bytes:,} bytes, {export.statements} statements,"
            f" digest {export.sha256.hex()[:16]}..."
        )
        anchor = parse_anchor(world.founded.anchor.read_bytes())
    print("The server is stopped. What follows uses the file and the anchor alone.")

    dossier = (folder / "therapy.dossier").read_bytes()
    report = verify_dossier(dossier, anchor)
    _show(report)
    print("\nWithout an anchor the same file is:", verify_dossier(dossier, None).outcome)
    _must_fail("one byte of a tampered copy changed", _tampered(dossier), anchor)
    forged = _forged(folder)
    _must_fail("a dossier forged whole, by another ledger that says it is this one", forged, anchor)
    print("Without an anchor the forged one is:", verify_dossier(forged, None).outcome)


def _export(world: World, story: Story, path: Path) -> Export:
    """Prints the custody timeline and has a regulator export the therapy."""
    regulator = world.enrol_site(world.registrars(), "Regulator", [REGULATE], ["inspection"])
    with RegulatorClient(world.connect(regulator.certificate)) as client:
        history = client.history(story.therapy)
        _timeline(history, world)
        return client.export_therapy(story.coi, path, purpose="demonstration of an inspection")


def _timeline(history: custody_query_service_pb2.GetHistoryResponse, world: World) -> None:
    """Prints who did what when, in order of occurrence, as a regulator reads it."""
    print(f"\nThe custody timeline of the therapy and its consignments, as of position {history.position}")
    for item in history.items:
        when = datetime.fromtimestamp(item.occurred_unix_micros / 1_000_000, UTC).strftime("%H:%M:%S.%f")[:-3]
        status = entry_pb2.JudgementStatus.Name(item.judgement.status).removeprefix("JUDGEMENT_STATUS_")
        mark = {"NONCONFORMING": "!", "AWAITING": "?"}.get(status, " ")
        superseded = "  (superseded)" if item.superseded_by else ""
        who = world.names.get(item.signer, "the ledger")
        print(f" {mark} {when}Z  {item.summary or item.body_type.rpartition('.')[2]:<76} {who}{superseded}")
    for gap in history.gaps:
        seconds = (gap.end_unix_micros - gap.start_unix_micros) / 1_000_000 if gap.HasField("end_unix_micros") else None
        lasted = "still open" if seconds is None else f"{seconds:.1f} s"
        print(f"   gap: {gap.subject}: {lasted}")


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
    with World(folder / "two", tell=lambda _: None) as world:
        world.start_server()
        story = Story(world)
        story.enrol_everyone()
        story.harvest()
        regulator = world.enrol_site(world.registrars(), "Regulator", [REGULATE], ["inspection"])
        with RegulatorClient(world.connect(regulator.certificate)) as client:
            client.export_therapy(story.therapy, folder / "forged.dossier", purpose="forgery")
    return (folder / "forged.dossier").read_bytes()


if __name__ == "__main__":
    main()
