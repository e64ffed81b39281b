"""The server's part: asking several authorities at once, keeping what came, recording it, renewing in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from stamped_ledger import Authority, StampedLedger, stamped_ledger

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.statements import PayloadType, parse_statement
from cellcustody.ledger.timestamps import Stamp
from cellcustody.services.stamping import TimeStamper


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StampedLedger]:
    with stamped_ledger(tmp_path) as opened:
        yield opened


def silent(authority: Authority) -> tuple[Authority, socket.socket]:
    """Returns the authority at an address that takes connections and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/tsa"
    return replace(authority, section=replace(authority.section, url=url)), listening


def down(authority: Authority) -> Authority:
    """Returns the authority at an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return replace(authority, section=replace(authority.section, url=f"http://127.0.0.1:{port}/"))


def test_an_item_is_recorded_in_the_log(ledger: StampedLedger) -> None:
    """The ledger itself says under which number it keeps the item, and with which digest."""
    ledger.trusts("tsa-one.example")
    size = ledger.position
    item = ledger.stamps()
    assert isinstance(item.record, Stamp)
    assert item.record.size == size
    assert ledger.evidence.recorded_at(0) == size
    statement = parse_statement(read_entry(ledger.harness.store.entry(size)).envelope)
    assert statement.payload_type is PayloadType.TIME_EVIDENCE


def test_the_same_checkpoint_is_stamped_once(ledger: StampedLedger) -> None:
    ledger.trusts("tsa-one.example")
    note = ledger.harness.ledger.checkpoint()
    first = ledger.stamper().stamp(note)
    assert ledger.stamper().stamp(note) == first
    assert ledger.evidence.count == 1


def test_an_older_checkpoint_is_not_stamped_after_a_newer_one(ledger: StampedLedger) -> None:
    ledger.trusts("tsa-one.example")
    older = ledger.harness.ledger.checkpoint()
    ledger.says()
    ledger.stamps()
    assert ledger.stamper().stamp(older) is None


def test_an_authority_that_is_down_or_silent_stalls_nobody(ledger: StampedLedger) -> None:
    """The item has the token of the one that answers; the others are told in the log of the process."""
    good, gone = ledger.trusts("tsa-one.example"), ledger.trusts("tsa-two.example")
    mute, listening = silent(ledger.trusts("tsa-three.example"))
    with listening:
        stamper = ledger.stamper(down(gone), good, mute, timeout_seconds=1.0)
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(stamper.stamp(ledger.harness.ledger.checkpoint())))
        thread.start()
        recorded = ledger.says("while an authority is silent")
        thread.join(30)
    assert recorded.position > 0
    assert len(ledger.evidence.item(0).tokens) == 1
    told = "".join(ledger.logged("time_authority_failed"))
    assert "tsa-two.example" in told
    assert "tsa-three.example" in told


def test_nobody_answers(ledger: StampedLedger) -> None:
    """Then there is no item, and the ledger goes on."""
    stamper = ledger.stamper(down(ledger.trusts("tsa-one.example")))
    assert stamper.stamp(ledger.harness.ledger.checkpoint()) is None
    assert ledger.evidence.count == 0
    assert ledger.logged("not_stamped")
    assert ledger.says().position == ledger.position


def test_an_authority_with_a_wrong_clock_is_not_taken(ledger: StampedLedger) -> None:
    authority = ledger.trusts("tsa-one.example")
    authority.ahead_seconds = 600
    assert ledger.stamper().stamp(ledger.harness.ledger.checkpoint()) is None
    assert "TIME_RESPONSE_INVALID" in ledger.logged("time_authority_failed")[0]


def test_an_authority_that_is_another_than_configured_is_not_taken(ledger: StampedLedger) -> None:
    one, other = ledger.trusts("tsa-one.example"), ledger.trusts("tsa-two.example")
    impostor = replace(one, section=replace(one.section, url=other.section.url))
    assert ledger.stamper(impostor).stamp(ledger.harness.ledger.checkpoint()) is None


def test_certificates_are_asked_for_once(ledger: StampedLedger) -> None:
    """The second token is small: what its path goes through is known."""
    ledger.trusts("tsa-one.example")
    first = ledger.stamps()
    ledger.says()
    second = ledger.stamps()
    assert len(second.tokens[0]) < len(first.tokens[0]) - 300
    assert len(ledger.evidence.certificates) == 2


def test_what_was_not_recorded_is_recorded_by_the_next_start(ledger: StampedLedger) -> None:
    """The item is on the disk before the log names it; a crash between the two costs nothing."""
    authority = ledger.trusts("tsa-one.example")
    ledger.stamps()
    (ledger.folder / "timestamps.recorded").write_bytes(b"")
    ledger.evidence.close()
    ledger.evidence.__init__(ledger.folder)  # type: ignore[misc]  # The same object is held by the story's ledger.
    assert ledger.evidence.recorded_at(0) is None
    stamper = running(ledger, authority)
    try:
        wait_for(lambda: ledger.evidence.recorded_at(0) is not None)
    finally:
        stamper.close()


def test_the_ledgers_own_words_do_not_call_for_stamps(ledger: StampedLedger) -> None:
    """Recording an item makes an entry, which must not be stamped for its own sake for ever."""
    authority = ledger.trusts("tsa-one.example")
    stamper = running(ledger, authority)
    try:
        wait_for(lambda: ledger.evidence.count == 1)
        time.sleep(2.5)
        assert ledger.evidence.count == 1
        ledger.says()
        wait_for(lambda: ledger.evidence.count == 2)
    finally:
        stamper.close()


def test_a_renewal_is_made_before_certificates_expire(ledger: StampedLedger) -> None:
    old = ledger.trusts("tsa-2027.example", years=10)
    ledger.stamps(old)
    ledger.goes_on(timedelta(days=9 * 365 + 30))
    new = ledger.trusts("tsa-2036.example", years=10)
    stamper = running(ledger, old, new)
    try:
        wait_for(lambda: any(kept.is_renewal for kept in ledger.evidence.kept))
    finally:
        stamper.close()


def running(ledger: StampedLedger, *authorities: Authority) -> TimeStamper:
    """Returns a stamper that stamps at an interval of a second."""
    stamper = ledger.stamper(*authorities, interval_seconds=1)
    stamper.start()
    return stamper


def wait_for(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns when it happened, and fails when it does not."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
