"""A monitor makes both maps again from entries alone, and finds every logged map that is not the one they make."""

from __future__ import annotations

import pytest
from forge import Forge, drawn
from map_forge import ALIASES_OF_THERAPY, COI, MapForge

from cellcustody.ledger.completeness import (
    AliasKey,
    AliasKeyMalformedError,
    AliasKeyMismatchError,
    HeadMapFalseError,
    MapChecked,
    MapFollower,
    MapVerdict,
    parse_alias_key_file,
)
from cellcustody.ledger.completeness.following import LAG_ENTRIES_MAX
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.statements import Opening, StreamKind, parse_statement

MATCHES, UNVERIFIED = MapVerdict.MATCHES, MapVerdict.UNVERIFIED


@pytest.fixture
def maps() -> MapForge:
    """A ledger with a therapy under two names."""
    return MapForge(Forge().founds().lives(ALIASES_OF_THERAPY))


def openings_of(forge: Forge, entry: bytes) -> tuple[Opening, ...]:
    """Returns the openings of an entry."""
    return forge.kept[parse_statement(read_entry(entry).envelope).digest]


def followed(
    maps: MapForge, follower: MapFollower | None = None, *, since: int = 0, has_openings: bool = True
) -> list[MapChecked]:
    """Returns what a monitor with the key finds of every map in the log."""
    forge = maps.forge
    used = follower or MapFollower(forge.ledger_id, maps.key.key)
    found = [
        used.take(given.leaf_index, given.entry, openings_of(forge, given.entry) if has_openings else ())
        for given in forge.entries[since:]
    ]
    return [one for one in found if one is not None]


def lie(maps: MapForge, words: str) -> HeadMapFalseError:
    """Returns what a monitor raises of the last map, in these words."""
    with pytest.raises(HeadMapFalseError, match=words) as found:
        followed(maps)
    assert found.value.values["leaf_index"] == str(maps.leaf)
    return found.value


def test_true_maps_match(maps: MapForge) -> None:
    """One after the other, also where a map covers less than all that is before it."""
    maps.logs()
    size = len(maps.forge.entries)
    maps.forge.places_hold()
    maps.logs(covered=size)
    maps.forge.records_elsewhere()
    maps.logs()
    found = followed(maps)
    assert [(one.heads, one.aliases) for one in found] == [(MATCHES, MATCHES)] * 3
    assert [one.covered_size for one in found] == [size - 1, size, len(maps.forge.entries) - 1]


def test_what_a_monitor_cannot_see_is_unverified(maps: MapForge) -> None:
    """Without the key the names, without the openings all of it; and so for every map after."""
    maps.logs()
    (found,) = followed(maps, MapFollower(maps.forge.ledger_id))
    assert (found.heads, found.aliases) == (MATCHES, UNVERIFIED)
    (found,) = followed(maps, has_openings=False)
    assert (found.heads, found.aliases) == (UNVERIFIED, UNVERIFIED)

    follower = MapFollower(maps.forge.ledger_id, maps.key.key)
    closed = followed(maps, follower, has_openings=False)
    size = len(maps.forge.entries)
    maps.logs()
    (later,) = followed(maps, follower, since=size)
    assert closed and (later.heads, later.aliases) == (MATCHES, UNVERIFIED)


def test_every_lie_about_a_stream_is_found(maps: MapForge) -> None:
    """A head that is older, of another stream, or of a stream that is not there; a stream left out."""
    forge = maps.forge
    true = maps.true_heads(len(forge.entries))
    before = [given for given in forge.entries if given.stream == forge.therapy][-2]
    for heads, without in (
        ({forge.therapy: (before.sequence, drawn("another hash"))}, b""),
        ({forge.therapy: (true[forge.therapy][0] + 1, true[forge.therapy][1])}, b""),
        ({forge.therapy: true[forge.consignment]}, b""),
        ({bytes([StreamKind.THERAPY]) + bytes(15) + b"\x01": (1, bytes(32))}, b""),
        ({}, forge.consignment),
    ):
        other = MapForge(Forge().founds().lives(ALIASES_OF_THERAPY))
        other.logs(heads=heads, without=without)
        lie(other, "map of heads is not the one that the entries make")


def test_every_lie_about_a_name_is_found(maps: MapForge) -> None:
    """An identifier given to two, or to another; the counts; the key."""
    coi = maps.blinded("isbt128-coi", COI)
    elsewhere = bytes([StreamKind.THERAPY]) + drawn("elsewhere", 16)
    for names in ({coi: [maps.forge.therapy, elsewhere]}, {coi: [elsewhere]}, {drawn("a free name"): [elsewhere]}):
        other = MapForge(Forge().founds().lives(ALIASES_OF_THERAPY))
        other.logs(names=names)
        lie(other, "map of aliases is not the one")
    for stated, words in (
        ({"aliases": 3}, "map of aliases is not the one"),
        ({"enrolments": 2}, "map of heads is not the one"),
        ({"streams": 1}, "map of heads is not the one"),
        ({"alias_key_commitment": bytes(32)}, "another key of aliases"),
        ({"heads_root": b"short"}, "32 bytes"),
        ({"covered_size": 1 << 40}, "not there yet"),
    ):
        other = MapForge(Forge().founds().lives(ALIASES_OF_THERAPY))
        other.logs(**stated)
        lie(other, words)


def test_maps_never_go_back(maps: MapForge) -> None:
    """A map that covers less than the one before would hide what that one showed."""
    maps.logs()
    maps.logs(covered=len(maps.forge.entries) - 3)
    lie(maps, "covers less than the one before")


def test_a_map_that_lags_too_far_is_found(maps: MapForge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held back for long is taken in; a map that still leaves it out is no map of this log."""
    assert LAG_ENTRIES_MAX > 10_000
    monkeypatch.setattr("cellcustody.ledger.completeness.following.LAG_ENTRIES_MAX", 8)
    maps.logs(covered=1)
    lie(maps, "leaves out what came long before it")


def test_a_follower_goes_on_after_a_lie(maps: MapForge) -> None:
    """One false map does not make the next one false."""
    follower = MapFollower(maps.forge.ledger_id, maps.key.key)
    maps.logs(heads={maps.forge.therapy: (1, bytes(32))})
    with pytest.raises(HeadMapFalseError):
        followed(maps, follower)
    size = len(maps.forge.entries)
    maps.logs()
    (found,) = followed(maps, follower, since=size)
    assert (found.heads, found.aliases) == (MATCHES, MATCHES)


def test_no_entry_is_skipped_or_taken_twice(maps: MapForge) -> None:
    """The maps are of all entries, each once."""
    follower = MapFollower(maps.forge.ledger_id)
    follower.take(0, maps.forge.entries[0].entry)
    for index in (0, 2):
        with pytest.raises(ValueError, match="in order"):
            follower.take(index, maps.forge.entries[index].entry)


def test_a_key_file_has_one_form() -> None:
    """What was written is read again; nothing else is a key."""
    key = AliasKey(drawn("ledger", 16), drawn("key"))
    assert parse_alias_key_file(key.to_file()) == key
    content = key.to_file()
    for wrong in (
        b"",
        content[:-1],
        content + b"\n",
        content.upper(),
        content.replace(b"/v1", b"/v2"),
        content.replace(b"\n", b"\r\n"),
        AliasKey(key.ledger_id, b"short").to_file(),
        content.replace(content[-10:-1], b"zzzzzzzzz"),
    ):
        with pytest.raises(AliasKeyMalformedError):
            parse_alias_key_file(wrong)
    with pytest.raises(AliasKeyMismatchError):
        key.check(AliasKey(key.ledger_id, drawn("another key")).commitment)
    key.check(key.commitment)
