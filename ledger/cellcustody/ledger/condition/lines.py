"""Read the lines of a logger file one by one, within bounds, while its digest is made.

The rules:

* The file is UTF-8 (a byte order mark at its start is skipped); its lines end in LF or CR LF.
* It has at most `FILE_BYTES_MAX` bytes, and no line has more than `LINE_BYTES_MAX`.
* The digest is of exactly the bytes read; it is known once the last line was taken.
* Nothing of the file is kept: memory does not grow with it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from cellcustody.ledger.condition.errors import LoggerFileMalformedError, LoggerFileTooLargeError

__all__ = ["FILE_BYTES_MAX", "LINE_BYTES_MAX", "Lines", "cells_of"]

FILE_BYTES_MAX: Final = 64 * 1024 * 1024  # A reading a second for ten days takes about half of it.
LINE_BYTES_MAX: Final = 4096  # A row of some dozens of channels.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Lines:
    """The lines of one file, numbered from 1; `sha256` is of all bytes once they have run out."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._bytes = 0
        self.number = 0

    @property
    def sha256(self) -> bytes:
        """The digest of the bytes read so far."""
        return self._digest.digest()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Returns the next line without its end.

        Raises:
            LoggerFileTooLargeError: the file or the line is too long.
            LoggerFileMalformedError: the line is not UTF-8, or has a control character.
        """
        raw = self._stream.readline(LINE_BYTES_MAX + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        self._digest.update(raw)
        self._bytes += len(raw)
        if len(raw) > LINE_BYTES_MAX:
            raise LoggerFileTooLargeError("the line is too long", line=self.number, length_bytes_max=LINE_BYTES_MAX)
        if self._bytes > FILE_BYTES_MAX:
            raise LoggerFileTooLargeError("the file is too long", line=self.number, length_bytes_max=FILE_BYTES_MAX)
        if self.number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as failure:
            raise LoggerFileMalformedError(
                "the line is not UTF-8", line=self.number, byte=failure.start, failure=failure.reason
            ) from None
        if any(ord(character) < 0x20 and character != "\t" for character in text):
            raise LoggerFileMalformedError("the line has a control character", line=self.number)
        return text


def cells_of(text: str, line: int) -> list[str]:
    """Returns the cells of a row separated by commas (RFC 4180, one line a row), without surrounding blanks.

    Raises:
        LoggerFileMalformedError: a quotation mark stands where none may.
    """
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as failure:
        raise LoggerFileMalformedError("the row is no row of a CSV file", line=line, failure=failure) from None
    return [cell.strip() for cell in rows[0]] if rows else []
