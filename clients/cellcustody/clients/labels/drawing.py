"""A page as a list of shapes in millimetres, the same for SVG and PDF, with text measured so that nothing overflows.

* Millimetres from the top left corner; a text's place is its baseline. Font sizes are millimetres too.
* Only fonts that every PDF reader and browser has: Helvetica for words, Courier for identifiers, where 0 and O differ
  most and every character is as wide as another.
* Only characters of Windows code page 1252, which those fonts have: others would print as boxes, so they are refused.
* Widths are exact for ASCII and accented letters and an upper bound for the rest. SVG states them too, since a machine
  without the fonts takes wider ones, and a warning must not lose its first word.

Source of widths: Adobe Font Metrics of the 14 standard PDF fonts, in thousandths of the font size.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cellcustody.clients.labels.errors import LabelRefused, LabelTooSmall
from cellcustody.clients.labels.symbols import Symbol

__all__ = ["Box", "Drawing", "Font", "Shape", "SymbolAt", "Text", "fitted_size_mm", "printable", "width_mm_of"]

_COURIER_WIDTH: Final = 600
# What labels use beyond ASCII, in both faces; an accent makes a regular i wider and no other letter.
_WIDTHS_BEYOND: Final = {
    **dict.fromkeys("ìíîï", 278),
    **dict.fromkeys("ßøµ", 611),
    **dict.fromkeys("±×", 584),
    **dict.fromkeys("–€", 556),
    "°": 400,
    "·": 278,
}
_WIDEST: Final = 1000  # For characters beyond ASCII: none of the code page is wider in Helvetica bold.
# Space to tilde.
_HELVETICA_WIDTHS: Final = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778,
    722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278,
    278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_HELVETICA_BOLD_WIDTHS: Final = (
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778,
    722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333,
    278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
)  # fmt: skip


class Font(Enum):
    """The faces used; the value is the standard PDF name."""

    WORDS = "Helvetica"
    BOLD = "Helvetica-Bold"
    IDENTIFIER = "Courier-Bold"


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x_mm` is its left end, or its middle where `centred`; white where `inverse`."""

    x_mm: float
    baseline_mm: float
    text: str
    size_mm: float
    font: Font = Font.WORDS
    centred: bool = False
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: outlined with `line_mm`, or filled with black where that is 0."""

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    line_mm: float = 0.2


@dataclass(frozen=True, slots=True)
class SymbolAt:
    """A symbol with its upper left module at the place given; the quiet zone around it is the layout's to keep."""

    x_mm: float
    y_mm: float
    module_mm: float
    symbol: Symbol


Shape = Text | Box | SymbolAt


@dataclass(frozen=True, slots=True)
class Drawing:
    """One page or label; `title` is for readers of the file and is not drawn."""

    width_mm: float
    height_mm: float
    title: str
    shapes: tuple[Shape, ...]


def printable(text: str) -> str:
    """Returns `text` if every character of it can be printed, or raises `LabelRefused` at the first that cannot."""
    for offset, character in enumerate(text):
        try:
            character.encode("cp1252")
        except UnicodeEncodeError as refusal:
            raise LabelRefused("a character cannot be printed", offset=offset, value=ascii(character)) from refusal
        if not character.isprintable():
            raise LabelRefused("a character cannot be printed", offset=offset, value=ascii(character))
    return text


def width_mm_of(text: str, size_mm: float, font: Font) -> float:
    """Returns what a text takes in millimetres, or the most that it can take."""
    if font is Font.IDENTIFIER:
        return len(text) * _COURIER_WIDTH * size_mm / 1000
    widths = _HELVETICA_BOLD_WIDTHS if font is Font.BOLD else _HELVETICA_WIDTHS
    total = 0
    for character in text:
        known = _WIDTHS_BEYOND.get(character)
        place = ord(unicodedata.normalize("NFD", character)[0]) - ord(" ")  # Accents take no width of their own.
        total += known or (widths[place] if 0 <= place < len(widths) else _WIDEST)
    return total * size_mm / 1000


def fitted_size_mm(text: str, font: Font, *, width_mm: float, size_mm: float, size_mm_min: float) -> float:
    """Returns the size, at most `size_mm`, at which a text fits `width_mm`.

    Raises:
        LabelTooSmall: it would be smaller than `size_mm_min`, which is the least that is read by eye.
    """
    needed = width_mm_of(text, size_mm, font)
    fitted = size_mm if needed <= width_mm else size_mm * width_mm / needed
    if fitted < size_mm_min:
        raise LabelTooSmall(
            "a text does not fit",
            text=text,
            width_mm=f"{width_mm:.1f}",
            width_mm_needed=f"{needed * size_mm_min / size_mm:.1f}",
        )
    return fitted
