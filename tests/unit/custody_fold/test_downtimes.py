"""A site that worked on paper: its own word, once ended, with every form accounted for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.downtimes import Downtime
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.sites import SiteRules, SiteState
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

OWN, OTHER = b"o" * 16, b"x" * 16
STREAM = b"\x04" + OWN


def told(body: Message, number: int, *, by: bytes = OWN) -> Act:
    """Returns an act that occurs at this number of microseconds."""
    return Act(
        digest=hashlib.sha256(bytes((number,)) + body.SerializeToString(deterministic=True)).digest(),
        stream=STREAM,
        leaf_index=number,
        body_type=body.DESCRIPTOR.full_name,
        body=body,
        signer=by,
        site=by,
        role="operator",
        occurred_start=number,
        occurred_end=None,
        signed_at=number,
    )


def declared(*forms: str, number: int = 1, by: bytes = OWN) -> Act:
    """Returns the start of a downtime."""
    return told(transport.DowntimeDeclared(reference="DT-1", system="mes", forms=forms), number, by=by)


def ended(start: Act, *, used: tuple[str, ...] = (), void: tuple[str, ...] = (), number: int = 5) -> Act:
    """Returns the end of a downtime."""
    return told(transport.DowntimeEnded(declared=start.digest, forms_used=used, forms_void=void), number)


def site(*acts: Act) -> Fold[SiteState]:
    """Returns the fold of the site's stream, delivered backwards."""
    fold = Fold(SiteRules(STREAM))
    for act in reversed(acts):
        fold.append(act)
    return fold


def codes(fold: Fold[SiteState], act: Act) -> frozenset[str]:
    """Returns what was found in an act."""
    return codes_of(fold.judged[act.digest].findings)


def test_a_downtime_lasts_from_its_declaration_to_its_end() -> None:
    """Both moments are in it; while nobody ended it, it lasts on."""
    start = declared("F-1", "F-2", number=3)
    open_still = site(start).state.downtimes[start.digest]
    assert [open_still.lasted_at(moment) for moment in (2, 3, 99)] == [False, True, True]
    end = ended(start, used=("F-1",), void=("F-2",), number=7)
    fold = site(start, end)
    assert fold.judged[end.digest].findings == ()
    assert fold.state.downtimes == {
        start.digest: Downtime(
            start.digest,
            "DT-1",
            "mes",
            3,
            frozenset(("F-1", "F-2")),
            end.digest,
            7,
            frozenset(("F-1",)),
            frozenset(("F-2",)),
        )
    }
    over = fold.state.downtimes[start.digest]
    assert [over.lasted_at(moment) for moment in (3, 7, 8)] == [True, True, False]


@pytest.mark.parametrize("forms", [("F-1", "F-1"), ("F-1", "")])
def test_forms_have_names_and_each_its_own(forms: tuple[str, ...]) -> None:
    """Twice the same, or none."""
    start = declared(*forms)
    assert codes(site(start), start) == {"FORMS_NOT_DISTINCT"}


@pytest.mark.parametrize(
    ("used", "void"),
    [(("F-1",), ()), (("F-1", "F-2"), ("F-2",)), (("F-1", "F-2"), ("F-3",)), ((), ())],
    ids=["one untold", "one told twice", "one too many", "none told"],
)
def test_every_form_is_told_of_once_at_the_end(used: tuple[str, ...], void: tuple[str, ...]) -> None:
    """Used or destroyed; the downtime is over all the same."""
    start = declared("F-1", "F-2")
    end = ended(start, used=used, void=void)
    fold = site(start, end)
    assert codes(fold, end) == {"FORMS_UNACCOUNTED"}
    assert fold.state.downtimes[start.digest].ended_by == end.digest


def test_a_downtime_ends_once_and_not_before_it_began() -> None:
    """At the moment it began is not before; the first end counts."""
    start = declared(number=3)
    end, again = ended(start, number=3), ended(start, number=9)
    fold = site(start, end, again)
    assert codes(fold, end) == frozenset()
    assert codes(fold, again) == {"DOWNTIME_ENDED_BEFORE"}
    assert fold.state.downtimes[start.digest].ended_at == 3
    early = ended(start, number=2)
    assert codes(site(start, early), early) == {"DOWNTIME_ENDS_BEFORE_START"}


def test_a_site_speaks_of_its_own_downtime() -> None:
    """Another's word is held against it and changes nothing."""
    strange = declared("F-1", by=OTHER)
    fold = site(strange)
    assert codes(fold, strange) == {"DOWNTIME_OF_ANOTHER_SITE"}
    assert fold.state.downtimes == {}
    start = declared(number=1)
    meant = replace(ended(start), site=OTHER)
    fold = site(start, meant)
    assert codes(fold, meant) == {"DOWNTIME_OF_ANOTHER_SITE"}
    assert fold.state.downtimes[start.digest].ended_by == b""


def test_an_end_waits_for_its_declaration_and_names_nothing_else() -> None:
    """What is not here may come; a deviation is no declaration."""
    start = declared()
    end = ended(start)
    assert site(end).judged[end.digest].status is Status.AWAITING
    raised = told(quality.DeviationRaised(reference="D-1"), 1)
    wrong = ended(raised)
    assert codes(site(raised, wrong), wrong) == {"OTHER_STATEMENT_NAMED"}
