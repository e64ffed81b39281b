"""Holds lifted, custody established, corrections, retractions, overrides, and what the signer had not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.consignment_authorisations import consignment_news, judge_authorisation
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory

FAR = 1_900_000_000_000_000


def alarm(label: str = "box") -> transport.ExcursionAlarmed:
    """Returns an alarm of the logger in a container."""
    return transport.ExcursionAlarmed(container=label, logger=f"logger-{label}")


def test_a_hold_stands_until_it_is_lifted_and_does_not_come_back(story: ConsignmentStory) -> None:
    """Quality lifts the hold of an alarm; folding again in any order does not raise it again."""
    story.opens()
    alarmed = story.says(story.courier, alarm())
    hold = hold_id(alarmed.digest, "EXCURSION_ALARMED")
    story.authorises(story.quality, quality.HoldLifted(holds=[hold], disposition="study S-1"))
    assert not story.state.holds
    assert story.status(alarmed) is Status.NONCONFORMING
    story.says(story.courier, transport.DelayReported(place="hub"), minute=1)
    assert not story.state.holds
    assert story.asks(story.quality, quality.HoldLifted(holds=[hold])) == {"HOLD_UNKNOWN"}


def test_a_hold_lifted_by_a_slow_clock_stays_lifted(story: ConsignmentStory) -> None:
    """The lifting claims an earlier time than the alarm: an id names one finding of one statement for good."""
    story.opens(minute=1)
    alarmed = story.says(story.courier, alarm(), minute=9)
    lifting = quality.HoldLifted(holds=[hold_id(alarmed.digest, "EXCURSION_ALARMED")])
    act = story.act(lifting, story.quality, minute=5, is_authorisation=True)
    story.tell(replace(act, in_effect_at=act.leaf_index))
    assert [one.digest for one in story.fold.order][-1] == alarmed.digest
    assert not story.state.holds


def test_a_placed_hold_covers_what_it_names(story: ConsignmentStory) -> None:
    """A hold on one container, then one on the whole consignment."""
    story.opens("box", "cooler")
    placed = story.says(
        story.quality,
        quality.HoldPlaced(
            scope=quality.Scope(kind=quality.SCOPE_KIND_CONSIGNMENT, containers=["box"]), grounds="recall"
        ),
    )
    assert story.status(placed) is Status.CONFORMING
    assert [one.hold for one in story.state.holds_on("box")] == [hold_id(placed.digest, "HOLD_PLACED")]
    assert story.state.holds_on("cooler") == ()
    story.says(
        story.quality, quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_CONSIGNMENT), grounds="all")
    )
    assert len(story.state.holds_on("cooler")) == 1


def test_the_pack_says_who_lifts_which_hold(story: ConsignmentStory) -> None:
    """A driver may not lift what the pack reserves to quality."""
    story.pack = replace(DEFAULT_PACK, hold_lifting_roles={"*": frozenset({"quality_reviewer"})})
    story.opens()
    alarmed = story.says(story.courier, alarm())
    lifting = quality.HoldLifted(holds=[hold_id(alarmed.digest, "EXCURSION_ALARMED")])
    assert story.asks(story.courier, lifting) == {"LIFTING_NOT_PERMITTED"}
    assert story.asks(story.quality, lifting) == set()


def test_custody_is_established_after_a_dispute(story: ConsignmentStory) -> None:
    """The wrong plant has the box for good: the last custodian says who answers from now on; the release is settled."""
    story.opens()
    release = story.releases(story.cell_lab, story.plant)
    story.accepts(story.other_plant, release)
    established = transport.CustodyEstablished(custodian=story.other_plant.stated, containers=["box"])
    assert story.asks(story.courier, established) == {"NOT_LAST_CUSTODIAN"}
    story.authorises(story.cell_lab, established)
    assert story.where() == (story.other_plant.unit, story.other_plant.unit)
    assert story.state.open_releases() == ()
    nothing = transport.CustodyEstablished(custodian=story.plant.stated)
    assert story.asks(story.cell_lab, nothing) == {"ESTABLISHES_NOTHING"}


def test_a_pending_authorisation_has_no_effect(story: ConsignmentStory) -> None:
    """Custody established by one person waits for the second."""
    story.opens()
    body = transport.CustodyEstablished(custodian=story.plant.stated, containers=["box"])
    pending = story.tell(story.act(body, story.cell_lab, is_authorisation=True))
    assert story.status(pending) is Status.PENDING
    assert story.container().custodian == story.cell_lab.unit
    second = story.joins(story.second_technician, pending)
    story.fold.mark_in_effect(pending.digest, second.leaf_index)
    assert story.status(pending) is Status.IN_EFFECT
    assert story.container().custodian == story.plant.unit
    assert [one.person for one in story.state.others_who_signed(pending)] == [story.second_technician.person]


def test_a_corrected_release_stands_where_the_first_one_stood(story: ConsignmentStory) -> None:
    """The count was wrong; the acceptance that names the first release is of its replacement now, the hold falls."""
    opened = story.opens()
    wrong = story.release(story.cell_lab, story.courier)
    wrong.count = 3
    release = story.says(story.cell_lab, wrong, seen=opened)
    accepted = story.accepts(story.courier, release, seen=release)
    assert story.held() == {"COUNT_MISMATCH"}

    right = story.release(story.cell_lab, story.courier)
    right.replaces = release.digest
    replacement = story.says(story.cell_lab, right, minute=2, seen=accepted)
    assert story.codes(replacement) == {"CORRECTION_MISSING"}
    assert story.status(replacement) is Status.AWAITING

    story.authorises(
        story.cell_lab, quality.StatementCorrected(corrected=release.digest, replacement=replacement.digest)
    )
    assert story.codes(release) == {"COUNT_MISMATCH"} - {"COUNT_MISMATCH"} | {"SUPERSEDED"}
    assert story.status(release) is Status.RECORDED
    assert (story.status(replacement), story.status(accepted)) == (Status.CONFORMING, Status.CONFORMING)
    assert not story.state.holds
    assert story.where() == (story.courier.unit, story.courier.unit)
    order = [act.digest for act in story.fold.order]
    assert order.index(replacement.digest) < order.index(accepted.digest)


def test_a_correction_can_be_corrected(story: ConsignmentStory) -> None:
    """The replacement was wrong too; the second replacement stands in the place of both."""
    story.opens()
    release = story.releases(story.cell_lab, story.plant)
    first = story.release(story.cell_lab, story.other_plant)
    first.replaces = release.digest
    replaced = story.says(story.cell_lab, first)
    story.authorises(story.cell_lab, quality.StatementCorrected(corrected=release.digest, replacement=replaced.digest))
    second = story.release(story.cell_lab, story.courier)
    second.replaces = replaced.digest
    again = story.says(story.cell_lab, second)
    story.authorises(story.cell_lab, quality.StatementCorrected(corrected=replaced.digest, replacement=again.digest))

    accepted = story.accepts(story.courier, release)
    assert story.status(accepted) is Status.CONFORMING
    assert story.container().custodian == story.courier.unit
    assert set(story.state.releases) == {again.digest}


def test_a_retracted_release_never_was(story: ConsignmentStory) -> None:
    """Custody goes back to where it was; the acceptance that rests on it is found."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    accepted = story.accepts(story.courier, release)
    story.authorises(story.cell_lab, quality.StatementRetracted(retracted=release.digest))
    assert story.codes(release) == {"RETRACTED"}
    assert story.codes(accepted) == {"NAMES_RETRACTED"}
    assert story.where() == (story.cell_lab.unit, story.courier.unit)


def test_corrections_name_what_can_be_corrected(story: ConsignmentStory) -> None:
    """Unknown targets can be sent again; others' facts, authorisations and other bodies cannot be corrected."""
    opened = story.opens()
    release = story.releases(story.cell_lab, story.courier)
    other = story.says(story.cell_lab, transport.SealApplied(container="box", seal="S-1", replaces=release.digest))

    def corrected(target: bytes, by: bytes) -> quality.StatementCorrected:
        return quality.StatementCorrected(corrected=target, replacement=by)

    assert story.asks(story.cell_lab, corrected(bytes(32), other.digest)) == {
        "TARGET_UNKNOWN",
        "REPLACEMENT_NAMES_ANOTHER",
    }
    assert story.asks(story.cell_lab, corrected(release.digest, bytes(32))) == {"REPLACEMENT_UNKNOWN"}
    assert story.asks(story.cell_lab, corrected(release.digest, other.digest)) == {"REPLACEMENT_OF_ANOTHER_KIND"}
    assert story.asks(story.courier, quality.StatementRetracted(retracted=release.digest)) == {"TARGET_OF_ANOTHER_SITE"}
    retraction = story.authorises(story.cell_lab, quality.StatementRetracted(retracted=release.digest))
    assert story.asks(story.cell_lab, quality.StatementRetracted(retracted=release.digest)) == {"TARGET_SUPERSEDED"}
    assert story.asks(story.cell_lab, quality.StatementRetracted(retracted=retraction.digest)) == {"TARGET_NOT_A_FACT"}
    assert story.status(opened) is Status.CONFORMING


def override(gate: str, *containers: str, until: int = FAR) -> quality.GateOverridden:
    """Returns an override of a gate."""
    return quality.GateOverridden(
        gate=gate,
        scope=quality.Scope(kind=quality.SCOPE_KIND_CONSIGNMENT, containers=containers),
        valid_until_unix_micros=until,
    )


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (override("WRONG_RECEIVER"), {"HARD_GATE_NO_OVERRIDE"}),
        (override("NO_SUCH_CODE"), {"GATE_UNKNOWN"}),
        (override("SEAL_NOT_READ"), {"GATE_UNKNOWN"}),
        (override("NOT_CUSTODIAN"), {"OVERRIDE_NOT_PERMITTED"}),
        (override("CONDITION_UNKNOWN", until=1), {"OVERRIDE_RUN_OUT"}),
        (override("CONDITION_UNKNOWN"), set[str]()),
    ],
)
def test_only_gates_of_the_pack_are_overridden(
    story: ConsignmentStory, body: quality.GateOverridden, codes: set[str]
) -> None:
    """Hard gates have no override; the pack names the gates and the roles; nothing is overridden afterwards."""
    story.pack = replace(DEFAULT_PACK, overridable_gates={"CONDITION_UNKNOWN": frozenset({"quality_reviewer"})})
    story.opens()
    assert story.asks(story.quality, body) == codes


def test_an_overridden_gate_lets_pass_what_its_scope_covers(story: ConsignmentStory) -> None:
    """An override for one container, beforehand: its inspection conforms and says so; the other's does not."""
    story.pack = replace(DEFAULT_PACK, overridable_gates={"CONDITION_UNKNOWN": frozenset({"quality_reviewer"})})
    story.opens("box", "cooler")
    story.hands_over(story.cell_lab, story.plant, "box", "cooler")
    story.authorises(story.quality, override("CONDITION_UNKNOWN", "box"))
    inspected = [
        story.says(story.plant, transport.ReceiptInspected(unit=story.plant.stated, containers=[label]))
        for label in ("box", "cooler")
    ]
    assert [story.codes(one) for one in inspected] == [{"GATE_OVERRIDDEN"}, {"CONDITION_UNKNOWN"}]
    assert [story.status(one) for one in inspected] == [Status.CONFORMING, Status.NONCONFORMING]


def test_news_about_the_same_container_refuses_and_other_news_does_not(story: ConsignmentStory) -> None:
    """An alarm on the box that quality had not seen; one on the cooler concerns nobody here."""
    story.opens("box", "cooler")
    first = story.says(story.courier, alarm())
    story.says(story.courier, transport.DelayReported(place="hub"))
    lifting = quality.HoldLifted(holds=[hold_id(first.digest, "EXCURSION_ALARMED")])
    act = story.act(lifting, story.quality, seen=first, is_authorisation=True)
    assert consignment_news(story.fold, act) == ()

    story.says(story.courier, alarm("cooler"))
    assert consignment_news(story.fold, act) == ()
    second = story.says(story.courier, alarm())
    news = consignment_news(story.fold, act)
    assert [one.digest for one in news] == [second.digest]
    assert story.asks(story.quality, lifting, news=news) == {"UNSEEN_DECISION"}


def test_a_judgement_revised_after_what_was_seen_is_news(story: ConsignmentStory) -> None:
    """The signer had seen the fact when it still conformed."""
    story.opens()
    alarmed = story.says(story.courier, alarm())
    act = story.act(
        quality.HoldLifted(holds=[hold_id(alarmed.digest, "EXCURSION_ALARMED")]),
        story.quality,
        seen=alarmed,
        is_authorisation=True,
    )
    assert [one.digest for one in consignment_news(story.fold, act, revised_at={alarmed.digest: 99})] == [
        alarmed.digest
    ]


def test_the_pack_says_what_must_have_been_seen(story: ConsignmentStory) -> None:
    """Custody is established only by who has seen the consignment's own stream."""
    story.pack = replace(DEFAULT_PACK, must_have_seen={"CustodyEstablished": frozenset({"consignment"})})
    opened = story.opens()
    body = transport.CustodyEstablished(custodian=story.plant.stated, containers=["box"])
    assert story.asks(story.cell_lab, body) == {"STREAM_NOT_SEEN"}
    act = story.act(body, story.cell_lab, seen=opened, is_authorisation=True)
    assert judge_authorisation(story.state, act, story.pack) == ()


def test_who_had_seen_nothing_is_shown_everything(story: ConsignmentStory) -> None:
    """An authorisation that names nothing of its own stream counts every decision as unseen."""
    story.opens()
    alarmed = story.says(story.courier, alarm())
    act = story.act(quality.HoldLifted(holds=[bytes(32)]), story.quality, is_authorisation=True)
    assert [one.digest for one in consignment_news(story.fold, act)] == [alarmed.digest]


def test_a_consignment_takes_no_authorisation_of_a_therapy(story: ConsignmentStory) -> None:
    """A restoration of identity has no place in a consignment's stream, and none has before the opening."""
    restored = quality.IdentityRestored(reidentification=bytes(32))
    assert story.asks(story.quality, restored) == {"CONSIGNMENT_UNKNOWN"}
    story.opens()
    assert story.asks(story.quality, restored) == {"BODY_NOT_OF_CONSIGNMENT"}
