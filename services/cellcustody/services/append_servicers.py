"""The act services and LedgerService: built from the table, over one append core.

The rules:

* One handler for each row of `append_table`, all alike: who calls, which act, to the core.
* LedgerService takes any statement, judges batches in order, assesses, and gives entries back.
* An entry is given with what the caller may read of its body (`disclosure`), and with the judgement that counts now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import read_entry, write_judgement
from cellcustody.ledger.recording.answers import EntryView
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.registry import RegistryState, Site
from cellcustody.ledger.statements import ParsedStatement, parse_statement
from cellcustody.ledger.views import Views
from cellcustody.services.append_core import AppendCore, write_closed, write_openings
from cellcustody.services.append_table import act_methods
from cellcustody.services.custody_query_servicer import view_wait_seconds
from cellcustody.services.disclosure import classes_open_to, openings_for, reader_of
from cellcustody.services.error_status import RequestInvalidError
from cellcustody.services.interceptors import caller_of_this_call
from cellcustody.v1 import ledger_service_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceServicer

__all__ = ["LedgerServicer", "act_handlers"]

_ALL_CLASSES: Final = frozenset(DisclosureClass)

# In quotes: grpcio's stubs know the class as generic, its own module does not.
_ActHandler: TypeAlias = "grpc.RpcMethodHandler[ledger_service_pb2.SubmitRequest, ledger_service_pb2.SubmitResponse]"


def act_handlers(service: ServiceDescriptor, core: AppendCore) -> Mapping[str, _ActHandler]:
    """Returns a handler for each rpc of a service that takes an act."""
    return {
        method: grpc.unary_unary_rpc_method_handler(
            _append_of(core, body_type),
            request_deserializer=ledger_service_pb2.SubmitRequest.FromString,
            response_serializer=ledger_service_pb2.SubmitResponse.SerializeToString,
        )
        for method, body_type in act_methods(service).items()
    }


def _append_of(
    core: AppendCore, body_type: str
) -> Callable[[ledger_service_pb2.SubmitRequest, grpc.ServicerContext], ledger_service_pb2.SubmitResponse]:
    def append(
        request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        return core.append(request, caller_of_this_call(), context, body_type=body_type)

    return append


class LedgerServicer(LedgerServiceServicer):
    """LedgerService over one ledger."""

    def __init__(self, ledger: LedgerFace, views: Views, core: AppendCore) -> None:
        self._ledger = ledger
        self._views = views
        self._core = core

    def Assess(
        self, request: ledger_service_pb2.AssessRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.AssessResponse:
        return self._core.assess(request, caller_of_this_call())

    def Append(
        self, request: ledger_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.SubmitResponse:
        return self._core.append(request, caller_of_this_call(), context, body_type=None)

    def AppendBatch(
        self, request: ledger_service_pb2.AppendBatchRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.AppendBatchResponse:
        return self._core.append_batch(request, caller_of_this_call(), context)

    def GetEntry(
        self, request: ledger_service_pb2.GetEntryRequest, context: grpc.ServicerContext
    ) -> ledger_service_pb2.GetEntryResponse:
        caller = caller_of_this_call()
        match request.WhichOneof("entry"):
            case "leaf_index":
                found = self._ledger.read_entry(leaf_index=request.leaf_index)
            case "statement_id":
                found = self._ledger.read_entry(statement_id=request.statement_id)
            case "statement_digest":
                found = self._ledger.read_entry(statement_digest=request.statement_digest)
            case _:
                raise RequestInvalidError("an entry is named in one of three ways", field="entry")
        statement = parse_statement(read_entry(found.entry).envelope)
        openings = openings_for(
            self._classes_open_to(caller.site, found, statement, context),
            body_name=statement.header.body_type,
            field_numbers=statement.commitment.field_numbers,
            openings=found.openings,
        )
        return ledger_service_pb2.GetEntryResponse(
            leaf_index=found.leaf_index,
            entry=found.entry,
            openings=write_openings(openings),
            closed=write_closed(self._ledger.closed_records(statement, found.openings, openings)),
            receipt=self._ledger.receipt(found.leaf_index),
            latest_judgement=write_judgement(found.latest_judgement),
        )

    def _classes_open_to(
        self, site: Site | None, found: EntryView, statement: ParsedStatement, context: grpc.ServicerContext
    ) -> frozenset[DisclosureClass]:
        if site is None:
            return classes_open_to(None, found.stream)
        if site.site == site_of_signer(self._ledger.registry, statement):
            return _ALL_CLASSES
        reader = reader_of(site)
        takes_part = reader.needs_part_in(found.stream) and self._views.takes_part(
            found.stream, reader, position=found.leaf_index + 1, wait_seconds=view_wait_seconds(context)
        )
        return classes_open_to(site, found.stream, takes_part=takes_part)


def site_of_signer(registry: RegistryState, statement: ParsedStatement) -> bytes | None:
    """Returns the site that a statement's signer belongs to, as far as the registry knows now."""
    return registry.latest.site_of_signer(statement.header.signer.signer_id)
