"""What a simulated therapy says: the same for the same seed, each act by its own person, late and wrong as asked."""

from collections import Counter

import pytest
from stand_in_ledger import Taken, told

from cellcustody.clients.simulation.telling import Rates
from cellcustody.ledger.contract import BODIES

QUIET = Rates(excursions=0, corrections=0, handoffs=0, late=0, batches_failed=0)
REPLACED = "cellcustody.v1.StatementCorrected"


def body_types(taken: Taken) -> Counter[str]:
    """Counts the statements by the short name of their bodies."""
    return Counter(one.body_type.rpartition(".")[2] for one in taken.statements)


def test_the_same_seed_says_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte: ids, times, salts, counters and signatures."""
    first, _ = told(monkeypatch, 3)
    again, _ = told(monkeypatch, 3)

    assert [one.envelope for one in first.statements] == [one.envelope for one in again.statements]
    assert [one.openings for one in first.statements] == [one.openings for one in again.statements]


def test_what_was_told_before_at_the_same_desks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread tells a therapy, and after whatever others."""
    alone, _ = told(monkeypatch, 3)
    after_others, _ = told(monkeypatch, 1, 2, 3)

    assert [one.envelope for one in alone.statements] == [one.envelope for one in after_others.statements]


def test_another_number_says_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement id is used twice, whatever thread tells the therapy."""
    first, _ = told(monkeypatch, 3)
    other, _ = told(monkeypatch, 4)

    assert not {one.statement_id for one in first.statements} & {one.statement_id for one in other.statements}


def test_a_quiet_therapy_goes_from_enrolment_to_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    """About a hundred statements, none corrected, none meant to break a rule."""
    taken, telling = told(monkeypatch, 2, rates=QUIET)
    said = body_types(taken)

    assert 80 < len(taken.statements) < 200
    assert taken.statements[0].body_type.endswith("TherapyEnrolled")
    assert taken.statements[-1].body_type.endswith("TherapyClosed")
    assert said["InfusionStopped"] >= 1
    assert REPLACED not in said
    assert not telling.intended


def test_what_is_said_wrongly_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each correction names the wrong statement and the right one, which came before it."""
    taken, telling = told(monkeypatch, 2, rates=Rates(0, 0.2, 0, 0, 0, 0))

    assert body_types(taken)["StatementCorrected"] == telling.summary.counts["corrected"] > 10


def test_late_statements_come_after_what_was_signed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of what is signed is delivered later, and nothing is lost."""
    late, telling = told(monkeypatch, 2, rates=Rates(0, 0, 0, 0.2, 0, 0))
    signed = [one.header.signed_at.unix_micros for one in late.parsed]

    assert signed != sorted(signed)
    assert telling.summary.counts["late"] > 10
    assert late.statements[-1].body_type.endswith("TherapyClosed")


def test_an_authorisation_finds_nothing_waiting_in_an_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was signed before an authorisation is delivered before it."""
    taken, _ = told(monkeypatch, 2, rates=Rates(0, 0, 0, 0.3, 0, 0))
    newest = 0
    for one in taken.parsed:
        at = one.header.signed_at.unix_micros
        if one.header.body_type and BODIES[one.header.body_type].is_authorisation:
            assert at >= newest
        newest = max(newest, at)


def test_an_excursion_and_its_disposition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each leg's inspection is meant to be found, and quality decides on each."""
    taken, telling = told(monkeypatch, 2, rates=Rates(1.0, 0, 0, 0, 0, 0.0))
    said = body_types(taken)

    assert said["ConditionDisposed"] == said["ReceiptInspected"] == 3
    assert sorted(map(sorted, telling.intended.values())) == [["EXCURSION"]] * 3


def test_a_refused_or_missing_handoff_is_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every release that failed is followed by another of the same container."""
    taken, telling = told(monkeypatch, 2, rates=Rates(0, 0, 1.0, 0, 0, 0))
    said, counts = body_types(taken), telling.summary.counts

    assert counts["handoffs refused"] + counts["handoffs incomplete"] == counts["handoffs"] == 6
    assert said["CustodyReleased"] == 12
    assert said["CustodyRefused"] == counts["handoffs refused"]
    assert said["HoldLifted"] == counts["handoffs incomplete"] == len(telling.intended)


@pytest.mark.parametrize("number", range(1, 9))
def test_every_material_ends(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Also where batches fail and what travelled is rejected: nothing is left open at the closure."""
    taken, telling = told(monkeypatch, number, rates=Rates(0.4, 0, 0, 0, 0.6, 0.7))
    said = body_types(taken)
    released = said["BatchReleased"] + said["BatchReleasedConditionally"]

    assert said["TherapyClosed"] == 1
    assert released + said["BatchTerminated"] + said["BatchRejected"] == telling.summary.counts["batches"]
    assert sum(telling.summary.outcomes.values()) == 1
