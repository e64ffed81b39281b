"""Run one ledger's server: gRPC with mutual TLS, the log over HTTP, health; start, announce, drain, end.

The rules:

* Clients must show a certificate of the configured CA; who they are is asked of the registry on every call.
* A call holds a thread of the pool while it runs; streams hold theirs for long and are counted apart. More calls than
  `rpcs_max` are refused at once instead of waiting for ever.
* The ports that were bound are announced when everything answers: as a log line, and in the ready file if one is named,
  which appears whole or not at all.
* On SIGTERM or SIGINT health says NOT_SERVING, nothing new is accepted, what runs may end within the drain time, then
  HTTP, views and ledger end in this order. What was acknowledged is durable at any moment, drained or not.
* When the ledger stops signing, health says NOT_SERVING and reads go on. The service `cellcustody.witnesses` in health
  says whether witnesses keep up.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cellcustody.ledger.completeness.keeping import HeadMaps
from cellcustody.ledger.completeness.timing import MapTimer
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.views import Views
from cellcustody.services.access import Gate
from cellcustody.services.append_core import AppendCore
from cellcustody.services.append_servicers import LedgerServicer, act_handlers
from cellcustody.services.append_table import ACT_SERVICES
from cellcustody.services.configuration import Configuration, TlsSettings
from cellcustody.services.cosigning import CosignatureCollector
from cellcustody.services.custody_query_servicer import CustodyQueryServicer
from cellcustody.services.export_servicer import ExportServicer
from cellcustody.services.heads_giving import HeadsGiver
from cellcustody.services.http_log import LogHttpServer
from cellcustody.services.inspection_servicer import InspectionServicer
from cellcustody.services.interceptors import ErrorsInterceptor, GateInterceptor, LogInterceptor
from cellcustody.services.open_ledger import (
    load_service_key,
    now_micros,
    open_served_ledger,
    read_anchor,
    tune_interpreter,
)
from cellcustody.services.registry_servicer import RegistryQueries
from cellcustody.services.stamping import TimeStamper
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.transparency_servicer import TransparencyServicer
from cellcustody.services.witness.asking import policy_of, witness_tls
from cellcustody.v1 import (
    custody_query_service_pb2_grpc,
    export_service_pb2_grpc,
    ledger_service_pb2_grpc,
    registry_service_pb2,
    transparency_service_pb2_grpc,
)

__all__ = ["LedgerServer", "run_server", "serving"]

SENT_BYTES_MAX: Final = 32 * 1024 * 1024  # A therapy's whole history in one answer; clients take as much.
METADATA_BYTES_MAX: Final = 16 * 1024
KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 20_000
PING_INTERVAL_MILLISECONDS_MIN: Final = 10_000  # Watching clients behind a hospital's proxy ping to stay connected.
STOPPED_POLL_SECONDS: Final = 1.0
CALL_LINES_DELAY_SECONDS: Final = 0.05  # One write for the calls of this time: a third of a call's own lock hand-overs.

WITNESSES: Final = "cellcustody.witnesses"
"""The name under which health tells whether witnesses keep up, where some are asked."""

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_REGISTRY: Final = "RegistryService"
_PACKAGE: Final = "cellcustody.v1"


@dataclass(frozen=True, slots=True)
class LedgerServer:
    """A server that answers. Ports are those that were bound; `http_port` is None without HTTP."""

    ledger: LedgerFace
    views: Views
    gate: Gate
    health: health.HealthServicer
    grpc_port: int
    http_port: int | None
    collector: CosignatureCollector | None = None


@contextmanager
def serving(
    configuration: Configuration,
    *,
    environment: Mapping[str, str],
    log: StructuredLog,
    now: Callable[[], int] = now_micros,
    recording_now: Callable[[], int] = now_micros,
) -> Iterator[LedgerServer]:
    """Yields a server that answers, and drains it on leaving.

    `now` tells the time of what is asked here, `recording_now` that of what the recording process records.

    Raises:
        ConfigurationError: a file, key or address is not what it should be.
        FatalStoreError: the store is not what the journal says.
    """
    anchor = read_anchor(configuration.ledger.anchor)
    service_signer, service_device = load_service_key(configuration.keys, environment)
    credentials = _credentials(configuration.tls)
    with ExitStack() as opened:
        ledger = opened.enter_context(
            open_served_ledger(
                configuration,
                origin=anchor.log_origin,
                service_signer=service_signer,
                service_device=service_device,
                environment=environment,
                now=now,
                recording_now=recording_now,
            )
        )
        _check_anchor(ledger, anchor.founding_digest)
        collector = _collector(opened, configuration, ledger, anchor, log, now)
        views = opened.enter_context(Views.open(configuration.ledger.views_database, ledger))
        gate = Gate(ledger.registry, configuration.tls.operator_key_ids)
        queries = CustodyQueryServicer(views, gate, now, service_signer)
        inspection = InspectionServicer(views.inspection, gate, now)
        heads = _heads(opened, configuration, ledger, log)
        stamper = _stamper(opened, configuration, ledger, anchor, log, now)
        exports = ExportServicer(
            ledger, gate, service_signer, heads, concurrent_max=configuration.exports.concurrent_max, stamper=stamper
        )
        transparency = TransparencyServicer(ledger, gate, heads, collector, stamper.evidence)
        health_servicer = health.HealthServicer()
        server = _grpc_server(configuration, gate, log)
        _register(server, configuration, ledger, transparency, views, queries, inspection, exports, health_servicer)
        grpc_port = _bind(server, str(configuration.grpc.listen), credentials)
        http = None
        if configuration.http is not None:
            http = _http_server(configuration, ledger, gate, log, stamper.evidence)
            opened.callback(http.close)
            http.start()
        server.start()
        opened.callback(_drain, server, (queries, inspection), health_servicer, configuration.grpc.drain_seconds, log)
        _watch_ledger(opened, ledger, health_servicer, log)
        yield LedgerServer(
            ledger, views, gate, health_servicer, grpc_port, None if http is None else http.port, collector
        )


def run_server(
    configuration: Configuration,
    *,
    ready_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    log: StructuredLog | None = None,
    now: Callable[[], int] = now_micros,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains and returns. To be called from the main thread.

    `now` gives microseconds since 1970-01-01T00:00:00Z; it is sent to the process that records, so it can be pickled.

    Raises:
        ConfigurationError, StoreError: it could not start; nothing was served.
    """
    tune_interpreter()
    used_log = log or StructuredLog(delay_seconds=CALL_LINES_DELAY_SECONDS)
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())
    with serving(configuration, environment=environment, log=used_log, now=now, recording_now=now) as server:
        ready: dict[str, str | int] = {
            "grpc": f"{configuration.grpc.listen.host}:{server.grpc_port}",
            "pid": os.getpid(),
            "position": server.ledger.checkpoint_size(),
        }
        if configuration.http is not None and server.http_port is not None:
            ready["http"] = f"{configuration.http.listen.host}:{server.http_port}"
        used_log.write("ready", **ready)
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.part")
            part.write_text(json.dumps(ready) + "\n", encoding="utf-8")
            part.replace(ready_file)
        asked_to_end.wait()
        used_log.write("draining")
    used_log.write("ended")
    used_log.close()


def _collector(
    opened: ExitStack,
    configuration: Configuration,
    ledger: LedgerFace,
    anchor: Anchor,
    log: StructuredLog,
    now: Callable[[], int],
) -> CosignatureCollector | None:
    """Starts gathering cosignatures, where a policy says whom to ask."""
    policy = policy_of(configuration, anchor.witness_policy)
    if policy is None or not policy.urls:
        return None
    collector = CosignatureCollector(
        ledger,
        policy,
        anchor.log_origin,
        configuration.witnesses,
        configuration.ledger.journal_directory / "witnesses",
        log,
        now=now,
        context=witness_tls(configuration.witnesses),
    )
    collector.start()
    opened.callback(collector.close)
    return collector


def _heads(opened: ExitStack, configuration: Configuration, ledger: LedgerFace, log: StructuredLog) -> HeadsGiver:
    """Opens the maps of heads and aliases, and starts logging them when it is time to."""
    maps = HeadMaps(ledger, configuration.ledger.head_map_database)
    opened.callback(maps.close)
    timer = MapTimer(
        maps,
        every_entries=configuration.head_map.every_entries,
        every_seconds=configuration.head_map.every_seconds,
        monotonic=time.monotonic,
        told=lambda why: log.write("head_map_failed", reason=why.reason, message=str(why)),
    )
    timer.start()
    opened.callback(timer.close)
    return HeadsGiver(ledger, maps, log)


def _stamper(
    opened: ExitStack,
    configuration: Configuration,
    ledger: LedgerFace,
    anchor: Anchor,
    log: StructuredLog,
    now: Callable[[], int],
) -> TimeStamper:
    """Opens the time evidence, and starts stamping where the configuration names authorities."""
    evidence = opened.enter_context(TimeEvidenceFile(configuration.ledger.data_directory))
    stamper = TimeStamper(ledger, evidence, configuration.timestamps, log, origin=anchor.log_origin, now=now)
    stamper.start()
    opened.callback(stamper.close)
    return stamper


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    def pem(key: str, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as defect:
            raise ConfigurationError(
                "a TLS file cannot be read", key=f"tls.{key}", value=path, cause=defect.strerror
            ) from defect

    return grpc.ssl_server_credentials(
        [(pem("key", tls.key), pem("certificate", tls.certificate))],
        root_certificates=pem("client_ca", tls.client_ca),
        require_client_auth=True,
    )


def _check_anchor(ledger: LedgerFace, founding_digest: bytes) -> None:
    founding = ledger.registry.latest.founding
    if founding is None:
        raise ConfigurationError("the ledger is not founded; found it with `init`")
    if founding.statement_digest != founding_digest:
        raise ConfigurationError(
            "the anchor is that of another ledger",
            key="ledger.anchor",
            anchor=founding_digest,
            founded=founding.statement_digest,
        )


def _grpc_server(configuration: Configuration, gate: Gate, log: StructuredLog) -> grpc.Server:
    settings = configuration.grpc
    return grpc.server(
        ThreadPoolExecutor(settings.threads, thread_name_prefix="cellcustody-call"),
        interceptors=[LogInterceptor(log), ErrorsInterceptor(log), GateInterceptor(gate, settings.streams_max)],
        maximum_concurrent_rpcs=settings.rpcs_max,
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.max_send_message_length", max(SENT_BYTES_MAX, settings.message_bytes_max)),
            ("grpc.max_concurrent_streams", settings.streams_per_connection_max),
            ("grpc.max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.keepalive_time_ms", int(settings.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MILLISECONDS_MIN),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MILLISECONDS_MIN),
            ("grpc.so_reuseport", 0),  # Two servers on one port would be two writers' faces; the second must fail.
        ],
    )


def _register(
    server: grpc.Server,
    configuration: Configuration,
    ledger: LedgerFace,
    transparency: TransparencyServicer,
    views: Views,
    queries: CustodyQueryServicer,
    inspection: InspectionServicer,
    exports: ExportServicer,
    health_servicer: health.HealthServicer,
) -> None:
    core = AppendCore(ledger, timeout_seconds=configuration.grpc.append_timeout_seconds)
    registry = RegistryQueries(ledger)
    names = [service.full_name for service in ACT_SERVICES]
    for service in ACT_SERVICES:
        handlers = dict(act_handlers(service, core))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    server.add_generic_rpc_handlers((_registry_queries(registry),))
    ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(LedgerServicer(ledger, views, core), server)
    transparency_service_pb2_grpc.add_TransparencyServiceServicer_to_server(transparency, server)
    custody_query_service_pb2_grpc.add_CustodyQueryServiceServicer_to_server(queries, server)
    server.add_generic_rpc_handlers((inspection.handler(),))
    export_service_pb2_grpc.add_ExportServiceServicer_to_server(exports, server)
    services = ("LedgerService", "TransparencyService", "CustodyQueryService", "InspectionService", "ExportService")
    names += [f"{_PACKAGE}.{name}" for name in services]
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    for name in ["", *names]:
        health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    if configuration.grpc.reflection:
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)


def _registry_queries(registry: RegistryQueries) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        f"{_PACKAGE}.{_REGISTRY}",
        {
            "GetRegistry": grpc.unary_unary_rpc_method_handler(
                registry.get_registry,
                request_deserializer=registry_service_pb2.GetRegistryRequest.FromString,
                response_serializer=registry_service_pb2.GetRegistryResponse.SerializeToString,
            ),
            "GetPolicy": grpc.unary_unary_rpc_method_handler(
                registry.get_policy,
                request_deserializer=registry_service_pb2.GetPolicyRequest.FromString,
                response_serializer=registry_service_pb2.GetPolicyResponse.SerializeToString,
            ),
        },
    )


def _bind(server: grpc.Server, address: str, credentials: grpc.ServerCredentials) -> int:
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError as defect:
        raise ConfigurationError("the address cannot be bound", key="grpc.listen", value=address) from defect
    if port == 0:
        raise ConfigurationError("the address cannot be bound", key="grpc.listen", value=address)
    return port


def _http_server(
    configuration: Configuration, ledger: LedgerFace, gate: Gate, log: StructuredLog, evidence: TimeEvidenceFile
) -> LogHttpServer:
    settings = configuration.http
    if settings is None:
        raise ConfigurationError("there is no HTTP to serve", key="http")
    try:
        return LogHttpServer(ledger, gate, settings, configuration.tls, log, evidence)
    except OSError as defect:
        raise ConfigurationError(
            "the address cannot be bound or a TLS file not be read",
            key="http.listen",
            value=settings.listen,
            cause=defect.strerror,
        ) from defect


def _drain(
    server: grpc.Server,
    watched: Sequence[CustodyQueryServicer | InspectionServicer],
    health_servicer: health.HealthServicer,
    drain_seconds: float,
    log: StructuredLog,
) -> None:
    """Lets what runs end, refuses what is new, and gives up on what does not end in time."""
    health_servicer.enter_graceful_shutdown()
    for one in watched:
        one.drain()
    if not server.stop(drain_seconds).wait(drain_seconds + 1):
        log.write("drain_unfinished")


def _watch_ledger(
    opened: ExitStack, ledger: LedgerFace, health_servicer: health.HealthServicer, log: StructuredLog
) -> None:
    """Says in health and log when the ledger stops recording, and in health whether witnesses keep up."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(STOPPED_POLL_SECONDS):
            if ledger.cosigned.is_gathering:
                late = ledger.cosigned.is_overdue or ledger.cosigned.newest is None
                health_servicer.set(WITNESSES, _NOT_SERVING if late else _SERVING)
            if ledger.stopped is not None:
                health_servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
                log.write("ledger_stopped", why=ledger.stopped)
                return

    thread = threading.Thread(target=watch, name="cellcustody-watch", daemon=True)
    thread.start()
    opened.callback(thread.join)
    opened.callback(ended.set)
