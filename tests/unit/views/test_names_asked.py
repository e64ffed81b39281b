"""What is asked by a printed number is held to its check character."""

import pytest

from cellcustody.ledger.identifiers import CheckCharacterError, IdentifierMalformedError
from cellcustody.ledger.views.subjects import _din_asked


@pytest.mark.parametrize(
    "typed",
    ["A999921123456", "A9999 21 123456 3", "a9999 21 123456 00 3", "=A99992112345600", "=A999921123456"],
)
def test_a_donation_number_is_looked_up_however_it_was_read(typed: str) -> None:
    """Bare, printed with and without flags, or scanned."""
    assert _din_asked(typed) == "A999921123456"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("A9999211234564", CheckCharacterError),
        ("=A99992112345664", CheckCharacterError),
        ("A9999 21 123456 3x", IdentifierMalformedError),
    ],
)
def test_a_slip_in_a_donation_number_leads_to_nobodys_therapy(typed: str, error: type[Exception]) -> None:
    """It is refused before anything is looked up."""
    with pytest.raises(error):
        _din_asked(typed)
