"""Read temperatures exactly: text in a declared unit to whole thousandths of a degree Celsius.

The rules:

* A temperature is a decimal number with a point, in Celsius, Fahrenheit or Kelvin; the unit is declared, never guessed.
* Celsius and Kelvin are taken exactly to a thousandth; Fahrenheit is rounded to the nearest (half to even), so that it
  is off by at most half a thousandth.
* What lies below absolute zero, or above what a logger of cells survives, is no temperature.
"""

from __future__ import annotations

import re
from enum import StrEnum
from fractions import Fraction
from typing import Final

from cellcustody.ledger.condition.errors import LoggerFileMalformedError, LoggerUnitUnknownError

__all__ = ["ABSOLUTE_ZERO_MILLICELSIUS", "TemperatureUnit", "millicelsius", "unit_named"]

ABSOLUTE_ZERO_MILLICELSIUS: Final = -273_150
_MILLICELSIUS_MAX: Final = 200_000  # Beyond an autoclave: a broken sensor, not a reading.
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,5}(?:\.[0-9]{1,6})?")


class TemperatureUnit(StrEnum):
    """A unit of temperature, by its UCUM code."""

    CELSIUS = "Cel"
    FAHRENHEIT = "[degF]"
    KELVIN = "K"


_NAMES: Final = {
    "c": TemperatureUnit.CELSIUS,
    "°c": TemperatureUnit.CELSIUS,
    "cel": TemperatureUnit.CELSIUS,
    "celsius": TemperatureUnit.CELSIUS,
    "f": TemperatureUnit.FAHRENHEIT,
    "°f": TemperatureUnit.FAHRENHEIT,
    "[degf]": TemperatureUnit.FAHRENHEIT,
    "fahrenheit": TemperatureUnit.FAHRENHEIT,
    "k": TemperatureUnit.KELVIN,
    "kelvin": TemperatureUnit.KELVIN,
}


def unit_named(name: str, line: int) -> TemperatureUnit:
    """Returns the unit that a file names, such as °C, F, Cel or Kelvin.

    Raises:
        LoggerUnitUnknownError: it is none of them.
    """
    found = _NAMES.get(name.strip().replace("\u00ba", "°").lower())
    if found is None:
        raise LoggerUnitUnknownError("the unit is not known", line=line, unit=name)
    return found


def millicelsius(text: str, unit: TemperatureUnit, line: int) -> int:
    """Returns a temperature in thousandths of a degree Celsius.

    Raises:
        LoggerFileMalformedError: the text is no number in this form, or no temperature.
    """
    if not _NUMBER.fullmatch(text):
        raise LoggerFileMalformedError("the temperature is no decimal number", line=line, temperature=text)
    number = Fraction(text) * 1000
    match unit:
        case TemperatureUnit.CELSIUS:
            exact = number
        case TemperatureUnit.KELVIN:
            exact = number + ABSOLUTE_ZERO_MILLICELSIUS
        case TemperatureUnit.FAHRENHEIT:
            exact = (number - 32_000) * 5 / 9
    if not ABSOLUTE_ZERO_MILLICELSIUS <= exact <= _MILLICELSIUS_MAX:
        raise LoggerFileMalformedError("no logger of cells has this temperature", line=line, temperature=text)
    return round(exact)
