"""Keys and signatures that lenient libraries take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cellcustody.ledger.statements import MlDsa65Signer, P256Signer, PayloadType, Signer
from cellcustody.ledger.statements.envelope import EnvelopeSignature, encode_envelope
from cellcustody.ledger.statements.keys import P256_ORDER, KeyAlgorithm
from cellcustody.v1 import envelope_pb2, registry_pb2
from corpus.cases import Case, Family
from corpus.envelopes import enrolled, hold
from corpus.good import anchored, proven
from corpus.world import World, drawn, founded

__all__ = ["FAMILY", "AnySigner"]

FAMILY = Family("keys")
_L = 2**252 + 27742317777372353535851937790883648493
_LOW_ORDER = bytes([1]) + bytes(31)


class AnySigner:
    """Signs with whatever it is told, under whatever key."""

    def __init__(self, spki: bytes, signature: bytes) -> None:
        self.public_key_spki = spki
        self.key_id = hashlib.sha256(spki).digest()
        self._signature = signature

    def sign(self, message: bytes) -> bytes:
        """Returns the one signature that it has."""
        return self._signature


def _spki(algorithm: KeyAlgorithm, raw: bytes) -> bytes:
    return algorithm.value + raw


def _enrolling(name: str, signer: AnySigner) -> Case:
    """Returns a case in which a person is enrolled with a key that is not safe, and signs."""
    world = founded()
    stranger = world.signatory("somebody new", "collection_nurse")
    stranger.signer = signer  # type: ignore[assignment]  # any signer
    possession = envelope_pb2.KeyPossession(
        ledger_id=world.ledger_id, holder_id=stranger.id, key_id=signer.key_id, signed_at_unix_micros=world.now
    ).SerializeToString(deterministic=True)
    proof = encode_envelope(
        possession, PayloadType.KEY_POSSESSION, [EnvelopeSignature(signer.sign(possession), signer.key_id.hex())]
    )
    person = registry_pb2.NewPerson(
        person=stranger.id,
        keys=[registry_pb2.EnrolledKey(spki=signer.public_key_spki, possession=proof)],
        roles=[registry_pb2.RoleGrant(role="collection_nurse")],
    )
    world.records(registry_pb2.PersonEnrolled(site=world.site, person=person), world.administrators[0])
    world.enrols()
    payload, kind, openings = world.payload_of(hold(), stranger, world.therapy)
    world.put(world.signed(payload, kind, signer), openings)  # type: ignore[arg-type]  # any signer
    return anchored(world, name)


@FAMILY
def unsafe_keys() -> Iterator[Case]:
    """Keys under which one signature fits everything, or that have two encodings."""
    everything = _LOW_ORDER + bytes(32)
    for name, raw in (
        ("of-low-order-neutral", _LOW_ORDER),
        ("of-low-order-zero", bytes(32)),
        ("of-low-order-minus-one", bytes.fromhex("ec" + "ff" * 30 + "7f")),
        ("of-order-eight", bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
        ("not-canonical", bytes.fromhex("ee" + "ff" * 30 + "7f")),
        ("not-canonical-y-is-p", bytes.fromhex("ed" + "ff" * 30 + "7f")),
        ("neutral-with-sign", _LOW_ORDER[:31] + b"\x80"),
        ("off-the-curve", b"\x02" + bytes(31)),
    ):
        yield _enrolling(f"ed25519-key-{name}", AnySigner(_spki(KeyAlgorithm.ED25519, raw), everything))
    point = P256Signer(drawn("a point"), deterministic=True).public_key_spki[-65:]
    for name, raw in (
        ("hybrid-form", b"\x06" + point[1:]),
        ("off-the-curve", point[:-1] + bytes([point[-1] ^ 1])),
        ("at-infinity", bytes(65)),
    ):
        yield _enrolling(f"p256-key-{name}", AnySigner(_spki(KeyAlgorithm.P256, raw), bytes(64)))
    for name, spki in (
        ("key-of-no-algorithm", b"\x30\x03\x06\x01\x00"),
        ("key-empty", b""),
        ("key-with-a-byte-behind", _spki(KeyAlgorithm.ED25519, drawn("key")) + b"\0"),
        ("key-short", _spki(KeyAlgorithm.ED25519, drawn("key"))[:-1]),
        ("ml-dsa-key-short", _spki(KeyAlgorithm.ML_DSA_65, bytes(1951))),
    ):
        yield _enrolling(name, AnySigner(spki, bytes(64)))


def _nurse_signs_with(signer: object) -> World:
    world = World()
    world.nurse.signer = signer  # type: ignore[assignment]  # any signer
    world.founds()
    world.enrols()
    return world


def _replaced(world: World, name: str, change: object) -> Case:
    payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
    message = envelope_pb2.Envelope.FromString(world.signed(payload, kind, world.nurse.signer))
    message.signatures[0].sig = change(message.signatures[0].sig)  # type: ignore[operator]  # a function
    world.put(message.SerializeToString(deterministic=True), openings)
    return anchored(world, name)


@FAMILY
def malleable() -> Iterator[Case]:
    """Other signatures that fit the same key and message in a lenient library, or in none."""
    p256 = P256Signer(drawn("p-256 scalar"), deterministic=True)

    def high_s(sig: bytes) -> bytes:
        return sig[:32] + (P256_ORDER - int.from_bytes(sig[32:], "big")).to_bytes(32, "big")

    for name, change in (
        ("p256-high-s", high_s),
        ("p256-r-zero", lambda sig: bytes(32) + sig[32:]),
        ("p256-s-zero", lambda sig: sig[:32] + bytes(32)),
        ("p256-r-is-the-order", lambda sig: P256_ORDER.to_bytes(32, "big") + sig[32:]),
        ("p256-r-and-s-exchanged", lambda sig: sig[32:] + sig[:32]),
        ("p256-der-instead-of-raw", lambda sig: b"\x30\x44\x02\x20" + sig[:32] + b"\x02\x20" + sig[32:]),
    ):
        yield _replaced(_nurse_signs_with(p256), name, change)
    for name, change in (
        ("ed25519-s-plus-order", lambda sig: sig[:32] + _plus_order(sig[32:])),
        ("ed25519-r-of-low-order", lambda sig: _LOW_ORDER + sig[32:]),
        ("ed25519-r-not-canonical", lambda sig: bytes.fromhex("ee" + "ff" * 30 + "7f") + sig[32:]),
        ("ed25519-s-zero", lambda sig: sig[:32] + bytes(32)),
        ("ed25519-all-zero", lambda sig: bytes(64)),
    ):
        yield _replaced(enrolled(), name, change)
    ml_dsa = MlDsa65Signer(drawn("ml-dsa seed"))
    for name, change in (
        ("ml-dsa-65-flipped", lambda sig: bytes([sig[0] ^ 1]) + sig[1:]),
        ("ml-dsa-65-short", lambda sig: sig[:-1]),
        ("ml-dsa-65-zero", lambda sig: bytes(3309)),
    ):
        yield _replaced(_nurse_signs_with(ml_dsa), name, change)


def _plus_order(raw: bytes) -> bytes:
    return (int.from_bytes(raw, "little") + _L).to_bytes(32, "little")


@FAMILY
def hybrids() -> Iterator[Case]:
    """Two keys of one person, of which one did not sign, or was not declared."""
    second = MlDsa65Signer(drawn("second key of the nurse"))
    for name, declared, signing in (
        ("hybrid-one-of-two-signed", 2, 1),
        ("hybrid-undeclared-second-signature", 1, 2),
    ):
        world = enrolled()
        added = registry_pb2.KeyAdded(holder=world.nurse.id)
        added.key.CopyFrom(proven(world, world.nurse.id, second))
        world.records(added, world.administrators[0])
        both: list[Signer] = [world.nurse.signer, second]
        payload, kind, openings = world.payload_of(
            hold(), world.nurse, world.therapy, key_ids=[one.key_id for one in both[:declared]]
        )
        world.put(world.signed(payload, kind, *both[:signing]), openings)
        yield anchored(world, name)
    world = enrolled()
    payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
    stolen = world.signed(payload, kind, world.second_nurse.signer)
    message = envelope_pb2.Envelope.FromString(stolen)
    message.signatures[0].keyid = world.nurse.signer.key_id.hex()
    world.put(message.SerializeToString(deterministic=True), openings)
    yield anchored(world, "signed-by-another-under-this-hint")
    world = enrolled()
    payload, kind, openings = world.payload_of(
        hold(), world.nurse, world.therapy, key_ids=[world.second_nurse.signer.key_id]
    )
    world.put(world.signed(payload, kind, world.second_nurse.signer), openings)
    yield anchored(world, "signed-with-a-key-of-another-person")
