"""Judgements that cannot stand, re-judgements that may not be, references to what was not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import entry_pb2, statement_pb2
from corpus.cases import Case, Family
from corpus.entry_files import appended
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import World, drawn

__all__ = ["FAMILY"]

FAMILY = Family("judgements")


@FAMILY
def forms() -> Iterator[Case]:
    """What the entry of a fact says of it."""
    for name, judged in (
        ("nonconforming-without-finding", Judged(Status.NONCONFORMING)),
        ("awaiting-without-finding", Judged(Status.AWAITING)),
        ("conforming-though-something-is-missing", Judged(Status.CONFORMING, (Finding("PREDECESSOR_MISSING"),))),
        ("conforming-with-a-gate", Judged(Status.CONFORMING, (Finding("NOT_CUSTODIAN"),))),
        ("nonconforming-with-an-advisory", Judged(Status.NONCONFORMING, (Finding("LATE"),))),
        ("code-of-no-rule", Judged(Status.CONFORMING, (Finding("NO_SUCH_RULE"),))),
        ("code-empty", Judged(Status.CONFORMING, (Finding(""),))),
        ("fact-in-effect", Judged(Status.IN_EFFECT)),
        ("fact-pending", Judged(Status.PENDING)),
        ("fact-merely-recorded", Judged(Status.RECORDED)),
        ("finding-on-a-leaf-that-is-not-there", Judged(Status.CONFORMING, (Finding("LATE", (77,)),))),
        ("findings-out-of-order", Judged(Status.CONFORMING, (Finding("LATE"), Finding("CLOCK_AHEAD")))),
    ):
        world = enrolled()
        world.places_hold(judged)
        yield anchored(world, name)
    for name, judged in (
        ("authorisation-conforming", Judged(Status.CONFORMING)),
        ("authorisation-awaiting", Judged(Status.AWAITING, (Finding("PREDECESSOR_MISSING"),))),
        ("authorisation-recorded", Judged(Status.RECORDED)),
    ):
        world = enrolled()
        world.establishes_custody(judged)
        yield anchored(world, name)
    changes: list[tuple[str, Callable[[entry_pb2.Judgement], object]]] = [
        ("rule-set-0", lambda j: j.ClearField("rule_set")),
        ("rule-set-2", lambda j: setattr(j, "rule_set", 2)),
        ("status-absent", lambda j: j.ClearField("status")),
        ("status-7", lambda j: setattr(j, "status", 7)),
        ("status-negative", lambda j: setattr(j, "status", -1)),
        ("fact-puts-in-effect", lambda j: setattr(j, "puts_in_effect", bytes(32))),
        ("comparison-of-no-outcome", lambda j: j.comparisons.add(leaf=0)),
        ("comparison-of-outcome-9", lambda j: j.comparisons.add(leaf=0, outcome=9)),
        ("policy-judged-under-never-published", lambda j: setattr(j, "policy_digest", drawn("no pack"))),
        ("policy-judged-under-short", lambda j: setattr(j, "policy_digest", bytes(31))),
    ]
    for name, change in changes:
        world = enrolled()
        world.opens_consignment()
        yield appended(world, name, entry=partial(_judgement, change))
    world = enrolled()
    world.joins(world.places_hold(), world.second_nurse, world.therapy)
    yield anchored(world, "fact-joined-by-another-is-good")


def _judgement(change: Callable[[entry_pb2.Judgement], object], entry: entry_pb2.Entry) -> None:
    change(entry.judgement)


@FAMILY
def revisions() -> Iterator[Case]:
    """Re-judgements by the ledger's own key."""
    late = Judged(Status.CONFORMING, (Finding("LATE"),))
    conforming = Judged(Status.CONFORMING)
    cases: list[tuple[str, Callable[[World], object]]] = [
        ("revision-of-nothing", lambda w: w.revises(drawn("nothing"), conforming)),
        ("revision-drops-a-finding-of-entry", lambda w: w.revises(w.places_hold(late), conforming)),
        ("revision-adds-a-finding-of-entry", lambda w: w.revises(w.places_hold(), late)),
        ("revision-status-does-not-follow", lambda w: w.revises(w.places_hold(), Judged(Status.AWAITING))),
        ("revision-unmakes-without-reason", lambda w: w.revises(w.places_hold(), Judged(Status.RECORDED))),
        ("revision-of-an-authorisation", lambda w: w.revises(w.establishes_custody(), conforming)),
        (
            "revision-with-a-code-of-no-rule",
            lambda w: w.revises(w.places_hold(), Judged(Status.CONFORMING, (Finding("NO_SUCH_RULE"),))),
        ),
        ("revision-of-another-stream", lambda w: w.revises(w.opens_consignment(), conforming)),
        (
            "revision-retracts-is-good",
            lambda w: w.revises(w.places_hold(), Judged(Status.RECORDED, (Finding("RETRACTED"),))),
        ),
    ]
    for name, make in cases:
        world = enrolled()
        make(world)
        yield anchored(world, name)
    world = enrolled()
    world.revises(world.places_hold(), conforming)
    leaf = world.entries[-1].leaf_index
    world.shown[leaf] = ()
    yield anchored(world, "revision-not-shown")


def _sees(stream: bytes, digest: bytes, header: statement_pb2.Header) -> None:
    header.seen.add(stream=stream, statement_digest=digest)


@FAMILY
def references() -> Iterator[Case]:
    """What signers had seen."""
    world = enrolled()
    enrolment = next(iter(world.kept))
    world.opens_consignment()
    world.packs(seen=[(world.consignment, enrolment)])
    yield anchored(world, "seen-in-a-stream-it-is-not-of")
    for name, status, findings in (
        ("fact-rests-on-a-later-one", Status.CONFORMING, ()),
        ("fact-awaits-a-later-one-is-good", Status.AWAITING, (Finding("SEEN_MISSING"),)),
    ):
        world = enrolled()
        later, kind, shown = world.payload_of(hold("later"), world.nurse, world.therapy)
        envelope = world.signed(later, kind, world.nurse.signer)
        digest = parse_statement(envelope).digest
        world.now += 1_000_000
        body = hold("earlier")
        payload, kind, openings = world.payload_of(
            body,
            world.nurse,
            world.therapy,
            change=partial(_sees, world.therapy, digest),
        )
        world.put(world.signed(payload, kind, world.nurse.signer), openings, Judged(status, findings))
        world.put(envelope, shown)
        yield anchored(world, name)
    world = enrolled()
    hold_digest = world.places_hold()
    payload, kind, openings = world.payload_of(
        hold(),
        world.nurse,
        world.therapy,
        change=partial(_sees, world.therapy, hold_digest),
    )
    world.put(world.signed(payload, kind, world.nurse.signer), openings)
    yield anchored(world, "seen-and-there-is-good")
