"""The map of stream heads: what it shows, and every way in which it can be bent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cellcustody.ledger.dossier.layout import HEADS
from cellcustody.v1 import dossier_pb2
from corpus.cases import Case, Family
from corpus.envelopes import hold
from corpus.good import anchored, rotated_service_key
from corpus.world import MapForge, World, drawn, flip, founded, sealed

__all__ = ["FAMILY"]

FAMILY = Family("heads")
Heads = dossier_pb2.DossierHeads
_ALIASES = (("isbt128-coi", "CHA999925000001G"), ("order", "PO-17"))


def mapped(**stated: object) -> tuple[World, MapForge]:
    """Returns a ledger with other therapies beside this one, and its map."""
    world = founded()
    world.records_elsewhere()
    world.lives(_ALIASES)
    for _ in range(20):
        world.records_elsewhere()
    return world, MapForge(world).logs(**stated)  # type: ignore[arg-type]  # pass through


def _with(name: str, world: World, heads: Heads | bytes) -> Case:
    raw = heads if isinstance(heads, bytes) else heads.SerializeToString(deterministic=True)
    return anchored(world, name, world.data(heads=raw))


@FAMILY
def good() -> Iterator[Case]:
    """Maps that hold."""
    world, maps = mapped()
    yield _with("complete-is-good", world, maps.shows())
    yield _with("complete-without-aliases-is-good", world, maps.shows(names=[]))
    world, maps = mapped()
    world.places_hold()
    yield _with("with-a-later-entry-is-good", world, maps.shows())
    world, maps = mapped()
    world.records_elsewhere()
    yield _with("with-unknown-later-entries-is-good", world, maps.shows())
    world = founded()
    world.lives(_ALIASES)
    maps = MapForge(world).logs()
    rotated_service_key(world)
    yield _with("service-key-rotated-after-the-map-is-good", world, maps.shows())
    world = founded()
    maps = MapForge(world).logs()
    world.enrols()
    yield _with("therapy-begun-after-the-map-is-good", world, maps.shows())


@FAMILY
def left_out() -> Iterator[Case]:
    """Entries that the ledger keeps back, under a manifest and a tree that fit."""
    world, maps = mapped()
    shown = maps.shows().SerializeToString(deterministic=True)
    given = world.leaves()
    last = [one for one in given if one.leaf_index != given[-1].leaf_index]
    yield anchored(world, "last-entry-left-out", world.data(given=last, heads=shown))
    consignment = [one for one in given if one.stream != world.consignment]
    yield anchored(world, "consignment-left-out", world.data(given=consignment, heads=shown))
    for name, how in (
        ("map-covers-less-than-1024-before", {"covered": 3}),
        ("map-of-the-future", {"covered_size": 10_000}),
        ("map-with-another-head", {"heads": {world.therapy: (5, bytes(32))}}),
        ("map-with-a-lower-count", {"heads": {world.therapy: (1, drawn("head"))}}),
        ("map-without-the-therapy", {"without": world.therapy}),
        ("map-root-short", {"heads_root": bytes(31)}),
        ("map-of-another-root", {"heads_root": drawn("root")}),
        ("alias-root-of-another-map", {"aliases_root": drawn("root")}),
        ("alias-commitment-short", {"alias_key_commitment": bytes(31)}),
    ):
        bent, others = mapped(**how)
        yield _with(name, bent, others.shows())
    world, maps = mapped()
    for _ in range(1_030):
        world.records_elsewhere()
    yield _with("map-older-than-1024-entries", world, maps.shows())
    world = founded()
    world.lives(_ALIASES)
    maps = MapForge(world).logs(by=world.nurse)
    yield _with("map-by-a-nurse", world, maps.shows())


@FAMILY
def files() -> Iterator[Case]:
    """heads.binpb in another form, or with other proofs."""
    world, maps = mapped()
    changes: list[tuple[str, Callable[[Heads], object]]] = [
        ("leaf-changed", lambda h: setattr(h, "leaf_index", h.leaf_index - 1)),
        ("leaf-of-the-founding", lambda h: h.ClearField("leaf_index")),
        ("leaf-beyond-the-tree", lambda h: setattr(h, "leaf_index", 1 << 63)),
        ("entry-changed", lambda h: setattr(h, "entry", flip(h.entry, -5))),
        ("entry-of-another", lambda h: setattr(h, "entry", world.entries[-2].entry)),
        ("entry-absent", lambda h: h.ClearField("entry")),
        ("opening-missing", lambda h: h.openings.pop()),
        ("opening-changed", lambda h: setattr(h.openings[0], "record", b"\x08\x01")),
        ("openings-none", lambda h: h.ClearField("openings")),
        ("inclusion-missing", lambda h: h.inclusion.pop()),
        ("inclusion-too-long", lambda h: h.inclusion.append(bytes(32))),
        ("inclusion-hash-short", lambda h: h.inclusion.__setitem__(0, bytes(31))),
        ("inclusion-none", lambda h: h.ClearField("inclusion")),
        ("stream-missing", lambda h: h.streams.pop()),
        ("stream-twice", lambda h: h.streams.add().CopyFrom(h.streams[-1])),
        ("streams-none", lambda h: h.ClearField("streams")),
        ("stream-count-changed", lambda h: setattr(h.streams[0], "entries", 77)),
        ("stream-count-zero", lambda h: h.streams[0].ClearField("entries")),
        ("stream-head-changed", lambda h: setattr(h.streams[0], "last_leaf_hash", bytes(32))),
        ("stream-head-short", lambda h: setattr(h.streams[0], "last_leaf_hash", bytes(31))),
        ("path-hash-changed", lambda h: _first(h).siblings.__setitem__(0, drawn("sibling"))),
        ("path-too-short", lambda h: _first(h).siblings.pop()),
        ("path-too-long", lambda h: _first(h).siblings.append(drawn("sibling"))),
        ("path-of-257", lambda h: _first(h).siblings.extend([drawn("sibling")] * 257)),
        ("path-sibling-short", lambda h: _first(h).siblings.__setitem__(0, bytes(31))),
        ("path-with-32-zero-bytes", lambda h: _first(h).siblings.append(bytes(32))),
        ("path-first-sibling-empty", lambda h: _first(h).siblings.insert(0, b"")),
        ("path-with-another-key", lambda h: setattr(_first(h), "other_key", drawn("key"))),
        ("path-with-another-value", lambda h: setattr(_first(h), "other_value_digest", drawn("value"))),
        ("alias-therapy-changed", lambda h: h.aliases[0].therapies.__setitem__(0, b"\x01" + drawn("t", 16))),
        ("alias-therapy-short", lambda h: h.aliases[0].therapies.append(b"\x01")),
        ("alias-therapies-none", lambda h: h.aliases[0].ClearField("therapies")),
        ("alias-key-changed", lambda h: setattr(h.aliases[0], "key", drawn("key"))),
        ("alias-key-short", lambda h: setattr(h.aliases[0], "key", bytes(31))),
        ("alias-twice", lambda h: h.aliases.add().CopyFrom(h.aliases[-1])),
    ]
    for name, change in changes:
        heads = maps.shows()
        change(heads)
        yield _with(name, world, heads)
    raw = maps.shows().SerializeToString(deterministic=True)
    for name, bent in (
        ("cut", raw[:-1]),
        ("unknown-field", raw + b"\x7a\x01x"),
        ("random", bytes(n * 29 % 256 for n in range(400))),
        ("one-byte", b"\0"),
        ("default-encoded", b"\x08\x00" + raw),
    ):
        yield _with(name, world, bent)
    other, _ = mapped()
    yield anchored(world, "of-a-statement-that-is-no-map", _no_map(other))


def _first(heads: Heads) -> dossier_pb2.MapPath:
    return heads.streams[0].path


def _no_map(world: World) -> bytes:
    maps = MapForge(world).logs()
    heads = maps.shows()
    payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
    leaf = world.put(world.signed(payload, kind, world.nurse.signer), openings)
    heads.leaf_index = leaf
    heads.entry = world.entries[leaf].entry
    del heads.openings[:]
    for one in openings:
        heads.openings.add(index=one.index, salt=one.salt, record=one.record)
    files_of = world.files()
    return sealed(world, files_of, **{HEADS: heads.SerializeToString(deterministic=True)})
