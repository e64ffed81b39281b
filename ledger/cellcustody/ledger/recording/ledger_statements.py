"""The ledger's own statements: re-judgements and exports, signed by its service key.

The rules:

* What the ledger signs is an envelope like any other, by the service device, in the role `ledger`.
* Its device counter is the leaf index of the entry, which only grows.
* A re-judgement names the facts in the order of their digests and the statement whose arrival caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.entries import JudgedEntry, write_judgement
from cellcustody.ledger.errors import FormRefusedError
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.statements import (
    Signer,
    draft_statement,
    new_statement_id,
    parse_statement,
    sign_statement,
)
from cellcustody.v1 import heads_pb2, quality_pb2, statement_pb2

__all__ = ["ROLE_LEDGER", "LedgerVoice", "MapBeyondLogError", "Voice", "check_map", "revision"]

ROLE_LEDGER: Final = "ledger"
_SEED_BYTES: Final = 32
_HASH_BYTES: Final = 32
_ZONE: Final = "Etc/UTC"  # The ledger has no place of its own.


class Voice(Protocol):
    """Says in the ledger's name what a judgement causes: a server signs it, a replay finds it recorded."""

    def say(
        self, body: Message, *, ledger_id: bytes, stream: bytes, schema_digest: bytes, leaf_index: int, now: int
    ) -> Prepared:
        """Returns the statement that says `body` at `leaf_index`; `now` is in microseconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerVoice:
    """Signs what the ledger says. `random_bytes` gives so many random bytes."""

    signer: Signer
    device: bytes
    random_bytes: Callable[[int], bytes]

    def say(
        self, body: Message, *, ledger_id: bytes, stream: bytes, schema_digest: bytes, leaf_index: int, now: int
    ) -> Prepared:
        """Returns a statement of the ledger, signed and ready to record; `now` is in microseconds since the epoch."""
        found = BODIES[body.DESCRIPTOR.full_name]
        network = statement_pb2.CLOCK_SOURCE_NETWORK
        header = statement_pb2.Header(
            ledger_id=ledger_id,
            statement_id=new_statement_id(now // 1000, self.random_bytes),
            stream=stream,
            body_type=found.name,
            occurred_at=statement_pb2.Occurrence(start_unix_micros=now, zone=_ZONE, clock_source=network),
            signed_at=statement_pb2.ClockReading(unix_micros=now, zone=_ZONE, clock_source=network),
            device=self.device,
            device_counter=leaf_index,
            signer=statement_pb2.Signer(
                signer_id=self.device,
                key_ids=[self.signer.key_id],
                role=ROLE_LEDGER,
                meaning=statement_pb2.MEANING_LEDGER,
                authentication=statement_pb2.AUTHENTICATION_METHOD_MACHINE,
            ),
            schema_digest=schema_digest,
        )
        draft = draft_statement(header, body, self.random_bytes(_SEED_BYTES))
        envelope = sign_statement(draft.payload, found.payload_type, [self.signer])
        return Prepared(parse_statement(envelope), found, body, draft.openings)


def revision(judgements: Mapping[bytes, JudgedEntry], caused_by: bytes) -> quality_pb2.JudgementsRevised:
    """Returns the body of a re-judgement."""
    return quality_pb2.JudgementsRevised(
        judgements=[
            quality_pb2.RevisedJudgement(statement_digest=digest, judgement=write_judgement(judgements[digest]))
            for digest in sorted(judgements)
        ],
        caused_by=caused_by,
    )


class MapBeyondLogError(FormRefusedError):
    """Raised when a map of heads covers entries that are not there, or has a root that is none."""

    reason = "MAP_BEYOND_LOG"


def check_map(body: Message | None, leaf_index: int) -> None:
    """Returns if a map that would be recorded at `leaf_index` is in its form, or if the body is no map.

    Raises:
        MapBeyondLogError: it is not.
    """
    if not isinstance(body, heads_pb2.HeadsMapped):
        return
    hashes = (body.heads_root, body.aliases_root, body.alias_key_commitment)
    if body.covered_size > leaf_index or any(len(one) != _HASH_BYTES for one in hashes):
        raise MapBeyondLogError(
            "a map covers entries below its own alone, by roots of 32 bytes",
            covered_size=body.covered_size,
            leaf_index=leaf_index,
        )
