"""Say whether what algorithms carried still stands, when some of them are held broken.

The rules (docs/formats/timestamps.md):

* A statement stands if one of the signatures that it declares, all of which verified, is of an algorithm that is not
  held broken, or is shown to be older than the break: by its leaf index, by its time, by both where both are given.
* A leaf index alone never saves a statement: the tree must be signed by what is not broken, or have been stamped, with
  the log's signatures, before the break.
* Where SHA-256 is held broken, an entry stands if a renewal shows it under a newer hash, made before the break.

What is broken is the verifier's own word (`standpoint`); without any nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cellcustody.ledger.statements.keys import KeyAlgorithm
from cellcustody.ledger.timestamps import Broken, Renewal, Stamp, note_digest
from cellcustody.ledger.transparency import VerifiedCheckpoint
from cellcustody.ledger.transparency.note_keys import NoteKeyType
from cellcustody.ledger.verification.errors import CheckpointInvalidError
from cellcustody.ledger.verification.standpoint import Standpoint
from cellcustody.ledger.verification.time_bounds import VerifiedTimes

__all__ = ["broken_algorithms", "judge_checkpoint", "rests_on_what_is_broken"]

_OF_KEYS: Final = {
    KeyAlgorithm.ED25519: "ed25519",
    KeyAlgorithm.P256: "ecdsa-p256",
    KeyAlgorithm.ML_DSA_65: "ml-dsa-65",
}
_OF_NOTES: Final = {
    NoteKeyType.ED25519: "ed25519",
    NoteKeyType.ED25519_COSIGNATURE: "ed25519",
    NoteKeyType.ML_DSA_44_COSIGNATURE: "ml-dsa-44",
}
_HASH: Final = "sha-256"


def broken_algorithms(algorithms: Iterable[KeyAlgorithm], standpoint: Standpoint) -> tuple[str, ...]:
    """Returns the names of these that are held broken from any time or index on."""
    return tuple(name for algorithm in algorithms if standpoint.algorithms.is_broken(name := _OF_KEYS[algorithm]))


def rests_on_what_is_broken(
    leaf_index: int, algorithms: Sequence[KeyAlgorithm], times: VerifiedTimes, standpoint: Standpoint
) -> str:
    """Returns why an entry does not stand, or nothing where it does; `algorithms` are those of its signatures."""
    broken = standpoint.algorithms.broken
    if _HASH in broken and not _is_renewed(leaf_index, broken[_HASH], times, standpoint):
        return "sha-256 is held broken, and no renewal shows the entry under a newer hash before that"
    names = [_OF_KEYS[algorithm] for algorithm in algorithms]
    if any(name not in broken or _is_older(leaf_index, broken[name], times) for name in names):
        return ""
    return f"{' and '.join(sorted(set(names)))} is held broken, and nothing shows that the signature is older"


def judge_checkpoint(checkpoint: VerifiedCheckpoint, note: bytes, times: VerifiedTimes, standpoint: Standpoint) -> None:
    """Returns if the log's signature on the checkpoint stands.

    Raises:
        CheckpointInvalidError: every key that signed it is of an algorithm held broken, and nothing shows its age.
    """
    broken = standpoint.algorithms.broken
    names = [_OF_NOTES[signature.key.type] for signature in checkpoint.log_signatures]
    if any(name not in broken for name in names):
        return
    digest = note_digest(note, checkpoint.origin)
    for held in times.held.values():
        record = held.item.record
        if not isinstance(record, Stamp) or record.size != checkpoint.size or record.note_sha512 != digest:
            continue
        if "sha-512" not in broken and any((at := broken[name].at) is not None and held.latest <= at for name in names):
            return
    raise CheckpointInvalidError(
        "the checkpoint is signed by what is held broken alone, and nothing shows that it is older",
        algorithms=" ".join(sorted(set(names))),
    )


def _is_older(leaf_index: int, broken: Broken, times: VerifiedTimes) -> bool:
    if broken.from_leaf is not None and leaf_index >= broken.from_leaf:
        return False
    if broken.at is None:
        return True
    not_after = times.not_after(leaf_index)
    return not_after is not None and not_after <= broken.at


def _is_renewed(leaf_index: int, broken: Broken, times: VerifiedTimes, standpoint: Standpoint) -> bool:
    at = broken.at
    return at is not None and any(
        held.latest <= at and _shows(place, leaf_index, times, standpoint) for place, held in enumerate(times.renewals)
    )


def _shows(place: int, leaf_index: int, times: VerifiedTimes, standpoint: Standpoint) -> bool:
    """Tells whether a renewal's tree shows the entry, or did until a later renewal showed it under a newer hash."""
    record = times.renewals[place].item.record
    if not isinstance(record, Renewal) or leaf_index >= record.size:
        return False
    broken = standpoint.algorithms.broken.get(record.hash.policy_name)
    if broken is None:
        return True
    at = broken.at
    return at is not None and any(
        times.renewals[later].latest <= at and _shows(later, leaf_index, times, standpoint)
        for later in range(place + 1, len(times.renewals))
    )
