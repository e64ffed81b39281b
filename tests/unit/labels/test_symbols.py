"""Symbols say what they should, and nothing is drawn that does not read back."""

from __future__ import annotations

import sys

import pytest
import zxingcpp
from drawings_read import every_character_of
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfbase.pdfmetrics import stringWidth

from cellcustody.clients.labels import Symbol, data_matrix, gs1_data_matrix, qr_code
from cellcustody.clients.labels.drawing import Font, fitted_size_mm, printable, width_mm_of
from cellcustody.clients.labels.errors import LabelRefused, LabelsNotInstalled, LabelTooSmall
from cellcustody.ledger.identifiers import Giai, Gln, Grai, Sscc, parse_scan

ASCII = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=120)


def _read(symbol: Symbol, *, turned: bool = False) -> list[zxingcpp.Barcode]:
    """Returns what a reader finds in the modules, four pixels each, five modules of white around."""
    scale, quiet = 4, 5
    rows = [list(row) for row in symbol.modules]
    if turned:
        rows = [list(row) for row in zip(*rows[::-1], strict=True)]
    blank = [False] * (len(rows) + 2 * quiet)
    framed = [blank] * quiet + [[False] * quiet + row + [False] * quiet for row in rows] + [blank] * quiet
    pixels = bytearray()
    for row in framed:
        pixels += bytes(0 if dark else 255 for dark in row for _ in range(scale)) * scale
    side = len(framed) * scale
    return list(zxingcpp.read_barcodes(memoryview(pixels).cast("B", (side, side)), text_mode=zxingcpp.TextMode.Plain))


@settings(max_examples=60, deadline=None)
@given(ASCII, st.sampled_from([data_matrix, qr_code]), st.booleans())
def test_whatever_is_drawn_is_read_back(text: str, drawn: object, turned: bool) -> None:
    """Any text, either symbol, from the front and turned by a quarter."""
    assert callable(drawn)
    (found,) = _read(drawn(text), turned=turned)
    assert found.text == text


def test_a_data_matrix_is_ecc_200_and_square() -> None:
    """The solid edges are at the left and the bottom, the timing pattern at the top and the right."""
    symbol = data_matrix("=+02000=A99991712345600&/CHA999925000001")
    last = symbol.size_modules - 1
    assert all(len(row) == symbol.size_modules for row in symbol.modules)
    assert all(row[0] for row in symbol.modules) and all(symbol.modules[last])
    assert [row[last] for row in symbol.modules] == [place % 2 == 1 for place in range(symbol.size_modules)]
    assert symbol.size_modules % 2 == 0  # ECC 200 sizes are even, those before it odd.
    (found,) = _read(symbol)
    assert (found.format, found.symbology_identifier) == (zxingcpp.BarcodeFormat.DataMatrix, "]d1")


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_data_matrix_forgives_a_few_wrong_modules(data: st.DataObject) -> None:
    """A speck on the label changes nothing: the text is the same."""
    symbol = data_matrix("=+02000=A99991712345600&/CHA999925000001")
    y, x = (data.draw(st.integers(1, symbol.size_modules - 2)) for _ in range(2))
    rows = [list(row) for row in symbol.modules]
    rows[y][x] = not rows[y][x]
    (found,) = _read(Symbol(symbol.text, tuple(map(tuple, rows))))
    assert found.text == symbol.text


def test_gs1_keys_go_into_a_gs1_symbol_and_come_back_as_the_keys() -> None:
    """The scanner announces GS1 data, so that the parser takes it for such."""
    keys = (Sscc("106141412345678908"), Grai("00614141007349SHIPPER-1"), Giai("0614141LOG-7"), Gln("9506000134352"))
    (found,) = _read(gs1_data_matrix(*keys))
    assert found.symbology_identifier == "]d2"
    assert [part.value for part in parse_scan(found.symbology_identifier + found.text)] == list(keys)


def test_a_value_with_brackets_is_no_gs1_symbol() -> None:
    """The library takes brackets for application identifiers."""
    with pytest.raises(LabelRefused):
        gs1_data_matrix(Giai("0614141(17)250101"))


@pytest.mark.parametrize("text", ["", "°C", "A" * 4000])
@pytest.mark.parametrize("drawn", [data_matrix, qr_code])
def test_what_no_symbol_holds_is_refused(text: str, drawn: object) -> None:
    """Nothing, other scripts, too much."""
    assert callable(drawn)
    with pytest.raises(LabelRefused):
        drawn(text)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A light install is told, not shown a traceback of an import."""
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    with pytest.raises(LabelsNotInstalled) as refusal:
        data_matrix("A")
    assert refusal.value.reason == "LABELS_NOT_INSTALLED"
    assert "zxing-cpp" in str(refusal.value)


@pytest.mark.parametrize("font", list(Font))
def test_text_is_never_wider_than_was_measured(font: Font) -> None:
    """Measured against the font metrics of an independent library, every character that can be printed."""
    for character in every_character_of(font):
        true = stringWidth(character, font.value, 1000)
        measured = width_mm_of(character, 1000, font)
        assert measured >= true - 1e-6, character
        if character.isascii():
            assert measured == pytest.approx(true)


def test_text_shrinks_to_its_place_and_is_refused_below_the_least_size() -> None:
    """It is never cut."""
    text = "FOR AUTOLOGOUS USE ONLY"
    size = fitted_size_mm(text, Font.BOLD, width_mm=40, size_mm=5, size_mm_min=1.8)
    assert width_mm_of(text, size, Font.BOLD) == pytest.approx(40)
    with pytest.raises(LabelTooSmall):
        fitted_size_mm(text, Font.BOLD, width_mm=10, size_mm=5, size_mm_min=1.8)


@pytest.mark.parametrize("text", ["\u0421", "line\nbreak", "\x00", "\u6f22"])
def test_what_the_fonts_cannot_print_is_refused(text: str) -> None:
    """A box instead of a letter would be read as something."""
    with pytest.raises(LabelRefused):
        printable(text)
