"""A ledger with a hospital and a therapy whose history outlives keys: the log's, persons', registrars'."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from google.protobuf.message import Message
from ledger_harness import ORIGIN, LedgerHarness, Signing, SubmitDetails

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.custody.policy import canonical_json, sample_pack_bytes
from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import (
    MlDsa65Signer,
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    parse_statement,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.transparency import Ed25519NoteSigner, MlDsa44NoteSigner, NoteSigner
from cellcustody.v1 import common_pb2, envelope_pb2, harvest_pb2, options_pb2, quality_pb2, registry_pb2

REGISTRY = single_stream_id(StreamKind.REGISTRY)
POLICY = single_stream_id(StreamKind.POLICY)
COI = "CHA999925000001G"


def new_log_signers() -> tuple[NoteSigner, ...]:
    """Returns two keys that a log may sign with."""
    return (
        Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.generate()),
        MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.generate()),
    )


@dataclass
class KeyWorld:
    """A founded ledger, a hospital with two administrators and two nurses, and one therapy."""

    folder: Path
    hybrid_roles: tuple[str, ...] = ()
    second_key: bool = False
    """Gives both nurses an ML-DSA-65 key."""

    second_keys: dict[bytes, Signer] = field(default_factory=dict)
    harness: LedgerHarness = field(init=False)

    def __post_init__(self) -> None:
        self.harness = harness = LedgerHarness(self.folder)
        harness.found()
        self.anchor = self.anchor_now()
        pack = self._publish(self.hybrid_roles)
        self.hospital, self.administrators = harness.site(
            "hospital", options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_INFUSE
        )
        self.nurse, self.second = (
            harness.enrol("collection_nurse", self.hospital, self.administrators[0]) for _ in range(2)
        )
        self.therapy: bytes = harness.new_stream(StreamKind.THERAPY)
        self.pack_digest = pack
        if self.second_key:
            for one in (self.nurse, self.second):
                self.second_keys[one.person] = MlDsa65Signer(os.urandom(32))
                self.adds_key(one.person, self.second_keys[one.person])
        self.enrolled = harness.submit(
            self.signed_with(self.both_keys(self.second), self.second, self.therapy, self.enrolment())
        )

    def anchor_now(self) -> Anchor:
        """Returns an anchor that names the log's keys of today."""
        founding = parse_statement(read_entry(self.harness.store.entry(0)).envelope)
        return Anchor(founding.digest, ORIGIN, tuple(one.vkey for one in self.harness.log_signers))

    def enrolment(self) -> harvest_pb2.TherapyEnrolled:
        """Returns the enrolment of the therapy."""
        return harvest_pb2.TherapyEnrolled(
            aliases=[common_pb2.Alias(scheme="isbt128-coi", value=COI)],
            patient_identifiers=[
                common_pb2.PatientIdentifier(kind=kind, value="1", method=common_pb2.READ_METHOD_SCANNED)
                for kind in ("medical_record_number", "wristband")
            ],
            product="example product",
            jurisdiction="EU",
            policy_digest=self.pack_digest,
            treating_unit=common_pb2.Unit(site=self.hospital),
            participants=[self.hospital],
            custodian_of_record=self.hospital,
            indication="example",
        )

    def _publish(self, hybrid_roles: Sequence[str]) -> bytes:
        members = json.loads(sample_pack_bytes())
        members.update(hybrid_roles=sorted(hybrid_roles), product="example product", jurisdiction="EU", version=1)
        pack = canonical_json(members)
        self.harness.by_quorum(
            POLICY, registry_pb2.PolicyPublished(product="example product", jurisdiction="EU", version=1, pack=pack)
        )
        (policy,) = self.harness.ledger.registry.latest.policies()
        return policy.digest

    def deviation(self) -> quality_pb2.DeviationRaised:
        """Returns a fact that anybody of the therapy may state."""
        return quality_pb2.DeviationRaised(
            scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), description="shipper warm"
        )

    def says(self, by: Signing) -> Recorded:
        """Lets somebody state a fact in the therapy."""
        return self.harness.say(by, self.therapy, self.deviation())

    def both_keys(self, by: Signing) -> list[Signer]:
        """Returns the keys that somebody has: one, or two."""
        second = self.second_keys.get(by.person)
        return [by.signer] if second is None else [by.signer, second]

    def says_with_both(self, by: Signing, body: Message, **details: Unpack[SubmitDetails]) -> Recorded:
        """Lets somebody state something in the therapy under both keys."""
        return self.harness.submit(self.signed_with(self.both_keys(by), by, self.therapy, body, **details))

    @staticmethod
    def without_a_signature(submission: Submission) -> Submission:
        """Returns a statement whose envelope lacks the last of its signatures."""
        envelope = envelope_pb2.Envelope.FromString(submission.envelope)
        del envelope.signatures[-1]
        return replace(submission, envelope=envelope.SerializeToString(deterministic=True))

    def forget_hybrid_findings(self) -> None:
        """Lets the ledger judge as if its policies asked for no second key."""
        packs = self.harness.ledger._writer._judge.packs
        policy = packs.pack(self.pack_digest)
        packs._parsed[self.pack_digest] = replace(policy, hybrid_roles=frozenset())

    def enacts(self, body: Message) -> Recorded:
        """Lets the quorum of registrars enact something."""
        return self.harness.by_quorum(REGISTRY, body)

    def two_administrators_enact(self, body: Message) -> Recorded:
        """Lets both administrators of the hospital enact something."""
        proposed = self.harness.say(self.administrators[0], REGISTRY, body, seen={})
        return self.harness.co_sign(self.administrators[1], REGISTRY, proposed.statement_digest)

    def adds_key(self, holder: bytes, signer: Signer) -> Recorded:
        """Lets an administrator give somebody a further key."""
        key = enrolled_key(signer, ledger_id=self.harness.ledger_id, holder=holder, signed_at=self.harness.clock)
        return self.harness.say(
            self.administrators[0], REGISTRY, registry_pb2.KeyAdded(holder=holder, key=key), seen={}
        )

    def revokes(self, key_id: bytes, since: int) -> Recorded:
        """Lets an administrator revoke a key as compromised since a leaf."""
        body = registry_pb2.KeyRevoked(key_id=key_id, compromised_since_leaf=since)
        return self.harness.say(self.administrators[0], REGISTRY, body, seen={})

    def signed_with(
        self,
        signers: Sequence[Signer],
        by: Signing,
        stream: bytes,
        body: Message | None,
        **details: Unpack[SubmitDetails],
    ) -> Submission:
        """Returns a statement by somebody under several keys at once."""
        self.harness.tick()
        header = self.harness.header(by, stream, body, **details)  # type: ignore[misc]  # None of the signing's own.
        header.signer.key_ids[:] = sorted(one.key_id for one in signers)
        draft = draft_statement(header, body, os.urandom(32))
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
        return Submission(sign_statement(draft.payload, kind, signers), draft.openings, by.site)

    @staticmethod
    def digest_of(submission: Submission) -> bytes:
        """Returns the digest of a signed statement."""
        return bytes(parse_statement(submission.envelope).digest)

    def digest_at(self, leaf_index: int) -> bytes:
        """Returns the digest of the statement recorded at a leaf."""
        return bytes(parse_statement(read_entry(self.harness.store.entry(leaf_index)).envelope).digest)

    def dossier(self) -> bytes:
        """Returns the therapy's dossier under the last checkpoint, with everything open."""
        return build_dossier(
            StoreSource(self.harness.store, self.harness.vault),
            self.therapy,
            checkpoint=self.harness.ledger.checkpoint(),
            ledger_id=self.harness.ledger_id,
            service_signer=self.harness.service,
            open_classes=tuple(DisclosureClass),
        ).data

    def close(self) -> None:
        """Ends the ledger."""
        self.harness.close()
