"""Say which rpc takes which act, by service: one table, from which the servicers are built.

The rules:

* Every rpc of the contract that takes a SubmitRequest has one row, and so has every act of the contract that a person
  or device signs; a test holds the table to the service descriptors and to the bodies.
* The rows are those of `cellcustody.ledger.act_rpcs`, which is made from the contract, for clients and services alike.
* An rpc takes the act of its row and no other. LedgerService.Append takes any, and co-signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from cellcustody.ledger.act_rpcs import ACT_RPCS
from cellcustody.v1 import (
    facilities_service_pb2,
    harvest_service_pb2,
    ledger_service_pb2,
    modification_service_pb2,
    registry_service_pb2,
    return_service_pb2,
    transport_service_pb2,
)

__all__ = ["ACT_SERVICES", "BODIES_BY_RPC", "WITHOUT_RPC", "act_methods"]

_MODULES: Final[tuple[ModuleType, ...]] = (
    harvest_service_pb2,
    transport_service_pb2,
    modification_service_pb2,
    return_service_pb2,
    facilities_service_pb2,
    registry_service_pb2,
)

WITHOUT_RPC: Final = frozenset(
    {"LedgerFounded", "JudgementsRevised", "ExportMade", "HeadsMapped", "TimeEvidenceRecorded"}
)
"""Acts that no caller sends: a ledger is founded where it lies, and says by itself what it found and gave out."""


def _services() -> Iterator[ServiceDescriptor]:
    for module in _MODULES:
        yield from module.DESCRIPTOR.services_by_name.values()


def _by_service() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for body, (service, rpc) in ACT_RPCS.items():
        table.setdefault(service, {})[rpc] = body
    return table


ACT_SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(_services())
"""The services with one rpc for each act."""

BODIES_BY_RPC: Final[Mapping[str, Mapping[str, str]]] = _by_service()
"""Full body name, such as cellcustody.v1.CustodyReleased, by rpc, by service."""


def act_methods(service: ServiceDescriptor) -> dict[str, str]:
    """Returns the full body name of each rpc of a service that takes an act."""
    rows = BODIES_BY_RPC[service.name]
    return {
        method.name: rows[method.name]
        for method in service.methods
        if method.input_type is ledger_service_pb2.SubmitRequest.DESCRIPTOR
    }
