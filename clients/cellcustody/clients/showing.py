"""Say in words what a person is about to sign.

The rules:

* What is shown is made from the very body and header that are signed, every field that is set, none left out.
* Ids are shown in full as hexadecimal, with a name beside them where one is known.
* Times are shown in the signer's own zone, with offset and zone name.
* A showing names the signer, the role, what the signature means, and when (21 CFR 11.50).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cellcustody.v1 import common_pb2, statement_pb2

__all__ = [
    "Showing",
    "ShownField",
    "enum_in_words",
    "name_in_words",
    "quantity_in_words",
    "show_statement",
    "time_in_words",
]

_MICROS: Final = "_unix_micros"
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARATORS: Final = {2: "< ", 3: "≤ ", 4: "> ", 5: "≥ "}


@dataclass(frozen=True, slots=True)
class ShownField:
    """One field of a body in words."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Showing:
    """What will be signed, in words."""

    act: str
    kind: str
    signer: str
    role: str
    meaning: str
    occurred: str
    signed: str
    stream: str
    fields: tuple[ShownField, ...]

    @property
    def text(self) -> str:
        """The whole showing as lines of text."""
        rows = [
            ("What", f"{self.act} ({self.kind})"),
            ("Signed by", self.signer),
            ("In the role", self.role),
            ("Meaning", self.meaning),
            ("Happened", self.occurred),
            ("Signed at", self.signed),
            ("Filed in", self.stream),
            *((f"  {field.name}", field.value) for field in self.fields),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def show_statement(
    header: statement_pb2.Header,
    body: Message | None,
    *,
    signer_name: str,
    kind: str,
    names: Mapping[bytes, str],
    act: str | None = None,
) -> Showing:
    """Returns what a statement of this header and body says; a co-signature has no body and names its `act`."""
    offset = header.signed_at.offset_minutes
    title = act or (name_in_words(body.DESCRIPTOR.name) if body is not None else "Co-signature")
    occurred = header.occurred_at
    happened = time_in_words(occurred.start_unix_micros, occurred.offset_minutes, occurred.zone)
    if occurred.HasField("end_unix_micros"):
        happened += f" to {time_in_words(occurred.end_unix_micros, occurred.offset_minutes, occurred.zone)}"
    return Showing(
        act=title,
        kind=kind,
        signer=signer_name,
        role=header.signer.role,
        meaning=enum_in_words(statement_pb2.Meaning.Name(header.signer.meaning), "MEANING_"),
        occurred=happened,
        signed=time_in_words(header.signed_at.unix_micros, offset, header.signed_at.zone),
        stream=_id_in_words(header.stream, names),
        fields=tuple(_fields(body, offset, header.signed_at.zone, names)) if body is not None else (),
    )


def name_in_words(name: str) -> str:
    """Returns a message's or field's name as words.

    >>> name_in_words("CustodyReleased"), name_in_words("qualified_until_unix_micros")
    ('Custody released', 'qualified until')
    """
    return _CAPITAL.sub(" ", name).lower().capitalize() if name[:1].isupper() else _field_name(name)


def enum_in_words(name: str, prefix: str) -> str:
    """Returns the name of an enum's value as words.

    >>> enum_in_words("LINE_OUTCOME_NOT_PRESENT", "LINE_OUTCOME_")
    'not present'
    """
    return name.removeprefix(prefix).replace("_", " ").lower()


def time_in_words(unix_micros: int, offset_minutes: int, zone: str) -> str:
    """Returns an instant as local time with its offset and zone; microseconds since 1970 in.

    >>> time_in_words(1_777_624_200_000_000, 120, "Europe/Berlin")
    '2026-05-01 10:30:00 +02:00 (Europe/Berlin)'
    """
    local = (_EPOCH + timedelta(microseconds=unix_micros)).astimezone(timezone(timedelta(minutes=offset_minutes)))
    sign = "-" if offset_minutes < 0 else "+"
    hours, minutes = divmod(abs(offset_minutes), 60)
    fraction = f".{local.microsecond:06d}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {sign}{hours:02d}:{minutes:02d} ({zone})"


def _fields(body: Message, offset: int, zone: str, names: Mapping[bytes, str]) -> Iterable[ShownField]:
    for field, value in body.ListFields():
        if not field.is_repeated:
            yield ShownField(_field_name(field.name), _in_words(field, value, offset, zone, names))
            continue
        items = [_in_words(field, item, offset, zone, names) for item in value]
        if len(items) == 1:
            yield ShownField(_field_name(field.name), items[0])
            continue
        for number, item in enumerate(items, 1):
            yield ShownField(f"{_field_name(field.name)} {number} of {len(items)}", item)


def _in_words(field: FieldDescriptor, value: object, offset: int, zone: str, names: Mapping[bytes, str]) -> str:
    match value:
        case common_pb2.Quantity():
            return quantity_in_words(value)
        case common_pb2.Unit():
            return _id_in_words(value.site, names) + (f", unit {value.unit}" if value.unit else "")
        case Message():
            inner = _fields(value, offset, zone, names)
            return "; ".join(f"{shown.name}: {shown.value}" for shown in inner) or "present"
        case bytes():
            return _id_in_words(value, names)
        case bool():
            return "yes" if value else "no"
        case int() if field.enum_type is not None:
            prefix = f"{_CAPITAL.sub('_', field.enum_type.name).upper()}_"
            known = field.enum_type.values_by_number.get(value)
            return enum_in_words(known.name, prefix) if known is not None else str(value)
        case int() if field.name.endswith(_MICROS):
            return time_in_words(value, offset, zone)
        case _:
            return str(value)


def quantity_in_words(quantity: common_pb2.Quantity) -> str:
    """Returns a quantity with its digits, unit and basis, such as '50.2 mL (measured)'."""
    mantissa, exponent = quantity.mantissa, quantity.exponent
    if exponent >= 0:
        number = str(mantissa) + (f"e{exponent}" if exponent else "")
    elif exponent >= -18:
        digits = f"{abs(mantissa):0{1 - exponent}d}"
        number = f"{'-' if mantissa < 0 else ''}{digits[:exponent]}.{digits[exponent:]}"
    else:
        number = f"{mantissa}e{exponent}"
    basis = enum_in_words(common_pb2.QuantityBasis.Name(quantity.basis), "QUANTITY_BASIS_")
    return f"{_COMPARATORS.get(quantity.comparator, '')}{number} {quantity.unit} ({basis})"


def _field_name(name: str) -> str:
    return name.removesuffix(_MICROS).replace("_", " ")


def _id_in_words(raw: bytes, names: Mapping[bytes, str]) -> str:
    if len(raw) > 64:  # Keys, packs and schemas; their digests are what people compare.
        return f"{len(raw)} bytes"
    known = names.get(raw)
    return f"{known} [{raw.hex()}]" if known else raw.hex()
