"""Read the printed names of staff out of the vault, for those who may read them.

The rules:

* A name is a person's own field: it is opened each time it is told, and is gone once it was shredded.
* Whoever reads OPERATIONAL fields of the registry reads every name; any other site those of its own people.
"""

from __future__ import annotations

import threading

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.statements import StreamKind, partial_body, single_stream_id
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.reading import LedgerSource
from cellcustody.v1 import registry_pb2

__all__ = ["StaffNames"]

_NAMES_ONLY = frozenset({int(DisclosureClass.OPERATIONAL)})
_REGISTRY = single_stream_id(StreamKind.REGISTRY)


class StaffNames:
    """Finds who enrolled whom once, and opens a name when it is asked for. Any thread may ask."""

    def __init__(self, source: LedgerSource) -> None:
        self._source = source
        self._enrolled: dict[bytes, bytes] = {}
        self._looked_at = 0
        self._lock = threading.Lock()

    def of(self, person: bytes, reader: Reader) -> str:
        """Returns the printed name of a person, or nothing where this reader may not read it or it was shredded."""
        registered = self._source.registry.latest.person(person)
        if registered is None:
            return ""
        reads_all = DisclosureClass.OPERATIONAL in reader.classes_in(_REGISTRY, takes_part=True)
        if not reads_all and registered.site != reader.site:
            return ""
        digest = self._enrolment_of(person)
        return "" if digest is None else self._read(digest, person)

    def _enrolment_of(self, person: bytes) -> bytes | None:
        acts = self._source.registry.acts
        with self._lock:
            if len(acts) != self._looked_at:
                acts_now = tuple(acts.items())
                for digest, joined in acts_now:
                    match joined.statement.body:
                        case registry_pb2.SiteEnrolled() as body:
                            self._enrolled.update((one.person, digest) for one in body.administrators)
                        case registry_pb2.PersonEnrolled() as body:
                            self._enrolled[body.person.person] = digest
                        case _:
                            pass
                self._looked_at = len(acts_now)
            return self._enrolled.get(person)

    def _read(self, digest: bytes, person: bytes) -> str:
        joined = self._source.registry.acts.get(digest)
        openings = openings_of(self._source.store, self._source.vault, digest, _NAMES_ONLY)
        if joined is not None and isinstance(joined.statement.body, registry_pb2.SiteEnrolled):
            names = partial_body(registry_pb2.SiteEnrolled, openings).names
            return next((one.printed_name for one in names if one.person == person), "")
        return partial_body(registry_pb2.PersonEnrolled, openings).name.printed_name
