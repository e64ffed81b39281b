"""Find the streams that a question is about, by whatever name is at hand.

The rules:

* A therapy, a material, a donation number, a lot, a shipper, a logger, a person, a site, a consignment, equipment or a
  span of time leads to streams; all that the caller may see, in the order of their ids, a page at a time.
* Questions about therapies are answered for the therapies that travelled in a consignment found; questions about
  custody on the way for the consignment itself.
* A subject that names one therapy has its consignments with it; one that leads to many streams answers for each alone,
  so that nothing is told twice.
* What the caller's site has no part in is not found, exactly as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.identifiers import Din
from cellcustody.ledger.views.access import Reach
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import NameNotFoundError, QuestionIncompleteError
from cellcustody.ledger.views.paging import Pages
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import din_content
from cellcustody.ledger.views.tables import Value
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["Scope", "Wanted", "condition_on_streams", "scope_of", "subject_streams"]

_THERAPY_FROM: Final = b"\x01"
_CONSIGNMENT_FROM: Final = b"\x02"
_LOT_FROM: Final = b"\x03"
_END: Final = b"\xff"
_DIN_CHARACTERS: Final = 13


class Wanted:
    """Which streams a question is about."""

    THERAPIES: Final = "therapies"
    CUSTODY: Final = "custody"  # Therapies and consignments.


@dataclass(frozen=True, slots=True)
class Scope:
    """What one page of a question is about. `alone`: each stream answers for itself, without what it cites."""

    streams: tuple[bytes, ...]
    alone: bool
    material: bytes = b""
    person: bytes = b""
    site: bytes = b""
    shipper: str = ""
    logger: str = ""
    since: int | None = None
    before: int | None = None

    def is_in_time(self, at: int) -> bool:
        """Tells whether a time lies within what was asked for."""
        return (self.since is None or at >= self.since) and (self.before is None or at < self.before)

    def admits(self, told: Told) -> bool:
        """Tells whether a statement is asked about: in time, and by the person asked about if one is."""
        return self.is_in_time(told.act.occurred_start) and (not self.person or told.act.signer == self.person)


def scope_of(asked: Asked, request: pb.InspectRequest, pages: Pages, wanted: str) -> Scope:
    """Returns the streams of this page; `pages` takes them as the rows of its first section.

    Raises:
        NameNotFoundError: nothing that the caller may read has that name.
        QuestionIncompleteError, ReadNotPermittedError, TherapyNotFoundError, MaterialNotFoundError,
        ConsignmentNotFoundError.
    """
    subject = request.subject
    since = request.from_unix_micros if request.HasField("from_unix_micros") else None
    before = request.until_unix_micros if request.HasField("until_unix_micros") else None

    def scope(streams: tuple[bytes, ...], *, alone: bool, material: bytes = b"") -> Scope:
        return Scope(
            streams=streams,
            alone=alone,
            material=material,
            person=subject.person,
            site=subject.site,
            shipper=subject.shipper,
            logger=subject.logger,
            since=since,
            before=before,
        )

    match subject.WhichOneof("subject"):
        case "therapy":
            return scope((asked.therapy(subject.therapy),), alone=False)
        case "material":
            return scope((asked.therapy_of(subject.material),), alone=False, material=subject.material)
        case "consignment" if wanted == Wanted.CUSTODY:
            asked.consignment(subject.consignment)
            return scope((subject.consignment,), alone=False)
        case _:
            sql, parameters = condition_on_streams(asked, request, wanted)
            rows = pages.rows(0, sql, parameters, ("stream",))
            found = tuple(stream for (stream,) in rows if isinstance(stream, bytes))
            if not found and not request.page_token and subject.WhichOneof("subject") is not None:
                raise NameNotFoundError("nothing that this site may read has this name", asked=_told(subject))
            alone = subject.WhichOneof("subject") not in ("din", "lot", "equipment")
            return scope(found, alone=alone and wanted == Wanted.CUSTODY)


def condition_on_streams(asked: Asked, request: pb.InspectRequest, wanted: str) -> tuple[str, list[Value]]:
    """Returns a query for the streams of a subject that the caller sees, column `stream`, ending in a WHERE clause."""
    found, parameters = _candidates(asked, request)
    ranges: list[tuple[bytes, bytes, Reach]] = []
    if asked.reader.therapies is not Reach.NONE:
        ranges.append((_THERAPY_FROM, _CONSIGNMENT_FROM, asked.reader.therapies))
    if wanted == Wanted.THERAPIES:
        asked.refuse_without_therapies()
        found = (
            f"SELECT stream FROM ({found}) WHERE stream < ? UNION SELECT citation.stream FROM ({found}) AS carried "
            "JOIN citation ON citation.consignment = carried.stream"
        )
        parameters = [*parameters, _CONSIGNMENT_FROM, *parameters]
    else:
        ranges.append((_CONSIGNMENT_FROM, _LOT_FROM, asked.reader.consignments))
    sql = f"SELECT stream FROM (SELECT DISTINCT stream FROM ({found})) AS subject WHERE ("
    conditions: list[str] = []
    for first, end, reach in ranges:
        visible, of_reader = asked.visible("subject", reach)
        conditions.append(f"(stream >= ? AND stream < ? AND {visible})")
        parameters = [*parameters, first, end, *of_reader]
    return f"{sql}{' OR '.join(conditions) or '0'})", parameters


def subject_streams(asked: Asked, request: pb.InspectRequest) -> tuple[str, list[Value]]:
    """Returns a query for the streams of a subject and the consignments that its therapies cite.

    Raises:
        QuestionIncompleteError, ReadNotPermittedError, TherapyNotFoundError, MaterialNotFoundError,
        ConsignmentNotFoundError.
    """
    parameters: list[Value]
    match request.subject.WhichOneof("subject"):
        case "therapy":
            found, parameters = "SELECT ? AS stream", [asked.therapy(request.subject.therapy)]
        case "material":
            found, parameters = "SELECT ? AS stream", [asked.therapy_of(request.subject.material)]
        case "consignment":
            asked.consignment(request.subject.consignment)
            found, parameters = _candidates(asked, request)
        case _:
            found, parameters = _candidates(asked, request)
    cited = f"SELECT consignment FROM citation WHERE citation.stream IN ({found})"
    return f"{found} UNION ALL {cited}", [*parameters, *parameters]


def _candidates(asked: Asked, request: pb.InspectRequest) -> tuple[str, list[Value]]:
    subject = request.subject
    named = "SELECT stream FROM named WHERE kind = ? AND value = ?"
    kind = subject.WhichOneof("subject")
    lookups: dict[str, Callable[[], tuple[str, list[Value]]]] = {
        "din": lambda: (named, ["din", _din_asked(subject.din)]),
        "lot": lambda: ("SELECT stream FROM lot_use WHERE lot_number = ?", [subject.lot]),
        "shipper": lambda: (named, ["shipper", subject.shipper]),
        "logger": lambda: (named, ["logger", subject.logger]),
        "equipment": lambda: (named, ["equipment", subject.equipment]),
        "person": lambda: (named, ["signer", subject.person.hex()]),
        "site": lambda: ("SELECT stream FROM party WHERE site = ?", [subject.site]),
        "consignment": lambda: ("SELECT stream FROM consignment WHERE stream = ?", [subject.consignment]),
    }
    if kind is not None:
        return lookups[kind]()
    if not (request.HasField("from_unix_micros") or request.HasField("until_unix_micros")):
        raise QuestionIncompleteError("the question names neither a subject nor a time")
    since = request.from_unix_micros if request.HasField("from_unix_micros") else 0
    before = request.until_unix_micros if request.HasField("until_unix_micros") else 2**62
    spans = "SELECT stream FROM {} WHERE last >= ? AND first < ?"
    union = f"{spans.format('therapy')} UNION ALL {spans.format('consignment')}"
    return union, [since, before, since, before]


def _told(subject: pb.Subject) -> str:
    kind = subject.WhichOneof("subject") or ""
    value: object = getattr(subject, kind, "")
    return f"{kind} {value.hex() if isinstance(value, bytes) else value}"


def _din_asked(text: str) -> str:
    """Returns a donation number as it is looked up; as printed, it is held to its check character, and ends there.

    Raises:
        IdentifierMalformedError: it is longer than a number, and neither as scanned nor as printed.
    """
    typed = text.strip().upper()
    compact = "".join(typed.split())
    if len(compact.removeprefix("=")) <= _DIN_CHARACTERS:
        return din_content(typed)
    return (Din.parse if compact.startswith("=") else Din.parse_printed)(typed).number
