"""Quantities, documents and scans as the simulated people write them."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Final

from cellcustody.v1 import common_pb2 as common

__all__ = ["DAY", "HOUR", "MICROS", "MINUTE", "celsius", "document", "exact", "scanned", "volume"]

MICROS: Final = 1_000_000
MINUTE: Final = 60 * MICROS
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_EXPONENT_MIN: Final = -12


def exact(amount: Fraction | int, unit: str) -> common.Quantity:
    """Returns a measured quantity that is exactly `amount`, in a UCUM unit.

    Raises:
        ValueError: the amount has no decimal form of a dozen places.
    """
    for exponent in range(0, _EXPONENT_MIN - 1, -1):
        mantissa = Fraction(amount) * Fraction(10) ** -exponent
        if mantissa.denominator == 1:
            return common.Quantity(
                mantissa=int(mantissa),
                exponent=exponent,
                unit=unit,
                comparator=common.COMPARATOR_EQUAL,
                basis=common.QUANTITY_BASIS_MEASURED,
            )
    raise ValueError("the amount has no exact decimal form")


def volume(millilitres: Fraction | int) -> common.Quantity:
    """Returns a measured volume."""
    return exact(millilitres, "mL")


def celsius(millicelsius: int) -> common.Quantity:
    """Returns a measured temperature, of thousandths of a degree Celsius."""
    return exact(Fraction(millicelsius, 1000), "Cel")


def document(kind: str, *content: str | int | bytes) -> common.Document:
    """Returns a document of a kind, by the digest of what it is made of here."""
    digest = hashlib.sha256(repr((kind, content)).encode()).digest()
    return common.Document(sha256=digest, kind=kind, media_type="application/pdf")


def scanned(raw: str) -> common.Scan:
    """Returns what a scanner read."""
    return common.Scan(raw=raw, method=common.READ_METHOD_SCANNED)
