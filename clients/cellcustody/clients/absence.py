"""Ask a ledger to prove what is not in it, and verify the proof before believing a word of it.

The rules:

* A stream is asked for by its id. An alias is asked for blinded, by whoever holds the key: auditors and regulators.
* What comes back is a file that verifies offline, from an anchor got elsewhere; it is kept as it came.
* The key of aliases is checked against what the log's maps state of it, by the verifier, whoever gave it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from cellcustody.clients.connection import Connection
from cellcustody.ledger.completeness.values import AliasKey
from cellcustody.ledger.registry.anchor import Anchor
from cellcustody.ledger.verification.heads_proofs import HeadsReport, verify_heads_proof
from cellcustody.v1 import transparency_service_pb2
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceStub

__all__ = ["ProvedHeads", "alias_key_of", "prove_heads"]


class ProvedHeads(NamedTuple):
    """A proof as it came, and what it shows."""

    proof: bytes
    report: HeadsReport


def alias_key_of(connection: Connection, ledger_id: bytes) -> AliasKey:
    """Returns the key of aliases of the ledger with this id (16 bytes), as the server opens it to the caller.

    Raises:
        AccessDenied: the caller neither audits nor regulates.
        AliasKeyMismatchError: key and commitment do not belong together, or are another ledger's.
    """
    stub = TransparencyServiceStub(connection.channel)
    answer = connection.ask(stub.GetAliasKey, transparency_service_pb2.GetAliasKeyRequest())
    key = AliasKey(ledger_id, answer.alias_key)
    key.check(answer.commitment)
    return key


def prove_heads(
    connection: Connection,
    anchor: Anchor,
    *,
    streams: Collection[bytes] = (),
    alias_keys: Collection[bytes] = (),
    position_min: int = 0,
) -> ProvedHeads:
    """Returns what the log proves of streams (17 bytes) and blinded aliases (32 bytes), verified from the anchor.

    The map covers `position_min` at least; 0 takes the last one.

    Raises:
        AccessDenied: aliases are for auditors and regulators, and so is a newer map than the last.
        DossierError: the proof does not hold; its class names the broken link.
    """
    stub = TransparencyServiceStub(connection.channel)
    request = transparency_service_pb2.ProveHeadsRequest(
        streams=sorted(streams), alias_keys=sorted(alias_keys), position_min=position_min
    )
    proof = connection.ask(stub.ProveHeads, request).proof
    return ProvedHeads(proof, verify_heads_proof(proof, anchor))
