"""Compare quantities exactly, without floats.

The rules:

* Only quantities in the same unit, measured to a number (comparator EQUAL) and within bounds, can be compared.
* What cannot be compared is unknown, and unknown is never in range.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Final

from cellcustody.v1.common_pb2 import COMPARATOR_EQUAL, Quantity

__all__ = ["EXPONENT_MAX", "amount", "compared"]

_NUMBERS_MAX: Final = 4_096  # The same temperatures and volumes come again and again.
EXPONENT_MAX = 30  # No quantity of the field needs more, and 10 ** 2147483647 would stop the ledger.


def amount(quantity: Quantity, unit: str) -> Fraction | None:
    """Returns the exact number in `unit`, or None if the quantity is in another unit, open-ended or out of bounds."""
    if quantity.unit != unit or quantity.comparator != COMPARATOR_EQUAL or abs(quantity.exponent) > EXPONENT_MAX:
        return None
    return _exactly(quantity.mantissa, quantity.exponent)


@lru_cache(maxsize=_NUMBERS_MAX)
def _exactly(mantissa: int, exponent: int) -> Fraction:
    return Fraction(mantissa) * Fraction(10) ** exponent


def compared(left: Quantity, right: Quantity) -> int | None:
    """Returns -1, 0 or 1 as left is less than, equal to or more than right; None if they cannot be compared."""
    a = amount(left, left.unit)
    b = amount(right, left.unit)
    if a is None or b is None:
        return None
    return (a > b) - (a < b)
