"""Lay a dossier out: which files, in which order, in which bytes.

The rules:

* A dossier is a ZIP of exactly these files in this order, stored, each once: README.txt, index.html, verify.py,
  manifest.binpb, checkpoint, timestamps.binpb, entries.bin, bodies.binpb, proof.bin, heads.binpb. What a reader opens
  comes first. timestamps.binpb and heads.binpb are empty where the ledger had none to give.
* Every header field is fixed but the name, the CRC and the length, so that whoever has the contents can build the file
  again and compare every byte: version 2.0, no flags, method 0, 1980-01-01 00:00:00, no extra field, no comment, no
  attributes, no 64-bit records.
* entries.bin is, for each entry in ascending order of leaf index: the index as 8 bytes big-endian, the entry's length
  as 2 bytes big-endian, the entry.
* README.txt is one fixed text: it tells a finder what the file is and is nothing that a verifier rests on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = [
    "BODIES",
    "CHECKPOINT",
    "DOSSIER_BYTES_MAX",
    "ENTRIES",
    "FILE_NAMES",
    "FORMAT_VERSION",
    "HEADS",
    "LOCAL_HEADER",
    "MANIFEST",
    "PAGE",
    "PROOF",
    "README",
    "README_TEXT",
    "SCRIPT",
    "TIMESTAMPS",
    "canonical_zip",
    "encode_entries",
]

FORMAT_VERSION: Final = 1

README: Final = "README.txt"
PAGE: Final = "index.html"
SCRIPT: Final = "verify.py"
MANIFEST: Final = "manifest.binpb"
CHECKPOINT: Final = "checkpoint"
TIMESTAMPS: Final = "timestamps.binpb"
ENTRIES: Final = "entries.bin"
BODIES: Final = "bodies.binpb"
PROOF: Final = "proof.bin"
HEADS: Final = "heads.binpb"
FILE_NAMES: Final = (README, PAGE, SCRIPT, MANIFEST, CHECKPOINT, TIMESTAMPS, ENTRIES, BODIES, PROOF, HEADS)

DOSSIER_BYTES_MAX: Final = 0xFFFF_FFFF  # A ZIP without 64-bit records ends here; a therapy's dossier is a megabyte.

README_TEXT: Final = b"""\
This file is a dossier of the ledger cellcustody, format 1: the signed statements of one therapy, with the
openings of what they say, the keys, the proofs that the log holds them, and the log's signed checkpoint.

To verify it you need the ledger's anchor, a small file that you got by another way than from whoever gave
you this one. Any of these will do:

    index.html   open it in a browser, no network needed, and pick the two files
    verify.py    python verify.py FILE ANCHOR   (Python 3.11 and the package cryptography)
    the program  cellcustody verify FILE --anchor ANCHOR

Whoever made this file could have put other verifiers into it. Compare their SHA-256 with those published for
the release, or fetch them elsewhere; or write your own: the format is specified in docs/formats/dossier.md.

Without an anchor nobody can tell you more than that the file is consistent within itself.
"""

_VERSION: Final = 20  # 2.0, the lowest that names stored files in the default way.
_DATE: Final = 0x0021  # 1980-01-01, the first day that a ZIP can name.
_TIME: Final = 0

LOCAL_HEADER: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL_HEADER: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_ENTRY_HEAD: Final = struct.Struct(">QH")


def canonical_zip(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Returns the one ZIP that holds these files (ASCII name, content) in this order.

    Raises:
        ValueError: the file would need 64-bit records.
    """
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, content in files:
        raw_name = name.encode("ascii")
        crc, length = zlib.crc32(content), len(content)
        if offset + length >= DOSSIER_BYTES_MAX:
            raise ValueError("a dossier is below 4 GiB")
        common = (_VERSION, 0, 0, _TIME, _DATE, crc, length, length, len(raw_name), 0)
        local = LOCAL_HEADER.pack(b"PK\x03\x04", *common) + raw_name
        directory.append(_CENTRAL_HEADER.pack(b"PK\x01\x02", _VERSION, *common, 0, 0, 0, 0, offset) + raw_name)
        parts += (local, content)
        offset += len(local) + length
    size = sum(map(len, directory))
    end = _END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), size, offset, 0)
    return b"".join((*parts, *directory, end))


def encode_entries(entries: Iterable[tuple[int, bytes]]) -> bytes:
    """Returns entries.bin of (leaf index, entry), which the caller gives in ascending order."""
    return b"".join(_ENTRY_HEAD.pack(leaf_index, len(entry)) + entry for leaf_index, entry in entries)
