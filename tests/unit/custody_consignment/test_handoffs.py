"""Releases and answers: who answers for a container, who has it, what is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory


def test_an_opened_consignment_is_answered_for_by_the_unit_that_ships(story: ConsignmentStory) -> None:
    """The opening unit is the first custodian and has the containers."""
    opened = story.opens("box", "cooler")
    assert story.status(opened) is Status.CONFORMING
    assert story.where("cooler") == (story.cell_lab.unit, story.cell_lab.unit)
    assert story.state.destination == story.plant.unit


def test_custody_passes_only_when_the_receiver_accepts(story: ConsignmentStory) -> None:
    """A release alone moves nothing; its acceptance moves custody and possession."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    assert story.where() == (story.cell_lab.unit, story.cell_lab.unit)
    assert [one.digest for one in story.state.open_releases()] == [release.digest]

    accepted = story.accepts(story.courier, release)
    assert story.status(accepted) is Status.CONFORMING
    assert story.where() == (story.courier.unit, story.courier.unit)
    assert story.state.open_releases() == ()
    assert not story.state.holds


def test_a_phantom_release_is_recorded_and_moves_no_custody(story: ConsignmentStory) -> None:
    """A courier who is not the custodian releases: nonconforming, a hold on the box, custody where it was."""
    story.opens("box", "cooler")
    phantom = story.releases(story.courier, story.plant, "box")
    assert story.status(phantom) is Status.NONCONFORMING
    assert "NOT_CUSTODIAN" in story.codes(phantom)
    hold = story.state.holds[hold_id(phantom.digest, "NOT_CUSTODIAN")]
    assert hold.containers == {"box"}
    assert story.where("box") == (story.cell_lab.unit, story.courier.unit)

    accepted = story.accepts(story.plant, phantom)
    assert story.codes(accepted) == {"RELEASE_NOT_BY_CUSTODIAN"}
    assert story.where("box") == (story.cell_lab.unit, story.plant.unit)
    assert story.where("cooler") == (story.cell_lab.unit, story.cell_lab.unit)


def test_a_release_of_some_containers_that_are_not_ones_own_passes_the_others(story: ConsignmentStory) -> None:
    """Of two containers released the courier answers for one only: that one passes, the other does not."""
    story.opens("box", "cooler")
    story.hands_over(story.cell_lab, story.courier, "box")
    release = story.releases(story.courier, story.plant, "box", "cooler")
    finding = next(one for one in story.judged(release).findings if one.code == "NOT_CUSTODIAN")
    assert finding.leaves == (release.leaves_of(3)[1],)

    story.accepts(story.plant, release, box="accepted", cooler="accepted")
    assert story.where("box") == (story.plant.unit, story.plant.unit)
    assert story.where("cooler") == (story.cell_lab.unit, story.plant.unit)


def test_nobody_releases_for_another_site(story: ConsignmentStory) -> None:
    """A person of the courier signs a release in the cell laboratory's name."""
    story.opens()
    forged = story.says(story.courier, story.release(story.cell_lab, story.courier))
    assert "NOT_CUSTODIAN" in story.codes(forged)
    story.accepts(story.courier, forged)
    assert story.container().custodian == story.cell_lab.unit


def test_the_wrong_receiver_has_the_box_and_the_releaser_answers_for_it(story: ConsignmentStory) -> None:
    """Possession moves, accountability stays; renamed and accepted again, all is well."""
    story.opens()
    release = story.releases(story.cell_lab, story.plant)
    wrong = story.accepts(story.other_plant, release)
    assert story.status(wrong) is Status.NONCONFORMING
    assert story.codes(wrong) == {"WRONG_RECEIVER"}
    assert story.where() == (story.cell_lab.unit, story.other_plant.unit)
    assert story.container().is_disputed

    renamed = story.says(
        story.cell_lab, transport.ReceiverRenamed(release=release.digest, receiver=story.other_plant.stated)
    )
    again = story.accepts(story.other_plant, release)
    assert (story.status(renamed), story.status(again)) == (Status.CONFORMING, Status.CONFORMING)
    assert story.where() == (story.other_plant.unit, story.other_plant.unit)
    assert story.held() == {"WRONG_RECEIVER"}  # Quality still has to lift it.


def test_a_release_to_a_site_as_a_whole_may_be_accepted_by_any_unit(story: ConsignmentStory) -> None:
    """A receiver named without a unit is answered for by the unit that accepts."""
    story.opens()
    body = story.release(story.cell_lab, story.plant)
    body.receiver.unit = ""
    release = story.says(story.cell_lab, body)
    story.accepts(story.plant, release)
    assert story.where() == (story.plant.unit, story.plant.unit)


def test_an_acceptance_before_its_release_waits_and_holds_nothing(story: ConsignmentStory) -> None:
    """An offline queue delivered out of order: AWAITING, then conforming, and no hold in between."""
    story.opens()
    body = story.release(story.cell_lab, story.courier)
    release = story.act(body, story.cell_lab)
    accepted = story.accepts(story.courier, release)
    assert story.status(accepted) is Status.AWAITING
    assert story.codes(accepted) == {"RELEASE_UNKNOWN"}
    assert not story.state.holds
    assert story.where() == (story.cell_lab.unit, story.cell_lab.unit)

    assert story.fold.preview(release)[1] == {accepted.digest}
    story.tell(release)
    assert story.status(accepted) is Status.CONFORMING
    assert story.where() == (story.courier.unit, story.courier.unit)


def test_facts_before_the_opening_wait_for_it(story: ConsignmentStory) -> None:
    """A release that arrives first has no effect until the consignment is known; the opening stands first."""
    release = story.releases(story.cell_lab, story.courier, minute=5)
    assert story.codes(release) == {"CONSIGNMENT_UNKNOWN"}
    story.opens(minute=9)
    assert story.status(release) is Status.CONFORMING


def test_a_container_that_is_not_there_is_held_until_it_is_found(story: ConsignmentStory) -> None:
    """Not present: custody stays with the releaser, nobody has it; then the courier finds it in the van."""
    story.opens("box", "cooler")
    story.hands_over(story.cell_lab, story.courier, "box", "cooler")
    release = story.releases(story.courier, story.plant, "box", "cooler")
    accepted = story.accepts(story.plant, release, box="accepted", cooler="not_present")
    assert story.codes(accepted) == {"CONTAINER_NOT_PRESENT"}
    assert story.where("cooler") == (story.courier.unit, None)
    assert [hold.containers for hold in story.state.holds.values()] == [{"cooler"}]
    assert story.state.holds_on("box") == ()

    found = story.says(
        story.courier,
        transport.PossessionReported(possessor=story.courier.stated, containers=["cooler"], place="van"),
    )
    assert story.status(found) is Status.CONFORMING
    assert story.where("cooler") == (story.courier.unit, story.courier.unit)
    story.hands_over(story.courier, story.plant, "cooler")
    assert story.where("cooler") == (story.plant.unit, story.plant.unit)


def test_a_refused_line_stays_with_the_releaser(story: ConsignmentStory) -> None:
    """One box accepted, the other refused: the courier takes it back, and can release it again."""
    story.opens("box", "cooler")
    story.hands_over(story.cell_lab, story.courier, "box", "cooler")
    release = story.releases(story.courier, story.plant, "box", "cooler")
    accepted = story.accepts(story.plant, release, box="accepted", cooler="refused")
    assert story.status(accepted) is Status.CONFORMING
    assert story.where("cooler") == (story.courier.unit, story.courier.unit)
    story.hands_over(story.courier, story.cell_lab, "cooler")
    assert story.where("cooler") == (story.cell_lab.unit, story.cell_lab.unit)


def test_an_extra_container_is_held_and_has_no_custodian(story: ConsignmentStory) -> None:
    """Something arrives that no release names: the receiver has it, nobody answers for it yet."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    accepted = story.accepts(story.courier, release, box="accepted", stray="extra")
    assert story.codes(accepted) == {"EXTRA_CONTAINER"}
    assert story.where("stray") == (None, story.courier.unit)
    assert not story.container("stray").is_declared
    assert story.where("box") == (story.courier.unit, story.courier.unit)


def test_a_release_line_without_an_answer_is_found(story: ConsignmentStory) -> None:
    """The acceptance says nothing of the cooler: it stays where it was."""
    story.opens("box", "cooler")
    release = story.releases(story.cell_lab, story.courier, "box", "cooler")
    accepted = story.accepts(story.courier, release, box="accepted")
    assert story.codes(accepted) == {"LINE_MISSING"}
    assert story.where("cooler") == (story.cell_lab.unit, story.cell_lab.unit)


@pytest.mark.parametrize("count", [0, 2])
def test_counts_must_agree_on_both_sides(story: ConsignmentStory, count: int) -> None:
    """A wrong count in a release or an acceptance is a finding; the count is checked, not the custody."""
    story.opens()
    release_body = story.release(story.cell_lab, story.courier)
    release_body.count = count
    release = story.says(story.cell_lab, release_body)
    accepted_body = story.acceptance(story.courier, release)
    accepted_body.count = count
    accepted = story.says(story.courier, accepted_body)
    assert story.codes(release) == story.codes(accepted) == {"COUNT_MISMATCH"}
    assert story.container().custodian == story.courier.unit


def test_a_container_is_answered_for_in_one_line(story: ConsignmentStory) -> None:
    """Twice is a contradiction in waiting, even if both say the same."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    body = story.acceptance(story.courier, release)
    body.lines.append(body.lines[0])
    body.count = 2
    assert "LINE_REPEATED" in story.codes(story.says(story.courier, body))


def test_a_withdrawn_release_passes_no_custody(story: ConsignmentStory) -> None:
    """The releaser withdraws; an acceptance behind that tells where the box is and nothing more."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    withdrawn = story.says(story.cell_lab, transport.ReleaseWithdrawn(release=release.digest))
    assert story.status(withdrawn) is Status.CONFORMING
    late = story.accepts(story.courier, release)
    assert story.codes(late) == {"RELEASE_WITHDRAWN"}
    assert story.where() == (story.cell_lab.unit, story.courier.unit)


def test_only_the_releaser_withdraws_and_renames(story: ConsignmentStory) -> None:
    """Others' withdrawals and renamings are recorded and change nothing."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    withdrawn = story.says(story.plant, transport.ReleaseWithdrawn(release=release.digest))
    renamed = story.says(story.plant, transport.ReceiverRenamed(release=release.digest, receiver=story.plant.stated))
    assert story.codes(withdrawn) == story.codes(renamed) == {"NOT_RELEASER"}
    assert story.status(story.accepts(story.courier, release)) is Status.CONFORMING


def test_a_release_is_answered_once(story: ConsignmentStory) -> None:
    """A second acceptance and a late withdrawal find the release answered."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    story.accepts(story.courier, release)
    again = story.accepts(story.courier, release)
    withdrawn = story.says(story.cell_lab, transport.ReleaseWithdrawn(release=release.digest))
    assert story.codes(again) == story.codes(withdrawn) == {"RELEASE_ALREADY_ANSWERED"}
    assert story.where() == (story.courier.unit, story.courier.unit)


def test_a_container_is_in_one_open_release(story: ConsignmentStory) -> None:
    """The same box released twice: the second release passes nothing."""
    story.opens()
    first = story.releases(story.cell_lab, story.courier)
    second = story.releases(story.cell_lab, story.plant)
    assert story.codes(second) == {"ALREADY_RELEASED"}
    story.accepts(story.plant, second)
    assert story.where() == (story.cell_lab.unit, story.plant.unit)
    assert story.container().release == first.digest
    assert [one.digest for one in story.state.open_releases()] == [first.digest]


def test_a_refused_release_leaves_custody_and_can_be_made_again(story: ConsignmentStory) -> None:
    """The receiver refuses as a whole; the release is closed and the next one passes."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    refused = story.says(story.courier, transport.CustodyRefused(release=release.digest, receiver=story.courier.stated))
    assert story.status(refused) is Status.CONFORMING
    story.hands_over(story.cell_lab, story.courier)
    assert story.container().custodian == story.courier.unit


def test_nobody_refuses_or_renames_what_is_not_theirs_to_answer(story: ConsignmentStory) -> None:
    """A refusal by another plant leaves the release open; a renaming after the answer changes nothing."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    refused = story.says(story.plant, transport.CustodyRefused(release=release.digest, receiver=story.plant.stated))
    assert story.codes(refused) == {"WRONG_RECEIVER"}
    assert len(story.state.open_releases()) == 1
    story.accepts(story.courier, release)
    renamed = story.says(story.cell_lab, transport.ReceiverRenamed(release=release.digest, receiver=story.plant.stated))
    assert story.codes(renamed) == {"RELEASE_ALREADY_ANSWERED"}
    assert story.state.releases[release.digest].receiver == story.courier.unit


def test_an_answer_that_names_something_else_is_no_answer(story: ConsignmentStory) -> None:
    """An acceptance names the opening instead of a release."""
    opened = story.opens()
    accepted = story.accepts(story.courier, opened)
    assert story.codes(accepted) == {"NOT_A_RELEASE"}
    assert story.where() == (story.cell_lab.unit, story.courier.unit)


def test_an_acceptance_after_the_time_of_the_policy_is_shown(story: ConsignmentStory) -> None:
    """A day and a minute later: an advisory, and custody passes."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier, minute=2)
    accepted = story.accepts(story.courier, release, minute=2 + 24 * 60 + 1)
    assert story.status(accepted) is Status.CONFORMING
    assert story.codes(accepted) == {"ACCEPTED_LATE"}
    assert story.container().custodian == story.courier.unit


def attested(story: ConsignmentStory, release: object, receiver: common.Unit) -> transport.CustodyAccepted:
    """Returns an acceptance attested for a receiver without a key."""
    assert isinstance(release, bytes)
    return transport.CustodyAccepted(
        release=release,
        receiver=receiver,
        lines=[common.HandoffLine(container="box", outcome=common.LINE_OUTCOME_ACCEPTED)],
        count=1,
        attestation=common.Attestation(name_sha256=bytes(32), badge="B-1", waybill="W-1"),
    )


def test_a_receiver_without_a_key_is_attested_for_by_two_persons(story: ConsignmentStory) -> None:
    """The handoff is shown as unsigned by the receiver; with a second person it can be passed on."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    accepted = story.says(story.cell_lab, attested(story, release.digest, story.courier.stated))
    assert story.status(accepted) is Status.CONFORMING
    assert story.codes(accepted) == {"UNSIGNED_BY_RECEIVER"}
    assert story.state.releases[release.digest].is_unsigned_by_receiver
    assert story.where() == (story.courier.unit, story.courier.unit)

    story.joins(story.second_technician, accepted)
    assert story.status(story.releases(story.courier, story.plant)) is Status.CONFORMING


def test_an_attestation_that_nobody_joined_cannot_be_passed_on(story: ConsignmentStory) -> None:
    """Neither no second person nor the same person again will do; a co-signature of before heals it."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    accepted = story.says(story.cell_lab, attested(story, release.digest, story.courier.stated))
    story.joins(story.cell_lab, accepted)
    passed_on = story.releases(story.courier, story.plant, minute=50)
    assert story.codes(passed_on) == {"ATTESTATION_UNWITNESSED"}
    assert story.held() == {"ATTESTATION_UNWITNESSED"}

    story.joins(story.second_technician, accepted, minute=40)  # Signed in time, delivered late.
    assert story.status(passed_on) is Status.CONFORMING
    assert story.held() == set()


def test_nobody_else_attests_to_a_handoff(story: ConsignmentStory) -> None:
    """A site that is neither releaser nor receiver attests: nothing moves."""
    story.opens()
    release = story.releases(story.cell_lab, story.courier)
    accepted = story.says(story.other_plant, attested(story, release.digest, story.courier.stated))
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(accepted)
    assert story.where() == (story.cell_lab.unit, story.cell_lab.unit)


def test_whoever_has_a_container_may_say_so(story: ConsignmentStory) -> None:
    """Possession is reported by its possessor; where it disagrees with custody, that is shown and nothing is held."""
    story.opens()
    reported = story.says(
        story.courier, transport.PossessionReported(possessor=story.courier.stated, containers=["box"], place="dock")
    )
    assert story.status(reported) is Status.CONFORMING
    assert story.codes(reported) == {"POSSESSION_DISPUTED"}
    assert story.where() == (story.cell_lab.unit, story.courier.unit)
    hearsay = story.says(story.cell_lab, transport.PossessionReported(possessor=story.plant.stated, containers=["box"]))
    assert "SIGNED_FOR_ANOTHER_SITE" in story.codes(hearsay)
    assert story.container().possessor == story.courier.unit
