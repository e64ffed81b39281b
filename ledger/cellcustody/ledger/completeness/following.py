"""Make both maps again from a log's entries, and hold every logged map to them: what a monitor does.

The rules:

* Entries come in the order of the log, each once. A map's entry covers those below a size that is never beyond its own
  index, and never less than that of the map before.
* Heads follow from the entries alone. Aliases need the openings of the enrolments and the key; where one of them was
  not there, that part is UNVERIFIED from then on, and never said to match.
* What was covered already is kept no longer: memory grows with streams and aliases, not with entries.

Openings are believed: whoever gives them has verified them. This module reads no clock, network or database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from cellcustody.ledger.completeness.errors import AliasKeyMismatchError, HeadMapFalseError
from cellcustody.ledger.completeness.map_entries import ENROLMENT, MAP, LoggedMap, aliases_in, logged_map, place_of
from cellcustody.ledger.completeness.sparse_map import ALIASES, HEADS, RowsInMemory, SparseMap
from cellcustody.ledger.completeness.values import AliasKey, alias_value, head_value, stream_key
from cellcustody.ledger.statements import Opening, parse_recorded_statement

__all__ = ["MapChecked", "MapFollower", "MapVerdict"]

LAG_ENTRIES_MAX: Final = 65_536  # Entries held back for the next map: some ten megabytes where none comes for long.


class MapVerdict(StrEnum):
    """What was found of a logged map. One that is false raises."""

    MATCHES = "MATCHES"
    UNVERIFIED = "UNVERIFIED"


class MapChecked(NamedTuple):
    """What was found of one logged map; `note` says why something is unverified."""

    leaf_index: int
    covered_size: int
    heads: MapVerdict
    aliases: MapVerdict
    note: str = ""


class _Waiting(NamedTuple):
    """An entry that no map has covered yet; `aliases` are those of an enrolment, None where they could not be read."""

    leaf_index: int
    stream: bytes
    sequence: int
    leaf_hash: bytes
    is_enrolment: bool
    aliases: frozenset[bytes] | None


class MapFollower:
    """Follows one log from its first entry. Not for several threads at once."""

    def __init__(self, ledger_id: bytes, alias_key: bytes | None = None) -> None:
        """`ledger_id` has 16 bytes; the key of aliases 32, where the monitor is entitled to it."""
        self._key = None if alias_key is None else AliasKey(ledger_id, alias_key)
        self._heads = SparseMap(HEADS, RowsInMemory())
        self._aliases = SparseMap(ALIASES, RowsInMemory())
        self._therapies: dict[bytes, set[bytes]] = {}
        self._waiting: deque[_Waiting] = deque()
        self._next_leaf = 0
        self._covered = 0
        self._applied = 0
        self._streams = 0
        self._enrolments = 0
        self._unread = 0

    def take(self, leaf_index: int, entry: bytes, openings: Sequence[Opening] = ()) -> MapChecked | None:
        """Returns what was found of a logged map, for its entry; None for every other.

        Raises:
            HeadMapFalseError: the map is not the one that the entries make; the follower goes on all the same.
            ValueError: entries are left out, or come twice.
        """
        if leaf_index != self._next_leaf:
            raise ValueError(f"entries come in order: {leaf_index} instead of {self._next_leaf}")
        self._next_leaf += 1
        place = place_of(entry)
        is_enrolment = place.body_type == ENROLMENT
        aliases: frozenset[bytes] | None = None
        if is_enrolment and self._key is not None:
            numbers = parse_recorded_statement(place.envelope).commitment.field_numbers
            aliases = aliases_in(openings, numbers, self._key.key)
        self._waiting.append(_Waiting(leaf_index, place.stream, place.sequence, place.leaf_hash, is_enrolment, aliases))
        checked: MapChecked | None = None
        try:
            if place.body_type == MAP:
                checked = self._check(leaf_index, openings)
        finally:
            if len(self._waiting) > LAG_ENTRIES_MAX:
                self._apply(self._waiting[len(self._waiting) // 2].leaf_index)
        return checked

    @property
    def heads_root(self) -> bytes:
        """The root of the map of heads as far as it was covered last."""
        return self._heads.root

    def _check(self, leaf_index: int, openings: Sequence[Opening]) -> MapChecked:
        if not openings:
            return MapChecked(
                leaf_index, 0, MapVerdict.UNVERIFIED, MapVerdict.UNVERIFIED, "the map's openings were not there"
            )
        stated = logged_map(openings, leaf_index=leaf_index)
        if stated.covered_size < self._covered:
            raise HeadMapFalseError(
                "a map covers less than the one before",
                leaf_index=leaf_index,
                covered_size=stated.covered_size,
                before=self._covered,
            )
        self._covered = stated.covered_size
        if stated.covered_size < self._applied:
            raise HeadMapFalseError(
                "a map leaves out what came long before it",
                leaf_index=leaf_index,
                covered_size=stated.covered_size,
                lag_entries_max=LAG_ENTRIES_MAX,
            )
        self._apply(stated.covered_size)
        found = (stated.streams, stated.heads_root, stated.enrolments)
        made = (self._streams, self._heads.root, self._enrolments)
        if found != made:
            raise HeadMapFalseError(
                "the map of heads is not the one that the entries make",
                leaf_index=leaf_index,
                covered_size=stated.covered_size,
                streams=stated.streams,
                streams_found=self._streams,
                root=stated.heads_root,
                root_found=self._heads.root,
                enrolments=stated.enrolments,
                enrolments_found=self._enrolments,
            )
        note = self._check_aliases(leaf_index, stated)
        verdict = MapVerdict.UNVERIFIED if note else MapVerdict.MATCHES
        return MapChecked(leaf_index, stated.covered_size, MapVerdict.MATCHES, verdict, note)

    def _check_aliases(self, leaf_index: int, stated: LoggedMap) -> str:
        """Returns why the map of aliases could not be checked, or nothing where it was."""
        if self._key is None:
            return "the key of aliases was not given"
        try:
            self._key.check(stated.alias_key_commitment)
        except AliasKeyMismatchError as other:
            raise HeadMapFalseError(
                "the map states another key of aliases than the one given",
                leaf_index=leaf_index,
                stated=stated.alias_key_commitment,
                given=self._key.commitment,
            ) from other
        if self._unread or stated.enrolments_erased:
            return f"the aliases of {max(self._unread, stated.enrolments_erased)} enrolments could not be read"
        if (stated.aliases, stated.aliases_root) != (len(self._therapies), self._aliases.root):
            raise HeadMapFalseError(
                "the map of aliases is not the one that the enrolments make",
                leaf_index=leaf_index,
                covered_size=stated.covered_size,
                aliases=stated.aliases,
                aliases_found=len(self._therapies),
                root=stated.aliases_root,
                root_found=self._aliases.root,
            )
        return ""

    def _apply(self, size: int) -> None:
        """Takes the entries below `size` into the maps."""
        heads: dict[bytes, bytes] = {}
        claimed: set[bytes] = set()
        while self._waiting and self._waiting[0].leaf_index < size:
            one = self._waiting.popleft()
            heads[stream_key(one.stream)] = head_value(one.stream, one.sequence, one.leaf_hash)
            self._enrolments += one.is_enrolment
            if one.aliases is None:
                self._unread += one.is_enrolment
                continue
            for key in one.aliases:
                self._therapies.setdefault(key, set()).add(one.stream)
            claimed |= one.aliases
        self._streams += self._heads.update(heads)
        self._aliases.update({key: alias_value(self._therapies[key]) for key in claimed})
        self._applied = max(self._applied, size)
