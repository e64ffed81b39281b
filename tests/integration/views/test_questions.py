"""The custody questions, asked of a real ledger by those who may ask and those who may not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.identifiers import CheckCharacterError, IdentifierMalformedError
from cellcustody.ledger.views import (
    ConsignmentNotFoundError,
    LotNotFoundError,
    MaterialNotFoundError,
    PageTokenInvalidError,
    QuestionIncompleteError,
    Reader,
    ReadNotPermittedError,
    TherapyNotFoundError,
    ViewBehindError,
    Views,
)
from cellcustody.v1 import common_pb2, modification_pb2, options_pb2, quality_pb2, transport_pb2
from cellcustody.v1 import custody_query_service_pb2 as pb

from ...unit.custody_therapy.stories import (
    APHERESIS,
    COI,
    DAY,
    DRIVER,
    HOUR,
    MINUTE,
    NURSE,
    OPERATOR,
    OUTWARD,
    SUITE,
    THERAPY,
    VAN,
    Story,
    material,
    new,
)
from .told_ledger import ToldLedger

BY_STREAM = pb.TherapyName(stream=THERAPY)
BY_COI = pb.TherapyName(alias=common_pb2.Alias(scheme="isbt128-coi", value=COI))
APHERESIS_BAG = material("apheresis")


class Asking:
    """A ledger to which a story was told, its views, and the readers who ask."""

    def __init__(self, folder: Path) -> None:
        self.told = ToldLedger(folder)
        self.views = Views.open(folder / "views.sqlite3", self.told.harness.ledger)
        self.tell()

    def close(self) -> None:
        self.views.close()
        self.told.harness.close()

    def tell(self, *acts: Act) -> None:
        for act in acts:
            self.told.tell(act)
        assert self.views.wait_for(self.told.harness.ledger.checkpoint_size(), 30)

    def reader(self, site: bytes) -> Reader:
        found = self.told.harness.ledger.registry.latest.site(site)
        assert found is not None
        return Reader(site, found.capabilities)

    @property
    def hospital(self) -> Reader:
        return self.reader(self.told.hospital)

    @property
    def courier(self) -> Reader:
        return self.reader(self.told.courier)

    @property
    def plant(self) -> Reader:
        return self.reader(self.told.plant)

    @property
    def auditor(self) -> Reader:
        return Reader(b"a" * 16, frozenset({options_pb2.CAPABILITY_AUDIT}))

    @property
    def regulator(self) -> Reader:
        return Reader(b"r" * 16, frozenset({options_pb2.CAPABILITY_REGULATE}))

    @property
    def stranger(self) -> Reader:
        return Reader(b"s" * 16, frozenset({options_pb2.CAPABILITY_PROCESS}))

    def custody(self, **request: object) -> pb.MaterialCustody:
        """Returns custody of the collected bag, as the hospital is told it."""
        asked = pb.GetCustodyRequest(material=APHERESIS_BAG, **request)  # type: ignore[arg-type]
        (found,) = self.views.get_custody(asked, self.hospital, wait_seconds=1).materials
        return found


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    opened = Asking(tmp_path)
    yield opened
    opened.close()


def in_transit(story: Story) -> tuple[Act, Act]:
    """Tells up to a bag on the van, released to the plant; returns the two last acts: acceptance and release."""
    story.to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    accepted = story.hands_over(OUTWARD, APHERESIS, VAN, NURSE, DRIVER)
    released = story.releases(OUTWARD, VAN, SUITE, DRIVER)
    return accepted, released


def test_custody_of_a_bag_on_the_van_is_the_couriers(asking: Asking) -> None:
    """A packed bag's custodian is its container's, found by stream, by identifier and by the bag itself."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)

    therapy = asking.views.get_therapy(pb.GetTherapyRequest(therapy=BY_COI), asking.hospital, wait_seconds=1)
    assert therapy.stream == THERAPY
    assert therapy.position == asking.views.position
    assert list(therapy.consignments) == [OUTWARD]
    assert therapy.last_statement_digest == asking.told.harness.last[THERAPY]
    (bag,) = therapy.materials
    assert bag == asking.custody() == asking.custody(therapy=BY_STREAM)
    assert (bag.custodian.site, bag.possessor.site, bag.container) == (asking.told.courier,) * 2 + ("shipper-1",)
    assert not bag.disputed


def test_custody_as_it_was_and_as_it_was_known(asking: Asking) -> None:
    """Before the van's acceptance the hospital answers; and nothing of it was known before it was recorded."""
    story = Story()
    accepted, _ = in_transit(story)
    before = story.acts.index(accepted)
    asking.tell(*story.acts[:before])
    known = asking.views.position
    asking.tell(*story.acts[before:])

    assert asking.custody().custodian.site == asking.told.courier
    assert asking.custody(at_unix_micros=accepted.occurred_start - 1).custodian.site == asking.told.hospital
    assert asking.custody(at_unix_micros=accepted.occurred_start).custodian.site == asking.told.courier
    assert asking.custody(known_at_position=known).custodian.site == asking.told.hospital
    late = asking.custody(known_at_position=known, at_unix_micros=accepted.occurred_start)
    assert late.custodian.site == asking.told.hospital


def test_what_waits_for_whom(asking: Asking) -> None:
    """A release is outgoing for the courier and incoming for the plant, with its age, and overdue after a day."""
    story = Story()
    _, released = in_transit(story)
    asking.tell(*story.acts)
    now = released.occurred_start + HOUR

    incoming = asking.views.lists.get_worklist(
        pb.GetWorklistRequest(unit=common_pb2.Unit(site=asking.told.plant)),
        asking.plant,
        now_micros=now,
        wait_seconds=1,
    ).incoming
    (handoff,) = incoming
    assert (handoff.consignment, handoff.age_seconds, handoff.overdue) == (OUTWARD, 3600, False)
    outgoing = asking.views.lists.get_worklist(
        pb.GetWorklistRequest(unit=common_pb2.Unit(site=asking.told.courier)),
        asking.courier,
        now_micros=now,
        wait_seconds=1,
    ).outgoing
    assert list(outgoing) == [handoff]

    (open_now,) = asking.views.lists.list_open_handoffs(
        pb.ListOpenHandoffsRequest(), asking.auditor, now_micros=now + 2 * DAY, wait_seconds=1
    ).handoffs
    assert open_now.overdue
    of_hospital = asking.views.lists.list_open_handoffs(
        pb.ListOpenHandoffsRequest(site=asking.told.hospital), asking.hospital, now_micros=now, wait_seconds=1
    ).handoffs
    assert not of_hospital

    asking.tell(story.accepts(released, SUITE, OPERATOR))
    assert not asking.views.lists.list_open_handoffs(
        pb.ListOpenHandoffsRequest(), asking.auditor, now_micros=now, wait_seconds=1
    ).handoffs


def test_a_carrier_sees_its_consignment_and_no_therapy(asking: Asking) -> None:
    """The courier is told of containers, never of materials or of a therapy, though it has both."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)
    views, courier = asking.views, asking.courier

    consignment = views.get_consignment(
        pb.GetConsignmentRequest(consignment=OUTWARD), courier, now_micros=story.now, wait_seconds=1
    )
    assert [one.container for one in consignment.containers] == ["shipper-1"]
    holdings = views.lists.get_holdings(
        pb.GetHoldingsRequest(unit=common_pb2.Unit(site=courier.site)), courier, wait_seconds=1
    )
    assert [one.container.container for one in holdings.containers] == ["shipper-1"]
    assert not holdings.materials

    with pytest.raises(ReadNotPermittedError):
        views.get_therapy(pb.GetTherapyRequest(therapy=BY_COI), courier, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        views.get_custody(pb.GetCustodyRequest(material=APHERESIS_BAG), courier, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        views.get_history(pb.GetHistoryRequest(therapy=BY_STREAM), courier, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        views.get_readiness(pb.GetReadinessRequest(material=APHERESIS_BAG), courier, now_micros=0, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        views.lists.trace_lot(pb.TraceLotRequest(lot_number="V-1"), courier, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        next(views.watch(pb.WatchRequest(stream=THERAPY), lambda: courier, threading.Event()))


def test_a_name_typed_with_a_slip_is_answered_with_nobodys_therapy(asking: Asking) -> None:
    """A printed identifier is held to its check character, and nothing may follow it."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)
    wrong = f"{COI[:-1]}0"

    for typed in (COI, f" {COI}\n", COI[:-1], f"&/{COI[:-1]}"):
        name = pb.TherapyName(alias=common_pb2.Alias(scheme="isbt128-coi", value=typed))
        answer = asking.views.get_therapy(pb.GetTherapyRequest(therapy=name), asking.hospital, wait_seconds=1)
        assert answer.stream == THERAPY
    for typed, error in ((wrong, CheckCharacterError), (f"{COI}0", IdentifierMalformedError)):
        name = pb.TherapyName(alias=common_pb2.Alias(scheme="isbt128-coi", value=typed))
        with pytest.raises(error):
            asking.views.get_therapy(pb.GetTherapyRequest(therapy=name), asking.hospital, wait_seconds=1)


def test_a_site_that_takes_no_part_finds_nothing(asking: Asking) -> None:
    """A guessed name, bag or consignment is not found, exactly as one that does not exist."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)
    views, stranger = asking.views, asking.stranger

    for name in (BY_COI, BY_STREAM, pb.TherapyName(stream=b"\x01" + bytes(16))):
        with pytest.raises(TherapyNotFoundError):
            views.get_therapy(pb.GetTherapyRequest(therapy=name), stranger, wait_seconds=1)
    with pytest.raises(MaterialNotFoundError):
        views.get_custody(pb.GetCustodyRequest(material=APHERESIS_BAG), stranger, wait_seconds=1)
    with pytest.raises(ConsignmentNotFoundError):
        views.get_consignment(pb.GetConsignmentRequest(consignment=OUTWARD), stranger, now_micros=0, wait_seconds=1)
    with pytest.raises(ReadNotPermittedError):
        views.lists.get_holdings(
            pb.GetHoldingsRequest(unit=common_pb2.Unit(site=asking.told.plant)), stranger, wait_seconds=1
        )
    with pytest.raises(QuestionIncompleteError):
        views.get_therapy(pb.GetTherapyRequest(), stranger, wait_seconds=1)


def test_a_bag_is_ready_once_nothing_stands_against_it(asking: Asking) -> None:
    """Before its thaw every reason is told, with what would make it pass; afterwards the answer is yes."""
    story = Story().to_the_end()
    thaw = next(one for one in story.acts if one.body_type.endswith("MaterialThawed"))
    before = story.acts.index(thaw)
    bag = material("bag-1")
    asking.tell(*story.acts[:before])

    asked = pb.GetReadinessRequest(material=bag)
    answer = asking.views.get_readiness(asked, asking.hospital, now_micros=thaw.occurred_start, wait_seconds=1)
    assert not answer.ready
    assert [one.code for one in answer.reasons] == ["NOT_THAWED"]
    assert all("To pass:" in one.explanation for one in answer.reasons)

    asking.tell(thaw)
    answer = asking.views.get_readiness(asked, asking.hospital, now_micros=thaw.occurred_start + MINUTE, wait_seconds=1)
    assert (answer.ready, list(answer.reasons)) == (True, [])
    over = thaw.occurred_start + 31 * MINUTE
    late = asking.views.get_readiness(asked, asking.hospital, now_micros=over, wait_seconds=1)
    assert [one.code for one in late.reasons] == ["BUDGET_EXCEEDED"]


def test_a_corrected_label_stands_in_the_history_beside_its_replacement(asking: Asking) -> None:
    """A history shows the corrected fact, what replaced it, and which statement said so."""
    story = Story().to_the_collection()
    wrong = story.acts[-1]
    replacement = type(wrong.body).FromString(wrong.body.SerializeToString()) if wrong.body is not None else None
    assert replacement is not None
    replacement.MergeFrom(type(replacement)(division="01", replaces=wrong.digest))
    right = story.tell(replacement)
    correction = story.tell(
        quality_pb2.StatementCorrected(corrected=wrong.digest, replacement=right.digest), is_in_effect=False
    )
    asking.tell(*story.acts)

    history = asking.views.get_history(pb.GetHistoryRequest(therapy=BY_STREAM), asking.hospital, wait_seconds=1)
    by_digest = {one.statement_digest: one for one in history.items}
    real = asking.told.real
    assert by_digest[real[wrong.digest]].superseded_by == real[correction.digest]
    assert not by_digest[real[right.digest]].superseded_by
    labels = [one.summary for one in history.items if one.body_type.endswith("LabelApplied")]
    assert len(labels) == 2
    assert "division 01" in labels[1]
    (shown,) = asking.views.get_custody(
        pb.GetCustodyRequest(therapy=BY_STREAM), asking.hospital, wait_seconds=1
    ).materials
    assert ("division", "01") in {(one.name, one.value) for one in shown.label}


def test_a_container_that_was_not_there_is_a_gap_until_it_is_found(asking: Asking) -> None:
    """An acceptance that misses a container opens a gap and a hold; whoever finds it ends the gap."""
    story = Story()
    _, released = in_transit(story)
    missed = story.tell(
        transport_pb2.CustodyAccepted(
            release=released.digest,
            receiver=SUITE,
            lines=[common_pb2.HandoffLine(container="shipper-1", outcome=common_pb2.LINE_OUTCOME_NOT_PRESENT)],
        ),
        OPERATOR,
        stream=OUTWARD,
    )
    asking.tell(*story.acts)
    asked = pb.GetHistoryRequest(therapy=BY_STREAM)
    (gap,) = asking.views.get_history(asked, asking.hospital, wait_seconds=1).gaps
    assert (gap.start_unix_micros, gap.HasField("end_unix_micros")) == (missed.occurred_start, False)
    assert gap.statement_digest == asking.told.real[missed.digest]

    worklist = asking.views.lists.get_worklist(
        pb.GetWorklistRequest(unit=common_pb2.Unit(site=asking.told.plant)),
        asking.plant,
        now_micros=story.now,
        wait_seconds=1,
    )
    assert [one.statement_digest for one in worklist.refused] == [asking.told.real[missed.digest]]
    assert "shipper-1 not present" in worklist.refused[0].summary
    therapy = asking.views.get_therapy(pb.GetTherapyRequest(therapy=BY_STREAM), asking.hospital, wait_seconds=1)
    assert [one.statement_digest for one in therapy.holds] == [asking.told.real[missed.digest]]
    assert asking.custody().disputed

    found = story.tell(
        transport_pb2.PossessionReported(possessor=VAN, containers=["shipper-1"], place="depot"),
        DRIVER,
        stream=OUTWARD,
    )
    asking.tell(found)
    (gap,) = asking.views.get_history(asked, asking.hospital, wait_seconds=1).gaps
    assert gap.end_unix_micros == found.occurred_start


def test_an_auditor_is_told_custody_and_a_regulator_results_too(asking: Asking) -> None:
    """Both see the whole history; results and lots are told to the regulator alone."""
    story = Story().to_the_release()
    asking.tell(*story.acts)
    asked = pb.GetHistoryRequest(therapy=BY_STREAM)

    audited = asking.views.get_history(asked, asking.auditor, wait_seconds=1)
    told = asking.views.get_history(asked, asking.regulator, wait_seconds=1)
    assert len(audited.items) == len(told.items) == len(story.acts)
    results = [one.summary for one in audited.items if one.body_type.endswith("ResultReported")]
    assert all("withheld" in one and "sterility" not in one for one in results)
    assert any("sterility" in one.summary for one in told.items)
    seen = pb.GetTherapyRequest(therapy=BY_STREAM)
    assert not asking.views.get_therapy(seen, asking.auditor, wait_seconds=1).batches[0].results
    assert asking.views.get_therapy(seen, asking.regulator, wait_seconds=1).batches[0].results
    with pytest.raises(ReadNotPermittedError):
        asking.views.lists.trace_therapy(pb.TraceTherapyRequest(therapy=BY_STREAM), asking.auditor, wait_seconds=1)


def test_a_vector_lot_leads_to_the_bags_and_back(asking: Asking) -> None:
    """A lot's trace names the step and what descends from it and is still there, with custody now."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    step = story.tell(
        modification_pb2.ModificationPerformed(
            batch=material("batch"),
            inputs=[APHERESIS_BAG],
            outputs=[new("modified", common_pb2.MATERIAL_KIND_INTERMEDIATE, 90)],
            unit=SUITE,
            process_area="isolator-1",
            vector_lot=common_pb2.LotUse(lot_number="V-1", kind="vector"),
        ),
        OPERATOR,
    )
    story.divides("modified", [new("bag-1", common_pb2.MATERIAL_KIND_PRODUCT, 90)])
    asking.tell(*story.acts)

    (use,) = asking.views.lists.trace_lot(pb.TraceLotRequest(lot_number="V-1"), asking.plant, wait_seconds=1).uses
    assert (use.therapy, use.batch, use.lot.lot_number) == (THERAPY, material("batch"), "V-1")
    assert use.statement_digest == asking.told.real[step.digest]
    assert [one.material for one in use.materials] == [material("bag-1")]
    assert use.materials[0].custodian.site == asking.told.plant
    traced = asking.views.lists.trace_therapy(pb.TraceTherapyRequest(therapy=BY_COI), asking.hospital, wait_seconds=1)
    assert list(traced.uses) == [use]
    with pytest.raises(LotNotFoundError):
        asking.views.lists.trace_lot(pb.TraceLotRequest(lot_number="V-2"), asking.plant, wait_seconds=1)


def test_quality_sees_what_waits_for_it(asking: Asking) -> None:
    """A formulated batch waits for release; a release signed by one person waits for the other's signature."""
    story = Story().to_the_release()
    pending = next(one for one in story.acts if one.body_type.endswith("BatchReleased"))
    before = story.acts.index(pending)
    asked = pb.GetWorklistRequest(unit=common_pb2.Unit(site=asking.told.plant))

    def worklist() -> pb.GetWorklistResponse:
        return asking.views.lists.get_worklist(asked, asking.plant, now_micros=story.now, wait_seconds=1)

    asking.tell(*story.acts[:before])
    assert [one.batch for one in worklist().to_release] == [material("batch")]
    asking.tell(pending)
    (waiting,) = worklist().awaiting_signature
    assert (waiting.statement_digest, waiting.missing) == (asking.told.real[pending.digest], 1)
    asking.tell(*story.acts[before + 1 :])
    assert (list(worklist().to_release), list(worklist().awaiting_signature)) == ([], [])


def test_watching_tells_each_site_what_it_may_read(asking: Asking) -> None:
    """From a position on, the hospital is told all of its therapy, the courier its consignment alone, in order."""
    start = asking.views.position
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)

    def watched(reader: Reader, count: int, stream: bytes = b"") -> list[pb.WatchResponse]:
        stop = threading.Event()
        news = asking.views.watch(pb.WatchRequest(after_position=start, stream=stream), lambda: reader, stop)
        giving_up = threading.Timer(30, stop.set)  # A story that hears too little fails; it does not hang.
        giving_up.start()
        heard = list(itertools.islice(news, count))
        giving_up.cancel()
        stop.set()
        assert list(news) == []
        return heard

    heard = watched(asking.hospital, len(story.acts))
    assert [one.item.statement_digest for one in heard] == [asking.told.real[act.digest] for act in story.acts]
    assert [one.position for one in heard] == sorted(one.position for one in heard)
    carried = [act for act in story.acts if act.stream == OUTWARD]
    heard = watched(asking.courier, len(carried))
    assert {one.item.stream for one in heard} == {OUTWARD}
    assert [one.item.statement_digest for one in watched(asking.auditor, len(carried), OUTWARD)] == [
        asking.told.real[act.digest] for act in carried
    ]


def test_a_position_not_reached_is_asked_for_again(asking: Asking) -> None:
    """Whoever asks for a position beyond the log waits no longer than asked, and is told to ask again."""
    position = asking.views.position + 1_000_000
    with pytest.raises(ViewBehindError) as behind:
        asking.views.get_therapy(
            pb.GetTherapyRequest(therapy=BY_COI, position_min=position), asking.hospital, wait_seconds=0.05
        )
    assert behind.value.reason == "VIEW_BEHIND"
    with pytest.raises(ViewBehindError):
        asking.custody(known_at_position=position)


def test_a_list_comes_in_pages_and_is_never_cut(asking: Asking) -> None:
    """Row by row the pages are the whole list; a token of one caller or question is no other's."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)
    lists, hospital = asking.views.lists, asking.hospital
    unit = common_pb2.Unit(site=asking.told.courier)
    whole = lists.get_holdings(pb.GetHoldingsRequest(unit=unit), asking.regulator, wait_seconds=1)
    assert len(whole.materials) + len(whole.containers) > 1 and not whole.next_page_token
    paged, token = pb.GetHoldingsResponse(), b""
    while True:
        request = pb.GetHoldingsRequest(unit=unit, page_size=1, page_token=token)
        page = lists.get_holdings(request, asking.regulator, wait_seconds=1)
        assert len(page.materials) + len(page.containers) <= 1
        paged.MergeFrom(page)
        token = page.next_page_token
        if not token:
            break
    assert (paged.materials, paged.containers) == (whole.materials, whole.containers)

    first = lists.get_holdings(pb.GetHoldingsRequest(unit=unit, page_size=1), asking.regulator, wait_seconds=1)
    with pytest.raises(PageTokenInvalidError):
        lists.list_open_handoffs(
            pb.ListOpenHandoffsRequest(page_token=first.next_page_token), hospital, now_micros=story.now, wait_seconds=1
        )
    with pytest.raises(PageTokenInvalidError):
        lists.get_holdings(pb.GetHoldingsRequest(unit=unit, page_token=b"[]"), asking.regulator, wait_seconds=1)
    with pytest.raises(PageTokenInvalidError):
        auditor = pb.GetHoldingsRequest(unit=unit, page_token=first.next_page_token)
        lists.get_holdings(auditor, asking.auditor, wait_seconds=1)


def test_a_site_reads_a_stream_by_its_part_there(asking: Asking) -> None:
    """An auditor that also makes products reads no more of others' therapies than any auditor."""
    story = Story()
    in_transit(story)
    asking.tell(*story.acts)
    both = Reader(b"b" * 16, frozenset({options_pb2.CAPABILITY_AUDIT, options_pb2.CAPABILITY_PROCESS}))
    request = pb.GetHistoryRequest(therapy=BY_STREAM)

    def summaries(reader: Reader) -> str:
        return " ".join(item.summary for item in asking.views.get_history(request, reader, wait_seconds=1).items)

    assert DisclosureClass.OPERATIONAL in both.classes
    assert summaries(both) == summaries(asking.auditor)
