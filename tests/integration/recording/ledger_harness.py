"""A real ledger in a folder of the test's own, with sites and people who sign, and a check of everything recorded.

Nothing here is a mock: embedded store, journal, vault, keys and rules are those that a server runs. The clock is the
harness's own, so that stories can say when things happen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.entries import JudgedEntry, leaf_hash_of, read_entry
from cellcustody.ledger.recording.cases import Case, Cases
from cellcustody.ledger.recording.ledger import Ledger, LedgerParts, Recorded, Submission
from cellcustody.ledger.recording.packs import Packs
from cellcustody.ledger.recording.replaying import latest_judgements, read_stream, revised_judgements
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
from cellcustody.ledger.store import (
    HeadJournal,
    KeyStore,
    LedgerApplication,
    Vault,
    WitnessedHead,
    open_sqlite,
    write_new_master_key,
)
from cellcustody.ledger.transparency import (
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSigner,
    root_of,
    verify_checkpoint,
)
from cellcustody.v1 import options_pb2, registry_pb2, statement_pb2

_FOLDED = frozenset({StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT})
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


class HeaderDetails(TypedDict, total=False):
    """What a statement's header says unless told otherwise; times in microseconds since 1970-01-01T00:00:00Z."""

    at: int
    until: int
    signed_at: int
    seen: Mapping[bytes, bytes]
    joins: bytes | None
    founding: bool
    policy_digest: bytes
    meaning: statement_pb2.Meaning.ValueType
    statement_id: bytes
    ledger_id: bytes
    schema_digest: bytes
    role: str
    device: bytes


class SubmitDetails(HeaderDetails, total=False):
    """How a statement is signed and brought, unless told otherwise."""

    payload_type: PayloadType
    signer: Ed25519Signer


class Faults:
    """Runs something at one step of the next commit, once; see `on_step` of the stores."""

    def __init__(self) -> None:
        self.at = ""
        self.steps: list[str] = []
        self.during: Callable[[], None] = _does_nothing

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step == self.at:
            self.at = ""
            self.during()


def _does_nothing() -> None:
    """Stands for no fault."""


@dataclass
class LedgerHarness:
    """A ledger and everything needed to write to it; `found` founds it. `opener` opens another store than SQLite."""

    folder: Path
    clock: int = 1_800_000_000 * MICROS
    opener: Callable[[Faults], LedgerApplication] | None = None
    ledger: Ledger = field(init=False)
    store: LedgerApplication = field(init=False)
    ledger_id: bytes = b""
    last: dict[bytes, bytes] = field(default_factory=dict)
    counter: int = 0
    replaces_log_keys: bool = False
    witnessed: tuple[WitnessedHead, ...] = ()

    def __post_init__(self) -> None:
        self.faults = Faults()
        self.log_signers: tuple[NoteSigner, ...] = (
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

    @property
    def database(self) -> Path:
        """The file of the embedded store."""
        return self.folder / "ledger.sqlite3"

    def open(self) -> None:
        """Opens store, keys, journal and ledger.

        Raises:
            CellcustodyError: the ledger does not start; store, keys and journal are closed again.
        """
        opener = self.opener
        self.store = open_sqlite(self.database, on_step=self.faults) if opener is None else opener(self.faults)
        self.keys = KeyStore(self.folder / "keys.sqlite3", self.master)
        self.vault = Vault(self.keys)
        self.journal = HeadJournal(self.folder / "heads.journal")
        parts = LedgerParts(
            self.store,
            self.vault,
            self.journal,
            ORIGIN,
            self.log_signers,
            self.service,
            self.service_device,
            now=lambda: self.clock,
            witnessed=lambda: self.witnessed,
            replaces_log_keys=self.replaces_log_keys,
        )
        try:
            self.ledger = Ledger(parts)
        except Exception:
            self.close_files()
            raise

    def close(self) -> None:
        """Ends the ledger and closes what it stands on."""
        self.ledger.close()
        self.close_files()

    def close_files(self) -> None:
        """Closes what the ledger stands on, as a crash would leave it."""
        self.journal.close()
        self.keys.close()
        self.store.close()

    def reopen(self) -> None:
        """Ends the ledger and starts it again."""
        self.close()
        self.open()

    def tick(self, seconds: float = 60) -> int:
        """Lets time pass; returns the new time."""
        self.clock += int(seconds * MICROS)
        return self.clock

    # Statements.

    def header(
        self, by: Signing, stream: bytes, body: Message | None, **details: Unpack[HeaderDetails]
    ) -> statement_pb2.Header:
        """Returns the header of a statement signed and done now, unless told otherwise."""
        self.counter += 1
        at = details.get("at", self.clock)
        network = statement_pb2.CLOCK_SOURCE_NETWORK
        occurred = statement_pb2.Occurrence(start_unix_micros=at, zone="Europe/Berlin", clock_source=network)
        if "until" in details:
            occurred.end_unix_micros = details["until"]
        header = statement_pb2.Header(
            ledger_id=b"" if details.get("founding", False) else details.get("ledger_id", self.ledger_id),
            statement_id=details.get("statement_id", b"") or new_statement_id(at // 1000, os.urandom),
            stream=stream,
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            occurred_at=occurred,
            signed_at=statement_pb2.ClockReading(
                unix_micros=details.get("signed_at", details.get("until", at)),
                zone="Europe/Berlin",
                clock_source=network,
            ),
            device=details.get("device", by.person),
            device_counter=self.counter,
            signer=statement_pb2.Signer(
                signer_id=by.person,
                key_ids=[by.signer.key_id],
                role=details.get("role", by.role),
                meaning=details.get("meaning", statement_pb2.MEANING_PERFORMED),
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=details.get("schema_digest", SCHEMA_DIGEST),
            policy_digest=details.get("policy_digest", b""),
            seen=[
                statement_pb2.Seen(stream=one, statement_digest=digest)
                for one, digest in sorted(details.get("seen", {}).items())
            ],
        )
        joins = details.get("joins")
        if joins is not None:
            header.co_signature.statement_digest = joins
        return header

    def statement(
        self, by: Signing, stream: bytes, body: Message | None, **details: Unpack[SubmitDetails]
    ) -> Submission:
        """Returns a signed statement, ready to be submitted by the signer's site."""
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
        kind = details.pop("payload_type", kind)
        signer = details.pop("signer", by.signer)
        header = self.header(by, stream, body, **details)  # type: ignore[misc]  # The signing's own were popped.
        draft = draft_statement(header, body, os.urandom(32))
        return Submission(sign_statement(draft.payload, kind, [signer]), draft.openings, by.site)

    def submit(self, submission: Submission) -> Recorded:
        """Submits and waits for the signed head."""
        recorded = self.ledger.submit(submission, timeout_seconds=30)
        self.last[parse_statement(submission.envelope).stream] = recorded.statement_digest
        return recorded

    def say(self, by: Signing, stream: bytes, body: Message, **details: Unpack[SubmitDetails]) -> Recorded:
        """Signs and submits a minute later; an authorisation has seen its stream and what that cites, unless told."""
        self.tick()
        return self.submit(self.prepared(by, stream, body, **details))

    def prepared(self, by: Signing, stream: bytes, body: Message, **details: Unpack[SubmitDetails]) -> Submission:
        """Returns what `say` submits."""
        if "seen" not in details and BODIES[body.DESCRIPTOR.full_name].is_authorisation:
            cited = self.therapy(stream).cited if stream[0] == StreamKind.THERAPY else ()
            details["seen"] = self.all_seen(stream, *cited)
        return self.statement(by, stream, body, **details)

    def all_seen(self, *streams: bytes) -> dict[bytes, bytes]:
        """Returns the last statement of each of these streams (none: of all written to) as the log has it now."""
        seen: dict[bytes, bytes] = {}
        for stream in streams or tuple(self.last):
            head = self.store.stream_head(stream)
            if head is not None:
                seen[stream] = parse_statement(read_entry(self.store.entry(head.leaf_index)).envelope).digest
        return seen

    def co_sign(self, by: Signing, stream: bytes, joined: bytes, **details: Unpack[SubmitDetails]) -> Recorded:
        """Lets another person join a statement, a minute later."""
        self.tick()
        details["joins"] = joined
        return self.submit(self.statement(by, stream, None, **details))

    # The registry.

    def found(self) -> None:
        """Founds the ledger: founding, the other registrar's word, the first schema."""
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
        """Lets both registrars say something; returns the co-signature that put it in effect."""
        recorded = self.say(self.registrars[0], stream, body, seen={})
        return self.co_sign(self.registrars[1], stream, recorded.statement_digest)

    def person(
        self, role: str, site: bytes, trained_until: int | None = None
    ) -> tuple[Signing, registry_pb2.NewPerson]:
        """Returns a new person with a key, and what the registry is to be told of them."""
        one = Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), role, site)
        return one, registry_pb2.NewPerson(
            person=one.person,
            keys=[enrolled_key(one.signer, ledger_id=self.ledger_id, holder=one.person, signed_at=self.clock)],
            roles=[
                registry_pb2.RoleGrant(
                    role=role, trained_until_unix_micros=trained_until, trained_at_unix_micros=self.clock
                )
            ],
        )

    def site(
        self, name: str, *capabilities: options_pb2.Capability.ValueType, units: tuple[str, ...] = ()
    ) -> tuple[bytes, list[Signing]]:
        """Enrols a site by quorum; returns its id and its two administrators."""
        site = os.urandom(16)
        people = [self.person("administrator", site) for _ in range(2)]
        self.by_quorum(
            single_stream_id(StreamKind.REGISTRY),
            registry_pb2.SiteEnrolled(
                site=site,
                name=name,
                capabilities=sorted(capabilities),
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

    def enrol(self, role: str, site: bytes, administrator: Signing, *, trained_until: int | None = None) -> Signing:
        """Lets an administrator enrol a person in a role."""
        one, new = self.person(role, site, trained_until)
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
        """Publishes the sample pack by quorum."""
        pack = PolicyPack.parse(sample_pack_bytes())
        self.by_quorum(
            single_stream_id(StreamKind.POLICY),
            registry_pb2.PolicyPublished(
                product=pack.product, jurisdiction=pack.jurisdiction, version=pack.version, pack=sample_pack_bytes()
            ),
        )
        return pack

    def new_stream(self, kind: StreamKind) -> bytes:
        """Returns a stream id of that kind, drawn at random."""
        return new_stream_id(kind, os.urandom)

    # Everything again.

    def recorded(self, stream: bytes) -> dict[bytes, JudgedEntry]:
        """Returns the judgement that the log tells last of each statement of a stream."""
        return latest_judgements(self.store, stream)

    def case(self, stream: bytes) -> Case:
        """Returns a stream folded anew from what is stored."""
        return Cases(self.store, self.vault, self.ledger.registry, Packs(self.ledger.registry).pack).case(stream)

    def therapy(self, stream: bytes) -> TherapyCase:
        """Returns a therapy folded anew, with its consignments, from what is stored."""
        case = self.case(stream)
        assert isinstance(case, TherapyCase)
        return case

    def check(self) -> None:
        """Verifies everything again: checkpoint, root, leaf hashes, stream chains, sequences, and every judgement."""
        vkeys = [one.vkey for one in self.log_signers]
        checkpoint = verify_checkpoint(self.ledger.checkpoint(), ORIGIN, vkeys, required_vkeys=vkeys)
        entries = self.store.entries(0, 100_000)
        assert len(entries) == checkpoint.size
        assert root_of([leaf_hash_of(raw) for raw in entries]) == checkpoint.root
        heads: dict[bytes, tuple[int, bytes]] = {}
        for raw in entries:
            entry = read_entry(raw)
            stream: bytes = parse_statement(entry.envelope).stream
            sequence, leaf = heads.get(stream, (0, bytes(32)))
            assert (entry.sequence, entry.previous_leaf_hash) == (sequence + 1, leaf)
            heads[stream] = (entry.sequence, leaf_hash_of(raw))
        for stream in heads:
            if StreamKind(stream[0]) in _FOLDED:
                self.check_judgements(stream)

    def check_judgements(self, stream: bytes) -> None:
        """Holds what the log tells of a stream to what folding it anew finds, and its revisions to what they revise."""
        case = self.case(stream)
        told = self.recorded(stream)
        for digest, entry in told.items():
            assert entry.judged == case.judged[digest], (case.acts[digest].body_type, entry.judged)
            assert entry.comparisons == case.acts[digest].comparisons
        before: dict[bytes, JudgedEntry] = {}
        for one in read_stream(self.store, self.vault, self.ledger.registry, stream):
            for digest, revised in revised_judgements(one.act).items():
                assert digest in before and revised != before[digest], "a revision that revises nothing"
                before[digest] = revised
            before[one.act.digest] = one.entry.judgement
