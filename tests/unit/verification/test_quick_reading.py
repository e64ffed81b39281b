"""What the quick reading accepts, the exact one accepts, and reads the same."""

from __future__ import annotations

import random

import pytest
from forge import Forge

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import KeyId, PublicKey, encode_envelope, parse_envelope, read_statement
from cellcustody.ledger.statements.envelope import EnvelopeSignature
from cellcustody.ledger.verification import replay_registry
from cellcustody.ledger.verification.quick_reading import QuickReader, Said, said_in
from cellcustody.v1 import statement_pb2

SEED = 20261122


@pytest.fixture(scope="module")
def keys(lawful: Forge) -> dict[str, PublicKey]:
    """Every key of the lawful ledger."""
    state = replay_registry(lawful.to_verify()[:8]).state
    found = {key_id.hex(): state.public_key(KeyId(key_id)) for key_id in state.keys}
    return {name: key for name, key in found.items() if key is not None}


def exact(raw: bytes, keys: dict[str, PublicKey]) -> Said | None:
    """Returns what the exact reading makes of it, or None."""
    try:
        return said_in(read_statement(raw, lambda key_id: keys.get(key_id.hex())))
    except CellcustodyError:
        return None


def test_every_lawful_statement_is_read_quickly_and_the_same(lawful: Forge, keys: dict[str, PublicKey]) -> None:
    """No lawful statement needs the exact reading."""
    reader = QuickReader(keys)
    for given in [*lawful.entries, *lawful.entries]:  # The second time everything about the signers is known.
        raw = read_entry(given.entry).envelope
        quick = reader.read(raw)
        assert quick is not None
        assert quick == exact(raw, keys)


def test_whatever_is_changed_the_quick_reading_accepts_no_more(lawful: Forge, keys: dict[str, PublicKey]) -> None:
    """Bytes flipped, put in, left out and repeated are accepted by both or by the exact reading alone."""
    draw = random.Random(SEED)
    envelopes = [read_entry(given.entry).envelope for given in lawful.entries[-6:]]
    reader = QuickReader(keys)
    for _ in range(600):
        raw = draw.choice(envelopes)
        at = draw.randrange(len(raw))
        bent = draw.choice(
            (
                raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :],
                raw[:at] + raw[at + 1 :],
                raw[:at] + draw.randbytes(1) + raw[at:],
                raw + raw[:at],
            )
        )
        quick = reader.read(bent)
        if quick is not None:
            assert quick == exact(bent, keys)


@pytest.mark.parametrize("part", ["meaning", "authentication", "clock", "role", "zone", "key_ids", "unknown", "root"])
def test_a_signed_payload_that_no_statement_may_have_is_not_accepted(
    lawful: Forge, keys: dict[str, PublicKey], part: str
) -> None:
    """A signer can sign what the format forbids; neither reading takes it."""
    envelope = parse_envelope(read_entry(lawful.entries[-1].entry).envelope)
    payload = statement_pb2.Payload.FromString(envelope.payload)
    header = payload.header
    signer = lawful.second_nurse.signer
    match part:
        case "meaning":
            header.signer.meaning = 77  # type: ignore[assignment]  # a value that the enum does not name
        case "authentication":
            header.signer.authentication = 77  # type: ignore[assignment]  # likewise
        case "clock":
            header.signed_at.clock_source = 77  # type: ignore[assignment]  # likewise
        case "role":
            header.signer.role = "e\u0301"
        case "zone":
            header.signed_at.zone = ""
        case "key_ids":
            header.signer.key_ids.append(b"\xff" * 32)
        case "root":
            payload.body_root = bytes(31)
        case _:
            pass
    raw_payload = payload.SerializeToString(deterministic=True) + (b"\xf8\x07\x01" if part == "unknown" else b"")
    bare = encode_envelope(raw_payload, envelope.payload_type, [EnvelopeSignature(bytes(64), signer.key_id.hex())])
    message = parse_envelope(bare).signed_bytes
    raw = encode_envelope(
        raw_payload, envelope.payload_type, [EnvelopeSignature(signer.sign(message), signer.key_id.hex())]
    )

    assert exact(raw, keys) is None
    reader = QuickReader(keys)
    assert reader.read(raw) is None
    for given in lawful.entries:
        assert reader.read(read_entry(given.entry).envelope) is not None
    assert reader.read(raw) is None  # Nor once everything that is right about it is known.
