"""Who has a container is who last said so; words about a handoff move nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellcustody.v1 import transport_pb2 as transport

if TYPE_CHECKING:
    from tests.unit.custody_consignment.conftest import ConsignmentStory


def test_a_withdrawal_does_not_bring_back_what_the_wrong_receiver_took(story: ConsignmentStory) -> None:
    """The other plant took the box; the laboratory takes its release back, and does not have the box by that."""
    story.opens()
    release = story.releases(story.cell_lab, story.plant)
    story.accepts(story.other_plant, release)
    story.says(story.cell_lab, transport.ReleaseWithdrawn(release=release.digest))

    assert story.where() == (story.cell_lab.unit, story.other_plant.unit)


def test_a_refusal_as_a_whole_says_nothing_of_who_has_it(story: ConsignmentStory) -> None:
    """The right receiver refuses what never came: the other plant still has it."""
    story.opens()
    release = story.releases(story.cell_lab, story.plant)
    story.accepts(story.other_plant, release)
    story.says(story.plant, transport.CustodyRefused(release=release.digest, receiver=story.plant.stated))

    assert story.where() == (story.cell_lab.unit, story.other_plant.unit)
    assert story.container().release is None


def test_a_line_refused_stays_with_the_releaser(story: ConsignmentStory) -> None:
    """Line by line the two stand before the containers: what is refused the releaser keeps."""
    story.opens("box", "cooler")
    release = story.releases(story.cell_lab, story.courier, "box", "cooler")
    story.accepts(story.courier, release, box="accepted", cooler="refused")

    assert story.where("box") == (story.courier.unit, story.courier.unit)
    assert story.where("cooler") == (story.cell_lab.unit, story.cell_lab.unit)


def test_settling_one_container_leaves_the_release_of_the_other(story: ConsignmentStory) -> None:
    """Custody of the box is established while box and cooler are released: the cooler's handoff goes on."""
    story.opens("box", "cooler")
    release = story.releases(story.cell_lab, story.courier, "box", "cooler")
    settled = transport.CustodyEstablished(custodian=story.plant.stated, containers=["box"])
    story.authorises(story.cell_lab, settled)
    accepted = story.accepts(story.courier, release, box="accepted", cooler="accepted")

    assert story.codes(accepted) == {"RELEASE_NOT_BY_CUSTODIAN"}
    assert story.where("box") == (story.plant.unit, story.courier.unit)
    assert story.where("cooler") == (story.courier.unit, story.courier.unit)


def test_settling_all_containers_ends_the_release(story: ConsignmentStory) -> None:
    """Nothing is left that the release could pass: it waits for no answer."""
    story.opens()
    story.releases(story.cell_lab, story.courier)
    story.authorises(story.cell_lab, transport.CustodyEstablished(custodian=story.plant.stated, containers=["box"]))

    assert not story.state.open_releases()


def test_a_second_release_does_not_find_what_is_lost(story: ConsignmentStory) -> None:
    """Of two containers the laboratory answers for the lost one and not for the other: it has the other alone."""
    story.opens("box", "cooler")
    story.hands_over(story.cell_lab, story.courier, "box")
    story.releases(story.cell_lab, story.plant, "cooler")
    story.says(story.cell_lab, transport.ContainersLost(containers=["cooler"]))
    story.releases(story.cell_lab, story.plant, "box", "cooler")

    assert story.where("box") == (story.courier.unit, story.cell_lab.unit)
    assert story.where("cooler") == (story.cell_lab.unit, None)
