"""A ledger keeps the maps of its heads and aliases, on both stores: logged, shown, gone on with, and made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import World

from cellcustody.ledger.completeness import (
    HeadMapMismatchError,
    MapFollower,
    MapVerdict,
    blinded_alias,
    verify_alias,
    verify_stream,
)
from cellcustody.ledger.completeness.keeping import HeadMaps
from cellcustody.ledger.completeness.map_entries import ENROLMENT, MAP, LoggedMap, logged_map, place_of
from cellcustody.ledger.completeness.timing import MapTimer
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.statements import Opening, StreamKind, parse_recorded_statement, parse_statement
from cellcustody.ledger.transparency import leaf_hash, parse_checkpoint, verify_inclusion
from cellcustody.v1 import dossier_pb2

COI_SCHEME = "isbt128-coi"


class Kept:
    """A ledger's maps, with their file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.path = world.harness.folder / "heads.sqlite"
        self.maps = HeadMaps(world.harness.ledger, self.path)

    def reopen(self) -> None:
        """Ends the ledger and its maps, and starts both again."""
        self.maps.close()
        self.world.harness.reopen()
        self.maps = HeadMaps(self.world.harness.ledger, self.path)

    def stated(self, leaf_index: int) -> LoggedMap:
        """Returns what a logged map states."""
        harness = self.world.harness
        digest = parse_recorded_statement(place_of(harness.store.entry(leaf_index)).envelope).digest
        return logged_map(openings_of(harness.store, harness.vault, digest, frozenset({1})), leaf_index=leaf_index)

    def shown(self, streams: list[bytes], aliases: list[tuple[str, str]] | None = None) -> dossier_pb2.DossierHeads:
        """Returns what the last map says, after everything about it was verified."""
        ledger = self.world.harness.ledger
        keys = [blinded_alias(self.maps.alias_key().key, *alias) for alias in aliases or []]
        checkpoint = parse_checkpoint(ledger.checkpoint())
        with self.maps.held() as held:
            heads = self.maps.included(held.show(streams, keys), checkpoint.size)
        verify_inclusion(
            heads.leaf_index, checkpoint.size, leaf_hash(heads.entry), list(heads.inclusion), checkpoint.root
        )
        stated = logged_map([Opening(o.index, o.salt, o.record) for o in heads.openings], leaf_index=heads.leaf_index)
        for stream in heads.streams:
            verify_stream(stream, stated.heads_root)
        for alias in heads.aliases:
            verify_alias(alias, stated.aliases_root)
        return heads

    def follow(self, follower: MapFollower) -> list[MapVerdict]:
        """Lets a monitor with all openings follow the whole log; returns what it found of heads and aliases."""
        harness = self.world.harness
        found: list[MapVerdict] = []
        for index, entry in enumerate(harness.store.entries(0, 100_000)):
            place = place_of(entry)
            openings: list[Opening] = []
            if place.body_type in (ENROLMENT, MAP):
                digest = parse_statement(place.envelope).digest
                openings = openings_of(harness.store, harness.vault, digest, frozenset({1, 2}))
            checked = follower.take(index, entry, openings)
            if checked is not None:
                found += [checked.heads, checked.aliases]
        return found


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """The maps of a ledger on either store, with two therapies enrolled."""
    name = "world" if request.param == "sqlite" else "postgres_world"
    world: World = request.getfixturevalue(name)
    made = Kept(world)
    yield made
    made.maps.close()


def enrolled(world: World) -> tuple[bytes, str]:
    """Enrols a therapy; returns its stream and its chain of identity identifier."""
    course = world.course()
    course.enrols()
    return course.stream, course.coi


def test_a_logged_map_shows_every_stream_and_alias(kept: Kept) -> None:
    """Where each stream ends, whose an identifier is, and what is not here: all from one entry and short paths."""
    therapies = [enrolled(kept.world) for _ in range(3)]
    harness = kept.world.harness
    size = harness.ledger.checkpoint_size()
    state = kept.maps.log_map()

    assert (state.covered_size, state.map_leaf, state.enrolments) == (size, size, 3)
    stranger = harness.new_stream(StreamKind.THERAPY)
    streams = sorted({place_of(entry).stream for entry in harness.store.entries(0, size)})
    heads = kept.shown(
        [*streams, stranger], [*((COI_SCHEME, coi) for _, coi in therapies), (COI_SCHEME, "CHA999925999999V")]
    )
    assert len(streams) == state.streams
    for proof in heads.streams:
        last = harness.store.stream_entries(proof.stream, max(0, proof.entries - 1), 1)
        if proof.stream == stranger:
            assert not last and not proof.entries
        else:
            assert proof.last_leaf_hash == leaf_hash_of(last[0].entry)
    named = {tuple(proof.therapies) for proof in heads.aliases}
    assert named == {(), *((stream,) for stream, _ in therapies)}
    printed = therapies[0][1]
    spaced = f"{printed[:7]} {printed[7:9]} {printed[9:15]} {printed[15:]}"
    assert list(kept.shown([], [(COI_SCHEME, spaced)]).aliases[0].therapies) == [therapies[0][0]]


def test_maps_go_on_where_they_stopped(kept: Kept) -> None:
    """After a restart nothing is read again, and the next map is the one that a monitor makes from the first entry."""
    enrolled(kept.world)
    first = kept.maps.log_map()
    kept.reopen()
    assert kept.maps.state == first
    enrolled(kept.world)
    second = kept.maps.log_map()
    assert second.covered_size == first.covered_size + 2
    key = kept.maps.alias_key().key
    ledger_id = kept.world.harness.ledger_id
    assert kept.follow(MapFollower(ledger_id, key)) == [MapVerdict.MATCHES] * 4
    assert kept.follow(MapFollower(ledger_id)) == [MapVerdict.MATCHES, MapVerdict.UNVERIFIED] * 2


def test_lost_maps_are_made_again_and_held_to_what_was_logged(kept: Kept) -> None:
    """Without its file a ledger makes the same maps again."""
    enrolled(kept.world)
    kept.maps.log_map()
    enrolled(kept.world)
    logged = kept.maps.log_map()
    kept.maps.close()
    for file in kept.path.parent.glob("heads.sqlite*"):
        file.unlink()
    kept.maps = HeadMaps(kept.world.harness.ledger, kept.path)
    assert kept.maps.state.covered_size == 0
    while kept.maps.read_on(entries_max=7):
        pass
    assert kept.maps.state == logged, "made again, they stand for the map that was logged"
    again = kept.maps.log_map()
    assert logged.map_leaf is not None and again.map_leaf is not None
    assert again.covered_size == logged.map_leaf + 1
    assert kept.stated(again.map_leaf).aliases_root == kept.stated(logged.map_leaf).aliases_root
    assert kept.follow(MapFollower(kept.world.harness.ledger_id, kept.maps.alias_key().key))[-1] is MapVerdict.MATCHES


def test_damaged_maps_are_made_again(kept: Kept) -> None:
    """A value or a hash that changed on the disk is noticed before anything is signed over it."""
    stream, _ = enrolled(kept.world)
    kept.maps.log_map()
    follower_key = kept.maps.alias_key().key
    for statement in (
        "UPDATE map_key SET value = zeroblob(57) WHERE map = 1",
        "UPDATE map_bucket SET hash = zeroblob(32) WHERE map = 1",
        "DELETE FROM map_bucket WHERE map = 2",
        "UPDATE kept SET streams = streams + 1",
    ):
        kept.maps.close()
        with sqlite3.connect(kept.path) as file:
            file.execute(statement)
        file.close()
        kept.maps = HeadMaps(kept.world.harness.ledger, kept.path)
        kept.maps.log_map()
        assert kept.shown([stream]).streams[0].entries == 1
    kept.path.write_bytes(b"no database at all, but something else of a few bytes" * 100)
    kept.maps.close()
    kept.path.write_bytes(b"no database at all, but something else of a few bytes" * 100)
    for rest in ("heads.sqlite-wal", "heads.sqlite-shm"):
        (kept.path.parent / rest).unlink(missing_ok=True)
    kept.maps = HeadMaps(kept.world.harness.ledger, kept.path)
    kept.maps.log_map()
    found = kept.follow(MapFollower(kept.world.harness.ledger_id, follower_key))
    assert found == [MapVerdict.MATCHES] * len(found)


def test_a_crash_before_the_map_is_logged_loses_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger could not record the map, the next one covers all; nothing is shown meanwhile."""
    stream, _ = enrolled(kept.world)

    def fails(*_: object, **__: object) -> None:
        raise CellcustodyError("the ledger did not answer")

    with monkeypatch.context() as broken:
        broken.setattr(kept.world.harness.ledger, "record_own", fails)
        with pytest.raises(CellcustodyError):
            kept.maps.log_map()
    assert kept.maps.state.map_leaf is None
    with pytest.raises(HeadMapMismatchError):
        kept.shown([stream])
    kept.reopen()
    kept.maps.log_map()
    assert kept.shown([stream]).streams[0].entries == 1


def test_no_map_is_signed_that_the_store_contradicts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry read by stream that is another than by leaf index stops the maps for good, and names the stream."""
    stream, _ = enrolled(kept.world)
    store = kept.world.harness.store
    honest = store.stream_entries

    def shifted(asked: bytes, after_sequence: int, limit: int) -> object:
        return honest(asked, 0 if asked == stream else after_sequence, 0 if asked == stream else limit)

    size = kept.world.harness.ledger.checkpoint_size()
    with monkeypatch.context() as broken:
        broken.setattr(store, "stream_entries", shifted)
        with pytest.raises(HeadMapMismatchError, match=stream.hex()):
            kept.maps.log_map()
    with pytest.raises(HeadMapMismatchError):
        kept.maps.log_map()
    assert kept.world.harness.ledger.checkpoint_size() == size


def test_maps_are_logged_when_it_is_time_to(kept: Kept, tmp_path: Path) -> None:
    """After so many entries, or after so long if anything was recorded; and maps never call for one another."""
    clock = [0.0]
    told: list[CellcustodyError] = []
    timer = MapTimer(kept.maps, every_entries=3, every_seconds=60, monotonic=lambda: clock[0], told=told.append)

    def ticks() -> int | None:
        while kept.maps.read_on(entries_max=0):
            timer.tick()
        timer.tick()
        return kept.maps.state.map_leaf

    first = ticks()
    assert first is not None, "the founding and the sites are more than three entries"
    clock[0] += 1000
    assert ticks() == first, "a map alone calls for no map"
    enrolled(kept.world)
    assert ticks() == first
    clock[0] += 59
    assert ticks() == first
    clock[0] += 2
    second = ticks()
    assert second == first + 2
    for _ in range(3):
        enrolled(kept.world)
    assert ticks() == second + 4
    assert not told
