"""Statements and receipts as SCITT and COSE objects, for export only (docs/formats/scitt.md).

Nothing in the ledger is verified by them: its own formats stand underneath, whole, as the payload.
"""

from cellcustody.ledger.scitt.building import ScittExport, build_scitt
from cellcustody.ledger.scitt.objects import (
    TREE_SIZE_LABEL,
    CoseKeyUnfitError,
    sign_receipt,
    transparent_statement,
)
from cellcustody.ledger.scitt.reading import ScittInvalidError, TransparentStatement, verify_transparent_statement

__all__ = [
    "TREE_SIZE_LABEL",
    "CoseKeyUnfitError",
    "ScittExport",
    "ScittInvalidError",
    "TransparentStatement",
    "build_scitt",
    "sign_receipt",
    "transparent_statement",
    "verify_transparent_statement",
]
