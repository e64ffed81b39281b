"""Make two-dimensional symbols: Data Matrix for labels, QR Code for forms.

* A symbol is a square of modules, dark or light, without its quiet zone; who draws it adds `QUIET_MODULES` around.
* Data Matrix is ECC 200 (the library writes no other), always square, since rectangles are read less surely on bags.
* Text is ASCII: what a scanner gives back must not depend on its code page.
* GS1 keys go into a GS1 Data Matrix, which a scanner announces as `]d2`; all else is announced as `]d1` or `]Q1`.
* Every symbol is read back by the library's own reader before it is given out: a symbol that does not say exactly what
  it should is never drawn.

Source: ISO/IEC 16022 (Data Matrix), ISO/IEC 18004 (QR Code). zxing-cpp is loaded when the first symbol is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from cellcustody.clients.labels.errors import LabelRefused, LabelsNotInstalled
from cellcustody.ledger.identifiers import Gs1Element

if TYPE_CHECKING:
    import zxingcpp

__all__ = ["QR_QUIET_MODULES", "QUIET_MODULES", "Symbol", "data_matrix", "gs1_data_matrix", "qr_code"]

QUIET_MODULES: Final = 2  # ISO/IEC 16022 asks for one; a second forgives a printer that bleeds or a skewed label.
QR_QUIET_MODULES: Final = 4  # ISO/IEC 18004 asks for four.
QR_ERROR_CORRECTION: Final = "Q"  # A quarter may be lost: forms lie on benches, and are written on.
_DARK_BELOW: Final = 128
_GROUP_SEPARATOR: Final = "\x1d"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A square symbol: rows from the top, each from the left, True where dark; `text` is what it says."""

    text: str
    modules: tuple[tuple[bool, ...], ...]

    @property
    def size_modules(self) -> int:
        """Returns the length of a side in modules, without the quiet zone."""
        return len(self.modules)

    def dark_runs(self) -> tuple[tuple[int, int, int], ...]:
        """Returns the runs of dark modules along each row: column, row, and length, in modules."""
        runs: list[tuple[int, int, int]] = []
        for y, row in enumerate(self.modules):
            start: int | None = None
            for x, dark in enumerate((*row, False)):
                if dark and start is None:
                    start = x
                elif not dark and start is not None:
                    runs.append((start, y, x - start))
                    start = None
        return tuple(runs)


def data_matrix(text: str) -> Symbol:
    """Returns the Data Matrix symbol (ECC 200) of an ASCII text.

    Raises:
        LabelRefused: the text is empty, not ASCII, or more than a symbol holds.
        LabelsNotInstalled: the extra `labels` is missing.
    """
    return _checked(_created(text, "DataMatrix", force_square=True), text)


def gs1_data_matrix(*elements: Gs1Element) -> Symbol:
    """Returns the GS1 Data Matrix symbol of GS1 keys, FNC1 between them where they need it.

    Raises:
        LabelRefused: a value holds a bracket, or they are more than a symbol holds.
        LabelsNotInstalled: the extra `labels` is missing.
    """
    for element in elements:
        if "(" in element.content or ")" in element.content:
            raise LabelRefused("GS1 values with brackets cannot be drawn", value=element.content)
    wire = ""
    for place, element in enumerate(elements, start=1):
        wire += element.wire()
        wire += "" if element.LENGTH_PREDEFINED or place == len(elements) else _GROUP_SEPARATOR
    bracketed = "".join(f"({element.DATA_IDENTIFIER}){element.content}" for element in elements)
    return _checked(_created(bracketed, "DataMatrix", force_square=True, gs1=True), wire)


def qr_code(text: str) -> Symbol:
    """Returns the QR Code symbol of an ASCII text, error correction level Q.

    Raises:
        LabelRefused: the text is empty, not ASCII, or more than a symbol holds.
        LabelsNotInstalled: the extra `labels` is missing.
    """
    return _checked(_created(text, "QRCode", ec_level=QR_ERROR_CORRECTION), text)


def _created(text: str, format_name: str, **options: bool | str) -> zxingcpp.Barcode:
    try:
        import zxingcpp
    except ModuleNotFoundError as missing:
        raise LabelsNotInstalled("zxing-cpp") from missing
    if not text or not text.isascii():
        raise LabelRefused("a symbol holds ASCII text, and not nothing", characters=len(text))
    try:
        return zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat[format_name], **options)
    except (ValueError, RuntimeError) as refusal:
        raise LabelRefused("no symbol holds this", characters=len(text), because=str(refusal)) from refusal


def _checked(barcode: zxingcpp.Barcode, text: str) -> Symbol:
    import zxingcpp

    # The image is a buffer of rows, which its own stub does not say.
    image = cast(bytes, barcode.to_image(scale=1, add_quiet_zones=False))
    rows = cast(list[list[int]], memoryview(image).tolist())
    symbol = Symbol(text, tuple(tuple(level < _DARK_BELOW for level in row) for row in rows))
    if any(len(row) != symbol.size_modules for row in symbol.modules):
        raise LabelRefused("no square symbol holds this", characters=len(text))
    read = zxingcpp.read_barcodes(barcode.to_image(scale=4), text_mode=zxingcpp.TextMode.Plain)
    if [each.text for each in read] != [text]:
        raise LabelRefused("the symbol does not read back as what it should say", characters=len(text))
    return symbol
