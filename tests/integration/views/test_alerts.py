"""Alerts come with time alone, each with the statements behind it, and end with the entry that answers them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import options_pb2
from cellcustody.v1 import return_pb2 as returned

from ...unit.custody_therapy.stories import (
    APHERESIS,
    DAY,
    DRIVER,
    HOUR,
    NURSE,
    OPERATOR,
    OUTWARD,
    PACK,
    SUITE,
    VAN,
    WARD,
    Story,
    material,
)
from .told_ledger import ToldLedger

SECOND = 1_000_000


class Alerting:
    """A ledger with a story told to it, and who is alerted at which time."""

    def __init__(self, folder: Path) -> None:
        self.told = ToldLedger(folder)
        self.views = Views.open(folder / "views.sqlite3", self.told.harness.ledger)

    def close(self) -> None:
        self.views.close()
        self.told.harness.close()

    def tell(self, story: Story) -> None:
        """Tells what the story has that was not told yet."""
        for act in story.acts:
            if act.digest not in self.told.real:
                self.told.tell(act)
        assert self.views.wait_for(self.told.harness.ledger.checkpoint_size(), 30)

    def reader(self, site: bytes) -> Reader:
        found = self.told.harness.ledger.registry.latest.site(site)
        assert found is not None
        return Reader(site, found.capabilities)

    def at(self, now: int, site: bytes, **request: bytes) -> list[pb.Alert]:
        """Returns what a site is alerted of at a time."""
        asked = pb.ListAlertsRequest(site=request.get("site", b""), stream=request.get("stream", b""))
        return list(self.views.inspection.list_alerts(asked, self.reader(site), now, 1).alerts)


@pytest.fixture
def alerting(tmp_path: Path) -> Iterator[Alerting]:
    opened = Alerting(tmp_path)
    yield opened
    opened.close()


def on_the_van() -> tuple[Story, int]:
    """Returns a story up to a release that the plant has not answered, and when that was."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    story.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
    return story, story.releases(OUTWARD, VAN, SUITE, DRIVER).occurred_start


def of_kind(alerts: list[pb.Alert], kind: str) -> list[pb.Alert]:
    """Returns the alerts of one kind."""
    return [one for one in alerts if one.kind == kind]


def test_an_acceptance_warns_then_is_due_then_is_over(alerting: Alerting) -> None:
    """Nothing is recorded between; only time goes by. The acceptance ends it."""
    story, released = on_the_van()
    alerting.tell(story)
    limit = DEFAULT_PACK.budgets.handoff_acceptance_seconds * SECOND
    notice = DEFAULT_PACK.alerts.acceptance_warning_seconds * SECOND
    plant, courier = alerting.told.plant, alerting.told.courier

    assert not of_kind(alerting.at(released + limit - notice - 1, plant), "acceptance")
    (warned,) = of_kind(alerting.at(released + limit - notice, plant), "acceptance")
    (due,) = of_kind(alerting.at(released + limit, plant), "acceptance")
    assert (warned.state, due.state) == ("warning", "due")
    assert warned.alert == due.alert and due.due_unix_micros == released + limit
    assert {one.site for one in due.addressees} == {plant, courier}
    (behind,) = due.statements
    assert behind.body_type.endswith("CustodyReleased") and behind.site_name == "courier"
    assert of_kind(alerting.at(released + limit, courier), "acceptance") == [due]

    release = next(act for act in story.acts if act.occurred_start == released and act.stream == OUTWARD)
    story.accepts(release, SUITE, OPERATOR)
    alerting.tell(story)
    assert not of_kind(alerting.at(released + 2 * limit, plant), "acceptance")


def test_a_budget_warns_before_it_runs_out(alerting: Alerting) -> None:
    """Cells that wait to be made into something: told to who has them, by the pack's fraction, and then as due."""
    story = Story().to_the_collection()
    alerting.tell(story)
    collected = next(act for act in story.acts if act.body_type.endswith("CollectionCompleted")).occurred_start
    limit = PACK.budgets.collection_to_start_seconds
    assert limit is not None
    warns = collected + int(limit * SECOND * PACK.alerts.budget_warning_fraction)

    def budget(now: int) -> list[pb.Alert]:
        found = of_kind(alerting.at(now, alerting.told.hospital), "budget")
        return [one for one in found if one.subject == "collection to start"]

    assert not budget(warns - HOUR)
    (warned,) = budget(warns + HOUR)
    assert warned.state == "warning" and list(warned.materials) == [material("apheresis")]
    (due,) = budget(warned.due_unix_micros)
    assert due.state == "due" and due.statements


def test_a_day_of_monitoring_without_a_record_is_told(alerting: Alerting) -> None:
    """The first one that is missing, with its own day; once the last time has its record, none."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    start = started.occurred_start
    story.stops_infusion("bag-1", started)
    story.tell(returned.PatientMonitored(unit=WARD, day=0), at=start + HOUR)
    alerting.tell(story)
    hospital = alerting.told.hospital

    def monitoring(now: int) -> list[tuple[str, str, int]]:
        found = of_kind(alerting.at(now, hospital), "monitoring")
        return [(one.subject, one.state, one.due_unix_micros) for one in found]

    assert monitoring(start + DAY - 1) == []
    assert monitoring(start + DAY) == [("monitoring of day 1 after infusion", "warning", start + 2 * DAY)]
    assert monitoring(start + 2 * DAY) == [("monitoring of day 1 after infusion", "due", start + 2 * DAY)]
    assert PACK.monitoring is not None
    story.tell(returned.PatientMonitored(unit=WARD), at=start + PACK.monitoring.daily_days * DAY)
    alerting.tell(story)
    assert monitoring(start + 40 * DAY) == []


def test_a_carrier_is_alerted_of_its_consignment_alone(alerting: Alerting) -> None:
    """Not of budgets of what is in the box, though the box is its own."""
    story, released = on_the_van()
    alerting.tell(story)

    of_courier = alerting.at(released + 30 * DAY, alerting.told.courier)
    assert {one.kind for one in of_courier} == {"acceptance"}
    of_hospital = alerting.at(released + 30 * DAY, alerting.told.hospital)
    assert of_kind(of_hospital, "budget")


def test_training_warns_its_own_site(alerting: Alerting) -> None:
    """A role whose training lapses is told to the site of the person, and to nobody else's."""
    told = alerting.told
    now = told.harness.clock
    until = now + DEFAULT_PACK.alerts.qualification_warning_days * DAY
    administrator = told.administrators[told.hospital]
    told.harness.enrol("apheresis_nurse", told.hospital, administrator, trained_until=until)
    alerting.tell(Story())

    (lapsing,) = of_kind(alerting.at(now, told.hospital), "training")
    assert lapsing.state == "warning" and "apheresis_nurse" in lapsing.subject
    assert of_kind(alerting.at(until, told.hospital), "training")[0].state == "due"
    assert not of_kind(alerting.at(until, told.plant), "training")


def test_followed_alerts_come_though_nothing_is_recorded(alerting: Alerting) -> None:
    """The clock alone moves: the watch tells of the warning, then that it is due; then the acceptance ends it."""
    story, released = on_the_van()
    alerting.tell(story)
    limit = DEFAULT_PACK.budgets.handoff_acceptance_seconds * SECOND
    clock = [released]
    stop = threading.Event()
    giving_up = threading.Timer(30, stop.set)  # A story that hears too little fails; it does not hang.
    giving_up.start()
    news = alerting.views.inspection.watch_alerts(
        pb.ListAlertsRequest(stream=OUTWARD), lambda: alerting.reader(alerting.told.plant), lambda: clock[0], stop
    )

    def passes(now: int) -> pb.WatchAlertsResponse:
        clock[0] = now
        return next(one for one in news if one.alert.kind == "acceptance")

    heard = [passes(released + limit - SECOND), passes(released + limit)]
    release = next(act for act in story.acts if act.occurred_start == released and act.stream == OUTWARD)
    story.accepts(release, SUITE, OPERATOR)
    alerting.tell(story)
    heard.append(passes(released + limit + SECOND))
    stop.set()
    giving_up.cancel()
    assert [(one.alert.state, one.ended) for one in heard] == [("warning", False), ("due", False), ("due", True)]
    assert not list(itertools.islice(news, 1))


def test_an_auditor_sees_every_alert_but_no_results(alerting: Alerting) -> None:
    """All streams are the auditor's; what a result says is not."""
    story, released = on_the_van()
    alerting.tell(story)
    auditor = Reader(b"a" * 16, frozenset({options_pb2.CAPABILITY_AUDIT}))

    found = alerting.views.inspection.list_alerts(pb.ListAlertsRequest(), auditor, released + 30 * DAY, 1).alerts
    assert {"acceptance", "budget"} <= {one.kind for one in found}
    assert "late_result" not in {one.kind for one in found}
