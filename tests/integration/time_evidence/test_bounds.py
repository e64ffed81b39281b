"""What authorities show of when entries were in the log, from nothing but a dossier and an anchor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from stamped_ledger import StampedLedger, stamped_ledger

from cellcustody.ledger.dossier.layout import TIMESTAMPS
from cellcustody.ledger.timestamps import parse_item
from cellcustody.ledger.verification import Check, Outcome, Result, open_dossier, verify_dossier
from cellcustody.ledger.verification.report import TimeFinding
from cellcustody.v1 import timestamps_pb2

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StampedLedger]:
    with stamped_ledger(tmp_path) as opened:
        yield opened


def test_an_entry_is_bounded_by_the_items_around_it(ledger: StampedLedger) -> None:
    """Not before the last item that the log names below it, not after the first that holds it."""
    authority = ledger.trusts("tsa-one.example")
    ledger.stamps()
    first = ledger.now
    ledger.goes_on(HOUR)
    between = ledger.says("between").position - 1
    ledger.goes_on(HOUR)
    ledger.stamps()
    second = ledger.now
    ledger.goes_on(HOUR)
    later = ledger.says("later").position - 1

    report = verify_dossier(ledger.dossier(), ledger.anchor(authority))

    assert report.outcome is Outcome.VERIFIED
    found = {verdict.leaf_index: verdict for verdict in report.statements}
    second_long = timedelta(seconds=1)
    assert found[between].not_before == first - second_long
    assert found[between].not_after == second + second_long
    assert found[between].time is TimeFinding.BOUNDED
    assert (found[0].not_before, found[0].not_after) == (None, first + second_long)
    assert (found[later].not_before, found[later].not_after) == (second - second_long, None)
    line = report.line(Check.TIME)
    assert (line.result, line.checked) == (Result.PASSED, len(report.statements) - 1)
    assert "1 later than all evidence" in line.note


def test_a_stamp_that_the_log_does_not_name_bounds_nothing_from_below(ledger: StampedLedger) -> None:
    """A tree may be stamped long after it was signed, so that its size says nothing of what came next."""
    authority = ledger.trusts("tsa-one.example")
    old = ledger.harness.ledger.checkpoint()
    ledger.goes_on(HOUR)
    soon = ledger.says("soon after").position - 1
    ledger.goes_on(HOUR)
    ledger.stamper().stamp(old)

    report = verify_dossier(ledger.dossier(), ledger.anchor(authority))

    found = {verdict.leaf_index: verdict for verdict in report.statements}
    assert found[soon].not_before is None
    assert found[soon].not_after is None


def test_without_authorities_in_the_anchor_time_is_unverified(ledger: StampedLedger) -> None:
    """The evidence is held to its form, and nobody in it is believed."""
    ledger.trusts("tsa-one.example")
    ledger.stamps()
    data = ledger.dossier()

    for anchor in (ledger.anchor(), None):
        report = verify_dossier(data, anchor)
        assert report.line(Check.TIME).result is Result.UNVERIFIED
        assert all(verdict.time is TimeFinding.UNVERIFIED for verdict in report.statements)


def test_a_clock_that_is_disproven_makes_the_time_suspect(ledger: StampedLedger) -> None:
    """What the ledger claims outside the bounds is named, statement by statement, and breaks no link."""
    authority = ledger.trusts("tsa-one.example")
    ledger.stamps()
    ledger.harness.tick(-7_200)  # The ledger's clock falls behind by two hours.
    behind = ledger.says("recorded by a clock that is slow").position - 1
    ledger.harness.tick(14_400)
    ahead = ledger.says("recorded by a clock that is fast").position - 1
    ledger.harness.tick(-7_200)
    ledger.stamps()

    report = verify_dossier(ledger.dossier(), ledger.anchor(authority))

    assert report.outcome is Outcome.VERIFIED
    assert {verdict.leaf_index for verdict in report.untimely} == {behind, ahead}
    told = {verdict.leaf_index: verdict.remarks for verdict in report.untimely}
    assert told[behind] == ("recorded_at is before the entry can have been there",)
    assert told[ahead] == (
        "recorded_at is after the entry was there",
        "signed_at is after the entry was there",
    )
    assert "2 claim a time that is disproven" in report.line(Check.TIME).note


def test_a_late_delivery_contradicts_nothing(ledger: StampedLedger) -> None:
    """A statement signed hours before it came is late, which its own finding says."""
    authority = ledger.trusts("tsa-one.example")
    ledger.stamps()
    ledger.goes_on(HOUR)
    late = ledger.says("signed on the road", at=ledger.harness.clock - 7_200_000_000).position - 1
    ledger.stamps()

    report = verify_dossier(ledger.dossier(), ledger.anchor(authority))

    assert {verdict.time for verdict in report.statements if verdict.leaf_index == late} == {TimeFinding.BOUNDED}


def test_two_authorities_that_disagree_widen_the_bounds(ledger: StampedLedger) -> None:
    """The farther time counts, so that one that lies can never tighten a bound; and it is told."""
    one, other = ledger.trusts("tsa-one.example"), ledger.trusts("tsa-two.example")
    other.ahead_seconds = 299
    item = ledger.stamps()
    first = ledger.now
    one.ahead_seconds = -299
    ledger.goes_on(HOUR)
    between = ledger.says("between").position - 1
    ledger.stamps()

    report = verify_dossier(ledger.dossier(), ledger.anchor(one, other, minimum=2))

    assert len(item.tokens) == 2
    found = {verdict.leaf_index: verdict for verdict in report.statements}
    assert found[0].not_after == first + timedelta(seconds=300)
    assert found[between].not_before == first - timedelta(seconds=1)
    assert "authorities disagree on 1 items" in report.line(Check.TIME).note
    assert ledger.logged("time_authorities_disagree")


def test_as_many_authorities_count_as_the_anchor_asks_for(ledger: StampedLedger) -> None:
    """One alone is not enough for whoever asks for two."""
    one, other = ledger.trusts("tsa-one.example"), ledger.trusts("tsa-two.example")
    ledger.stamps(one)

    data = ledger.dossier()

    assert verify_dossier(data, ledger.anchor(one, other)).line(Check.TIME).result is Result.PASSED
    asked_for_two = verify_dossier(data, ledger.anchor(one, other, minimum=2)).line(Check.TIME)
    assert asked_for_two.result is Result.UNVERIFIED
    stranger = verify_dossier(data, ledger.anchor(other)).line(Check.TIME)
    assert stranger.result is Result.UNVERIFIED


def test_of_many_stamps_a_dossier_is_given_some(ledger: StampedLedger) -> None:
    """Evenly spread, the newest among them, so that a dossier stays small and every entry bounded."""
    authority = ledger.trusts("tsa-one.example")
    for number in range(40):
        ledger.says(f"deviation {number}")
        ledger.stamps()
        ledger.goes_on(HOUR)

    data = ledger.dossier()
    report = verify_dossier(data, ledger.anchor(authority))

    given = timestamps_pb2.DossierTimestamps.FromString(open_dossier(data).files[TIMESTAMPS])
    assert len(given.evidence) == 32
    numbers = [parse_item(one.item).number for one in given.evidence]
    assert (numbers[0], numbers[-1]) == (0, 39)
    assert all(verdict.time is TimeFinding.BOUNDED for verdict in report.statements)
