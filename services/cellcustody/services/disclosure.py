"""Say which records of a body a site may read.

The rules:

* Classes are opened by the one table of `cellcustody.ledger.views.access`: by the site's capabilities, for the kind of
  stream, and by its taking part where the table says so.
* What a site's own people or devices signed, the site reads back whole. IDENTITY opens in no other way, and CLINICAL
  for regulators alone: the treating site enrols, checks and infuses, so what it needs of them it has signed.
* A caller without a site reads what is PUBLIC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cellcustody.ledger.contract import DisclosureClass, body_type
from cellcustody.ledger.registry import Site
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.views import Reader

__all__ = ["classes_open_to", "openings_for", "reader_of"]

_PUBLIC = frozenset({DisclosureClass.PUBLIC})


def reader_of(site: Site) -> Reader:
    """Returns a site as a reader."""
    return Reader(site.site, site.capabilities)


def classes_open_to(site: Site | None, stream: bytes, *, takes_part: bool = True) -> frozenset[DisclosureClass]:
    """Returns the classes that a site may read in a stream signed by others; None reads what is PUBLIC."""
    return _PUBLIC if site is None else reader_of(site).classes_in(stream, takes_part=takes_part)


def openings_for(
    opened: frozenset[DisclosureClass], *, body_name: str, field_numbers: Sequence[int], openings: Iterable[Opening]
) -> list[Opening]:
    """Returns those of a statement's openings whose fields are of the classes that are open."""
    found = body_type(body_name)
    if found is None:
        return []
    return [one for one in openings if found.classes.get(field_numbers[one.index]) in opened]
