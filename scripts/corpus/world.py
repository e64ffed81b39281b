"""A ledger in the making for the corpus: everything lawful, and every place where a lie can be put.

Beside what the forge of the verifier's tests does, it records entries that no ledger would take, assembles dossiers out
of parts that do not parse, and seals them again as an operator could who has the service key and the log's key.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/unit/verification"))

from forge import ALL_CLASSES, ORIGIN, REGISTRY, SECOND, Forge, Signatory, drawn
from map_forge import MapForge

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Judged
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.dossier import FILE_NAMES, canonical_zip, embedded_verifiers, encode_entries
from cellcustody.ledger.dossier.building import GivenEntry
from cellcustody.ledger.dossier.layout import (
    BODIES as BODIES_FILE,
)
from cellcustody.ledger.dossier.layout import (
    CHECKPOINT,
    ENTRIES,
    HEADS,
    MANIFEST,
    PROOF,
    README,
    README_TEXT,
    TIMESTAMPS,
)
from cellcustody.ledger.dossier.proof import shared_proof
from cellcustody.ledger.entries import ZERO_HASH, JudgedEntry, encode_entry, leaf_hash_of
from cellcustody.ledger.statements import (
    Opening,
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    new_statement_id,
    parse_envelope,
    sign_envelope,
)
from cellcustody.ledger.transparency import Ed25519NoteSigner, NoteSigner, TileTree, sign_checkpoint
from cellcustody.v1 import dossier_pb2, entry_pb2, options_pb2, statement_pb2

__all__ = [
    "ALL_CLASSES",
    "ORIGIN",
    "REGISTRY",
    "SECOND",
    "HeaderChange",
    "MapForge",
    "Signatory",
    "World",
    "drawn",
    "flip",
    "founded",
    "lawful",
    "sealed",
    "zipped",
]

HeaderChange = Callable[[statement_pb2.Header], object]
_ALWAYS: Final = (StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA)


class World(Forge):
    """A ledger whose log signs with Ed25519 alone, so that the same history gives the same bytes."""

    def __init__(self, world: str = "here", *, is_post_quantum: bool = False) -> None:
        super().__init__(world)
        if not is_post_quantum:
            self.log_signers = self.log_signers[:1]
        self.shown: dict[int, tuple[Opening, ...]] = {}
        self.pack = b""  # The digest of a policy pack that histories may be judged under.

    # Saying what nobody should.

    def payload_of(
        self,
        body: Message | None,
        by: Signatory,
        stream: bytes = REGISTRY,
        *,
        joins: bytes | None = None,
        change: HeaderChange | None = None,
        key_ids: Sequence[bytes] | None = None,
    ) -> tuple[bytes, PayloadType, tuple[Opening, ...]]:
        """Returns a payload with its kind and openings; `change` alters its header before it is committed to."""
        label = f"{self.world}: statement {len(self.entries)} at {self.now}"
        name = body.DESCRIPTOR.full_name if body is not None else ""
        header = statement_pb2.Header(
            ledger_id=self.ledger_id,
            statement_id=new_statement_id(self.now // 1000, lambda n: drawn(label, n)),
            stream=stream,
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
                key_ids=[by.signer.key_id] if key_ids is None else sorted(key_ids),
                role=by.role,
                meaning=statement_pb2.MEANING_APPROVED,
                authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN,
            ),
            schema_digest=self.schema_digest,
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins is not None else None,
        )
        draft = draft_statement(header, body, drawn(label + " seed"))
        kind = BODIES[name].payload_type if body is not None else PayloadType.CO_SIGNATURE
        if change is None:
            return draft.payload, kind, draft.openings
        change(header)
        payload = statement_pb2.Payload.FromString(draft.payload)
        payload.header.CopyFrom(header)
        return payload.SerializeToString(deterministic=True), kind, draft.openings

    @property
    def schema_digest(self) -> bytes:
        """The digest of the schema that is checked in."""
        return hashlib.sha256(Path(statement_pb2.__file__).with_name("schema.binpb").read_bytes()).digest()

    def signed(self, payload: bytes, kind: PayloadType, *signers: Signer) -> bytes:
        """Returns an envelope over any payload."""
        return sign_envelope(payload, kind, signers)

    def put(
        self,
        envelope: bytes,
        openings: Sequence[Opening] = (),
        judged: Judged | None = None,
        *,
        stream: bytes | None = None,
        entry: Callable[[entry_pb2.Entry], object] | None = None,
        raw: Callable[[bytes], bytes] | None = None,
        policy_digest: bytes | None = None,
        puts_in_effect: bytes = b"",
    ) -> int:
        """Records any envelope, in the therapy's stream if none is named, and returns its leaf index.

        `entry` and `raw` alter the entry before it is recorded.
        """
        stream = self.therapy if stream is None else stream
        sequence, previous = self.heads.get(stream, (0, ZERO_HASH))
        if policy_digest is None:
            policy_digest = DEFAULT_PACK.digest if stream[0] <= StreamKind.SITE else b""
        if judged is None:
            judged = Judged(1)  # type: ignore[arg-type]  # CONFORMING, as its number
        made = encode_entry(
            envelope,
            recorded_at=self.now,
            submitting_site=b"",
            sequence=sequence + 1,
            previous_leaf_hash=previous,
            judgement=JudgedEntry(judged, policy_digest=policy_digest, puts_in_effect=puts_in_effect),
        )
        if entry is not None:
            message = entry_pb2.Entry.FromString(made)
            entry(message)
            made = message.SerializeToString(deterministic=True)
        if raw is not None:
            made = raw(made)
        leaf = len(self.entries)
        self._append(GivenEntry(leaf, stream, sequence + 1, made))
        self.shown[leaf] = tuple(openings)
        return leaf

    def _append(self, given: GivenEntry) -> None:
        self.heads[given.stream] = (given.sequence, leaf_hash_of(given.entry))
        self.entries.append(given)
        for write in self.edge.extend([leaf_hash_of(given.entry)]):
            self.tiles.tiles[(write.level, write.index)] = write.hashes
        self.now += SECOND

    def enter(self, envelope: bytes, openings: Sequence[Opening], judged: Judged, **rest: object) -> bytes:
        """Records an envelope as the forge does, and keeps its openings by leaf too."""
        leaf = len(self.entries)
        digest = super().enter(envelope, openings, judged, **rest)  # type: ignore[arg-type]  # pass through
        self.shown[leaf] = tuple(openings)
        return digest

    # Giving it out.

    def leaves(self, also: Collection[bytes] = ()) -> list[GivenEntry]:
        """Returns the entries that a dossier of the therapy gives: its own, the consignment's, the registry's."""
        wanted = {self.therapy, self.consignment, *also}
        return [one for one in self.entries if one.stream in wanted or one.stream[0] in _ALWAYS]

    def files(
        self,
        *,
        given: Sequence[GivenEntry] | None = None,
        size: int | None = None,
        checkpoint: bytes | None = None,
        change: Callable[[dossier_pb2.DossierManifest], object] | None = None,
        also: Collection[bytes] = (),
        heads: bytes = b"",
        signers: Sequence[Signer] | None = None,
        kind: PayloadType = PayloadType.DOSSIER_MANIFEST,
    ) -> dict[str, bytes]:
        """Returns the files of a dossier of these entries, all records open, with whatever change to the manifest."""
        entries = self.leaves(also) if given is None else list(given)
        size = len(self.entries) if size is None else size
        bodies = [
            dossier_pb2.DossierBody(
                leaf_index=one.leaf_index,
                openings=[entry_pb2.Opening(index=o.index, salt=o.salt, record=o.record) for o in openings],
            )
            for one in entries
            if (openings := self.shown[one.leaf_index])
        ]
        tree = TileTree(self.tiles)
        proof = shared_proof(
            [one.leaf_index for one in entries], size, lambda height, index: tree.node(height, index, size)
        )
        files = {
            README: README_TEXT,
            **embedded_verifiers(),
            CHECKPOINT: self.checkpoint(size) if checkpoint is None else checkpoint,
            TIMESTAMPS: b"",
            ENTRIES: encode_entries((one.leaf_index, one.entry) for one in entries),
            BODIES_FILE: dossier_pb2.DossierBodies(bodies=bodies).SerializeToString(deterministic=True),
            PROOF: b"".join(proof),
            HEADS: heads,
        }
        streams: dict[bytes, list[GivenEntry]] = {}
        for one in entries:
            streams.setdefault(one.stream, []).append(one)
        manifest = dossier_pb2.DossierManifest(
            format_version=1,
            ledger_id=self.ledger_id,
            therapy=self.therapy,
            position=size,
            open_classes=[options_pb2.DisclosureClass.ValueType(number) for number in sorted(ALL_CLASSES)],
            streams=[
                dossier_pb2.DossierStream(stream=of, entries=len(rows), last_leaf_hash=leaf_hash_of(rows[-1].entry))
                for of, rows in sorted(streams.items())
            ],
            files=_listed(files),
        )
        if change is not None:
            change(manifest)
        payload = manifest.SerializeToString(deterministic=True)
        files[MANIFEST] = sign_envelope(payload, kind, [self.service.signer] if signers is None else signers)
        return files

    def data(self, **how: object) -> bytes:
        """Returns a dossier as `files` gives it."""
        return zipped(self.files(**how))  # type: ignore[arg-type]  # pass through

    def signed_root(self, size: int, root: bytes, signers: Sequence[NoteSigner] | None = None) -> bytes:
        """Returns a checkpoint of any size and root."""
        keys = self.log_signers if signers is None else signers
        return sign_checkpoint(ORIGIN, size, root, keys, timestamp_seconds=self.now // SECOND)

    def note_signer(self, label: str, name: str = ORIGIN) -> Ed25519NoteSigner:
        """Returns another key of a log, drawn by its label."""
        return Ed25519NoteSigner(name, Ed25519PrivateKey.from_private_bytes(drawn(f"{self.world}: {label}")))


def _listed(files: Mapping[str, bytes]) -> list[dossier_pb2.DossierFile]:
    return [
        dossier_pb2.DossierFile(name=name, length_bytes=len(files[name]), sha256=hashlib.sha256(files[name]).digest())
        for name in FILE_NAMES
        if name != MANIFEST
    ]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Returns the ZIP of these files under whatever manifest they have."""
    return canonical_zip([(name, files[name]) for name in FILE_NAMES])


def sealed(world: World, files: Mapping[str, bytes], **changed: bytes) -> bytes:
    """Returns the ZIP of these files with some changed, under a manifest signed anew.

    `_` in the name of a file stands for its dot.
    """
    bent = {**files, **{name.replace("_", "."): content for name, content in changed.items()}}
    manifest = dossier_pb2.DossierManifest.FromString(parse_envelope(files[MANIFEST]).payload)
    del manifest.files[:]
    manifest.files.extend(_listed(bent))
    payload = manifest.SerializeToString(deterministic=True)
    bent[MANIFEST] = sign_envelope(payload, PayloadType.DOSSIER_MANIFEST, [world.service.signer])
    return zipped(bent)


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    """Returns the bytes with one bit turned."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def founded(world: str = "here", **how: bool) -> World:
    """Returns a founded ledger with a site and two nurses, in which nothing has happened yet."""
    made = World(world, **how)
    made.founds()
    return made


def lawful(world: str = "here", **how: bool) -> World:
    """Returns a ledger with a short lawful history, and others of no concern in between, so that proofs have hashes."""
    made = founded(world, **how)
    made.records_elsewhere()
    made.lives()
    made.records_elsewhere()
    return made
