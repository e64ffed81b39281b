"""Write a drawing as SVG: one file, no scripts, no links, sizes in millimetres.

* One user unit is one millimetre, so that every number in the file is what a ruler shows on the paper.
* A symbol is one path of whole modules in a grid of its own, so that no renderer can leave hairlines between them.
* Fonts are named with their metric equals (Arial, Liberation) for machines without Helvetica and Courier, and
  every text says how long it is: in a wider face a warning would lose its first word, and a check character its box.
"""

from __future__ import annotations

from typing import Final, assert_never
from xml.sax.saxutils import escape

from cellcustody.clients.labels.drawing import Box, Drawing, Font, Shape, SymbolAt, Text, width_mm_of
from cellcustody.clients.labels.symbols import Symbol

__all__ = ["svg_of"]

_FONTS: Final = {
    Font.WORDS: 'font-family="Helvetica, Arial, Liberation Sans, sans-serif"',
    Font.BOLD: 'font-family="Helvetica, Arial, Liberation Sans, sans-serif" font-weight="bold"',
    Font.IDENTIFIER: 'font-family="Courier, Courier New, Liberation Mono, monospace" font-weight="bold"',
}


def svg_of(drawing: Drawing) -> str:
    """Returns the drawing as the text of an SVG file."""
    width, height = _number(drawing.width_mm), _number(drawing.height_mm)
    size = f'width="{width}mm" height="{height}mm" viewBox="0 0 {width} {height}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>{escape(drawing.title)}</title>",
        f'<rect x="0" y="0" width="{width}" height="{height}" fill="white"/>',
        *(_shape(shape) for shape in drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _shape(shape: Shape) -> str:
    match shape:
        case Text():
            options = ' text-anchor="middle"' if shape.centred else ""
            length = _number(width_mm_of(shape.text, shape.size_mm, shape.font))
            options += f' textLength="{length}" lengthAdjust="spacingAndGlyphs"'
            fill = "white" if shape.inverse else "black"
            return (
                f'<text x="{_number(shape.x_mm)}" y="{_number(shape.baseline_mm)}" font-size="{_number(shape.size_mm)}"'
                f' {_FONTS[shape.font]} fill="{fill}"{options} xml:space="preserve">{escape(shape.text)}</text>'
            )
        case Box():
            paint = (
                f'fill="none" stroke="black" stroke-width="{_number(shape.line_mm)}"'
                if shape.line_mm
                else 'fill="black"'
            )
            return (
                f'<rect x="{_number(shape.x_mm)}" y="{_number(shape.y_mm)}" width="{_number(shape.width_mm)}"'
                f' height="{_number(shape.height_mm)}" {paint}/>'
            )
        case SymbolAt():
            place = f"translate({_number(shape.x_mm)} {_number(shape.y_mm)}) scale({_number(shape.module_mm)})"
            return f'<path transform="{place}" fill="black" shape-rendering="crispEdges" d="{_modules(shape.symbol)}"/>'
        case _:
            assert_never(shape)


def _modules(symbol: Symbol) -> str:
    """Returns the dark modules as rectangles one module high."""
    return "".join(f"M{x} {y}h{length}v1h{-length}z" for x, y, length in symbol.dark_runs())


def _number(value: float) -> str:
    # A hundredth of a millimetre is finer than any label printer's dot; modules need a little more.
    return f"{value:.4f}".rstrip("0").rstrip(".")
