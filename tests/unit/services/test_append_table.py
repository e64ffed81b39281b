"""The table of acts against the contract: nothing forgotten, nothing twice, nothing that is not there."""

from google.protobuf.descriptor import ServiceDescriptor

from cellcustody.ledger.contract import BODIES
from cellcustody.services.access import right_of
from cellcustody.services.append_table import ACT_SERVICES, BODIES_BY_RPC, WITHOUT_RPC, act_methods
from cellcustody.v1 import (
    custody_query_service_pb2,
    export_service_pb2,
    facilities_service_pb2,
    harvest_service_pb2,
    ledger_service_pb2,
    modification_service_pb2,
    registry_service_pb2,
    return_service_pb2,
    transparency_service_pb2,
    transport_service_pb2,
)

MODULES = (
    custody_query_service_pb2,
    export_service_pb2,
    facilities_service_pb2,
    harvest_service_pb2,
    ledger_service_pb2,
    modification_service_pb2,
    registry_service_pb2,
    return_service_pb2,
    transparency_service_pb2,
    transport_service_pb2,
)


def services() -> list[ServiceDescriptor]:
    """Every service of the contract."""
    return [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]


def test_every_rpc_that_takes_an_act_has_a_row_and_every_row_an_rpc() -> None:
    submit = ledger_service_pb2.SubmitRequest.DESCRIPTOR
    in_contract = {
        (service.name, method.name)
        for service in services()
        for method in service.methods
        if method.input_type is submit and service.name != "LedgerService"
    }

    assert in_contract == {(service, method) for service, rows in BODIES_BY_RPC.items() for method in rows}
    assert {service.name for service in ACT_SERVICES} == set(BODIES_BY_RPC)


def test_every_act_has_exactly_one_rpc_save_those_that_nobody_sends() -> None:
    served = [body for service in ACT_SERVICES for body in act_methods(service).values()]

    assert len(served) == len(set(served))
    assert set(served) | {f"cellcustody.v1.{name}" for name in WITHOUT_RPC} == set(BODIES)
    assert not set(served) & {f"cellcustody.v1.{name}" for name in WITHOUT_RPC}


def test_every_rpc_of_the_contract_says_who_may_call_it() -> None:
    without = [
        f"{service.name}/{method.name}"
        for service in services()
        for method in service.methods
        if right_of(f"/{service.full_name}/{method.name}") is None
    ]

    assert without == []
