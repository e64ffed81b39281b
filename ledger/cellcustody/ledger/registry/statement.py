"""A statement of the registry's, policies' or schemas' stream as the rules of the registry see it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import Message

from cellcustody.ledger.registry.records import RegistryJudgement
from cellcustody.ledger.statements import ParsedStatement, PayloadType

__all__ = ["RegistryEntry", "RegistryStatement"]


@dataclass(frozen=True, slots=True)
class RegistryStatement:
    """What the rules need of a verified statement; a co-signature has no body and a digest that it `joins`.

    `signed_at` is microseconds since 1970-01-01T00:00:00Z. `ledger_id` is as in the header, so it is empty in the
    founding statement; `payload_sha256` is SHA-256 of the payload, from which a ledger founded by it takes its id.
    """

    digest: bytes
    body_type: str
    body: Message | None
    signer: bytes
    key_ids: tuple[bytes, ...]
    role: str
    meaning: int
    signed_at: int
    device: bytes
    ledger_id: bytes
    payload_kind: PayloadType
    payload_sha256: bytes
    joins: bytes | None = None

    @classmethod
    def of(cls, parsed: ParsedStatement, body: Message | None) -> RegistryStatement:
        """Returns the statement `parsed` with its opened body; a co-signature's body is None."""
        header = parsed.header
        return cls(
            digest=parsed.digest,
            body_type=header.body_type,
            body=body,
            signer=header.signer.signer_id,
            key_ids=parsed.key_ids,
            role=header.signer.role,
            meaning=header.signer.meaning,
            signed_at=header.signed_at.unix_micros,
            device=header.device,
            ledger_id=header.ledger_id,
            payload_kind=parsed.payload_type,
            payload_sha256=hashlib.sha256(parsed.envelope.payload).digest(),
            joins=parsed.joined_digest,
        )


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A statement as recorded at `leaf_index`, at `recorded_at` (microseconds since 1970), with its judgement."""

    statement: RegistryStatement
    leaf_index: int
    recorded_at: int
    judged: RegistryJudgement
