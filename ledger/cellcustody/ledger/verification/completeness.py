"""Check that nothing of the streams given is left out, by the log's own map of where streams end.

The rules (docs/formats/head-map.md), in the order in which they are checked:

1. The map's entry holds as every entry does: a statement of the ledger's service key in the log's own stream, whole,
   and in the tree that the checkpoint names.
2. It covers entries below its own, and is not much older than the checkpoint.
3. It speaks of exactly the streams given, each by a path to its root.
4. The last entry given of a stream below the covered size is the head in the map; where the map has none, none is
   given below it. What is given from there on is held by its chain.
5. With the key of aliases: each alias open in the therapy's enrolment names this therapy, and its chain of identity
   identifier names no other.

What was recorded from the covered size on, and is not given, nobody knows of; how much that is, is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from cellcustody.ledger.completeness.errors import AliasKeyMismatchError, HeadMapFalseError, MapProofError
from cellcustody.ledger.completeness.map_entries import ENROLMENT, MAP, LoggedMap, logged_map
from cellcustody.ledger.completeness.map_proofs import verify_alias, verify_stream
from cellcustody.ledger.completeness.values import COI_SCHEME, AliasKey, blinded_alias
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import Opening, StreamKind, parse_wire_form, single_stream_id
from cellcustody.ledger.transparency import verify_inclusion
from cellcustody.ledger.verification.container import EntryToVerify
from cellcustody.ledger.verification.errors import AliasesInvalidError, CompletenessInvalidError
from cellcustody.ledger.verification.statements import CheckedStatement, StatementVerifier
from cellcustody.v1 import dossier_pb2, harvest_pb2

__all__ = ["VerifiedHeads", "check_aliases", "check_heads", "read_heads", "verify_heads", "with_aliases"]

LAG_ENTRIES_MAX: Final = 1_024  # An export logs a map; while it is answered, no more than this is recorded.
_LOG_STREAM: Final = single_stream_id(StreamKind.LOG)


class VerifiedHeads(NamedTuple):
    """A logged map that holds, with everything that it says here."""

    leaf_index: int
    logged: LoggedMap
    streams: Mapping[bytes, tuple[int, bytes]]
    """By stream the count of its entries and the leaf hash of the last; (0, b"") where the stream is not here."""
    aliases: Mapping[bytes, tuple[bytes, ...]]
    """By blinded alias the therapies that it names; none where it is no alias here."""

    def unknown_after(self, given: Iterable[int], size: int) -> int:
        """Returns how many entries from the covered size up to `size` are none of those given, by leaf index."""
        known = {index for index in given if index >= self.logged.covered_size} | {self.leaf_index}
        return size - self.logged.covered_size - len(known)


def read_heads(raw: bytes) -> dossier_pb2.DossierHeads:
    """Returns what the file of heads holds; nothing in it is verified.

    Raises:
        CompletenessInvalidError: it is not in the exact wire form.
    """
    try:
        return parse_wire_form(dossier_pb2.DossierHeads, raw)
    except CellcustodyError as defect:
        raise CompletenessInvalidError("the heads are not in their exact form", defect=str(defect)) from defect


def verify_heads(
    heads: dossier_pb2.DossierHeads, verifier: StatementVerifier, *, size: int, root: bytes
) -> VerifiedHeads:
    """Returns what a logged map says of streams, under the checkpoint of this size and root; of aliases nothing yet.

    Raises:
        CompletenessInvalidError: the map, its entry, or a path does not hold.
    """
    # (1): The entry, and what its statement states.
    logged = _logged(heads, verifier, size=size, root=root)

    # (3): What it says of streams.
    streams: dict[bytes, tuple[int, bytes]] = {}
    for stream in heads.streams:
        try:
            verify_stream(stream, logged.heads_root)
        except MapProofError as defect:
            raise CompletenessInvalidError(
                "the map of heads does not say this of a stream",
                stream=stream.stream,
                claimed_entries=stream.entries,
                claimed_head=stream.last_leaf_hash,
                defect=str(defect),
            ) from defect
        streams[stream.stream] = (stream.entries, stream.last_leaf_hash)
    if list(streams) != sorted(streams) or len(streams) != len(heads.streams):
        raise CompletenessInvalidError("streams ascend, each once")
    return VerifiedHeads(heads.leaf_index, logged, streams, {})


def with_aliases(found: VerifiedHeads, heads: dossier_pb2.DossierHeads) -> VerifiedHeads:
    """Returns what a logged map says of streams, and of aliases too.

    Raises:
        AliasesInvalidError: the path of an alias does not hold.
    """
    aliases: dict[bytes, tuple[bytes, ...]] = {}
    for alias in heads.aliases:
        try:
            verify_alias(alias, found.logged.aliases_root)
        except MapProofError as defect:
            raise AliasesInvalidError(
                "the map of aliases does not say this of an alias", key=alias.key, defect=str(defect)
            ) from defect
        aliases[alias.key] = tuple(alias.therapies)
    if list(aliases) != sorted(aliases) or len(aliases) != len(heads.aliases):
        raise AliasesInvalidError("blinded aliases ascend, each once")
    return found._replace(aliases=aliases)


def _logged(heads: dossier_pb2.DossierHeads, verifier: StatementVerifier, *, size: int, root: bytes) -> LoggedMap:
    openings = tuple(Opening(one.index, one.salt, one.record) for one in heads.openings)
    try:
        checked = verifier.verify(EntryToVerify(heads.leaf_index, heads.entry, openings))
        if checked.body_type != MAP or checked.stream != _LOG_STREAM or not checked.is_whole:
            raise CompletenessInvalidError("the entry is no map that is shown whole", leaf_index=heads.leaf_index)
        if heads.leaf_index >= size:
            raise CompletenessInvalidError("no checkpoint covers the map", leaf_index=heads.leaf_index, size=size)
        verify_inclusion(heads.leaf_index, size, checked.leaf_hash, list(heads.inclusion), root)
        return logged_map(openings, leaf_index=heads.leaf_index)
    except CompletenessInvalidError:
        raise
    except HeadMapFalseError as defect:
        raise CompletenessInvalidError(defect.message, **defect.values) from defect
    except CellcustodyError as defect:
        raise CompletenessInvalidError(
            "the map's entry does not hold", leaf_index=heads.leaf_index, defect=str(defect)
        ) from defect


def check_heads(
    found: VerifiedHeads,
    statements: Sequence[CheckedStatement],
    streams: Iterable[bytes],
    *,
    size: int,
) -> int:
    """Returns how many streams given were found to be all that the log has of them below the covered size.

    Raises:
        CompletenessInvalidError: something is left out; the values name the stream and both heads.
    """
    covered = found.logged.covered_size

    # (2): Not older than a dossier's map may be.
    if size - covered > LAG_ENTRIES_MAX:
        raise CompletenessInvalidError(
            "the map is older than a dossier's may be: it says nothing of what came since",
            covered_size=covered,
            size=size,
            lag_entries_max=LAG_ENTRIES_MAX,
        )

    # (3): Of exactly these streams.
    wanted = frozenset(streams)
    if found.streams.keys() != wanted:
        raise CompletenessInvalidError(
            "the map does not speak of exactly the streams given",
            missing=" ".join(stream.hex() for stream in sorted(wanted - found.streams.keys())),
            superfluous=" ".join(stream.hex() for stream in sorted(found.streams.keys() - wanted)),
        )

    # (4): The heads.
    check_given(found, statements)
    return len(wanted)


def check_given(found: VerifiedHeads, statements: Sequence[CheckedStatement]) -> None:
    """Returns if the last entry given of each stream below the covered size is its head in the map.

    Raises:
        CompletenessInvalidError: something is left out; the values name the stream and both heads.
    """
    covered = found.logged.covered_size
    given: dict[bytes, tuple[int, bytes]] = {
        one.stream: (one.sequence, one.leaf_hash) for one in statements if one.leaf_index < covered
    }
    for stream, (count, leaf_hash) in found.streams.items():
        sequence, last = given.get(stream, (0, b""))
        if (sequence, last) == (count, leaf_hash):
            continue
        if sequence < count:
            message = "entries of a stream are left out: it goes on beyond the last one given"
        elif sequence > count:
            message = "a stream has more entries here than the map that covers them"
        else:
            message = "the last entry of a stream is another than the map's"
        raise CompletenessInvalidError(
            message,
            stream=stream,
            covered_size=covered,
            given_sequence=sequence,
            given_head=last,
            map_sequence=count,
            map_head=leaf_hash,
        )


def check_aliases(
    found: VerifiedHeads, statements: Sequence[CheckedStatement], therapy: bytes, alias_key: AliasKey
) -> int:
    """Returns how many open aliases of a therapy's enrolments were found to name it.

    Raises:
        AliasesInvalidError: one names another therapy or none; the key is another; a proof is missing.
    """
    try:
        alias_key.check(found.logged.alias_key_commitment)
    except AliasKeyMismatchError as other:
        raise AliasesInvalidError(other.message, **other.values) from other
    checked = 0
    for one in statements:
        if one.stream != therapy or one.body_type != ENROLMENT or one.leaf_index >= found.logged.covered_size:
            continue
        if not isinstance(one.body, harvest_pb2.TherapyEnrolled):
            continue
        for alias in one.body.aliases:
            _check_alias(found, blinded_alias(alias_key.key, alias.scheme, alias.value), alias.scheme, therapy)
            checked += 1
    return checked


def _check_alias(found: VerifiedHeads, key: bytes, scheme: str, therapy: bytes) -> None:
    therapies = found.aliases.get(key)
    if therapies is None:
        raise AliasesInvalidError("nothing is shown of an alias of the therapy", scheme=scheme, key=key)
    if therapy not in therapies:
        raise AliasesInvalidError(
            "an alias of the therapy does not name it", scheme=scheme, key=key, names=_told(therapies)
        )
    if scheme == COI_SCHEME and len(therapies) > 1:
        raise AliasesInvalidError(
            "a chain of identity identifier names more than one therapy",
            scheme=scheme,
            key=key,
            names=_told(therapies),
        )


def _told(therapies: Iterable[bytes]) -> str:
    return " ".join(therapy.hex() for therapy in therapies)
