"""What the package promises to those who import it."""

import inspect
import subprocess
import sys

import cellcustody.clients
import client_acts
from cellcustody.clients.acts import Acts
from cellcustody.ledger.act_rpcs import ACT_RPCS
from cellcustody.ledger.contract import BODIES
from cellcustody.v1 import (
    facilities_service_pb2,
    harvest_service_pb2,
    modification_service_pb2,
    registry_service_pb2,
    return_service_pb2,
    transport_service_pb2,
)

WITHOUT_RPC = {"LedgerFounded", "JudgementsRevised", "ExportMade", "HeadsMapped", "TimeEvidenceRecorded"}
"""What founds a ledger and what the ledger says itself: no client signs these through an rpc."""


def test_every_act_of_the_contract_has_a_typed_method() -> None:
    """The module is the one that the script makes now, and no body is left out."""
    acts = client_acts.read_acts()
    assert client_acts.MODULE.read_text(encoding="utf-8") == client_acts.write_module(acts)
    assert client_acts.TABLE.read_text(encoding="utf-8") == client_acts.write_table(acts)
    assert {BODIES[name].short_name for name in BODIES} - WITHOUT_RPC == {BODIES[name].short_name for name in ACT_RPCS}


def test_every_method_leads_to_an_rpc_that_exists() -> None:
    """Service and rpc are those of the contract's descriptors."""
    services = {
        name: service
        for module in (
            facilities_service_pb2,
            harvest_service_pb2,
            modification_service_pb2,
            registry_service_pb2,
            return_service_pb2,
            transport_service_pb2,
        )
        for name, service in module.DESCRIPTOR.services_by_name.items()
    }

    for service, rpc in ACT_RPCS.values():
        assert services[service].methods_by_name[rpc].input_type.name == "SubmitRequest"
    methods = [name for name, _ in inspect.getmembers(Acts, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) == len(ACT_RPCS) + 1  # And `act`, which takes any.


def test_the_public_names_are_these() -> None:
    """Removing one is a change that its users notice."""
    assert all(getattr(cellcustody.clients, name) is not None for name in cellcustody.clients.__all__)
    assert dir(cellcustody.clients) == sorted(cellcustody.clients.__all__)
    assert len(cellcustody.clients.__all__) == 46


def test_importing_the_package_loads_no_transport() -> None:
    """gRPC, protobuf and SQLite are loaded when they are first used."""
    heavy = ("grpc", "google.protobuf", "sqlite3")
    script = f"import cellcustody.clients, sys; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert printed.strip() == "[]"
