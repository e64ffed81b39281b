"""Views: what the log comes to, kept as rows that answer the custody questions; dropped and rebuilt at will.

A view of a stream is a function of its acts and of the judgements recorded for them. Views follow the log from a
position of their own, judge nothing, and need neither IDENTITY nor CLINICAL fields.
"""

from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.errors import (
    ConsignmentNotFoundError,
    LotNotFoundError,
    MaterialNotFoundError,
    NameNotFoundError,
    PageTokenInvalidError,
    QuestionIncompleteError,
    ReadNotPermittedError,
    TherapyNotFoundError,
    ViewBehindError,
)
from cellcustody.ledger.views.follower import Follower, LedgerSource
from cellcustody.ledger.views.queries import Views

__all__ = [
    "ConsignmentNotFoundError",
    "Follower",
    "LedgerSource",
    "LotNotFoundError",
    "MaterialNotFoundError",
    "NameNotFoundError",
    "PageTokenInvalidError",
    "QuestionIncompleteError",
    "ReadNotPermittedError",
    "Reader",
    "TherapyNotFoundError",
    "ViewBehindError",
    "Views",
]
