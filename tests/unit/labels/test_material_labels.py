"""The label of a material says on paper what its symbol says, warns as it must, and stays in its size."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from drawings_read import (
    overlaps,
    rectangles,
    symbol_area,
    symbols_in_pdf,
    symbols_in_svg,
    text_in_pdf,
    text_in_svg,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cellcustody.clients.labels import (
    Drawing,
    LabelRefused,
    LabelTooSmall,
    MaterialLabel,
    draw_label,
    pdf_of,
    svg_of,
)
from cellcustody.clients.labels.drawing import Box, Text
from cellcustody.clients.labels.symbols import QUIET_MODULES
from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    CollectionDateTime,
    Din,
    DivisionRequiredError,
    DonationSequence,
    ExpiryDateTime,
    ProcessingFacility,
    ProductCode,
    ProductDivision,
    parse_scan,
)

BERLIN: Final = ZoneInfo("Europe/Berlin")
CHAIN: Final = ChainOfIdentity("CHA999925000001")
DONATION: Final = Din.of_number("A999925123456")
FACILITY: Final = ProcessingFacility("A9999ABC123")
COLLECTED: Final = datetime(2025, 3, 1, 0, 30, tzinfo=BERLIN)
EXPIRES: Final = datetime(2025, 3, 3, 15, 30, tzinfo=BERLIN)


def _label(product: str = "S1234100", division: str = "", **more: object) -> MaterialLabel:
    members: dict[str, object] = {
        "product_name": "MNC, Apheresis",
        "collected_at": COLLECTED,
        "expires_at": EXPIRES,
        "processing_facility": FACILITY,
        "storage": "Store at 2 to 8 °C",
        **more,
    }
    return MaterialLabel(
        CHAIN,
        DONATION,
        ProductCode(product),
        ProductDivision(division) if division else None,
        **members,  # type: ignore[arg-type]  # Members by name, as each test wants them.
    )


def _texts(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


@pytest.mark.parametrize(("product", "division"), [("S1234100", ""), ("S12348Ba", ""), ("S1234X99", "AABB00")])
def test_the_symbol_on_the_printed_label_gives_back_every_identifier(product: str, division: str) -> None:
    """Read from the SVG and from the PDF at 300 dots an inch, and parsed as a scan."""
    label = _label(product, division)
    drawing = draw_label(label)
    for found in (symbols_in_svg(svg_of(drawing)), symbols_in_pdf(pdf_of([drawing]))[0]):
        (symbol,) = found
        values = [part.value for part in parse_scan(symbol.symbology_identifier + symbol.text)]
        expected = [DONATION, ProductCode(product), *([ProductDivision(division)] if division else []), CHAIN]
        assert values[: len(expected)] == expected
        assert values[len(expected) :] == [
            CollectionDateTime.of(COLLECTED.date(), COLLECTED.time()),
            ExpiryDateTime.of(EXPIRES.date(), EXPIRES.time()),
            FACILITY,
        ]


def test_what_a_person_reads_is_what_a_scanner_reads() -> None:
    """Text in both files, with check characters, local time and UTC, and the European donation sequence."""
    drawing = draw_label(_label(donation_sequence=DonationSequence.of("PL", "1499", DONATION), not_evaluated=True))
    for texts in (" ".join(text_in_svg(svg_of(drawing))), text_in_pdf(pdf_of([drawing]))[0]):
        for expected in (
            "CHA9999 25 000001 G",
            "A9999 25 123456 00 9",
            "S1234100",
            "MNC, Apheresis",
            "Collected 01 MAR 2025 00:30 CET (28 FEB 2025 23:30 UTC)",
            "Expires 03 MAR 2025 15:30 CET (14:30 UTC)",
            "Store at 2 to 8 °C",
            "Processed by A9999 ABC123",
            "SEC donation PL001499A999925123456",
            "MPHO A9999 S1234 A999925123456 000000",
            "FOR AUTOLOGOUS USE ONLY",
            "NOT EVALUATED FOR INFECTIOUS SUBSTANCES",
        ):
            assert expected in texts


@pytest.mark.parametrize(
    ("collection_type", "warnings"),
    [
        ("1", ("FOR AUTOLOGOUS USE ONLY",)),
        ("X", ("FOR AUTOLOGOUS USE ONLY", "BIOHAZARD")),
        ("8", ("FOR AUTOLOGOUS USE", "CONTAINS ALLOGENEIC MATERIAL")),
    ],
)
def test_warnings_follow_from_the_collection_type(collection_type: str, warnings: tuple[str, ...]) -> None:
    """Each stands white on a black band of its own, and cannot be left out."""
    label = _label(f"S1234{collection_type}00")
    drawing = draw_label(label)
    assert label.warnings == warnings
    inverse = [shape for shape in drawing.shapes if isinstance(shape, Text) and shape.inverse]
    bands = [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.line_mm == 0]
    assert tuple(shape.text for shape in inverse) == warnings
    for text, band in zip(inverse, bands, strict=True):
        assert band.y_mm < text.baseline_mm < band.y_mm + band.height_mm


@pytest.mark.parametrize("collection_type", ["A", "V", "0", "2", "D", "r"])
def test_no_label_is_drawn_for_a_product_that_others_could_be_given(collection_type: str) -> None:
    """Crossover and allogeneic types never stand on a bag of an autologous therapy."""
    with pytest.raises(LabelRefused):
        _label(f"S1234{collection_type}00")


def test_a_label_that_contradicts_itself_is_refused() -> None:
    """Division, times, zone, donation sequence, tissue, and characters that no font here has."""
    with pytest.raises(DivisionRequiredError):
        _label("S1234199")
    with pytest.raises(DivisionRequiredError):
        _label("S1234100", "000012")
    for more in (
        {"expires_at": COLLECTED},
        {"collected_at": datetime(2025, 3, 1, 9, 30)},
        {"collected_at": datetime(2024, 11, 29, 9, 30, tzinfo=UTC)},
        {"donation_sequence": DonationSequence.of("PL", "1499", Din.of_number("A999925123457"))},
        {"product_name": "\u0410"},
    ):
        with pytest.raises(LabelRefused):
            _label(**more)
    with pytest.raises(LabelRefused):
        _label("T0416003")


def test_the_check_character_stands_in_its_box() -> None:
    """The box encloses the last character of both typed identifiers and no other."""
    drawing = draw_label(_label())
    boxes = [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.line_mm]
    identifiers = [
        shape
        for shape in drawing.shapes
        if isinstance(shape, Text) and shape.text in ("CHA9999 25 000001 G", DONATION.format_print())
    ]
    assert len(boxes) == len(identifiers) == 2
    for text, box in zip(identifiers, boxes, strict=True):
        step = 0.6 * text.size_mm
        last = text.x_mm + (len(text.text) - 1) * step
        assert last - step < box.x_mm < last < last + step < box.x_mm + box.width_mm < last + 2 * step


def test_a_type_3_flag_is_scanned_and_never_printed() -> None:
    """The symbol carries it; the text shows K in its place."""
    flagged = MaterialLabel(CHAIN, DONATION.with_type_3_flag(), ProductCode("S1234100"))
    assert "=A99992512345669" in flagged.message.wire()
    assert "A9999 25 123456 9" in _texts(draw_label(flagged))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["S1234100", "S1234XAa", "S12348B0"]),
    st.floats(60, 160),
    st.floats(40, 160),
    st.sampled_from([0.25, 0.33, 0.5, 0.75]),
    st.text(alphabet="ABCdefgh ÄÖü°-.,()0123456789", max_size=60),
    st.booleans(),
    st.booleans(),
)
def test_nothing_hangs_over_and_nothing_enters_the_quiet_zone(
    product: str, width: float, height: float, module: float, name: str, not_evaluated: bool, long: bool
) -> None:
    """Whatever the size, a label is drawn whole or refused as too small."""
    label = _label(product, product_name=name, not_evaluated=not_evaluated, collected_at=COLLECTED if long else None)
    try:
        drawing = draw_label(label, width_mm=width, height_mm=height, module_mm=module)
    except LabelTooSmall:
        assume(False)
        raise
    area = symbol_area(drawing, QUIET_MODULES)
    assert area[0] >= 0 and area[1] >= 0 and area[2] <= width and area[3] <= height
    for rectangle in rectangles(drawing):
        assert rectangle[0] >= 0 and rectangle[1] >= 0 and rectangle[2] <= width and rectangle[3] <= height
        assert not overlaps(rectangle, area)


def test_a_label_too_small_says_what_would_do() -> None:
    """The height it names is enough, and a hair less is not."""
    with pytest.raises(LabelTooSmall) as refusal:
        draw_label(_label("S1234X00"), height_mm=50)
    needed = float(refusal.value.values["height_mm_needed"])
    draw_label(_label("S1234X00"), height_mm=needed + 0.05)
    with pytest.raises(LabelTooSmall):
        draw_label(_label("S1234X00"), height_mm=needed - 0.1)
    with pytest.raises(LabelTooSmall):
        draw_label(_label(), width_mm=35)
    with pytest.raises(LabelRefused):
        draw_label(_label(), module_mm=0.1)


def test_sizes_in_the_files_are_those_asked_for() -> None:
    """Millimetres in SVG, points in PDF."""
    drawing = draw_label(_label(), width_mm=110, height_mm=90)
    assert 'width="110mm" height="90mm" viewBox="0 0 110 90"' in svg_of(drawing)
    pdf = pdf_of([drawing])
    assert b"/MediaBox [ 0 0 311.811 255.1181 ]" in pdf


def test_the_same_label_gives_the_same_bytes() -> None:
    """No date and no random identifier is in either file."""
    assert svg_of(draw_label(_label())) == svg_of(draw_label(_label()))
    assert pdf_of([draw_label(_label())]) == pdf_of([draw_label(_label())])


def test_text_that_looks_like_markup_stays_text() -> None:
    """A product's name cannot break out of the file."""
    name = '<script>&"</text>'
    assert name in text_in_svg(svg_of(draw_label(_label(product_name=name))))
    assert name in text_in_pdf(pdf_of([draw_label(_label(product_name=name))]))[0]


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 29)), st.sampled_from(["Asia/Tokyo", "America/New_York"]))
@settings(max_examples=20, deadline=None)
def test_times_are_printed_local_and_in_utc(moment: datetime, zone: str) -> None:
    """Both name the same minute."""
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    donation = Din.of_number(f"A9999{local:%y}123456")
    label = replace(_label(), donation=donation, collected_at=local, expires_at=local + timedelta(days=1))
    drawing = draw_label(label)
    (text,) = (each for each in _texts(drawing) if each.startswith("Collected"))
    assert f"{local:%H:%M} {local.tzname()} (" in text
    assert text.endswith(f"{moment:%H:%M} UTC)")
    assert (moment.date() != local.date()) == (f"({moment:%d} " in text)


@pytest.mark.parametrize("name", ["width_mm", "height_mm", "module_mm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_length_that_is_no_number_is_refused(name: str, value: float) -> None:
    """It would be neither too small nor too large, and the paper would be empty."""
    sizes = {"width_mm": 100.0, "height_mm": 80.0, "module_mm": 0.5} | {name: value}
    with pytest.raises(LabelRefused):
        draw_label(_label(), **sizes)
