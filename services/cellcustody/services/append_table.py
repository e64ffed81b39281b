"""Say which rpc takes which act: one table, from which the servicers are built.

The rules:

* Every rpc of the contract that takes a SubmitRequest has one row here, and so has every act of the contract that a
  person or device signs; a test holds the table to the service descriptors and to the bodies.
* A new act is a body, a rule and a row.
* An rpc takes the act of its row and no other. LedgerService.Append takes any, and co-signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from cellcustody.v1 import (
    harvest_service_pb2,
    ledger_service_pb2,
    modification_service_pb2,
    registry_service_pb2,
    return_service_pb2,
    transport_service_pb2,
)

__all__ = ["ACT_RPCS", "ACT_SERVICES", "WITHOUT_RPC", "act_methods"]

PACKAGE: Final = "cellcustody.v1"

ACT_SERVICES: Final[tuple[ServiceDescriptor, ...]] = (
    harvest_service_pb2.DESCRIPTOR.services_by_name["HarvestService"],
    transport_service_pb2.DESCRIPTOR.services_by_name["TransportService"],
    modification_service_pb2.DESCRIPTOR.services_by_name["ModificationService"],
    return_service_pb2.DESCRIPTOR.services_by_name["ReturnService"],
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
)
"""The services with one rpc for each act."""

WITHOUT_RPC: Final = frozenset({"LedgerFounded", "JudgementsRevised", "ExportMade"})
"""Acts that no caller sends: a ledger is founded where it lies, and says by itself what it found and gave out."""

ACT_RPCS: Final[Mapping[str, Mapping[str, str]]] = {
    "HarvestService": {
        "EnrolTherapy": "TherapyEnrolled",
        "RecordConsent": "ConsentRecorded",
        "WithdrawConsent": "ConsentWithdrawn",
        "CheckIdentity": "IdentityChecked",
        "StartCollection": "CollectionStarted",
        "CompleteCollection": "CollectionCompleted",
        "ApplyLabel": "LabelApplied",
        "VoidLabel": "LabelVoided",
        "StoreMaterial": "MaterialStored",
        "MoveMaterial": "MaterialMoved",
        "TransferBetweenUnits": "UnitTransferred",
        "PackMaterial": "MaterialPacked",
    },
    "TransportService": {
        "OpenConsignment": "ConsignmentOpened",
        "StartLogger": "LoggerStarted",
        "ApplySeal": "SealApplied",
        "ReleaseCustody": "CustodyReleased",
        "WithdrawRelease": "ReleaseWithdrawn",
        "RenameReceiver": "ReceiverRenamed",
        "AcceptCustody": "CustodyAccepted",
        "RefuseCustody": "CustodyRefused",
        "ReportPossession": "PossessionReported",
        "EstablishCustody": "CustodyEstablished",
        "PassCheckpoint": "TransitCheckpointPassed",
        "ReportDelay": "DelayReported",
        "AlarmExcursion": "ExcursionAlarmed",
        "InspectReceipt": "ReceiptInspected",
        "ReceiveMaterial": "MaterialReceived",
        "CloseConsignment": "ConsignmentClosed",
        "ReplenishCoolant": "CoolantReplenished",
        "HoldAtCustoms": "CustomsHeld",
        "ClearCustoms": "CustomsCleared",
        "RecordShock": "ShockRecorded",
        "ReportLoss": "ContainersLost",
        "ReturnMaterial": "MaterialReturned",
        "DisposeCondition": "ConditionDisposed",
        "DeclareDowntime": "DowntimeDeclared",
        "EndDowntime": "DowntimeEnded",
    },
    "ModificationService": {
        "AccessionMaterial": "MaterialAccessioned",
        "PerformSelection": "SelectionPerformed",
        "PerformActivation": "ActivationPerformed",
        "PerformModification": "ModificationPerformed",
        "PerformExpansion": "ExpansionPerformed",
        "PerformFormulation": "FormulationPerformed",
        "DivideMaterial": "MaterialDivided",
        "ReportResult": "ResultReported",
        "ReleaseBatch": "BatchReleased",
        "RejectBatch": "BatchRejected",
        "RegisterLot": "LotRegistered",
        "ChangeLotStatus": "LotStatusChanged",
        "RaiseDeviation": "DeviationRaised",
        "PlaceHold": "HoldPlaced",
        "LiftHold": "HoldLifted",
        "RestoreIdentity": "IdentityRestored",
        "OverrideGate": "GateOverridden",
        "CorrectStatement": "StatementCorrected",
        "RetractStatement": "StatementRetracted",
    },
    "ReturnService": {
        "IssueMaterial": "MaterialIssued",
        "ThawMaterial": "MaterialThawed",
        "CheckAtBedside": "BedsideChecked",
        "StartInfusion": "InfusionStarted",
        "StopInfusion": "InfusionStopped",
        "ObserveReaction": "ReactionObserved",
        "DestroyMaterial": "MaterialDestroyed",
        "ConsumeMaterial": "MaterialConsumed",
        "ArchiveMaterial": "MaterialArchived",
        "RecordFollowUp": "FollowUpRecorded",
        "CloseTherapy": "TherapyClosed",
    },
    "RegistryService": {
        "EnrolSite": "SiteEnrolled",
        "ChangeSite": "SiteChanged",
        "EnrolPerson": "PersonEnrolled",
        "ChangePerson": "PersonChanged",
        "EnrolDevice": "DeviceEnrolled",
        "AddKey": "KeyAdded",
        "RetireKey": "KeyRetired",
        "SuspendKey": "KeySuspended",
        "ReinstateKey": "KeyReinstated",
        "RevokeKey": "KeyRevoked",
        "RotateLogKeys": "LogKeysRotated",
        "RotateServiceKey": "ServiceKeyRotated",
        "ChangeRegistrars": "RegistrarsChanged",
        "PublishPolicy": "PolicyPublished",
        "PublishSchema": "SchemaPublished",
    },
}
"""Act by rpc, by service."""


def act_methods(service: ServiceDescriptor) -> dict[str, str]:
    """Returns the full body name of each rpc of a service that takes an act, such as cellcustody.v1.CustodyReleased."""
    rows = ACT_RPCS[service.name]
    return {
        method.name: f"{PACKAGE}.{rows[method.name]}"
        for method in service.methods
        if method.input_type is ledger_service_pb2.SubmitRequest.DESCRIPTOR
    }
