"""Keep requests in a file, one after the other: length (4 bytes big-endian), then the bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["read_frames", "write_frames"]


def write_frames(path: Path, frames: Iterable[bytes]) -> None:
    """Writes the frames to a new file."""
    with open(path, "wb") as file:
        for frame in frames:
            file.write(len(frame).to_bytes(4, "big") + frame)


def read_frames(path: Path) -> list[bytes]:
    """Returns the frames of a file."""
    content = path.read_bytes()
    frames: list[bytes] = []
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        frames.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return frames
