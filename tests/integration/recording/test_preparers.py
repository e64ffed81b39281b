"""Other processes say which statements of a batch are right, and no more than preparing them here would find."""

from __future__ import annotations

from contextlib import closing

from courses import World

from cellcustody.ledger.recording.preparers import CHUNK_STATEMENTS, Preparers, prepared_elsewhere
from cellcustody.v1 import quality_pb2 as quality


def test_a_bad_signature_in_a_large_batch_is_found_and_the_others_are_the_same(world: World) -> None:
    """One bit of one envelope is turned; the batch goes in two chunks, in order."""
    ledger = world.harness.ledger
    course = world.course()
    made = [
        world.harness.statement(world.nurse, course.stream, quality.DeviationRaised(reference=f"DEV-{number}"))
        for number in range(CHUNK_STATEMENTS + 5)
    ]
    statements = [(one.envelope, one.openings) for one in made]
    bad = bytearray(statements[7][0])
    bad[len(bad) // 2] ^= 1
    statements[7] = (bytes(bad), statements[7][1])
    with closing(Preparers(1)) as preparers:
        answers = list(preparers.check(statements, ledger.key_lookup))
    assert [len(answer) for answer in answers] == [CHUNK_STATEMENTS, 5]
    said = [is_right for answer in answers for is_right in answer]
    assert [number for number, is_right in enumerate(said) if not is_right] == [7]

    here, there = ledger.prepare(made[0]), prepared_elsewhere(*statements[0])
    assert (here.statement.digest, here.body, here.openings) == (there.statement.digest, there.body, there.openings)


def test_without_processes_nothing_is_called_right(world: World) -> None:
    """Closed, they answer that everything must be found out here."""
    one = world.harness.statement(world.nurse, world.course().stream, quality.DeviationRaised(reference="DEV-1"))
    preparers = Preparers(1)
    preparers.close()
    assert list(preparers.check([(one.envelope, one.openings)], world.harness.ledger.key_lookup)) == [[False]]
