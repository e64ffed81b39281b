"""A ledger founded in a folder of the test's own, served over mutual TLS on free ports, and people who sign.

Founding, server, certificates and signatures are those of a real run; clients speak through generated stubs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import (
    Ed25519Signer,
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    new_statement_id,
    new_stream_id,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.statements.key_files import COST_LIGHT, load_signer, read_key_file
from cellcustody.services.certificates import issue_client_certificate
from cellcustody.services.configuration import load_configuration
from cellcustody.services.founding import Founded, FoundingWishes, found_ledger, schema_bytes
from cellcustody.services.server import LedgerServer, serving
from cellcustody.services.structured_log import StructuredLog
from cellcustody.v1 import (
    common_pb2,
    entry_pb2,
    harvest_pb2,
    ledger_service_pb2,
    options_pb2,
    quality_pb2,
    registry_pb2,
    statement_pb2,
)
from cellcustody.v1.harvest_service_pb2_grpc import HarvestServiceStub
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub
from cellcustody.v1.modification_service_pb2_grpc import ModificationServiceStub
from cellcustody.v1.registry_service_pb2_grpc import RegistryServiceStub
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceStub

ORIGIN = "ledger.example/log"
PASSPHRASE = "registrars' words"
TIMEOUT_SECONDS = 30
REGISTRY = single_stream_id(StreamKind.REGISTRY)
MICROS = 1_000_000
PATIENT = (("medical_record_number", "A-4711"), ("wristband", "W-0815"))


@dataclass(frozen=True, slots=True)
class Signing:
    """Somebody who signs, in one role."""

    person: bytes
    signer: Signer
    role: str
    device: bytes


@dataclass(frozen=True, slots=True)
class EnrolledSite:
    """A site with the name of its certificate and its first administrator, who raises deviations too."""

    site: bytes
    tls_name: str
    administrator: Signing


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said when it did not do what was asked."""

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    violations: tuple[str, ...]
    bad_fields: tuple[str, ...]


@dataclass
class ServedLedger:
    """A running server with everything needed to speak to it."""

    founded: Founded
    server: LedgerServer
    log_text: io.StringIO
    stack: ExitStack
    counter: int = 0
    channels: dict[str, grpc.Channel] = field(default_factory=dict)

    @property
    def tls(self) -> Path:
        """The folder of the certificates."""
        return self.founded.authority.parent

    def channel(self, name: str) -> grpc.Channel:
        """Returns the channel of a certificate's holder."""
        if name not in self.channels:
            credentials = grpc.ssl_channel_credentials(
                self.founded.authority.read_bytes(),
                (self.tls / f"{name}.key").read_bytes(),
                (self.tls / f"{name}.pem").read_bytes(),
            )
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", 16 * 1024 * 1024)]
            channel = grpc.secure_channel(f"localhost:{self.server.grpc_port}", credentials, options)
            self.stack.callback(channel.close)
            self.channels[name] = channel
        return self.channels[name]

    def certificate(self, name: str) -> bytes:
        """Issues a client certificate; returns the id of its key."""
        issued = issue_client_certificate(self.founded.authority, self.tls, name, now=datetime.now(UTC))
        return issued.tls_key_id

    def ledger_service(self, name: str = "operator") -> LedgerServiceStub:
        """LedgerService as that certificate's holder sees it."""
        return LedgerServiceStub(self.channel(name))

    def harvest(self, name: str) -> HarvestServiceStub:
        """HarvestService as that certificate's holder sees it."""
        return HarvestServiceStub(self.channel(name))

    def modification(self, name: str) -> ModificationServiceStub:
        """ModificationService as that certificate's holder sees it."""
        return ModificationServiceStub(self.channel(name))

    def registry_service(self, name: str = "operator") -> RegistryServiceStub:
        """RegistryService as that certificate's holder sees it."""
        return RegistryServiceStub(self.channel(name))

    def transparency(self, name: str = "operator") -> TransparencyServiceStub:
        """TransparencyService as that certificate's holder sees it."""
        return TransparencyServiceStub(self.channel(name))

    def registrar(self, number: int) -> Signing:
        """Returns a registrar, opened from the file that the founding wrote; numbers begin with 1."""
        path = self.founded.registrars[number - 1]
        person = read_key_file(path).holder
        return Signing(person, load_signer(path, PASSPHRASE), "registrar", person)

    # Statements.

    def header(self, by: Signing, stream: bytes, body_type: str, *, joins: bytes = b"") -> statement_pb2.Header:
        """Returns the header of a statement signed now."""
        self.counter += 1
        now = time.time_ns() // 1000
        network = statement_pb2.CLOCK_SOURCE_NETWORK
        return statement_pb2.Header(
            ledger_id=self.founded.ledger_id,
            statement_id=new_statement_id(now // 1000, os.urandom),
            stream=stream,
            body_type=body_type,
            occurred_at=statement_pb2.Occurrence(start_unix_micros=now, zone="Etc/UTC", clock_source=network),
            signed_at=statement_pb2.ClockReading(unix_micros=now, zone="Etc/UTC", clock_source=network),
            device=by.device,
            device_counter=self.counter,
            signer=statement_pb2.Signer(
                signer_id=by.person,
                key_ids=[by.signer.key_id],
                role=by.role,
                meaning=statement_pb2.MEANING_APPROVED,
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=hashlib.sha256(schema_bytes()).digest(),
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins else None,
        )

    def signed(
        self, by: Signing, header: statement_pb2.Header, body: Message | None
    ) -> ledger_service_pb2.SubmitRequest:
        """Returns the request that carries a statement."""
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[header.body_type].payload_type
        draft = draft_statement(header, body, os.urandom(32))
        return ledger_service_pb2.SubmitRequest(
            envelope=sign_statement(draft.payload, kind, [by.signer]),
            openings=[entry_pb2.Opening(index=o.index, salt=o.salt, record=o.record) for o in draft.openings],
        )

    def statement(
        self, by: Signing, stream: bytes, body: Message, *, seen: Mapping[bytes, bytes] | None = None
    ) -> ledger_service_pb2.SubmitRequest:
        """Returns the request that carries a statement said now."""
        header = self.header(by, stream, body.DESCRIPTOR.full_name)
        for one, digest in sorted((seen or {}).items()):
            header.seen.add(stream=one, statement_digest=digest)
        return self.signed(by, header, body)

    def co_signature(self, by: Signing, stream: bytes, joins: bytes) -> ledger_service_pb2.SubmitRequest:
        """Returns the request that carries a co-signature."""
        return self.signed(by, self.header(by, stream, "", joins=joins), None)

    def deviation(self, by: Signing, stream: bytes | None = None) -> ledger_service_pb2.SubmitRequest:
        """Returns a fact that any site may state of a therapy: a deviation."""
        return self.statement(by, stream or self.therapy(), quality_pb2.DeviationRaised(description="seen late"))

    @staticmethod
    def in_role(who: Signing, role: str) -> Signing:
        """Returns somebody as signing in another of their roles."""
        return Signing(who.person, who.signer, role, who.device)

    def therapy(self) -> bytes:
        """Returns a fresh therapy's stream id."""
        return new_stream_id(StreamKind.THERAPY, os.urandom)

    # The registry.

    def by_quorum(self, request: ledger_service_pb2.SubmitRequest, rpc: str) -> ledger_service_pb2.SubmitResponse:
        """Sends an act of the registry by its rpc and lets the second registrar join it."""
        service = self.registry_service()
        pending = getattr(service, rpc)(request, timeout=TIMEOUT_SECONDS)
        assert isinstance(pending, ledger_service_pb2.SubmitResponse)
        assert pending.judgement.status == entry_pb2.JUDGEMENT_STATUS_PENDING
        joining = self.co_signature(self.registrar(2), REGISTRY, pending.statement_digest)
        return self.ledger_service().Append(joining, timeout=TIMEOUT_SECONDS)

    def enrol_site(
        self,
        name: str,
        *capabilities: options_pb2.Capability.ValueType,
        roles: tuple[str, ...] = ("administrator", "reviewer"),
    ) -> EnrolledSite:
        """Enrols a site over the wire, with a fresh certificate of that name and two people with these roles."""
        site, now = os.urandom(16), time.time_ns() // 1000
        people = [(os.urandom(16), Ed25519Signer(os.urandom(32))) for _ in range(2)]
        body = registry_pb2.SiteEnrolled(
            site=site,
            name=name,
            capabilities=sorted(capabilities),
            units=["cell-lab", "ward"],
            tls_key_ids=[self.certificate(name)],
            administrators=[
                registry_pb2.NewPerson(
                    person=person,
                    keys=[enrolled_key(key, ledger_id=self.founded.ledger_id, holder=person, signed_at=now)],
                    roles=[registry_pb2.RoleGrant(role=role) for role in roles],
                )
                for person, key in people
            ],
            names=[registry_pb2.PersonName(person=person, printed_name=f"of {name}") for person, _ in people],
        )
        self.by_quorum(self.statement(self.registrar(1), REGISTRY, body), "EnrolSite")
        person, key = people[0]
        return EnrolledSite(site, name, Signing(person, key, "administrator", person))

    def publish_pack(self) -> PolicyPack:
        """Publishes the sample pack over the wire."""
        raw = sample_pack_bytes()
        pack = PolicyPack.parse(raw)
        body = registry_pb2.PolicyPublished(
            product=pack.product, jurisdiction=pack.jurisdiction, version=pack.version, pack=raw
        )
        policies = single_stream_id(StreamKind.POLICY)
        pending = self.registry_service().PublishPolicy(
            self.statement(self.registrar(1), policies, body), timeout=TIMEOUT_SECONDS
        )
        joining = self.co_signature(self.registrar(2), policies, pending.statement_digest)
        self.ledger_service().Append(joining, timeout=TIMEOUT_SECONDS)
        return pack

    def enrolment(self, treating: EnrolledSite, pack: PolicyPack, *participants: EnrolledSite) -> Message:
        """Returns the body of an enrolment with a field of every class but PUBLIC."""
        self.counter += 1
        return harvest_pb2.TherapyEnrolled(
            aliases=[
                common_pb2.Alias(
                    scheme="isbt128-coi", value=ChainOfIdentity(f"CHA999925{self.counter:06d}").printed_compact
                )
            ],
            patient_identifiers=[
                common_pb2.PatientIdentifier(kind=kind, value=value, method=common_pb2.READ_METHOD_SCANNED)
                for kind, value in PATIENT
            ],
            product=pack.product,
            jurisdiction=pack.jurisdiction,
            policy_digest=pack.digest,
            treating_unit=common_pb2.Unit(site=treating.site, unit="ward"),
            participants=sorted(one.site for one in participants),
            custodian_of_record=treating.site,
            indication="an indication nobody logs",
            study="a study",
            procedure="SOP-1",
        )

    def log_lines(self) -> list[dict[str, object]]:
        """Returns what the server has logged so far."""
        return [json.loads(line) for line in self.log_text.getvalue().splitlines()]


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Returns what a refused call says, read as any client in any language would."""
    assert isinstance(error, grpc.Call)
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    assert isinstance(raw, bytes)
    status = status_pb2.Status.FromString(raw)
    information = error_details_pb2.ErrorInfo()
    failure = error_details_pb2.PreconditionFailure()
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (information, failure, bad):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    return Refusal(
        error.code(),
        information.reason,
        dict(information.metadata),
        tuple(violation.type for violation in failure.violations),
        tuple(violation.field for violation in bad.field_violations),
    )


def founded_in(folder: Path, *, entries_open: bool = False, postgres: str = "") -> Founded:
    """Founds a ledger on free ports."""
    return found_ledger(
        FoundingWishes(
            folder,
            ORIGIN,
            grpc_listen="localhost:0",
            http_listen="127.0.0.1:0",
            registrar_cost=COST_LIGHT,
            entries_open=entries_open,
            postgres=postgres,
        ),
        registrar_passphrase=PASSPHRASE,
        now=lambda: datetime.now(UTC),
    )


@contextmanager
def served(founded: Founded) -> Iterator[ServedLedger]:
    """Yields a ledger's server, running in this process."""
    text = io.StringIO()
    with ExitStack() as stack:
        configuration = load_configuration(founded.configuration)
        server = stack.enter_context(serving(configuration, environment={}, log=StructuredLog(text)))
        yield ServedLedger(founded, server, text, stack)
