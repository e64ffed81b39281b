"""A server that fails as a test tells it to, with the TLS files it needs.

It is a real gRPC server over mutual TLS with rpcs of the contract. It stands in for no ledger: it only injects what
a network or a ledger can answer, and keeps what arrived.
"""

import datetime
import itertools
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from cellcustody.clients import Connection, TlsFiles, connect
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import (
    entry_pb2,
    export_service_pb2,
    ledger_service_pb2,
)

NOW = datetime.datetime(2026, 5, 1, 8, 30, tzinfo=datetime.UTC)
LEDGER = bytes(range(16))
NURSE = b"n" * 16
DEVICE = b"d" * 16
SITE = b"s" * 16
CONSIGNMENT = b"\x02" + b"c" * 16
THERAPY = b"\x01" + b"t" * 16

Answer = Callable[[ledger_service_pb2.SubmitRequest, grpc.ServicerContext], ledger_service_pb2.SubmitResponse]
BatchAnswer = Callable[
    [ledger_service_pb2.AppendBatchRequest, grpc.ServicerContext], ledger_service_pb2.AppendBatchResponse
]


ExportAnswer = Callable[
    [export_service_pb2.ExportTherapyRequest, grpc.ServicerContext], Iterator[export_service_pb2.ExportTherapyResponse]
]


def counted_bytes() -> Callable[[int], bytes]:
    """Returns a source of bytes that are never the same twice, and the same in every run."""
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(8, "big").rjust(length, b"\x07")[-length:]


@dataclass
class FaultyServer:
    """A server whose answers the test sets; it keeps what arrived."""

    target: str
    tls: TlsFiles
    received: list[ledger_service_pb2.SubmitRequest] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    batch_answers: list[BatchAnswer] = field(default_factory=list)
    exports_asked: list[export_service_pb2.ExportTherapyRequest] = field(default_factory=list)
    export_answers: list[ExportAnswer] = field(default_factory=list)

    def connect(self, *, timeout_seconds: float = 20.0) -> Connection:
        """Returns a connection to this server."""
        return connect(target=self.target, tls=self.tls, timeout_seconds=timeout_seconds)


def _release_custody(server: FaultyServer) -> Answer:
    def answer(
        request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        server.received.append(request)
        return server.answers.pop(0)(request, context)

    return answer


def _append_batch(server: FaultyServer) -> BatchAnswer:
    def answer(
        request: ledger_service_pb2.AppendBatchRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.AppendBatchResponse:
        server.received += request.statements
        return server.batch_answers.pop(0)(request, context)

    return answer


def _export_therapy(server: FaultyServer) -> ExportAnswer:
    def answer(
        request: export_service_pb2.ExportTherapyRequest, context: grpc.ServicerContext
    ) -> Iterator[export_service_pb2.ExportTherapyResponse]:
        server.exports_asked.append(request)
        return server.export_answers.pop(0)(request, context)

    return answer


def _handlers(server: FaultyServer) -> list[grpc.GenericRpcHandler]:
    """Returns the three rpcs that this server has, of the contract's own services."""
    submit = grpc.unary_unary_rpc_method_handler(
        _release_custody(server),
        request_deserializer=ledger_service_pb2.SubmitRequest.FromString,
        response_serializer=ledger_service_pb2.SubmitResponse.SerializeToString,
    )
    batch = grpc.unary_unary_rpc_method_handler(
        _append_batch(server),
        request_deserializer=ledger_service_pb2.AppendBatchRequest.FromString,
        response_serializer=ledger_service_pb2.AppendBatchResponse.SerializeToString,
    )
    export = grpc.unary_stream_rpc_method_handler(
        _export_therapy(server),
        request_deserializer=export_service_pb2.ExportTherapyRequest.FromString,
        response_serializer=export_service_pb2.ExportTherapyResponse.SerializeToString,
    )
    return [
        grpc.method_handlers_generic_handler("cellcustody.v1.TransportService", {"ReleaseCustody": submit}),
        grpc.method_handlers_generic_handler("cellcustody.v1.LedgerService", {"AppendBatch": batch}),
        grpc.method_handlers_generic_handler("cellcustody.v1.ExportService", {"ExportTherapy": export}),
    ]


def start_faulty_server(tls: TlsFiles) -> tuple[FaultyServer, grpc.Server]:
    """Starts a server on a port of its own; whoever starts it stops it."""
    grpc_server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.ca.read_bytes(),
        require_client_auth=True,
    )
    port = grpc_server.add_secure_port("localhost:0", credentials)
    faulty = FaultyServer(f"localhost:{port}", tls)
    grpc_server.add_generic_rpc_handlers(_handlers(faulty))
    grpc_server.start()
    return faulty, grpc_server


def recorded(position: int = 7) -> Answer:
    """Answers that the statement is in the log."""

    def answer(
        request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        return response_to(request, position)

    return answer


def response_to(request: ledger_service_pb2.SubmitRequest, position: int) -> ledger_service_pb2.SubmitResponse:
    """Returns what a ledger says of a conforming fact."""
    return ledger_service_pb2.SubmitResponse(
        position=position,
        statement_digest=parse_statement(request.envelope).digest,
        judgement=entry_pb2.Judgement(rule_set=1, status=entry_pb2.JUDGEMENT_STATUS_CONFORMING),
    )


def failing(code: grpc.StatusCode, message: str = "", *details: Message) -> Answer:
    """Answers with an error, and with what google.rpc.Status carries of it."""

    def answer(
        request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        if details:
            number: int = code.value[0]
            status = status_pb2.Status(code=number, message=message)
            for detail in details:
                packed = AnyMessage()
                packed.Pack(detail)
                status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return answer


def information(reason: str, **values: str) -> error_details_pb2.ErrorInfo:
    """Returns a reason with values, as a ledger sends them."""
    return error_details_pb2.ErrorInfo(reason=reason, domain="cellcustody", metadata=values)


def issue_tls(folder: Path) -> TlsFiles:
    """Writes an authority and one certificate for localhost, P-256, valid for the length of a test run."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def builder(name: str, issuer: str, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority = (
        builder("test authority", "test authority", authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        builder("localhost", "test authority", key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    files = TlsFiles(folder / "ca.pem", folder / "site.pem", folder / "site.key")
    files.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
