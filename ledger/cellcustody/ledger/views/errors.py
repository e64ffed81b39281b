"""What a question to the views can come to, on the tree of `cellcustody.ledger.errors`.

NotFoundError
|- TherapyNotFoundError      no therapy has that stream or alias
|- MaterialNotFoundError     no therapy has that material
|- ConsignmentNotFoundError  no consignment has that stream
|- LotNotFoundError          no recorded step used that lot
`- NameNotFoundError         nothing that the caller may read has that name
AccessDeniedError
`- ReadNotPermittedError     the caller's site may not read this
MalformedError
|- QuestionIncompleteError   a question lacks what it is about
|- QuestionOfNowError        a question is answered with all that is known now, not as of another time
`- PageTokenInvalidError     a page token was not given for this question
StoreError
|- ViewBehindError           the views have not reached the position asked for; ask again
`- ViewsDamagedError         the views' file cannot be used; they can be rebuilt from the log
"""

from __future__ import annotations

from cellcustody.ledger.errors import AccessDeniedError, MalformedError, NotFoundError, StoreError
from cellcustody.ledger.store import StoreUnavailableError

__all__ = [
    "ConsignmentNotFoundError",
    "LotNotFoundError",
    "MaterialNotFoundError",
    "NameNotFoundError",
    "PageTokenInvalidError",
    "QuestionIncompleteError",
    "QuestionOfNowError",
    "ReadNotPermittedError",
    "TherapyNotFoundError",
    "ViewBehindError",
    "ViewsDamagedError",
]


class TherapyNotFoundError(NotFoundError):
    """Raised when no therapy has that stream or alias; the value says what was asked for."""

    reason = "THERAPY_NOT_FOUND"


class MaterialNotFoundError(NotFoundError):
    """Raised when no therapy has that material."""

    reason = "MATERIAL_NOT_FOUND"


class ConsignmentNotFoundError(NotFoundError):
    """Raised when no consignment has that stream."""

    reason = "CONSIGNMENT_NOT_FOUND"


class LotNotFoundError(NotFoundError):
    """Raised when no recorded step used that lot."""

    reason = "LOT_NOT_FOUND"


class ReadNotPermittedError(AccessDeniedError):
    """Raised when the caller's site may not read this."""

    reason = "READ_NOT_PERMITTED"


class QuestionIncompleteError(MalformedError):
    """Raised when a question lacks what it is about."""

    reason = "QUESTION_INCOMPLETE"


class QuestionOfNowError(MalformedError):
    """Raised when a question that is answered with all that is known now is asked as of a time or a position."""

    reason = "QUESTION_OF_NOW"


class PageTokenInvalidError(MalformedError):
    """Raised when a page token was not given for this question, or is none."""

    reason = "PAGE_TOKEN_INVALID"


class NameNotFoundError(NotFoundError):
    """Raised when nothing that this site may read has the name asked about."""

    reason = "NAME_NOT_FOUND"


class ViewBehindError(StoreUnavailableError):
    """Raised when the views have not reached the position asked for in time; the same question may be asked again."""

    reason = "VIEW_BEHIND"


class ViewsDamagedError(StoreError):
    """Raised when the views' file cannot be used; it may be deleted, for views are rebuilt from the log."""

    reason = "VIEWS_DAMAGED"
