"""Who may call: the registry is asked on every call, so what it takes away is gone from the next call on."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cellcustody.v1 import (
    custody_query_service_pb2,
    options_pb2,
    registry_pb2,
    registry_service_pb2,
    transparency_service_pb2,
)
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub

from .served_ledger import REGISTRY, TIMEOUT_SECONDS, ServedLedger, founded_in, refusal_of, served


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLedger]:
    with served(founded_in(tmp_path_factory.mktemp("callers") / "ledger")) as running:
        yield running


def check_health(channel: grpc.Channel) -> health_pb2.HealthCheckResponse:
    """Asks as a load balancer does."""
    call = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return call(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)


def test_a_certificate_of_no_site_gets_health_and_checkpoint_and_nothing_else(ledger: ServedLedger) -> None:
    ledger.certificate("stranger")

    health = check_health(ledger.channel("stranger"))
    checkpoint = ledger.transparency("stranger").GetCheckpoint(
        transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS
    )
    with pytest.raises(grpc.RpcError) as refused:
        ledger.registry_service("stranger").GetRegistry(
            registry_service_pb2.GetRegistryRequest(), timeout=TIMEOUT_SECONDS
        )

    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert checkpoint.checkpoint.startswith(b"ledger.example/log\n")
    refusal = refusal_of(refused.value)
    assert (refusal.reason, refusal.code) == ("TLS_KEY_UNKNOWN", grpc.StatusCode.PERMISSION_DENIED)


def test_a_certificate_of_another_authority_gets_no_connection(ledger: ServedLedger) -> None:
    other = founded_in(ledger.tls.parent.parent / "other")
    folder = other.authority.parent
    credentials = grpc.ssl_channel_credentials(
        ledger.founded.authority.read_bytes(),
        (folder / "operator.key").read_bytes(),
        (folder / "operator.pem").read_bytes(),
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    with (
        grpc.secure_channel(f"localhost:{ledger.server.grpc_port}", credentials, options) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        check_health(channel)

    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_tls_key_taken_from_its_site_is_refused_on_the_very_connection(ledger: ServedLedger) -> None:
    """The connection stays; the next call on it does not pass."""
    site = ledger.enrol_site("leaving", options_pb2.CAPABILITY_PROCESS)
    service = ledger.modification("leaving")
    service.RaiseDeviation(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)
    ledger.by_quorum(
        ledger.statement(
            ledger.registrar(1),
            REGISTRY,
            registry_pb2.SiteChanged(
                site=site.site,
                capabilities=[options_pb2.CAPABILITY_PROCESS],
                units=["cell-lab"],
                tls_key_ids=[ledger.certificate("leaving-anew")],
            ),
        ),
        "ChangeSite",
    )

    with pytest.raises(grpc.RpcError) as refused:
        service.RaiseDeviation(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)
    anew = ledger.modification("leaving-anew").RaiseDeviation(
        ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS
    )

    assert refusal_of(refused.value).reason == "TLS_KEY_UNKNOWN"
    assert anew.position


def test_the_operator_carries_the_registrys_statements_alone(ledger: ServedLedger) -> None:
    site = ledger.enrol_site("carried", options_pb2.CAPABILITY_PROCESS)

    with pytest.raises(grpc.RpcError) as by_its_rpc:
        ledger.modification("operator").RaiseDeviation(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)
    with pytest.raises(grpc.RpcError) as by_append:
        ledger.ledger_service("operator").Append(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)

    assert refusal_of(by_its_rpc.value).reason == "TLS_KEY_UNKNOWN"
    assert refusal_of(by_append.value).reason == "CALL_NOT_PERMITTED"


def test_a_site_may_bring_what_people_of_another_signed(ledger: ServedLedger) -> None:
    """A plant delivers what an offline driver signed; the entry names the site that brought it."""
    driver = ledger.enrol_site("carrier", options_pb2.CAPABILITY_TRANSPORT)
    plant = ledger.enrol_site("relay", options_pb2.CAPABILITY_PROCESS)

    recorded = ledger.modification("relay").RaiseDeviation(
        ledger.deviation(driver.administrator), timeout=TIMEOUT_SECONDS
    )

    (entry,) = ledger.server.ledger.entries(recorded.position - 1, 1)
    assert plant.site in entry


def test_an_auditor_reads_the_log_and_a_question_of_custody_needs_a_site(ledger: ServedLedger) -> None:
    ledger.enrol_site("auditor", options_pb2.CAPABILITY_AUDIT)
    entries = list(
        ledger.transparency("auditor").StreamEntries(
            transparency_service_pb2.StreamEntriesRequest(), timeout=TIMEOUT_SECONDS
        )
    )
    with pytest.raises(grpc.RpcError) as refused:
        CustodyQueryServiceStub(ledger.channel("operator")).GetHoldings(
            custody_query_service_pb2.GetHoldingsRequest(), timeout=TIMEOUT_SECONDS
        )

    assert [one.leaf_index for one in entries] == list(range(len(entries)))
    assert refusal_of(refused.value).reason == "TLS_KEY_UNKNOWN"


def test_the_registry_is_answered_as_of_a_position(ledger: ServedLedger) -> None:
    before = ledger.server.ledger.checkpoint_size()
    site = ledger.enrol_site("newcomer", options_pb2.CAPABILITY_TEST)
    service = ledger.registry_service("newcomer")

    then = service.GetRegistry(
        registry_service_pb2.GetRegistryRequest(position=before, site=site.site), timeout=TIMEOUT_SECONDS
    )
    now = service.GetRegistry(registry_service_pb2.GetRegistryRequest(site=site.site), timeout=TIMEOUT_SECONDS)
    with pytest.raises(grpc.RpcError) as refused:
        service.GetRegistry(registry_service_pb2.GetRegistryRequest(position=1_000_000), timeout=TIMEOUT_SECONDS)

    assert (len(then.sites), then.position) == (0, before)
    assert [one.name for one in now.sites] == ["newcomer"]
    assert {one.printed_name for one in now.signers} == {"of newcomer"}
    assert refusal_of(refused.value).reason == "REQUEST_INVALID"


def test_names_of_staff_are_for_those_who_may_read_them(ledger: ServedLedger) -> None:
    named = ledger.enrol_site("named", options_pb2.CAPABILITY_COLLECT)
    ledger.enrol_site("reader", options_pb2.CAPABILITY_AUDIT)
    question = registry_service_pb2.GetRegistryRequest(site=named.site)

    told = ledger.registry_service("reader").GetRegistry(question, timeout=TIMEOUT_SECONDS)
    own = ledger.registry_service("named").GetRegistry(question, timeout=TIMEOUT_SECONDS)

    assert {one.printed_name for one in told.signers} == {""}
    assert {one.printed_name for one in own.signers} == {"of named"}


def test_an_unknown_policy_is_not_found(ledger: ServedLedger) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ledger.registry_service().GetPolicy(
            registry_service_pb2.GetPolicyRequest(product="none", jurisdiction="EU"), timeout=TIMEOUT_SECONDS
        )

    assert refusal_of(refused.value).reason == "POLICY_NOT_FOUND"


def test_reflection_names_every_service(ledger: ServedLedger) -> None:
    services = set(ProtoReflectionDescriptorDatabase(ledger.channel("operator")).get_services())

    assert {
        f"cellcustody.v1.{name}"
        for name in (
            "HarvestService",
            "TransportService",
            "ModificationService",
            "ReturnService",
            "LedgerService",
            "CustodyQueryService",
            "RegistryService",
            "TransparencyService",
        )
    } <= services


def test_the_log_says_what_came_of_each_call_and_nothing_about_anybody(ledger: ServedLedger) -> None:
    site = ledger.enrol_site("logged", options_pb2.CAPABILITY_PROCESS)
    ledger.modification("logged").RaiseDeviation(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)
    with pytest.raises(grpc.RpcError):
        ledger.harvest("logged").EnrolTherapy(ledger.deviation(site.administrator), timeout=TIMEOUT_SECONDS)
    # One more call by the same connection, so that the lines of those before are written.
    ledger.registry_service("logged").GetRegistry(registry_service_pb2.GetRegistryRequest(), timeout=TIMEOUT_SECONDS)

    calls = [line for line in ledger.log_lines() if line["event"] == "call" and line.get("site") == site.site.hex()]

    assert ("OK", None) in {(line["status"], line.get("reason")) for line in calls}
    assert ("INVALID_ARGUMENT", "WRONG_RPC") in {(line["status"], line.get("reason")) for line in calls}
    text = ledger.log_text.getvalue()
    for private in (site.administrator.person.hex(), "of logged", "seen late", "127.0.0.1", "administrator"):
        assert private not in text
