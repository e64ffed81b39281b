"""Find what a question is about, as far as the caller may know that it exists.

The rules:

* Whoever reads no therapies at all is refused before anything is looked up.
* A therapy, consignment or material that the caller's site has no part in is not found, exactly as if it were not
  there: an opaque id or an alias that is guessed tells nothing.
* What a site answers for is asked by that site, or by one that sees all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views.access import Reach, Reader
from cellcustody.ledger.views.database import Snapshot
from cellcustody.ledger.views.errors import (
    ConsignmentNotFoundError,
    MaterialNotFoundError,
    QuestionIncompleteError,
    ReadNotPermittedError,
    TherapyNotFoundError,
)
from cellcustody.ledger.views.rows_therapy import COI_SCHEME, alias_value
from cellcustody.ledger.views.tables import Value
from cellcustody.v1 import common_pb2, custody_query_service_pb2

__all__ = ["Asked"]

_IS_PARTY: Final = "EXISTS (SELECT 1 FROM party WHERE party.stream = {table}.stream AND party.site = ?)"
_COI_CONTENT_CHARACTERS: Final = 15


def _alias_asked(scheme: str, value: str) -> str:
    """Returns an alias as it is looked up; an identifier with more than its content is held to its check character.

    Else a slip of a digit that the check character tells would be answered with another patient's therapy.
    """
    if scheme == COI_SCHEME and len("".join(value.split()).removeprefix("&/")) > _COI_CONTENT_CHARACTERS:
        typed = value.strip()
        return (ChainOfIdentity.parse if typed.startswith("&/") else ChainOfIdentity.parse_printed)(typed).content
    return alias_value(scheme, value)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question's snapshot of the views, and who asks."""

    snapshot: Snapshot
    reader: Reader

    @property
    def position(self) -> int:
        """The position that the answer reflects."""
        return self.snapshot.position

    def refuse_without_therapies(self) -> None:
        """Returns if the caller reads therapies.

        Raises:
            ReadNotPermittedError: it sees consignments alone.
        """
        if self.reader.therapies is Reach.NONE:
            raise ReadNotPermittedError("this site may read no therapy", site=self.reader.site)

    def refuse_other_sites(self, site: bytes) -> None:
        """Returns if the caller may ask what this site has.

        Raises:
            QuestionIncompleteError: no site is named.
            ReadNotPermittedError: it is another's.
        """
        if not site:
            raise QuestionIncompleteError("the question names no site")
        if site != self.reader.site and self.reader.consignments is not Reach.ALL:
            raise ReadNotPermittedError("a site asks about itself", site=self.reader.site, asked=site)

    def sees(self, stream: bytes) -> bool:
        """Tells whether the caller sees a stream of kind 1 to 4."""
        match StreamKind(stream[0]):
            case StreamKind.THERAPY:
                reach = self.reader.therapies
            case StreamKind.CONSIGNMENT:
                reach = self.reader.consignments
            case StreamKind.LOT | StreamKind.SITE | StreamKind.EQUIPMENT:
                reach = Reach.ALL if self.reader.therapies is not Reach.NONE else Reach.NONE
            case _:
                reach = Reach.NONE
        return self.takes_part(stream) if reach is Reach.OWN else reach is Reach.ALL

    def takes_part(self, stream: bytes) -> bool:
        """Tells whether the caller takes part in a therapy, or touched a consignment or had one of its own in it."""
        sql = "SELECT 1 FROM party WHERE stream = ? AND site = ?"
        if self.snapshot.rows(sql, (stream, self.reader.site)):
            return True
        return self.reader.therapies is Reach.OWN and self._carried_its_therapy(stream)

    def _carried_its_therapy(self, consignment: bytes) -> bool:
        """Tells whether a therapy that the caller takes part in travelled in a consignment of others.

        Whoever authorises for a therapy must have seen what became of it on every way, their own or not.
        """
        sql = (
            "SELECT 1 FROM citation JOIN party ON party.stream = citation.stream "
            "WHERE citation.consignment = ? AND party.site = ? LIMIT 1"
        )
        return bool(self.snapshot.rows(sql, (consignment, self.reader.site)))

    def visible(self, table: str, reach: Reach) -> tuple[str, tuple[Value, ...]]:
        """Returns the condition, with its parameters, that leaves rows of streams within this reach of the caller."""
        match reach:
            case Reach.ALL:
                return "1", ()
            case Reach.OWN:
                return _IS_PARTY.format(table=table), (self.reader.site,)
            case Reach.NONE:
                return "0", ()

    def therapy(self, name: custody_query_service_pb2.TherapyName) -> bytes:
        """Returns the stream of the therapy named.

        Raises:
            QuestionIncompleteError, ReadNotPermittedError, TherapyNotFoundError.
            IdentifierMalformedError: a chain of identity identifier is longer than its content, and not as printed.
        """
        self.refuse_without_therapies()
        parameters: tuple[Value, ...]
        match name.WhichOneof("name"):
            case "stream":
                sql, parameters = "SELECT stream FROM therapy WHERE stream = ?", (name.stream,)
                asked = name.stream.hex()
            case "alias":
                scheme, value = name.alias.scheme, name.alias.value
                sql = "SELECT DISTINCT stream FROM alias WHERE scheme = ? AND value = ?"
                parameters = (scheme, _alias_asked(scheme, value))
                asked = f"{scheme} {value}"
            case _:
                raise QuestionIncompleteError("the question names no therapy")
        found = [stream for stream in self.snapshot.blobs(sql, parameters) if self.sees(stream)]
        if len(found) != 1:
            raise TherapyNotFoundError(
                "no one therapy that this site takes part in has this name", asked=asked, found=len(found)
            )
        return found[0]

    def therapy_of(self, material: bytes) -> bytes:
        """Returns the stream of the therapy that a material belongs to; of two that claim it, one that the caller sees.

        Raises:
            QuestionIncompleteError, ReadNotPermittedError, MaterialNotFoundError.
        """
        self.refuse_without_therapies()
        if not material:
            raise QuestionIncompleteError("the question names no material")
        sql = "SELECT stream FROM material WHERE material = ? ORDER BY stream"
        for stream in self.snapshot.blobs(sql, (material,)):
            if self.sees(stream):
                return stream
        raise MaterialNotFoundError("no therapy that this site takes part in has this material", asked=material)

    def consignment(self, stream: bytes) -> bytes:
        """Returns the answer kept for a consignment.

        Raises:
            QuestionIncompleteError, ConsignmentNotFoundError.
        """
        if not stream:
            raise QuestionIncompleteError("the question names no consignment")
        found = self.snapshot.blobs("SELECT answer FROM consignment WHERE stream = ?", (stream,))
        if not found or not self.sees(stream):
            raise ConsignmentNotFoundError("no consignment that this site has touched is this", asked=stream)
        return found[0]

    def at_unit(self, columns: Sequence[str], unit: common_pb2.Unit) -> tuple[str, list[Value]]:
        """Returns the condition that one of these pairs of columns (x for x_site, x_unit) is the unit, or its site."""
        parts: list[str] = []
        parameters: list[Value] = []
        for column in columns:
            prefix = f"{column}_" if column else ""
            if unit.unit:
                parts.append(f"({prefix}site = ? AND {prefix}unit IN (?, ''))")
                parameters += [unit.site, unit.unit]
            else:
                parts.append(f"{prefix}site = ?")
                parameters.append(unit.site)
        return f"({' OR '.join(parts)})", parameters
