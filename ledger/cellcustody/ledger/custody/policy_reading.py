"""Read the members of a policy pack strictly, and tell where one is wrong.

The rules:

* A pack is JSON in UTF-8, keys sorted, no spaces, no floats; its digest is SHA-256 of exactly those bytes.
* Every member is known, present and of its type. What is wrong is told with its path (`$.budgets`) and value.
* A number that need not be whole is a text in decimal form, `0.05`: no exponent, no leading or trailing zeros, no plus.
* Names in a list ascend, each once; entries of a list that stand under a name have each name once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, TypeVar

from cellcustody.ledger.errors import MalformedError

__all__ = [
    "Json",
    "Members",
    "PolicyMalformedError",
    "Reader",
    "anything",
    "boolean",
    "canonical_json",
    "decimal",
    "integer",
    "list_of",
    "names",
    "one_of",
    "optional",
    "parse_json",
    "table_of",
    "text",
]

PACK_BYTES_MAX: Final = 256 * 1024  # A pack is a page or two; a statement's openings hold a megabyte.
INTEGER_MAX: Final = 2**53  # Beyond it readers in other languages round.
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{0,17}[1-9])?")

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")
Reader = Callable[[str, Json], T]


class PolicyMalformedError(MalformedError):
    """Raised when a pack is not in its exact form; values give the path and what was found there."""

    reason = "POLICY_MALFORMED"


def canonical_json(value: Json) -> bytes:
    """Returns the canonical bytes of a pack: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_json(pack: bytes) -> Json:
    """Returns the value in these bytes.

    Raises:
        PolicyMalformedError: they are too long, no JSON in UTF-8, or not in canonical form.
    """
    if len(pack) > PACK_BYTES_MAX:
        raise PolicyMalformedError("the pack is too long", length_bytes=len(pack), length_bytes_max=PACK_BYTES_MAX)
    try:
        value: Json = json.loads(
            pack.decode("utf-8"),
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
            object_pairs_hook=_refuse_twice,
        )
        is_canonical = canonical_json(value) == pack
    except (ValueError, RecursionError) as failure:
        raise PolicyMalformedError("the pack is not JSON in UTF-8", failure=failure) from None
    if not is_canonical:
        raise PolicyMalformedError("the pack is not in canonical form: keys sorted, no spaces, UTF-8")
    return value


def _refuse_float(text: str) -> Json:
    raise PolicyMalformedError("a pack has no floats", value=text)


def _refuse_twice(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise PolicyMalformedError("a member stands twice", members=", ".join(sorted(name for name, _ in pairs)))
    return members


class Members:
    """The members of one JSON object, taken one by one; `end` refuses those that nobody took."""

    def __init__(self, path: str, value: Json) -> None:
        if not isinstance(value, dict):
            raise PolicyMalformedError("an object is expected", path=path, value=value)
        self.path = path
        self._left = dict(value)

    def take(self, name: str, read: Reader[T]) -> T:
        """Takes one member and reads it."""
        path = f"{self.path}.{name}"
        if name not in self._left:
            raise PolicyMalformedError("a member is missing", path=path)
        return read(path, self._left.pop(name))

    def end(self) -> None:
        """Refuses members that nobody knows."""
        for name in self._left:
            raise PolicyMalformedError("a member is unknown", path=f"{self.path}.{name}", value=self._left[name])


def anything(path: str, value: Json) -> Json:
    """Reads any value, to be looked into by the caller."""
    return value


def text(path: str, value: Json) -> str:
    """Reads a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise PolicyMalformedError("a text that is not empty is expected", path=path, value=value)
    return value


def boolean(path: str, value: Json) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise PolicyMalformedError("true or false is expected", path=path, value=value)
    return value


def integer(least: int | None = None, most: int = INTEGER_MAX - 1) -> Reader[int]:
    """Returns a reader of whole numbers within bounds."""

    def read(path: str, value: Json) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise PolicyMalformedError("a whole number is expected", path=path, value=value)
        if (least is not None and value < least) or value > most or value <= -INTEGER_MAX:
            raise PolicyMalformedError("the number is out of range", path=path, value=value)
        return value

    return read


def decimal(least: int | None = None) -> Reader[Fraction]:
    """Returns a reader of exact numbers written as text in decimal form."""

    def read(path: str, value: Json) -> Fraction:
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or value == "-0":
            raise PolicyMalformedError(
                'a decimal number in a text, such as "0.05", is expected', path=path, value=value
            )
        number = Fraction(value)
        if least is not None and number < least:
            raise PolicyMalformedError("the number is out of range", path=path, value=value)
        return number

    return read


def optional(read: Reader[T]) -> Reader[T | None]:
    """Returns a reader that lets null stand for none."""
    return lambda path, value: None if value is None else read(path, value)


def one_of(*known: str) -> Reader[str]:
    """Returns a reader of one text out of a few."""

    def read(path: str, value: Json) -> str:
        if not isinstance(value, str) or value not in known:
            raise PolicyMalformedError(f"one of {', '.join(known)} is expected", path=path, value=value)
        return value

    return read


def list_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Returns a reader of lists."""

    def read_all(path: str, value: Json) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise PolicyMalformedError("a list is expected", path=path, value=value)
        return tuple(read(f"{path}[{index}]", one) for index, one in enumerate(value))

    return read_all


def names(path: str, value: Json) -> frozenset[str]:
    """Reads a list of texts in ascending order, each once."""
    found = list_of(text)(path, value)
    if list(found) != sorted(set(found)):
        raise PolicyMalformedError("names are expected in ascending order, each once", path=path, value=value)
    return frozenset(found)


def table_of(read: Reader[T]) -> Reader[Mapping[str, T]]:
    """Returns a reader of objects whose members have names of the pack's own choosing."""

    def read_all(path: str, value: Json) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise PolicyMalformedError("an object is expected", path=path, value=value)
        return {text(path, name): read(f"{path}.{name}", one) for name, one in value.items()}

    return read_all
