"""TransparencyService: checkpoint, receipts, consistency and entries over gRPC.

Everything here is under a signed checkpoint: what was committed and is not yet signed for is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc

from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.services.cosigning import CosignatureCollector
from cellcustody.services.error_status import RequestInvalidError
from cellcustody.v1 import transparency_service_pb2
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceServicer

__all__ = ["TransparencyServicer"]

ENTRIES_READ_AT_ONCE: Final = 256  # One bundle's worth: a few hundred kilobytes at most are held for each stream.


class TransparencyServicer(TransparencyServiceServicer):
    """TransparencyService over one ledger."""

    def __init__(self, ledger: LedgerFace, collector: CosignatureCollector | None = None) -> None:
        self._ledger = ledger
        self._collector = collector

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
