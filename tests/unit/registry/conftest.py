"""A registry to tell stories in: real keys, real envelopes, every statement read, admitted, judged and applied.

After each step the whole registry is made again from its entries, twice: by replay, which trusts the recorded
judgements, and by audit, which does not. Both must be what the live one is, as of every position so far.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry import (
    Joined,
    RegistryEntry,
    RegistryJudgement,
    RegistryState,
    RegistryStatement,
    SignerFacts,
    admit_signer,
    apply,
    enrolled_key,
    founding_keys,
    judge,
    judge_co_signature,
    replay,
    verify_registry,
)
from cellcustody.ledger.statements import (
    Ed25519Signer,
    P256Signer,
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    new_statement_id,
    open_body,
    read_statement,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.transparency.note_keys import NoteKeyType, format_vkey
from cellcustody.v1 import options_pb2, registry_pb2, statement_pb2

START: Final = 1_767_261_600_000_000  # 2026-01-01T10:00:00Z
SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
ORIGIN: Final = "ledger.example.org/log"


def drawn(label: str, length: int = 32) -> bytes:
    """Returns bytes that stand for randomness: the same for the same label."""
    return hashlib.sha256(b"registry story/" + label.encode()).digest()[:length]


def schema_bytes() -> bytes:
    """Returns the schema that is checked in."""
    path = Path(statement_pb2.__file__).with_name("schema.binpb")
    return path.read_bytes()


class Party:
    """Someone or something that signs: an id and its keys; signs with the first unless told otherwise."""

    def __init__(self, name: str, role: str, *signers: Signer) -> None:
        self.name = name
        self.role = role
        self.id = drawn(f"id of {name}", 16)
        self.signers = list(signers) or [Ed25519Signer(drawn(f"key of {name}"))]

    @property
    def key_id(self) -> bytes:
        return self.signers[0].key_id


class Recorded:
    """A statement that was recorded, with its judgement and leaf index."""

    def __init__(self, entry: RegistryEntry) -> None:
        self.entry = entry
        self.digest = entry.statement.digest
        self.status = entry.judged.status
        self.judged = entry.judged
        self.leaf_index = entry.leaf_index


class RegistryWorld:
    """A ledger's registry and the people around it. `now` is microseconds since 1970-01-01T00:00:00Z."""

    START, SECOND, HOUR, DAY, ORIGIN = START, SECOND, HOUR, DAY, ORIGIN

    def __init__(self) -> None:
        self.state = RegistryState()
        self.entries: list[RegistryEntry] = []
        self.snapshots: list[str] = []
        self.position = 0
        self.now = START
        self.ledger_id = b""
        self.registrars = sorted((Party(f"registrar {n}", "registrar") for n in range(3)), key=lambda party: party.id)
        self.service = Party("the ledger", "ledger")
        self.site = drawn("hospital", 16)
        self.administrators = [Party(f"administrator {n}", "administrator") for n in range(2)]
        self.statements_drawn = 0

    # Parties and bodies.

    def party(self, name: str, role: str) -> Party:
        return Party(name, role)

    def card(self, name: str) -> P256Signer:
        return P256Signer(drawn(f"card of {name}"), deterministic=True)

    def file_key(self, name: str) -> Ed25519Signer:
        return Ed25519Signer(drawn(f"file key of {name}"))

    def key(self, holder: Party, signer: Signer | None = None) -> registry_pb2.EnrolledKey:
        return enrolled_key(signer or holder.signers[0], ledger_id=self.ledger_id, holder=holder.id, signed_at=self.now)

    def log_key(self, label: str = "log", name: str = ORIGIN) -> str:
        raw = Ed25519Signer(drawn(label)).public_key_spki[-32:]
        return format_vkey(name, NoteKeyType.ED25519, raw)

    def registrar(self, party: Party, signer: Signer | None = None) -> registry_pb2.Registrar:
        return registry_pb2.Registrar(
            person=party.id, key=self.key(party, signer), organisation=f"organisation of {party.name}"
        )

    def founding(self, *, threshold: int = 2) -> registry_pb2.LedgerFounded:
        return registry_pb2.LedgerFounded(
            registrars=[self.registrar(party) for party in self.registrars],
            threshold=threshold,
            log_origin=ORIGIN,
            log_keys=[self.log_key()],
            service_device=self.service.id,
            service_key=self.key(self.service),
            schema_digest=hashlib.sha256(schema_bytes()).digest(),
        )

    def schema(self) -> registry_pb2.SchemaPublished:
        return registry_pb2.SchemaPublished(descriptor_set=schema_bytes())

    def new_person(
        self, party: Party, *roles: str, trained_until: int | None = None, units: Sequence[str] = ()
    ) -> registry_pb2.NewPerson:
        grants = [
            registry_pb2.RoleGrant(role=role, trained_until_unix_micros=trained_until)
            if trained_until is not None
            else registry_pb2.RoleGrant(role=role)
            for role in (roles or (party.role,))
        ]
        keys = [self.key(party, signer) for signer in party.signers]
        return registry_pb2.NewPerson(person=party.id, keys=keys, roles=grants, units=units)

    def site_enrolled(
        self,
        site: bytes | None = None,
        administrators: Sequence[Party] | None = None,
        *,
        tls: Sequence[bytes] = (),
        capabilities: Sequence[options_pb2.Capability.ValueType] = (options_pb2.CAPABILITY_COLLECT,),
    ) -> registry_pb2.SiteEnrolled:
        parties = self.administrators if administrators is None else administrators
        return registry_pb2.SiteEnrolled(
            site=site or self.site,
            name="Example Hospital",
            capabilities=capabilities,
            units=["apheresis", "ward"],
            tls_key_ids=list(tls) or [drawn("tls key")],
            administrators=[self.new_person(party) for party in parties],
            facility="A9999",
        )

    def person_enrolled(self, party: Party, *, trained_until: int | None = None) -> registry_pb2.PersonEnrolled:
        return registry_pb2.PersonEnrolled(
            site=self.site, person=self.new_person(party, party.role, trained_until=trained_until)
        )

    def device_enrolled(self, device: Party) -> registry_pb2.DeviceEnrolled:
        return registry_pb2.DeviceEnrolled(
            site=self.site, device=device.id, description="ward tablet", keys=[self.key(device)]
        )

    # Acts.

    def does(self, body: Message, by: Party, **said: object) -> Recorded:
        """Records an act by this party."""
        return self._record(self.statement(body, by, **said))  # type: ignore[arg-type]  # keywords pass through

    def joins(self, act: Recorded, by: Party, **said: object) -> Recorded:
        """Records a co-signature on an act."""
        return self._record(self.statement(None, by, joins=act.digest, **said))  # type: ignore[arg-type]  # as above

    def quorum_does(self, body: Message) -> Recorded:
        """Records an act of the first registrar, joined by the second."""
        return self.joins(self.does(body, self.registrars[0]), self.registrars[1])

    def founds(self) -> None:
        """Founds the ledger with three registrars of whom it takes two."""
        founding = self.does(self.founding(), self.registrars[0])
        for registrar in self.registrars[1:]:
            self.joins(founding, registrar)
        self.does(self.schema(), self.registrars[0])

    def opens_a_site(self) -> None:
        """Founds the ledger and enrols the hospital with two administrators."""
        self.founds()
        self.quorum_does(self.site_enrolled())

    def statement(
        self,
        body: Message | None,
        by: Party,
        *,
        joins: bytes | None = None,
        role: str | None = None,
        signed_at: int | None = None,
        device: bytes | None = None,
        signers: Sequence[Signer] | None = None,
        ledger_id: bytes | None = None,
        meaning: statement_pb2.Meaning.ValueType = statement_pb2.MEANING_APPROVED,
    ) -> RegistryStatement:
        """Returns a statement that was signed and read back."""
        kind, stream = PayloadType.REGISTRY, StreamKind.REGISTRY
        if isinstance(body, registry_pb2.SchemaPublished):
            kind, stream = PayloadType.SCHEMA, StreamKind.SCHEMA
        elif isinstance(body, registry_pb2.PolicyPublished):
            kind, stream = PayloadType.POLICY, StreamKind.POLICY
        elif body is None:
            kind = PayloadType.CO_SIGNATURE
        used = list(signers or by.signers[:1])
        time = signed_at if signed_at is not None else self.now
        self.statements_drawn += 1
        label = f"statement {self.statements_drawn}"
        named = ledger_id if ledger_id is not None else self.ledger_id
        header = statement_pb2.Header(
            # A co-signature of the founding itself names the ledger that it founds.
            ledger_id=b"" if isinstance(body, registry_pb2.LedgerFounded) and ledger_id is None else named,
            statement_id=new_statement_id(time // 1000, lambda n: drawn(label, n)),
            stream=single_stream_id(stream),
            body_type=body.DESCRIPTOR.full_name if body is not None else "",
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=time, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=time, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            device=device or by.id,
            device_counter=self.statements_drawn,
            signer=statement_pb2.Signer(
                signer_id=by.id,
                key_ids=sorted(signer.key_id for signer in used),
                role=role or by.role,
                meaning=meaning,
                authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN,
            ),
            schema_digest=hashlib.sha256(schema_bytes()).digest(),
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins is not None else None,
        )
        draft = draft_statement(header, body, drawn(label + " seed"))
        raw = sign_statement(draft.payload, kind, used)
        own = {signer.key_id: signer for signer in used}
        keys = founding_keys(body) if isinstance(body, registry_pb2.LedgerFounded) else {}
        assert own
        parsed = read_statement(raw, lambda key_id: keys.get(key_id) or self.state.public_key(key_id))
        opened = open_body(parsed, draft.openings, type(body)) if body is not None else None
        return RegistryStatement.of(parsed, opened)

    def facts(self, statement: RegistryStatement, *, is_authorisation: bool = True) -> SignerFacts:
        return SignerFacts(
            signer=statement.signer,
            key_ids=statement.key_ids,
            device=statement.device,
            signed_at=statement.signed_at,
            payload_kind=statement.payload_kind,
            is_authorisation=is_authorisation,
        )

    def judged(self, statement: RegistryStatement) -> RegistryJudgement:
        """Returns the judgement of a statement at the next leaf index, without recording it."""
        if statement.joins is not None:
            admit_signer(self.state, self.facts(statement), position=self.position, now=self.now)
            return judge_co_signature(self.state, statement, self.position)
        if not isinstance(statement.body, registry_pb2.LedgerFounded):
            admit_signer(self.state, self.facts(statement), position=self.position, now=self.now)
        return judge(self.state, statement, self.position)

    def passes(self, micros: int) -> None:
        """Lets time pass."""
        self.now += micros

    def other_entries(self, count: int) -> None:
        """Lets the log grow by entries of other streams."""
        self.position += count

    def _record(self, statement: RegistryStatement) -> Recorded:
        judged = self.judged(statement)
        entry = RegistryEntry(statement, self.position, self.now, judged)
        apply(self.state, statement, judged, self.position)
        self.entries.append(entry)
        self.position += 1
        self.now += SECOND
        founding = self.state.latest.founding
        self.ledger_id = founding.ledger_id if founding else b""
        self.check()
        return Recorded(entry)

    # What must always hold.

    def shown(self, state: RegistryState, position: int) -> str:
        """Returns everything the registry says as of a position, as text to compare."""
        view = state.as_of(position)
        keys = [(key_id.hex(), view.key(key_id)) for key_id in sorted(state.keys) if view.key_record(key_id)]
        tls = [(key.hex(), view.site_of_tls_key(key)) for key in sorted(state.tls_keys)]
        parts: Iterator[object] = iter(
            (
                view.founding,
                view.registrars,
                view.log_keys,
                view.service_key_id,
                view.schema and view.schema.digest,
                sorted(view.sites(), key=lambda site: site.site),
                sorted(view.persons(), key=lambda person: person.person),
                sorted(view.devices(), key=lambda device: device.device),
                keys,
                [pair for pair in tls if pair[1]],
                sorted(policy.digest for policy in view.policies()),
            )
        )
        return "\n".join(_stable(part) for part in parts)

    def acts(self, state: RegistryState) -> dict[bytes, Joined]:
        return state.acts

    def check(self) -> None:
        """Makes the registry again from its entries and compares, as of every position."""
        entry = self.entries[-1]
        assert entry.judged.status in (Status.PENDING, Status.IN_EFFECT, Status.RECORDED)
        self.snapshots.extend([""] * (self.position + 1 - len(self.snapshots)))
        self.snapshots[self.position] = self.shown(self.state, self.position)
        for made in (replay(self.entries), verify_registry(self.entries)):
            assert self.acts(made) == self.acts(self.state)
            for position, snapshot in enumerate(self.snapshots):
                if snapshot:
                    assert self.shown(made, position) == snapshot
                    assert self.shown(self.state, position) == snapshot


def _stable(part: object) -> str:
    """Returns a value as text in which sets are sorted."""
    if isinstance(part, list):
        return " | ".join(_stable(member) for member in part)
    if hasattr(part, "capabilities"):
        return f"{part!r} {sorted(part.capabilities)}".replace(repr(part.capabilities), "")
    return repr(part)


@pytest.fixture
def world() -> RegistryWorld:
    """A ledger that nobody has founded yet."""
    return RegistryWorld()


@pytest.fixture
def hospital(world: RegistryWorld) -> RegistryWorld:
    """A founded ledger with one site and its two administrators."""
    world.opens_a_site()
    return world
