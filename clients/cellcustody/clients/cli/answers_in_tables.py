"""Show any answer of an inspector's question as tables: one for each list in it, one row for each record.

The rules:

* A list with few fields is a table; one with many is told record by record, a line for each field.
* A column is a field; one that is empty in every row is left out. Statements are told as when, what, who and status;
  sites and people by name; times to the second; ids whole where nobody has a name for them, for they are copied.
* What the caller may not read is not in the answer, and so is no column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from cellcustody.clients.cli.names import Names
from cellcustody.clients.cli.screen import moment, print_table, say
from cellcustody.clients.showing import name_in_words
from cellcustody.ledger.custody.act import Status
from cellcustody.v1 import common_pb2, ledger_service_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody

__all__ = ["key_in_words", "print_answer", "rows_of", "statement_in_words"]

_MICROS: Final = "_unix_micros"
_SHORT: Final = 12
_COLUMNS_MAX: Final = 6  # More do not fit beside each other on a screen.
_SHOWN_MAX: Final = 8  # Of a list within a cell.


def print_answer(title: str, answer: Message, names: Names) -> None:
    """Prints an answer: its single values on a line, its lists as tables."""
    single = [
        f"{_words(field.name)} {_value(field, value, names)}"
        for field, value in answer.ListFields()
        if not field.is_repeated and field.name != "next_page_token"
    ]
    say(f"{title}: {', '.join(single)}" if single else title)
    for field in cast(Descriptor, answer.DESCRIPTOR).fields:  # Stubs name the two backends' classes apart.
        if field.is_repeated:
            columns, rows = rows_of(getattr(answer, field.name), field, names)
            title = _words(field.name).capitalize()
            if len(columns) <= _COLUMNS_MAX:
                print_table(title, columns, rows)
            else:
                _print_records(title, columns, rows)


def _print_records(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints records one below the other, a line for each field, where a table would be too wide to read."""
    width = max(map(len, columns))
    for number, row in enumerate(rows, start=1):
        say(f"{title} {number} of {len(rows)}", style="bold")
        for name, value in zip(columns, row, strict=True):
            for index, line in enumerate(value.split("\n") if value else ()):
                say(f"  {name if index == 0 else '':<{width}}  {line}")


def rows_of(
    records: Iterable[object], field: FieldDescriptor, names: Names
) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Returns the columns that hold anything, and the rows."""
    told = [_record(field, record, names) for record in records]
    columns = list(dict.fromkeys(name for record in told for name in record))
    descriptor = field.message_type
    if descriptor is not None:
        order = {_words(one.name): number for number, one in enumerate(descriptor.fields)}
        columns.sort(key=lambda name: order.get(name, -1))
    return columns, [[record.get(name, "") for name in columns] for record in told]


def _record(field: FieldDescriptor, record: object, names: Names) -> Mapping[str, str]:
    match record:
        case custody.HistoryItem():
            return _statement_columns(record)
        case custody.MaterialCustody():
            return _material_columns(record, names)
        case Message():
            cells: dict[str, str] = {}
            for inner, value in record.ListFields():
                if inner.message_type is custody.MaterialCustody.DESCRIPTOR and not inner.is_repeated:
                    cells.update(_material_columns(value, names))
                elif inner.is_repeated:
                    shown = [_value(inner, one, names) for one in list(value)[:_SHOWN_MAX]]
                    more = [f"and {len(value) - _SHOWN_MAX} more"] if len(value) > _SHOWN_MAX else []
                    cells[_words(inner.name)] = "\n".join([*shown, *more])
                else:
                    cells[_words(inner.name)] = _value(inner, value, names)
            return cells
        case _:
            return {_words(field.name): _value(field, record, names)}


def _statement_columns(item: custody.HistoryItem) -> Mapping[str, str]:
    superseded = f"\n[superseded by {item.superseded_by.hex()[:_SHORT]}]" if item.superseded_by else ""
    return {
        "when": moment(item.occurred_unix_micros, item.offset_minutes),
        "what": (item.summary or _act(item)) + superseded,
        "by": _signer(item),
        "status": _status(item),
        "leaf": str(item.leaf_index),
    }


def _material_columns(material: custody.MaterialCustody, names: Names) -> Mapping[str, str]:
    label = " ".join(one.value for one in material.label if one.name in ("din", "product_code", "division"))
    cells = {
        "material": material.material.hex() + (f"\n{label}" if label else ""),
        "kind": common_pb2.MaterialKind.Name(material.kind).removeprefix("MATERIAL_KIND_").lower(),
        "state": material.state + (", released" if material.released else ""),
        "answers for it": names.unit(material.custodian) + (" DISPUTED" if material.disputed else ""),
        "has it": names.unit(material.possessor),
        "where": material.position.place or material.container,
        "holds": str(len(material.holds)) if material.holds else "",
        "parents": "\n".join(one.hex()[:_SHORT] for one in material.parents),
    }
    return {name: value for name, value in cells.items() if value}


def statement_in_words(item: custody.HistoryItem) -> str:
    """Returns a statement on one line: when, what, who, and its status where it is not conforming."""
    status = _status(item)
    loud = f" {status}" if status not in ("CONFORMING", "RECORDED", "IN_EFFECT", "-") else ""
    reason = f" ({item.reason})" if item.reason else ""
    when = moment(item.occurred_unix_micros, item.offset_minutes)
    return f"{when} {_act(item)} by {_signer(item)}{loud}{reason} [leaf {item.leaf_index}]"


def _signer(item: custody.HistoryItem) -> str:
    who = item.signer_name or item.role or item.signer.hex()[:_SHORT]
    role = f", {item.role}" if item.signer_name and item.role != item.signer_name else ""
    return f"{who}{role}, {item.site_name}" if item.site_name else f"{who}{role}"


def _act(item: custody.HistoryItem) -> str:
    return name_in_words(item.body_type.rpartition(".")[2]) if item.body_type else "co-signature"


def _status(item: custody.HistoryItem) -> str:
    status = item.judgement.status
    return (Status(status).name if status else "-") + (" LATE" if item.late else "") + key_in_words(item)


def key_in_words(item: custody.HistoryItem) -> str:
    """Returns what is to be said of a statement's keys; nothing where they are sound."""
    match item.key_verdict:
        case custody.KEY_VERDICT_SUSPECT:
            return " SUSPECT"
        case custody.KEY_VERDICT_INVALID:
            return " INVALID"
        case _:
            return ""


def _value(field: FieldDescriptor, value: object, names: Names) -> str:
    match value:
        case Message():
            return _message(value, names)
        case bytes():
            return names.of(value) or value.hex()
        case bool():
            return "yes" if value else "no"
        case int() if field.enum_type is not None:
            return _enum(field, value)
        case int() if field.name.endswith(_MICROS):
            return moment(value)
        case int() if field.name.endswith("_seconds"):
            return _duration(value)
        case _:
            return str(value)


def _message(value: Message, names: Names) -> str:
    match value:
        case custody.HistoryItem():
            return statement_in_words(value)
        case common_pb2.Unit():
            return names.unit(value)
        case common_pb2.Position():
            return f"{names.unit(value.unit)} {value.place}"
        case common_pb2.Quantity():
            return f"{Decimal(value.mantissa).scaleb(value.exponent):f} {value.unit}"
        case common_pb2.Alias():
            return f"{value.scheme} {value.value}"
        case common_pb2.LotUse():
            return f"{value.lot_number} ({value.kind})" if value.kind else value.lot_number
        case common_pb2.Document():
            return f"{value.kind} {value.sha256.hex()[:_SHORT]}"
        case common_pb2.SealReading():
            return f"{value.container} {value.seal} {'intact' if value.intact else 'BROKEN'}"
        case ledger_service_pb2.NamedValue():
            return f"{value.name}: {value.value}"
        case ledger_service_pb2.ExplainedFinding():
            return f"{value.code}: {value.explanation}"
        case custody.HoldRecord():
            return f"{value.code} {value.hold.hex()[:_SHORT]}"
        case _:
            parts = [
                f"{_words(field.name)} {_value(field, inner, names)}"
                if not field.is_repeated
                else ", ".join(_value(field, one, names) for one in inner)
                for field, inner in value.ListFields()
            ]
            return ", ".join(parts)


def _enum(field: FieldDescriptor, number: int) -> str:
    enum = field.enum_type
    known = None if enum is None else enum.values_by_number.get(number)
    if enum is None or known is None:
        return str(number)
    prefix: str = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    name: str = known.name
    return name.removeprefix(prefix).lower().replace("_", " ")


def _duration(seconds: int) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    return f"{sign}{days} d {hours} h" if days else f"{sign}{hours} h {rest // 60} min" if hours else f"{sign}{rest} s"


def _words(name: str) -> str:
    return name.removesuffix(_MICROS).removesuffix("_seconds").replace("_", " ")
