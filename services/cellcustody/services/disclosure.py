"""Say which records of a body a site may read.

The rules:

* A class of fields is opened by the site's capabilities, together, for the kinds of stream that they concern.
* What a site's own people or devices signed, the site reads back whole. CLINICAL and IDENTITY open in no other way: the
  treating site enrols, checks and infuses, so what it needs of them it has signed.
* A site that only carries reads consignments and lots, never the stream of a therapy.
* PUBLIC is open to everyone; names of staff open with OPERATIONAL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cellcustody.ledger.contract import DisclosureClass, body_type
from cellcustody.ledger.registry import Site
from cellcustody.ledger.statements import Opening, StreamKind
from cellcustody.v1 import options_pb2

__all__ = ["classes_open_to", "openings_for"]

_NONE: Final[frozenset[DisclosureClass]] = frozenset()
_C, _Q, _O = DisclosureClass.CUSTODY, DisclosureClass.QUALITY, DisclosureClass.OPERATIONAL

CLASSES_BY_CAPABILITY: Final[Mapping[int, frozenset[DisclosureClass]]] = {
    options_pb2.CAPABILITY_COLLECT: frozenset({_C, _O}),
    options_pb2.CAPABILITY_TRANSPORT: frozenset({_C, _O}),
    options_pb2.CAPABILITY_STORE: frozenset({_C}),
    options_pb2.CAPABILITY_PROCESS: frozenset({_C, _Q, _O}),
    options_pb2.CAPABILITY_TEST: frozenset({_C, _O}),
    options_pb2.CAPABILITY_RELEASE: frozenset({_C, _Q, _O}),
    options_pb2.CAPABILITY_INFUSE: frozenset({_C, _Q, _O}),
    options_pb2.CAPABILITY_AUDIT: frozenset({_C, _Q}),
    options_pb2.CAPABILITY_REGULATE: frozenset({_C, _Q, _O}),
}
_CARRIED: Final = frozenset({StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE})


def classes_open_to(site: Site | None, stream: bytes) -> frozenset[DisclosureClass]:
    """Returns the classes beside PUBLIC that a site may read in a stream signed by others; None reads none."""
    if site is None:
        return _NONE
    kind = StreamKind(stream[0])
    opened: set[DisclosureClass] = set()
    for capability in site.capabilities:
        if capability == options_pb2.CAPABILITY_TRANSPORT and kind not in _CARRIED:
            continue
        opened |= CLASSES_BY_CAPABILITY.get(capability, _NONE)
    return frozenset(opened)


def openings_for(
    site: Site | None,
    *,
    stream: bytes,
    signed_by_site: bytes | None,
    body_name: str,
    field_numbers: Sequence[int],
    openings: Iterable[Opening],
) -> list[Opening]:
    """Returns those of a statement's openings that a site may read; `signed_by_site` is the signer's site, if any."""
    found = body_type(body_name)
    if found is None:
        return []
    if site is not None and site.site == signed_by_site:
        return list(openings)
    opened = classes_open_to(site, stream) | {DisclosureClass.PUBLIC}
    return [one for one in openings if found.classes.get(field_numbers[one.index]) in opened]
