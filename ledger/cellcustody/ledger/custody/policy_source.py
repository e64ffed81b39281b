"""Compile the source of a policy pack, as its author writes it, to the canonical bytes that are signed.

The rules:

* A source is TOML, for its comments, or JSON. It has the members of the pack and no others, in any order.
* A member that may be null may be left out, for TOML has no null. A few have a default (`_DEFAULTS`).
* A time may be written with its unit, `"48 h"`, `"30 min"`, `"14 d"`, where the member's name ends in `_seconds` or
  `_seconds_max`.
* An exact number may be written as a number, `0.05` or `70`; it is never read as a binary float.
* Lists of names may be in any order; the compiled form has them ascending.
* What comes out was parsed as a pack, so that nothing is published that the rules cannot run under.
"""

from __future__ import annotations

import json
import re
import tomllib
from decimal import Decimal, InvalidOperation
from typing import Final, cast

from cellcustody.ledger.custody.policy import FORMAT, PolicyPack
from cellcustody.ledger.custody.policy_reading import Json, PolicyMalformedError, canonical_json

__all__ = ["compile_pack", "compile_unchecked"]

# What may be null in the compiled pack, by the path without indexes; a step `*` is any name.
_NULLABLE: Final = {
    "$": ("dose", "monitoring"),
    "$.budgets": (
        "collection_to_start_seconds",
        "fresh_hold_seconds",
        "infusion_seconds",
        "lymphodepletion_to_infusion",
        "out_of_cryo_seconds",
        "thaw_to_infusion_end_seconds",
        "thaw_to_infusion_start_seconds",
    ),
    "$.budgets.lymphodepletion_to_infusion": ("repeat_after_seconds",),
    "$.bedside": ("premedication_seconds_max",),
    "$.eligibility": ("max_age_days",),
    "$.excursion": ("mean_kinetic",),
    "$.temperature_bands": (
        "grace_seconds",
        "mean_kinetic_millicelsius_max",
        "millicelsius_max",
        "millicelsius_min",
    ),
    "$.tests": ("max", "min", "outcome", "unit"),
    "$.yield.*": ("measurement",),
}
_DEFAULTS: Final[dict[str, dict[str, Json]]] = {
    "$": {"format": FORMAT},
    "$.co_signing.*": {"roles": []},
    "$.dose": {"components": [], "per_kilogram": False, "ratio_tolerance": "0"},
    "$.steps": {"after": [], "optional": False, "repeatable": True},
    "$.tests": {"conditional": False, "phases": ["release"], "required": True},
}
_DECIMALS: Final = frozenset({"budget_warning_fraction", "max", "min", "ratio_tolerance", "volume_tolerance"})
_FREE_NAMES: Final = frozenset({"$.co_signing", "$.yield"})  # Objects whose members have names of the pack's choosing.
_TIME: Final = re.compile(r"([0-9]{1,9}) ?(s|min|h|d)")
_TIMES: Final = ("_seconds", "_seconds_max")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


def compile_pack(source: bytes, *, is_toml: bool = True) -> bytes:
    """Returns the canonical bytes of the pack that a source describes.

    Raises:
        PolicyMalformedError: it is no TOML or JSON, or no pack; values give the path of what is wrong.
    """
    compiled = compile_unchecked(source, is_toml=is_toml)
    PolicyPack.parse(compiled)
    return compiled


def compile_unchecked(source: bytes, *, is_toml: bool = True) -> bytes:
    """Returns the canonical bytes of a source without asking whether they are a pack.

    Raises:
        PolicyMalformedError: it is no TOML or JSON in UTF-8, or holds what a pack cannot (a date, an infinite number).
    """
    try:
        text = source.decode("utf-8")
        if is_toml:
            read: object = tomllib.loads(text, parse_float=Decimal)
        else:
            read = json.loads(text, parse_float=Decimal, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError) as failure:
        raise PolicyMalformedError(
            "the source is not TOML in UTF-8" if is_toml else "the source is not JSON in UTF-8", failure=failure
        ) from None
    return canonical_json(_compiled("$", "$", "", read))


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise PolicyMalformedError("a member stands twice", members=", ".join(sorted(name for name, _ in pairs)))
    return members


def _compiled(path: str, shape: str, name: str, value: object) -> Json:
    """Returns a value in its compiled form; `shape` is the path without indexes, with `*` for free names."""
    match value:
        case dict():
            members = cast("dict[str, object]", value)
            defaults = _DEFAULTS.get(shape, {})
            absent: dict[str, Json] = dict.fromkeys(_NULLABLE.get(shape, ())) | defaults
            compiled = {one: kept for one, kept in absent.items() if one not in members}
            for one, held in members.items():
                below = f"{shape}.*" if shape in _FREE_NAMES else f"{shape}.{one}"
                compiled[one] = _compiled(f"{path}.{one}", below, one, held)
            return compiled
        case list():
            found = [_compiled(f"{path}[{index}]", shape, name, one) for index, one in enumerate(value)]
            return sorted(found, key=str) if all(isinstance(one, str) for one in found) else found
        case bool():
            return value
        case int():
            return str(value) if name in _DECIMALS else value
        case str() if name.endswith(_TIMES):
            return _seconds(path, value)
        case str():
            return value
        case Decimal():
            return _decimal(path, name, value)
        case None:
            return None
        case _:
            raise PolicyMalformedError("a pack holds no such value", path=path, value=value)


def _seconds(path: str, text: str) -> int:
    written = _TIME.fullmatch(text)
    if written is None:
        raise PolicyMalformedError('a time such as "48 h" is expected; units are s, min, h, d', path=path, value=text)
    return int(written[1]) * _SECONDS[written[2]]


def _decimal(path: str, name: str, number: Decimal) -> Json:
    if name not in _DECIMALS:
        raise PolicyMalformedError("a whole number is expected", path=path, value=number)
    try:
        text = f"{number:f}"
    except InvalidOperation:
        text = "NaN"
    if not number.is_finite() or len(text) > 40:
        raise PolicyMalformedError("the number is out of range", path=path, value=number)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
