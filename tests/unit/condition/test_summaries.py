"""What a logger's file shows: worked out by hand here, and by other means than the code's where there are any."""

from __future__ import annotations

import io
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.condition import (
    ActivationEnergyError,
    Band,
    Declared,
    Head,
    Layout,
    Leg,
    Reading,
    Shown,
    Summary,
    TemperatureUnit,
    logger_summary,
    mean_kinetic_millicelsius,
    summarise,
    summarise_readings,
    unreadable_logger,
)
from cellcustody.v1 import common_pb2 as common

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_772_359_200 * SECOND  # 2026-03-01T10:00:00Z
FRIDGE = Band(2_000, 8_000)
HEAD = Head(Layout.NEUTRAL, "L", "", TemperatureUnit.CELSIUS, 300, None, None)


def shows(*tenths: int, band: Band | None = FRIDGE, minutes: list[int] | None = None) -> Summary:
    """Returns what readings in tenths of a degree show, five minutes apart unless `minutes` says when."""
    when = [5 * number for number in range(len(tenths))] if minutes is None else minutes
    return summarise_readings(
        HEAD,
        [Reading(START + at * MINUTE, one * 100, 7) for at, one in zip(when, tenths, strict=True)],
        band=band,
    )


def test_readings_within_the_band_are_in_range() -> None:
    """Both ends of the band are inside."""
    found = shows(20, 50, 80)
    assert (found.shown, found.outside_seconds, found.gaps) == (Shown.IN_RANGE, 0, 0)
    assert (found.readings, found.least, found.most) == (3, 2_000, 8_000)
    assert (found.first_at, found.last_at) == (START, START + 10 * MINUTE)


def test_time_outside_counts_from_the_reading_before_to_the_reading_after() -> None:
    """One reading above, one below: ten minutes each; five of them are both, between the two."""
    found = shows(50, 81, 19, 50, 50, 85, 50)
    assert (found.above_seconds, found.below_seconds) == (600 + 600, 600)
    assert found.outside_seconds == 900 + 600
    assert found.longest_outside_seconds == 900
    assert found.shown is Shown.OUT_OF_RANGE


def test_two_excursions_with_one_reading_inside_between_are_two() -> None:
    """The longest is one of them, not both."""
    found = shows(50, 90, 50, 90, 50)
    assert (found.outside_seconds, found.longest_outside_seconds) == (1200, 600)


@pytest.mark.parametrize(("grace", "shown"), [(600, Shown.IN_RANGE), (599, Shown.OUT_OF_RANGE)])
def test_a_lid_that_was_opened_is_let_pass_by_the_grace(grace: int, shown: Shown) -> None:
    """To the second: ten minutes outside, ten minutes of grace."""
    found = shows(50, 90, 50, band=Band(2_000, 8_000, grace))
    assert (found.shown, found.outside_seconds) == (shown, 600)


def test_a_gap_is_more_than_one_and_a_half_intervals() -> None:
    """Seven and a half minutes are none; eight are one, three minutes long."""
    micros = 7 * MINUTE + MINUTE // 2
    just = [Reading(START, 5_000, 7), Reading(START + micros, 5_000, 8), Reading(START + 2 * micros, 5_000, 9)]
    assert summarise_readings(HEAD, just, band=FRIDGE).gaps == 0
    found = shows(50, 50, 50, 50, minutes=[0, 5, 13, 18])
    assert (found.gaps, found.gap_seconds, found.longest_gap_seconds) == (1, 180, 180)
    assert found.shown is Shown.UNKNOWN


@pytest.mark.parametrize("tenths", [(), (50,), (20, 80)], ids=["none", "one", "a minimum and a maximum"])
def test_fewer_than_three_readings_say_nothing(tenths: tuple[int, ...]) -> None:
    """Unknown is never in range."""
    assert shows(*tenths).shown is Shown.UNKNOWN


def test_a_lone_reading_outside_is_outside_for_an_interval() -> None:
    """It has no neighbour to count with, and is not nothing."""
    found = shows(90)
    assert (found.outside_seconds, found.shown) == (300, Shown.OUT_OF_RANGE)


def test_without_a_band_nothing_is_in_range() -> None:
    """Readings alone do not say what is right."""
    assert shows(50, 50, 50, band=None).shown is Shown.UNKNOWN


def file_of(count: int, *, temperature: str = "5.0") -> io.BytesIO:
    """Returns a neutral file of readings a minute apart."""
    rows = [
        f"{(datetime(2026, 3, 1, 10, tzinfo=UTC) + timedelta(minutes=number)).isoformat()},{temperature}\n"
        for number in range(count)
    ]
    head = f"cellcustody-logger-file 1\nlogger: L\nunit: Cel\ninterval-seconds: 60\nreadings: {count}\n"
    return io.BytesIO((head + "time,temperature\n" + "".join(rows)).encode())


@pytest.mark.parametrize(
    ("leg", "shown"),
    [
        (Leg(START, START + 59 * MINUTE), Shown.IN_RANGE),
        (Leg(START - 90 * SECOND, START + 60 * MINUTE + 30 * SECOND), Shown.IN_RANGE),
        (Leg(START - 91 * SECOND, START + 59 * MINUTE), Shown.UNKNOWN),
        (Leg(START, START + 60 * MINUTE + 31 * SECOND), Shown.UNKNOWN),
    ],
    ids=["just", "an interval and a half to spare", "started late", "stopped early"],
)
def test_a_file_covers_the_leg(leg: Leg, shown: Shown) -> None:
    """A logger that was started late or stopped early says nothing of the rest."""
    assert summarise(file_of(60), Layout.NEUTRAL, band=FRIDGE, leg=leg).shown is shown


def test_a_clock_that_is_off_leaves_the_condition_unknown() -> None:
    """Readings from after the reading-out, or a clock more than five minutes off, have times that nobody knows."""
    last = START + 59 * MINUTE

    def shown(read_out_at: int | None = None, ahead: int | None = None) -> Shown:
        return summarise(
            file_of(60), Layout.NEUTRAL, band=FRIDGE, read_out_at=read_out_at, clock_ahead_seconds=ahead
        ).shown

    assert shown(read_out_at=last - 5 * MINUTE) is Shown.IN_RANGE
    assert shown(read_out_at=last - 5 * MINUTE - 1) is Shown.UNKNOWN
    assert shown(ahead=-300) is Shown.IN_RANGE
    assert shown(ahead=-301) is Shown.UNKNOWN
    assert shown(ahead=301) is Shown.UNKNOWN


# Mean kinetic temperature. -----------------------------------------------------------------------------------------


def by_floats(tenths: list[int], energy: float = 83_144) -> float:
    """Returns the mean kinetic temperature in degrees Celsius as a spreadsheet works it out."""
    ratio = energy / 8.3144
    mean = sum(math.exp(-ratio / (one / 10 + 273.15)) for one in tenths) / len(tenths)
    return ratio / -math.log(mean) - 273.15


@given(st.lists(st.integers(-200, 600), min_size=1, max_size=40))
def test_the_mean_kinetic_temperature_is_that_of_a_spreadsheet(tenths: list[int]) -> None:
    """To the thousandth, as far as floats go; and between the mean and the maximum, as it must be."""
    found = shows(*tenths).mean_kinetic
    assert found is not None
    assert abs(found - by_floats(tenths) * 1000) < 0.51
    assert sum(tenths) * 100 / len(tenths) - 1 <= found <= max(tenths) * 100


def test_a_mean_kinetic_temperature_by_hand() -> None:
    """With E/R of 10,000 K, 20 and 30 degrees for the same time: 10000 / -ln((e^-34.1122 + e^-32.9870) / 2)."""
    stress = (math.exp(-10_000 / 293.15) + math.exp(-10_000 / 303.15)) / 2
    expected = round((10_000 / -math.log(stress) - 273.15) * 1000)
    assert mean_kinetic_millicelsius({20_000: 1, 30_000: 1}) == expected == 26_260


def test_frozen_and_coldest_readings_have_one_too() -> None:
    """Terms that a float would lose beside the others do no harm."""
    assert mean_kinetic_millicelsius({-196_000: 1000}) == -196_000
    assert mean_kinetic_millicelsius({-273_150: 5}) == -273_150
    assert mean_kinetic_millicelsius({-273_150: 1, 4_000: 1}) == mean_kinetic_millicelsius({-196_000: 1, 4_000: 1})
    assert mean_kinetic_millicelsius({}) is None


@pytest.mark.parametrize("energy", [0, -1, 1_000_001])
def test_an_activation_energy_is_one_of_a_product(energy: int) -> None:
    """Neither none nor an absurd one."""
    with pytest.raises(ActivationEnergyError):
        mean_kinetic_millicelsius({5_000: 1}, energy)


def test_another_activation_energy_gives_another_mean() -> None:
    """The pack's own energy counts, and stands in the summary."""
    found = summarise(file_of(3), Layout.NEUTRAL, band=FRIDGE, energy_joules_per_mole=60_000)
    assert found.energy_joules_per_mole == 60_000
    two = {2_000: 3, 30_000: 1}
    low = mean_kinetic_millicelsius(two, 60_000)
    assert low is not None and abs(low / 1000 - by_floats([20, 20, 20, 300], 60_000)) < 0.001


# The form in which it enters the ledger. ---------------------------------------------------------------------------


def test_a_summary_enters_the_ledger_in_exact_quantities() -> None:
    """The file by digest, temperatures in thousandths of a degree."""
    found = summarise(file_of(5, temperature="8.001"), Layout.NEUTRAL, band=FRIDGE, clock_ahead_seconds=-2)
    said = logger_summary(found)
    assert (said.logger, said.layout, said.readings, said.condition) == ("L", "neutral-1", 5, 2)
    assert said.file == common.Document(sha256=found.sha256, kind="logger-file", media_type="text/csv")
    hottest = said.temperature_max
    assert (hottest.mantissa, hottest.exponent, hottest.unit) == (8001, -3, "Cel")
    assert said.temperature_mean_kinetic.basis == common.QUANTITY_BASIS_CALCULATED
    assert (said.out_of_band_seconds, said.above_band_seconds, said.longest_out_of_band_seconds) == (240, 240, 240)
    assert (said.band_min.mantissa, said.band_max.mantissa, said.clock_ahead_seconds) == (2_000, 8_000, -2)
    assert (said.first_reading_unix_micros, said.last_reading_unix_micros) == (START, START + 4 * MINUTE)


def test_a_logger_without_a_file_is_unknown() -> None:
    """Nothing else is said of it."""
    assert unreadable_logger("L-1") == common.LoggerSummary(logger="L-1", condition=common.CONDITION_UNKNOWN)
    assert unreadable_logger("L-1", b"\x01" * 32).file.sha256 == b"\x01" * 32


def test_declared_things_do_not_change_what_the_neutral_file_says() -> None:
    """The same file with the same words on it shows the same."""
    declared = Declared(logger="L", unit=TemperatureUnit.CELSIUS, interval_seconds=60)
    assert summarise(file_of(5), Layout.NEUTRAL, declared) == summarise(file_of(5), Layout.NEUTRAL)
