"""Say what the loggers of its containers show about a material's ways, under the pack that it is judged by.

The rules:

* A way of a material is one container of one consignment. What its loggers showed was worked out when the container was
  inspected; the pack's band for the material's kind and state is held against the extremes that were read.
* Outside the band for no longer than the pack's grace is let pass, if the summary counted against a band no wider. A
  gap longer than the pack lets pass, and a mean kinetic temperature that the pack limits and nobody worked out by the
  pack's activation energy, leave the condition unknown. Unknown is never in range.
* A container with a logger that nobody has read is unknown once the material is used. One without a logger is unknown
  where the pack asks for loggers; elsewhere nothing is said of it.
* A material is frozen from its store within the pack's frozen band until it is thawed; else it is fresh. A pack with
  one band for a kind means that one.
* The stated temperature of a store lies within the band of what is kept there: of a frozen material the frozen one, of
  any other one of those for its kind. One that is stated and cannot be read is in none.
* What quality accepted of a way is in order; the worst of several loggers counts.

Temperatures are in thousandths of a degree Celsius. Pure: nothing here reads a clock, and nothing changes the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from cellcustody.ledger.condition import ACTIVATION_ENERGY_JOULES_PER_MOLE
from cellcustody.ledger.custody.consignment_readings import is_no_wider, loggers_of
from cellcustody.ledger.custody.consignment_state import ContainerState, LoggerReading
from cellcustody.ledger.custody.policy import PolicyPack, TemperatureBand
from cellcustody.ledger.custody.quantities import amount
from cellcustody.ledger.custody.therapy_state import MaterialKind, MaterialState, Packed, TherapyState
from cellcustody.ledger.custody.treatment import HandlingKind
from cellcustody.v1 import common_pb2 as common

__all__ = ["CONDITION_CODES", "band_of", "code_of", "is_store_in_band", "use_findings", "way_condition"]

CONDITION_CODES: Final = frozenset({"EXCURSION", "CONDITION_UNKNOWN", "STORE_OUT_OF_BAND"})
"""Findings whose holds only a disposition with a supporting study ends."""

_FRESH, _FROZEN = "fresh", "frozen"
_THOUSANDTHS: Final = 1000
_CODES: Final[dict[int, str]] = {
    common.CONDITION_OUT_OF_RANGE: "EXCURSION",
    common.CONDITION_UNKNOWN: "CONDITION_UNKNOWN",
}


def code_of(condition: common.Condition.ValueType | None) -> str | None:
    """Returns the finding that a condition makes; None for one in range, or of which nothing is to be said."""
    return None if condition is None else _CODES.get(condition)


def band_of(pack: PolicyPack, material: MaterialState) -> TemperatureBand | None:
    """Returns the band that the pack has for a material of this kind in its state."""
    kind = MaterialKind(material.kind).name.lower()
    bands = [one for one in pack.temperature_bands if one.kind == kind]
    if len(bands) == 1:
        return bands[0]
    frozen = pack.band_for(kind, _FROZEN)
    return frozen if frozen is not None and _is_frozen(material, frozen) else pack.band_for(kind, _FRESH)


def _is_frozen(material: MaterialState, band: TemperatureBand) -> bool:
    for one in reversed(material.handlings):
        if one.kind is HandlingKind.STORED and one.millicelsius is not None:
            return band.holds(one.millicelsius)
        if one.kind is HandlingKind.THAWED:
            return False
    return False


def is_store_in_band(
    pack: PolicyPack, material: MaterialState, temperature: common.Quantity, *, was_frozen: bool
) -> bool:
    """Tells whether a store's stated temperature is one that the pack has for what is kept there."""
    kind = MaterialKind(material.kind).name.lower()
    bands = [one for one in pack.temperature_bands if one.kind == kind]
    frozen = pack.band_for(kind, _FROZEN)
    if frozen is not None and material.thawed_at is None and (was_frozen or _is_frozen(material, frozen)):
        bands = [frozen]
    found = amount(temperature, "Cel")
    if not bands or found is None:
        return not bands
    thousandths = found * _THOUSANDTHS
    exact = thousandths.numerator if thousandths.denominator == 1 else thousandths
    return any(band.holds(exact) for band in bands)


def use_findings(state: TherapyState, pack: PolicyPack, material: bytes) -> Iterable[str]:
    """Yields the codes of what keeps a material from use for what its ways, or its ancestors', showed."""
    for member in state.line_of(material):
        for way in member.journeys:
            if way != member.packed and (code := code_of(way_condition(state, pack, member, way))) is not None:
                yield code


def way_condition(
    state: TherapyState, pack: PolicyPack, material: MaterialState, way: Packed
) -> common.Condition.ValueType | None:
    """Returns what is known of one way of a material; None where nothing is to be said of it."""
    if way in material.condition_accepted:
        return common.CONDITION_IN_RANGE
    consignment = state.consignments.get(way.consignment)
    container = None if consignment is None else consignment.containers.get(way.container)
    if container is None:
        return common.CONDITION_UNKNOWN if pack.qualifications_required.logger else None
    loggers = loggers_of(container)
    if not loggers:
        return common.CONDITION_UNKNOWN if pack.qualifications_required.logger else None
    band = band_of(pack, material)
    shown = [_shown(pack, band, container, logger) for logger in sorted(loggers)]
    for worst in (common.CONDITION_OUT_OF_RANGE, common.CONDITION_UNKNOWN):
        if worst in shown:
            return worst
    return common.CONDITION_IN_RANGE


def _shown(
    pack: PolicyPack, band: TemperatureBand | None, container: ContainerState, logger: str
) -> common.Condition.ValueType:
    reading = container.readings.get(logger)
    if reading is None:
        return common.CONDITION_UNKNOWN
    if reading.shown != common.CONDITION_IN_RANGE or band is None:
        return reading.shown
    return _within(pack, band, reading)


def _within(pack: PolicyPack, band: TemperatureBand, reading: LoggerReading) -> common.Condition.ValueType:
    summary = reading.summary
    least, most = _millicelsius(summary, "temperature_min"), _millicelsius(summary, "temperature_max")
    if least is None or most is None:
        return common.CONDITION_UNKNOWN
    if not (band.holds(least) and band.holds(most)):
        grace = pack.excursion.grace_seconds if band.grace_seconds is None else band.grace_seconds
        longest = summary.longest_out_of_band_seconds or summary.out_of_band_seconds
        counted = is_no_wider(summary, _limit(band.millicelsius_min), _limit(band.millicelsius_max))
        if not counted or not longest or longest > grace:
            return common.CONDITION_OUT_OF_RANGE
    if (summary.longest_gap_seconds or summary.gap_seconds) > pack.excursion.gap_seconds_max:
        return common.CONDITION_UNKNOWN
    return _mean_kinetic(pack, band, summary)


def _mean_kinetic(pack: PolicyPack, band: TemperatureBand, summary: common.LoggerSummary) -> common.Condition.ValueType:
    limit = band.mean_kinetic_millicelsius_max
    if limit is None:
        return common.CONDITION_IN_RANGE
    own = pack.excursion.mean_kinetic
    energy = ACTIVATION_ENERGY_JOULES_PER_MOLE if own is None else own.activation_energy_joules_per_mole
    mean = _millicelsius(summary, "temperature_mean_kinetic")
    if mean is None or summary.activation_energy_joules_per_mole != energy:
        return common.CONDITION_UNKNOWN
    return common.CONDITION_OUT_OF_RANGE if mean > limit else common.CONDITION_IN_RANGE


def _millicelsius(summary: common.LoggerSummary, name: str) -> Fraction | None:
    match name:
        case "temperature_min" if summary.HasField("temperature_min"):
            quantity = summary.temperature_min
        case "temperature_max" if summary.HasField("temperature_max"):
            quantity = summary.temperature_max
        case "temperature_mean_kinetic" if summary.HasField("temperature_mean_kinetic"):
            quantity = summary.temperature_mean_kinetic
        case _:
            return None
    found = amount(quantity, "Cel")
    return None if found is None else found * _THOUSANDTHS


def _limit(millicelsius: int | None) -> common.Quantity | None:
    if millicelsius is None:
        return None
    return common.Quantity(mantissa=millicelsius, exponent=-3, unit="Cel", comparator=common.COMPARATOR_EQUAL)
