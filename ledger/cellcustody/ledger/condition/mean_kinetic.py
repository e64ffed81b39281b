"""Work out the mean kinetic temperature: the one temperature that would have stressed a product as much as all of them.

The rules:

* The formula is that of ICH Q1A(R2), glossary, after Haynes (1971), as USP <1079.2> gives it for readings at equal
  intervals: with temperatures in kelvin, T = (E/R) / -ln(sum(exp(-E/(R Ti))) / n).
* E is the activation energy in joules per mole: a product's own where its pack names one, else 83,144, which the same
  sources take for most medicines. R is 8.3144 J/(mol K), so that with that energy E/R is 10,000 K exactly.
* Only readings count: a gap adds nothing. The result is in whole thousandths of a degree Celsius, half to even.
* It is worked out in decimals of 40 digits, so that every machine finds the same; no float takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from cellcustody.ledger.condition.errors import ActivationEnergyError
from cellcustody.ledger.condition.temperatures import ABSOLUTE_ZERO_MILLICELSIUS

__all__ = ["ACTIVATION_ENERGY_JOULES_PER_MOLE", "mean_kinetic_millicelsius"]

ACTIVATION_ENERGY_JOULES_PER_MOLE: Final = 83_144
_GAS_CONSTANT: Final = Decimal("8.3144")  # J/(mol K), as rounded by the sources that give 83.144 kJ/mol.
_ENERGY_MAX: Final = 1_000_000  # Far beyond any bond that breaks on a shelf.
_CONTEXT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)


def mean_kinetic_millicelsius(
    counts: Mapping[int, int], energy_joules_per_mole: int = ACTIVATION_ENERGY_JOULES_PER_MOLE
) -> int | None:
    """Returns the mean kinetic temperature of readings counted by thousandths of a degree Celsius; None of none.

    Raises:
        ActivationEnergyError: the energy is not positive, or no product's.
    """
    if not 0 < energy_joules_per_mole <= _ENERGY_MAX:
        raise ActivationEnergyError("no product has this activation energy", joules_per_mole=energy_joules_per_mole)
    total = sum(counts.values())
    if not total:
        return None
    ratio = _CONTEXT.divide(Decimal(energy_joules_per_mole), _GAS_CONSTANT)
    # Relative to the warmest reading, so that no term is too small to count beside the others.
    warmest = max(counts)
    if warmest == ABSOLUTE_ZERO_MILLICELSIUS:
        return warmest
    reference = _CONTEXT.divide(ratio, _kelvin(warmest))
    stress = Decimal(0)
    for millicelsius in sorted(counts):
        if millicelsius == ABSOLUTE_ZERO_MILLICELSIUS:
            continue  # Nothing moves there.
        power = _CONTEXT.subtract(reference, _CONTEXT.divide(ratio, _kelvin(millicelsius)))
        stress = _CONTEXT.add(stress, _CONTEXT.multiply(Decimal(counts[millicelsius]), _CONTEXT.exp(power)))
    mean = _CONTEXT.ln(_CONTEXT.divide(stress, Decimal(total)))
    kelvin = _CONTEXT.divide(ratio, _CONTEXT.subtract(reference, mean))
    millikelvin = _CONTEXT.multiply(kelvin, Decimal(1000)).to_integral_value(ROUND_HALF_EVEN, _CONTEXT)
    return int(millikelvin) + ABSOLUTE_ZERO_MILLICELSIUS


def _kelvin(millicelsius: int) -> Decimal:
    return Decimal(millicelsius - ABSOLUTE_ZERO_MILLICELSIUS).scaleb(-3)
