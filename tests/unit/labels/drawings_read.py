"""Look at what was drawn: pixels of an SVG or a PDF, and the symbols that an independent reader finds in them."""

from __future__ import annotations

import re
from itertools import chain
from typing import Final
from xml.etree import ElementTree

import pypdfium2
import zxingcpp

from cellcustody.clients.labels.drawing import Box, Drawing, Font, SymbolAt, Text, width_mm_of

PIXELS_PER_MM: Final = 12
_RUN: Final = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")
_PLACE: Final = re.compile(r"translate\(([\d.]+) ([\d.]+)\) scale\(([\d.]+)\)")
_NAMESPACE: Final = "{http://www.w3.org/2000/svg}"


def symbols_in_svg(svg: str) -> list[zxingcpp.Barcode]:
    """Returns the symbols read from the picture that the file's rectangles and paths make, text left out."""
    root = ElementTree.fromstring(svg)
    width, height = (round(float(root.attrib[side].removesuffix("mm")) * PIXELS_PER_MM) for side in ("width", "height"))
    assert root.attrib["viewBox"].split() == [
        "0",
        "0",
        *(root.attrib[s].removesuffix("mm") for s in ("width", "height")),
    ]
    pixels = bytearray(b"\xff" * (width * height))

    def blacken(x_mm: float, y_mm: float, width_mm: float, height_mm: float) -> None:
        left, right = round(x_mm * PIXELS_PER_MM), round((x_mm + width_mm) * PIXELS_PER_MM)
        for y in range(round(y_mm * PIXELS_PER_MM), round((y_mm + height_mm) * PIXELS_PER_MM)):
            pixels[y * width + left : y * width + right] = bytes(right - left)

    for element in root.iter(f"{_NAMESPACE}rect"):
        if element.attrib["fill"] == "black":
            blacken(*(float(element.attrib[name]) for name in ("x", "y", "width", "height")))
    for element in root.iter(f"{_NAMESPACE}path"):
        place = _PLACE.fullmatch(element.attrib["transform"])
        assert place is not None
        x_mm, y_mm, module_mm = map(float, place.groups())
        assert _RUN.sub("", element.attrib["d"]) == ""
        for x, y, length, back in (map(int, run) for run in _RUN.findall(element.attrib["d"])):
            assert length == back
            blacken(x_mm + x * module_mm, y_mm + y * module_mm, length * module_mm, module_mm)
    return list(
        zxingcpp.read_barcodes(memoryview(pixels).cast("B", (height, width)), text_mode=zxingcpp.TextMode.Plain)
    )


def symbols_in_pdf(pdf: bytes) -> list[list[zxingcpp.Barcode]]:
    """Returns the symbols read from each page as another program shows it at 300 dots an inch."""
    document = pypdfium2.PdfDocument(pdf)
    return [
        list(zxingcpp.read_barcodes(page.render(scale=300 / 72).to_pil(), text_mode=zxingcpp.TextMode.Plain))
        for page in document
    ]


def text_in_pdf(pdf: bytes) -> list[str]:
    """Returns the text of each page, as another program reads it."""
    return [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf)]


def text_in_svg(svg: str) -> list[str]:
    """Returns the texts in the order in which they stand in the file."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{_NAMESPACE}text")]


def rectangles(drawing: Drawing) -> list[tuple[float, float, float, float]]:
    """Returns left, top, right and bottom of every text and box."""
    found = []
    for shape in drawing.shapes:
        match shape:
            case Text():
                width = width_mm_of(shape.text, shape.size_mm, shape.font)
                left = shape.x_mm - width / 2 if shape.centred else shape.x_mm
                found.append(
                    (
                        left,
                        shape.baseline_mm - 0.75 * shape.size_mm,
                        left + width,
                        shape.baseline_mm + 0.22 * shape.size_mm,
                    )
                )
            case Box():
                found.append((shape.x_mm, shape.y_mm, shape.x_mm + shape.width_mm, shape.y_mm + shape.height_mm))
            case SymbolAt():
                pass
    return found


def symbol_area(drawing: Drawing, quiet_modules: int) -> tuple[float, float, float, float]:
    """Returns left, top, right and bottom of the one symbol with its quiet zone."""
    (shape,) = (each for each in drawing.shapes if isinstance(each, SymbolAt))
    quiet = quiet_modules * shape.module_mm
    size = shape.symbol.size_modules * shape.module_mm
    return shape.x_mm - quiet, shape.y_mm - quiet, shape.x_mm + size + quiet, shape.y_mm + size + quiet


def overlaps(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Returns whether two areas share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def every_character_of(font: Font) -> str:
    """Returns the characters of the code page that a font can print."""
    codes = chain(range(32, 127), range(128, 256))
    text = "".join(bytes([code]).decode("cp1252", errors="ignore") for code in codes)
    return "".join(character for character in text if character.isprintable())
