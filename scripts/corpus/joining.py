"""Chains of streams, statements twice, persons who join."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.ledger.entries import read_entry
from cellcustody.v1 import entry_pb2, statement_pb2
from corpus.cases import Case, Family
from corpus.entry_files import appended
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import SECOND, World, drawn

__all__ = ["FAMILY"]

FAMILY = Family("joining")
_IN_EFFECT = Judged(Status.IN_EFFECT)


@FAMILY
def chains() -> Iterator[Case]:
    """Sequences and leaf hashes of what came before."""
    changes: list[tuple[str, Callable[[entry_pb2.Entry], object]]] = [
        ("sequence-skips", lambda e: setattr(e, "sequence", e.sequence + 1)),
        ("sequence-repeats", lambda e: setattr(e, "sequence", e.sequence - 1)),
        ("sequence-of-2-to-the-64", lambda e: setattr(e, "sequence", (1 << 64) - 1)),
        ("follows-nothing", lambda e: setattr(e, "previous_leaf_hash", bytes(32))),
        ("follows-another", lambda e: setattr(e, "previous_leaf_hash", drawn("another"))),
    ]
    for name, change in changes:
        world = enrolled()
        world.opens_consignment()
        yield appended(world, name, entry=change)
    world = enrolled()
    digest = world.places_hold()
    again = read_entry(world.entries[-1].entry).envelope
    world.enter(again, world.kept[digest], Judged(Status.CONFORMING))
    yield anchored(world, "statement-recorded-twice")
    world = enrolled()
    first, kind, shown = world.payload_of(hold("first"), world.nurse, world.therapy)
    ids: list[bytes] = []
    world.put(world.signed(first, kind, world.nurse.signer), shown)
    ids.append(statement_pb2.Payload.FromString(first).header.statement_id)
    second, kind, shown = world.payload_of(
        hold("second"), world.nurse, world.therapy, change=lambda h: setattr(h, "statement_id", ids[0])
    )
    world.put(world.signed(second, kind, world.nurse.signer), shown)
    yield anchored(world, "statement-id-twice")
    world = enrolled()
    payload, kind, openings = world.payload_of(hold(), world.nurse, world.consignment)
    world.put(world.signed(payload, kind, world.nurse.signer), openings)
    yield anchored(world, "filed-in-another-stream-than-it-says")


@FAMILY
def persons() -> Iterator[Case]:
    """Authorisations and who joined them."""

    def case(name: str, make: Callable[[World, bytes], object], judged: Judged | None = None) -> Case:
        world = enrolled()
        digest = world.establishes_custody() if judged is None else world.establishes_custody(judged)
        make(world, digest)
        return anchored(world, name)

    yield case("in-effect-without-a-second-person", lambda w, d: None, _IN_EFFECT)
    yield case("joined-by-the-signer", lambda w, d: w.joins(d, w.nurse, w.therapy, completes=True))
    yield case(
        "joined-by-one-person-twice",
        lambda w, d: (w.joins(d, w.second_nurse, w.therapy), w.joins(d, w.second_nurse, w.therapy, completes=True)),
    )
    yield case("joins-nothing", lambda w, d: w.joins(drawn("nothing"), w.second_nurse, w.therapy))
    yield case("joins-in-another-stream", lambda w, d: w.joins(d, w.second_nurse, w.consignment))
    yield case(
        "joins-a-co-signature",
        lambda w, d: w.joins(w.joins(d, w.second_nurse, w.therapy), w.nurse, w.therapy),
    )
    yield case("joined-by-who-may-not", lambda w, d: w.joins(d, w.registrars[0], w.therapy, completes=True))
    yield case("completed-by-a-revoked-key", _revoked)
    yield case("joined-after-the-time", _late)
    yield case(
        "in-effect-twice",
        lambda w, d: (
            w.joins(d, w.second_nurse, w.therapy, completes=True),
            w.joins(d, w.administrators[0], w.therapy, completes=True),
        ),
    )
    yield case("puts-in-effect-what-it-does-not-join", _puts_another)
    yield case("pending-for-ever-is-good", lambda w, d: None)
    yield case("joined-and-in-effect-is-good", lambda w, d: w.joins(d, w.second_nurse, w.therapy, completes=True))
    world = enrolled()
    world.joins(world.places_hold(), world.second_nurse, world.therapy, completes=True)
    yield anchored(world, "puts-a-fact-in-effect")


def _revoked(world: World, digest: bytes) -> None:
    world.revokes(world.second_nurse)
    world.joins(digest, world.second_nurse, world.therapy, completes=True)


def _late(world: World, digest: bytes) -> None:
    world.now += 3600 * SECOND
    world.joins(digest, world.second_nurse, world.therapy, completes=True)


def _puts_another(world: World, digest: bytes) -> None:
    payload, kind, _ = world.payload_of(None, world.second_nurse, world.therapy, joins=digest)
    envelope = world.signed(payload, kind, world.second_nurse.signer)
    world.put(envelope, (), Judged(Status.RECORDED), puts_in_effect=drawn("another"))
