"""Give long lists in pages, and say where the next one goes on.

The rules:

* A page has at most as many rows as were asked for, and never more than ROWS_MAX; when rows are left, the answer
  carries a token. An answer without a token is whole: nothing is cut silently.
* A token names the section of the answer and the key of the last row given, so that what is recorded meanwhile neither
  repeats a row nor drops one that was there. It is bound to the question, the one who asks and the position it was
  given at: the answer that follows reflects that position or a later one.
* A token is the server's own word to itself; a token that it did not give for this question is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from google.protobuf.message import Message

from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import PageTokenInvalidError
from cellcustody.ledger.views.tables import Value

__all__ = ["ROWS_MAX", "Pages", "position_of_token"]

T = TypeVar("T")

ROWS_MAX: Final = 2_000  # Of one answer, so that it stays under gRPC's message limit of 4 MiB.
_PAGING_FIELDS: Final = ("page_size", "page_token", "position_min")


def position_of_token(page_token: bytes) -> int:
    """Returns the position that a token was given at; 0 without one.

    Raises:
        PageTokenInvalidError: it is no token.
    """
    return 0 if not page_token else _read(page_token)[0]


class Pages:
    """One page of one answer, filled section by section; `next_token` is set once rows are left over."""

    def __init__(
        self,
        asked: Asked,
        request: Message,
        *,
        size: int,
        token: bytes,
        rows_max: int = ROWS_MAX,
        question: str = "",
    ) -> None:
        """Begins a page where `token` says, or at the first section; `question` tells apart what asks with one message.

        Raises:
            PageTokenInvalidError: the token was not given for this question by this caller.
        """
        self._asked = asked
        self._question = _digest_of(request, asked.reader.site, question)
        self._left = min(size or rows_max, rows_max)
        self._section = 0
        self._after: tuple[Value, ...] = ()
        self.next_token = b""
        if token:
            _, question, self._section, self._after = _read(token)
            if question != self._question:
                raise PageTokenInvalidError("a page token goes with the question that it was given for")

    @property
    def is_full(self) -> bool:
        """Tells whether rows are left over for the next page."""
        return bool(self.next_token)

    @property
    def left(self) -> int:
        """How many rows this page still takes."""
        return 0 if self.is_full else self._left

    def rows(self, section: int, sql: str, parameters: Sequence[Value], keys: Sequence[str]) -> list[tuple[Value, ...]]:
        """Returns the rows of one section that this page takes, in the order of `keys`.

        The last columns of `sql`, which ends in a WHERE clause, are the keys; together they are unique. `section`
        numbers ascend from call to call.
        """
        if self.is_full or section < self._section:
            return []
        bound = list(parameters)
        if section == self._section and self._after:
            sql = f"{sql} AND ({', '.join(keys)}) > ({', '.join('?' * len(keys))})"
            bound += self._after
        if self._left == 0:
            found = self._asked.snapshot.rows(f"{sql} LIMIT 1", bound)
            if found:
                self.end(section, ())
            return []
        sql = f"{sql} ORDER BY {', '.join(keys)} LIMIT {self._left + 1}"
        found = self._asked.snapshot.rows(sql, bound)
        if len(found) > self._left:
            found = found[: self._left]
            self.end(section, found[-1][-len(keys) :])
        self._left -= len(found)
        return found

    def of_memory(self, section: int, items: Mapping[bytes, T]) -> list[T]:
        """Returns what this page takes of a section that stands in memory, in the order of its keys."""
        if self.is_full or section < self._section:
            return []
        after = self._after[0] if section == self._section and self._after else b""
        keys = sorted(key for key in items if isinstance(after, bytes) and key > after)
        taken = keys[: self._left]
        if len(keys) > len(taken):
            self.end(section, (taken[-1],) if taken else ())
        self._left -= len(taken)
        return [items[key] for key in taken]

    def end(self, section: int, after: tuple[Value, ...]) -> None:
        """Ends the page here: the next one goes on in `section` behind the key `after`; without one at its start."""
        said = [self._asked.position, self._question, section, [_typed(value) for value in after]]
        self.next_token = json.dumps(said, separators=(",", ":")).encode()


def _typed(value: Value) -> list[str]:
    match value:
        case bytes():
            return ["b", value.hex()]
        case str():
            return ["s", value]
        case int():
            return ["i", str(value)]


def _untyped(said: object) -> Value:
    match said:
        case ["b", str(text)]:
            return bytes.fromhex(text)
        case ["s", str(text)]:
            return text
        case ["i", str(text)]:
            return int(text)
        case _:
            raise ValueError


def _read(token: bytes) -> tuple[int, str, int, tuple[Value, ...]]:
    try:
        match json.loads(token):
            case [int(position), str(question), int(section), list(after)] if position >= 0 and section >= 0:
                return position, question, section, tuple(_untyped(one) for one in after)
    except (ValueError, RecursionError):
        pass
    raise PageTokenInvalidError("this is no page token")


def _digest_of(request: Message, site: bytes, question: str) -> str:
    """Returns what tells this question of this caller from any other, paging aside."""
    asked = type(request)()
    asked.CopyFrom(request)
    for field in _PAGING_FIELDS:
        asked.ClearField(field)
    name = f"{asked.DESCRIPTOR.full_name} {question} ".encode()
    return hashlib.sha256(site + name + asked.SerializeToString(deterministic=True)).hexdigest()[:32]
