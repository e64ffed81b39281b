"""Tell by when a quorum of the anchor's witnesses had cosigned a checkpoint.

Every cosignature tells its time, which only its witness answers for. So what is taken is the earliest time by which
those that had cosigned were a quorum: as many as the policy trusts together say that the tree was there. Times are
whole seconds, so that it is the end of that second. Cosignatures
of algorithms that are held broken do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.transparency import format_note, parse_note, parse_policy, verify_witnesses
from cellcustody.ledger.transparency.note_keys import NoteKeyType
from cellcustody.ledger.verification.standpoint import NOWHERE, Standpoint

__all__ = ["witnessed_at"]


def witnessed_at(
    raw: bytes, anchor: Anchor | None, log_vkeys: Sequence[str], standpoint: Standpoint = NOWHERE
) -> datetime | None:
    """Returns that time (aware, UTC), or None where no quorum is asked for, or is not there with a time."""
    if anchor is None or not anchor.witness_policy:
        return None
    try:
        policy = parse_policy(anchor.witness_policy.encode())
        cosigned = verify_witnesses(raw, policy, anchor.log_origin, log_vkeys).witness_signatures
    except CellcustodyError:
        return None  # Whether the quorum is met is another check, which says so.
    if not cosigned:
        return None
    times: dict[tuple[str, int], int] = {}
    for signature in cosigned:
        is_broken = standpoint.algorithms.is_broken(
            "ml-dsa-44" if signature.key.type is NoteKeyType.ML_DSA_44_COSIGNATURE else "ed25519"
        )
        if signature.timestamp_seconds and not is_broken:
            times[signature.key.name, signature.key.id] = signature.timestamp_seconds
    note = parse_note(raw)
    of_witnesses = {(signature.key.name, signature.key.id) for signature in cosigned}
    for seconds in sorted(set(times.values())):
        lines = [
            line
            for line in note.signatures
            if (line.name, line.key_id) not in of_witnesses
            or times.get((line.name, line.key_id), seconds + 1) <= seconds
        ]
        try:
            verify_witnesses(format_note(note.text, lines), policy, anchor.log_origin, log_vkeys)
        except CellcustodyError:
            continue
        return datetime.fromtimestamp(seconds + 1, UTC)  # A witness tells whole seconds: it was within that one.
    return None
