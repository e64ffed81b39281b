"""Draw labels and forms: Data Matrix and QR symbols with the text that people read, as SVG and PDF.

Needs the extra `labels` (zxing-cpp for symbols, reportlab for PDF), which is loaded when something is drawn and not
before: importing this package costs a light install nothing.
"""

from cellcustody.clients.labels.downtime_form import Paper, draft_body, draw_form, names_unit
from cellcustody.clients.labels.drawing import Drawing
from cellcustody.clients.labels.errors import FormCodeMalformed, LabelRefused, LabelsNotInstalled, LabelTooSmall
from cellcustody.clients.labels.form_code import FORM_ID_BYTES, FormCode, parse_form_code
from cellcustody.clients.labels.label import LABEL_HEIGHT_MM, LABEL_WIDTH_MM, MODULE_MM, MaterialLabel, draw_label
from cellcustody.clients.labels.pdf import pdf_of
from cellcustody.clients.labels.svg import svg_of
from cellcustody.clients.labels.symbols import Symbol, data_matrix, gs1_data_matrix, qr_code

__all__ = [
    "FORM_ID_BYTES",
    "LABEL_HEIGHT_MM",
    "LABEL_WIDTH_MM",
    "MODULE_MM",
    "Drawing",
    "FormCode",
    "FormCodeMalformed",
    "LabelRefused",
    "LabelTooSmall",
    "LabelsNotInstalled",
    "MaterialLabel",
    "Paper",
    "Symbol",
    "data_matrix",
    "draft_body",
    "draw_form",
    "draw_label",
    "gs1_data_matrix",
    "names_unit",
    "parse_form_code",
    "pdf_of",
    "qr_code",
    "svg_of",
]
