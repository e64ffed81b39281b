"""What whoever counted labels is told of a count that is off."""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.harvest_values import harvest_values
from cellcustody.ledger.custody.lots import LotState
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels

from .stories import APHERESIS, COI, DIN, Story


def _counted(printed: int, applied: int, voided: int = 0, returned: int = 0) -> tuple[Story, Act]:
    """Returns a story in which five labels were printed and two returned, and a count of them."""
    story = Story()
    story.enrols()
    serials = [f"L{number}" for number in range(5)]
    story.tell(labels.LabelsPrinted(serials=serials, coi=COI, din=DIN, unit=APHERESIS))
    story.tell(labels.LabelsReturned(serials=serials[:2], unit=APHERESIS))
    body = labels.LabelsReconciled(unit=APHERESIS, printed=printed, applied=applied, voided=voided, returned=returned)
    return story, story.tell(body)


def _values(story: Story, act: Act) -> dict[str, tuple[tuple[str, str], ...]]:
    case = story.case()
    return dict(harvest_values(case.state, act, case.judged[act.digest]))


def test_a_count_that_is_off_is_told_by_how_much() -> None:
    """Five printed, and three of them accounted for."""
    story, act = _counted(5, 1, returned=2)
    assert _values(story, act)["LABELS_DO_NOT_BALANCE"] == (("difference", "2"),)


def test_a_count_that_differs_is_told_what_the_ledger_knows() -> None:
    """It balances, and is not what was recorded; nothing is said of a difference that is none."""
    story, act = _counted(4, 2, returned=2)
    assert _values(story, act) == {
        "LABEL_COUNT_DIFFERS": (
            ("known_printed", "5"),
            ("known_applied", "0"),
            ("known_voided", "0"),
            ("known_returned", "2"),
        )
    }


def test_a_count_that_is_sound_is_told_nothing() -> None:
    """Nor is another act, or a count that is no therapy's."""
    story, act = _counted(5, 3, returned=2)
    case = story.case()
    assert {finding.code for finding in case.judged[act.digest].findings} == {"LABEL_COUNT_DIFFERS"}
    off, counted = _counted(5, 1, returned=2)
    judged = off.case().judged[counted.digest]
    assert harvest_values(LotState(), counted, judged) == []
    consent = off.tell(harvest.ConsentRecorded())
    assert harvest_values(off.case().state, consent, judged) == []
