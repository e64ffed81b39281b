"""Makes ledgers out of nothing but keys: lawful ones to verify, and unlawful ones to be found out.

A `Forge` records whatever it is told under whatever judgement it is told: it has no rules. What it makes is a real log
with real signatures, so that a verifier is all that stands between its lies and whoever believes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.dossier import FILE_NAMES, BuiltDossier, GivenEntry, build_dossier, canonical_zip
from cellcustody.ledger.dossier.layout import MANIFEST
from cellcustody.ledger.entries import (
    ZERO_HASH,
    JudgedEntry,
    encode_entry,
    leaf_hash_of,
    read_entry,
    write_judgement,
)
from cellcustody.ledger.registry import Anchor, enrolled_key, ledger_id_of
from cellcustody.ledger.statements import (
    Ed25519Signer,
    Opening,
    PayloadType,
    StreamKind,
    draft_statement,
    new_statement_id,
    parse_envelope,
    parse_statement,
    sign_envelope,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.transparency import (
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSigner,
    RightEdge,
    TileTree,
    sign_checkpoint,
)
from cellcustody.ledger.verification import EntryToVerify, open_dossier
from cellcustody.v1 import (
    common_pb2,
    dossier_pb2,
    harvest_pb2,
    options_pb2,
    quality_pb2,
    registry_pb2,
    statement_pb2,
    transport_pb2,
)

START: Final = 1_767_261_600_000_000  # 2026-01-01T10:00:00Z
SECOND: Final = 1_000_000
ORIGIN: Final = "ledger.example.org/log"
REGISTRY: Final = single_stream_id(StreamKind.REGISTRY)
ALL_CLASSES: Final = frozenset(DisclosureClass)
CONFORMING: Final = Judged(Status.CONFORMING)
IN_EFFECT: Final = Judged(Status.IN_EFFECT)
PENDING: Final = Judged(Status.PENDING)
RECORDED: Final = Judged(Status.RECORDED)


def drawn(label: str, length: int = 32) -> bytes:
    """Returns bytes that stand for randomness: the same for the same label."""
    return hashlib.sha256(b"forge/" + label.encode()).digest()[:length]


def schema_bytes() -> bytes:
    """Returns the schema that is checked in."""
    return Path(statement_pb2.__file__).with_name("schema.binpb").read_bytes()


SCHEMA_DIGEST: Final = hashlib.sha256(schema_bytes()).digest()


class Signatory:
    """Someone or something that signs."""

    def __init__(self, world: str, name: str, role: str) -> None:
        self.id = drawn(f"{world}: id of {name}", 16)
        self.role = role
        self.signer = Ed25519Signer(drawn(f"{world}: key of {name}"))


class _Tiles:
    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        return self.tiles.get((level, index), b"")[: width * 32]


class Forge:
    """A ledger in the making. `world` draws its keys: another world is another ledger in every byte."""

    def __init__(self, world: str = "here") -> None:
        self.world = world
        self.now = START
        self.ledger_id = b""
        self.entries: list[GivenEntry] = []
        self.kept: dict[bytes, tuple[Opening, ...]] = {}
        self.heads: dict[bytes, tuple[int, bytes]] = {}
        self.tiles = _Tiles()
        self.edge = RightEdge()
        self.log_signers: list[NoteSigner] = [
            Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(drawn(f"{world}: log"))),
            MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(drawn(f"{world}: log, ML-DSA"))),
        ]
        self.registrars = sorted(
            (self.signatory(f"registrar {n}", "registrar") for n in range(3)), key=lambda one: one.id
        )
        self.service = self.signatory("the ledger", "ledger")
        self.administrators = [self.signatory(f"administrator {n}", "administrator") for n in range(2)]
        self.nurse = self.signatory("nurse", "collection_nurse")
        self.second_nurse = self.signatory("second nurse", "collection_nurse")
        self.site = drawn(f"{world}: site", 16)
        self.therapy = bytes([StreamKind.THERAPY]) + drawn(f"{world}: therapy", 16)
        self.consignment = bytes([StreamKind.CONSIGNMENT]) + drawn(f"{world}: consignment", 16)
        self.material = drawn(f"{world}: material", 16)

    def signatory(self, name: str, role: str) -> Signatory:
        """Returns someone of this world."""
        return Signatory(self.world, name, role)

    # Recording.

    def statement(
        self,
        body: Message | None,
        by: Signatory,
        stream: bytes = REGISTRY,
        *,
        joins: bytes | None = None,
        seen: Sequence[tuple[bytes, bytes]] = (),
        role: str | None = None,
        schema_digest: bytes = SCHEMA_DIGEST,
        ledger_id: bytes | None = None,
        meaning: statement_pb2.Meaning.ValueType = statement_pb2.MEANING_APPROVED,
    ) -> tuple[bytes, tuple[Opening, ...]]:
        """Returns a signed envelope and its openings."""
        label = f"{self.world}: statement {len(self.entries)} at {self.now}"
        name = body.DESCRIPTOR.full_name if body is not None else ""
        kind = BODIES[name].payload_type if body is not None else PayloadType.CO_SIGNATURE
        header = statement_pb2.Header(
            ledger_id=self.ledger_id if ledger_id is None else ledger_id,
            statement_id=new_statement_id(self.now // 1000, lambda n: drawn(label, n)),
            stream=stream,
            seen=[statement_pb2.Seen(stream=of, statement_digest=digest) for of, digest in sorted(seen)],
            body_type=name,
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=self.now, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=self.now, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            device=by.id,
            device_counter=len(self.entries),
            signer=statement_pb2.Signer(
                signer_id=by.id,
                key_ids=[by.signer.key_id],
                role=role or by.role,
                meaning=meaning,
                authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN,
            ),
            schema_digest=schema_digest,
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins is not None else None,
        )
        draft = draft_statement(header, body, drawn(label + " seed"))
        return sign_statement(draft.payload, kind, [by.signer]), draft.openings

    def enter(
        self,
        envelope: bytes,
        openings: Sequence[Opening],
        judged: Judged,
        *,
        puts_in_effect: bytes = b"",
        policy_digest: bytes = b"",
        entry: bytes | None = None,
    ) -> bytes:
        """Records an envelope and returns its statement digest; `entry` is recorded in place of the lawful entry."""
        statement = parse_statement(envelope)
        stream = bytes(statement.stream)
        sequence, previous = self.heads.get(stream, (0, ZERO_HASH))
        raw = entry or encode_entry(
            envelope,
            recorded_at=self.now,
            submitting_site=b"",
            sequence=sequence + 1,
            previous_leaf_hash=previous,
            judgement=JudgedEntry(judged, policy_digest=policy_digest, puts_in_effect=puts_in_effect),
        )
        self.heads[stream] = (sequence + 1, leaf_hash_of(raw))
        self.kept[statement.digest] = tuple(openings)
        self.entries.append(GivenEntry(len(self.entries), stream, sequence + 1, raw))
        for write in self.edge.extend([leaf_hash_of(raw)]):
            self.tiles.tiles[(write.level, write.index)] = write.hashes
        self.now += SECOND
        return bytes(statement.digest)

    def records(
        self,
        body: Message,
        by: Signatory,
        stream: bytes = REGISTRY,
        judged: Judged = IN_EFFECT,
        *,
        seen: Sequence[tuple[bytes, bytes]] = (),
        role: str | None = None,
    ) -> bytes:
        """Records a statement under a judgement and returns its digest."""
        envelope, openings = self.statement(body, by, stream, seen=seen, role=role)
        policy = DEFAULT_PACK.digest if stream[0] <= StreamKind.SITE and by is not self.service else b""
        return self.enter(envelope, openings, judged, policy_digest=policy)

    def joins(self, digest: bytes, by: Signatory, stream: bytes = REGISTRY, *, completes: bool = False) -> bytes:
        """Records a co-signature; with `completes` it puts what it joins in effect."""
        envelope, openings = self.statement(None, by, stream, joins=digest)
        policy = DEFAULT_PACK.digest if stream[0] <= StreamKind.SITE else b""
        return self.enter(
            envelope, openings, RECORDED, puts_in_effect=digest if completes else b"", policy_digest=policy
        )

    def quorum(self, body: Message, stream: bytes = REGISTRY) -> bytes:
        """Records an act of two registrars."""
        digest = self.records(body, self.registrars[0], stream, PENDING)
        self.joins(digest, self.registrars[1], stream, completes=True)
        return digest

    # Lawful history.

    def key(self, holder: Signatory) -> registry_pb2.EnrolledKey:
        """Returns the signatory's key with its proof of possession."""
        return enrolled_key(holder.signer, ledger_id=self.ledger_id, holder=holder.id, signed_at=self.now)

    def new_person(self, person: Signatory) -> registry_pb2.NewPerson:
        """Returns a person to enrol."""
        return registry_pb2.NewPerson(
            person=person.id, keys=[self.key(person)], roles=[registry_pb2.RoleGrant(role=person.role)]
        )

    def founds(self) -> Forge:
        """Founds the ledger with three registrars of whom it takes two, and enrols a site with two nurses."""
        founding = registry_pb2.LedgerFounded(
            registrars=[
                registry_pb2.Registrar(person=one.id, key=self.key(one), organisation=f"organisation {n}")
                for n, one in enumerate(self.registrars)
            ],
            threshold=2,
            log_origin=ORIGIN,
            log_keys=[signer.vkey for signer in self.log_signers],
            service_device=self.service.id,
            service_key=self.key(self.service),
            schema_digest=SCHEMA_DIGEST,
        )
        envelope, openings = self.statement(founding, self.registrars[0])
        self.ledger_id = ledger_id_of(parse_statement(envelope).envelope.payload)
        digest = self.enter(envelope, openings, PENDING)
        self.joins(digest, self.registrars[1])
        self.joins(digest, self.registrars[2], completes=True)
        schema = registry_pb2.SchemaPublished(descriptor_set=schema_bytes())
        self.records(schema, self.registrars[0], single_stream_id(StreamKind.SCHEMA))
        self.quorum(
            registry_pb2.SiteEnrolled(
                site=self.site,
                name="Example Hospital",
                capabilities=[
                    options_pb2.CAPABILITY_COLLECT,
                    options_pb2.CAPABILITY_INFUSE,
                    options_pb2.CAPABILITY_RELEASE,
                ],
                units=["apheresis"],
                tls_key_ids=[drawn(f"{self.world}: tls")],
                administrators=[self.new_person(one) for one in self.administrators],
                names=[registry_pb2.PersonName(person=self.administrators[0].id, printed_name="An Administrator")],
                facility="A9999",
            )
        )
        for nurse in (self.nurse, self.second_nurse):
            self.records(
                registry_pb2.PersonEnrolled(site=self.site, person=self.new_person(nurse)), self.administrators[0]
            )
        return self

    def revokes(self, person: Signatory, *, since: int | None = None) -> None:
        """Revokes a person's key."""
        self.records(
            registry_pb2.KeyRevoked(key_id=person.signer.key_id, compromised_since_leaf=since), self.administrators[0]
        )

    def enrols(self, stream: bytes | None = None, aliases: Sequence[tuple[str, str]] = ()) -> bytes:
        """Enrols the therapy, or another, under these aliases."""
        return self.records(
            harvest_pb2.TherapyEnrolled(
                aliases=[common_pb2.Alias(scheme=scheme, value=value) for scheme, value in aliases],
                product="EXAMPLE-CAR",
                jurisdiction="EU",
                treating_unit=common_pb2.Unit(site=self.site, unit="apheresis"),
                patient_identifiers=[
                    common_pb2.PatientIdentifier(
                        kind="medical_record_number", value="0001", method=common_pb2.READ_METHOD_SCANNED
                    )
                ],
                indication="example",
            ),
            self.nurse,
            self.therapy if stream is None else stream,
        )

    def packs(self, **said: object) -> bytes:
        """Packs the material into the consignment."""
        body = harvest_pb2.MaterialPacked(material=self.material, consignment=self.consignment, container="1")
        return self.records(body, self.nurse, self.therapy, CONFORMING, **said)  # type: ignore[arg-type]  # pass through

    def opens_consignment(self) -> bytes:
        """Opens the consignment."""
        body = transport_pb2.ConsignmentOpened(
            containers=[common_pb2.Container(container="1", kind="dry_shipper")],
        )
        return self.records(body, self.nurse, self.consignment, CONFORMING)

    def places_hold(self, judged: Judged = CONFORMING) -> bytes:
        """Places a hold on the therapy."""
        body = quality_pb2.HoldPlaced(
            scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), grounds="shipper above its band"
        )
        return self.records(body, self.nurse, self.therapy, judged)

    def establishes_custody(self, judged: Judged = PENDING) -> bytes:
        """Says who answers for the material: an authorisation of two persons."""
        body = transport_pb2.CustodyEstablished(
            custodian=common_pb2.Unit(site=self.site, unit="apheresis"), materials=[self.material]
        )
        return self.records(body, self.nurse, self.therapy, judged)

    def revises(self, digest: bytes, judged: Judged, by: Signatory | None = None) -> bytes:
        """Records a re-judgement."""
        body = quality_pb2.JudgementsRevised(
            judgements=[
                quality_pb2.RevisedJudgement(
                    statement_digest=digest,
                    judgement=write_judgement(JudgedEntry(judged, policy_digest=DEFAULT_PACK.digest)),
                )
            ],
            caused_by=digest,
        )
        return self.records(body, by or self.service, self.therapy, RECORDED)

    def lives(self, aliases: Sequence[tuple[str, str]] = ()) -> Forge:
        """Records a short lawful history: enrolment, a consignment, a hold, an authorisation of two persons."""
        enrolment = self.enrols(aliases=aliases)
        opened = self.opens_consignment()
        self.packs(seen=[(self.therapy, enrolment), (self.consignment, opened)])
        hold = self.places_hold()
        self.revises(hold, Judged(Status.AWAITING, (Finding("SEEN_MISSING"),)))
        established = self.establishes_custody()
        self.joins(established, self.second_nurse, self.therapy, completes=True)
        return self

    def records_elsewhere(self) -> bytes:
        """Records a statement in a therapy of its own, so that the log holds what the dossier does not."""
        therapy = bytes([StreamKind.THERAPY]) + drawn(f"{self.world}: therapy {len(self.entries)}", 16)
        return self.records(quality_pb2.HoldPlaced(grounds="elsewhere"), self.nurse, therapy, CONFORMING)

    # What a builder reads.

    def stream_entries(self, stream: bytes, size: int) -> list[GivenEntry]:
        """Returns the entries of a stream below `size`."""
        return [given for given in self.entries if given.stream == stream and given.leaf_index < size]

    def openings(self, statement_digest: bytes) -> Sequence[Opening]:
        """Returns the openings that are still there."""
        return self.kept[statement_digest]

    def closed_hashes(self, statement_digest: bytes) -> Sequence[bytes]:
        """Returns no hashes: the forge keeps none beside its openings."""
        return ()

    def node(self, height: int, index: int, size: int) -> bytes:
        """Returns a node of the tree."""
        return TileTree(self.tiles).node(height, index, size)

    # What others get.

    @property
    def anchor(self) -> Anchor:
        """The anchor of this ledger."""
        founding = parse_statement(_envelope(self.entries[0].entry))
        return Anchor(founding.digest, ORIGIN, tuple(signer.vkey for signer in self.log_signers))

    def checkpoint(self, size: int | None = None) -> bytes:
        """Returns the signed checkpoint of the log as it is, or as it was."""
        size = len(self.entries) if size is None else size
        root = TileTree(self.tiles).root(size)
        return sign_checkpoint(ORIGIN, size, root, self.log_signers, timestamp_seconds=self.now // SECOND)

    def dossier(
        self, classes: Collection[DisclosureClass] = ALL_CLASSES, *, size: int | None = None, heads: bytes = b""
    ) -> BuiltDossier:
        """Returns the therapy's dossier, under the checkpoint of another size where one is given."""
        return build_dossier(
            self,
            self.therapy,
            checkpoint=self.checkpoint(size),
            ledger_id=self.ledger_id,
            service_signer=self.service.signer,
            open_classes=classes,
            heads=heads,
        )

    def to_verify(self) -> list[EntryToVerify]:
        """Returns the whole log with every body open."""
        return [
            EntryToVerify(
                given.leaf_index, given.entry, self.kept[parse_statement(_envelope(given.entry)).digest] or None
            )
            for given in self.entries
        ]


def _envelope(entry: bytes) -> bytes:
    return read_entry(entry).envelope


def open_files(data: bytes) -> dict[str, bytes]:
    """Returns the files of a dossier, to change and seal again."""
    return dict(open_dossier(data).files)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Returns the ZIP of these files under whatever manifest they have."""
    return canonical_zip([(name, files[name]) for name in FILE_NAMES])


def sealed_again(files: Mapping[str, bytes], forge: Forge) -> bytes:
    """Returns the ZIP of these files under a manifest that the operator signed anew for them."""
    manifest = dossier_pb2.DossierManifest.FromString(parse_envelope(files[MANIFEST]).payload)
    for file in manifest.files:
        file.length_bytes = len(files[file.name])
        file.sha256 = hashlib.sha256(files[file.name]).digest()
    envelope = sign_envelope(
        manifest.SerializeToString(deterministic=True), PayloadType.DOSSIER_MANIFEST, [forge.service.signer]
    )
    return zipped({**files, MANIFEST: envelope})
