"""Give what the log's map of heads says: with a dossier, and as a proof of its own.

The rules:

* A dossier's map covers the record of its export, and lags behind the dossier's checkpoint by no more than a verifier
  accepts. Where so much is recorded meanwhile that it does not, another map is logged.
* Paths of aliases go to auditors and regulators alone: they hold the key, and nobody else could tell whose they are.
* An export is not held up by maps that cannot be made: it then says nothing of completeness, and the log of the process
  says why.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cellcustody.ledger.completeness.keeping import HeadMaps
from cellcustody.ledger.dossier import streams_given
from cellcustody.ledger.dossier.heads_proof import REGISTRY_STREAMS, build_heads_proof
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.errors import CellcustodyError, StoreError
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.ledger.verification.completeness import LAG_ENTRIES_MAX
from cellcustody.services.structured_log import StructuredLog

__all__ = ["HeadsGiver"]

ATTEMPTS_MAX: Final = 3  # A thousand entries between a map and its checkpoint are rare; three times in a row, rarer.
PROOF_WAIT_SECONDS: Final = 5.0


class HeadsGiver:
    """What the maps of one ledger say, for exports and for questions."""

    def __init__(self, ledger: LedgerFace, maps: HeadMaps, log: StructuredLog) -> None:
        self._ledger = ledger
        self.maps = maps
        self._log = log

    def for_dossier(
        self, source: StoreSource, therapy: bytes, position: int, *, has_aliases: bool, wait_seconds: float
    ) -> tuple[bytes, bytes]:
        """Returns a checkpoint over at least `position`, and the file of heads under it, empty where there is none.

        The checkpoint is cosigned if witnesses are asked and answer within `wait_seconds`.
        """
        try:
            for _ in range(ATTEMPTS_MAX):
                found = self._heads(source, therapy, position, has_aliases=has_aliases, wait_seconds=wait_seconds)
                if found is not None:
                    return found
                position = self._ledger.checkpoint_size()
            raise StoreError("more is recorded than maps keep up with")
        except CellcustodyError as why:
            self._log.write("head_map_failed", reason=why.reason, message=str(why))
            return self._ledger.checkpoint_over(position, wait_seconds=wait_seconds), b""

    def _heads(
        self, source: StoreSource, therapy: bytes, position: int, *, has_aliases: bool, wait_seconds: float
    ) -> tuple[bytes, bytes] | None:
        """Returns checkpoint and file, or None where they do not fit each other."""
        with self.maps.held() as held:
            state = held.covering(position)
            streams = streams_given(source, therapy, self._ledger.checkpoint_size())
            heads = held.show(streams, held.alias_keys_of(therapy) if has_aliases else ())
        # Witnesses are waited for without holding the maps.
        checkpoint = self._ledger.checkpoint_over(heads.leaf_index + 1, wait_seconds=wait_seconds)
        size = parse_checkpoint(checkpoint).size
        if size - state.covered_size > LAG_ENTRIES_MAX or streams_given(source, therapy, size) != streams:
            return None
        return checkpoint, self.maps.included(heads, size).SerializeToString(deterministic=True)

    def proof(self, streams: Collection[bytes], alias_keys: Collection[bytes], position_min: int) -> bytes:
        """Returns a proof of its own, under a map that covers `position_min`; one is logged if none does.

        Raises:
            CellcustodyError: no map could be logged.
        """
        with self.maps.held() as held:
            held.covering(position_min)
            heads = held.show({*streams, *REGISTRY_STREAMS}, alias_keys)
        checkpoint = self._ledger.checkpoint_over(heads.leaf_index + 1, wait_seconds=PROOF_WAIT_SECONDS)
        source = StoreSource(self._ledger.store, self._ledger.vault)
        included = self.maps.included(heads, parse_checkpoint(checkpoint).size)
        return build_heads_proof(source, included, checkpoint=checkpoint)
