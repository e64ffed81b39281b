"""Write drawings as PDF, one page each, with reportlab.

* The same drawings give the same bytes: no date, no random identifier.
* Fonts are those that every PDF reader brings, so none is embedded; text stays text and can be searched.
* reportlab is loaded when the first PDF is made.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, assert_never

from cellcustody.clients.labels.drawing import Box, Drawing, Shape, SymbolAt, Text
from cellcustody.clients.labels.errors import LabelsNotInstalled

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

__all__ = ["pdf_of"]

_POINTS_PER_MM: Final = 72 / 25.4


def pdf_of(drawings: Sequence[Drawing]) -> bytes:
    """Returns a PDF file with a page for each drawing, of the drawing's own size.

    Raises:
        LabelsNotInstalled: the extra `labels` is missing.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ModuleNotFoundError as missing:
        raise LabelsNotInstalled("reportlab") from missing
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True, pageCompression=1)
    canvas.setTitle(drawings[0].title)
    canvas.setCreator("cellcustody")
    for drawing in drawings:
        canvas.setPageSize((drawing.width_mm * _POINTS_PER_MM, drawing.height_mm * _POINTS_PER_MM))
        # Millimetres from the top left, as drawings have them; PDF counts points from the bottom left.
        canvas.scale(_POINTS_PER_MM, _POINTS_PER_MM)
        for shape in drawing.shapes:
            _draw(canvas, shape, drawing.height_mm)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw(canvas: Canvas, shape: Shape, page_height_mm: float) -> None:
    match shape:
        case Text():
            canvas.setFillGray(1 if shape.inverse else 0)
            canvas.setFont(shape.font.value, shape.size_mm)
            place = canvas.drawCentredString if shape.centred else canvas.drawString
            place(shape.x_mm, page_height_mm - shape.baseline_mm, shape.text)
        case Box():
            canvas.setFillGray(0)
            canvas.setLineWidth(shape.line_mm)
            bottom = page_height_mm - shape.y_mm - shape.height_mm
            filled = shape.line_mm == 0
            canvas.rect(shape.x_mm, bottom, shape.width_mm, shape.height_mm, stroke=not filled, fill=filled)
        case SymbolAt():
            canvas.setFillGray(0)
            path = canvas.beginPath()
            for x, y, length in shape.symbol.dark_runs():
                path.rect(
                    shape.x_mm + x * shape.module_mm,
                    page_height_mm - shape.y_mm - (y + 1) * shape.module_mm,
                    length * shape.module_mm,
                    shape.module_mm,
                )
            canvas.drawPath(path, stroke=0, fill=1)
        case _:
            assert_never(shape)
