"""Sums of quantities, back-entries that wait for a second person, notices that count."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.back_entry import unattested
from cellcustody.ledger.custody.balances import total
from cellcustody.ledger.custody.therapy_state import Amount
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality

from .stories import OTHER_THERAPY, SECOND_NURSE, THERAPY, Story

LESS_THAN = 2


def _millilitres(mantissa: int, exponent: int = 0) -> Amount:
    return Amount(mantissa, exponent, "mL")


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([_millilitres(2), _millilitres(3)], _millilitres(5)),
        ([_millilitres(2), _millilitres(35, -1)], _millilitres(55, -1)),
        ([_millilitres(35, -1), _millilitres(2, 1)], _millilitres(235, -1)),
        ([_millilitres(7)], _millilitres(7)),
        ([], None),
        ([_millilitres(2), None], None),
        ([None], None),
        ([_millilitres(2), Amount(3, 0, "L")], None),
        ([_millilitres(2), Amount(3, 0, "mL", comparator=LESS_THAN)], None),
    ],
)
def test_amounts_add_up_in_one_unit(amounts: list[Amount | None], expected: Amount | None) -> None:
    """Exactly, whatever their exponents; one that is unknown, open-ended or in another unit leaves the sum unknown."""
    assert total(amounts) == expected


def _from_paper() -> harvest.ConsentRecorded:
    body = harvest.ConsentRecorded()
    body.circumstances.CopyFrom(common.Circumstances(mode=common.ENTRY_MODE_FROM_PAPER, reason="network down"))
    return body


def test_an_entry_from_paper_waits_for_a_second_person() -> None:
    """In its own stream; joined, corrected or taken back, it waits no more; a direct one never does."""
    story = Story()
    story.enrols()
    direct = story.consents()
    paper = story.tell(_from_paper())
    state = story.case().state
    assert [one.digest for one in unattested(state, THERAPY)] == [paper.digest]
    assert list(unattested(state, OTHER_THERAPY)) == []
    assert direct.digest not in {one.digest for one in unattested(state, THERAPY)}

    joined = Story(list(story.acts), story.now)
    joined.join(paper, SECOND_NURSE)
    assert list(unattested(joined.case().state, THERAPY)) == []

    taken_back = Story(list(story.acts), story.now)
    taken_back.tell(quality.StatementRetracted(retracted=paper.digest))
    assert list(unattested(taken_back.case().state, THERAPY)) == []

    corrected = Story(list(story.acts), story.now)
    right = harvest.ConsentRecorded(replaces=paper.digest)
    replacement = corrected.tell(right)
    corrected.tell(quality.StatementCorrected(corrected=paper.digest, replacement=replacement.digest))
    assert list(unattested(corrected.case().state, THERAPY)) == []
