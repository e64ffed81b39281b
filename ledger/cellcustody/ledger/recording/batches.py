"""Remember which statements of one call were refused, for those after them that name them.

The rules:

* Members of a call are judged in its order, so that what was refused before a member is known when it is judged.
* A statement names another by its digest, in its header (seen, co-signature) or anywhere in its body: 32 bytes of a
  hash do not stand there by chance.
* A fact that names a refused one is recorded with the finding DEPENDS_ON_REFUSED; an authorisation is refused.

One `Refusals` belongs to one call: filled while its members are prepared, then read and filled by the writer's thread.
"""

from __future__ import annotations

import hashlib

from google.protobuf.message import DecodeError

from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.statements import pae
from cellcustody.v1 import envelope_pb2

__all__ = ["Refusals", "digest_of_envelope"]


class Refusals:
    """The digests of a call's statements that were refused."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, digest: bytes) -> None:
        """Notes a statement that was refused."""
        self._digests.add(digest)

    def drop(self, digest: bytes) -> None:
        """Notes a statement that was taken, as when a group is judged again after a commit that failed."""
        self._digests.discard(digest)

    def are_named_by(self, prepared: Prepared) -> bool:
        """Tells whether a statement names one that was refused."""
        if not self._digests:
            return False
        payload = prepared.statement.envelope.payload
        return any(
            digest in payload or any(digest in opening.record for opening in prepared.openings)
            for digest in self._digests
        )


def digest_of_envelope(envelope: bytes) -> bytes | None:
    """Returns the statement digest of an envelope that need not be valid, or None where it is none."""
    try:
        read = envelope_pb2.Envelope.FromString(envelope)
    except DecodeError:
        return None
    return hashlib.sha256(pae(read.payload_type, read.payload)).digest()
