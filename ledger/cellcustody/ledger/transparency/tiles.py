"""Place the hashes and entries of the tree in tiles, and name the tiles by path (C2SP tlog-tiles).

The rules:

* A tile at level L and index N holds up to 256 consecutive hashes, each over 256^L leaves; only full subtrees
  count, so a tree of size s has s >> 8L hashes at level L. A full tile has 256; the rightmost may have fewer.
* A path is `tile/<L>/<N>` or `tile/entries/<N>`, with `.p/<W>` when W is below 256. L is 0 to 63, W is 1 to 255,
  both plain decimal. N is written in groups of three digits, all but the last behind an `x`, with no group too
  many: 1234067 is `x001/x234/067`. A path has one spelling; every other is refused.
* An entry bundle is each entry behind its length as 2 bytes, big-endian; it has as many entries as the level-0
  tile of the same index has hashes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.transparency.encoding import UINT64_MAX, decode_decimal
from cellcustody.ledger.transparency.errors import BundleMalformedError, TilePathMalformedError

__all__ = [
    "BUNDLE_ENTRY_SIZE_MAX_BYTES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Bundle",
    "Tile",
    "bundle_path",
    "bundles_touched",
    "decode_bundle",
    "encode_bundle",
    "parse_bundle_path",
    "parse_tile_path",
    "tile_path",
    "tile_width",
    "tiles_touched",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256  # 2 ** TILE_HEIGHT, fixed by tlog-tiles.
TILE_LEVEL_MAX: Final = 63  # The specification's bound on <L>; 2^64 leaves fill 8 levels.
BUNDLE_ENTRY_SIZE_MAX_BYTES: Final = 65_535  # What a 2-byte length can say.

# At most seven groups: 21 digits hold every 64-bit index.
_PATH: Final = re.compile(
    r"tile/(?P<kind>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes: its level and index, and how many hashes of it are meant (1 to 256)."""

    level: int
    index: int
    width: int = TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle of entries: its index, and how many entries of it are meant (1 to 256)."""

    index: int
    width: int = TILE_WIDTH


def tile_width(level: int, index: int, size: int) -> int:
    """Returns how many hashes the tile holds in a tree of `size` leaves: 0 to 256."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def tiles_touched(size_before: int, size_after: int) -> list[Tile]:
    """Returns the tiles that differ between two sizes of a tree, with their widths at the later size.

    They come level by level, lowest first, and left to right within a level.
    """
    touched = []
    level = 0
    while (count_after := size_after >> (TILE_HEIGHT * level)) > 0:
        count_before = size_before >> (TILE_HEIGHT * level)
        if count_after > count_before:
            first, last = count_before // TILE_WIDTH, (count_after - 1) // TILE_WIDTH
            touched += [Tile(level, index, tile_width(level, index, size_after)) for index in range(first, last + 1)]
        level += 1
    return touched


def bundles_touched(size_before: int, size_after: int) -> list[Bundle]:
    """Returns the entry bundles that differ between two sizes, with their widths at the later size."""
    return [Bundle(tile.index, tile.width) for tile in tiles_touched(size_before, size_after) if tile.level == 0]


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Returns the path of a tile below the log's prefix, without a leading slash.

    >>> tile_path(0, 1234067)
    'tile/0/x001/x234/067'
    >>> tile_path(1, 5, 17)
    'tile/1/005.p/17'
    """
    if not 0 <= level <= TILE_LEVEL_MAX:
        raise TilePathMalformedError("no such level", level=level)
    return f"tile/{level}/{_index_and_width(index, width)}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Returns the path of an entry bundle below the log's prefix, without a leading slash.

    >>> bundle_path(1000)
    'tile/entries/x001/000'
    """
    return f"tile/entries/{_index_and_width(index, width)}"


def parse_tile_path(path: str) -> Tile:
    """Returns the tile that a path names.

    Raises:
        TilePathMalformedError: the path is not the one spelling of any tile's path.
    """
    kind, index, width = _parse(path)
    if kind == "entries":
        raise TilePathMalformedError("the path names an entry bundle", path=path)
    try:
        tile = Tile(decode_decimal(kind), index, width)
    except ValueError as refusal:
        raise TilePathMalformedError("the level is not a plain number", path=path) from refusal
    if tile.level > TILE_LEVEL_MAX:
        raise TilePathMalformedError("no such level", path=path)
    return tile


def parse_bundle_path(path: str) -> Bundle:
    """Returns the entry bundle that a path names.

    Raises:
        TilePathMalformedError: the path is not the one spelling of any bundle's path.
    """
    kind, index, width = _parse(path)
    if kind != "entries":
        raise TilePathMalformedError("the path names a tile", path=path)
    return Bundle(index, width)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Returns the bytes of a bundle of 1 to 256 entries of at most 65,535 bytes each.

    Raises:
        BundleMalformedError: they do not fit in a bundle.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise BundleMalformedError("a bundle holds 1 to 256 entries", entries=len(entries))
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > BUNDLE_ENTRY_SIZE_MAX_BYTES:
            raise BundleMalformedError("an entry is too large for a bundle", size_bytes=len(entry))
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    """Returns the `width` entries of a bundle, in order.

    Raises:
        BundleMalformedError: the bytes are not exactly so many entries.
    """
    if not 1 <= width <= TILE_WIDTH:
        raise BundleMalformedError("a bundle holds 1 to 256 entries", entries=width)
    entries: list[bytes] = []
    offset = 0
    for _ in range(width):
        start = offset + 2
        offset = start + int.from_bytes(raw[offset:start], "big")
        if start > len(raw) or offset > len(raw):
            raise BundleMalformedError("the bundle ends inside an entry", expected=width, found=len(entries))
        entries.append(raw[start:offset])
    if offset != len(raw):
        raise BundleMalformedError("bytes follow the last entry", expected=width, size_bytes=len(raw) - offset)
    return entries


def _index_and_width(index: int, width: int) -> str:
    if not 0 <= index <= UINT64_MAX:
        raise TilePathMalformedError("no such index", index=index)
    if not 1 <= width <= TILE_WIDTH:
        raise TilePathMalformedError("no such width", width=width)
    path = f"{index % 1000:03d}"
    while index := index // 1000:
        path = f"x{index % 1000:03d}/{path}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _parse(path: str) -> tuple[str, int, int]:
    """Returns kind, index and width of a path whose index and width have their one spelling."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TilePathMalformedError("the path names no tile", path=path)
    groups = match["index"].replace("x", "").split("/")
    if len(groups) > 1 and groups[0] == "000":
        raise TilePathMalformedError("the index has a group too many", path=path)
    index = int("".join(groups))
    if index > UINT64_MAX:
        raise TilePathMalformedError("no such index", path=path)
    if match["width"] is None:
        return match["kind"], index, TILE_WIDTH
    try:
        width = decode_decimal(match["width"])
    except ValueError as refusal:
        raise TilePathMalformedError("the width is not a plain number", path=path) from refusal
    if not 1 <= width < TILE_WIDTH:
        raise TilePathMalformedError("a partial tile has 1 to 255 hashes", path=path)
    return match["kind"], index, width
