"""A real ledger in a folder of the test's own, with sites and people who sign, and a check of everything recorded.

Nothing here is a mock: embedded store, journal, vault, keys and rules are those that a server runs. The clock is the
harness's own, so that stories can say when things happen.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.recording.ledger import Ledger, LedgerParts, Recorded, Submission
from cellcustody.ledger.registry.founding import ledger_id_of
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import (
    Ed25519Signer,
    PayloadType,
    StreamKind,
    draft_statement,
    new_statement_id,
    new_stream_id,
    parse_statement,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.store import HeadJournal, KeyStore, SqliteLedger, Vault, open_sqlite, write_new_master_key
from cellcustody.ledger.transparency import Ed25519NoteSigner, MlDsa44NoteSigner, root_of, verify_checkpoint
from cellcustody.v1 import options_pb2, registry_pb2, statement_pb2

ORIGIN = "ledger.example/cellcustody"
SCHEMA = (Path(statement_pb2.__file__).parent / "schema.binpb").read_bytes()
SCHEMA_DIGEST = hashlib.sha256(SCHEMA).digest()
MICROS = 1_000_000


@dataclass(slots=True)
class Signing:
    """A person with a key, a role and a site."""

    person: bytes
    signer: Ed25519Signer
    role: str
    site: bytes = b""


@dataclass
class LedgerHarness:
    """A founded ledger and everything needed to write to it."""

    folder: Path
    clock: int = 1_800_000_000 * MICROS
    ledger: Ledger = field(init=False)
    store: SqliteLedger = field(init=False)
    ledger_id: bytes = b""
    last: dict[bytes, bytes] = field(default_factory=dict)
    counter: int = 0

    def __post_init__(self) -> None:
        self.log_signers = (
            Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.generate()),
            MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.generate()),
        )
        self.service = Ed25519Signer(os.urandom(32))
        self.service_device = os.urandom(16)
        self.registrars = sorted(
            (Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), "registrar") for _ in range(2)),
            key=lambda one: one.person,
        )
        self.master = write_new_master_key(self.folder / "master.key")
        self.open()

    def open(self) -> None:
        self.store = open_sqlite(self.folder / "ledger.sqlite3")
        self.keys = KeyStore(self.folder / "keys.sqlite3", self.master)
        self.journal = HeadJournal(self.folder / "heads.journal")
        self.ledger = Ledger(
            LedgerParts(
                self.store,
                Vault(self.keys),
                self.journal,
                ORIGIN,
                self.log_signers,
                self.service,
                self.service_device,
                now=lambda: self.clock,
            )
        )

    def close(self) -> None:
        self.ledger.close()
        self.journal.close()
        self.keys.close()
        self.store.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def tick(self, seconds: float = 60) -> int:
        self.clock += int(seconds * MICROS)
        return self.clock

    # Statements.

    def header(
        self,
        by: Signing,
        stream: bytes,
        body: Message | None,
        *,
        at: int | None = None,
        seen: dict[bytes, bytes] | None = None,
        joins: bytes | None = None,
        founding: bool = False,
        policy_digest: bytes = b"",
        signed_at: int | None = None,
        meaning: int = statement_pb2.MEANING_PERFORMED,
    ) -> statement_pb2.Header:
        self.counter += 1
        at = self.clock if at is None else at
        network = statement_pb2.CLOCK_SOURCE_NETWORK
        header = statement_pb2.Header(
            ledger_id=b"" if founding else self.ledger_id,
            statement_id=new_statement_id(at // 1000, os.urandom),
            stream=stream,
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            occurred_at=statement_pb2.Occurrence(start_unix_micros=at, zone="Europe/Berlin", clock_source=network),
            signed_at=statement_pb2.ClockReading(
                unix_micros=at if signed_at is None else signed_at, zone="Europe/Berlin", clock_source=network
            ),
            device=by.person,
            device_counter=self.counter,
            signer=statement_pb2.Signer(
                signer_id=by.person,
                key_ids=[by.signer.key_id],
                role=by.role,
                meaning=statement_pb2.Meaning.ValueType(meaning),
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=SCHEMA_DIGEST,
            policy_digest=policy_digest,
            seen=[
                statement_pb2.Seen(stream=one, statement_digest=digest) for one, digest in sorted((seen or {}).items())
            ],
        )
        if joins is not None:
            header.co_signature.statement_digest = joins
        return header

    def statement(self, by: Signing, stream: bytes, body: Message | None, **how: object) -> Submission:
        header = self.header(by, stream, body, **how)  # type: ignore[arg-type]
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
        draft = draft_statement(header, body, os.urandom(32))
        return Submission(sign_statement(draft.payload, kind, [by.signer]), draft.openings, by.site)

    def submit(self, submission: Submission) -> Recorded:
        recorded = self.ledger.submit(submission, timeout_seconds=10)
        self.last[parse_statement(submission.envelope).stream] = recorded.statement_digest
        return recorded

    def say(self, by: Signing, stream: bytes, body: Message, **how: object) -> Recorded:
        """Signs and submits; an authorisation has seen the last of its stream unless told otherwise."""
        if "seen" not in how and BODIES[body.DESCRIPTOR.full_name].is_authorisation:
            how["seen"] = (
                dict(self.last)
                if stream[0] == StreamKind.THERAPY
                else ({stream: self.last[stream]} if stream in self.last else {})
            )
        self.tick()
        return self.submit(self.statement(by, stream, body, **how))

    def co_sign(self, by: Signing, stream: bytes, joins: bytes, **how: object) -> Recorded:
        self.tick()
        return self.submit(self.statement(by, stream, None, joins=joins, **how))

    # The registry.

    def found(self) -> None:
        body = registry_pb2.LedgerFounded(
            registrars=[
                registry_pb2.Registrar(
                    person=one.person,
                    key=enrolled_key(one.signer, ledger_id=b"", holder=one.person, signed_at=self.clock),
                    organisation=f"organisation {index}",
                )
                for index, one in enumerate(self.registrars)
            ],
            threshold=2,
            log_origin=ORIGIN,
            log_keys=[one.vkey for one in self.log_signers],
            service_device=self.service_device,
            service_key=enrolled_key(self.service, ledger_id=b"", holder=self.service_device, signed_at=self.clock),
            schema_digest=SCHEMA_DIGEST,
        )
        registry = single_stream_id(StreamKind.REGISTRY)
        founding = self.statement(self.registrars[0], registry, body, founding=True)
        self.ledger_id = ledger_id_of(parse_statement(founding.envelope).envelope.payload)
        recorded = self.submit(founding)
        for one in self.registrars[1:]:
            self.co_sign(one, registry, recorded.statement_digest)
        self.say(
            self.registrars[0],
            single_stream_id(StreamKind.SCHEMA),
            registry_pb2.SchemaPublished(descriptor_set=SCHEMA),
            seen={},
        )

    def by_quorum(self, stream: bytes, body: Message) -> Recorded:
        recorded = self.say(self.registrars[0], stream, body, seen={})
        return self.co_sign(self.registrars[1], stream, recorded.statement_digest)

    def person(self, role: str, site: bytes) -> tuple[Signing, registry_pb2.NewPerson]:
        one = Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), role, site)
        return one, registry_pb2.NewPerson(
            person=one.person,
            keys=[enrolled_key(one.signer, ledger_id=self.ledger_id, holder=one.person, signed_at=self.clock)],
            roles=[registry_pb2.RoleGrant(role=role)],
        )

    def site(self, name: str, *capabilities: int, units: tuple[str, ...] = ()) -> tuple[bytes, list[Signing]]:
        """Enrols a site by quorum; returns its id and its two administrators."""
        site = os.urandom(16)
        people = [self.person("administrator", site) for _ in range(2)]
        self.by_quorum(
            single_stream_id(StreamKind.REGISTRY),
            registry_pb2.SiteEnrolled(
                site=site,
                name=name,
                capabilities=sorted(options_pb2.Capability.ValueType(one) for one in capabilities),
                units=units,
                tls_key_ids=[os.urandom(32)],
                administrators=[new for _, new in people],
                names=[
                    registry_pb2.PersonName(person=one.person, printed_name=f"administrator {index}")
                    for index, (one, _) in enumerate(people)
                ],
            ),
        )
        return site, [one for one, _ in people]

    def enrol(self, role: str, site: bytes, administrator: Signing) -> Signing:
        one, new = self.person(role, site)
        self.say(
            administrator,
            single_stream_id(StreamKind.REGISTRY),
            registry_pb2.PersonEnrolled(
                site=site, person=new, name=registry_pb2.PersonName(person=one.person, printed_name=role)
            ),
            seen={},
        )
        return one

    def publish_pack(self) -> PolicyPack:
        pack = PolicyPack.parse(sample_pack_bytes())
        self.by_quorum(
            single_stream_id(StreamKind.POLICY),
            registry_pb2.PolicyPublished(
                product=pack.product, jurisdiction=pack.jurisdiction, version=pack.version, pack=sample_pack_bytes()
            ),
        )
        return pack

    def new_stream(self, kind: StreamKind) -> bytes:
        return new_stream_id(kind, os.urandom)

    # Everything again.

    def check(self) -> None:
        """Verifies the whole log again: checkpoint, root, leaf hashes, stream chains and sequences."""
        checkpoint = verify_checkpoint(
            self.ledger.checkpoint(),
            ORIGIN,
            [one.vkey for one in self.log_signers],
            required_vkeys=[one.vkey for one in self.log_signers],
        )
        entries = self.store.entries(0, 100_000)
        assert len(entries) == checkpoint.size
        assert root_of([leaf_hash_of(raw) for raw in entries]) == checkpoint.root
        heads: dict[bytes, tuple[int, bytes]] = {}
        for raw in entries:
            entry = read_entry(raw)
            stream = parse_statement(entry.envelope).stream
            sequence, leaf = heads.get(stream, (0, bytes(32)))
            assert (entry.sequence, entry.previous_leaf_hash) == (sequence + 1, leaf)
            heads[stream] = (entry.sequence, leaf_hash_of(raw))
