"""Build a proof of its own from the log's map of heads: where streams end, what is not here, what aliases name.

It carries what a dossier carries of registry, policies and schemas, so that it is verified offline from an anchor, and
of everything else one entry of the log: the map's (docs/formats/head-map.md).
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier.building import DossierSource, read_given, shown_body
from cellcustody.ledger.dossier.layout import FORMAT_VERSION, encode_entries
from cellcustody.ledger.dossier.proof import shared_proof
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.v1 import dossier_pb2

__all__ = ["REGISTRY_STREAMS", "build_heads_proof"]

REGISTRY_STREAMS: Final = tuple(
    single_stream_id(kind) for kind in (StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA)
)
_PUBLIC: Final = frozenset({DisclosureClass.PUBLIC})


def build_heads_proof(source: DossierSource, heads: dossier_pb2.DossierHeads, *, checkpoint: bytes) -> bytes:
    """Returns the file with what a map says, under a signed checkpoint that covers the map."""
    size = parse_checkpoint(checkpoint).size
    given = sorted(entry for stream in REGISTRY_STREAMS for entry in source.stream_entries(stream, size))
    bodies = [
        shape
        for one in given
        if (shape := shown_body(source, one.leaf_index, read_given(source, one), _PUBLIC)) is not None
    ]
    nodes = shared_proof(
        [one.leaf_index for one in given], size, lambda height, index: source.node(height, index, size)
    )
    return dossier_pb2.HeadsProof(
        format_version=FORMAT_VERSION,
        checkpoint=checkpoint,
        entries=encode_entries((one.leaf_index, one.entry) for one in given),
        bodies=dossier_pb2.DossierBodies(bodies=bodies),
        proof=b"".join(nodes),
        heads=heads,
    ).SerializeToString(deterministic=True)
