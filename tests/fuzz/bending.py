"""Bend inputs at random, in the ways in which parsers are known to be wrong; all follows from the random given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

__all__ = ["bent"]

# Each has fooled a parser of decimals, base64, lines or lengths somewhere.
_TOKENS: Final[tuple[bytes, ...]] = (
    *(b"+", b"-", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n\n", b"\x00", b"\x0b", b"\x1f", b"\x7f", b"=", b"==", b"_"),
    *(b"0", b"00", b"01", b"1_0", b"0x10", b"1e3", b".", b"/", b"18446744073709551615", b"18446744073709551616"),
    *(b"9" * 40, b"1" + b"0" * 400, b"[" * 2000, b"\x0a" * 64, b"{}", b"[]", b"null", b"NaN", b"old 0", b"quorum none"),
    *(b"\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80\x00", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(text.encode() for text in ("\u0661", "\u2028", "\u00a0", "\u200b", "\u2014 ", "e\u0301")),
    *(b"AAAA", b"AA==", b"AB==", b"-----BEGIN", b"\x12\x00", b"PK\x03\x04", b"\x30\x80", b"\x00\x00"),
)


def bent(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Returns one of the seeds, bent one to four times; now and then nothing of a seed is left."""
    if random.random() < 0.02:
        return random.randbytes(random.randrange(64))
    content = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choice(_WAYS)(random, content, seeds)
    return content


def _flip(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    if not content:
        return b"\x00"
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _cut(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _drop(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] + content[start + random.choice((1, 1, 2, 3, 8, 32)) :]


def _double(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    start = random.randrange(len(content) + 1)
    end = min(len(content), start + random.choice((1, 2, 8, 64, 512)))
    return content[:end] + content[start:end] + content[end:]


def _insert(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(_TOKENS) + content[at:]


def _replace(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(content) + 1)
    token = random.choice(_TOKENS)
    return content[:at] + token + content[at + random.choice((1, len(token))) :]


def _swap_lines(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _double_line(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"\n".join(lines)


def _splice(random: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]


def _number(random: Random, content: bytes, _: Sequence[bytes]) -> bytes:
    """Changes one byte as a length or count would be changed: to its neighbours, to 0, to the largest."""
    if not content:
        return b"\xff"
    at = random.randrange(len(content))
    return content[:at] + bytes([random.choice((0, 1, 127, 128, 255, content[at] + 1 & 255))]) + content[at + 1 :]


_WAYS: Final[tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...]] = (
    _flip,
    _flip,
    _cut,
    _drop,
    _double,
    _insert,
    _insert,
    _replace,
    _swap_lines,
    _double_line,
    _splice,
    _number,
)
