"""Print a downtime form: what the ledger expects next, with fields for the hand, and a code that enters it again.

The rules:

* A form is for one act of one stream. It shows what the ledger expected when it was printed, and as of which position;
  it claims nothing about what happened since.
* Whoever acts writes on it what they saw, container by container or material by material; rows for what was not
  expected are there too. Nothing is ticked beforehand: an expectation is no observation.
* Two persons sign on paper, and two attest to the entry later; what the ledger demands of an entry from paper is the
  ledger's rule, not the form's.
* `draft_body` makes of the code the body to be completed, marked as entered from this form. What was expected is in it;
  outcomes and counts are not, for only the paper knows them.

Papers are A4 and US Letter. Every page repeats code and signatures, so that each is good by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cellcustody.clients.labels.drawing import (
    Box,
    Drawing,
    Font,
    Shape,
    SymbolAt,
    Text,
    fitted_size_mm,
    printable,
)
from cellcustody.clients.labels.errors import LabelRefused
from cellcustody.clients.labels.form_code import FormCode
from cellcustody.clients.labels.symbols import QR_QUIET_MODULES, qr_code
from cellcustody.clients.showing import name_in_words
from cellcustody.ledger.contract import BODIES, BodyType
from cellcustody.ledger.identifiers import print_day
from cellcustody.v1 import common_pb2

__all__ = ["Paper", "draft_body", "draw_form", "names_unit"]

_MARGIN_MM: Final = 15.0
_SYMBOL_MM_MAX: Final = 48.0
_MODULE_MM_MAX: Final = 0.8
_MODULE_MM_MIN: Final = 0.33  # Four dots of a 300 dpi printer, and what a phone's camera still takes.
_ROWS_EXPECTED: Final = 8  # On a page; two more rows are left for what was not expected.
_ROWS_EMPTY: Final = 2
_ROW_MM: Final = 8.0
_FIELD_MM: Final = 12.0
_REMARKS_MM: Final = 24.0
_TEXT_MM: Final = 3.2
_CAPTION_MM: Final = 2.3
_SIZE_MM_MIN: Final = 1.8
_LINE_MM: Final = 4.6

# The field that says who acts, where it is not called `unit`.
_UNIT_FIELDS: Final = {
    "CustodyAccepted": "receiver",
    "CustodyRefused": "receiver",
    "CustodyReleased": "releaser",
    "PossessionReported": "possessor",
}


class Paper(Enum):
    """Sizes in millimetres, width and height."""

    A4 = (210.0, 297.0)
    LETTER = (215.9, 279.4)


def draft_body(code: FormCode) -> Message:
    """Returns the body that the form's code begins, entry mode and form number set; a person completes it.

    Raises:
        LabelRefused: there is no such act, or it has no place for something that the code names.
    """
    row = _body_type(code.act)
    body = row.message_class()
    fields = {field.name: field for field in row.descriptor.fields}
    if code.release:
        _set(body, fields, ("release",), code.release, code.act)
    if code.site:
        name = _UNIT_FIELDS.get(code.act, "unit")
        if name not in fields:
            raise LabelRefused("the act names no unit that acts", act=code.act)
        getattr(body, name).CopyFrom(common_pb2.Unit(site=code.site, unit=code.unit))
    if code.containers and "lines" in fields:
        getattr(body, "lines").extend(common_pb2.HandoffLine(container=each) for each in code.containers)  # noqa: B009
    elif code.containers:
        _extend(body, fields, "container", code.containers, code.act)
    if code.materials:
        _extend(body, fields, "material", code.materials, code.act)
    if "circumstances" not in fields:
        raise LabelRefused("the act is not entered from paper", act=code.act)
    circumstances = common_pb2.Circumstances(mode=common_pb2.ENTRY_MODE_FROM_PAPER, form=code.number)
    getattr(body, "circumstances").CopyFrom(circumstances)  # noqa: B009 - a body of whichever class has it.
    return body


def names_unit(act: str) -> bool:
    """Returns whether the body of an act says which unit acts."""
    return any(field.name == _UNIT_FIELDS.get(act, "unit") for field in _body_type(act).descriptor.fields)


def draw_form(
    code: FormCode,
    *,
    printed_at: datetime,
    expected: Sequence[tuple[str, str]] = (),
    paper: Paper = Paper.A4,
) -> tuple[Drawing, ...]:
    """Returns the pages of a form; `printed_at` is aware, `expected` are further lines to show, caption and text.

    Raises:
        LabelRefused: the code is for no act that can be entered from paper, or a text cannot be printed.
        LabelTooSmall: a text does not fit.
        FormCodeMalformed: there is more in the code than one symbol holds.
        LabelsNotInstalled: the extra `labels` is missing.
    """
    draft_body(code)
    rows = [*code.containers, *(material.hex() for material in code.materials)]
    pages = [rows[start : start + _ROWS_EXPECTED] for start in range(0, max(len(rows), 1), _ROWS_EXPECTED)]
    symbol = qr_code(code.text())
    module_mm = max(_MODULE_MM_MIN, min(_MODULE_MM_MAX, _SYMBOL_MM_MAX / symbol.size_modules))
    width, height = paper.value
    drawings: list[Drawing] = []
    for number, page in enumerate(pages, start=1):
        sheet = _Sheet(width, height)
        symbol_mm = symbol.size_modules * module_mm
        symbol_x = width - _MARGIN_MM - symbol_mm
        sheet.shapes.append(SymbolAt(symbol_x, _MARGIN_MM, module_mm, symbol))
        sheet.right = symbol_x - QR_QUIET_MODULES * module_mm
        _head(sheet, code, printed_at, expected, f"page {number} of {len(pages)}")
        sheet.right = width - _MARGIN_MM
        sheet.y = max(sheet.y, _MARGIN_MM + symbol_mm + QR_QUIET_MODULES * module_mm)
        _fields(sheet, [("Date (YYYY-MM-DD)", 0.3), ("Time it happened (24 h)", 0.3), ("Zone, offset from UTC", 0.4)])
        _table(sheet, code, page)
        _fields(sheet, [("Why paper was used", 0.6), ("Temperature or logger display, if any", 0.4)])
        _fields(sheet, [("Remarks; spare labels of what was handled", 1.0)], _REMARKS_MM)
        _fields(sheet, [("Performed by: name, role", 0.6), ("Signature, time", 0.4)])
        _fields(sheet, [("Verified by a second person: name, role", 0.6), ("Signature, time", 0.4)])
        _fields(sheet, [("Entered from this form by", 0.35), ("Attested by", 0.3), ("Position in the ledger", 0.35)])
        sheet.line(
            "Enter it as soon as the ledger answers: scan the code with `cellcustody downtime read`. Keep this paper.",
            Font.WORDS,
            _CAPTION_MM + 0.4,
        )
        sheet.finish()
        title = f"Downtime form {code.number}, page {number} of {len(pages)}"
        drawings.append(Drawing(width, height, title, tuple(sheet.shapes)))
    return tuple(drawings)


class _Sheet:
    """A page being filled from the top."""

    def __init__(self, width: float, height: float) -> None:
        self.shapes: list[Shape] = []
        self.width = width
        self.height = height
        self.right = width - _MARGIN_MM
        self.y = _MARGIN_MM

    def line(self, text: str, font: Font, size_mm: float) -> None:
        """Adds a line of text over the width that is free."""
        self.y += size_mm * 1.1
        self.put(_MARGIN_MM, self.y, text, self.right - _MARGIN_MM, font, size_mm)
        self.y += size_mm * 0.35

    def put(self, x: float, y: float, text: str, width: float, font: Font, size_mm: float) -> None:
        """Puts a text into a width, smaller where it must be."""
        size = fitted_size_mm(printable(text), font, width_mm=width, size_mm=size_mm, size_mm_min=_SIZE_MM_MIN)
        self.shapes.append(Text(x, y, text, size, font))

    def finish(self) -> None:
        """Holds that nothing hangs over the end."""
        if self.y > self.height - _MARGIN_MM / 2:
            raise LabelRefused("there is too much to show for one page", height_mm_needed=f"{self.y:.0f}")


def _head(sheet: _Sheet, code: FormCode, at: datetime, expected: Sequence[tuple[str, str]], page: str) -> None:
    sheet.line(f"DOWNTIME FORM, {page}", Font.WORDS, _TEXT_MM)
    sheet.line(name_in_words(code.act), Font.BOLD, 6.0)
    sheet.line(code.number_in_groups, Font.IDENTIFIER, 5.0)
    utc = at.astimezone(UTC)
    lines = [
        ("Printed", f"{print_day(utc.date())} {utc:%H:%M} UTC, as of position {code.position}"),
        *expected,
        ("Stream", code.stream.hex()),
    ]
    if code.release:
        lines.append(("Release", code.release.hex()))
    if code.site:
        lines.append(("Unit", f"{code.unit or 'the site as a whole'} of site {code.site.hex()}"))
    lines.append(("Ledger", code.ledger.hex()))
    indent = 17.0
    for caption, text in lines:
        sheet.y += _LINE_MM
        sheet.put(_MARGIN_MM, sheet.y, caption, indent - 1, Font.WORDS, _CAPTION_MM + 0.4)
        sheet.put(_MARGIN_MM + indent, sheet.y, text, sheet.right - _MARGIN_MM - indent, Font.WORDS, _TEXT_MM)


def _fields(sheet: _Sheet, fields: Sequence[tuple[str, float]], height_mm: float = _FIELD_MM) -> None:
    """Adds a row of empty boxes, each with its caption and its share of the width."""
    sheet.y += 2.5
    x = _MARGIN_MM
    for caption, share in fields:
        width = share * (sheet.right - _MARGIN_MM)
        sheet.shapes.append(Box(x, sheet.y, width, height_mm))
        sheet.put(x + 1, sheet.y + 3, caption, width - 2, Font.WORDS, _CAPTION_MM)
        x += width
    sheet.y += height_mm


def _table(sheet: _Sheet, code: FormCode, rows: Sequence[str]) -> None:
    """Adds a row for everything expected, and empty ones for what was not."""
    what = "Container" if code.containers else "Material"
    columns = [
        (f"{what} expected (or found)", 0.34),
        ("Seen: yes / no", 0.12),
        ("Seal or label read", 0.2),
        ("Condition", 0.16),
        ("Accepted / refused / not there", 0.18),
    ]
    whole = sheet.right - _MARGIN_MM
    sheet.y += 3.0
    for place, text in enumerate(("", *rows, *[""] * _ROWS_EMPTY)):
        x = _MARGIN_MM
        height = 5.0 if place == 0 else _ROW_MM
        for column, (caption, share) in enumerate(columns):
            sheet.shapes.append(Box(x, sheet.y, share * whole, height))
            if place == 0:
                sheet.put(x + 1, sheet.y + 3.4, caption, share * whole - 2, Font.BOLD, _CAPTION_MM)
            elif column == 0 and text:
                sheet.put(x + 1, sheet.y + 5.2, text, share * whole - 2, Font.IDENTIFIER, _TEXT_MM)
            x += share * whole
        sheet.y += height


def _body_type(act: str) -> BodyType:
    for row in BODIES.values():
        if row.short_name == act:
            return row
    raise LabelRefused("there is no such act", act=act)


def _set(body: Message, fields: dict[str, FieldDescriptor], names: Sequence[str], value: object, act: str) -> None:
    for name in names:
        if name in fields:
            setattr(body, name, value)
            return
    raise LabelRefused(f"the act names no {names[0]}", act=act)


def _extend(
    body: Message, fields: dict[str, FieldDescriptor], name: str, values: Sequence[str] | Sequence[bytes], act: str
) -> None:
    """Sets `names`, or `name` where the act is about one and there is one."""
    for field in (f"{name}s", name):
        if field in fields and fields[field].message_type is None:
            if fields[field].is_repeated:
                getattr(body, field).extend(values)
                return
            if len(values) == 1:
                setattr(body, field, values[0])
                return
            raise LabelRefused(f"the act is about one {name}; print a form for each", act=act)
    raise LabelRefused(f"the act names no {name}", act=act)
