"""Whatever the order of delivery, a consignment ends the same; and nothing that is told breaks its fold."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.fold import Fold
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory, Someone

LABELS = ("box", "cooler", "stray")
OUTCOMES = ("accepted", "refused", "not_present", "extra")
START = 1_800_000_000_000_000
MINUTE = 60_000_000


def a_summary(first: int, last: int, outside: int) -> common.LoggerSummary:
    """Returns the summary of a logger between two minutes, with some seconds outside the band."""
    return common.LoggerSummary(
        logger="logger-box",
        file=common.Document(sha256=bytes(32)),
        readings=9,
        condition=common.CONDITION_IN_RANGE,
        first_reading_unix_micros=START + first * MINUTE,
        last_reading_unix_micros=START + last * MINUTE,
        out_of_band_seconds=outside,
    )


def fact(story: ConsignmentStory, draw: st.DataObject, by: Someone, other: Someone, named: Act | None) -> Message:
    """Returns the body of a fact of any kind, sensible or not."""
    labels = draw.draw(st.lists(st.sampled_from(LABELS), max_size=3))
    digest = bytes(32) if named is None else named.digest
    number = draw.draw(st.sampled_from(("S-1", "S-2")))
    seal = common.SealReading(container="box", seal=number, intact=draw.draw(st.booleans()))
    match draw.draw(st.integers(0, 19)):
        case 0:
            return story.opening(*(labels or ["box"]))
        case 1 | 2:
            release = story.release(by, other, *labels)
            release.seals.append(seal)
            return release
        case 3 | 4 | 5 if named is not None:
            lines = {label: draw.draw(st.sampled_from(OUTCOMES)) for label in labels}
            return story.acceptance(by, named, **lines)
        case 6:
            return transport.ReleaseWithdrawn(release=digest)
        case 7:
            return transport.ReceiverRenamed(release=digest, receiver=other.stated)
        case 8:
            return transport.PossessionReported(possessor=by.stated, containers=labels)
        case 9:
            return transport.SealApplied(container="box", seal=number)
        case 10 | 13:
            scans = [common.Scan(raw=draw.draw(st.sampled_from(LABELS)), method=common.READ_METHOD_SCANNED)]
            loggers = draw.draw(st.lists(st.builds(a_summary, *(st.integers(0, 60) for _ in range(3))), max_size=1))
            return transport.ReceiptInspected(
                unit=by.stated, containers=labels, seals=[seal], loggers=loggers, scans=scans
            )
        case 11:
            return quality.HoldPlaced(scope=quality.Scope(containers=labels))
        case 14:
            return transport.LoggerStarted(
                container="box", logger="logger-box", interval_seconds=60, grace_seconds=draw.draw(st.integers(0, 60))
            )
        case 15:
            until = START + draw.draw(st.integers(0, 40)) * MINUTE
            return transport.CoolantReplenished(container="box", coolant_until_unix_micros=until)
        case 16:
            return transport.CustomsHeld(containers=labels, place="border")
        case 17:
            return transport.CustomsCleared(held=digest, opened_or_irradiated=draw.draw(st.booleans()))
        case 18:
            return transport.ContainersLost(containers=labels)
        case 19:
            return transport.ShockRecorded(container="box", kind=transport.SHOCK_KIND_TILT)
        case _:
            return transport.ConsignmentClosed(unit=by.stated)


def authorisation(draw: st.DataObject, other: Someone, named: Act, said: list[Act]) -> Message:
    """Returns the body of an authorisation about anything said before."""
    match draw.draw(st.integers(0, 2)):
        case 0:
            return transport.CustodyEstablished(custodian=other.stated, containers=["box"])
        case 1:
            return quality.StatementRetracted(retracted=named.digest)
        case _:
            replacement = draw.draw(st.sampled_from(said)).digest
            return quality.StatementCorrected(corrected=named.digest, replacement=replacement)


def anything(story: ConsignmentStory, draw: st.DataObject, said: list[Act]) -> Act:
    """Returns an act of any kind, by anyone, about anything said before."""
    someone = st.sampled_from((story.cell_lab, story.courier, story.plant, story.second_technician))
    by, other = draw.draw(someone), draw.draw(someone)
    named = draw.draw(st.sampled_from(said)) if said else None
    minute = draw.draw(st.integers(0, 30))
    has_seen = draw.draw(st.booleans())
    seen = draw.draw(st.sampled_from(said)) if said and has_seen else None
    if named is not None:
        match draw.draw(st.integers(0, 9)):
            case 0:
                return story.act(None, by, joins=named, minute=minute)
            case 1 | 2:
                body = authorisation(draw, other, named, said)
                act = story.act(body, by, minute=minute, seen=seen, is_authorisation=True)
                is_in_effect = draw.draw(st.booleans())
                return replace(act, in_effect_at=act.leaf_index) if is_in_effect else act
            case _:
                pass
    body = fact(story, draw, by, other, named)
    if named is not None and draw.draw(st.integers(0, 5)) == 0:
        setattr(body, "replaces", named.digest)  # noqa: B010 - every fact has the field; the type is any message's
    return story.act(body, by, minute=minute, seen=seen)


def same(left: Fold[ConsignmentState], right: Fold[ConsignmentState]) -> None:
    """Compares all that two folds have come to."""
    assert left.order == right.order
    assert left.judged == right.judged
    assert left.state == right.state
    assert left.superseded == right.superseded


@settings(max_examples=300)
@given(draw=st.data())
def test_any_acts_in_any_order_end_the_same(new_story: type[ConsignmentStory], draw: st.DataObject) -> None:
    """Acts of every kind, sensible or not, delivered one by one in two orders, all at once, and replayed."""
    story = new_story()
    said: list[Act] = []
    for _ in range(draw.draw(st.integers(1, 14))):
        act = anything(story, draw, said)
        said.append(act)
        story.told.append(act)
    first, second, at_once = (Fold(story.rules) for _ in range(3))
    for number, act in enumerate(said, 1):
        first.append(act)
        afresh = Fold(story.rules)
        afresh.extend(said[:number])
        same(first, afresh)
    for act in draw.draw(st.permutations(said)):
        before = dict(second.judged)
        changed = second.append(act)
        assert changed == {digest for digest, judged in before.items() if second.judged[digest] != judged}
    at_once.extend(draw.draw(st.permutations(said)))
    same(first, second)
    same(first, at_once)
    replayed = Fold(story.rules, recorded=dict(first.judged))
    for act in draw.draw(st.permutations(said)):
        replayed.append(act)
    assert replayed.state == first.state


def test_two_outboxes_in_all_orders(story: ConsignmentStory) -> None:
    """Six facts of two sites, each site's behind its own last one: 720 orders, one end, and it is the right one."""
    opened = story.act(story.opening("box"), story.cell_lab)
    sealed = story.act(transport.SealApplied(container="box", seal="S-1"), story.cell_lab, seen=opened)
    release = story.act(story.release(story.cell_lab, story.courier), story.cell_lab, seen=sealed)
    accepted = story.act(story.acceptance(story.courier, release), story.courier)
    passed = story.act(transport.TransitCheckpointPassed(place="hub", containers=["box"]), story.courier, seen=accepted)
    handed_on = story.act(story.release(story.courier, story.plant), story.courier, seen=passed)
    facts = (opened, sealed, release, accepted, passed, handed_on)
    expected = Fold(story.rules)
    expected.extend(facts)
    assert expected.state.containers["box"].custodian == story.courier.unit
    assert not expected.state.holds
    for order in itertools.permutations(facts):
        fold = Fold(story.rules)
        for act in order:
            fold.append(act)
        same(fold, expected)
