"""Checkpoints that the log did not sign, or not in this form; witnesses that did not sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cellcustody.ledger.dossier.layout import CHECKPOINT
from cellcustody.ledger.transparency import Ed25519Cosigner, parse_checkpoint
from corpus.cases import Case, Family
from corpus.good import anchored, rotated
from corpus.world import ORIGIN, World, drawn, flip, lawful, sealed

__all__ = ["FAMILY"]

FAMILY = Family("checkpoints")


@FAMILY
def forms() -> Iterator[Case]:
    """The note, changed."""
    world = lawful()
    files = world.files()
    note = files[CHECKPOINT]
    size = str(len(world.entries)).encode()
    second = note.split(b"\n")[-2] + b"\n"
    unknown = world.note_signer("nobody's", "unknown.example").sign(parse_checkpoint_text(note), 1).line().encode()
    forms: list[tuple[str, bytes]] = [
        ("empty", b""),
        ("without-signature", note[: note.index(b"\n\n") + 2]),
        ("without-empty-line", note.replace(b"\n\n", b"\n")),
        ("carriage-returns", note.replace(b"\n", b"\r\n")),
        ("without-last-newline", note[:-1]),
        ("newline-too-many", note + b"\n"),
        ("hyphen-for-em-dash", note.replace("—".encode(), b"-")),
        ("two-spaces-in-the-signature-line", note.replace("— ".encode(), "—  ".encode())),
        ("base64-without-padding", note.replace(b"=\n", b"\n")),
        ("size-with-leading-zero", note.replace(b"\n" + size + b"\n", b"\n0" + size + b"\n")),
        ("size-with-sign", note.replace(b"\n" + size + b"\n", b"\n+" + size + b"\n")),
        ("size-beyond-64-bits", note.replace(b"\n" + size + b"\n", b"\n18446744073709551616\n")),
        ("size-in-other-digits", note.replace(b"\n" + size + b"\n", "\n١٧\n".encode())),
        ("size-changed", note.replace(b"\n" + size + b"\n", b"\n" + size + b"0\n")),
        ("origin-changed", note.replace(ORIGIN.encode() + b"\n", ORIGIN.encode() + b"2\n", 1)),
        ("root-changed", _root_changed(note)),
        ("tab-in-a-line", note.replace(ORIGIN.encode() + b"\n", ORIGIN.encode() + b"\t\n", 1)),
        ("not-utf8", note.replace(ORIGIN.encode(), ORIGIN.encode()[:-1] + b"\xff", 1)),
        ("signature-flipped", _signature_flipped(note)),
        ("signature-line-twice-is-good", note + second),
        ("signature-of-an-unknown-key-is-good", note + unknown),
        ("unknown-key-and-no-other", note[: note.index(b"\n\n") + 2] + unknown),
        ("hundred-and-one-signatures", note + unknown * 100),
        ("random", bytes(n * 19 % 256 for n in range(300))),
    ]
    for name, form in forms:
        yield anchored(world, name, sealed(world, files, checkpoint=form))


def parse_checkpoint_text(note: bytes) -> str:
    """Returns the text of a note."""
    return note[: note.index(b"\n\n") + 1].decode()


def _root_changed(note: bytes) -> bytes:
    lines = note.split(b"\n")
    lines[2] = (b"B" if lines[2][:1] == b"A" else b"A") + lines[2][1:]
    return b"\n".join(lines)


def _signature_flipped(note: bytes) -> bytes:
    at = len(note) - 20
    return note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :]


@FAMILY
def trees() -> Iterator[Case]:
    """Checkpoints that the log did sign, of other trees."""
    world = lawful()
    files = world.files()
    size = len(world.entries)
    root = parse_checkpoint(files[CHECKPOINT]).root
    for name, checkpoint in (
        ("of-a-larger-size", world.signed_root(size + 5, root)),
        ("of-a-smaller-size", world.checkpoint(size - 3)),
        ("of-another-root", world.signed_root(size, drawn("another root"))),
        ("of-size-zero", world.signed_root(0, drawn("another root"))),
        ("of-size-2-to-the-63", world.signed_root(1 << 63, root)),
        ("of-the-last-size", world.signed_root((1 << 64) - 1, root)),
        ("signed-by-a-stranger", world.signed_root(size, root, [world.note_signer("stranger")])),
    ):
        yield anchored(world, name, sealed(world, files, checkpoint=checkpoint))
    post_quantum = lawful(is_post_quantum=True)
    files = post_quantum.files()
    lines = files[CHECKPOINT].split(b"\n")
    for name, dropped in (("without-its-ml-dsa-44-signature", -2), ("without-its-ed25519-signature", -3)):
        kept = list(lines)
        del kept[dropped]
        yield anchored(post_quantum, name, sealed(post_quantum, files, checkpoint=b"\n".join(kept)))
    bent = list(lines)
    bent[-2] = flip(bent[-2], len(bent[-2]) - 100, 1)
    yield anchored(
        post_quantum, "with-a-flipped-ml-dsa-44-signature", sealed(post_quantum, files, checkpoint=b"\n".join(bent))
    )


@FAMILY
def eras() -> Iterator[Case]:
    """Keys of the log that sign at a size that is not theirs."""
    world = lawful()
    former = list(world.log_signers)
    old = world.anchor
    rotated(world)
    world.places_hold()
    new = list(world.log_signers)
    world.log_signers = former
    yield Case("rotated-and-signed-by-the-former-key", world.data(), old)
    world = lawful()
    former = list(world.log_signers)
    rotated(world, overlap=100)
    world.places_hold()
    world.log_signers = new
    yield Case("overlap-signed-by-the-new-key-alone", world.data(), old)
    world.log_signers = former
    yield Case("overlap-signed-by-the-former-key-alone", world.data(), old)
    world = lawful()
    late = replace(old, log_keys=(world.note_signer("second log key").vkey,))
    yield Case("anchor-of-keys-that-came-later", world.data(), late)


@FAMILY
def witnesses() -> Iterator[Case]:
    """The anchor's policy."""
    world = lawful()
    cosigners = [
        Ed25519Cosigner(f"witness{n}.example", Ed25519PrivateKey.from_private_bytes(drawn(f"witness {n}")))
        for n in range(3)
    ]
    lines = "".join(f"witness w{n} {one.vkey}\n" for n, one in enumerate(cosigners))
    two_of_three = lines + "group any2 2 w0 w1 w2\nquorum any2\n"
    note = world.files()[CHECKPOINT]
    text = parse_checkpoint_text(note)

    def signed(*numbers: int) -> bytes:
        return note + b"".join(cosigners[n].sign(text, 1_800_000_000).line().encode() for n in numbers)

    def case(name: str, policy: str, checkpoint: bytes) -> Case:
        data = world.data(checkpoint=checkpoint)
        return Case(name, data, replace(world.anchor, witness_policy=policy))

    yield case("quorum-of-two-is-good", two_of_three, signed(0, 2))
    yield case("quorum-of-three-is-good", two_of_three, signed(0, 1, 2))
    yield case("quorum-unmet", two_of_three, signed(1))
    yield case("no-witness-at-all", two_of_three, note)
    yield case("one-witness-twice", two_of_three, signed(1, 1))
    yield case("quorum-none-is-good", lines + "quorum none\n", note)
    yield case("witness-with-a-flipped-signature", two_of_three, _signature_flipped(signed(0, 1)))
    yield case("witness-of-another-checkpoint", two_of_three, note + _other(cosigners[:2], text))
    yield case("log-key-as-a-witness", f"witness w0 {_as_witness(world)}\nquorum w0\n", note)
    yield case("policy-lists-another-log", f"log {world.note_signer('k').vkey}\n" + two_of_three, signed(0, 1))
    own = world.log_signers[0].vkey
    yield case("policy-lists-this-log-is-good", f"log {own}\n" + two_of_three, signed(0, 1))


def _other(cosigners: list[Ed25519Cosigner], text: str) -> bytes:
    changed = text.replace("\n", "1\n", 2).replace("1\n", "\n", 1)
    return b"".join(one.sign(changed, 1_800_000_000).line().encode() for one in cosigners)


def _as_witness(world: World) -> str:
    key = Ed25519PrivateKey.from_private_bytes(drawn(f"{world.world}: log"))
    return Ed25519Cosigner("w0.example", key).vkey
