"""Verify a dossier of a cellcustody ledger, offline.

    python verify.py DOSSIER ANCHOR [--alias-key FILE] [--json]

DOSSIER is the file with a therapy's signed statements. ANCHOR is the small file that names the ledger; get it by
another way than from whoever gave you the dossier, for anybody can make a ledger of their own. Without it nothing
better is said than CONSISTENT, ISSUER UNPROVEN. It needs Python 3.11 and the package `cryptography` (49 or newer for
the post-quantum signatures; with an older one those are UNVERIFIED). It opens no connection and looks at no clock.

How to read this program. The way of a dossier is `_verify` in section 12; follow it from there, or read in order.
Sections 2 to 4 are tools. Sections 7 and 8 are the longest, and each stands by itself: take their names at their word
when you read for the first time, and read 5, 6 and 9 to 12, which are half of the whole.

  1  Saying what was found              CHECKS, Broken, Report
  2  Reading protobuf in one exact form  parse, SHAPES
  3  The contract                       the ledger's own schema, read out of the dossier
  4  Keys and signatures                Ed25519 strictly, P-256 with low s, ML-DSA
  5  The file                           the ZIP, its entries, its bodies
  6  Statements                         envelope, header, what the body was committed to
  7  The registry                       who could sign what, replayed from the founding on
  8  The log                            checkpoint, witnesses, inclusion
  9  Every statement                    signer, references, judgement
 10  Between statements                 chains, co-signatures, revisions
 11  The manifest, and completeness     what the ledger says it gave, and whether that is all
 12  Telling it                         report, timeline, exit code
 13  Tables                             taken over from the product by a script, and held to it by a test

A rule is written where it is checked: `need(condition, "what is wrong")` ends the check that is being made. Every
check ends as PASSED, FAILED, UNVERIFIED (this program cannot tell) or NOT REACHED. The first failure ends it all.
The formats are specified in docs/formats: dossier.md, entry.md, statement.md, registry.md, transparency.md,
head-map.md. This program was written from those pages and shares no code with the product.

Exit codes: 0 verified; 1 broken, or nobody knows whose it is, or a part could not be checked; 2 wrong use.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import re
import struct
import sys
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # An older cryptography: these signatures are then told as UNVERIFIED.
    mldsa = None  # type: ignore[assignment]  # a module, or nothing


# 1  Saying what was found ---------------------------------------------------------------------------------------------

CHECKS = {  # In the order in which they are told; with the reason that a failure carries, and what each shows.
    "CONTAINER": ("DOSSIER_FORM", "the file is the one ZIP that its contents make"),
    "ENTRIES": ("ENTRY_INVALID", "every entry is in its exact form"),
    "ISSUER": ("ISSUER_MISMATCH", "the founding is the one that the anchor names"),
    "CONTRACT": ("CONTRACT_UNKNOWN", "what acts ask for is what this release publishes, and not the ledger's word"),
    "REGISTRY": ("REGISTRY_INVALID", "every act of the registry was lawful at its position"),
    "CHECKPOINT": ("CHECKPOINT_INVALID", "every key of the log at that size signed the checkpoint"),
    "WITNESSES": ("WITNESS_QUORUM_UNMET", "other organisations saw the same log"),
    "INCLUSION": ("INCLUSION_INVALID", "every entry is in the tree that the checkpoint names"),
    "SIGNATURES": ("STATEMENT_INVALID", "every signature covers the exact bytes"),
    "BODIES": ("BODY_INVALID", "the records shown are those that were signed"),
    "SIGNERS": (
        "SIGNER_INVALID",
        "keys, roles and capabilities stood at each position, or the entry says they did not",
    ),
    "REFERENCES": ("REFERENCE_INVALID", "schemas, policies and statements relied on were there before"),
    "JUDGEMENTS": ("JUDGEMENT_INVALID", "every entry carries a judgement that can stand, revised by the ledger alone"),
    "STREAMS": ("STREAM_BROKEN", "every stream is an unbroken chain from its first entry"),
    "CO_SIGNATURES": ("CO_SIGNATURE_INVALID", "every authorisation in effect has the persons that it needs"),
    "MANIFEST": ("MANIFEST_INVALID", "the ledger signed the list of these files"),
    "EMBEDDED_VERIFIERS": ("", "the verifiers in the file are the published ones"),
    "SCOPE": ("SCOPE_INVALID", "the streams are those listed and those cited"),
    "COMPLETENESS": ("COMPLETENESS_INVALID", "nothing was recorded after the last entry of each stream"),
    "ALIASES": ("ALIASES_INVALID", "the identifiers open here name this therapy and no other"),
    "TIME": ("TIME_INVALID", "times are as claimed"),
    "REPLAY": ("", "the judgements are those that the rules make"),
}


class Defect(Exception):
    """Something is not as its format says."""


class Broken(Exception):
    """A check failed; `check` names it."""

    def __init__(self, check: str, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.check = check
        self.reason = reason or CHECKS[check][0]


def need(condition: object, message: str) -> None:
    """Ends the check that is being made unless the condition holds."""
    if not condition:
        raise Defect(message)


@contextmanager
def checking(check: str, leaf: int | None = None) -> Iterator[None]:
    """Blames this check for any defect found inside."""
    try:
        yield
    except Defect as defect:
        raise Broken(check, f"{defect}" if leaf is None else f"entry {leaf}: {defect}") from defect


class Report:
    """The lines of a report. PASSED is said of something, never of nothing."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, int, str]] = dict.fromkeys(CHECKS, ("NOT REACHED", 0, ""))
        self.outcome = "BROKEN"
        self.first_broken: Broken | None = None
        self.about: dict[str, Any] = {}
        self.statements: list[dict[str, Any]] = []
        self.unverified_signatures = 0
        self.alias_key: AliasKey | None = None

    def passed(self, check: str, count: int, note: str = "") -> None:
        """Notes a check that holds for `count` things."""
        if count < 1:
            raise Broken("ENTRIES", f"there was nothing to check for {check}", "NOTHING_CHECKED")
        self.lines[check] = ("PASSED", count, note)

    def unverified(self, check: str, note: str, count: int = 0) -> None:
        """Notes what this program cannot tell."""
        self.lines[check] = ("UNVERIFIED", count, note)


# 2  Reading protobuf in one exact form (statement.md, "Wire form") ----------------------------------------------------


class Field(NamedTuple):
    """A field of a message: `kind` is a scalar's name or `message`; `values` an enum's, `inner` names the message."""

    number: int
    name: str
    kind: str
    is_repeated: bool = False
    has_presence: bool = False
    oneof: str = ""
    values: frozenset[int] | None = None
    inner: str = ""


WIRE_TYPES = {"bytes": 2, "string": 2, "message": 2, "fixed64": 1, "fixed32": 5}  # The other kinds are varints: 0.
Shapes = dict[str, dict[int, Field]]


class Message:
    """A message as read. A field that is absent reads as its default, one that the contract lacks as empty."""

    def __init__(self, shape: dict[int, Field], values: dict[str, Any]) -> None:
        self.fields = shape
        self.values = values

    def has(self, name: str) -> bool:
        """Tells whether the field is there."""
        return name in self.values

    def __getattr__(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        field = next((field for field in self.fields.values() if field.name == name), None)
        if field is None or field.is_repeated:
            return ()
        return {"bytes": b"", "string": "", "bool": False, "message": None}.get(field.kind, 0)


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Returns the shortest varint of 64 bits at `at`, and the offset behind it."""
    value = 0
    for length in range(10):
        need(at + length < end, "a varint is cut off")
        byte = data[at + length]
        value |= (byte & 0x7F) << 7 * length
        if byte < 0x80:
            need(byte or not length, "a varint is not the shortest")
            need(value < 1 << 64, "a varint exceeds 64 bits")
            return value, at + length + 1
    raise Defect("a varint has more than ten bytes")


def record(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Returns field number, wire type, and where the content of the record at `at` begins and ends."""
    tag, at = varint(data, at, end)
    number, wire = tag >> 3, tag & 7
    need(tag < 1 << 32 and number and wire in (0, 1, 2, 5), "a tag is none of the wire form")
    if wire == 0:
        return number, wire, at, varint(data, at, end)[1]
    if wire == 2:
        length, at = varint(data, at, end)
        after = at + length
    else:
        after = at + (8 if wire == 1 else 4)
    need(after <= end, "a value runs past its end")
    return number, wire, at, after


def parse(shapes: Shapes, name: str, data: bytes) -> Message:
    """Returns the message of that name that `data` is the exact wire form of."""
    return _parse(shapes, name, data, 0, len(data), 1)


def _parse(shapes: Shapes, name: str, data: bytes, at: int, end: int, depth: int) -> Message:
    need(depth <= 8, "messages are nested too deep")
    shape = shapes[name]
    values: dict[str, Any] = {}
    oneofs: set[str] = set()
    last = 0
    while at < end:
        number, wire, start, after = record(data, at, end)
        need(number in shape, f"field {number} is not in {name}")
        field = shape[number]
        of_kind = WIRE_TYPES.get(field.kind, 0)
        is_packed = field.is_repeated and of_kind != 2
        need(wire == (2 if is_packed else of_kind), f"{name}.{field.name} has another wire type")
        need(
            number > last or (number == last and field.is_repeated and not is_packed), "fields descend, or occur twice"
        )
        if field.oneof:
            need(field.oneof not in oneofs, "a oneof has two members")
            oneofs.add(field.oneof)
        last = number
        if field.kind == "message":
            value: Any = _parse(shapes, field.inner, data, start, after, depth + 1)
        elif is_packed:
            need(start < after, "a packed field is empty")
            value, position = [], start
            while position < after:
                behind = varint(data, position, after)[1] if of_kind == 0 else position + (8 if of_kind == 1 else 4)
                need(behind <= after, "a packed value is cut off")
                value.append(_scalar(field, data, position, behind))
                position = behind
        else:
            value = _scalar(field, data, start, after)
            is_default = value in (0, b"", "", False) and not field.is_repeated and not field.has_presence
            need(not is_default, f"{name}.{field.name} is present at its default")
        if field.is_repeated and not is_packed:
            values.setdefault(field.name, []).append(value)
        else:
            values[field.name] = value
        at = after
    return Message(shape, values)


def _scalar(field: Field, data: bytes, start: int, end: int) -> Any:
    kind = field.kind
    if kind == "bytes":
        return data[start:end]
    if kind == "string":
        try:
            text = data[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Defect("a string is not UTF-8") from error
        need(unicodedata.is_normalized("NFC", text), "a string is not in normalisation form C")
        return text
    if kind in ("fixed32", "fixed64"):
        return int.from_bytes(data[start:end], "little")
    value, _ = varint(data, start, end)
    if kind == "bool":
        need(value < 2, "a bool is neither 0 nor 1")
        return bool(value)
    if kind == "enum":
        need(value and (field.values is None or value in field.values), "an enum has no known value")
    if kind in ("uint32", "sint32"):
        need(value < 1 << 32, "a varint exceeds its field")
    if kind in ("int32", "open"):
        need(value < 1 << 31 or value >= (1 << 64) - (1 << 31), "a varint exceeds its field")
    if kind in ("sint32", "sint64"):
        return value >> 1 ^ -(value & 1)
    return value - (1 << 64) if kind in ("int32", "int64", "open") and value >> 63 else value


def _shapes(text: str) -> Shapes:
    """Reads the table below: number, name, kind; `*` repeated, `?` optional; `enum9` has the values 1 to 9."""
    shapes: Shapes = {}
    for line in text.strip().splitlines():
        name, _, fields = line.partition(": ")
        shapes[name] = {}
        for words in fields.split(", "):
            number, field, kind = words.split()
            bare = kind.rstrip("*?")
            is_message = bare[0].isupper()
            known = frozenset(range(1, int(bare[4:]) + 1)) if bare.startswith("enum") else None
            kind_name = "message" if is_message else "enum" if known else bare
            repeated, optional = kind.endswith("*"), kind.endswith("?")
            inner = bare if is_message else ""
            shapes[name][int(number)] = Field(int(number), field, kind_name, repeated, optional, "", known, inner)
    return shapes


# What is read before the contract is known. `open` is an enum whose values are looked at where they are judged.
SHAPES = _shapes("""
Entry: 1 format_version uint32, 2 envelope bytes, 3 recorded_at sint64, 4 submitting_site bytes, 5 sequence uint64, 6 previous bytes, 7 judgement Judgement
Judgement: 1 rule_set uint32, 2 policy_digest bytes, 3 status open, 4 findings Finding*, 5 comparisons Comparison*, 6 puts_in_effect bytes
Finding: 1 code string, 2 leaves uint32*
Comparison: 1 leaf uint32, 2 outcome open
Envelope: 1 payload bytes, 2 payload_type string, 3 signatures Signature*
Signature: 1 sig bytes, 2 keyid string
Payload: 1 header Header, 2 body_root bytes, 3 body_fields uint32*
Header: 1 ledger_id bytes, 2 statement_id bytes, 3 stream bytes, 4 seen Seen*, 5 body_type string, 6 occurred_at Occurrence, 7 signed_at Reading, 8 device bytes, 9 device_counter uint64, 10 signer Signer, 11 schema_digest bytes, 12 policy_digest bytes, 13 co_signature Joined
Seen: 1 stream bytes, 2 statement_digest bytes
Joined: 1 statement_digest bytes
Occurrence: 1 micros sint64, 2 end sint64?, 3 offset_minutes sint32, 4 zone string, 5 clock_source enum3
Reading: 1 micros sint64, 2 offset_minutes sint32, 3 zone string, 4 clock_source enum3
Signer: 1 signer_id bytes, 2 key_ids bytes*, 3 role string, 4 meaning enum10, 5 authentication enum4
Possession: 1 ledger_id bytes, 2 holder_id bytes, 3 key_id bytes, 4 signed_at sint64
Manifest: 1 format_version uint32, 2 ledger_id bytes, 3 therapy bytes, 4 position uint64, 5 open_classes enum6*, 6 streams Stream*, 7 files File*
Stream: 1 stream bytes, 2 entries uint64, 3 last_leaf_hash bytes
File: 1 name string, 2 length_bytes uint64, 3 sha256 bytes
Bodies: 1 bodies Body*
Body: 1 leaf_index uint64, 2 openings Opening*, 3 closed Closed*
Opening: 1 index uint32, 2 salt bytes, 3 record bytes
Closed: 1 index uint32, 2 leaf_hash bytes
Heads: 1 leaf_index uint64, 2 entry bytes, 3 openings Opening*, 4 inclusion bytes*, 5 streams HeadProof*, 6 aliases AliasProof*
HeadProof: 1 stream bytes, 2 entries uint64, 3 last_leaf_hash bytes, 4 path MapPath
AliasProof: 1 key bytes, 2 therapies bytes*, 3 path MapPath
MapPath: 1 siblings bytes*, 2 other_key bytes, 3 other_value_digest bytes
""")  # noqa: E501  (a table)


# 3  The contract: what each body looks like and asks for, from the schema that the ledger published -------------------

KINDS = {3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string", 11: "message"} | {
    12: "bytes", 13: "uint32", 14: "enum", 15: "fixed32", 16: "fixed64", 17: "sint32", 18: "sint64"
}  # fmt: skip
AUTHORISATION = 2


class Act(NamedTuple):
    """What the contract says of a body: payload kind, authorisation or fact, streams, capabilities, others needed."""

    kind: str
    is_authorisation: bool
    stream_kinds: frozenset[int]
    capabilities: frozenset[int]
    co_signers: int
    classes: dict[int, int]


class Contract(NamedTuple):
    """Every message of a schema, and every body among them, by full name."""

    digest: bytes
    shapes: Shapes
    acts: dict[str, Act]


def fields_of(data: bytes) -> dict[int, list[Any]]:
    """Returns the values of any protobuf message by field number, read without a schema."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        number, wire, start, after = record(data, at, len(data))
        found.setdefault(number, []).append(varint(data, start, after)[0] if wire == 0 else data[start:after])
        at = after
    return found


def read_contract(descriptor_set: bytes) -> Contract:
    """Returns the contract in a FileDescriptorSet, as its digest names it."""
    enums: dict[str, frozenset[int]] = {}
    messages: dict[str, tuple[str, dict[int, list[Any]]]] = {}
    seen: set[bytes] = set()
    for raw in fields_of(descriptor_set).get(1, []):
        file = fields_of(raw)
        name = file.get(1, [b""])[0]
        need(9 not in file, "a schema has no source info")
        need(name not in seen and seen.issuperset(file.get(3, [])), "files come once, after what they import")
        seen.add(name)
        prefix = "." + file.get(2, [b""])[0].decode()
        waiting = [(prefix, name.decode(), fields_of(one)) for one in file.get(4, [])]
        for within, of_file, one in waiting:
            full = f"{within}.{one[1][0].decode()}"
            messages[full] = (of_file, one)
            waiting += [(full, of_file, fields_of(inner)) for inner in one.get(3, [])]
            _read_enums(enums, full, one.get(4, []))
        _read_enums(enums, prefix, file.get(5, []))
    need(".cellcustody.v1.Payload" in messages, "a schema describes the payload")
    shapes: Shapes = {}
    acts: dict[str, Act] = {}
    for full, (of_file, one) in messages.items():
        if not full.startswith(".cellcustody."):
            continue
        described = [_field(fields_of(raw), enums) for raw in one.get(2, [])]
        shapes[full[1:]] = {field.number: field for field, _ in described}
        options = fields_of(one.get(7, [b""])[0]).get(50601)
        if options:
            act = fields_of(options[0])
            kinds, able = ((number for raw in act.get(n, []) for number in _packed(raw)) for n in (2, 3))
            acts[full[1:]] = Act(
                PAYLOAD_KINDS.get(full[16:], "registry" if of_file.endswith("/registry.proto") else "custody"),
                act.get(1, [0])[0] == AUTHORISATION,
                frozenset(kinds),
                frozenset(able),
                act.get(4, [0])[0],
                {field.number: disclosure for field, disclosure in described},
            )
    return Contract(hashlib.sha256(descriptor_set).digest(), shapes, acts)


def _packed(raw: Any) -> Iterator[int]:
    if isinstance(raw, int):
        yield raw
        return
    at = 0
    while at < len(raw):
        value, at = varint(raw, at, len(raw))
        yield value


def _read_enums(enums: dict[str, frozenset[int]], prefix: str, raws: list[bytes]) -> None:
    for raw in raws:
        enum = fields_of(raw)
        values = (fields_of(value).get(2, [0])[0] for value in enum.get(2, []))
        enums[f"{prefix}.{enum[1][0].decode()}"] = frozenset(values) - {0}


def _field(one: dict[int, list[Any]], enums: dict[str, frozenset[int]]) -> tuple[Field, int]:
    kind = KINDS.get(one[5][0], "none")
    type_name = one.get(6, [b""])[0].decode()
    oneof = str(one[9][0]) if 9 in one else ""
    field = Field(
        one[3][0],
        one[1][0].decode(),
        kind,
        one.get(4, [1])[0] == 3,
        bool(oneof) or kind == "message",
        oneof,
        enums.get(type_name),
        type_name[1:] if kind == "message" else "",
    )
    return field, fields_of(one.get(8, [b""])[0]).get(50602, [0])[0]


def contract_in(entries: list[Entry]) -> Contract | None:
    """Returns the contract of this release if the ledger published it, else the newest that it published."""
    found: Contract | None = None
    for entry in entries:
        if entry.body_type == "cellcustody.v1.SchemaPublished" and entry.records:
            with checking("BODIES", entry.leaf):
                entry.check_records(entry.records)
            for opening in entry.records:
                with checking("REGISTRY", entry.leaf):
                    values = fields_of(opening.record) if isinstance(opening, Opening) else {}
                    for content in values.get(1, []):
                        if isinstance(content, bytes):
                            found = cached_contract(content)
                            if found.digest.hex() in CONTRACTS:
                                return found
    return found


_CONTRACTS_READ: dict[bytes, Contract] = {}


def cached_contract(content: bytes) -> Contract:
    """Returns the contract in a descriptor set, read once."""
    if content not in _CONTRACTS_READ:
        try:
            _CONTRACTS_READ[content] = read_contract(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Defect("a schema is no FileDescriptorSet") from error
    return _CONTRACTS_READ[content]


# 4  Keys and signatures (statement.md, "Keys and signatures") ---------------------------------------------------------

P25519 = 2**255 - 19
L25519 = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# The y of the eight points of low order; both signs of x, and y + p where that fits, are refused with them.
LOW_ORDER = {0, 1, P25519 - 1} | {
    int.from_bytes(bytes.fromhex(y), "little")
    for y in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
}
SPKI = {  # Algorithm: the one prefix of its SubjectPublicKeyInfo, the length of the key behind it, of a signature.
    "Ed25519": (bytes.fromhex("302a300506032b6570032100"), 32, 64),
    "P-256": (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"), 65, 64),
    "ML-DSA-65": (bytes.fromhex("308207b2300b0609608648016503040312038207a100"), 1952, 3309),
}


class UnverifiableError(Exception):
    """The installed `cryptography` cannot verify a signature of this kind."""


def point(raw: bytes, what: str) -> None:
    """Ends the check unless these 32 bytes are a canonical Ed25519 point that is not of low order."""
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    need(len(raw) == 32 and y < P25519 and y not in LOW_ORDER, f"{what} is not canonical, or of low order")


def verify_ed25519(key: bytes, signature: bytes, message: bytes) -> None:
    """Ends the check unless the signature holds under the strict profile."""
    need(len(signature) == 64, "an Ed25519 signature has 64 bytes")
    point(key, "the key")
    point(signature[:32], "the signature's R")
    need(int.from_bytes(signature[32:], "little") < L25519, "the signature's S is not below the group order")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Defect("a signature does not fit its key and the bytes") from error


def verify_ml_dsa(bits: int, key: bytes, signature: bytes, message: bytes) -> None:
    """Ends the check unless the signature holds; 44 or 65, pure, with an empty context."""
    need(len(signature) == {44: 2420, 65: 3309}[bits], "an ML-DSA signature has another length")
    if mldsa is None:
        raise UnverifiableError
    try:
        public = (mldsa.MLDSA44PublicKey if bits == 44 else mldsa.MLDSA65PublicKey).from_public_bytes(key)
        public.verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Defect("a signature does not fit its key and the bytes") from error


class Key(NamedTuple):
    """A public key: its id is SHA-256 of the SubjectPublicKeyInfo."""

    id: bytes
    algorithm: str
    raw: bytes

    def verify(self, signature: bytes, message: bytes) -> None:
        """Ends the check unless the signature holds under the profile of this key's algorithm."""
        need(len(signature) == SPKI[self.algorithm][2], "a signature has another length")
        if self.algorithm == "Ed25519":
            return verify_ed25519(self.raw, signature, message)
        if self.algorithm == "ML-DSA-65":
            return verify_ml_dsa(65, self.raw, signature, message)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        need(1 <= r < P256_ORDER and 1 <= s <= P256_ORDER // 2, "r or s is out of range; s is in the lower half")
        try:
            public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), self.raw)
            return public.verify(encode_dss_signature(r, s), message, ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError) as error:
            raise Defect("a signature does not fit its key and the bytes") from error


def read_key(spki: bytes) -> Key:
    """Returns the key in a SubjectPublicKeyInfo, which has one encoding, and is safe."""
    for algorithm, (prefix, length, _) in SPKI.items():
        if spki.startswith(prefix) and len(spki) == len(prefix) + length:
            raw = spki[len(prefix) :]
            if algorithm == "Ed25519":
                point(raw, "the key")
            elif algorithm == "P-256":
                try:
                    need(raw[0] == 4, "a P-256 point is uncompressed")
                    EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw)
                except ValueError as error:
                    raise Defect("a key is not on its curve") from error
            return Key(sha256(spki), algorithm, raw)
    raise Defect("not the one encoding of a key of the signature profile")


def sha256(data: bytes) -> bytes:
    """Returns SHA-256."""
    return hashlib.sha256(data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node (RFC 6962)."""
    return sha256(b"\x01" + left + right)


def root_of(leaves: list[bytes]) -> bytes:
    """Returns the root over leaf hashes: neighbours are paired, an odd one is carried up."""
    while len(leaves) > 1:
        pairs = [node(left, right) for left, right in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0] if leaves else sha256(b"")


# 5  The file (dossier.md, "Container") --------------------------------------------------------------------------------

NAMES = ["README.txt", "index.html", "verify.py", "manifest.binpb", "checkpoint", "timestamps.binpb"]
NAMES += ["entries.bin", "bodies.binpb", "proof.bin", "heads.binpb"]


class Opening(NamedTuple):
    """A record of a body in the clear."""

    at: int
    salt: bytes
    record: bytes


class Closed(NamedTuple):
    """A record of a body that is not shown: its leaf hash."""

    at: int
    leaf_hash: bytes


Records = list["Opening | Closed"]


def read_container(data: bytes) -> dict[str, bytes]:
    """Returns the files of the ZIP, after it was built again from them and found equal."""
    files: dict[str, bytes] = {}
    at, local, central = 0, [], []
    for name in NAMES:
        need(data[at : at + 4] == b"PK\x03\x04" and len(data) >= at + 30 + len(name), f"{name} does not stand here")
        length = struct.unpack_from("<I", data, at + 22)[0]
        start = at + 30 + len(name)
        content = files[name] = data[start : start + length]
        common = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, zlib.crc32(content), length, length, len(name), 0)
        local.append(b"PK\x03\x04" + common + name.encode() + content)
        central.append(b"PK\x01\x02\x14\x00" + common + struct.pack("<3H2I", 0, 0, 0, 0, at) + name.encode())
        at += len(local[-1])
        need(len(content) == length and at < 0xFFFFFFFF, f"{name} is cut off")
    directory = b"".join(central)
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, len(NAMES), len(NAMES), len(directory), at, 0)
    need(b"".join(local) + directory + end == data, "the file is not what its contents make")
    need(sha256(files["README.txt"]).hex() == README_SHA256, "the text for finders is another")
    return files


def read_entries(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields leaf index and bytes of every entry of entries.bin, ascending."""
    at, last = 0, -1
    while at < len(raw):
        need(at + 10 <= len(raw), "the entries end inside a head")
        leaf, length = struct.unpack_from(">QH", raw, at)
        need(leaf > last, "entries ascend by leaf index")
        need(at + 10 + length <= len(raw), "the entries end inside an entry")
        yield leaf, raw[at + 10 : at + 10 + length]
        at, last = at + 10 + length, leaf


def read_bodies(raw: bytes) -> dict[int, Records]:
    """Returns the records of every body that is shown, by leaf index."""
    bodies: dict[int, Records] = {}
    last = -1
    for body in parse(SHAPES, "Bodies", raw).bodies:
        need(body.leaf_index > last, "bodies ascend by leaf index")
        last = body.leaf_index
        openings: Records = [Opening(one.index, one.salt, one.record) for one in body.openings]
        closed: Records = [Closed(one.index, one.leaf_hash) for one in body.closed]
        for part in (openings, closed):
            indexes = [one.at for one in part]
            need(all(a < b for a, b in pairwise(indexes)), "records ascend, each once")
        bodies[last] = sorted(openings + closed, key=lambda one: one.at)
        need(bodies[last], "a body without records is left out")
    return bodies


# 6  Statements (statement.md, entry.md) -------------------------------------------------------------------------------

LOGGED = [
    "custody",
    "co-signature",
    "registry",
    "policy",
    "schema",
    "judgement",
    "head-map",
    "erasure",
    "export",
    "time-evidence",
]
KINDS_OF_LEDGER = ("judgement", "head-map", "export", "time-evidence")
PAYLOAD_KINDS = {  # Of the bodies that are not as the file of the contract that they stand in.
    "PolicyPublished": "policy",
    "SchemaPublished": "schema",
    "ExportMade": "export",
    "JudgementsRevised": "judgement",
    "HeadsMapped": "head-map",
    "TimeEvidenceRecorded": "time-evidence",
}
THERAPY, CONSIGNMENT, LOT, SITE = 1, 2, 3, 4
OF_REGISTRY = (6, 7, 8)  # Streams of the registry, of policies, of schemas.
CONFORMING, NONCONFORMING, AWAITING, PENDING, IN_EFFECT, RECORDED = range(1, 7)
MICROS_MAX = 253_402_300_799_999_999  # The end of the year 9999.
EMPTY = sha256(b"")


def read_envelope(raw: bytes) -> tuple[Message, str, bytes]:
    """Returns an envelope, the kind of its payload, and the bytes that its signatures cover."""
    need(len(raw) <= 49_152, "an envelope is too large")
    envelope = parse(SHAPES, "Envelope", raw)
    need(
        envelope.payload and 1 <= len(envelope.signatures) <= 4, "an envelope lacks a part, or has too many signatures"
    )
    need(all(one.sig for one in envelope.signatures), "a signature is empty")
    kind = re.fullmatch(r"application/vnd\.cellcustody\.([a-z-]+)\.v1\+protobuf", envelope.payload_type)
    known = [*LOGGED, "key-possession", "read-token", "readiness-certificate", "dossier-manifest"]
    need(kind and kind[1] in known, "a payload type is not known")
    name = envelope.payload_type.encode()
    pae = b"DSSEv1 %d %b %d %b" % (len(name), name, len(envelope.payload), envelope.payload)
    return envelope, kind[1] if kind else "", pae


def verify_envelope(envelope: Message, pae: bytes, keys: dict[bytes, Key], report: Report) -> tuple[bytes, ...]:
    """Returns the ids of the keys that signed, ascending, after every signature was verified."""
    signed: list[bytes] = []
    for one in envelope.signatures:
        hint = bytes.fromhex(one.keyid) if re.fullmatch("[0-9a-f]{64}", one.keyid) else b""
        need(hint in keys, "a hint leads to no known key")
        try:
            keys[hint].verify(one.sig, pae)
        except UnverifiableError:
            report.unverified_signatures += 1
        need(hint not in signed, "a key signed twice")
        signed.append(hint)
    return tuple(sorted(signed))


def check_header(header: Message, kind: str) -> None:
    """Ends the check unless the header is one that a statement of this kind may have."""
    need(len(header.ledger_id) == 16 or (kind == "registry" and not header.ledger_id), "a ledger id has 16 bytes")
    need(len(header.statement_id) == 16, "a statement id has 16 bytes")
    need(header.statement_id[6] >> 4 == 7 and header.statement_id[8] >> 6 == 2, "a statement id is a UUIDv7")
    check_stream(header.stream)
    need(len(header.device) == 16, "a device has an id of 16 bytes")
    need(len(header.schema_digest) == 32 and len(header.policy_digest) in (0, 32), "a digest has 32 bytes")
    need(len(header.seen) <= 256, "too many streams were seen")
    last = b""
    for seen in header.seen:
        check_stream(seen.stream)
        need(len(seen.statement_digest) == 32 and seen.stream > last, "streams seen ascend, each with a digest")
        last = seen.stream
    signer = header.signer
    need(signer and len(signer.signer_id) == 16 and signer.key_ids, "a signer has an id and a key")
    need(all(len(key_id) == 32 for key_id in signer.key_ids), "a key id has 32 bytes")
    need(all(a < b for a, b in pairwise(signer.key_ids)), "key ids ascend")
    check_name(signer.role)
    need(signer.meaning and signer.authentication, "meaning and authentication are stated")
    if kind == "co-signature":
        need(not header.body_type, "a co-signature has no body")
        need(
            header.co_signature and len(header.co_signature.statement_digest) == 32, "a co-signature joins a statement"
        )
    else:
        check_name(header.body_type)
        need(header.co_signature is None, "only a co-signature joins a statement")
    occurred, signed = header.occurred_at, header.signed_at
    need(occurred and signed, "times are given")
    for instant in (occurred.micros, signed.micros, *((occurred.end,) if occurred.has("end") else ())):
        need(0 < instant <= MICROS_MAX, "a time lies within the years 1970 to 9999")
    need(not occurred.has("end") or occurred.end >= occurred.micros, "an interval ends before it starts")
    for one in (occurred, signed):
        need(abs(one.offset_minutes) <= 18 * 60 and one.clock_source, "offset within 18 hours, clock source stated")
        check_name(one.zone)


def check_stream(stream: bytes) -> None:
    """Ends the check unless this is a stream id."""
    need(len(stream) == 17 and 1 <= stream[0] <= 10, "a stream id has 17 bytes and a known kind")
    need((stream[1:] == bytes(16)) == (6 <= stream[0] <= 9), "16 zero bytes belong to kinds with one stream alone")


def check_name(text: str) -> None:
    """Ends the check unless this is a short name in printable ASCII."""
    need(0 < len(text) <= 128 and text.isascii() and text.isprintable(), "a name is short printable ASCII")


class Entry:
    """An entry of the log with the statement in it; `body` and `keys` are known once they have been verified."""

    def __init__(self, leaf: int, raw: bytes, records: Records | None) -> None:
        self.leaf, self.raw, self.records = leaf, raw, records
        self.leaf_hash = sha256(b"\x00" + raw)
        entry = parse(SHAPES, "Entry", raw)
        need(entry.format_version == 1 and entry.envelope and entry.sequence >= 1, "an entry lacks a part")
        need(len(entry.previous) == 32, "a leaf hash has 32 bytes")
        self.recorded_at: int = entry.recorded_at
        self.sequence: int = entry.sequence
        self.previous: bytes = entry.previous
        self.envelope, self.kind, self.pae = read_envelope(entry.envelope)
        need(self.kind in LOGGED, "no statement has this payload type")
        self.digest = sha256(self.pae)
        payload = parse(SHAPES, "Payload", self.envelope.payload)
        need(payload.header, "a payload has a header")
        header = self.header = payload.header
        check_header(header, self.kind)
        self.stream: bytes = header.stream
        self.body_type: str = header.body_type
        self.signer: bytes = header.signer.signer_id
        self.role: str = header.signer.role
        self.key_ids: tuple[bytes, ...] = tuple(header.signer.key_ids)
        self.signed_at: int = header.signed_at.micros
        self.joins: bytes | None = header.co_signature.statement_digest if header.co_signature else None
        self.root: bytes = payload.body_root
        self.numbers: list[int] = list(payload.body_fields)
        need(len(self.root) == 32, "a root has 32 bytes")
        in_order = all(a <= b for a, b in pairwise([1, *self.numbers]))
        need(in_order and (not self.numbers or self.numbers[-1] < 1 << 29), "field numbers never descend")
        need(self.numbers or self.root == EMPTY, "an empty body has the root of nothing")
        need(self.joins is None or not self.numbers, "a co-signature commits to no body")
        self.body: Message | None = None
        self.is_whole = self.is_suspect = False
        self.open = 0
        self.verified = False
        self.judgement = entry.judgement
        self.site = b""

    @property
    def name(self) -> str:
        """The body's short name."""
        return self.body_type.rpartition(".")[2]

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the findings that the entry tells."""
        return frozenset(finding.code for finding in self.judgement.findings)

    @property
    def puts_in_effect(self) -> bytes:
        """The authorisation that this co-signature completes, or nothing."""
        return bytes(self.judgement.puts_in_effect)

    def verify_signatures(self, keys: dict[bytes, Key], report: Report) -> None:
        """Ends the check unless every key that the header declares signed, and no other."""
        if not self.verified:
            signed = verify_envelope(self.envelope, self.pae, keys, report)
            need(signed == self.key_ids, "the header declares other keys than those that signed")
            self.verified = True

    def check_records(self, records: Records) -> None:
        """Ends the check unless the records shown and closed are those that were signed."""
        need(len(records) == len(self.numbers), "there are more or fewer records than were signed")
        leaves: list[bytes] = []
        for index, (one, number) in enumerate(zip(records, self.numbers, strict=True)):
            need(one.at == index, "a record is out of place")
            if isinstance(one, Closed):
                need(len(one.leaf_hash) == 32, "a leaf hash has 32 bytes")
                leaves.append(one.leaf_hash)
                continue
            need(len(one.salt) == 32, "a salt has 32 bytes")
            found, _, _, end = record(one.record, 0, len(one.record))
            need(end == len(one.record) and found == number, "an opening is not one record of the committed field")
            leaves.append(sha256(b"\x00" + one.salt + one.record))
        need(root_of(leaves) == self.root, "the records do not make the signed root")

    def open_body(self, contract: Contract) -> None:
        """Ends the check unless the records shown are those that were signed, in the form of the body."""
        records, known = self.records, contract.shapes.get(self.body_type, {})
        self.body = Message(known, {})
        if records is None:
            return
        self.check_records(records)
        need(all(number in known for number in self.numbers), "a field is not in the contract")
        shown = [one.record for one in records if isinstance(one, Opening)]
        self.body = parse(contract.shapes, self.body_type, b"".join(shown))
        self.open, self.is_whole = len(shown), len(shown) == len(records)


def check_judgement_form(entry: Entry) -> None:
    """Ends the check unless the entry carries a judgement with known values."""
    need(entry.judgement is not None and 1 <= entry.judgement.status <= 6, "an entry carries no judgement")
    need(all(1 <= one.outcome <= 4 for one in entry.judgement.comparisons), "a comparison has no known outcome")


# 7  The registry (registry.md): replayed in the order of the log, every act judged again ------------------------------

REGISTRAR, ADMINISTRATOR = "registrar", "administrator"
ACTIVE, RETIRED, SUSPENDED, REVOKED = "active", "retired", "suspended", "revoked"
MEASURED, BY_LEDGER = 9, 10  # Meanings that are no person's.
DAY = 86_400
SECOND = 1_000_000
HANDOFFS = {f"cellcustody.v1.Custody{what}" for what in ("Released", "Accepted", "Refused")}
EMERGENCY = "EMERGENCY_CREDENTIAL"
EMERGENCY_COVERS = {"ROLE_NOT_HELD", "TRAINING_LAPSED", "TRAINING_NOT_RECORDED", "UNIT_NOT_HELD"}
REGISTRARS_ALONE = {"SiteEnrolled", "SiteChanged", "LogKeysRotated", "ServiceKeyRotated", "RegistrarsChanged"}
REGISTRARS_ALONE |= {"PolicyPublished", "SchemaPublished"}


class Held:
    """A key with its holder and its state as of now; `compromised_since` is the lowest leaf that a revocation names."""

    def __init__(self, key: Key, holder: bytes, leaf: int) -> None:
        self.key, self.holder, self.enrolled_leaf = key, holder, leaf
        self.state = ACTIVE
        self.retired_at = self.grace_until = 0
        self.compromised_since: int | None = None


class Person(NamedTuple):
    """A person: `roles` maps a role to (trained until, trained at)."""

    site: bytes | None
    roles: dict[str, tuple[int | None, int | None]]
    units: list[str]


class Asked(NamedTuple):
    """What a policy asks of signers."""

    training_roles: frozenset[str] = frozenset()
    training_days: Mapping[str, int] = MappingProxyType({})
    emergency_seconds: int = DAY
    hybrid_roles: frozenset[str] = frozenset()


class Era(NamedTuple):
    """The log's keys from a leaf on; up to `until` those in `overlapping` sign too; `lost` sign nothing any more."""

    leaf: int
    keys: tuple[str, ...]
    overlapping: tuple[str, ...] = ()
    until: int = 0
    lost: tuple[str, ...] = ()
    compromised_since: int | None = None


class Registry:
    """Everything registered, as of the entry that comes next."""

    def __init__(self, contract: Contract, report: Report) -> None:
        self.contract, self.report = contract, report
        self.ledger_id = self.service_device = self.service_key = self.first_schema = b""
        self.origin = ""
        self.founding: Entry | None = None
        self.is_founded = False
        self.registrars: list[bytes] = []
        self.threshold = 0
        self.hybrid_roles: frozenset[str] = frozenset()
        self.eras: list[Era] = []
        self.sites: dict[bytes, Message] = {}
        self.site_names: dict[bytes, str] = {}
        self.persons: dict[bytes, Person] = {}
        self.devices: dict[bytes, bytes | None] = {}
        self.keys: dict[bytes, Held] = {}
        self.public: dict[bytes, Key] = {}  # The same keys without their states.
        self.tls: dict[bytes, bytes | None] = {}
        self.emergencies: dict[bytes, list[tuple[frozenset[str], int, int]]] = {}
        self.policies: dict[bytes, Any] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.schemas: set[bytes] = set()
        self.acts: dict[bytes, Entry] = {}
        self.in_effect_at: dict[bytes, int] = {}
        self.joined: dict[bytes, list[Entry]] = {}
        self.affirmations: dict[bytes, list[tuple[bytes, bytes]]] = {}

    def keys_of(self, holder: bytes) -> list[Held]:
        """Returns the keys of a person or device, whatever their state."""
        return [held for held in self.keys.values() if held.holder == holder]

    def is_hybrid(self, key_ids: Iterable[bytes]) -> bool:
        """Tells whether these are an ML-DSA-65 key and one of another algorithm."""
        algorithms = {self.keys[key_id].key.algorithm for key_id in key_ids if key_id in self.keys}
        return "ML-DSA-65" in algorithms and len(algorithms) > 1

    def site_of(self, party: bytes) -> bytes | None:
        """Returns the site of a person or a device."""
        return self.persons[party].site if party in self.persons else self.devices.get(party)

    # Who may sign at all ("At entry").

    def admit(self, entry: Entry, is_authorisation: bool) -> set[str]:
        """Returns the findings on keys and device; ends the check where the signer could not sign this here."""
        found: set[str] = set()
        for key_id in entry.key_ids:
            held = self.keys.get(key_id)
            need(held, "a key is not enrolled")
            if held:
                need(held.holder == entry.signer, "a key is not the signer's")
                need(held.state not in (REVOKED, SUSPENDED), f"a key is {held.state}")
                if held.state == RETIRED:
                    in_time = entry.signed_at < held.retired_at and entry.recorded_at <= held.grace_until
                    need(in_time, "a retired key signed too late, or what it signed came too late")
                    found.add("LATE_AFTER_RETIREMENT")
        is_service = self.founding is not None and entry.signer == self.service_device
        entry.site = b""
        if entry.kind in KINDS_OF_LEDGER:
            need(is_service and entry.key_ids == (self.service_key,), "only the ledger's service key says this")
            return set()
        need(not is_service, "the service key has no capability for any act")
        need(not is_authorisation or entry.signer in self.persons, "an authorisation or a co-signature is a person's")
        site = self.site_of(entry.signer)
        if entry.header.device != entry.signer:
            of_device = self.devices.get(entry.header.device)
            if of_device is None or of_device != site:
                need(not is_authorisation, "the device is none of the signer's site")
                is_other = of_device is not None and entry.body_type in HANDOFFS
                found.add("DEVICE_OF_COUNTERPARTY" if is_other else "DEVICE_UNKNOWN")
        entry.site = site or b""
        return found

    # The rules of the acts ("Who may do what", "What is checked").

    def judge(self, entry: Entry) -> tuple[int, bytes]:
        """Returns what becomes of an act or a co-signature here: its status, and what it puts in effect."""
        if entry.name != "LedgerFounded":
            self.admit(entry, True)
        if entry.joins is not None:
            return self._judge_co_signature(entry, entry.joins)
        expected = {"PolicyPublished": "policy", "SchemaPublished": "schema"}.get(entry.name, "registry")
        need(entry.kind == expected, "the body has another payload type")
        if entry.name == "LedgerFounded":
            needed = self._check_founding(entry)
        else:
            need(self.founding and entry.header.ledger_id == self.ledger_id, "another ledger, or none is founded")
            if not self.is_founded:
                self._check_first_schema(entry)
                return IN_EFFECT, b""
            needed = self._check_act(entry)[2]
        return (PENDING if needed else IN_EFFECT), b""

    def _judge_co_signature(self, entry: Entry, joins: bytes) -> tuple[int, bytes]:
        need(self.founding and entry.header.ledger_id == self.ledger_id, "another ledger, or none is founded")
        act = self.acts.get(joins)
        if act is None:
            raise Defect("the statement joined is not recorded yet")
        need(joins not in self.in_effect_at, "the authorisation is in effect already")
        need(entry.signer != act.signer, "a signer does not join their own act")
        earlier = self.joined.get(joins, [])
        need(all(one.signer != entry.signer for one in earlier), "a person joins once")
        if act.name == "LedgerFounded":
            need(entry.role == REGISTRAR and entry.signer in self.registrars, "the other registrars join the founding")
            needed, counting = len(self.registrars) - 1, len(earlier) + 1
        else:
            need(self.is_founded, "only the founding is joined before the first schema")
            authority = self._authority(act)
            self._check_co_signer(authority, entry)
            is_for_themselves = (
                act.name == "EmergencyCredentialGranted" and act.body and act.body.person == entry.signer
            )
            need(not is_for_themselves, "nobody grants themselves a credential")
            needed, counting = authority[2], 1 + sum(self._still_counts(authority, one) for one in earlier)
        if counting < needed:
            return RECORDED, b""
        if act.name != "LedgerFounded":  # The act is judged again where it takes effect.
            need(
                not any(self.keys[key_id].state in (REVOKED, SUSPENDED) for key_id in act.key_ids), "a key was stopped"
            )
            self._check_act(act, entry.leaf)
        return RECORDED, joins

    def _still_counts(self, authority: tuple[str, Any, int, bytes], one: Entry) -> bool:
        try:
            self._check_co_signer(authority, one)
        except Defect:
            return False
        return all(self.keys[key_id].state not in (REVOKED, SUSPENDED) for key_id in one.key_ids)

    def _check_co_signer(self, authority: tuple[str, Any, int, bytes], one: Entry) -> None:
        need(one.role == authority[0], "a co-signature is given in the role of the act")
        need(one.header.signer.meaning not in (MEASURED, BY_LEDGER), "the meaning is not a person's")
        self._check_authority(authority, one)

    def _authority(self, act: Entry) -> tuple[str, bytes | None, int, bytes]:
        """Returns the role, the site (None: registrars), how many others must join, and whose own key it is about."""
        need(act.header.signer.meaning not in (MEASURED, BY_LEDGER), "the meaning is not a person's")
        site, is_about_administrator, holder = self._scope(act)
        if act.role == REGISTRAR and self.registrars:
            return REGISTRAR, None, self.threshold - 1, b""
        if site is not None and holder == act.signer:
            return act.role, site, 0, holder
        if act.role == ADMINISTRATOR and site is not None:
            return ADMINISTRATOR, site, int(is_about_administrator), b""
        raise Defect("no such act is done in this role")

    def _scope(self, act: Entry) -> tuple[bytes | None, bool, bytes]:
        body, name = act.body, act.name
        if body is None or name in REGISTRARS_ALONE:
            return None, False, b""
        if name in ("PersonEnrolled", "DeviceEnrolled"):
            need(body.site in self.sites, "no such site is registered")
            roles = [grant.role for grant in body.person.roles] if name == "PersonEnrolled" and body.person else []
            return body.site, ADMINISTRATOR in roles, b""
        if name in ("PersonChanged", "EmergencyCredentialGranted"):
            site, about = self._scope_of(body.person)
            becomes = name == "EmergencyCredentialGranted" or any(one.role == ADMINISTRATOR for one in body.roles)
            return site, about or becomes, b""
        if name == "KeyAdded":
            return *self._scope_of(body.holder), b""
        if name in ("KeySuspended", "KeyRetired", "KeyReinstated", "KeyRevoked", "StatementsAffirmed"):
            held = self.keys.get(body.key_id)
            if held is None:
                raise Defect("no such key is registered")
            site, about = self._scope_of(held.holder)
            if name == "StatementsAffirmed":
                # With registrars' keys the site is none, and nobody affirms alone.
                return site, True, held.holder
            return site, about and name != "KeySuspended", b""
        raise Defect("not an act of the registry")

    def _scope_of(self, holder: bytes) -> tuple[bytes | None, bool]:
        if holder in self.registrars:
            return None, False
        if holder in self.persons:
            return self.persons[holder].site, ADMINISTRATOR in self.persons[holder].roles
        need(holder in self.devices, "no such person or device is registered")
        return self.devices[holder], False

    def _check_authority(self, authority: tuple[str, bytes | None, int, bytes], one: Entry) -> None:
        role, site, _, holder = authority
        need(
            role not in self.hybrid_roles or self.is_hybrid(one.key_ids), "the role asks for an ML-DSA-65 signature too"
        )
        if holder:
            need(
                one.signer in self.persons and role in self.persons[one.signer].roles,
                "the signer does not hold the role",
            )
            return
        if site is None:
            need(one.signer in self.registrars, "the signer is no registrar")
            return
        person = self.persons.get(one.signer)
        is_administrator = person and person.site == site and ADMINISTRATOR in person.roles
        need(is_administrator, "the signer is no administrator of the site")
        until = person.roles[ADMINISTRATOR][0] if person else None
        need(until is None or one.signed_at <= until, "the administrator's training has lapsed")

    def _check_act(self, act: Entry, position: int | None = None) -> tuple[str, bytes | None, int, bytes]:
        authority = self._authority(act)
        self._check_authority(authority, act)
        body = act.body
        if body is None:
            raise Defect("the act is not shown")
        check = getattr(self, "_check_" + re.sub("(?<!^)(?=[A-Z])", "_", act.name).lower(), None)
        if check is None:
            raise Defect("not an act of the registry")
        check(body, act, act.leaf if position is None else position)
        return authority

    def _check_founding(self, entry: Entry) -> int:
        body = entry.body
        if body is None or entry.leaf or self.founding:
            raise Defect("a ledger is founded once, at leaf 0")
        need(not entry.header.ledger_id, "a founding statement names no ledger")
        check_registrars(body.registrars, body.threshold)
        need(len(body.service_device) == 16, "the service device has an id")
        need(all(one.person != body.service_device for one in body.registrars), "the service device is no registrar")
        pairs = [(one.person, one.key) for one in body.registrars] + [(body.service_device, body.service_key)]
        self._check_new_keys(pairs, b"")
        need(len(body.log_origin) <= 200 and is_key_name(body.log_origin), "an origin is a note's key name")
        check_log_keys(body.log_keys, body.log_origin)
        need(len(body.schema_digest) == 32, "a digest has 32 bytes")
        first = body.registrars[0]
        need(entry.signer == first.person, "the first registrar signs the founding")
        need(
            entry.role == REGISTRAR and entry.header.device == entry.signer, "a registrar signs as one, on their own id"
        )
        need(entry.key_ids == (sha256(first.key.spki),), "the founding is signed with the key it names")
        return len(body.registrars) - 1

    def _check_first_schema(self, entry: Entry) -> None:
        need(self.founding and self.founding.digest in self.in_effect_at, "not every registrar has joined the founding")
        need(entry.name == "SchemaPublished", "the first schema completes the founding")
        need(entry.signer == self.registrars[0], "the first registrar publishes the first schema")
        need(
            entry.role == REGISTRAR and entry.header.device == entry.signer, "a registrar signs as one, on their own id"
        )
        digest = cached_contract(entry.body.descriptor_set if entry.body else b"").digest
        need(digest == self.first_schema, "the founding names another schema")

    def _check_site_enrolled(self, body: Message, _act: Entry, _position: int) -> None:
        need(len(body.site) == 16 and body.site not in self.sites, "a site has an id, and is enrolled once")
        check_text(body.name)
        need(
            not body.facility or re.fullmatch("[A-NP-Z1-9][A-NP-Z0-9][0-9]{3}", body.facility),
            "not a facility's number",
        )
        self._check_site_grants(body)
        persons = [one.person for one in body.administrators]
        each_once(persons)
        need(len(persons) >= 2, "a site has two administrators")
        need(all(one.person in persons for one in body.names), "a name belongs to one of the administrators")
        for one in body.administrators:
            self._check_new_person(one, body.units)
            need(any(grant.role == ADMINISTRATOR for grant in one.roles), "an administrator is enrolled as one")
        new = self._check_new_keys([(one.person, key) for one in body.administrators for key in one.keys])
        need(not any(key_id in new for key_id in body.tls_key_ids), "a key for TLS signs no statement")

    def _check_site_changed(self, body: Message, _act: Entry, _position: int) -> None:
        need(body.site in self.sites, "no such site is registered")
        self._check_site_grants(body)

    def _check_site_grants(self, body: Message) -> None:
        each_once(body.capabilities)
        need(body.capabilities, "a site has known capabilities")
        check_texts(body.units)
        each_once(body.tls_key_ids)
        for key_id in body.tls_key_ids:
            need(len(key_id) == 32, "a key id has 32 bytes")
            need(self.tls.get(key_id) in (None, body.site), "a TLS key speaks for one site")
            need(key_id not in self.keys, "a key for TLS signs no statement")

    def _check_person_enrolled(self, body: Message, _act: Entry, _position: int) -> None:
        need(body.site in self.sites, "no such site is registered")
        person = body.person or Message({}, {"person": b""})
        self._check_new_person(person, self.sites[body.site].units)
        need(body.name is None or body.name.person == person.person, "the name belongs to the person enrolled")
        self._check_new_keys([(person.person, key) for key in person.keys])

    def _check_new_person(self, person: Message, units: Any) -> None:
        self._check_new_party(person.person)
        need(person.keys, "a person is enrolled with a key")
        self._check_roles([grant.role for grant in person.roles], person.units, units)

    def _check_new_party(self, party: bytes) -> None:
        need(len(party) == 16, "an id has 16 bytes")
        need(party not in self.persons and party not in self.devices, "the person or device is registered already")

    def _check_roles(self, roles: list[str], units: Any, of_site: Any) -> None:
        check_texts(roles)
        need(not {REGISTRAR, "device", "ledger"}.intersection(roles), "a role is not granted like that")
        need(all(role.isascii() for role in roles), "a role stands in headers, in ASCII")
        check_texts(units)
        need(all(unit in of_site for unit in units), "a person's unit is one of the site's")

    def _check_person_changed(self, body: Message, _act: Entry, _position: int) -> None:
        person = self.persons.get(body.person)
        if person is None or person.site is None:
            raise Defect("no such person is registered at a site")
        roles = [grant.role for grant in body.roles]
        self._check_roles(roles, body.units, self.sites[person.site].units)
        others = [
            one for one, found in self.persons.items() if found.site == person.site and ADMINISTRATOR in found.roles
        ]
        need(ADMINISTRATOR in roles or len(set(others) - {body.person}) >= 2, "a site has two administrators")

    def _check_emergency_credential_granted(self, body: Message, act: Entry, _position: int) -> None:
        person = self.persons.get(body.person)
        if person is None or person.site is None:
            raise Defect("no such person is registered at a site")
        need(act.signer != body.person, "nobody grants themselves a credential")
        self._check_roles(list(body.roles), (), ())
        need(body.roles and ADMINISTRATOR not in body.roles, "an emergency needs roles, and no administrator")
        need(1 <= body.valid_seconds <= DAY, "an emergency credential lasts a day at most")
        starts = body.valid_from_unix_micros
        need(act.signed_at <= starts <= act.signed_at + DAY * SECOND, "an emergency begins after signing, within a day")

    def _check_device_enrolled(self, body: Message, _act: Entry, _position: int) -> None:
        self._check_new_party(body.device)
        check_text(body.description)
        self._check_new_keys([(body.device, key) for key in body.keys])

    def _check_key_added(self, body: Message, _act: Entry, _position: int) -> None:
        need(body.holder != self.service_device, "the service key is rotated, not joined by another")
        need(body.holder in self.persons or body.holder in self.devices, "no such person or device is registered")
        self._check_new_keys([(body.holder, body.key)])

    def _check_key_retired(self, body: Message, _act: Entry, _position: int) -> None:
        need(body.grace_seconds <= 366 * DAY, "a grace is shorter")
        self._check_key_state(body, ACTIVE)
        self._check_can_stop(body.key_id)

    def _check_key_suspended(self, body: Message, _act: Entry, _position: int) -> None:
        self._check_key_state(body, ACTIVE)
        self._check_can_stop(body.key_id)

    def _check_key_reinstated(self, body: Message, _act: Entry, _position: int) -> None:
        self._check_key_state(body, SUSPENDED)

    def _check_key_state(self, body: Message, state: str) -> None:
        held = self.keys.get(body.key_id)
        need(held and held.state == state, "the key is not registered, or in another state")

    def _check_key_revoked(self, body: Message, _act: Entry, position: int) -> None:
        since = body.compromised_since_leaf if body.has("compromised_since_leaf") else None
        need(since is None or since < position, "a key is compromised since an entry of the past")
        held = self.keys.get(body.key_id)
        if held is None:
            raise Defect("no such key is registered")
        if held.state == REVOKED:
            known = held.compromised_since
            need(since is not None and (known is None or since < known), "the key is revoked already")
        else:
            self._check_can_stop(body.key_id)

    def _check_statements_affirmed(self, body: Message, _act: Entry, _position: int) -> None:
        held = self.keys.get(body.key_id)
        need(
            held and held.state == REVOKED and held.compromised_since is not None, "nobody said the key was compromised"
        )
        digests = list(body.statement_digests)
        need(all(len(digest) == 32 for digest in digests), "a digest has 32 bytes")
        need(0 < len(digests) <= 4096 and sorted(set(digests)) == digests, "statements to affirm ascend by digest")

    def _check_can_stop(self, key_id: bytes) -> None:
        need(key_id != self.service_key, "the service key in use is rotated instead")
        if self.keys[key_id].holder in self.registrars:
            able = sum(self._is_able(member, self.hybrid_roles, key_id) for member in self.registrars)
            need(able >= self.threshold, "too few registrars would have a usable key")

    def _is_able(self, member: bytes, hybrid_roles: Iterable[str], without: bytes = b"") -> bool:
        active = [held.key.id for held in self.keys_of(member) if held.key.id != without and held.state == ACTIVE]
        return self.is_hybrid(active) if REGISTRAR in hybrid_roles else bool(active)

    def _check_log_keys_rotated(self, body: Message, _act: Entry, position: int) -> None:
        check_log_keys(body.log_keys, self.origin)
        last = self.eras[-1]
        need(set(last.keys) != set(body.log_keys), "the log's keys are these already")
        until = body.overlap_until_size
        need(not until or until > position, "an overlap ends after this entry")
        each_once(body.lost_keys)
        former = (*last.keys, *last.overlapping)
        need(all(key in former and key not in body.log_keys for key in body.lost_keys), "a lost key was the log's")
        if body.has("compromised_since_size"):
            need(body.lost_keys and body.compromised_since_size <= position, "keys are lost since a size of the past")

    def _check_service_key_rotated(self, body: Message, _act: Entry, _position: int) -> None:
        self._check_new_keys([(self.service_device, body.service_key)])

    def _check_registrars_changed(self, body: Message, _act: Entry, _position: int) -> None:
        check_registrars(body.registrars, body.threshold)
        need(not any(one.person in self.devices for one in body.registrars), "a device is no registrar")
        persons = {one.person for one in body.registrars}
        found = self._check_new_keys([(one.person, one.key) for one in body.registrars], may_keep=persons)
        hybrid = list(body.hybrid_roles)
        need({REGISTRAR, ADMINISTRATOR}.issuperset(hybrid) and sorted(set(hybrid)) == hybrid, "hybrid roles ascend")
        if REGISTRAR in hybrid:
            need(sum(self._is_able(one, hybrid) for one in persons) >= body.threshold, "too few registrars are hybrid")
        usable = [one for one in found if one not in self.keys or self.keys[one].state == ACTIVE]
        need(len(usable) == len(body.registrars), "a registrar is named with a key in use")

    def _check_policy_published(self, body: Message, _act: Entry, _position: int) -> None:
        check_text(body.product)
        check_text(body.jurisdiction)
        last = self.versions.get((body.product, body.jurisdiction), 0)
        need(body.version == last + 1, "versions follow each other")
        need(sha256(body.pack) not in self.policies, "the pack is published already")
        read_pack(body.pack)

    def _check_schema_published(self, body: Message, _act: Entry, _position: int) -> None:
        need(cached_contract(body.descriptor_set).digest not in self.schemas, "the schema is published already")

    def _check_new_keys(
        self, pairs: list[tuple[bytes, Any]], ledger_id: bytes | None = None, may_keep: Iterable[bytes] = ()
    ) -> list[bytes]:
        """Returns the ids of keys to be enrolled; each proves that its holder has it, and is nobody else's."""
        new: dict[bytes, bytes] = {}
        kept: list[bytes] = []
        for holder, enrolled in pairs:
            spki = enrolled.spki if enrolled else b""
            if holder in may_keep and any(held.key.id == sha256(spki) for held in self.keys_of(holder)):
                kept.append(sha256(spki))
                continue
            key = read_key(spki)
            envelope, kind, pae = read_envelope(enrolled.possession)
            need(kind == "key-possession", "the proof is of another kind")
            verify_envelope(envelope, pae, {key.id: key}, self.report)
            proof = parse(SHAPES, "Possession", envelope.payload)
            ledger = self.ledger_id if ledger_id is None else ledger_id
            is_ours = (proof.ledger_id, proof.holder_id, proof.key_id) == (ledger, holder, key.id)
            need(is_ours, "the proof was made for another ledger, holder or key")
            need(key.id not in new and key.id not in self.keys, "a key belongs to one holder, once")
            need(key.id not in self.tls, "a key for TLS signs no statement")
            new[key.id] = holder
        for holder, count in Counter(new.values()).items():
            need(len(self.keys_of(holder)) + count <= 16, "a signer has too many keys")
        return [*new, *kept]

    # What an act changes.

    def apply(self, entry: Entry) -> None:
        """Changes the registry by an entry that was found lawful."""
        if entry.joins is not None:
            self.joined.setdefault(entry.joins, []).append(entry)
            if entry.puts_in_effect == entry.joins and entry.joins not in self.in_effect_at:
                self.in_effect_at[entry.joins] = entry.leaf
                if self.acts[entry.joins].name != "LedgerFounded":
                    self._take_effect(self.acts[entry.joins], entry.leaf)
            return
        if entry.digest in self.acts:
            return  # Told later: no statement is recorded twice.
        self.acts[entry.digest] = entry
        if entry.judgement.status == IN_EFFECT:
            self.in_effect_at[entry.digest] = entry.leaf
        if entry.judgement.status == IN_EFFECT or entry.name == "LedgerFounded":
            self._take_effect(entry, entry.leaf)

    def _take_effect(self, act: Entry, leaf: int) -> None:
        body, name = act.body, act.name
        if body is None:
            return
        if name == "LedgerFounded":
            self.founding, self.origin = act, body.log_origin
            self.ledger_id = sha256(act.envelope.payload)[:16]
            self.service_device, self.first_schema = body.service_device, body.schema_digest
            self._set_registrars(body, leaf)
            self.eras.append(Era(leaf, tuple(body.log_keys)))
            self.devices[body.service_device] = None
            self.service_key = self._add_key(body.service_device, body.service_key, leaf)
        elif name in ("SiteEnrolled", "SiteChanged"):
            for key_id in self.sites[body.site].tls_key_ids if body.site in self.sites else ():
                self.tls[key_id] = None
            self.tls |= dict.fromkeys(body.tls_key_ids, body.site)
            self.sites[body.site] = body
            if name == "SiteEnrolled":
                self.site_names[body.site] = body.name
                for person in body.administrators:
                    self._enrol(person, body.site, leaf)
        elif name == "PersonEnrolled":
            self._enrol(body.person, body.site, leaf)
        elif name == "PersonChanged":
            self.persons[body.person] = Person(self.persons[body.person].site, grants(body.roles), list(body.units))
        elif name == "EmergencyCredentialGranted":
            starts = body.valid_from_unix_micros
            grant = (frozenset(body.roles), starts, starts + body.valid_seconds * SECOND)
            self.emergencies.setdefault(body.person, []).append(grant)
        elif name == "DeviceEnrolled":
            self.devices[body.device] = body.site
            for key in body.keys:
                self._add_key(body.device, key, leaf)
        elif name == "KeyAdded":
            self._add_key(body.holder, body.key, leaf)
        elif name == "KeyRetired":
            self._retire(body.key_id, act.signed_at, body.grace_seconds)
        elif name in ("KeySuspended", "KeyReinstated"):
            self.keys[body.key_id].state = SUSPENDED if name == "KeySuspended" else ACTIVE
        elif name == "KeyRevoked":
            held = self.keys[body.key_id]
            held.state = REVOKED
            if body.has("compromised_since_leaf"):
                known = [] if held.compromised_since is None else [held.compromised_since]
                held.compromised_since = min([body.compromised_since_leaf, *known])
        elif name == "StatementsAffirmed":
            for digest in body.statement_digests:
                self.affirmations.setdefault(digest, []).append((act.digest, body.key_id))
        elif name == "LogKeysRotated":
            gone = (*body.log_keys, *body.lost_keys)
            overlapping = tuple(key for key in self.eras[-1].keys if key not in gone)
            since = body.compromised_since_size if body.has("compromised_since_size") else None
            lost = tuple(body.lost_keys)
            self.eras.append(Era(leaf, tuple(body.log_keys), overlapping, body.overlap_until_size, lost, since))
        elif name == "ServiceKeyRotated":
            self._retire(self.service_key, act.signed_at, 0)
            self.service_key = self._add_key(self.service_device, body.service_key, leaf)
        elif name == "RegistrarsChanged":
            self._set_registrars(body, leaf)
        elif name == "PolicyPublished":
            self.policies[sha256(body.pack)] = read_pack(body.pack)
            self.versions[body.product, body.jurisdiction] = body.version
        elif name == "SchemaPublished":
            self.schemas.add(sha256(body.descriptor_set))
            self.is_founded = True

    def _set_registrars(self, body: Message, leaf: int) -> None:
        self.registrars, self.threshold = [one.person for one in body.registrars], body.threshold
        self.hybrid_roles = frozenset(body.hybrid_roles)
        for one in body.registrars:
            self.persons.setdefault(one.person, Person(None, {}, []))
            self._add_key(one.person, one.key, leaf)

    def _enrol(self, person: Message, site: bytes, leaf: int) -> None:
        self.persons[person.person] = Person(site, grants(person.roles), list(person.units))
        for key in person.keys:
            self._add_key(person.person, key, leaf)

    def _add_key(self, holder: bytes, enrolled: Message, leaf: int) -> bytes:
        key = read_key(enrolled.spki)
        self.keys.setdefault(key.id, Held(key, holder, leaf))
        self.public[key.id] = key
        return key.id

    def _retire(self, key_id: bytes, signed_at: int, grace_seconds: int) -> None:
        held = self.keys[key_id]
        held.state, held.retired_at, held.grace_until = RETIRED, signed_at, signed_at + grace_seconds * SECOND

    # What is known of a signature by the end of the dossier ("Keys").

    def is_suspect(self, entry: Entry) -> bool:
        """Tells whether every key of a statement is said to have been compromised by then, and nobody affirmed it."""
        for key_id in entry.key_ids:
            held = self.keys.get(key_id)
            if held is None or held.compromised_since is None or entry.leaf < held.compromised_since:
                return False
        return not any(
            key_id in entry.key_ids
            and not any(self.is_suspect(one) for one in (self.acts[act], *self.joined.get(act, [])))
            for act, key_id in self.affirmations.get(entry.digest, [])
        )

    def asked(self, policy_digest: bytes) -> Asked:
        """Returns what a policy asks of signers; nothing where none is named."""
        pack = self.policies.get(policy_digest)
        if pack is None:
            return Asked()
        roles, days = frozenset(pack["training_roles"]), pack["training_validity_days"]
        return Asked(roles, days, pack["emergency_seconds"], frozenset(pack.get("hybrid_roles", ())))


def grants(roles: Any) -> dict[str, tuple[int | None, int | None]]:
    """Returns roles with the training recorded with each."""
    found: dict[str, tuple[int | None, int | None]] = {}
    for grant in roles:
        until = grant.trained_until_unix_micros if grant.has("trained_until_unix_micros") else None
        trained = grant.trained_at_unix_micros if grant.has("trained_at_unix_micros") else None
        found.setdefault(grant.role, (until, trained))
    return found


def check_text(text: str, longest: int = 200) -> None:
    """Ends the check unless this is a name that can be shown."""
    need(0 < len(text) <= longest and text.isprintable() and text == text.strip(), "a name is short and printable")


def check_texts(names: Any) -> None:
    """Ends the check unless these are short names, each once."""
    for name in names:
        check_text(name, 64)
    each_once(names)


def each_once(values: Any) -> None:
    """Ends the check if a value is repeated, or there are too many."""
    need(len(values) <= 256 and len(set(values)) == len(values), "a list names each member once")


def check_registrars(registrars: Any, threshold: int) -> None:
    """Ends the check unless these may be registrars."""
    persons = [one.person for one in registrars]
    each_once(persons)
    need(persons and persons == sorted(persons), "registrars ascend by person id")
    for one in registrars:
        need(len(one.person) == 16 and one.key, "a registrar has an id and a key")
        check_text(one.organisation)
    need(1 <= threshold <= len(persons), "the threshold is between one and the number of registrars")


def check_log_keys(keys: Any, origin: str) -> None:
    """Ends the check unless these are verifier keys of the log of this origin, one of them Ed25519."""
    each_once(keys)
    parsed = [read_vkey(key) for key in keys]
    need(all(key.name == origin for key in parsed), "a log's key is named by its origin")
    need(all(key.type in (1, 6) for key in parsed), "a witness's kind of key signs no log")
    need(any(key.type == 1 for key in parsed), "one of a log's keys is Ed25519")


def read_pack(pack: bytes) -> Any:
    """Returns a policy pack, canonical JSON; of its members those alone are looked at that this program needs."""
    try:
        found = json.loads(pack.decode("utf-8"), parse_constant=lambda name: need(False, f"{name} is no JSON"))
        again = json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    except (ValueError, RecursionError) as error:
        raise Defect("a pack is JSON in UTF-8") from error
    need(isinstance(found, dict) and again == pack, "a pack has sorted keys and no spaces")
    need(is_list_of_text(found.get("training_roles")), "training_roles is a list of roles")
    days = found.get("training_validity_days")
    need(isinstance(days, dict) and all(type(one) is int for one in days.values()), "training_validity_days is a table")
    need(type(found.get("emergency_seconds")) is int, "emergency_seconds is a number")
    need(type(found.get("co_signature_window_seconds")) is int, "co_signature_window_seconds is a number")
    joining = found.get("co_signing")
    need(isinstance(joining, dict), "co_signing is a table")
    for asked in joining.values() if isinstance(joining, dict) else ():
        is_row = (
            isinstance(asked, dict) and type(asked.get("number")) is int and type(asked.get("window_seconds")) is int
        )
        need(is_row and is_list_of_text(asked.get("roles")), "co_signing names number, roles and window")
    return found


def is_list_of_text(value: Any) -> bool:
    """Tells whether a JSON value is a list of texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


# 8  The log (transparency.md, witness.md): anchor, checkpoint, witnesses, inclusion -----------------------------------


class NoteKey(NamedTuple):
    """A verifier key of a signed note: type 1 Ed25519, 4 the same cosigning, 6 ML-DSA-44."""

    name: str
    type: int
    raw: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that name the key beside its name."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.raw)[:4]


def unbase64(text: str) -> bytes:
    """Returns the bytes of the one base64 spelling."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Defect("not base64") from error
    need(base64.b64encode(raw).decode() == text, "not the one base64 spelling")
    return raw


def number_in(text: str) -> int:
    """Returns the number that a plain decimal text spells."""
    need(re.fullmatch("0|[1-9][0-9]{0,19}", text) and int(text) < 1 << 64, "not a plain number")
    return int(text)


def is_key_name(name: str) -> bool:
    """Tells whether a key may be named so."""
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " or "\ud800" <= c < "\ue000" for c in name)


def read_vkey(text: str) -> NoteKey:
    """Returns the key in its text form, which states its id."""
    parts = text.split("+", 2)
    need(len(parts) == 3 and is_key_name(parts[0]) and re.fullmatch("[0-9a-f]{8}", parts[1]), "not a verifier key")
    material = unbase64(parts[2])
    need(material and material[0] in (1, 4, 6), "a key's type is not one of 1, 4, 6")
    key = NoteKey(parts[0], material[0], material[1:])
    if key.type == 6:
        need(len(key.raw) == 1312, "an ML-DSA-44 key has 1,312 bytes")
    else:
        point(key.raw, "the key")
    need(key.id.hex() == parts[1], "the key id is not that of the key")
    return key


class Anchor(NamedTuple):
    """What is trusted beforehand."""

    founding_digest: str
    origin: str
    log_keys: tuple[str, ...]
    policy: Policy | None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len(dict(pairs)) == len(pairs), "a member is repeated")
    return dict(pairs)


def read_anchor(raw: bytes) -> Anchor:
    """Returns the anchor in a file."""
    need(len(raw) <= 1 << 16, "an anchor is a small file")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise Defect("an anchor is JSON in UTF-8") from error
    needed = {"format", "format_version", "founding_digest", "log_keys", "log_origin", "witness_policy"}
    optional = {"time_authorities", "time_authorities_min"}
    is_exact = isinstance(found, dict) and needed <= set(found) <= needed | optional
    need(is_exact, "an anchor has exactly its members")
    version = found["format_version"]
    need(found["format"] == "cellcustody-anchor" and type(version) is int and version == 1, "another format")
    keys = found["log_keys"]
    texts = (found["founding_digest"], found["log_origin"], found["witness_policy"])
    need(isinstance(keys, list) and all(isinstance(one, str) for one in (*texts, *keys)), "a member is text")
    digest, origin, keys = texts[0], texts[1], tuple(keys)
    need(re.fullmatch("[0-9a-f]{64}", digest), "a digest is lower-case hex")
    need(len(origin) <= 200 and is_key_name(origin), "an origin is a note's key name")
    check_log_keys(keys, origin)
    text = texts[2].encode("utf-8", "surrogatepass")
    return Anchor(digest, origin, keys, read_policy(text) if text else None)


class Policy(NamedTuple):
    """A witness policy: logs, witnesses by name, groups by name with threshold and members, and the quorum."""

    logs: list[NoteKey]
    witnesses: dict[bytes, NoteKey]
    groups: dict[bytes, tuple[int, list[bytes]]]
    quorum: bytes


def read_policy(raw: bytes) -> Policy:
    """Returns what a C2SP tlog-policy says."""
    need(len(raw) <= 1_000_000 and raw.endswith(b"\n"), "a policy is lines, each ended by a newline")
    need(not re.search(rb"[^\x09\x0a\x20-\x7e\x80-\xff]", raw), "a policy has a control character")
    policy, quorums, members = Policy([], {}, {}, b""), [], set()
    for line in raw[:-1].split(b"\n"):
        word, *items = [item for item in re.split(rb"[ \t]+", line) if item] or [b"#"]
        if word.startswith(b"#"):
            continue
        taken = {b"none", *policy.witnesses, *policy.groups}
        if word == b"log" and len(items) in (1, 2):
            key = _policy_key(items[0], (1, 6))
            need(all(key.raw != other.raw for other in policy.logs), "two logs share a key")
            policy.logs.append(key)
        elif word == b"witness" and len(items) in (2, 3):
            key = _policy_key(items[1], (4, 6))
            need(all(key.raw != other.raw for other in policy.witnesses.values()), "two witnesses share a key")
            need(items[0] not in taken, "a name is taken")
            policy.witnesses[items[0]] = key
        elif word == b"group" and len(items) >= 3:
            name, wanted, *inside = items
            need(name not in taken, "a name is taken")
            for member in inside:
                need(member in taken and member != b"none" and member not in members, "no member is that, or twice")
                members.add(member)
            least = {b"all": len(inside), b"any": 1}.get(wanted)
            least = number_in(wanted.decode("latin-1")) if least is None else least
            need(1 <= least <= len(inside), "a threshold is between one and all members")
            policy.groups[name] = (least, inside)
        elif word == b"quorum" and len(items) == 1:
            need(items[0] in taken, "the quorum is not defined on a line before")
            quorums.append(items[0])
        else:
            raise Defect("no line of a policy has this form")
    need(len(quorums) == 1, "a policy has exactly one quorum")
    return policy._replace(quorum=quorums[0])


def _policy_key(raw: bytes, types: tuple[int, ...]) -> NoteKey:
    try:
        key = read_vkey(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Defect("a key is not UTF-8") from error
    need(key.type in types, "the key's type does not fit its part")
    return key


class Checkpoint(NamedTuple):
    """What a signed checkpoint says, and its signature lines: name, key id, signature."""

    text: str
    origin: str
    size: int
    root: bytes
    lines: list[tuple[str, bytes, bytes]]


def read_checkpoint(raw: bytes) -> Checkpoint:
    """Returns what a signed checkpoint says; nothing in it is believed yet."""
    need(len(raw) <= 1_000_000 and not re.search(rb"[\x00-\x09\x0b-\x1f]", raw), "a note has no control characters")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Defect("a note is UTF-8") from error
    divide = whole.rfind("\n\n")
    need(divide >= 0 and whole.endswith("\n") and divide + 2 < len(whole), "a note has text, empty line, signatures")
    text, signed = whole[: divide + 1], whole[divide + 2 : -1].split("\n")
    need(len(signed) <= 100, "a note has too many signatures")
    lines: list[tuple[str, bytes, bytes]] = []
    for line in signed:
        name, divider, encoded = line[2:].partition(" ")
        need(line.startswith("— ") and divider and is_key_name(name), "not a signature line")
        material = unbase64(encoded)
        need(len(material) > 4, "a signature is missing behind its key id")
        lines.append((name, material[:4], material[4:]))
    parts = text[:-1].split("\n")
    need(len(parts) >= 3 and all(parts), "a checkpoint has three lines at least, none empty")
    root = unbase64(parts[2])
    need(len(root) == 32, "a root has 32 bytes")
    return Checkpoint(text, parts[0], number_in(parts[1]), root, lines)


def verify_note(checkpoint: Checkpoint, keys: Iterable[NoteKey], report: Report) -> set[NoteKey]:
    """Returns which of these keys signed; a signature of one of them that fails refuses the whole note."""
    known: dict[tuple[str, bytes], NoteKey] = {}
    for key in keys:
        need(known.setdefault((key.name, key.id), key) == key, "two keys share name and id")
    signed: set[NoteKey] = set()
    for name, key_id, signature in checkpoint.lines:
        found = known.get((name, key_id))
        if found is None:
            continue
        if found.type == 1:
            verify_ed25519(found.raw, signature, checkpoint.text.encode())
        else:
            need(len(signature) > 8 and signature[0] < 128, "a time is 8 bytes, and at most 2^63 - 1")
            seconds = int.from_bytes(signature[:8], "big")
            if found.type == 4:
                message = f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()
                verify_ed25519(found.raw, signature[8:], message)
            else:
                own, origin = name.encode(), checkpoint.origin.encode()
                need(len(own) < 256 and len(origin) < 256, "a name is longer than 255 bytes")
                message = b"subtree/v1\n\x00" + bytes([len(own)]) + own + signature[:8] + bytes([len(origin)]) + origin
                message += struct.pack(">QQ", 0, checkpoint.size) + checkpoint.root
                try:
                    verify_ml_dsa(44, found.raw, signature[8:], message)
                except UnverifiableError:
                    report.unverified_signatures += 1
        signed.add(found)
    return signed


def check_checkpoint(raw: bytes, registry: Registry, anchor: Anchor | None, report: Report) -> Checkpoint:
    """Returns the checkpoint after every key that signs for the log at its size was found to have signed it."""
    if anchor:
        with checking("ISSUER"):
            need(anchor.origin == registry.origin, "the log is another than the anchor's")
            is_known = any(set(anchor.log_keys) == set(era.keys) for era in registry.eras)
            need(is_known, "the anchor's log keys were never this log's")
    with checking("CHECKPOINT"):
        checkpoint = read_checkpoint(raw)
        of_log = [read_vkey(key) for era in registry.eras for key in (*era.keys, *era.overlapping)]
        unverified = report.unverified_signatures
        signed = verify_note(checkpoint, dict.fromkeys(of_log), report)
        need(checkpoint.origin == registry.origin, "the checkpoint is of another log")
        need(checkpoint.size or checkpoint.root == EMPTY, "an empty tree has the empty root")
        eras = [era for era in registry.eras if era.leaf < checkpoint.size]
        need(eras, "the checkpoint is older than the log's keys")
        era = eras[-1]
        asked = [*era.keys, *(era.overlapping if checkpoint.size <= era.until else ())]
        need({read_vkey(key) for key in asked} <= signed, "a key that signs for the log did not sign the checkpoint")
    count = len(asked) - (report.unverified_signatures - unverified)
    if count < len(asked):
        report.unverified("CHECKPOINT", NO_ML_DSA, count)
    else:
        report.passed("CHECKPOINT", count)
    if anchor is None or anchor.policy is None:
        report.unverified("WITNESSES", "the anchor asks for no witness" if anchor else "no anchor was given")
        return checkpoint
    with checking("CHECKPOINT"):
        policy, own = anchor.policy, {read_vkey(key) for key in asked}
        report.unverified_signatures = unverified
        signed = verify_note(checkpoint, [*own, *policy.witnesses.values()], report)
        listed = [key for key in policy.logs if key.name == registry.origin]
        need(not policy.logs or verify_note(checkpoint, listed, report), "no log of the policy signed")
        of_log_raw = {key.raw for key in own}
        met = {name: key in signed and key.raw not in of_log_raw for name, key in policy.witnesses.items()}
        names = [name.decode(errors="replace") for name, is_met in met.items() if is_met]
        for name, (least, members) in policy.groups.items():
            met[name] = sum(met[member] for member in members) >= least
    with checking("WITNESSES"):
        need(
            policy.quorum == b"none" or met[policy.quorum], f"too few witnesses cosigned: {', '.join(names) or 'none'}"
        )
    if names:
        report.passed("WITNESSES", len(names), ", ".join(names))
    else:
        report.unverified("WITNESSES", "the anchor's quorum is of nobody")
    return checkpoint


def check_inclusion(entries: list[Entry], proof: list[bytes], size: int, root: bytes) -> None:
    """Ends the check unless the entries stand in the tree of this size and root (dossier.md, "Shared proof")."""
    need(entries and entries[-1].leaf < size, "entries are below the size")
    nodes = iter(proof)
    found = iter(entries)

    def over(start: int, end: int, given: list[Entry]) -> bytes:
        if not given:
            hashed = next(nodes, b"")
            need(hashed, "the proof has hashes too few")
            return hashed
        if end - start == 1:
            return next(found).leaf_hash
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        left = over(start, middle, [entry for entry in given if entry.leaf < middle])
        return node(left, over(middle, end, [entry for entry in given if entry.leaf >= middle]))

    need(over(0, size, entries) == root, "the entries do not lead to the checkpoint's root")
    need(next(nodes, None) is None, "the proof has hashes too many")


def check_path_of_one(leaf: int, leaf_hash: bytes, path: list[bytes], size: int, root: bytes) -> None:
    """Ends the check unless an RFC 6962 inclusion proof leads from one leaf to the root."""
    need(leaf < size, "a leaf is below the size")
    index, last, hashed = leaf, size - 1, leaf_hash
    for sibling in path:
        need(last and len(sibling) == 32, "the proof has hashes too many, or no hashes")
        if index & 1 or index == last:
            hashed = node(sibling, hashed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, sibling)
        index, last = index >> 1, last >> 1
    need(last == 0 and hashed == root, "the proof does not lead to the root")


# 9  Every statement: signer, references, judgement (dossier.md, "Checks, in order"; entry.md) -------------------------


def verify_statement(entry: Entry, final: Registry, now: Registry, report: Report) -> None:
    """Verifies one entry by itself; `now` is the registry as of this entry, `final` with all that came later."""
    contract = now.contract
    with checking("SIGNATURES", entry.leaf):
        entry.verify_signatures(final.public, report)
        is_founding = entry.leaf == 0 and not entry.header.ledger_id and entry.kind == "registry"
        need(entry.header.ledger_id == final.ledger_id or is_founding, "a statement is of another ledger")
        act = contract.acts.get(entry.body_type)
        if entry.joins is None:
            if act is None:
                raise Defect("the contract has no such body")
            fits = entry.kind == act.kind and entry.stream[0] in act.stream_kinds
            need(fits, "a body has no place under this payload type or in this stream")
    with checking("BODIES", entry.leaf):
        if entry.joins is None:
            entry.open_body(contract)
        else:
            need(not entry.records, "a co-signature has no body")
    with checking("JUDGEMENTS", entry.leaf):
        check_judgement_form(entry)
    is_authorisation = act is None or act.is_authorisation
    if entry.leaf:
        with checking("SIGNERS", entry.leaf):
            lacking = now.admit(entry, is_authorisation)
            if act and entry.kind not in ("registry", "policy", "schema", *KINDS_OF_LEDGER):
                lacking |= competence(entry, entry.body_type, now)
            told = entry.codes & SIGNER_CODES
            need(told == lacking, f"the entry tells {sorted(told)} of its signer, the registry {sorted(lacking)}")
            need(not is_authorisation or lacking <= {"LATE_AFTER_RETIREMENT"}, "somebody permitted what they may not")
    with checking("REFERENCES", entry.leaf):
        published = now.schemas | set(now.policies)
        schema, relied_on, under = entry.header.schema_digest, entry.header.policy_digest, entry.judgement.policy_digest
        need(schema == final.first_schema or schema in published, "the schema was not published there")
        if entry.stream[0] not in OF_REGISTRY:
            default = bytes.fromhex(DEFAULT_PACK)
            is_told = "POLICY_UNKNOWN" in entry.codes or entry.joins is not None
            need(relied_on in (b"", default) or relied_on in published or is_told, "the policy relied on was not there")
            need(under in (b"", default) or under in published, "the policy judged under was not published there")
    with checking("JUDGEMENTS", entry.leaf):
        check_judgement(entry, act)
    entry.is_suspect = final.is_suspect(entry)


def competence(entry: Entry, body_type: str, now: Registry) -> set[str]:
    """Returns the codes of what the registry says this signer lacked for an act of this type, as of this entry."""
    lacking: set[str] = set()
    asked = now.asked(entry.judgement.policy_digest)
    role, person = entry.role, now.persons.get(entry.signer)
    site = now.sites.get(now.site_of(entry.signer) or b"")
    act = now.contract.acts.get(body_type)
    if act and act.capabilities and (site is None or not act.capabilities.intersection(site.capabilities)):
        lacking.add("CAPABILITY_MISSING")
    if role in asked.hybrid_roles and not now.is_hybrid(entry.key_ids):
        lacking.add("HYBRID_KEY_MISSING")
    if person and role in person.roles:
        lacking |= training(role, *person.roles[role], entry.signed_at, asked)
    elif role != ("device" if person is None else REGISTRAR) or (person and entry.signer not in now.registrars):
        lacking.add("ROLE_NOT_HELD")
    emergencies = now.emergencies.get(entry.signer, [])
    told = EMERGENCY in entry.codes
    for roles, starts, ends in emergencies:
        if role in roles and starts <= entry.signed_at <= min(ends, starts + asked.emergency_seconds * SECOND):
            if told or lacking & EMERGENCY_COVERS:
                return lacking - EMERGENCY_COVERS | (set() if told else {EMERGENCY})
            break
    return lacking | {EMERGENCY} if told else lacking


def training(role: str, until: int | None, trained_at: int | None, signed_at: int, asked: Asked) -> set[str]:
    """Returns the code of what the training recorded with a role lacks at the time of signing."""
    days = asked.training_days.get(role)
    ends = [] if until is None else [until]
    if trained_at is not None and days is not None:
        ends.append(trained_at + days * DAY * SECOND)
    if ends and signed_at > min(ends):
        return {"TRAINING_LAPSED"}
    if role not in asked.training_roles:
        return set()
    is_recorded = until is not None or trained_at is not None
    return set() if is_recorded and (trained_at is None or trained_at <= signed_at) else {"TRAINING_NOT_RECORDED"}


def check_judgement(entry: Entry, act: Act | None) -> None:
    """Ends the check unless the judgement fits the statement and its status follows from its findings."""
    judgement, status = entry.judgement, entry.judgement.status
    is_fact = act is not None and not act.is_authorisation and entry.kind not in KINDS_OF_LEDGER
    if act is None or entry.kind in KINDS_OF_LEDGER:
        need(status == RECORDED, "a judgement is of another kind than its statement")
    else:
        kinds = (CONFORMING, NONCONFORMING, AWAITING) if is_fact else (PENDING, IN_EFFECT)
        need(status in kinds, "a judgement is of another kind than its statement")
    need(judgement.rule_set == 1, "a judgement is of another rule-set")
    need(not judgement.puts_in_effect or entry.joins is not None, "only a co-signature puts something in effect")
    check_findings(judgement, len(entry.numbers))
    if is_fact:
        need(status == status_of(entry.codes), "a status does not follow from its findings")


def check_findings(judgement: Message, leaves: int) -> None:
    """Ends the check unless the findings are known, in order of code, and name leaves that are there."""
    codes = [finding.code for finding in judgement.findings]
    need(all(code in STRENGTH for code in codes), "no rule has this code")
    need(codes == sorted(codes), "findings stand in order of code")
    need(all(leaf < leaves for one in judgement.findings for leaf in one.leaves), "a finding names a leaf not there")


def status_of(codes: Iterable[str]) -> int:
    """Returns the status of a fact with these findings."""
    strengths = {STRENGTH[code] for code in codes}
    return AWAITING if "awaiting" in strengths else NONCONFORMING if "gate" in strengths else CONFORMING


# 10  Between statements: chains, what was seen, co-signatures, revisions ----------------------------------------------


def check_streams(entries: list[Entry]) -> dict[bytes, Entry]:
    """Returns the last entry of each stream, after each was followed from its first without a gap."""
    heads: dict[bytes, Entry] = {}
    for entry in entries:
        with checking("STREAMS", entry.leaf):
            last = heads.get(entry.stream)
            need(entry.sequence == (last.sequence if last else 0) + 1, "an entry is missing, or out of its place")
            need(
                entry.previous == (last.leaf_hash if last else bytes(32)),
                "an entry follows another than that before it",
            )
            heads[entry.stream] = entry
    return heads


class Between:
    """The checks across entries, fed in the order of the log."""

    def __init__(self, registry: Registry) -> None:
        self.now = registry
        self.by_digest: dict[bytes, Entry] = {}
        self.ids: set[bytes] = set()
        self.unmet: dict[bytes, list[Entry]] = {}
        self.joined: dict[bytes, list[Entry]] = {}
        self.in_effect_at: dict[bytes, int] = {}
        self.references = self.revisions = 0
        self.revised: dict[bytes, Message] = {}

    def take(self, entry: Entry) -> None:
        """Checks the next entry against those before it."""
        with checking("STREAMS", entry.leaf):
            statement_id = entry.header.statement_id
            need(entry.digest not in self.by_digest and statement_id not in self.ids, "a statement is recorded twice")
        with checking("REFERENCES", entry.leaf):
            self._check_seen(entry)
        self.by_digest[entry.digest] = entry
        self.ids.add(statement_id)
        with checking("CO_SIGNATURES", entry.leaf):
            if entry.joins is not None:
                self._check_co_signature(entry, entry.joins)
            elif entry.judgement.status == IN_EFFECT and entry.stream[0] not in OF_REGISTRY:
                need(not self._asked(entry, entry)[0], "an authorisation is in effect without the persons it needs")
                self.in_effect_at[entry.digest] = entry.leaf
        with checking("JUDGEMENTS", entry.leaf):
            if entry.kind == "judgement":
                self._check_revision(entry)

    def _check_seen(self, entry: Entry) -> None:
        for earlier in self.unmet.pop(entry.digest, []):
            act = self.now.contract.acts.get(earlier.body_type)
            waits = earlier.judgement.status == AWAITING or earlier.stream != entry.stream
            is_right = act is None or (not act.is_authorisation and waits)
            need(is_right, f"entry {earlier.leaf} rests on one that was recorded after it")
        for seen in entry.header.seen:
            there = self.by_digest.get(seen.statement_digest)
            if there is None:
                self.unmet.setdefault(seen.statement_digest, []).append(entry)
            else:
                need(there.stream == seen.stream, "a statement seen is of another stream")
                self.references += 1

    def _asked(self, act: Entry, judged: Entry) -> tuple[int, list[str], int]:
        """Returns how many others contract and pack ask for, in which roles, within how many seconds."""
        least = self.now.contract.acts[act.body_type].co_signers
        digest = judged.judgement.policy_digest
        pack = self.now.policies.get(digest)
        if pack is None:
            return least, [], DEFAULT_WINDOW_SECONDS
        asked = pack["co_signing"].get(act.name)
        if asked is None:
            return least, [], pack["co_signature_window_seconds"]
        return max(least, asked["number"]), asked["roles"], asked["window_seconds"]

    def _check_co_signature(self, entry: Entry, joins: bytes) -> None:
        act = self.by_digest.get(joins)
        if act is None or act.stream != entry.stream:
            raise Defect("a co-signature joins nothing that its stream held before it")
        need(act.joins is None, "a co-signature joins a co-signature")
        others = self.joined.setdefault(joins, [])
        need(entry.signer not in {act.signer, *(one.signer for one in others)}, "one person signs twice")
        others.append(entry)
        if entry.stream[0] in OF_REGISTRY:
            return  # The registry's own rules have judged it.
        lacking = competence(entry, act.body_type, self.now)
        need(not lacking, f"a co-signer may not join this: {sorted(lacking)}")
        if entry.puts_in_effect:
            fits = entry.puts_in_effect == joins and act.judgement.status == PENDING
            need(fits, "a co-signature puts in effect what it does not join, or what was not pending")
            need(joins not in self.in_effect_at, "an authorisation takes effect once")
            number, roles, seconds = self._asked(act, entry)
            counting = [
                one
                for one in others
                if (not roles or one.role in roles) and abs(one.signed_at - act.signed_at) <= seconds * SECOND
            ]
            need(counting and len(counting) >= number, "an authorisation is in effect without the persons it needs")
            self.in_effect_at[joins] = entry.leaf

    def _check_revision(self, entry: Entry) -> None:
        body = entry.body
        if body is None or entry.name != "JudgementsRevised" or not entry.is_whole:
            raise Defect("a re-judgement is not shown")
        for revised in body.judgements:
            there = self.by_digest.get(revised.statement_digest)
            act = self.now.contract.acts.get(there.body_type) if there else None
            if there is None or act is None or there.stream != entry.stream or act.is_authorisation:
                raise Defect("a re-judgement names what is no fact of its stream before it")
            judgement = revised.judgement
            need(judgement is not None and judgement.status, "a revised judgement is not in its form")
            check_findings(judgement, 1 << 20)
            codes = frozenset(finding.code for finding in judgement.findings)
            need(codes & OF_ENTRY == there.codes & OF_ENTRY, "what was found at entry was revised")
            if judgement.status == RECORDED:
                need(codes & {"RETRACTED", "SUPERSEDED"}, "a fact was unmade without reason")
            else:
                need(judgement.status == status_of(codes), "a status does not follow from its findings")
            self.revised[there.digest] = judgement
            self.revisions += 1


# 11  The manifest, the scope, and whether that is all (dossier.md, head-map.md) ---------------------------------------


def check_manifest(files: dict[str, bytes], registry: Registry, size: int, report: Report) -> Message:
    """Returns the manifest: the ledger's signed word on what it gave."""
    envelope, kind, pae = read_envelope(files["manifest.binpb"])
    signed = verify_envelope(envelope, pae, registry.public, report)
    is_by_ledger = kind == "dossier-manifest" and signed == (registry.service_key,)
    need(is_by_ledger, "the manifest is not signed by the ledger's service key")
    manifest = parse(SHAPES, "Manifest", envelope.payload)
    need(manifest.format_version == 1 and manifest.ledger_id == registry.ledger_id, "another format or ledger")
    need(manifest.position == size, "the manifest is of another checkpoint")
    listed = [(file.name, file.length_bytes, file.sha256) for file in manifest.files]
    found = [(name, len(files[name]), sha256(files[name])) for name in NAMES if name != "manifest.binpb"]
    need(listed == found, "the files are not those that the manifest lists")
    classes = list(manifest.open_classes)
    need(classes == sorted(set(classes)) and 1 in classes, "open classes ascend, PUBLIC among them")
    return manifest


def check_scope(manifest: Message, entries: list[Entry], heads: dict[bytes, Entry], contract: Contract) -> int:
    """Returns how many records of open classes are closed all the same; the streams are those listed and cited."""
    closed = 0
    for entry in entries:
        act = contract.acts.get(entry.body_type)
        for one in entry.records or () if act else ():
            is_named = act.classes[entry.numbers[one.at]] in manifest.open_classes if act else False
            need(is_named or isinstance(one, Closed), f"entry {entry.leaf}: a record is open that is not named")
            closed += is_named and isinstance(one, Closed)
    listed = [(one.stream, one.entries, one.last_leaf_hash) for one in manifest.streams]
    found = [(stream, head.sequence, head.leaf_hash) for stream, head in sorted(heads.items())]
    need(listed == found, "the entries are not those that the manifest lists")
    need(manifest.therapy in heads and manifest.therapy[0] == THERAPY, "the therapy's own entries are not there")
    for stream in heads:
        need(stream == manifest.therapy or stream[0] in (CONSIGNMENT, LOT, *OF_REGISTRY), "a stream has no place here")
    for entry in entries:
        if entry.stream == manifest.therapy and entry.body and entry.kind == "custody":
            for cited in cited_in(entry.body):
                need(cited in heads, f"entry {entry.leaf}: a stream that the therapy cites is not there")
    return closed


def cited_in(body: Message) -> Iterator[bytes]:
    """Yields the consignments and lots that a body names."""
    for field in body.fields.values():
        value = getattr(body, field.name)
        if field.name == "consignment" and isinstance(value, bytes) and len(value) == 17:
            yield value
        if field.inner == "cellcustody.v1.LotUse" and value:
            yield from (use.lot for use in (value if field.is_repeated else [value]) if len(use.lot) == 17)


EMPTY_PATH = Message(SHAPES["MapPath"], {})


def map_root(key: bytes, value: bytes, path: Message, tag: int, is_there: bool) -> bytes:
    """Returns the root to which the path of a key leads: where it is there with a value, or where it is not."""
    siblings = list(path.siblings)
    need(len(siblings) <= 256 and all(len(one) in (0, 32) for one in siblings), "a sibling is a hash, or nothing")
    need(bytes(32) not in siblings, "an empty subtree is written as no bytes")
    need(not siblings or siblings[0], "the first sibling is never empty")
    depth = len(siblings)
    bits = int.from_bytes(key, "big")
    other = path.other_key
    if is_there or other == b"":
        need(not other and not path.other_value_digest, "another key is named where none is asked")
        hashed = sha256(bytes([tag]) + key + sha256(value)) if is_there else bytes(32)
    else:
        need(len(other) == 32 and len(path.other_value_digest) == 32 and other != key, "another key has 32 bytes")
        shared = int.from_bytes(other, "big") >> 256 - depth == bits >> 256 - depth
        need(shared, "the other key is elsewhere")
        hashed = sha256(bytes([tag]) + other + path.other_value_digest)
    for i, sibling in zip(range(depth - 1, -1, -1), siblings, strict=True):
        beside = sibling or bytes(32)
        pair = beside + hashed if bits >> 255 - i & 1 else hashed + beside
        hashed = sha256(bytes([tag + 1]) + pair)
    return hashed


def check_completeness(
    raw: bytes, manifest: Message, entries: list[Entry], final: Registry, checkpoint: Checkpoint, report: Report
) -> None:
    """Verifies the map of stream heads, and that the streams given are all there is of them up to its size."""
    if not raw:
        report.unverified("COMPLETENESS", "no map of stream heads is given; ask the log for later entries")
        report.unverified("ALIASES", "no map is given")
        return
    size = checkpoint.size
    with checking("COMPLETENESS"):
        heads = parse(SHAPES, "Heads", raw)
        records: Records = [Opening(one.index, one.salt, one.record) for one in heads.openings]
        entry = Entry(heads.leaf_index, heads.entry, records)
        try:
            as_of = Registry(final.contract, report)
            for given in entries:
                if given.stream[0] in OF_REGISTRY and given.leaf < entry.leaf:
                    as_of.apply(given)
            verify_statement(entry, final, as_of, report)
        except Broken as broken:
            raise Defect(f"the map's entry does not hold: {broken}") from broken
        body = entry.body
        if body is None or entry.name != "HeadsMapped" or entry.stream != b"\x09" + bytes(16) or not entry.is_whole:
            raise Defect("the map's entry is no map of heads, or not shown")
        check_path_of_one(entry.leaf, entry.leaf_hash, list(heads.inclusion), size, checkpoint.root)
        covered = body.covered_size
        need(covered <= entry.leaf and covered >= size - 1024, "the map is of another time")
        hashes_ = (body.heads_root, body.aliases_root, body.alias_key_commitment)
        need(all(len(one) == 32 for one in hashes_), "roots and commitment have 32 bytes")
        need(
            [one.stream for one in heads.streams] == [one.stream for one in manifest.streams],
            "other streams are proven",
        )
        for one in heads.streams:
            value = one.stream + struct.pack(">Q", one.entries) + one.last_leaf_hash
            need(len(one.last_leaf_hash) == (32 if one.entries else 0), "a stream that is there has a last leaf hash")
            leads_to = map_root(sha256(one.stream), value, one.path or EMPTY_PATH, 0x10, one.entries > 0)
            need(leads_to == body.heads_root, "a path does not lead to the map's root")
            below = [given for given in entries if given.stream == one.stream and given.leaf < covered]
            head = (below[-1].sequence, below[-1].leaf_hash) if below else (0, b"")
            need(head == (one.entries, one.last_leaf_hash), "the stream has other entries than those given")
        elsewhere = size - covered - sum(given.leaf >= covered for given in entries) - 1
        note = f"all of these streams up to size {covered}"
        note += f"; of {elsewhere} later entries nothing is known" if elsewhere else ""
        report.passed("COMPLETENESS", len(heads.streams), note)
    with checking("ALIASES"):
        last = b""
        for one in heads.aliases:
            need(len(one.key) == 32 and one.key > last, "aliases ascend")
            last = one.key
            therapies = list(one.therapies)
            need(all(len(of) == 17 for of in therapies) and sorted(set(therapies)) == therapies, "therapies ascend")
            leads_to = map_root(one.key, b"".join(therapies), one.path or EMPTY_PATH, 0x20, bool(therapies))
            need(leads_to == body.aliases_root, "a path does not lead to the map's root")
        names = {one.key: list(one.therapies) for one in heads.aliases}
        if report.alias_key is None or not names:
            report.unverified("ALIASES", f"{len(names)} paths hold; whose they are needs the alias key")
            return
        own, label = report.alias_key, b"cellcustody/alias-key/v1\0"
        need(sha256(label + own.ledger_id + own.key) == body.alias_key_commitment, "the map was made under another key")
        enrolments = [
            given.body
            for given in entries
            if given.stream == manifest.therapy and given.name == "TherapyEnrolled" and given.leaf < covered
        ]
        checked = 0
        for alias in (alias for enrolment in enrolments if enrolment for alias in enrolment.aliases):
            therapies = names.get(own.blinded(alias.scheme, alias.value), [])
            need(manifest.therapy in therapies, "an alias of the therapy does not name it, or nothing is shown of it")
            need(alias.scheme != COI or len(therapies) == 1, "a chain of identity identifier names another therapy too")
            checked += 1
    if checked:
        report.passed("ALIASES", checked, f"up to size {covered}")
    else:
        report.unverified("ALIASES", "no alias is open")


COI = "isbt128-coi"
COI_PRINTED = re.compile("(CH[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{2}[0-9]{2}[0-9A-Z]{6})([0-9A-Z*])")
COI_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"


class AliasKey(NamedTuple):
    """The key under which aliases are blinded, which auditors and regulators are given."""

    ledger_id: bytes
    key: bytes

    def blinded(self, scheme: str, value: str) -> bytes:
        """Returns an alias as the map has it."""
        if scheme == COI and not re.search("^ |  | $", value):
            printed = COI_PRINTED.fullmatch(value.replace(" ", ""))
            total = 0
            for character in printed[1] if printed else "":
                total = (total + COI_ALPHABET.index(character)) * 2 % 37  # ISO/IEC 7064, Mod 37,2.
            if printed and COI_ALPHABET[(38 - total) % 37] == printed[2]:
                value = printed[1]
        named = scheme.encode()
        return hmac.digest(self.key, struct.pack(">H", len(named)) + named + value.encode(), "sha256")


def read_alias_key(raw: bytes) -> AliasKey:
    """Returns the key in an alias key file."""
    found = re.fullmatch(rb"cellcustody/alias-key/v1\n([0-9a-f]{32})\n([0-9a-f]{64})\n", raw)
    if found is None:
        raise Defect("an alias key file has three lines: what it is, the ledger, the key")
    return AliasKey(bytes.fromhex(found[1].decode()), bytes.fromhex(found[2].decode()))


# 12  Telling it -------------------------------------------------------------------------------------------------------

NO_ML_DSA = "the installed cryptography cannot verify ML-DSA; 49 or newer can"


def verify(data: bytes, anchor: Anchor | None = None, alias_key: AliasKey | None = None) -> Report:
    """Returns the report on a dossier, with or without an anchor. Never raises for anything that is in the file."""
    report = Report()
    report.alias_key = alias_key
    try:
        _verify(data, anchor, report)
    except Broken as broken:
        report.first_broken, report.outcome = broken, "BROKEN"
        report.lines[broken.check] = ("FAILED", 0, f"{broken}")
    except UnverifiableError:
        report.outcome = "INCOMPLETE"
    return report


def _verify(data: bytes, anchor: Anchor | None, report: Report) -> None:
    with checking("CONTAINER"):
        files = read_container(data)
        bodies = read_bodies(files["bodies.binpb"])
        given = [(leaf, raw, bodies.pop(leaf, None)) for leaf, raw in read_entries(files["entries.bin"])]
        need(not bodies, "a body belongs to no entry")
        proof = files["proof.bin"]
        need(len(proof) % 32 == 0, "a proof is whole hashes")
    report.passed("CONTAINER", len(files))
    entries: list[Entry] = []
    for leaf, raw, records in given:
        with checking("ENTRIES", leaf):
            entries.append(Entry(leaf, raw, records))
    report.passed("ENTRIES", len(entries))

    # Whose ledger it is, and who may say what in it.
    of_registry = [entry for entry in entries if entry.stream[0] in OF_REGISTRY]
    with checking("REGISTRY"):
        need(of_registry and of_registry[0].leaf == 0, "the founding entry is not there")
    with checking("ISSUER"):
        need(
            anchor is None or of_registry[0].digest.hex() == anchor.founding_digest, "another ledger than the anchor's"
        )
    contract = contract_in(of_registry)
    if contract is None:
        raise Broken("REGISTRY", "the founding is not complete: no schema is published")
    final = replay(of_registry, contract, report)
    checkpoint = check_checkpoint(files["checkpoint"], final, anchor, report)
    if anchor is None:
        report.unverified("ISSUER", "no anchor was given: anybody can make a ledger of their own")
    else:
        report.passed("ISSUER", 1)

    # What it holds.
    with checking("INCLUSION"):
        hashes_ = [proof[at : at + 32] for at in range(0, len(proof), 32)]
        check_inclusion(entries, hashes_, checkpoint.size, checkpoint.root)
    report.passed("INCLUSION", len(entries))
    unverified = report.unverified_signatures
    now = Registry(contract, report)
    for entry in entries:
        verify_statement(entry, final, now, report)
        if entry.stream[0] in OF_REGISTRY:
            now.apply(entry)
    heads = check_streams(entries)
    between = Between(Registry(contract, report))
    for entry in entries:
        between.take(entry)
        if entry.stream[0] in OF_REGISTRY:
            between.now.apply(entry)
    tell_statements(report, entries, between, unverified)
    with checking("MANIFEST"):
        manifest = check_manifest(files, final, checkpoint.size, report)
    report.passed("MANIFEST", len(NAMES) - 1)
    own = {name: sha256(files[name]).hex() for name in ("index.html", "verify.py")}
    told = ", ".join(f"{name} {digest}" for name, digest in own.items())
    report.unverified("EMBEDDED_VERIFIERS", f"compare with what is published: {told}")
    with checking("SCOPE"):
        withheld = check_scope(manifest, entries, heads, contract)
        note = f"{withheld} records of open classes are not shown: erased, or withheld" if withheld else ""
        report.passed("SCOPE", len(heads), note)
    check_completeness(files["heads.binpb"], manifest, entries, final, checkpoint, report)
    report.unverified("TIME", f"times are claims; {len(files['timestamps.binpb'])} bytes of tokens were not looked at")
    report.unverified("REPLAY", "findings on custody, comparisons and the unit acted for are the ledger's word")
    report.outcome = "VERIFIED" if anchor else "CONSISTENT, ISSUER UNPROVEN"
    if report.unverified_signatures or report.lines["CONTRACT"][0] != "PASSED":
        report.outcome = "INCOMPLETE"
    report.about = {
        "ledger_id": final.ledger_id.hex(),
        "log_origin": checkpoint.origin,
        "position": checkpoint.size,
        "therapy": manifest.therapy.hex(),
    }
    report.statements = [told_of(entry, between, now) for entry in entries]


def replay(of_registry: list[Entry], contract: Contract, report: Report) -> Registry:
    """Returns the registry after every act in it was found lawful at its position."""
    is_known = contract.digest.hex() in CONTRACTS
    if is_known:
        report.passed("CONTRACT", len(contract.acts))
    else:
        report.unverified(
            "CONTRACT", f"schema {contract.digest.hex()} is not known here: what acts ask for is its word"
        )
    for entry in of_registry:
        with checking("JUDGEMENTS", entry.leaf):
            check_judgement_form(entry)
        if entry.joins is None:
            with checking("REGISTRY", entry.leaf):
                need(entry.body_type in contract.acts, "the contract has no such body")
            with checking("BODIES", entry.leaf):
                entry.open_body(contract)
            with checking("REGISTRY", entry.leaf):
                classes = contract.acts[entry.body_type].classes
                shown = {one.at for one in entry.records or () if isinstance(one, Opening)}
                public = {index for index, number in enumerate(entry.numbers) if classes.get(number) == 1}
                need(public <= shown, "an act of the registry is not shown")
    registry = Registry(contract, report)
    for entry in of_registry:
        with checking("REGISTRY", entry.leaf):
            keys = registry.public
            if entry.name == "LedgerFounded" and entry.body:
                named = (read_key(one.key.spki) for one in entry.body.registrars if one.key)
                keys = {**{key.id: key for key in named}, **keys}
            entry.verify_signatures(keys, report)
            became = registry.judge(entry)
            told = (entry.judgement.status, entry.puts_in_effect)
            need(told == became, f"the entry says {told[0]}, the rules {became[0]}")
            registry.apply(entry)
    with checking("REGISTRY"):
        need(registry.is_founded, "the founding is not complete")
    unlooked = f"UNVERIFIED: the form of {len(registry.policies)} policy packs" if registry.policies else ""
    report.passed("REGISTRY", len(of_registry), unlooked)
    return registry


def tell_statements(report: Report, entries: list[Entry], between: Between, unverified: int) -> None:
    """Writes the lines of what was checked statement by statement, and between them."""
    signatures = sum(len(entry.key_ids) for entry in entries)
    if report.unverified_signatures > unverified:
        report.unverified("SIGNATURES", NO_ML_DSA, signatures)
    else:
        report.passed("SIGNATURES", signatures)
    hidden = sum(entry.records is None and bool(entry.numbers) for entry in entries)
    closed = sum(len(entry.numbers) - entry.open for entry in entries)
    notes = [f"{closed} records are closed"] if closed else []
    notes += [f"{hidden} bodies are not shown at all"] if hidden else []
    report.passed("BODIES", len(entries) - hidden, "; ".join(notes))
    suspect = sum(entry.is_suspect for entry in entries)
    report.passed(
        "SIGNERS", len(entries), f"{suspect} signed by a key said to be compromised by then" if suspect else ""
    )
    report.passed("REFERENCES", len(entries) + between.references)
    report.passed("JUDGEMENTS", len(entries) + between.revisions)
    report.passed("STREAMS", len({entry.stream for entry in entries}))
    joined = sum(map(len, between.joined.values()))
    report.passed("CO_SIGNATURES", joined + len(between.in_effect_at))


STATUS = ["", "conforming", "NONCONFORMING", "awaiting", "pending", "in effect", "recorded"]


def told_of(entry: Entry, between: Between, registry: Registry) -> dict[str, Any]:
    """Returns what is told of a statement; the judgement that counts is that of its last revision."""
    judgement = between.revised.get(entry.digest, entry.judgement)
    status = STATUS[judgement.status]
    in_effect_at = between.in_effect_at.get(entry.digest) or registry.in_effect_at.get(entry.digest)
    if judgement.status == PENDING and in_effect_at is not None:
        status = f"in effect since entry {in_effect_at}"
    return {
        "leaf_index": entry.leaf,
        "stream": entry.stream.hex(),
        "statement_digest": entry.digest.hex(),
        "body_type": entry.body_type,
        "signer": entry.signer.hex(),
        "role": entry.role,
        "site": registry.site_names.get(entry.site, ""),
        "occurred_at": entry.header.occurred_at.micros,
        "signed_at": entry.signed_at,
        "recorded_at": entry.recorded_at,
        "status": status,
        "findings": sorted(finding.code for finding in judgement.findings),
        "key": "SUSPECT" if entry.is_suspect else "VALID",
        "joins": entry.joins.hex() if entry.joins else "",
    }


def timeline(report: Report) -> Iterator[str]:
    """Yields the custody history in lines for a reader: what was done, when, by whom, where, and what was found."""
    for one in report.statements:
        if one["stream"][:2] not in ("01", "02", "03"):
            continue
        when = datetime.fromtimestamp(one["occurred_at"] // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        words = re.sub("(?<!^)(?=[A-Z])", " ", one["body_type"].rpartition(".")[2]).capitalize()
        what = words or f"Signs too (entry of statement {one['joins'][:8]})"
        where = {"01": "therapy", "02": "consignment", "03": "lot"}[one["stream"][:2]]
        who = f"{one['role']} {one['signer'][:8]}, {one['site'] or 'no site'}"
        found = " ".join(one["findings"]) + (" SUSPECT KEY" if one["key"] == "SUSPECT" else "")
        yield f"{one['leaf_index']:>6}  {when}  {where:<11}  {what} ({one['status']}) by {who}  {found}".rstrip()


def as_json(report: Report) -> str:
    """Returns the report as JSON, in the shape of the product's."""
    first = report.first_broken
    shape = {
        "outcome": report.outcome,
        "first_broken_link": first and {"check": first.check, "reason": first.reason, "message": f"{first}"},
        "checks": [
            {"check": check, "result": result, "checked": count, "note": note}
            for check, (result, count, note) in report.lines.items()
        ],
        **report.about,
        "statements": report.statements,
    }
    return json.dumps(shape, ensure_ascii=False, indent=2)


def main(arguments: list[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    parser = argparse.ArgumentParser(description="Verify a dossier of a cellcustody ledger, offline.")
    parser.add_argument("dossier", type=Path)
    parser.add_argument("anchor", type=Path, nargs="?", help="got elsewhere than the dossier")
    parser.add_argument("--alias-key", type=Path, help="where the reader was given it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    try:
        data = given.dossier.read_bytes()
        anchor = read_anchor(given.anchor.read_bytes()) if given.anchor else None
        alias_key = read_alias_key(given.alias_key.read_bytes()) if given.alias_key else None
    except (OSError, Defect) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    report = verify(data, anchor, alias_key)
    if given.json:
        print(as_json(report))
    else:
        for line in timeline(report):
            print(line)
        print()
        for check, (result, count, note) in report.lines.items():
            print(f"{check:<19} {result:<12} {count or '':>6}  {CHECKS[check][1]}{'; ' + note if note else ''}")
        if report.first_broken:
            print(f"\nfirst broken link: {report.first_broken.reason}: {report.first_broken}")
        print(f"\n{report.outcome}: {len(report.statements)} statements; that a thing was signed does not make it true")
    return 0 if report.outcome == "VERIFIED" else 1


def words(text: str) -> set[str]:
    """Returns the words of a text."""
    return set(text.split())


# 13  Tables -----------------------------------------------------------------------------------------------------------
# Written by scripts/embedded_verifiers.py from the product; a test holds them to it.
CONTRACTS = {  # SHA-256 of the schemas that this release knows.
    "3a8d46696a9a6e807012abb7fe6b58ab92fbf934d6b7cde61f8f39c7ac5b9df4",
}
README_SHA256 = "2f79bc01dc1da1a8eafa4b070b458e6ecb718911368addd3d57655efd0c06c40"
# The built-in pack asks for no training, and for no co-signatures of its own.
DEFAULT_PACK = "ccee4a74ff3ba6b56a9a4a951058691c5cbd3578f2dc43bcd9633f15ff9d405e"
DEFAULT_WINDOW_SECONDS = 900
SIGNER_CODES = words("""
CAPABILITY_MISSING DEVICE_OF_COUNTERPARTY DEVICE_UNKNOWN HYBRID_KEY_MISSING LATE_AFTER_RETIREMENT ROLE_NOT_HELD
TRAINING_LAPSED TRAINING_NOT_RECORDED
""")
GATE_OF_ENTRY = words("""
CAPABILITY_MISSING CERTIFICATE_NOT_GENUINE CHECK_CHARACTER_WRONG COURIER_NOT_QUALIFIED DEVICE_UNKNOWN
EMERGENCY_GRANT_UNKNOWN EQUIPMENT_OUT_OF_CALIBRATION EQUIPMENT_OUT_OF_SERVICE EQUIPMENT_UNKNOWN GRADE_OUT_OF_RANGE
HYBRID_KEY_MISSING IDENTIFIER_MISMATCH LANE_NOT_QUALIFIED LOGGER_CALIBRATION_MISSING LOT_HELD LOT_NOT_USABLE
OUT_OF_SCOPE PAPER_FORM_MISSING PATIENT_IDENTIFIERS_TOO_FEW PLAN_MISSING POLICY_UNKNOWN REVIEWER_CONCERNED
ROLE_NOT_HELD ROLE_NOT_PERMITTED SHIPPER_QUALIFICATION_MISSING SITE_ON_HOLD TRAINING_LAPSED TRAINING_NOT_RECORDED
UNIT_NOT_HELD
""")
ADVISORY_OF_ENTRY = words("""
CLOCK_AHEAD CO_SIGNATURE_LATE CO_SIGNATURE_OUTSTANDING DEPENDS_ON_REFUSED DEVICE_OF_COUNTERPARTY DOWNTIME_UNKNOWN
EMERGENCY_CREDENTIAL FORM_NOT_OF_DOWNTIME GRADE_DISAGREES GRADE_NOT_COMPUTABLE IDENTIFIER_UNREADABLE LATE
LATE_AFTER_RETIREMENT LATE_WITHOUT_REASON LOT_NOT_RECALLED LOT_UNKNOWN OUTSIDE_DOWNTIME POLICY_NOT_PINNED
QUALIFICATION_LAPSED SCAN_NAMES_PERSON SCAN_TYPED
""")
AWAITING_OF_ENTRY = words("""
""")
GATE_OF_FOLD = words("""
AFTER_CLOSURE AFTER_TERMINAL_ACT ALREADY_CLOSED ALREADY_COMPLETED ALREADY_ENROLLED ALREADY_INFUSED_FROM
ALREADY_OPENED ALREADY_PACKED ALREADY_RECEIVED ALREADY_RELEASED ALREADY_STARTED ALREADY_THAWED ANTIGEN_NOT_NAMED
AREA_NOT_NAMED ATTEMPT_OUT_OF_ORDER ATTESTATION_EMPTY ATTESTATION_UNWITNESSED BACK_ENTRY_UNWITNESSED BAG_BREACHED
BAG_NOT_IDENTIFIED BAG_OUT_OF_TURN BAG_PLANNED_TWICE BAG_UNREADABLE BATCH_CLAIMED_TWICE BATCH_DECIDED
BATCH_NOT_REVIEWED BATCH_OF_ANOTHER_SITE BATCH_RECORD_NOT_NAMED BEDSIDE_CHECK_MISSING BODY_NOT_OF_CONSIGNMENT
BODY_NOT_OF_EQUIPMENT BODY_NOT_OF_LOT BODY_NOT_OF_SITE BODY_NOT_OF_THERAPY BREACH_UNDECIDED BUDGET_EXCEEDED
CERTIFICATE_EXPIRED CERTIFICATE_MISSING CERTIFICATE_OF_ANOTHER_BAG CERTIFICATE_OVERTAKEN CLAIM_OF_ANOTHER_NUMBER
COI_MALFORMED COI_NOT_ONE CONDITION_REJECTED CONDITION_UNKNOWN CONSENT_MISSING CONSENT_WITHDRAWN CONSIGNMENT_CLOSED
CONTAINERS_MISNUMBERED CONTAINERS_NOT_COUNTED CONTAINERS_NOT_DISTINCT CONTAINER_IMBALANCE CONTAINER_LOST
CONTAINER_NOT_HELD CONTAINER_NOT_PRESENT CONTAINER_SEALED CONTAINER_SHARED_OPEN COOLANT_RAN_OUT COPY_NOT_STATED
COPY_OF_ANOTHER_LOG COUNT_MISMATCH COURSE_LINK_INVALID CULTURE_MISSING DAY_COLLECTED_ALREADY DAY_OUT_OF_RANGE
DECISION_MISSING DEVIATION_CLOSED_ALREADY DEVIATION_MISSING DIN_CLAIMED_TWICE DIN_MISSING DIN_NOT_DISPUTED
DIN_REUSED DIN_SETTLED_OTHERWISE DISPOSITION_NEEDED DOCUMENT_MISSING DOSE_NOT_THE_SUM DOSE_OUT_OF_LIMITS
DOSE_RATIO_WRONG DOSE_UNKNOWN DOWNTIME_ENDS_BEFORE_START DOWNTIME_OF_ANOTHER_SITE ENDED_BEFORE_START
EQUIPMENT_ALREADY_REGISTERED EQUIPMENT_IN_SERVICE EQUIPMENT_NAMELESS EQUIPMENT_NOT_QUALIFIED EQUIPMENT_OF_ANOTHER
ESTABLISHES_NOTHING EXCURSION EXCURSION_ALARMED EXPIRED EXPIRED_ON_RECEIPT EXPIRY_MISMATCH EXTRA_CONTAINER
FORMS_NOT_DISTINCT FREEZING_FAILED FREEZING_INCOMPLETE FRESH_HOLD_EXCEEDED FROZEN_ALREADY GATE_UNKNOWN HANDOFF_OPEN
HANDOFF_TOO_LONG HARD_GATE_NO_OVERRIDE HOLD_NOT_OF_CONDITION HOLD_OPEN HOLD_UNKNOWN IDENTITY_BROKEN
IDENTITY_CHECK_STALE IDENTITY_MISMATCH IDENTITY_NOT_BROKEN IDENTITY_NOT_CHECKED INFUSION_ALREADY_STOPPED
INFUSION_NOT_STARTED INFUSION_NOT_STOPPED INFUSION_OUT_OF_ORDER INFUSION_RUNNING INSPECTION_MISSING IN_ANOTHER_BATCH
IN_STUDY_ALREADY KEPT_WITHOUT_DATE KIT_EXPIRED KIT_EXPIRY_UNKNOWN KIT_LABELS_MISCOUNTED KIT_MISSING KIT_NOT_WHOLE
KIT_USED LABELS_DO_NOT_BALANCE LABELS_NOT_RECONCILED LABEL_COUNT_DIFFERS LABEL_MISMATCH LABEL_MISSING
LABEL_NOT_READ_BACK LABEL_NOT_STANDING LABEL_REASON_MISSING LABEL_SERIAL_SPENT LABEL_SERIAL_TAKEN
LABEL_SERIAL_UNKNOWN LABEL_STANDING LABEL_TEXT_MISSING LANE_UNCLEAR LIFTING_NOT_PERMITTED LINE_MISSING
LINE_NOT_CLEAR LINE_NOT_CLEARED LINE_REPEATED LOGGER_CALIBRATION_LAPSED LOT_ALREADY_REGISTERED LOT_KIND_UNKNOWN
LOT_RECALL_STANDS LYMPHODEPLETION_ALREADY_STOPPED LYMPHODEPLETION_LAPSED LYMPHODEPLETION_MISSING
LYMPHODEPLETION_RUNNING LYMPHODEPLETION_TOO_RECENT LYMPHODEPLETION_TO_REPEAT MANUFACTURING_NOT_STARTED
MATERIALS_NOT_ENDED MATERIAL_CLAIMED_TWICE MATERIAL_NOT_ACCEPTED MATERIAL_PACKED NAMES_RETRACTED NOTHING_TO_DISPOSE
NOT_A_PRODUCT NOT_A_RELEASE NOT_A_SAMPLE NOT_BREACHED NOT_CUSTODIAN NOT_CUSTODIAN_OF_RECORD NOT_ELIGIBLE
NOT_IN_BATCH NOT_ISSUED NOT_LAST_CUSTODIAN NOT_PACKED_THERE NOT_RELEASED NOT_RELEASER NOT_THAWED
NOT_THE_INFUSING_SITE NOT_THE_SITE_TOLD NOT_TREATING_SITE NO_DEVIATION NO_MATERIAL OPENED_BY_AUTHORITY
OPEN_ITEM_MISSING OTHER_PATIENTS_MATERIAL OTHER_STATEMENT_NAMED OUTCOME_MISSING OUTPUT_KIND_WRONG
OUT_OF_CRYO_TOO_LONG OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE OUT_OF_SPECIFICATION_NOT_ALLOWED OVERRIDDEN_AFTERWARDS
OVERRIDE_NOT_PERMITTED OVERRIDE_RUN_OUT PACK_NOT_IN_FORCE PACK_OF_ANOTHER_PRODUCT PACK_UNCHANGED PATIENT_NOT_PRESENT
POOL_OF_ONE PREMEDICATION_MISSING PRESENTING_CELLS_NOT_NAMED PROCESS_AREA_SHARED PROCESS_CHECK_MISSING
QUALIFICATION_EMPTY QUALIFICATION_ENDED QUALIFICATION_MISPLACED QUALIFICATION_OF_ANOTHER QUALIFIED_BY_ITSELF
QUANTITY_NEGATIVE QUANTITY_NOT_MEASURED QUANTITY_UNKNOWN RATE_TRACE_MISSING READ_BACK_BY_SAME_PERSON
READ_BACK_INCOMPLETE REASON_MISSING RECALL_OF_ANOTHER_LOT RECEIPT_CHECK_MISSING RECONSTITUTION_NOT_STATED
RECORD_NOT_PASSED RECORD_TAKEN_ALONE REIDENTIFICATION_MISSING RELEASE_ALREADY_ANSWERED RELEASE_CERTIFICATE_MISMATCH
RELEASE_CERTIFICATE_MISSING RELEASE_NOT_BY_CUSTODIAN RELEASE_OPEN_AT_CLOSURE RELEASE_WITHDRAWN
REPLACEMENT_NAMES_ANOTHER REPLACEMENT_OF_ANOTHER_KIND RESCAN_MISSING RESCUE_MEDICINE_MISSING RESULTS_OPEN
RESULT_FAILED RESULT_NOT_FAILING RESULT_OUT_OF_SPECIFICATION RESULT_VALUE_UNKNOWN REVIEWED_ALREADY SAMPLES_NOT_ENDED
SAMPLE_NOT_TAKEN_YET SCAN_MISMATCH SCAN_OF_ANOTHER_ITEM SCAN_UNREADABLE SCOPE_EMPTY SCOPE_OF_ANOTHER_STREAM
SCREENING_MISSING SCREENING_TOO_OLD SEALED_BY_OTHERS SEAL_BROKEN SEAL_MISMATCH SEAL_REUSED SECOND_PERSON_MISSING
SHIPPER_NOT_QUALIFIED SHOCK_EXCEEDED SIGNED_FOR_ANOTHER_SITE SITE_NOT_TAKING_PART SLOT_EMPTY SLOT_MISSING
SLOT_NOT_STANDING SLOT_OUTSIDE SOURCE_RECORD_MISSING STEP_NOT_IN_PACK STEP_OUT_OF_ORDER STORE_OUT_OF_BAND
STREAM_NOT_SEEN STUDY_MISSING STUDY_NOT_NAMED STUDY_UNNAMED TARGET_NOT_A_FACT TARGET_OF_ANOTHER_SITE
TARGET_SUPERSEDED TEST_INTERIM TEST_NOT_PASSED THERAPY_CLOSED THERAPY_NOT_CLOSED TOO_MANY_BAGS_ISSUED
TREATING_UNIT_MISSING UNITS_OF_TWO_SITES UNIT_MISMATCH UNKNOWN_CONTAINER UNSEEN_DECISION VECTOR_NOT_NAMED
VOLUME_IMBALANCE WITNESS_MISSING WRONG_RECEIVER YIELD_IMPLAUSIBLE YIELD_UNKNOWN
""")
ADVISORY_OF_FOLD = words("""
ACCEPTED_LATE ACKNOWLEDGED_BEFORE ATTEMPT_SKIPPED CONSENT_WITHOUT_FORM COOLANT_SPENT COOLANT_TIME_MISSING
CUSTOMS_CLEARED_BEFORE DAY_DISAGREES DECLINED_WITHOUT_SAY DECLINES_NOTHING DESTRUCTION_NOT_CERTIFIED
DEVIATION_RAISED DOCUMENT_NOT_RECEIVED DOWNTIME_ENDED_BEFORE FORMS_UNACCOUNTED GATE_OVERRIDDEN LEG_NOT_COVERED
LOGGER_CLOCK_DISAGREES METHOD_NOT_NAMED NOT_BY_CUSTODIAN NOT_THE_DESTINATION OUT_OF_CRYO_UNKNOWN POSSESSION_DISPUTED
RECALL_ACTION_NOT_DUE RELEASED_ON_HOLD RELEASE_FOR_INFUSION_MISSING REMAINDER_NOT_STATED RESULT_FAILED_LATE
RESULT_REPEATED RETENTION_NOT_STATED RETRACTED SEAL_NOT_READ SHIPPER_QUALIFICATION_UNKNOWN SUPERSEDED
TEST_NOT_IN_PACK UNSIGNED_BY_RECEIVER VISIT_NOT_PLANNED
""")
AWAITING_OF_FOLD = words("""
BATCH_UNKNOWN CONSIGNMENT_UNKNOWN CORRECTION_MISSING EQUIPMENT_NOT_REGISTERED LOT_NOT_REGISTERED MATERIAL_UNKNOWN
PACKING_UNKNOWN PREDECESSOR_MISSING QUALIFICATION_UNKNOWN RELEASE_UNKNOWN REPLACEMENT_UNKNOWN SEEN_MISSING
TARGET_UNKNOWN THERAPY_UNKNOWN
""")
# The end of what is written by a script.

STRENGTH = dict.fromkeys(GATE_OF_ENTRY | GATE_OF_FOLD, "gate")
STRENGTH |= dict.fromkeys(ADVISORY_OF_ENTRY | ADVISORY_OF_FOLD, "advisory")
STRENGTH |= dict.fromkeys(AWAITING_OF_ENTRY | AWAITING_OF_FOLD, "awaiting")
OF_ENTRY = GATE_OF_ENTRY | ADVISORY_OF_ENTRY | AWAITING_OF_ENTRY

if __name__ == "__main__":
    sys.exit(main())
