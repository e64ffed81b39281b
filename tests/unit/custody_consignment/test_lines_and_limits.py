"""Which line of an act a finding is about, and what happens at a limit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.consignment_authorisations import judge_authorisation
from cellcustody.ledger.custody.consignment_touch import containers_found, containers_touched
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from .conftest import ConsignmentStory, Someone

LIMIT_MINUTES = DEFAULT_PACK.handoff_acceptance_seconds // 60


def about(story: ConsignmentStory, act: Act, code: str) -> frozenset[str]:
    """Returns the containers that a finding of an act concerns."""
    (finding,) = (one for one in story.judged(act).findings if one.code == code)
    assert finding.leaves
    return containers_found(story.state, act, finding)


def refused_about(story: ConsignmentStory, by: Someone, body: Message, code: str) -> tuple[int, ...]:
    """Returns the leaves for which an authorisation would be refused, counted from the first of its field."""
    act = story.act(body, by, is_authorisation=True)
    (finding,) = (one for one in judge_authorisation(story.state, act, story.pack) if one.code == code)
    first = act.field_numbers.index(act.field_numbers[finding.leaves[0]]) if finding.leaves else 0
    return tuple(leaf - first for leaf in finding.leaves)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("not_present", "CONTAINER_NOT_PRESENT"), ("extra", "EXTRA_CONTAINER"), ("accepted", "RELEASE_NOT_BY_CUSTODIAN")],
)
def test_a_finding_is_about_the_line_that_it_was_made_of(story: ConsignmentStory, outcome: str, code: str) -> None:
    """The other container is held for nothing."""
    story.opens("a", "b")
    if outcome == "accepted":
        story.hands_over(story.cell_lab, story.second_driver, "b")
    release = story.releases(story.cell_lab, story.courier, "a", "b")
    accepted = story.accepts(story.courier, release, a="accepted", b=outcome)
    assert about(story, accepted, code) == {"b"}


def test_an_unknown_container_is_found_by_its_own_leaf(story: ConsignmentStory) -> None:
    """Not by that of the one beside it."""
    story.opens("a")
    inspected = story.says(
        story.cell_lab, transport.ReceiptInspected(unit=story.cell_lab.stated, containers=["a", "strange"])
    )
    (finding,) = (one for one in story.judged(inspected).findings if one.code == "UNKNOWN_CONTAINER")
    assert finding.leaves == inspected.leaves_of(2)[1:]


def test_a_seal_of_a_strange_container_is_found_by_its_own_leaf(story: ConsignmentStory) -> None:
    """As read: the first seal is of a container that is there."""
    story.opens("a")
    story.says(story.cell_lab, transport.SealApplied(container="a", seal="S-1"))
    body = story.release(story.cell_lab, story.courier, "a")
    for container in ("a", "strange"):
        body.seals.append(common.SealReading(container=container, seal="S-1", intact=True))
    released = story.says(story.cell_lab, body)
    (finding,) = (one for one in story.judged(released).findings if one.code == "UNKNOWN_CONTAINER")
    assert finding.leaves == released.leaves_of(5)[1:]


def test_each_hold_and_each_container_is_refused_by_itself(story: ConsignmentStory) -> None:
    """The first of two stands well."""
    story.opens("a", "b")
    story.says(story.cell_lab, quality.HoldPlaced(scope=quality.Scope(containers=["a"]), grounds="wait"))
    (hold,) = story.state.holds
    lifting = quality.HoldLifted(holds=[hold, bytes(32)])
    assert refused_about(story, story.quality, lifting, "HOLD_UNKNOWN") == (1,)
    establishing = transport.CustodyEstablished(custodian=story.plant.stated, containers=["a", "strange"])
    assert refused_about(story, story.cell_lab, establishing, "UNKNOWN_CONTAINER") == (1,)
    assert story.asks(story.quality, quality.HoldLifted()) == {"HOLD_UNKNOWN"}


def test_a_stranger_establishes_no_custody_of_any_container(story: ConsignmentStory) -> None:
    """The site that ships and the one that answers may; each container is told of."""
    story.opens("a", "b")
    story.hands_over(story.cell_lab, story.courier, "b")
    body = transport.CustodyEstablished(custodian=story.plant.stated, containers=["a", "b"])
    assert refused_about(story, story.courier, body, "NOT_LAST_CUSTODIAN") == (0,)
    assert refused_about(story, story.other_plant, body, "NOT_LAST_CUSTODIAN") == (0, 1)
    assert story.asks(story.cell_lab, body) == frozenset()


@pytest.mark.parametrize(("minutes", "codes"), [(LIMIT_MINUTES, set()), (LIMIT_MINUTES + 1, {"ACCEPTED_LATE"})])
def test_an_acceptance_within_the_time_of_the_policy_is_none_too_late(
    story: ConsignmentStory, minutes: int, codes: set[str]
) -> None:
    """To the minute."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier, minute=10)
    assert story.codes(story.accepts(story.courier, release, minute=10 + minutes)) == codes


@pytest.mark.parametrize(("before", "codes"), [(0, set()), (1, {"LOGGER_CALIBRATION_LAPSED"})])
def test_a_logger_is_calibrated_until_its_last_moment(story: ConsignmentStory, before: int, codes: set[str]) -> None:
    """At its start and at the inspection; a microsecond later it is not."""
    for inspected_at in (5, 9):
        fresh = type(story)()
        fresh.opens()
        body = transport.LoggerStarted(container="box", logger="logger-box", interval_seconds=60)
        until = fresh.act(body, fresh.cell_lab, minute=inspected_at).occurred_start
        body.calibrated_until_unix_micros = until - before
        started = fresh.says(fresh.cell_lab, body, minute=5)
        if inspected_at == 5:
            assert fresh.codes(started) == codes
            continue
        inspection = transport.ReceiptInspected(unit=fresh.cell_lab.stated, containers=["box"])
        inspected = fresh.says(fresh.cell_lab, inspection, minute=inspected_at)
        assert fresh.codes(started) == set()
        assert fresh.codes(inspected) & {"LOGGER_CALIBRATION_LAPSED"} == codes


def test_containers_have_names_and_each_its_own(story: ConsignmentStory) -> None:
    """None at all, none of a name, and twice the same are found."""
    for labels in ((), ("",), ("a", "a")):
        fresh = type(story)()
        body = fresh.opening("a")
        del body.containers[:]
        body.containers.extend(common.Container(container=label, kind="box") for label in labels)
        assert "CONTAINERS_NOT_DISTINCT" in fresh.codes(fresh.says(fresh.cell_lab, body))


def test_a_released_container_that_is_no_line_is_missing(story: ConsignmentStory) -> None:
    """And one that was not released is extra, even if it is told of as accepted."""
    story.opens("a", "b")
    release = story.releases(story.cell_lab, story.courier, "a")
    accepted = story.accepts(story.courier, release, a="accepted", b="accepted")
    assert story.codes(accepted) == {"EXTRA_CONTAINER"}
    assert story.where("b") == (story.cell_lab.unit, story.courier.unit)


def test_a_container_departs_when_another_unit_first_answers_for_it(story: ConsignmentStory) -> None:
    """Not when it was opened, and not again."""
    story.opens()
    assert story.container().departed_at is None
    first = story.hands_over(story.cell_lab, story.courier)
    assert story.container().departed_at == first.occurred_start
    story.hands_over(story.courier, story.plant)
    assert story.container().departed_at == first.occurred_start


def test_what_touches_a_lifted_hold_or_a_corrected_act_is_what_that_touched(story: ConsignmentStory) -> None:
    """A hold of the whole touches the whole; one that is not there, nothing by itself."""
    story.opens("a", "b")
    placed = story.says(story.cell_lab, quality.HoldPlaced(scope=quality.Scope(containers=["a"]), grounds="wait"))
    whole = story.says(story.cell_lab, quality.HoldPlaced(grounds="all"))
    one, all_of_it = (hold_id(act.digest, "HOLD_PLACED") for act in (placed, whole))

    def touches(body: Message) -> frozenset[str]:
        return containers_touched(story.state, story.act(body, story.quality, is_authorisation=True))

    assert touches(quality.HoldLifted(holds=[one])) == {"a"}
    assert touches(quality.HoldLifted(holds=[one, bytes(32)])) == {"a"}
    assert touches(quality.HoldLifted(holds=[one, all_of_it])) == frozenset()
    for digest, touched in ((placed.digest, {"a"}), (whole.digest, set()), (bytes(32), set())):
        assert touches(quality.StatementRetracted(retracted=digest)) == touched
        assert touches(quality.StatementCorrected(corrected=digest)) == touched


def test_a_consignment_takes_what_is_said_of_consignments(story: ConsignmentStory) -> None:
    """A form for a downtime has no place here."""
    story.opens()
    stray = story.says(story.cell_lab, transport.DowntimeDeclared(reference="DT-1"))
    assert story.codes(stray) == {"BODY_NOT_OF_CONSIGNMENT"}


def test_an_excursion_is_not_lifted_in_the_consignment(story: ConsignmentStory) -> None:
    """Each therapy decides for its own materials; the hold beside it may be lifted."""
    story.opens("a", "b")
    placed = story.says(story.cell_lab, quality.HoldPlaced(scope=quality.Scope(containers=["a"]), grounds="wait"))
    warm = common.LoggerSummary(logger="logger-b", condition=common.CONDITION_OUT_OF_RANGE)
    inspection = transport.ReceiptInspected(unit=story.cell_lab.stated, containers=["b"], loggers=[warm])
    inspected = story.says(story.cell_lab, inspection)
    holds = [hold_id(placed.digest, "HOLD_PLACED"), hold_id(inspected.digest, "EXCURSION")]
    assert set(holds) <= set(story.state.holds)
    lifting = quality.HoldLifted(holds=holds)
    assert refused_about(story, story.quality, lifting, "DISPOSITION_NEEDED") == (1,)
