"""TransparencyService: checkpoint, receipts, consistency, heads and entries over gRPC.

Everything here is under a signed checkpoint: what was committed and is not yet signed for is not shown. What aliases
name, and the key under which they are blinded, is for auditors and regulators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc

from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.statements.ids import check_stream_id
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.services.access import Gate, Right, check_right
from cellcustody.services.cosigning import CosignatureCollector
from cellcustody.services.error_status import RequestInvalidError
from cellcustody.services.heads_giving import HeadsGiver
from cellcustody.v1 import transparency_service_pb2
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceServicer

__all__ = ["TransparencyServicer"]

HEADS_ASKED_MAX: Final = 1_000  # A path is some seven hundred bytes: the answer stays below a megabyte.
_HASH_BYTES: Final = 32
EVIDENCE_BYTES_AT_ONCE: Final = 2 * 1024 * 1024  # An item has a megabyte at most, an answer four.
ENTRIES_READ_AT_ONCE: Final = 256  # One bundle's worth: a few hundred kilobytes at most are held for each stream.


class TransparencyServicer(TransparencyServiceServicer):
    """TransparencyService over one ledger."""

    def __init__(
        self,
        ledger: LedgerFace,
        gate: Gate,
        heads: HeadsGiver,
        collector: CosignatureCollector | None = None,
        evidence: TimeEvidenceFile | None = None,
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._heads = heads
        self._collector = collector
        self._evidence = evidence

    def GetCheckpoint(
        self, request: transparency_service_pb2.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetCheckpointResponse:
        return transparency_service_pb2.GetCheckpointResponse(checkpoint=self._ledger.checkpoint())

    def GetReceipt(
        self, request: transparency_service_pb2.GetReceiptRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetReceiptResponse:
        match request.WhichOneof("entry"):
            case "leaf_index":
                leaf_index = request.leaf_index
            case "statement_digest":
                leaf_index = self._ledger.read_entry(statement_digest=request.statement_digest).leaf_index
            case _:
                raise RequestInvalidError("an entry is named in one of two ways", field="entry")
        return transparency_service_pb2.GetReceiptResponse(receipt=self._ledger.receipt(leaf_index))

    def GetConsistencyProof(
        self, request: transparency_service_pb2.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetConsistencyProofResponse:
        size = self._ledger.checkpoint_size()
        second = request.second_size or size
        if not 1 <= request.first_size <= second <= size:
            raise RequestInvalidError(
                "sizes ascend from 1 to that of the checkpoint",
                field="first_size",
                first_size=request.first_size,
                second_size=second,
                checkpoint_size=size,
            )
        hashes, proved, checkpoint = self._ledger.consistency_proof(request.first_size, second)
        return transparency_service_pb2.GetConsistencyProofResponse(
            hashes=hashes, second_size=proved, checkpoint=checkpoint
        )

    def GetWitnesses(
        self, request: transparency_service_pb2.GetWitnessesRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetWitnessesResponse:
        standing = () if self._collector is None else self._collector.standing()
        return transparency_service_pb2.GetWitnessesResponse(
            size=self._ledger.checkpoint_size(),
            witnessed_size=self._ledger.cosigned.size,
            witnesses=[
                transparency_service_pb2.WitnessStanding(
                    names=one.names, size=one.size, cosigned_at_unix_micros=one.cosigned_at, failure=one.failure
                )
                for one in standing
            ],
        )

    def ProveHeads(
        self, request: transparency_service_pb2.ProveHeadsRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.ProveHeadsResponse:
        asked = len(request.streams) + len(request.alias_keys)
        if not 1 <= asked <= HEADS_ASKED_MAX:
            raise RequestInvalidError("so many streams and aliases are proved at once", field="streams", asked=asked)
        if any(len(key) != _HASH_BYTES for key in request.alias_keys):
            raise RequestInvalidError("a blinded alias has 32 bytes", field="alias_keys")
        for stream in request.streams:
            check_stream_id(stream)
        size = self._ledger.checkpoint_size()
        if request.position_min > size:
            raise RequestInvalidError(
                "no checkpoint is there yet", field="position_min", position_min=request.position_min, size=size
            )
        # Each map is an entry of the log: who has no need of a newer one makes none.
        if request.alias_keys or request.position_min > self._heads.maps.state.covered_size:
            self._check_overseer(context, "ProveHeads")
        proof = self._heads.proof(request.streams, request.alias_keys, request.position_min)
        return transparency_service_pb2.ProveHeadsResponse(proof=proof)

    def GetAliasKey(
        self, request: transparency_service_pb2.GetAliasKeyRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetAliasKeyResponse:
        self._check_overseer(context, "GetAliasKey")
        key = self._heads.maps.alias_key()
        return transparency_service_pb2.GetAliasKeyResponse(alias_key=key.key, commitment=key.commitment)

    def _check_overseer(self, context: grpc.ServicerContext, rpc: str) -> None:
        method = f"/cellcustody.v1.TransparencyService/{rpc}"
        check_right(Right.OVERSEER, self._gate.caller_of(context), method)

    def GetTimeEvidence(
        self, request: transparency_service_pb2.GetTimeEvidenceRequest, context: grpc.ServicerContext
    ) -> transparency_service_pb2.GetTimeEvidenceResponse:
        response = transparency_service_pb2.GetTimeEvidenceResponse()
        evidence = self._evidence
        if evidence is None:
            return response
        response.count = evidence.count
        response.certificates.extend(evidence.certificates)
        room = EVIDENCE_BYTES_AT_ONCE
        limit = request.limit or evidence.count
        for number in range(request.start, min(request.start + limit, response.count)):
            raw = evidence.raw(number)
            room -= len(raw)
            if room < 0 and response.items:
                break
            response.items.append(raw)
        return response

    def StreamEntries(
        self, request: transparency_service_pb2.StreamEntriesRequest, context: grpc.ServicerContext
    ) -> Iterator[transparency_service_pb2.StreamEntriesResponse]:
        size = self._ledger.checkpoint_size()
        end = request.end or size
        if not request.start <= end <= size:
            raise RequestInvalidError(
                "indexes ascend up to the checkpoint's size", field="end", start=request.start, end=end, size=size
            )
        at = request.start
        while at < end and context.is_active():
            for entry in self._ledger.entries(at, min(ENTRIES_READ_AT_ONCE, end - at)):
                yield transparency_service_pb2.StreamEntriesResponse(leaf_index=at, entry=entry)
                at += 1
