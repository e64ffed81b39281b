"""Manifests that the ledger did not sign, or that list something else; streams left out or put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier.layout import BODIES, CHECKPOINT, ENTRIES, HEADS, MANIFEST, TIMESTAMPS
from cellcustody.ledger.statements import PayloadType
from cellcustody.ledger.verification import open_dossier
from cellcustody.v1 import dossier_pb2, options_pb2
from corpus.cases import Case, Family
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import World, drawn, founded, lawful, sealed, zipped

__all__ = ["FAMILY"]

FAMILY = Family("manifests")
Manifest = dossier_pb2.DossierManifest


@FAMILY
def lists() -> Iterator[Case]:
    """What a signed manifest says."""
    world = lawful()
    changes: list[tuple[str, Callable[[Manifest], object]]] = [
        ("format-2", lambda m: setattr(m, "format_version", 2)),
        ("format-absent", lambda m: m.ClearField("format_version")),
        ("another-ledger", lambda m: setattr(m, "ledger_id", bytes(15) + b"\x01")),
        ("another-position", lambda m: setattr(m, "position", m.position + 1)),
        ("another-therapy", lambda m: setattr(m, "therapy", b"\x01" + drawn("another", 16))),
        ("therapy-is-a-consignment", lambda m: setattr(m, "therapy", world.consignment)),
        ("therapy-absent", lambda m: m.ClearField("therapy")),
        ("classes-without-public", lambda m: m.open_classes.remove(options_pb2.DISCLOSURE_CLASS_PUBLIC)),
        ("classes-none", lambda m: m.ClearField("open_classes")),
        ("classes-descend", lambda m: m.open_classes.reverse()),
        ("class-twice", lambda m: m.open_classes.insert(0, options_pb2.DISCLOSURE_CLASS_PUBLIC)),
        ("class-not-named-that-is-open", lambda m: m.open_classes.remove(options_pb2.DISCLOSURE_CLASS_CUSTODY)),
        ("files-swapped", lambda m: _swap(m.files)),
        ("file-missing", lambda m: m.files.pop()),
        ("file-too-many", lambda m: m.files.add(name="notes.txt")),
        ("file-with-another-digest", lambda m: setattr(m.files[0], "sha256", bytes(32))),
        ("file-with-another-length", lambda m: setattr(m.files[0], "length_bytes", 1)),
        ("file-under-another-name", lambda m: setattr(m.files[0], "name", "README")),
        ("files-none", lambda m: m.ClearField("files")),
        ("stream-missing", lambda m: m.streams.pop()),
        ("stream-too-many", lambda m: m.streams.add(stream=b"\x0a" + bytes(15) + b"\x01", entries=1)),
        ("stream-with-another-count", lambda m: setattr(m.streams[0], "entries", 99)),
        ("stream-with-another-head", lambda m: setattr(m.streams[0], "last_leaf_hash", bytes(32))),
        ("streams-swapped", lambda m: _swap(m.streams)),
        ("streams-none", lambda m: m.ClearField("streams")),
    ]
    for name, change in changes:
        data = zipped(world.files(change=change))
        yield anchored(world, name, data)


def _swap(items: object) -> None:
    first = type(items[0])()  # type: ignore[index]  # a repeated field
    first.CopyFrom(items[0])  # type: ignore[index]  # a repeated field
    items[0].CopyFrom(items[1])  # type: ignore[index]  # a repeated field
    items[1].CopyFrom(first)  # type: ignore[index]  # a repeated field


@FAMILY
def signatures() -> Iterator[Case]:
    """Who signed it, and how."""
    world = lawful()
    for name, signers, kind in (
        ("signed-by-an-administrator", [world.administrators[0].signer], PayloadType.DOSSIER_MANIFEST),
        ("signed-by-a-stranger", [world.signatory("stranger", "ledger").signer], PayloadType.DOSSIER_MANIFEST),
        ("signed-by-two", [world.service.signer, world.nurse.signer], PayloadType.DOSSIER_MANIFEST),
        ("signed-as-a-read-token", [world.service.signer], PayloadType.READ_TOKEN),
        ("signed-as-custody", [world.service.signer], PayloadType.CUSTODY),
    ):
        yield anchored(world, name, zipped(world.files(signers=signers, kind=kind)))
    files = world.files()
    for name, raw in (
        ("empty", b""),
        ("cut", files[MANIFEST][:-1]),
        ("random", bytes(n * 23 % 256 for n in range(500))),
        ("with-a-flipped-signature", files[MANIFEST][:-80] + bytes([files[MANIFEST][-80] ^ 1]) + files[MANIFEST][-79:]),
        ("of-another-export", lawful().files(change=lambda m: setattr(m, "position", 3))[MANIFEST]),
    ):
        yield anchored(world, name, zipped({**files, MANIFEST: raw}))


@FAMILY
def files_changed() -> Iterator[Case]:
    """Files that are not those that the manifest was signed for."""
    world = lawful()
    files = world.files()
    other = lawful(is_post_quantum=False)
    other.now += 5_000_000
    for name, bent in (
        ("tokens-put-in", {TIMESTAMPS: b"\x0a\x01x"}),
        ("map-put-in", {HEADS: b"\x08\x01"}),
        ("page-changed", {"index.html": b"<p>fine</p>"}),
        ("verify-py-changed", {"verify.py": b"print('VERIFIED')\n"}),
        ("bodies-closed-afterwards", {BODIES: world_closed(world)}),
        ("checkpoint-signed-again", {CHECKPOINT: _witnessed(files[CHECKPOINT], world)}),
    ):
        yield anchored(world, name, zipped({**files, **bent}))


def world_closed(world: World) -> bytes:
    """Returns the bodies with everything closed that need not be open."""
    return open_dossier(world.dossier((DisclosureClass.PUBLIC,)).data).files[BODIES]


def _witnessed(note: bytes, world: World) -> bytes:
    text = note[: note.index(b"\n\n") + 1].decode()
    return note + world.note_signer("nobody's", "unknown.example").sign(text, 1).line().encode()


@FAMILY
def scope() -> Iterator[Case]:
    """Streams left out or put in, under a manifest that says the same."""
    world = lawful()
    without = [one for one in world.leaves() if one.stream != world.consignment]
    yield anchored(world, "cited-consignment-left-out", world.data(given=without))
    without = [one for one in world.leaves() if one.stream != world.therapy]
    yield anchored(world, "therapy-left-out", world.data(given=without))
    other = next(one.stream for one in world.entries if one.stream[0] == 1 and one.stream != world.therapy)
    yield anchored(world, "another-therapy-put-in", world.data(also=[other]))
    last = [one for one in world.leaves() if one.leaf_index != world.leaves()[-1].leaf_index]
    yield anchored(world, "last-entry-left-out-is-not-seen-without-a-map", world.data(given=last))
    world = founded()
    yield anchored(world, "no-therapy-at-all", world.data())
    world = enrolled()
    site = b"\x04" + drawn("site stream", 16)
    payload, kind, openings = world.payload_of(hold(), world.nurse, site)
    world.put(world.signed(payload, kind, world.nurse.signer), openings, stream=site)
    yield anchored(world, "stream-of-a-site-put-in", world.data(also=[site]))
    world = enrolled()
    world.packs()
    yield anchored(world, "cites-a-consignment-that-nobody-opened")
    files = lawful().files()
    yield anchored(lawful(), "entries-of-another-dossier", sealed(lawful(), files, entries_bin=_of_another()))


def _of_another() -> bytes:
    return lawful("elsewhere").files()[ENTRIES]
