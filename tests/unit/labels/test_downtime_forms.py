"""A downtime form brings back exactly what the ledger expected, or nothing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final, cast

import pytest
from drawings_read import overlaps, rectangles, symbol_area, symbols_in_pdf, symbols_in_svg, text_in_pdf
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.clients.labels import (
    FormCode,
    FormCodeMalformed,
    LabelRefused,
    Paper,
    draft_body,
    draw_form,
    names_unit,
    parse_form_code,
    pdf_of,
    svg_of,
)
from cellcustody.clients.labels.symbols import QR_QUIET_MODULES
from cellcustody.ledger.contract import BODIES
from cellcustody.v1 import common_pb2, return_pb2, transport_pb2

QR_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
PRINTED: Final = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
FACTS: Final = sorted(row.short_name for row in BODIES.values() if not row.is_authorisation)

_ids = st.binary(min_size=16, max_size=16)
_names = st.text(min_size=1, max_size=12)
codes = st.builds(
    FormCode,
    form=st.binary(min_size=8, max_size=8),
    ledger=_ids,
    position=st.integers(0, 2**63 - 1),
    act=st.sampled_from(FACTS),
    stream=_ids.filter(any).map(lambda raw: b"\x02" + raw),
    release=st.just(b"") | st.binary(min_size=32, max_size=32),
    site=_ids,
    unit=st.just("") | _names,
    containers=st.lists(_names, max_size=6, unique=True).map(tuple),
    materials=st.lists(_ids, max_size=4, unique=True).map(tuple),
)


def _handoff(count: int = 2) -> FormCode:
    return FormCode(
        form=bytes(range(8)),
        ledger=bytes(range(16)),
        position=4711,
        act="CustodyAccepted",
        stream=b"\x02" + bytes(range(16)),
        release=bytes(range(32)),
        site=bytes(range(16)),
        unit="cell-lab",
        containers=tuple(f"SHIPPER-{number}" for number in range(1, count + 1)),
    )


@given(codes)
def test_a_code_reads_as_what_was_written(code: FormCode) -> None:
    """Every value, in the characters that every scanner types alike."""
    text = code.text()
    assert set(text) <= set(QR_ALPHABET)
    assert parse_form_code(text) == code


@settings(max_examples=200)
@given(codes, st.data())
def test_a_code_with_anything_changed_is_refused(code: FormCode, data: st.DataObject) -> None:
    """A character replaced, left out, put in or exchanged, or the end missing."""
    text = code.text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(QR_ALPHABET + "a\u0661"))
    changed = data.draw(
        st.sampled_from(
            [
                text[:place] + other + text[place + 1 :],
                text[:place] + text[place + 1 :],
                text[:place] + other + text[place:],
                text[:place],
                text[:place] + text[place : place + 2][::-1] + text[place + 2 :],
                text + other,
            ]
        )
    )
    if changed == text:
        return
    with pytest.raises(FormCodeMalformed) as refusal:
        parse_form_code(changed)
    assert 0 <= refusal.value.offset <= len(changed)


def _next_step(*materials: bytes) -> FormCode:
    return FormCode(
        form=bytes(8),
        ledger=bytes(16),
        position=1,
        act="MaterialThawed",
        stream=b"\x01" + materials[0],
        materials=materials,
    )


def _summed(text: str) -> str:
    """Returns a text with the sum that belongs to it: what a careful forger, or another program, would write."""
    return f"{text}/K:{hashlib.sha256(text.encode()).hexdigest()[:16].upper()}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/P:4711", "/P:04711"),
        ("/P:4711", "/P:4711/P:4712"),
        ("/P:4711", ""),
        ("/P:4711", "/P:-1"),
        ("/A:CUSTODY-ACCEPTED", "/A:CUSTODY--ACCEPTED"),
        ("/A:CUSTODY-ACCEPTED", "/A:CUSTODYACCEPTED-"),
        ("/C:SHIPPER-1", "/C:%53HIPPER-1"),
        ("/C:SHIPPER-1", "/C:SHIPPER-2"),
        ("/C:SHIPPER-1", "/C:"),
        ("/C:SHIPPER-1", "/C:%FF"),
        ("/C:SHIPPER-1", "/C:%5"),
        ("/C:SHIPPER-1", "/X:1"),
        ("/C:SHIPPER-1", "/M:" + "00" * 15),
        ("CCDF1/F:", "CCDF1//F:"),
        ("CCDF1/F:", "CCDF2/F:"),
        ("/S:02", "/S:FF"),
        ("/F:0001", "/F:001"),
        ("/U:0001", "/U:00010"),
        (".%63", "%63"),
    ],
)
def test_a_code_is_written_in_one_way_even_where_the_sum_is_right(old: str, new: str) -> None:
    """Leading zeros, needless escapes, repetition, other orders and lengths."""
    text = _handoff().text().rpartition("/K:")[0]
    assert old in text
    with pytest.raises(FormCodeMalformed):
        parse_form_code(_summed(text.replace(old, new, 1)))
    assert parse_form_code(_summed(text)) == _handoff()


def test_a_code_that_no_symbol_holds_is_refused() -> None:
    """Several forms are printed instead."""
    with pytest.raises(FormCodeMalformed):
        _handoff(200).text()


def test_the_code_on_every_page_of_the_printed_form_is_the_code() -> None:
    """Read from the PDF at 300 dots an inch and from the SVG, on A4 and on Letter, with many containers."""
    code = _handoff(20)
    for paper in Paper:
        pages = draw_form(code, printed_at=PRINTED, paper=paper)
        assert len(pages) == 3
        for page, found in zip(pages, symbols_in_pdf(pdf_of(pages)), strict=True):
            assert [parse_form_code(each.text) for each in found] == [code]
            assert [parse_form_code(each.text) for each in symbols_in_svg(svg_of(page))] == [code]


def test_the_form_shows_what_is_expected_and_leaves_the_rest_to_the_hand() -> None:
    """Act, number with check character, position, release, every container once; nothing is ticked."""
    pages = draw_form(_handoff(9), printed_at=PRINTED, expected=[("From", "apheresis")])
    first, second = text_in_pdf(pdf_of(pages))
    for expected in (
        "Custody accepted",
        _handoff().number_in_groups,
        "4711",
        "apheresis",
        "cell-lab",
        "01 MAY 2026 10:30 UTC",
    ):
        assert expected in first and expected in second
    assert bytes(range(32)).hex() in first
    assert [f"SHIPPER-{number}" in first for number in range(1, 10)] == [True] * 8 + [False]
    assert "SHIPPER-9" in second
    assert "page 2 of 2" in second


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from(list(Paper)))
def test_nothing_on_a_form_hangs_over_or_enters_the_quiet_zone(count: int, paper: Paper) -> None:
    """However much is expected."""
    for page in draw_form(_handoff(count), printed_at=PRINTED, expected=[("From", "x" * 40)], paper=paper):
        area = symbol_area(page, QR_QUIET_MODULES)
        for rectangle in rectangles(page):
            assert rectangle[0] >= 0 and rectangle[1] >= 0
            assert rectangle[2] <= page.width_mm and rectangle[3] <= page.height_mm
            assert not overlaps(rectangle, area)


def test_the_code_begins_the_body_of_its_back_entry() -> None:
    """Release, receiver and a line for each container; outcomes and counts are for who reads the paper."""
    body = cast(transport_pb2.CustodyAccepted, draft_body(_handoff()))
    assert body == transport_pb2.CustodyAccepted(
        release=bytes(range(32)),
        receiver=common_pb2.Unit(site=bytes(range(16)), unit="cell-lab"),
        lines=[common_pb2.HandoffLine(container="SHIPPER-1"), common_pb2.HandoffLine(container="SHIPPER-2")],
        circumstances=common_pb2.Circumstances(mode=common_pb2.ENTRY_MODE_FROM_PAPER, form=_handoff().number),
    )


def test_a_therapys_next_step_is_entered_for_its_material() -> None:
    """One material where the act is about one; two need two forms."""
    material = bytes(range(1, 17))
    assert cast(return_pb2.MaterialThawed, draft_body(_next_step(material))).material == material
    assert names_unit("MaterialThawed") and names_unit("CustodyAccepted") and not names_unit("ReleaseWithdrawn")
    with pytest.raises(LabelRefused):
        draft_body(_next_step(material, bytes(16)))


def test_a_form_for_an_act_that_has_no_place_for_what_it_names_is_not_drawn() -> None:
    """Found before it is printed, not when somebody enters it."""
    for act in ("MaterialThawed", "NoSuchAct"):
        code = _handoff()
        wrong = FormCode(
            form=code.form, ledger=code.ledger, position=1, act=act, stream=code.stream, containers=("SHIPPER-1",)
        )
        with pytest.raises(LabelRefused):
            draw_form(wrong, printed_at=PRINTED)


def test_a_forms_number_is_typed_with_its_check_character() -> None:
    """Sixteen digits and K, in groups."""
    assert _handoff().number == "0001020304050607L"
    assert _handoff().number_in_groups == "0001 0203 0405 0607 L"


@pytest.mark.parametrize(
    "members",
    [
        {"form": bytes(7)},
        {"ledger": bytes(15)},
        {"stream": bytes(17)},
        {"release": bytes(31)},
        {"site": bytes(1)},
        {"site": b"", "unit": "cell-lab"},
        {"position": -1},
        {"act": "custody"},
        {"act": "CustodyAccepted2"},
        {"containers": ("A", "A")},
        {"containers": ("",)},
        {"materials": (bytes(15),)},
    ],
)
def test_no_code_stands_for_nothing(members: dict[str, object]) -> None:
    """Lengths, names and repetition are held at once."""
    whole: dict[str, object] = {
        "form": bytes(8), "ledger": bytes(16), "position": 1, "act": "CustodyAccepted",
        "stream": b"\x02" + bytes(range(16)),
    }  # fmt: skip
    FormCode(**whole)  # type: ignore[arg-type]  # Members by name.
    with pytest.raises(FormCodeMalformed):
        FormCode(**{**whole, **members})  # type: ignore[arg-type]  # The same with one of them wrong.


def test_the_largest_code_is_still_read_from_the_page() -> None:
    """As many containers as fit, at the smallest modules, beside the head of a Letter page."""
    code = _handoff(160)
    first = draw_form(code, printed_at=PRINTED, expected=[("From", "apheresis")], paper=Paper.LETTER)[0]
    ((found,),) = symbols_in_pdf(pdf_of([first]))
    assert parse_form_code(found.text) == code
