"""ZIP files that another reader might take for the dossier, and that are not the one its contents make."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from cellcustody.ledger.dossier import FILE_NAMES, canonical_zip
from cellcustody.ledger.dossier.layout import MANIFEST, README
from corpus.cases import Case, Family
from corpus.good import anchored
from corpus.world import lawful, sealed

__all__ = ["FAMILY"]

FAMILY = Family("container")
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


@FAMILY
def cut() -> Iterator[Case]:
    """Cut off, added to, empty."""
    world = lawful()
    data = world.data()
    for name, length in (("empty", 0), ("one-byte", 1), ("only-a-local-header", 30)):
        yield anchored(world, name, data[:length])
    for name in FILE_NAMES:
        at = _starts(data)[name]
        yield anchored(world, f"cut-before-{name}", data[:at])
    central = data.index(_CENTRAL, _starts(data)[FILE_NAMES[-1]])
    yield anchored(world, "cut-before-the-directory", data[:central])
    yield anchored(world, "cut-before-the-end-record", data[:-22])
    yield anchored(world, "cut-by-one-byte", data[:-1])
    yield anchored(world, "byte-behind", data + b"\0")
    yield anchored(world, "byte-before", b"\0" + data)
    yield anchored(world, "second-end-record", data + data[-22:])
    yield anchored(world, "zip-behind-zip", data + data)
    yield anchored(world, "comment", data[:-2] + b"\x02\0hi")
    yield anchored(world, "random-bytes", bytes(n * 37 % 251 for n in range(4_000)))


def _starts(data: bytes) -> dict[str, int]:
    starts: dict[str, int] = {}
    at = 0
    for name in FILE_NAMES:
        starts[name] = at
        at += 30 + len(name) + struct.unpack_from("<I", data, at + 22)[0]
    return starts


@FAMILY
def fields() -> Iterator[Case]:
    """Every fixed field of the headers, changed."""
    world = lawful()
    data = world.data()
    for name, at in (
        ("version", 4),
        ("flag-encrypted", 6),
        ("method-deflate", 8),
        ("time", 10),
        ("date", 12),
        ("crc", 14),
        ("compressed-length", 18),
        ("length", 22),
        ("name-length", 26),
        ("extra-length", 28),
        ("name", 30),
    ):
        yield anchored(world, f"local-{name}", _with(data, at, data[at] ^ 8))
    yield anchored(world, "local-flag-data-descriptor", _with(data, 6, 8))
    yield anchored(world, "local-flag-utf8", _with(data, 7, 8))
    yield anchored(world, "local-length-of-four-gigabytes", data[:18] + b"\xff" * 8 + data[26:])
    central = data.index(_CENTRAL, _starts(data)[FILE_NAMES[-1]])
    for name, offset in (
        ("made-by", 4),
        ("version", 6),
        ("flags", 8),
        ("method", 10),
        ("crc", 16),
        ("length", 24),
        ("comment-length", 32),
        ("disk", 34),
        ("internal-attributes", 36),
        ("external-attributes", 38),
        ("offset", 42),
        ("name", 46),
    ):
        at = central + offset
        yield anchored(world, f"central-{name}", _with(data, at, data[at] ^ 1))
    end = len(data) - 22
    for name, offset in (("disk", 4), ("count-here", 8), ("count", 10), ("size", 12), ("offset", 16), ("comment", 20)):
        yield anchored(world, f"end-{name}", _with(data, end + offset, data[end + offset] ^ 1))


def _with(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


@FAMILY
def members() -> Iterator[Case]:
    """Files too many, too few, in another order, under other names, twice."""
    world = lawful()
    files = world.files()
    pairs = [(name, files[name]) for name in FILE_NAMES]
    for name in FILE_NAMES:
        yield anchored(world, f"without-{name}", canonical_zip([pair for pair in pairs if pair[0] != name]))
    yield anchored(world, "eleventh-file", canonical_zip([*pairs, ("notes.txt", b"hello")]))
    yield anchored(world, "file-in-front", canonical_zip([("notes.txt", b"hello"), *pairs]))
    yield anchored(world, "two-files-swapped", canonical_zip([pairs[1], pairs[0], *pairs[2:]]))
    yield anchored(world, "manifest-twice", canonical_zip([*pairs, (MANIFEST, files[MANIFEST])]))
    yield anchored(world, "absolute-name", canonical_zip([("/" + README, files[README]), *pairs[1:]]))
    yield anchored(world, "name-with-parent", canonical_zip([("../" + README, files[README]), *pairs[1:]]))
    yield anchored(world, "name-in-capitals", canonical_zip([(README.upper(), files[README]), *pairs[1:]]))
    yield anchored(world, "no-files", canonical_zip([]))
    yield anchored(world, "other-text-for-finders", sealed(world, files, README_txt=files[README] + b"Trust me.\n"))
    yield anchored(world, "empty-text-for-finders", sealed(world, files, README_txt=b""))


@FAMILY
def tricks() -> Iterator[Case]:
    """What ZIP allows and a dossier does not."""
    world = lawful()
    files = world.files()
    pairs = [(name, files[name]) for name in FILE_NAMES]
    yield anchored(world, "extra-field-in-local-header", _zip(pairs, extra_local=b"\x99\x99\x01\0x"))
    yield anchored(world, "extra-field-in-central-header", _zip(pairs, extra_central=b"\x99\x99\x01\0x"))
    yield anchored(world, "comment-of-a-member", _zip(pairs, comment=b"hello"))
    yield anchored(world, "deflated", _zip(pairs, deflates=True))
    yield anchored(world, "data-descriptors", _zip(pairs, descriptor=True))
    yield anchored(world, "zip64-end-record", _zip(pairs, zip64=True))
    yield anchored(world, "two-central-records-for-one", _zip(pairs, twice=True))
    yield anchored(world, "gap-between-members", _zip(pairs, gap=b"hidden"))
    yield anchored(world, "central-records-overlap", _zip(pairs, overlaps=True))


def _zip(
    pairs: list[tuple[str, bytes]],
    *,
    extra_local: bytes = b"",
    extra_central: bytes = b"",
    comment: bytes = b"",
    deflates: bool = False,
    descriptor: bool = False,
    zip64: bool = False,
    twice: bool = False,
    gap: bytes = b"",
    overlaps: bool = False,
) -> bytes:
    local, central = b"", b""
    for name, content in pairs:
        stored = content
        if deflates:
            deflater = zlib.compressobj(wbits=-15)
            stored = deflater.compress(content) + deflater.flush()
        flags, method = (8 if descriptor else 0), (8 if deflates else 0)
        sizes = (zlib.crc32(content), len(stored), len(content))
        in_front = (0, 0, 0) if descriptor else sizes
        at = 0 if overlaps else len(local)
        head = (20, flags, method, 0, 0x21)
        local += _LOCAL + struct.pack("<5H3I2H", *head, *in_front, len(name), len(extra_local)) + name.encode()
        local += extra_local + stored + (b"PK\x07\x08" + struct.pack("<3I", *sizes) if descriptor else b"") + gap
        record = _CENTRAL + struct.pack("<H5H3I2H", 20, *head, *sizes, len(name), len(extra_central))
        record += struct.pack("<3H2I", len(comment), 0, 0, 0, at) + name.encode() + extra_central + comment
        central += record * (2 if twice and name == MANIFEST else 1)
    count = len(pairs) + int(twice)
    end = b""
    if zip64:
        end += b"PK\x06\x06" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, count, count, len(central), len(local))
        end += b"PK\x06\x07" + struct.pack("<IQI", 0, len(local) + len(central), 1)
    end += _END + struct.pack("<4H2IH", 0, 0, count, count, len(central), len(local), 0)
    return local + central + end
