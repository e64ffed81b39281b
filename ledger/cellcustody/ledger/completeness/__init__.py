"""Completeness: maps of stream heads and of blinded aliases, and proofs from them (docs/formats/head-map.md).

What verifies and what a monitor needs stands here and does no I/O. `kept_maps` and `keeping`, which keep a ledger's own
maps in a file and log them, are imported by their own names.
"""

from cellcustody.ledger.completeness.errors import (
    AliasKeyMalformedError,
    AliasKeyMismatchError,
    HeadMapDamagedError,
    HeadMapFalseError,
    HeadMapMismatchError,
    MapProofError,
)
from cellcustody.ledger.completeness.following import MapChecked, MapFollower, MapVerdict
from cellcustody.ledger.completeness.map_entries import LoggedMap, logged_map
from cellcustody.ledger.completeness.map_proofs import verify_absent, verify_alias, verify_present, verify_stream
from cellcustody.ledger.completeness.sparse_map import ALIASES, EMPTY, HEADS, MapTags, RowsInMemory, SparseMap, map_root
from cellcustody.ledger.completeness.values import (
    AliasKey,
    alias_key_commitment,
    aliases_root,
    blinded_alias,
    heads_root,
    parse_alias_key_file,
    stream_key,
)

__all__ = [
    "ALIASES",
    "EMPTY",
    "HEADS",
    "AliasKey",
    "AliasKeyMalformedError",
    "AliasKeyMismatchError",
    "HeadMapDamagedError",
    "HeadMapFalseError",
    "HeadMapMismatchError",
    "LoggedMap",
    "MapChecked",
    "MapFollower",
    "MapProofError",
    "MapTags",
    "MapVerdict",
    "RowsInMemory",
    "SparseMap",
    "alias_key_commitment",
    "aliases_root",
    "blinded_alias",
    "heads_root",
    "logged_map",
    "map_root",
    "parse_alias_key_file",
    "stream_key",
    "verify_absent",
    "verify_alias",
    "verify_present",
    "verify_stream",
]
