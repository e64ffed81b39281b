"""Rebuild the golden vectors of what a ledger writes: `python tests/vectors/ledger/build.py`.

Entries (a fact, a co-signature, the ledger's own re-judgement), the rows of openings
and leaf hashes, the anchor, a policy pack and a key file. Every byte follows from this script; `index.json` gives leaf
hashes, digests, hold ids and how the entries are chained.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Comparison, Finding, Judged, Outcome, Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.entries import ZERO_HASH, JudgedEntry, encode_entry, leaf_hash_of
from cellcustody.ledger.recording.ledger_statements import revision
from cellcustody.ledger.recording.sealing import encode_leaf_hashes, encode_openings
from cellcustody.ledger.registry import Anchor, encode_anchor
from cellcustody.ledger.statements import (
    Ed25519Signer,
    PayloadType,
    StatementDraft,
    draft_statement,
    new_statement_id,
    parse_statement,
    sign_statement,
)
from cellcustody.ledger.statements.key_files import COST_LIGHT, KeyKind, create_key_file
from cellcustody.ledger.transparency import Ed25519NoteSigner
from cellcustody.v1 import common_pb2, statement_pb2, transport_pb2

FOLDER: Final = Path(__file__).parent
RECORDED_AT: Final = 1_767_261_660_000_000  # 2026-01-01T10:01:00Z
ORIGIN: Final = "vectors.example/log"
ZONE: Final = "Europe/Berlin"


def drawn(label: str, length: int = 32) -> bytes:
    """Returns bytes that stand for randomness: the same for the same label."""
    return hashlib.sha256(b"cellcustody ledger vectors/" + label.encode()).digest()[:length]


SIGNER: Final = Ed25519Signer(drawn("signer"))
SITE: Final = drawn("site", 16)
CONSIGNMENT: Final = b"\x02" + drawn("consignment", 16)


def statement(
    label: str, body: Message | None, *, joins: bytes = b"", minutes: int = 0
) -> tuple[bytes, StatementDraft]:
    """Returns a signed statement of the consignment and its draft."""
    at = RECORDED_AT + (minutes - 10) * 60_000_000
    network = statement_pb2.CLOCK_SOURCE_NETWORK
    header = statement_pb2.Header(
        ledger_id=drawn("ledger", 16),
        statement_id=new_statement_id(at // 1000, lambda length: drawn(f"{label} id", length)),
        stream=CONSIGNMENT,
        body_type="" if body is None else body.DESCRIPTOR.full_name,
        occurred_at=statement_pb2.Occurrence(start_unix_micros=at, offset_minutes=60, zone=ZONE, clock_source=network),
        signed_at=statement_pb2.ClockReading(unix_micros=at, offset_minutes=60, zone=ZONE, clock_source=network),
        device=drawn("device", 16),
        device_counter=minutes + 1,
        signer=statement_pb2.Signer(
            signer_id=drawn("person", 16),
            key_ids=[SIGNER.key_id],
            role="driver",
            meaning=statement_pb2.MEANING_RELEASED,
            authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
        ),
        schema_digest=drawn("schema"),
        co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins else None,
    )
    draft = draft_statement(header, body, drawn(f"{label} seed"))
    kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
    return sign_statement(draft.payload, kind, [SIGNER]), draft


def files() -> dict[str, bytes]:
    """Returns every file by its name."""
    released = transport_pb2.CustodyReleased(
        releaser=common_pb2.Unit(site=SITE, unit="road"),
        receiver=common_pb2.Unit(site=drawn("other site", 16), unit="cell-lab"),
        containers=["box-1", "box-2"],
        count=2,
    )
    fact, draft = statement("fact", released)
    fact_digest = parse_statement(fact).digest
    findings = (Finding("COUNT_MISMATCH", (4,)), Finding("NOT_CUSTODIAN", (0, 2, 3)))
    first = encode_entry(
        fact,
        recorded_at=RECORDED_AT,
        submitting_site=SITE,
        sequence=1,
        previous_leaf_hash=ZERO_HASH,
        judgement=JudgedEntry(
            Judged(Status.NONCONFORMING, findings), drawn("policy"), (Comparison(1, Outcome.UNREADABLE),)
        ),
    )
    joined, _ = statement("co-signature", None, joins=fact_digest, minutes=1)
    second = encode_entry(
        joined,
        recorded_at=RECORDED_AT + 60_000_000,
        submitting_site=SITE,
        sequence=2,
        previous_leaf_hash=leaf_hash_of(first),
        judgement=JudgedEntry(Judged(Status.RECORDED), drawn("policy"), puts_in_effect=fact_digest),
    )
    body = revision(
        {fact_digest: JudgedEntry(Judged(Status.CONFORMING), drawn("policy"))}, parse_statement(joined).digest
    )
    revised, revised_draft = statement("revision", body, minutes=2)
    third = encode_entry(
        revised,
        recorded_at=RECORDED_AT + 120_000_000,
        submitting_site=b"",
        sequence=3,
        previous_leaf_hash=leaf_hash_of(second),
        judgement=JudgedEntry(Judged(Status.RECORDED)),
    )
    vkey = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(drawn("log key"))).vkey
    anchor = encode_anchor(Anchor(fact_digest, ORIGIN, (vkey,)))
    pack = sample_pack_bytes()
    index = {
        "stream": CONSIGNMENT.hex(),
        "entries": {
            name: {"leaf_hash": leaf_hash_of(raw).hex(), "statement_digest": parse_statement(envelope).digest.hex()}
            for name, raw, envelope in (
                ("entry-fact", first, fact),
                ("entry-co-signature", second, joined),
                ("entry-revision", third, revised),
            )
        },
        "holds": {finding.code: hold_id(fact_digest, finding.code).hex() for finding in findings},
        "policy_digest": PolicyPack.parse(pack).digest.hex(),
        "revision_openings": encode_openings(revised_draft.openings).hex(),
    }
    return {
        "entry-fact.binpb": first,
        "entry-co-signature.binpb": second,
        "entry-revision.binpb": third,
        "row-openings.bin": encode_openings(draft.openings),
        "row-leaf-hashes.bin": encode_leaf_hashes(draft.openings),
        "anchor.json": anchor,
        "policy-pack.json": pack,
        "index.json": json.dumps(index, indent=2, sort_keys=True).encode() + b"\n",
    }


def key_file(path: Path) -> None:
    """Writes the key file; its passphrase is `vectors`."""
    path.unlink(missing_ok=True)
    create_key_file(
        path,
        KeyKind.ED25519,
        drawn("signer"),
        "vectors",
        name="vector",
        holder=drawn("person", 16),
        cost=COST_LIGHT,
        random_bytes=lambda length: drawn("key file", length),
    )


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
    key_file(FOLDER / "key.json")
