"""A seed decides everything that is simulated, and each therapy stands for itself."""

from cellcustody.clients.simulation.cast import gather
from cellcustody.clients.simulation.seeded import Seeded


def test_the_same_path_gives_the_same_values() -> None:
    """In whatever order generators are asked."""
    one, other = Seeded(1, "therapy", 7), Seeded(1, "therapy", 7)
    Seeded(1, "therapy", 8).take(100)

    assert [one.take(16), one.between(1, 1000), one.happens(0.5)] == [
        other.take(16),
        other.between(1, 1000),
        other.happens(0.5),
    ]


def test_another_seed_or_number_gives_others() -> None:
    """Neither therapies nor worlds repeat each other."""
    taken = {Seeded(*path).take(16) for path in ((1, "therapy", 1), (1, "therapy", 2), (2, "therapy", 1), (11, "x"))}

    assert len(taken) == 4


def test_shares_are_those_asked_for() -> None:
    """Never, always, and about as often as was said."""
    dice = Seeded(3)

    assert not any(dice.happens(0.0) for _ in range(100))
    assert all(dice.happens(1.0) for _ in range(100))
    assert 400 < sum(dice.happens(0.05) for _ in range(10_000)) < 600


def test_a_world_is_found_again_by_its_seed() -> None:
    """Ids and keys are the same, though nothing was kept."""
    first, again, other = gather(5), gather(5), gather(6)

    assert [one.signer.key_id for one in first.people()] == [one.signer.key_id for one in again.people()]
    assert [one.site for one in first.sites] == [one.site for one in again.sites]
    assert not {one.person for one in first.people()} & {one.person for one in other.people()}


def test_both_packs_have_hospitals() -> None:
    """Half of the therapies go by each of the two sample packs."""
    world = gather(1)

    assert sorted(one.jurisdiction for one in world.hospitals) == ["EU", "EU", "US", "US"]
    assert {one.jurisdiction for one in world.packs.values()} == {"EU", "US"}
