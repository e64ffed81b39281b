"""Read and write the text of a checkpoint (C2SP tlog-checkpoint).

The rules:

* At least three non-empty lines, each ended by a newline: origin, tree size, root hash; then any extension lines.
* The size is plain decimal, the root is base64 of 32 bytes, each in its one spelling.
* Extension lines are accepted when read, and never written: monitors cannot audit them and ML-DSA-44 does not
  sign them.
* The origin is any non-empty line. A log of ours takes its origin as key name, so ours has no space and no plus.

What is read here is not yet believed: nothing in a note is, before a signature over it is verified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.transparency.encoding import (
    HASH_SIZE_BYTES,
    UINT64_MAX,
    decode_base64,
    decode_decimal,
    encode_base64,
    is_utf8,
)
from cellcustody.ledger.transparency.errors import CheckpointMalformedError

__all__ = ["Checkpoint", "build_checkpoint_text", "parse_checkpoint_text"]

# Signed notes know no control character but newline (C2SP signed-note); a text must be fit to be signed.
_CONTROL_CHARACTER: Final = re.compile("[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: the log's origin, its number of leaves, its 32-byte root, extension lines."""

    origin: str
    size: int
    root: bytes
    extension_lines: tuple[str, ...] = ()


def build_checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Returns the text of a checkpoint without extension lines, with its final newline.

    >>> build_checkpoint_text("example.com/log", 0, bytes(32)).splitlines()[1]
    '0'

    Raises:
        CheckpointMalformedError: the values make no checkpoint.
    """
    if not origin or not is_utf8(origin) or _CONTROL_CHARACTER.search(origin):
        raise CheckpointMalformedError("the origin is not one non-empty line", origin=repr(origin))
    if not 0 <= size <= UINT64_MAX:
        raise CheckpointMalformedError("the size does not fit in 64 bits", size=size)
    if len(root) != HASH_SIZE_BYTES:
        raise CheckpointMalformedError("the root is not 32 bytes", size_bytes=len(root))
    return f"{origin}\n{size}\n{encode_base64(root)}\n"


def parse_checkpoint_text(text: str) -> Checkpoint:
    """Returns what the text of a checkpoint says.

    Raises:
        CheckpointMalformedError: the text is not in its exact form.
    """
    if not is_utf8(text):
        raise CheckpointMalformedError("the text is not UTF-8")
    if not text.endswith("\n"):
        raise CheckpointMalformedError("the text does not end in a newline")
    # str.splitlines would also split at U+2028 and its like; only U+000A ends a line.
    lines = text[:-1].split("\n")
    if len(lines) < 3:
        raise CheckpointMalformedError("fewer than three lines", lines=len(lines))
    for number, line in enumerate(lines, start=1):
        if not line:
            raise CheckpointMalformedError("a line is empty", line=number)
        if _CONTROL_CHARACTER.search(line):
            raise CheckpointMalformedError("a line has a control character", line=number)
    origin, size_text, root_text, *extension_lines = lines
    try:
        size = decode_decimal(size_text)
    except ValueError as refusal:
        raise CheckpointMalformedError("the size is not a plain number", size=repr(size_text)) from refusal
    try:
        root = decode_base64(root_text)
    except ValueError as refusal:
        raise CheckpointMalformedError("the root is not base64", root=repr(root_text)) from refusal
    if len(root) != HASH_SIZE_BYTES:
        raise CheckpointMalformedError("the root is not 32 bytes", size_bytes=len(root))
    return Checkpoint(origin, size, root, tuple(extension_lines))
