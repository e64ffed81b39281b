"""Rebuild the golden vectors of the statement format: `python tests/vectors/statements/build.py`.

Every byte follows from this script: keys and salts from fixed labels, Ed25519 and P-256 with deterministic nonces.
`index.json` says of each envelope and each set of openings which reason, rule or field it is refused with, or OK.
Bad ones are named after their defect. Read them with any implementation of docs/formats/statement.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cellcustody.ledger.statements import (
    DisclosedBody,
    Ed25519Signer,
    EnvelopeSignature,
    Opening,
    P256Signer,
    PayloadType,
    Signer,
    StreamKind,
    commit,
    disclose,
    encode_envelope,
    new_statement_id,
    new_stream_id,
    pae,
    sign_envelope,
    single_stream_id,
)
from cellcustody.ledger.statements.keys import P256_ORDER
from cellcustody.v1 import entry_pb2, envelope_pb2, statement_pb2

FOLDER: Final = Path(__file__).parent
SIGNED_AT_MICROS: Final = 1_767_261_600_000_000  # 2026-01-01T10:00:00Z


def drawn(label: str, length: int = 32) -> bytes:
    """Returns bytes that stand for randomness: the same for the same label."""
    return hashlib.sha256(b"cellcustody statement vectors/" + label.encode()).digest()[:length]


ED25519: Final = Ed25519Signer(drawn("ed25519 key"))
P256: Final = P256Signer(drawn("p256 key"), deterministic=True)
STRANGER: Final = Ed25519Signer(drawn("key that nobody enrolled"))

BODY: Final = entry_pb2.Judgement(
    rule_set=1,
    policy_digest=drawn("policy"),
    status=entry_pb2.JUDGEMENT_STATUS_NONCONFORMING,
    findings=[
        entry_pb2.Finding(code="NOT_CUSTODIAN", leaves=[0, 3, 300]),
        entry_pb2.Finding(code="SEAL_BROKEN"),
    ],
    comparisons=[entry_pb2.IdentifierComparison(leaf=4, outcome=entry_pb2.COMPARISON_OUTCOME_MATCH)],
)
BODY_BYTES: Final = BODY.SerializeToString(deterministic=True)
COMMITMENT, OPENINGS = commit(BODY_BYTES, drawn("seed"))

Change = Callable[[statement_pb2.Payload], object]


def payload(*signers: Signer, change: Change = lambda _: None, co_signature: bool = False) -> statement_pb2.Payload:
    """Returns a good payload that declares the keys of `signers`, with one thing changed."""
    therapy = new_stream_id(StreamKind.THERAPY, lambda n: drawn("therapy", n))
    consignment = new_stream_id(StreamKind.CONSIGNMENT, lambda n: drawn("consignment", n))
    made = statement_pb2.Payload(
        header=statement_pb2.Header(
            ledger_id=drawn("ledger", 16),
            statement_id=new_statement_id(SIGNED_AT_MICROS // 1000, lambda n: drawn("statement", n)),
            stream=therapy,
            seen=[
                statement_pb2.Seen(stream=therapy, statement_digest=drawn("seen 1")),
                statement_pb2.Seen(stream=consignment, statement_digest=drawn("seen 2")),
            ],
            body_type="" if co_signature else "cellcustody.v1.Judgement",
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=SIGNED_AT_MICROS - 600_000_000,
                end_unix_micros=SIGNED_AT_MICROS - 60_000_000,
                offset_minutes=-300,
                zone="America/New_York",
                clock_source=statement_pb2.CLOCK_SOURCE_NETWORK,
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=SIGNED_AT_MICROS,
                offset_minutes=-300,
                zone="America/New_York",
                clock_source=statement_pb2.CLOCK_SOURCE_NETWORK,
            ),
            device=drawn("device", 16),
            device_counter=41,
            signer=statement_pb2.Signer(
                signer_id=drawn("signer", 16),
                key_ids=sorted(signer.key_id for signer in signers),
                role="apheresis_nurse",
                meaning=statement_pb2.MEANING_PERFORMED,
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=drawn("schema"),
            policy_digest=drawn("policy"),
        ),
        body_root=hashlib.sha256(b"").digest() if co_signature else COMMITMENT.root,
        body_fields=() if co_signature else COMMITMENT.field_numbers,
    )
    if co_signature:
        made.header.co_signature.statement_digest = drawn("joined")
    change(made)
    return made


def envelope(
    *signers: Signer,
    change: Change = lambda _: None,
    payload_type: PayloadType = PayloadType.CUSTODY,
    suffix: bytes = b"",
) -> bytes:
    """Returns an envelope whose signatures are right, whatever its payload says."""
    co_signature = payload_type is PayloadType.CO_SIGNATURE
    made = payload(*signers, change=change, co_signature=co_signature).SerializeToString(deterministic=True)
    return sign_envelope(made + suffix, payload_type, signers)


def signed_as_is(payload_bytes: bytes) -> bytes:
    """Returns an envelope over bytes that no serialiser would write, signed by the Ed25519 key."""
    return sign_envelope(payload_bytes, PayloadType.CUSTODY, [ED25519])


def good_payload_bytes() -> bytes:
    return payload(ED25519).SerializeToString(deterministic=True)


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1, "a defect is put in exactly one place"
    return data.replace(old, new)


def with_header(header: bytes) -> bytes:
    """Returns payload bytes whose header is `header`, as it is."""
    rest = statement_pb2.Payload(body_root=COMMITMENT.root, body_fields=COMMITMENT.field_numbers)
    length = len(header)
    assert 128 <= length < 16384
    return bytes((0x0A, length & 0x7F | 0x80, length >> 7)) + header + rest.SerializeToString(deterministic=True)


def high_s() -> bytes:
    """Returns a P-256 envelope whose s is replaced by n - s, which fits the same message."""
    good = envelope_pb2.Envelope.FromString(envelope(P256))
    sig = good.signatures[0].sig
    good.signatures[0].sig = sig[:32] + (P256_ORDER - int.from_bytes(sig[32:], "big")).to_bytes(32, "big")
    return good.SerializeToString(deterministic=True)


def signatures_of(payload_signers: Sequence[Signer], signatures: Sequence[EnvelopeSignature]) -> bytes:
    made = payload(*payload_signers).SerializeToString(deterministic=True)
    return encode_envelope(made, PayloadType.CUSTODY, signatures)


def signature(signer: Signer, payload_signers: Sequence[Signer]) -> EnvelopeSignature:
    made = payload(*payload_signers).SerializeToString(deterministic=True)
    return EnvelopeSignature(signer.sign(pae(PayloadType.CUSTODY.value, made)), signer.key_id.hex())


def envelopes() -> dict[str, tuple[bytes, str]]:
    """Returns name, bytes and expected outcome of every envelope."""
    header = payload(ED25519).header.SerializeToString(deterministic=True)
    both = signature(ED25519, [ED25519, P256]), signature(P256, [ED25519, P256])
    wire = good_payload_bytes()
    made: dict[str, tuple[bytes, str]] = {
        "custody-ed25519": (envelope(ED25519), "OK"),
        "custody-p256": (envelope(P256), "OK"),
        "custody-two-keys": (envelope(ED25519, P256), "OK"),
        "co-signature": (envelope(ED25519, payload_type=PayloadType.CO_SIGNATURE), "OK"),
        "registry-founding-without-ledger-id": (
            envelope(ED25519, payload_type=PayloadType.REGISTRY, change=_founds),
            "OK",
        ),
        # Envelope form.
        "envelope-empty": (b"", "ENVELOPE_MALFORMED"),
        "envelope-truncated": (envelope(ED25519)[:-1], "ENVELOPE_MALFORMED TRUNCATED"),
        "envelope-unknown-field": (envelope(ED25519) + b"\x22\x00", "ENVELOPE_MALFORMED FIELD_UNKNOWN"),
        "envelope-payload-twice": (b"\x0a\x01\x00" + envelope(ED25519), "ENVELOPE_MALFORMED FIELD_TWICE"),
        "envelope-without-signature": (signatures_of([ED25519], []), "ENVELOPE_MALFORMED"),
        "payload-type-unknown": (
            replaced(envelope(ED25519), b"vnd.cellcustody.custody.v1", b"vnd.cellcustody.custody.v2"),
            "PAYLOAD_TYPE_UNKNOWN",
        ),
        "payload-type-not-logged": (envelope(ED25519, payload_type=PayloadType.READ_TOKEN), "PAYLOAD_TYPE_UNKNOWN"),
        # Signatures and keys.
        "signature-of-another-payload": (
            signatures_of([ED25519], [signature(ED25519, [ED25519, P256])]),
            "SIGNATURE_INVALID",
        ),
        "signature-of-another-payload-type": (
            replaced(envelope(ED25519), b"cellcustody.custody.v1", b"cellcustody.erasure.v1"),
            "SIGNATURE_INVALID",
        ),
        "signature-with-high-s": (high_s(), "SIGNATURE_INVALID"),
        "signature-stripped": (signatures_of([ED25519, P256], both[:1]), "KEY_IDS_DISAGREE"),
        "signature-added": (
            signatures_of([ED25519], [signature(ED25519, [ED25519]), signature(P256, [ED25519])]),
            "KEY_IDS_DISAGREE",
        ),
        "signature-twice": (signatures_of([ED25519], [signature(ED25519, [ED25519])] * 2), "SIGNATURE_REPEATED"),
        "signature-by-unknown-key": (envelope(STRANGER), "KEY_UNKNOWN"),
        "signature-without-hint": (
            signatures_of([ED25519], [EnvelopeSignature(signature(ED25519, [ED25519]).sig, "")]),
            "KEY_UNKNOWN",
        ),
        # Wire form of the payload.
        "payload-unknown-field": (signed_as_is(wire + b"\x22\x00"), "WIRE_FORM FIELD_UNKNOWN"),
        "payload-varint-not-shortest": (
            signed_as_is(with_header(replaced(header, b"\x48\x29", b"\x48\xa9\x00"))),
            "WIRE_FORM VARINT_NOT_SHORTEST",
        ),
        "payload-default-encoded": (
            signed_as_is(with_header(replaced(header, b"\x48\x29", b"\x48\x00"))),
            "WIRE_FORM DEFAULT_ENCODED",
        ),
        "payload-header-twice": (signed_as_is(b"\x0a\x00" + wire), "WIRE_FORM FIELD_TWICE"),
        "payload-fields-descend": (
            signed_as_is(b"\x12\x20" + COMMITMENT.root + with_header(header)),
            "WIRE_FORM FIELD_ORDER",
        ),
        "payload-enum-unknown": (
            envelope(ED25519, change=lambda p: p.header.signer.MergeFromString(b"\x20\x63")),
            "WIRE_FORM ENUM_UNKNOWN",
        ),
        "payload-text-not-nfc": (
            envelope(ED25519, change=lambda p: setattr(p.header.signed_at, "zone", "Europe/Zu\u0308rich")),
            "WIRE_FORM NFC",
        ),
        "payload-scalars-not-packed": (
            signed_as_is(
                statement_pb2.Payload(header=payload(ED25519).header, body_root=COMMITMENT.root).SerializeToString(
                    deterministic=True
                )
                + b"\x18\x01\x18\x02"
            ),
            "WIRE_FORM SCALAR_NOT_PACKED",
        ),
    }
    for name, (field, change) in _header_defects().items():
        made[name] = (envelope(ED25519, change=change), f"HEADER_INVALID {field}")
    made["header-co-signature-with-body-type"] = (
        envelope(
            ED25519,
            payload_type=PayloadType.CO_SIGNATURE,
            change=lambda p: setattr(p.header, "body_type", "cellcustody.v1.Judgement"),
        ),
        "HEADER_INVALID body_type",
    )
    made["commitment-root-short"] = (
        envelope(ED25519, change=lambda p: setattr(p, "body_root", COMMITMENT.root[:31])),
        "COMMITMENT_MALFORMED",
    )
    made["commitment-fields-descend"] = (
        envelope(ED25519, change=lambda p: p.body_fields.reverse()),
        "COMMITMENT_MALFORMED",
    )
    made["commitment-of-nothing-with-another-root"] = (
        envelope(ED25519, change=lambda p: p.ClearField("body_fields")),
        "COMMITMENT_MALFORMED",
    )
    made["commitment-in-a-co-signature"] = (
        envelope(ED25519, payload_type=PayloadType.CO_SIGNATURE, change=_commits),
        "COMMITMENT_MALFORMED",
    )
    return made


def _founds(made: statement_pb2.Payload) -> None:
    made.header.ClearField("ledger_id")
    made.header.stream = single_stream_id(StreamKind.REGISTRY)


def _commits(made: statement_pb2.Payload) -> None:
    made.body_root = COMMITMENT.root
    made.body_fields.extend(COMMITMENT.field_numbers)


def _header_defects() -> dict[str, tuple[str, Change]]:
    def seen_reversed(made: statement_pb2.Payload) -> None:
        made.header.seen[0].CopyFrom(made.header.seen[1])
        made.header.seen[1].stream = made.header.stream

    def ends_before_start(made: statement_pb2.Payload) -> None:
        made.header.occurred_at.end_unix_micros = made.header.occurred_at.start_unix_micros - 1

    def joins(made: statement_pb2.Payload) -> None:
        made.header.co_signature.statement_digest = drawn("joined")

    def uuid_version_4(made: statement_pb2.Payload) -> None:
        raw = bytearray(made.header.statement_id)
        raw[6] = 0x40 | raw[6] & 0x0F
        made.header.statement_id = bytes(raw)

    def uuid_variant_microsoft(made: statement_pb2.Payload) -> None:
        raw = bytearray(made.header.statement_id)
        raw[8] |= 0xC0
        made.header.statement_id = bytes(raw)

    return {
        "header-ledger-id-absent": ("ledger_id", lambda p: p.header.ClearField("ledger_id")),
        "header-ledger-id-short": ("ledger_id", lambda p: setattr(p.header, "ledger_id", drawn("ledger", 15))),
        "header-statement-id-version-4": ("statement_id", uuid_version_4),
        "header-statement-id-variant": ("statement_id", uuid_variant_microsoft),
        "header-stream-kind-unknown": ("stream", lambda p: setattr(p.header, "stream", b"\x0b" + drawn("x", 16))),
        "header-stream-registry-not-zero": ("stream", lambda p: setattr(p.header, "stream", b"\x06" + drawn("x", 16))),
        "header-stream-therapy-zero": ("stream", lambda p: setattr(p.header, "stream", b"\x01" + bytes(16))),
        "header-seen-descends": ("seen", seen_reversed),
        "header-seen-twice": ("seen", lambda p: setattr(p.header.seen[1], "stream", p.header.seen[0].stream)),
        "header-seen-digest-short": (
            "seen.statement_digest",
            lambda p: setattr(p.header.seen[0], "statement_digest", bytes(31)),
        ),
        "header-body-type-absent": ("body_type", lambda p: p.header.ClearField("body_type")),
        "header-joins-without-being-co-signature": ("co_signature", joins),
        "header-interval-ends-before-start": ("occurred_at.end_unix_micros", ends_before_start),
        "header-offset-beyond-18-hours": (
            "signed_at.offset_minutes",
            lambda p: setattr(p.header.signed_at, "offset_minutes", 1081),
        ),
        "header-signed-at-absent": ("signed_at", lambda p: p.header.ClearField("signed_at")),
        "header-device-short": ("device", lambda p: setattr(p.header, "device", drawn("device", 8))),
        "header-role-absent": ("signer.role", lambda p: p.header.signer.ClearField("role")),
        "header-meaning-absent": ("signer.meaning", lambda p: p.header.signer.ClearField("meaning")),
        "header-schema-digest-absent": ("schema_digest", lambda p: p.header.ClearField("schema_digest")),
    }


def disclosures() -> dict[str, tuple[DisclosedBody, str]]:
    """Returns name, records and expected outcome of every way the body is shown."""
    shown = list(OPENINGS)
    second = shown[1]

    def but(index: int, opening: Opening) -> DisclosedBody:
        return DisclosedBody((*shown[:index], opening, *shown[index + 1 :]))

    return {
        "openings-all": (DisclosedBody(OPENINGS), "OK"),
        "openings-none": (disclose(OPENINGS, ()), "OK"),
        "openings-some": (disclose(OPENINGS, (0, 2, 5)), "OK"),
        "openings-last-missing": (DisclosedBody(OPENINGS[:-1]), "OPENING_MISSING"),
        "openings-one-too-many": (DisclosedBody((*OPENINGS, Opening(6, drawn("x"), b"\x2a\x00"))), "OPENING_INVALID"),
        "openings-swapped": (DisclosedBody((shown[1], shown[0], *shown[2:])), "OPENING_INVALID"),
        "openings-swapped-and-renumbered": (
            DisclosedBody((*shown[:3], Opening(3, shown[4].salt, shown[4].record), Opening(4, shown[3].salt,
                           shown[3].record), *shown[5:])),
            "COMMITMENT_MISMATCH",
        ),
        "openings-salt-altered": (but(1, Opening(1, drawn("other"), second.record)), "COMMITMENT_MISMATCH"),
        "openings-salt-short": (but(1, Opening(1, second.salt[:31], second.salt[31:] + second.record)),
                                "OPENING_INVALID"),
        "openings-record-altered": (
            but(1, Opening(1, second.salt, second.record[:-1] + bytes((second.record[-1] ^ 1,)))), "COMMITMENT_MISMATCH"
        ),
        "openings-of-another-field": (but(1, Opening(1, second.salt, b"\x18\x01")), "OPENING_INVALID"),
        "openings-two-records-in-one": (
            but(1, Opening(1, second.salt, second.record + second.record)), "OPENING_INVALID"
        ),
    }  # fmt: skip


def files() -> dict[str, bytes]:
    """Returns every file of this folder that the script makes, by name."""
    made: dict[str, bytes] = {"body.binpb": BODY_BYTES}
    index: dict[str, dict[str, object]] = {
        "keys": {signer.key_id.hex(): signer.public_key_spki.hex() for signer in (ED25519, P256)},
        "commitment": {"root": COMMITMENT.root.hex(), "field_numbers": list(COMMITMENT.field_numbers)},
        "envelopes": {},
        "openings": {},
        "statement_digests": {},
    }
    for name, (raw, outcome) in envelopes().items():
        made[f"{name}.binpb"] = raw
        index["envelopes"][f"{name}.binpb"] = outcome
        if outcome == "OK":
            parsed = envelope_pb2.Envelope.FromString(raw)
            digest = hashlib.sha256(pae(parsed.payload_type, parsed.payload)).hexdigest()
            index["statement_digests"][f"{name}.binpb"] = digest
    for name, (body, outcome) in disclosures().items():
        made[f"{name}.json"] = _json(
            [
                {"index": record.index, "salt": record.salt.hex(), "record": record.record.hex()}
                if isinstance(record, Opening)
                else {"index": record.index, "leaf_hash": record.leaf_hash.hex()}
                for record in body.records
            ]
        )
        index["openings"][f"{name}.json"] = outcome
    made["index.json"] = _json(index)
    return made


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def main() -> None:
    """Writes every file, and removes those that are no longer made."""
    made = files()
    for path in FOLDER.iterdir():
        if path.suffix in (".binpb", ".json") and path.name not in made:
            path.unlink()
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
