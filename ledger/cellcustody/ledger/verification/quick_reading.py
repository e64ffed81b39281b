"""Read statements of the common shape in fewer steps; where one is not of it, the exact reading decides.

The rules are those of `statements.read_statement`, read a second time for one signature by an Ed25519 key that the
registry knows by the hint's exact text. What is accepted here is accepted there:

* Envelope and payload are equal to their own deterministic serialisation without unknown fields, which is the exact
  wire form but for text and enums; the payload type is one of the table, and the hint one of the registry's.
* The signature is checked over the exact bytes, under the strict profile, before anything in the payload is believed.
* Parts of a header that come again and again (signer, clock, body type, field numbers) pass the exact check, with its
  enums looked up, when they come for the first time; equal bytes need not be looked at again. Everything else of a
  header is checked in one function.

A statement that is not accepted here is read again by the exact rules, which say what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import (
    Commitment,
    KeyAlgorithm,
    KeyId,
    ParsedStatement,
    PayloadType,
    PublicKey,
    pae,
    verify,
)
from cellcustody.ledger.statements.envelope import ENVELOPE_BYTES_MAX
from cellcustody.ledger.statements.headers import MICROS_MAX, SEEN_COUNT_MAX, check_header
from cellcustody.ledger.transparency.merkle import EMPTY_ROOT
from cellcustody.v1 import envelope_pb2, statement_pb2

__all__ = ["QuickReader", "Said", "said_in"]

PARTS_REMEMBERED_MAX: Final = 65_536  # Of each kind: some ten thousand persons; after that they are learnt anew.
NUMBERS_MAX: Final = 128  # Longer sequences of field numbers are a rarity, and would fill the memory.

_LOGGED: Final = {kind.value: kind for kind in PayloadType if kind.is_logged}
_MEANINGS: Final = frozenset(statement_pb2.Meaning.values())
_WAYS: Final = frozenset(statement_pb2.AuthenticationMethod.values())
_CLOCKS: Final = frozenset(statement_pb2.ClockSource.values())
_ZERO: Final = bytes(16)


class Said(NamedTuple):
    """What a verified statement says, each field taken out of its header once. Times are unix microseconds."""

    kind: PayloadType
    digest: bytes
    ledger_id: bytes
    statement_id: bytes
    stream: bytes
    seen: tuple[tuple[bytes, bytes], ...]
    body_type: str
    device: bytes
    signer: bytes
    role: str
    key_ids: tuple[KeyId, ...]
    signed_at: int
    schema_digest: bytes
    policy_digest: bytes
    joins: bytes | None
    body_root: bytes
    field_numbers: tuple[int, ...]

    @property
    def commitment(self) -> Commitment:
        """The signed root over the body's records."""
        return Commitment(self.body_root, self.field_numbers)


class _KnownSigner(NamedTuple):
    """A header's signer that passed the exact check, and was verified with this one key."""

    signer: bytes
    role: str
    key_ids: tuple[KeyId, ...]


_Clock = tuple[int, str, int]


def said_in(statement: ParsedStatement) -> Said:
    """Returns what a statement says that the exact reading has read."""
    header = statement.header
    return Said(
        statement.envelope.payload_type,
        statement.envelope.statement_digest,
        header.ledger_id,
        header.statement_id,
        header.stream,
        tuple([(seen.stream, seen.statement_digest) for seen in header.seen]),
        header.body_type,
        header.device,
        header.signer.signer_id,
        header.signer.role,
        statement.key_ids,
        header.signed_at.unix_micros,
        header.schema_digest,
        header.policy_digest,
        statement.joined_digest,
        statement.commitment.root,
        statement.commitment.field_numbers,
    )


class QuickReader:
    """Reads statements whose signers are known. One reader serves any number of threads."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        """Takes every key that is known, by its id in lower-case hexadecimal."""
        self._keys = keys
        self._signers: dict[bytes, _KnownSigner] = {}
        self._clocks: set[_Clock] = set()
        self._kinds: dict[str, PayloadType] = {}
        self._field_numbers: set[tuple[int, ...]] = set()

    def read(self, raw: bytes, *, is_known: bool = False) -> Said | None:
        """Returns what the statement in envelope bytes says, verified, or None where the exact reading is to decide.

        `is_known` says that the signature over these very bytes was verified before, by whoever asks.
        """
        # (1): The envelope, and a key that this reading knows.
        if len(raw) > ENVELOPE_BYTES_MAX:
            return None
        try:
            message = envelope_pb2.Envelope.FromString(raw)
        except DecodeError:
            return None
        message.DiscardUnknownFields()
        signatures = message.signatures
        if len(signatures) != 1 or message.SerializeToString(deterministic=True) != raw:
            return None
        signature = signatures[0]
        payload_type = message.payload_type
        key = self._keys.get(signature.keyid)
        kind = _LOGGED.get(payload_type)
        payload_bytes = message.payload
        if key is None or kind is None or not payload_bytes or key.algorithm is not KeyAlgorithm.ED25519:
            return None

        # (2): The signature covers these very bytes. Nothing in the payload is believed before this step.
        signed_bytes = pae(payload_type, payload_bytes)
        if not is_known:
            try:
                verify(key, signature.sig, signed_bytes)
            except CellcustodyError:
                return None

        # (3): The payload, the header, the commitment.
        try:
            payload = statement_pb2.Payload.FromString(payload_bytes)
        except (DecodeError, UnicodeDecodeError):
            return None
        payload.DiscardUnknownFields()
        if payload.SerializeToString(deterministic=True) != payload_bytes:
            return None
        root, numbers = payload.body_root, tuple(payload.body_fields)
        if len(root) != 32 or not self._is_commitment(root, numbers, kind):
            return None
        return self._read_header(payload.header, key, kind, sha256(signed_bytes).digest(), root, numbers)

    def _is_commitment(self, root: bytes, numbers: tuple[int, ...], kind: PayloadType) -> bool:
        if not numbers:
            return root == EMPTY_ROOT
        if kind is PayloadType.CO_SIGNATURE:
            return False
        if numbers not in self._field_numbers:
            try:
                Commitment(root, numbers)
            except CellcustodyError:
                return False
            if len(numbers) <= NUMBERS_MAX:
                _remember(self._field_numbers, numbers)
        return True

    def _read_header(
        self,
        header: statement_pb2.Header,
        key: PublicKey,
        kind: PayloadType,
        digest: bytes,
        root: bytes,
        numbers: tuple[int, ...],
    ) -> Said | None:
        # (1): The parts that come again and again; what is new goes through the exact check.
        signer_part = header.signer.SerializeToString()
        occurred, signed = header.occurred_at, header.signed_at
        body_type = header.body_type
        clock = (signed.offset_minutes, signed.zone, signed.clock_source)
        other_clock = (occurred.offset_minutes, occurred.zone, occurred.clock_source)
        known = self._signers.get(signer_part)
        if (
            known is None
            or clock not in self._clocks
            or other_clock not in self._clocks
            or self._kinds.get(body_type) is not kind
        ):
            known = self._checked(header, kind)
            if known is None:
                return None
        if known.key_ids != (key.key_id,):
            return None

        # (2): The ids.
        ledger_id, statement_id, stream, device = header.ledger_id, header.statement_id, header.stream, header.device
        schema_digest, policy_digest = header.schema_digest, header.policy_digest
        if (
            (len(ledger_id) != 16 and (ledger_id or kind is not PayloadType.REGISTRY))
            or len(statement_id) != 16
            or statement_id[6] >> 4 != 7
            or statement_id[8] >> 6 != 2
            or not _is_stream(stream)
            or len(device) != 16
            or len(schema_digest) != 32
            or (policy_digest and len(policy_digest) != 32)
        ):
            return None

        # (3): What was seen: streams ascending, each once.
        seen: list[tuple[bytes, bytes]] = []
        last = b""
        for one in header.seen:
            seen_stream, seen_digest = one.stream, one.statement_digest
            if seen_stream <= last or len(seen_digest) != 32 or not _is_stream(seen_stream):
                return None
            seen.append((seen_stream, seen_digest))
            last = seen_stream
        if len(seen) > SEEN_COUNT_MAX:
            return None

        # (4): What is joined, and the times. An absent time reads as 0.
        joins: bytes | None = None
        if header.HasField("co_signature"):
            joins = header.co_signature.statement_digest
        if (joins is not None) is not (kind is PayloadType.CO_SIGNATURE) or (joins is not None and len(joins) != 32):
            return None
        start, signed_at = occurred.start_unix_micros, signed.unix_micros
        if not 0 < start <= MICROS_MAX or not 0 < signed_at <= MICROS_MAX:
            return None
        if occurred.HasField("end_unix_micros") and not start <= occurred.end_unix_micros <= MICROS_MAX:
            return None
        return Said(
            kind,
            digest,
            ledger_id,
            statement_id,
            stream,
            tuple(seen),
            body_type,
            device,
            known.signer,
            known.role,
            known.key_ids,
            signed_at,
            schema_digest,
            policy_digest,
            joins,
            root,
            numbers,
        )

    def _checked(self, header: statement_pb2.Header, kind: PayloadType) -> _KnownSigner | None:
        signer = header.signer
        if (
            signer.meaning not in _MEANINGS
            or signer.authentication not in _WAYS
            or header.occurred_at.clock_source not in _CLOCKS
            or header.signed_at.clock_source not in _CLOCKS
        ):
            return None
        try:
            check_header(header, kind)
        except CellcustodyError:
            return None
        known = _KnownSigner(signer.signer_id, signer.role, tuple([KeyId(key_id) for key_id in signer.key_ids]))
        if len(self._signers) >= PARTS_REMEMBERED_MAX:
            self._signers.clear()
        self._signers[signer.SerializeToString()] = known
        for reading in (header.occurred_at, header.signed_at):
            _remember(self._clocks, (reading.offset_minutes, reading.zone, reading.clock_source))
        if len(self._kinds) >= PARTS_REMEMBERED_MAX:
            self._kinds.clear()
        self._kinds[header.body_type] = kind
        return known


def _is_stream(raw: bytes) -> bool:
    """Tells whether `check_stream_id` takes these bytes."""
    if len(raw) != 17:
        return False
    return raw[1:] != _ZERO if 1 <= raw[0] <= 5 else raw[1:] == _ZERO and 6 <= raw[0] <= 9


_PartT = TypeVar("_PartT")


def _remember(parts: set[_PartT], part: _PartT) -> None:
    if len(parts) >= PARTS_REMEMBERED_MAX:
        parts.clear()
    parts.add(part)
