"""Every look-up of every question goes by an index: what it costs does not grow with what others have recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.views import Reader, Views
from cellcustody.ledger.views.database import Snapshot
from cellcustody.ledger.views.tables import TABLES, Value
from cellcustody.v1 import common_pb2, inspection_service_pb2, options_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb

from ...unit.custody_therapy.stories import COI, NURSE, OUTWARD, THERAPY, Story, material
from .told_ledger import ToldLedger, plan_of

_NAMES = "|".join(table.name for table in TABLES)
_SCANS = re.compile(rf"^SCAN ({_NAMES})\b(?!.*USING)")


@pytest.fixture
def asked_sql(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Value, ...]]]:
    """Every look-up that is made, with its parameters."""
    seen: list[tuple[str, tuple[Value, ...]]] = []
    rows = Snapshot.rows

    def noting(self: Snapshot, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        seen.append((sql, tuple(parameters)))
        return rows(self, sql, parameters)

    monkeypatch.setattr(Snapshot, "rows", noting)
    return seen


def subjects(told: ToldLedger) -> list[pb.Subject]:
    """Returns a subject of every kind."""
    return [
        pb.Subject(therapy=custody.TherapyName(alias=common_pb2.Alias(scheme="isbt128-coi", value=COI))),
        pb.Subject(therapy=custody.TherapyName(stream=THERAPY)),
        pb.Subject(material=material("apheresis")),
        pb.Subject(din="A999925000001"),
        pb.Subject(lot="V-1"),
        pb.Subject(shipper="shipper-1"),
        pb.Subject(logger="logger-1"),
        pb.Subject(person=told.people[NURSE].person),
        pb.Subject(site=told.hospital),
        pb.Subject(consignment=OUTWARD),
        pb.Subject(equipment="incubator-1"),
    ]


def test_no_question_scans_a_table(tmp_path: Path, asked_sql: list[tuple[str, tuple[Value, ...]]]) -> None:
    """All questions, about every kind of subject, for a site at work, an auditor, a regulator; alerts and lists too."""
    told = ToldLedger(tmp_path)
    for _ in told.tell_all(Story().to_the_release()):
        pass
    path = tmp_path / "views.sqlite3"
    with Views.open(path, told.harness.ledger) as views:
        assert views.wait_for(told.harness.ledger.checkpoint_size(), 30)
        registered = told.harness.ledger.registry.latest.site(told.hospital)
        assert registered is not None
        readers = [
            Reader(told.hospital, registered.capabilities),
            Reader(b"a" * 16, frozenset({options_pb2.CAPABILITY_AUDIT})),
            Reader(b"r" * 16, frozenset({options_pb2.CAPABILITY_REGULATE})),
        ]
        answered = 0
        for reader in readers:
            answered += ask_everything(views, told, reader)
        views.inspection.list_awaiting_signature(
            pb.ListAwaitingSignatureRequest(person=told.people[NURSE].person), readers[0], told.harness.clock, 1
        )
    told.harness.close()

    assert answered > 100
    statements = dict(asked_sql)  # One plan for each statement, whatever it was asked with.
    scans = {
        line: sql
        for sql, parameters in statements.items()
        for line in plan_of(path, sql, parameters).splitlines()
        if _SCANS.match(line.strip())
    }
    assert not scans


def ask_everything(views: Views, told: ToldLedger, reader: Reader) -> int:
    """Asks every question about everything; returns how many were answered rather than refused."""
    answered = 0
    service = inspection_service_pb2.DESCRIPTOR.services_by_name["InspectionService"]
    asking = [one for one in service.methods if one.input_type.name == "InspectRequest"]
    requests = [pb.InspectRequest(subject=subject) for subject in subjects(told)]
    requests += [pb.InspectRequest(from_unix_micros=1), pb.InspectRequest()]
    for method in asking:
        answer = getattr(views.inspection, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower())
        for request in requests:
            try:
                answer(request, reader, told.harness.clock, 1)
            except CellcustodyError:
                continue
            answered += 1
    for asked in (
        pb.ListAlertsRequest(),
        pb.ListAlertsRequest(site=told.hospital),
        pb.ListAlertsRequest(stream=THERAPY),
    ):
        views.inspection.list_alerts(asked, reader, told.harness.clock, 1)
    unit = common_pb2.Unit(site=told.hospital)
    lists, now = views.lists, told.harness.clock
    lists.get_holdings(custody.GetHoldingsRequest(unit=unit), reader, wait_seconds=1)
    lists.get_worklist(custody.GetWorklistRequest(unit=unit), reader, now_micros=now, wait_seconds=1)
    lists.list_open_handoffs(custody.ListOpenHandoffsRequest(), reader, now_micros=now, wait_seconds=1)
    return answered
