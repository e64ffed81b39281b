"""Deadlines, limits and a ledger that stops, over the wire: what a caller is told, and what stands afterwards."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cellcustody.ledger.store import open_sqlite
from cellcustody.services.configuration import load_configuration
from cellcustody.v1 import (
    custody_query_service_pb2,
    ledger_service_pb2,
    options_pb2,
    transparency_service_pb2,
)
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub

from .served_ledger import TIMEOUT_SECONDS, EnrolledSite, Refusal, ServedLedger, founded_in, refusal_of, served

UNTIL_SECONDS = 30.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ServedLedger]:
    founded = founded_in(tmp_path / "ledger")
    text = founded.configuration.read_text().replace("reflection = true", "reflection = false\nstreams_max = 1")
    founded.configuration.write_text(text)
    with served(founded) as running:
        yield running


@pytest.fixture
def plant(ledger: ServedLedger) -> EnrolledSite:
    return ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)


def test_a_passed_deadline_leaves_one_statement_at_one_position(ledger: ServedLedger, plant: EnrolledSite) -> None:
    """The server stops waiting before the caller does; whatever was told, the same statement gets one position."""
    service = ledger.modification("plant")
    service.RaiseDeviation(ledger.deviation(plant.administrator), timeout=TIMEOUT_SECONDS)
    request = ledger.deviation(plant.administrator)

    with pytest.raises(grpc.RpcError) as unknown:
        service.RaiseDeviation(request, timeout=0.02)
    settled = [service.RaiseDeviation(request, timeout=TIMEOUT_SECONDS) for _ in range(2)]

    assert isinstance(unknown.value, grpc.Call)
    assert unknown.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert settled[0].position == settled[1].position
    assert settled[1].already_recorded


def _until_not_serving(ledger: ServedLedger) -> None:
    health = ledger.channel("plant").unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    until = time.monotonic() + UNTIL_SECONDS
    while health(health_pb2.HealthCheckRequest(), timeout=5).status != health_pb2.HealthCheckResponse.NOT_SERVING:
        assert time.monotonic() < until, "health went on serving"
        time.sleep(0.05)


def _refused_deviation(ledger: ServedLedger, plant: EnrolledSite) -> Refusal:
    with pytest.raises(grpc.RpcError) as refused:
        ledger.modification("plant").RaiseDeviation(ledger.deviation(plant.administrator), timeout=TIMEOUT_SECONDS)
    return refusal_of(refused.value)


def test_a_ledger_that_stops_says_so_and_is_read_on(ledger: ServedLedger, plant: EnrolledSite) -> None:
    """Another writer took its place: nothing is acknowledged, and what was signed before is still given."""
    before = ledger.server.ledger.checkpoint()
    with closing(open_sqlite(load_configuration(ledger.founded.configuration).ledger.database)) as another:
        another.start_writer()

        refusals = [_refused_deviation(ledger, plant) for _ in range(2)]
        _until_not_serving(ledger)
        read = ledger.transparency("plant").GetCheckpoint(
            transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS
        )

    assert (refusals[1].reason, refusals[1].code) == ("LEDGER_STOPPED", grpc.StatusCode.UNAVAILABLE)
    assert "retryable" not in refusals[1].metadata
    assert read.checkpoint == before
    assert "ledger_stopped" in {line["event"] for line in ledger.log_lines()}


def test_a_ledger_whose_recording_process_was_killed_says_so_and_is_read_on(
    ledger: ServedLedger, plant: EnrolledSite
) -> None:
    before = ledger.server.ledger.checkpoint()
    for process in multiprocessing.active_children():
        if process.name == "cellcustody-recorder":
            process.kill()
            process.join()

    _until_not_serving(ledger)
    refusal = _refused_deviation(ledger, plant)
    read = ledger.transparency("plant").GetCheckpoint(
        transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS
    )

    assert (refusal.reason, refusal.code) == ("LEDGER_STOPPED", grpc.StatusCode.UNAVAILABLE)
    assert read.checkpoint == before


def test_a_message_beyond_the_limit_is_refused_before_it_is_read(ledger: ServedLedger, plant: EnrolledSite) -> None:
    with pytest.raises(grpc.RpcError, match="larger than max") as refused:
        ledger.ledger_service("plant").Append(
            ledger_service_pb2.SubmitRequest(envelope=b"x" * 5_000_000), timeout=TIMEOUT_SECONDS
        )

    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_more_watches_than_the_server_holds_are_told_to_come_back(ledger: ServedLedger, plant: EnrolledSite) -> None:
    service = CustodyQueryServiceStub(ledger.channel("plant"))
    therapy = ledger.therapy()
    first = service.Watch(custody_query_service_pb2.WatchRequest(), timeout=TIMEOUT_SECONDS)
    deadline = time.monotonic() + UNTIL_SECONDS
    while True:  # The first has its place once it runs; until then a second may be the first.
        second = service.Watch(custody_query_service_pb2.WatchRequest(), timeout=0.5)
        with pytest.raises(grpc.RpcError) as refused:
            list(second)
        if refusal_of(refused.value).reason or time.monotonic() > deadline:
            break
    first.cancel()

    refusal = refusal_of(refused.value)
    assert (refusal.reason, refusal.code) == ("SERVER_BUSY", grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert refusal.metadata["retryable"] == "true"
    # Appends go on beside it.
    ledger.modification("plant").RaiseDeviation(ledger.deviation(plant.administrator, therapy), timeout=TIMEOUT_SECONDS)


def test_reflection_that_is_off_tells_nothing(ledger: ServedLedger, plant: EnrolledSite) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ProtoReflectionDescriptorDatabase(ledger.channel("plant")).get_services()

    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
