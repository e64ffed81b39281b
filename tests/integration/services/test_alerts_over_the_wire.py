"""A watch of alerts tells when the server's clock has moved, though nobody has said anything since."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.services.configuration import load_configuration
from cellcustody.services.server import serving
from cellcustody.services.structured_log import StructuredLog
from cellcustody.v1 import common_pb2, options_pb2, transport_pb2
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1.inspection_service_pb2_grpc import InspectionServiceStub
from cellcustody.v1.transport_service_pb2_grpc import TransportServiceStub

from .served_ledger import MICROS, TIMEOUT_SECONDS, ServedLedger, founded_in

DAY_SECONDS = 86_400


@dataclass
class Clock:
    """The server's clock: the real one, and what a test has let pass beside."""

    ahead_seconds: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_seconds * MICROS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[ServedLedger]:
    """A served ledger whose server reads the test's clock."""
    founded = founded_in(tmp_path)
    text = io.StringIO()
    with ExitStack() as stack:
        configuration = load_configuration(founded.configuration)
        server = stack.enter_context(serving(configuration, environment={}, log=StructuredLog(text), now=clock))
        yield ServedLedger(founded, server, text, stack)


def test_time_alone_brings_an_alert_and_an_answer_ends_it(ledger: ServedLedger, clock: Clock) -> None:
    """A release nobody answers: silence, then a warning, then due; the withdrawal ends it."""
    hospital = ledger.enrol_site("hospital", options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_STORE)
    courier = ledger.enrol_site("courier", options_pb2.CAPABILITY_TRANSPORT)
    transport = TransportServiceStub(ledger.channel("hospital"))
    consignment = new_stream_id(StreamKind.CONSIGNMENT, lambda count: bytes(range(count)))
    unit = common_pb2.Unit(site=hospital.site, unit="cell-lab")
    by = hospital.administrator
    opened = transport_pb2.ConsignmentOpened(
        unit=unit,
        destination=unit,
        containers=[common_pb2.Container(container="box-1")],
        carrier=courier.site,
    )
    transport.OpenConsignment(ledger.statement(by, consignment, opened), timeout=TIMEOUT_SECONDS)
    release = transport.ReleaseCustody(
        ledger.statement(
            by,
            consignment,
            transport_pb2.CustodyReleased(
                releaser=unit, receiver=common_pb2.Unit(site=courier.site), containers=["box-1"], count=1
            ),
        ),
        timeout=TIMEOUT_SECONDS,
    )
    inspection = InspectionServiceStub(ledger.channel("courier"))
    asked = pb.ListAlertsRequest(stream=consignment, position_min=release.position)
    assert not inspection.ListAlerts(asked, timeout=TIMEOUT_SECONDS).alerts

    news = inspection.WatchAlerts(asked, timeout=TIMEOUT_SECONDS)
    clock.ahead_seconds = DAY_SECONDS - 60
    warned = next(news)
    clock.ahead_seconds = DAY_SECONDS + 60
    due = next(news)
    withdrawal = transport_pb2.ReleaseWithdrawn(release=release.statement_digest)
    transport.WithdrawRelease(ledger.statement(by, consignment, withdrawal), timeout=TIMEOUT_SECONDS)
    over = next(news)
    news.cancel()

    assert [one.alert.kind for one in (warned, due, over)] == ["acceptance"] * 3
    assert [(one.alert.state, one.ended) for one in (warned, due, over)] == [
        ("warning", False),
        ("due", False),
        ("due", True),
    ]
    assert due.alert.statements[0].statement_digest == release.statement_digest
    assert {one.site for one in due.alert.addressees} == {hospital.site, courier.site}


def test_a_site_without_capability_asks_nothing(ledger: ServedLedger) -> None:
    """Nor does the operator, who belongs to no site."""
    with pytest.raises(grpc.RpcError) as refused:
        InspectionServiceStub(ledger.channel("operator")).ListAlerts(pb.ListAlertsRequest(), timeout=TIMEOUT_SECONDS)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
