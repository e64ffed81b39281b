"""One engine compares raw scans with what the ledger expects."""

from __future__ import annotations

import pytest

from cellcustody.ledger.custody.act import Finding, Outcome
from cellcustody.ledger.custody.scan_comparison import (
    Expectation,
    ScanKind,
    compare_scans,
    has_matched,
    read_scan,
    scan_findings,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

from .stories import Story

BAG = Expectation.of(
    cois=["CHA9999 25 000001 G"], dins=["=A99992500000100"], product_codes=["S1128TA0"], texts=["BOX-7"]
)
COI_SCAN = "&/CHA999925000001"
DIN_SCAN = "=A99992500000100"


def _scan(raw: str, on: str = "") -> common.Scan:
    return common.Scan(raw=raw, method=common.READ_METHOD_SCANNED, on=on)


def _typed(raw: str) -> common.Scan:
    return common.Scan(raw=raw, method=common.READ_METHOD_MANUAL)


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (COI_SCAN, Outcome.MATCH),
        ("&/CHA999925000002", Outcome.MISMATCH),
        ("&/CHA99992500000", Outcome.UNREADABLE),
        (DIN_SCAN, Outcome.MATCH),
        ("=A99992500000103", Outcome.MATCH),  # Flags say which label it is, not which donation.
        ("=A99992500000200", Outcome.MISMATCH),
        ("=<S1128TA0", Outcome.MATCH),
        ("=<S1128TB0", Outcome.MISMATCH),  # Another division of the same product.
        ("=<S1129TA0", Outcome.MISMATCH),
        ("=,AA0000", Outcome.MISMATCH),
        ("BOX-7", Outcome.MATCH),
        ("BOX-8", Outcome.MISMATCH),
        ("", Outcome.UNREADABLE),
        ("='A9999123456", Outcome.NOT_COMPARED),  # Who scanned is not what the bag is.
        ("&a0123", Outcome.NOT_COMPARED),  # A national structure says nothing here.
        ("]C10106141412345678", Outcome.MISMATCH),  # A key cut short is another item's, and no other patient's.
        ("]C19912345", Outcome.NOT_COMPARED),
        ("=+03000&/CHA999925000001=A99992500000100=<S1128TA0", Outcome.MATCH),
        ("=+03000&/CHA999925000001=A99992500000200=<S1128TA0", Outcome.MISMATCH),
        ("=+03000&/CHA999925000001=A99992500000100", Outcome.UNREADABLE),  # One structure was lost.
    ],
)
def test_a_scan_is_compared_kind_by_kind(raw: str, outcome: Outcome) -> None:
    """A compound message is as bad as its worst structure."""
    (compared,) = compare_scans([_scan(raw)], BAG)
    assert compared.outcome is outcome
    assert not compared.is_manual


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        ("CHA9999 25 000001 G", Outcome.MATCH),
        ("CHA999925000001H", Outcome.UNREADABLE),
        ("CHA999925000001", Outcome.UNREADABLE),  # What is typed carries its check character.
        ("CHA999925000002E", Outcome.MISMATCH),
        ("A999925000001Y", Outcome.UNREADABLE),
        ("A9999S1128A999925000001000000", Outcome.MATCH),  # An MPHO unique identifier names the donation.
        ("A9999S1128A999925000002000000", Outcome.MISMATCH),
    ],
)
def test_what_is_typed_carries_its_check_character(raw: str, outcome: Outcome) -> None:
    """A slip of the keyboard is not another patient's label; it confirms nothing either."""
    (compared,) = compare_scans([_typed(raw)], BAG)
    assert compared.outcome is outcome
    assert compared.is_manual


def test_scanned_text_is_never_taken_for_typed_text() -> None:
    """A symbol that holds the printed form is no symbol of ISBT 128."""
    assert read_scan("CHA999925000001G").values == ((ScanKind.TEXT, "CHA999925000001G"),)


def test_what_nothing_is_expected_of_is_not_compared() -> None:
    """Unknown is neither a match nor a mismatch."""
    (compared,) = compare_scans([_scan(DIN_SCAN)], Expectation.of())
    assert compared.outcome is Outcome.NOT_COMPARED
    assert not has_matched([compared], ScanKind.DIN)


def test_assets_are_compared_however_they_were_registered() -> None:
    """A GS1 key in brackets and the symbol with it are one; an owner's own number is itself."""
    expected = Expectation.of(assets=["(8004)0614141SHIPPER7", "LOGGER-1"])
    scans = [_scan("]d280040614141SHIPPER7"), _scan("LOGGER-1"), _scan("]d280040614141SHIPPER8"), _scan("LOGGER-2")]
    assert [one.outcome for one in compare_scans(scans, expected)] == [
        Outcome.MATCH,
        Outcome.MATCH,
        Outcome.MISMATCH,
        Outcome.MISMATCH,
    ]


def test_each_label_has_an_expectation_of_its_own() -> None:
    """Two bags swapped between two labels are found on both."""
    expected = {"a": Expectation.of(dins=["A999925000001"]), "b": Expectation.of(dins=["A999925000002"])}
    right = [_scan("=A99992500000100", "a"), _scan("=A99992500000200", "b")]
    swapped = [_scan("=A99992500000100", "b"), _scan("=A99992500000200", "a")]
    assert has_matched(compare_scans(right, expected.__getitem__), ScanKind.DIN)
    assert [one.outcome for one in compare_scans(swapped, expected.__getitem__)] == [Outcome.MISMATCH] * 2


def test_a_label_is_matched_by_the_scans_on_it() -> None:
    """The other label's do not count for it, nor against it; together they must all agree."""
    expected = Expectation.of(cois=["CHA999925000001G"], dins=["A999925000001"])
    compared = compare_scans([_scan("=A99992500000100", "a"), _scan("=A99992500000200", "b")], expected)
    assert has_matched(compared, ScanKind.DIN, on="a")
    assert not has_matched(compared, ScanKind.DIN, on="b")
    assert not has_matched(compared, ScanKind.DIN)
    assert not has_matched(compared, ScanKind.COI, ScanKind.DIN, on="a")
    assert not has_matched((), ScanKind.DIN)


def test_what_was_not_compared_is_a_finding_of_nothing() -> None:
    """Of several scans those alone that say otherwise are named."""
    compared = compare_scans([_scan("=A99992500000100"), _scan("BOX-8")], Expectation.of(dins=["A999925000001"]))
    assert [one.outcome for one in compared] == [Outcome.MATCH, Outcome.NOT_COMPARED]
    assert [one.index for one in compared] == [0, 1]


def test_a_scan_of_a_person_is_told_and_not_compared() -> None:
    """Patients are compared by the vault alone; a symbol cut short may name one too."""
    reading = read_scan("&#0104A123")
    assert reading.names_person
    assert reading.values == ()
    assert read_scan("&#").names_person


def test_a_symbol_of_a_thing_that_is_no_cells_breaks_no_identity() -> None:
    """A reagent's symbol, scanned along with the bag: another item where items are expected, nothing where none are."""
    act = Story().tell(harvest.IdentityChecked(scans=[_scan("]C19912345"), _scan("]C10106141412345678")]))
    assert {one.code for one in scan_findings(act, BAG)} == {"SCAN_OF_ANOTHER_ITEM"}
    assert scan_findings(act, Expectation.of(cois=["CHA999925000001G"])) == ()


def test_findings_name_the_scans_concerned() -> None:
    """Of four scans the second is another's and the fourth another item's."""
    story = Story()
    body = harvest.IdentityChecked(
        scans=[_scan(COI_SCAN), _scan("=A99992500000200"), _scan("=<S1128TA0"), _scan("BOX-8")]
    )
    act = story.tell(body)
    assert scan_findings(act, BAG) == (Finding("SCAN_MISMATCH", (1,)), Finding("SCAN_OF_ANOTHER_ITEM", (3,)))


def test_an_unreadable_label_is_excused_by_two_others_on_it() -> None:
    """One other identifier is not enough, nor one on another label."""
    blot = common.Scan(method=common.READ_METHOD_UNREADABLE, on="a")
    coi, din = _scan(COI_SCAN, "a"), _scan(DIN_SCAN, "a")

    def found(*scans: common.Scan) -> tuple[str, ...]:
        act = Story().tell(harvest.IdentityChecked(scans=scans))
        return tuple(finding.code for finding in scan_findings(act, BAG))

    assert found(blot, coi, din) == ()
    assert found(blot, coi) == ("SCAN_UNREADABLE",)
    assert found(blot, coi, _scan(DIN_SCAN, "b")) == ("SCAN_UNREADABLE",)


# Identifiers as registered, printed or scanned, each with another's value beside it.
@pytest.mark.parametrize(
    ("kind", "registered", "scanned", "other"),
    [
        ("cois", "CHA9999 25 000001 G", "&/CHA999925000001", "&/CHA999925000002"),
        ("cois", "&/CHA999925000001", "&/CHA999925000001", "&/CHA999925000002"),
        ("dins", "A9999 25 000001", "=A99992500000100", "=A99992500000200"),
        ("product_codes", "=<S1128TA0", "=<S1128TA0", "=<S1129TA0"),
        ("product_codes", "S1128T99", "=<S1128T99", "=<S1129T99"),
        ("divisions", "AA0000", "=,AA0000", "=,AB0000"),
        ("divisions", "=,AA0000", "=,AA0000", "=,AB0000"),
        ("consignments", "=$A999925000010102", "=$A999925000010102", "=$A999925000010202"),
        ("consignments", "A999925000010102", "=$A999925000010102", "=$A999925000010202"),
        ("assets", "(8004)0614141SHIPPER7", "]d280040614141SHIPPER7", "]d280040614141SHIPPER8"),
        ("assets", " LOGGER-1 ", "LOGGER-1", "LOGGER-2"),
        ("texts", " BOX-7 ", "BOX-7", "BOX-8"),
    ],
)
def test_each_kind_is_expected_as_it_was_registered(kind: str, registered: str, scanned: str, other: str) -> None:
    """Spaces and data identifiers make no difference, an empty value is none, and another value is another's."""
    expected = Expectation.of(**{kind: ["", registered]})
    scans = compare_scans([_scan(scanned), _scan(other)], expected)
    assert [one.outcome for one in scans] == [Outcome.MATCH, Outcome.MISMATCH]
    nothing = Expectation.of(**{kind: ["", " "]})
    assert nothing.values == {}
    assert [one.outcome for one in compare_scans([_scan(other)], nothing)] == [Outcome.NOT_COMPARED]


def test_a_product_code_states_its_division_unless_it_sends_elsewhere_for_it() -> None:
    """The division of a code is compared with a scanned one; of a code that ends in 99 nothing is known."""
    stated = Expectation.of(product_codes=["S1128TA0"])
    assert stated.values[ScanKind.DIVISION] == {"A0"}
    elsewhere = Expectation.of(product_codes=["S1128T99"], divisions=["AA0000"])
    assert elsewhere.values[ScanKind.DIVISION] == {"AA0000"}
    assert ScanKind.DIVISION not in Expectation.of(product_codes=["S1128"]).values
    scans = [_scan("=<S1128T99"), _scan("=,AA0000"), _scan("=,AB0000")]
    outcomes = [one.outcome for one in compare_scans(scans, elsewhere)]
    assert outcomes == [Outcome.MATCH, Outcome.MATCH, Outcome.MISMATCH]


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        ("&,1000000000000XYZ123", ()),
        ("=$A999925000010102", ((ScanKind.CONSIGNMENT, "A999925000010102"),)),
        ("=,AA0000", ((ScanKind.DIVISION, "AA0000"),)),
    ],
)
def test_a_structure_says_what_is_compared_of_it(raw: str, values: tuple[tuple[ScanKind, str], ...]) -> None:
    """And nothing else: a lot number says nothing about a bag."""
    assert read_scan(raw).values == values


def test_an_asset_that_was_typed_is_itself() -> None:
    """A GS1 key as printed, with its brackets; a key of another kind is none."""
    expected = Expectation.of(assets=["(8004)0614141SHIPPER7"])
    (typed,) = compare_scans([_typed("(8004)0614141SHIPPER7")], expected)
    assert (typed.outcome, typed.is_manual) == (Outcome.MATCH, True)
    (text,) = compare_scans([_typed("0614141SHIPPER7")], expected)
    assert text.outcome is Outcome.MISMATCH


def test_an_unreadable_label_is_excused_by_two_others_on_it_alone() -> None:
    """By chain of identity and donation number of the same label; not by one of them, nor by another label's."""
    bad = common.Scan(raw="", method=common.READ_METHOD_UNREADABLE, on="a")
    for others, found in (
        ([_scan(COI_SCAN, "a"), _scan(DIN_SCAN, "a")], set()),
        ([_scan(COI_SCAN, "a")], {"SCAN_UNREADABLE"}),
        ([_scan(COI_SCAN, "b"), _scan(DIN_SCAN, "b")], {"SCAN_UNREADABLE"}),
    ):
        act = Story().tell(harvest.IdentityChecked(scans=[*others, bad]))
        assert {one.code for one in scan_findings(act, BAG)} == found
