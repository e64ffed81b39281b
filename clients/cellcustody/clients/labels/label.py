"""Lay out the label of a material of an autologous therapy: one Data Matrix, and beside it what a person must read.

What it says, and the rules it keeps:

* The symbol is a compound message: donation number, product code, division where data structure 032 has it, chain of
  identity identifier, collection and expiry times, processing facility. Donation number, product code and division are
  the least that makes a product traceable.
* Everything in the symbol stands beside it as text; the two identifiers that people type stand with their check
  character in a box. A type 3 flag is never printed.
* A facility's times are printed as local time with its zone and, in parentheses, UTC: labels cross zones.
* The collection type must be one for autologous use: 1, X or 8. A (may be given to another patient) and all others are
  refused, for such a label must never be on such a bag. The text follows from the type and cannot be chosen:
  FOR AUTOLOGOUS USE ONLY; BIOHAZARD with X; CONTAINS ALLOGENEIC MATERIAL with 8.
* Where the donor was not tested the label says NOT EVALUATED FOR INFECTIOUS SUBSTANCES.
* No patient's name, number or birth date is on it: two identifiers that are nobody's, as the regulators ask.
* The year in the donation number is that of collection, give or take the month that the standard allows.
* The symbol has its quiet zone, text has a least size, and what does not fit is refused, never cut.

Source: ICCBBA ST-001 6.2.2 and ST-026; 21 CFR 1271.90(c); Regulation (EU) 2024/1938, art. 43(1), for the donation
sequence. A facility's own label rules and the licensed text of product codes are the facility's to add.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Final

from cellcustody.clients.labels.drawing import (
    Box,
    Drawing,
    Font,
    Shape,
    SymbolAt,
    Text,
    fitted_size_mm,
    printable,
    width_mm_of,
)
from cellcustody.clients.labels.errors import LabelRefused, LabelTooSmall
from cellcustody.clients.labels.symbols import QUIET_MODULES, data_matrix
from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    CollectionDateTime,
    CollectionType,
    CompoundMessage,
    Din,
    DonationSequence,
    ExpiryDateTime,
    MphoUniqueIdentifier,
    ProcessingFacility,
    ProductCode,
    ProductDivision,
    Structure,
    division_of,
    print_day,
)

__all__ = ["LABEL_HEIGHT_MM", "LABEL_WIDTH_MM", "MODULE_MM", "MaterialLabel", "draw_label"]

LABEL_WIDTH_MM: Final = 100.0
LABEL_HEIGHT_MM: Final = 80.0
MODULE_MM: Final = 0.5  # Six dots of a 300 dpi printer; hand-held readers take it at arm's length.
MODULE_MM_MIN: Final = 0.25
_MARGIN_MM: Final = 2.0
_IDENTIFIER_MM: Final = 5.0
_TEXT_MM: Final = 3.0
_CAPTION_MM: Final = 2.0
_WARNING_MM: Final = 4.2
_SIZE_MM_MIN: Final = 1.8  # About five points: the least that is read without a glass.
_LINE_GAP: Final = 1.25
_CAPITAL_HEIGHT: Final = 0.72  # Of the font size, in both faces.

_TYPE_TEXTS: Final[dict[str, tuple[str, ...]]] = {
    CollectionType.AUTOLOGOUS_ONLY: ("FOR AUTOLOGOUS USE ONLY",),
    CollectionType.AUTOLOGOUS_ONLY_BIOHAZARD: ("FOR AUTOLOGOUS USE ONLY", "BIOHAZARD"),
    CollectionType.AUTOLOGOUS_WITH_ALLOGENEIC_MATERIAL: ("FOR AUTOLOGOUS USE", "CONTAINS ALLOGENEIC MATERIAL"),
}
NOT_EVALUATED: Final = "NOT EVALUATED FOR INFECTIOUS SUBSTANCES"


@dataclass(frozen=True, slots=True)
class MaterialLabel:
    """What the label of one material says; times are aware, in the zone of the facility that labels."""

    chain_of_identity: ChainOfIdentity
    donation: Din
    product: ProductCode
    division: ProductDivision | None = None
    product_name: str = ""
    collected_at: datetime | None = None
    expires_at: datetime | None = None
    processing_facility: ProcessingFacility | None = None
    donation_sequence: DonationSequence | None = None
    not_evaluated: bool = False
    storage: str = ""

    def __post_init__(self) -> None:
        division_of(self.product, self.division)
        if self.product.collection_type not in _TYPE_TEXTS:
            raise LabelRefused(
                "a label of an autologous therapy needs collection type 1, X or 8", value=self.product.content
            )
        for name, moment in (("collected_at", self.collected_at), ("expires_at", self.expires_at)):
            if moment is not None and moment.utcoffset() is None:
                raise LabelRefused("a time needs its zone", field=name)
        if self.collected_at and self.expires_at and self.expires_at <= self.collected_at:
            raise LabelRefused("it would expire before it was collected", expires_at=self.expires_at)
        if self.collected_at and not self.donation.suits(self.collected_at.date()):
            raise LabelRefused("the donation number is of another year", value=self.donation.number)
        if self.donation_sequence and self.donation_sequence.donation_number != self.donation.number:
            raise LabelRefused(
                "the donation sequence names another donation", value=self.donation_sequence.donation_number
            )
        printable(self.product_name)
        printable(self.storage)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns the texts that follow from collection type and testing."""
        texts = _TYPE_TEXTS[self.product.collection_type or ""]
        return (*texts, NOT_EVALUATED) if self.not_evaluated else texts

    @property
    def message(self) -> CompoundMessage:
        """Returns what the symbol carries."""
        structures: list[Structure] = [self.donation, self.product]
        if self.division is not None:
            structures.append(self.division)
        structures.append(self.chain_of_identity)
        if self.collected_at is not None:
            structures.append(CollectionDateTime.of(self.collected_at.date(), self.collected_at.time()))
        if self.expires_at is not None:
            structures.append(ExpiryDateTime.of(self.expires_at.date(), self.expires_at.time()))
        if self.processing_facility is not None:
            structures.append(self.processing_facility)
        return CompoundMessage.of(*structures)

    @property
    def unique_identifier(self) -> MphoUniqueIdentifier:
        """Returns the MPHO unique identifier that the parts of this label make."""
        facility = "00000" if self.processing_facility is None else self.processing_facility.facility
        division = division_of(self.product, self.division).ljust(6, "0")
        return MphoUniqueIdentifier(f"{facility}{self.product.description_code}{self.donation.number}{division}")


def draw_label(
    label: MaterialLabel,
    *,
    width_mm: float = LABEL_WIDTH_MM,
    height_mm: float = LABEL_HEIGHT_MM,
    module_mm: float = MODULE_MM,
) -> Drawing:
    """Returns the label as a drawing of the size given.

    Raises:
        LabelTooSmall: something does not fit; `height_mm_needed` or `width_mm_needed` say what would.
        LabelRefused: a module is smaller than scanners read, or a length is no number.
        LabelsNotInstalled: the extra `labels` is missing.
    """
    for name, length_mm in (("width_mm", width_mm), ("height_mm", height_mm), ("module_mm", module_mm)):
        if not isfinite(length_mm):  # Not a number compares as neither too small nor too large.
            raise LabelRefused("a length is a number of millimetres", length=name, value=length_mm)
    if module_mm < MODULE_MM_MIN:
        raise LabelRefused("modules are at least a quarter of a millimetre", module_mm=module_mm)
    symbol = data_matrix(label.message.wire())
    quiet_mm = QUIET_MODULES * module_mm
    symbol_mm = symbol.size_modules * module_mm
    column_x = _MARGIN_MM + symbol_mm + 2 * quiet_mm + 1
    shapes: list[Shape] = [SymbolAt(_MARGIN_MM + quiet_mm, _MARGIN_MM + quiet_mm, module_mm, symbol)]
    below = _identifiers(shapes, label, column_x, width_mm - _MARGIN_MM)
    top = max(below, _MARGIN_MM + symbol_mm + 2 * quiet_mm)
    bottom = _lines(shapes, label, top, width_mm)
    bottom = _warnings(shapes, label, bottom, width_mm)
    if bottom > height_mm - _MARGIN_MM:
        raise LabelTooSmall(
            "the label is not high enough",
            height_mm=f"{height_mm:.1f}",
            height_mm_needed=f"{bottom + _MARGIN_MM:.1f}",
        )
    title = f"{label.chain_of_identity.printed_compact} {label.donation.number} {label.product.content}"
    return Drawing(width_mm, height_mm, title, tuple(shapes))


def _identifiers(shapes: list[Shape], label: MaterialLabel, x: float, right: float) -> float:
    """Draws the identifiers beside the symbol and returns where they end."""
    y = _MARGIN_MM
    rows = (
        ("CHAIN OF IDENTITY", label.chain_of_identity.format_print(), True),
        ("DONATION NUMBER", label.donation.format_print(), True),
        ("PRODUCT CODE", _product_text(label), False),
    )
    for caption, text, checked in rows:
        y += _CAPTION_MM
        small = fitted_size_mm(caption, Font.WORDS, width_mm=right - x, size_mm=_CAPTION_MM, size_mm_min=_SIZE_MM_MIN)
        shapes.append(Text(x, y, caption, small))
        size = fitted_size_mm(
            text, Font.IDENTIFIER, width_mm=right - x, size_mm=_IDENTIFIER_MM, size_mm_min=_SIZE_MM_MIN
        )
        y += size
        shapes.append(Text(x, y, text, size, Font.IDENTIFIER))
        if checked:
            # The check character stands in a box, so that nobody takes it for a part of the number.
            before = width_mm_of(text[:-1], size, Font.IDENTIFIER)
            pad = size * 0.12
            high = size * _CAPITAL_HEIGHT
            wide = width_mm_of(text[-1], size, Font.IDENTIFIER)
            shapes.append(Box(x + before - pad, y - high - pad, wide + 2 * pad, high + 2 * pad))
        y += size * (_LINE_GAP - 1) + 0.6
    return y


def _product_text(label: MaterialLabel) -> str:
    divided = f" {label.division.content}" if label.division is not None else ""
    return label.product.content + divided


def _lines(shapes: list[Shape], label: MaterialLabel, top: float, width_mm: float) -> float:
    """Draws what is read as sentences and returns where it ends."""
    facility = label.processing_facility
    lines = [
        (label.product_name, Font.BOLD),
        (f"Collected {_moment_text(label.collected_at)}" if label.collected_at else "", Font.WORDS),
        (f"Expires {_moment_text(label.expires_at)}" if label.expires_at else "", Font.BOLD),
        (label.storage, Font.WORDS),
        (f"Processed by {facility.format_print()}" if facility else "", Font.WORDS),
        (f"SEC donation {label.donation_sequence.format_print()}" if label.donation_sequence else "", Font.WORDS),
        (f"MPHO {label.unique_identifier.format_print()}", Font.WORDS),
    ]
    y = top + 0.5
    for text, font in lines:
        if not text:
            continue
        width = width_mm - 2 * _MARGIN_MM
        size = fitted_size_mm(text, font, width_mm=width, size_mm=_TEXT_MM, size_mm_min=_SIZE_MM_MIN)
        shapes.append(Text(_MARGIN_MM, y + size, text, size, font))
        y += size * _LINE_GAP
    return y


def _warnings(shapes: list[Shape], label: MaterialLabel, top: float, width_mm: float) -> float:
    """Draws each warning as white on black across the label and returns where they end."""
    y = top + 0.8
    width = width_mm - 2 * _MARGIN_MM
    for text in label.warnings:
        size = fitted_size_mm(text, Font.BOLD, width_mm=width - 2, size_mm=_WARNING_MM, size_mm_min=_SIZE_MM_MIN)
        band = size * 1.3
        shapes.append(Box(_MARGIN_MM, y, width, band, line_mm=0))
        baseline = y + (band + size * _CAPITAL_HEIGHT) / 2
        shapes.append(Text(width_mm / 2, baseline, text, size, Font.BOLD, centred=True, inverse=True))
        y += band + 0.6
    return y


def _moment_text(moment: datetime) -> str:
    """Returns `01 MAR 2025 15:30 CET (14:30 UTC)`, with UTC's day where it is another."""
    utc = moment.astimezone(UTC)
    local = f"{print_day(moment.date())} {moment:%H:%M}"
    day = "" if utc.date() == moment.date() else f"{print_day(utc.date())} "
    zone = moment.tzname() or ""
    return f"{local} UTC" if zone == "UTC" else f"{local} {zone} ({day}{utc:%H:%M} UTC)"
