"""Makes maps of heads for a forged log: true ones, and whatever else it is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from forge import RECORDED, Forge, Signatory, drawn

from cellcustody.ledger.completeness import ALIASES, HEADS, AliasKey, RowsInMemory, SparseMap, stream_key
from cellcustody.ledger.completeness.map_proofs import alias_proof, stream_proof
from cellcustody.ledger.completeness.values import alias_value, blinded_alias, head_value
from cellcustody.ledger.dossier import GivenEntry, streams_given
from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.statements import StreamKind, parse_statement, partial_body, single_stream_id
from cellcustody.ledger.transparency import TileTree
from cellcustody.v1 import dossier_pb2, entry_pb2, harvest_pb2, heads_pb2

COI: Final = "CHA999925000001G"
ALIASES_OF_THERAPY: Final = (("isbt128-coi", COI), ("order", "PO-17"))
Heads = dict[bytes, tuple[int, bytes]]
Names = dict[bytes, tuple[bytes, ...]]


class MapForge:
    """Maps for one forged log. `heads` and `names` are what the last map states, true unless they were changed."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self.key = AliasKey(forge.ledger_id, drawn(f"{forge.world}: alias key"))
        self.heads: Heads = {}
        self.names: Names = {}
        self.leaf = 0
        self.covered = 0

    def blinded(self, scheme: str, value: str) -> bytes:
        """Returns an alias as the map has it."""
        return blinded_alias(self.key.key, scheme, value)

    def true_heads(self, size: int) -> Heads:
        """Returns where every stream ends below a size."""
        return {one.stream: (one.sequence, leaf_hash_of(one.entry)) for one in self.forge.entries[:size]}

    def true_names(self, size: int) -> Names:
        """Returns which therapies every alias names below a size."""
        names: dict[bytes, set[bytes]] = {}
        for given in self.forge.entries[:size]:
            statement = parse_statement(read_entry(given.entry).envelope)
            if statement.header.body_type != harvest_pb2.TherapyEnrolled.DESCRIPTOR.full_name:
                continue
            body = partial_body(harvest_pb2.TherapyEnrolled, self.forge.kept[statement.digest])
            for alias in body.aliases:
                names.setdefault(self.blinded(alias.scheme, alias.value), set()).add(given.stream)
        return {key: tuple(sorted(therapies)) for key, therapies in names.items()}

    def logs(
        self,
        *,
        covered: int | None = None,
        heads: Mapping[bytes, tuple[int, bytes]] | None = None,
        names: Mapping[bytes, Sequence[bytes]] | None = None,
        without: bytes = b"",
        by: Signatory | None = None,
        **stated: object,
    ) -> MapForge:
        """Logs a map of all that is recorded, with these heads and names in place of the true, without a stream."""
        forge = self.forge
        self.covered = len(forge.entries) if covered is None else covered
        self.heads = {**self.true_heads(self.covered), **(heads or {})}
        self.heads.pop(without, None)
        self.names = {**self.true_names(self.covered), **{key: tuple(value) for key, value in (names or {}).items()}}
        body = heads_pb2.HeadsMapped(
            covered_size=self.covered,
            streams=len(self.heads),
            heads_root=self._map_of_heads().root,
            aliases=len(self.names),
            aliases_root=self._map_of_names().root,
            alias_key_commitment=self.key.commitment,
            enrolments=sum(1 for given in forge.entries[: self.covered] if _is_enrolment(given)),
        )
        for field, value in stated.items():
            setattr(body, field, value)
        self.leaf = len(forge.entries)
        forge.records(body, by or forge.service, single_stream_id(StreamKind.LOG), RECORDED)
        return self

    def shows(
        self,
        streams: Collection[bytes] | None = None,
        names: Collection[bytes] | None = None,
        *,
        size: int | None = None,
    ) -> dossier_pb2.DossierHeads:
        """Returns what the last map says of streams (those of the dossier) and aliases (all that it has)."""
        forge = self.forge
        size = len(forge.entries) if size is None else size
        wanted = streams_given(forge, forge.therapy, size) if streams is None else streams
        entry = forge.entries[self.leaf].entry
        digest = parse_statement(read_entry(entry).envelope).digest
        heads, aliases = self._map_of_heads(), self._map_of_names()
        return dossier_pb2.DossierHeads(
            leaf_index=self.leaf,
            entry=entry,
            openings=[entry_pb2.Opening(index=o.index, salt=o.salt, record=o.record) for o in forge.kept[digest]],
            inclusion=TileTree(forge.tiles).inclusion_proof(self.leaf, size),
            streams=[stream_proof(stream, heads.prove(stream_key(stream))) for stream in sorted(wanted)],
            aliases=[alias_proof(key, aliases.prove(key)) for key in sorted(self.names if names is None else names)],
        )

    def dossier(self, heads: dossier_pb2.DossierHeads | None = None) -> bytes:
        """Returns the therapy's dossier with this map in it."""
        shown = self.shows() if heads is None else heads
        return self.forge.dossier(heads=shown.SerializeToString(deterministic=True)).data

    def _map_of_heads(self) -> SparseMap:
        made = SparseMap(HEADS, RowsInMemory())
        made.update({stream_key(stream): head_value(stream, *head) for stream, head in self.heads.items()})
        return made

    def _map_of_names(self) -> SparseMap:
        made = SparseMap(ALIASES, RowsInMemory())
        made.update({key: alias_value(therapies) for key, therapies in self.names.items()})
        return made


def _is_enrolment(given: GivenEntry) -> bool:
    header = parse_statement(read_entry(given.entry).envelope).header
    return header.body_type == harvest_pb2.TherapyEnrolled.DESCRIPTOR.full_name
