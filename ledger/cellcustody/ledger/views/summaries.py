"""Say in one line what a statement says: one template for each body, filled from the fields that a reader may see.

The rules:

* A template names fields of its body; a field of a class that the reader does not see is told as "withheld", and one
  that is empty as "none"; a part in brackets of which
  every field is empty is left out. IDENTITY and CLINICAL fields stand in no template.
* A body without a template is told by its name, so that a new act is never silent.
* Ids of materials and digests are shortened to eight characters; the whole of them stand in the item's own fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from string import Formatter
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cellcustody.ledger.contract import SHREDDABLE, BodyType, DisclosureClass, body_type
from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import common_pb2, harvest_pb2, modification_pb2, quality_pb2

__all__ = ["TEMPLATES", "SiteName", "Summary"]

SiteName = Callable[[bytes], str]
"""Returns the registered name of a site, or its id where it has none."""

SHOWN_MAX: Final = 6  # Of a repeated field; a line is for a person.
_SHORT: Final = 8
_WITHHELD: Final = "withheld"
_NONE: Final = "none"
_OPTIONAL: Final = re.compile(r"\[([^\]]*)\]")
_EXPONENT_SHOWN_MAX: Final = 12  # Beyond that, digits are shown with their exponent.

TEMPLATES: Final[dict[str, str]] = {
    "TherapyRepinned": "Therapy moved from policy pack {from_policy_digest} to {to_policy_digest}",
    "TherapyEnrolled": "Therapy enrolled as {aliases} for {product} in {jurisdiction}, treated at {treating_unit}",
    "ConsentRecorded": "Consent recorded for {scopes}",
    "ConsentWithdrawn": "Consent withdrawn for {scopes}",
    "IdentityChecked": "Identity checked ({point})[, identifier read {coi_read}]",
    "CollectionStarted": "Collection day {day} started at {unit}, donation {din}",
    "CollectionCompleted": "Collection completed at {unit}: {outputs}",
    "LabelApplied": "Label applied to {material}: donation {din}[, product {product_code}][, division {division}]",
    "LabelVoided": "Label voided that {applied} applied",
    "MaterialStored": "{material} stored at {position}",
    "MaterialMoved": "{material} moved to {position}",
    "UnitTransferred": "{materials} transferred from {releaser} to {receiver}",
    "MaterialPacked": "{material} packed by {unit} into container {container}",
    "MaterialReceived": "{material} received by {unit} from container {container}",
    "ConsignmentOpened": "Consignment[ {consignment_number}] opened by {unit} for {destination}: {containers}",
    "LoggerStarted": "Logger {logger} started in {container}[, {band_min} to {band_max}]",
    "SealApplied": "Seal {seal} applied to {container}",
    "CustodyReleased": "{releaser} released {containers} to {receiver}",
    "ReleaseWithdrawn": "Release {release} withdrawn",
    "ReceiverRenamed": "Receiver of release {release} renamed to {receiver}",
    "CustodyAccepted": "{receiver} answered release {release}: {lines}",
    "CustodyRefused": "{receiver} refused release {release}",
    "PossessionReported": "{possessor} reports to have[ {containers}][ {materials}][ at {place}]",
    "CustodyEstablished": "Custody of[ {containers}][ {materials}] established with {custodian}",
    "TransitCheckpointPassed": "{containers} passed[ {place}]",
    "DelayReported": "Delay of {expected_seconds} s reported[ at {place}]",
    "ExcursionAlarmed": "Logger {logger} in {container} alarmed at {temperature}",
    "ReceiptInspected": "{unit} inspected {containers}: {loggers}",
    "ConsignmentClosed": "Consignment closed by {unit}",
    "MaterialAccessioned": "{materials} accessioned by {unit} to batch {batch_number}, attempt {attempt}",
    "MaterialAccepted": "{materials} accepted by quality for work",
    "SelectionPerformed": "Selection by {unit}: {inputs} became {outputs}",
    "ActivationPerformed": "Activation by {unit}: {inputs} became {outputs}",
    "ModificationPerformed": "Modification by {unit}[ with lot {vector_lot}]: {inputs} became {outputs}",
    "ExpansionPerformed": "Expansion by {unit}: {inputs} became {outputs}",
    "FormulationPerformed": "Formulation by {unit}: {inputs} became {outputs}",
    "MaterialDivided": "{material} divided by {unit} into {outputs}",
    "ResultReported": "Result of {test} on {sample}: {outcome}",
    "BatchReleased": "Batch released with {materials}",
    "LineCleared": "Line {process_area} cleared by {unit}",
    "ManufacturingStarted": "Manufacture started by {unit} in {process_area} under {batch_record}",
    "CultureTransferred": "Culture transferred by {unit}: {inputs} became {outputs}",
    "CultureHarvested": "Culture harvested by {unit}: {inputs} became {outputs}",
    "FillPerformed": "Filling by {unit}: {inputs} became {outputs}",
    "MaterialPooled": "{inputs} pooled by {unit} into {output}",
    "BatchReviewed": "Batch record reviewed",
    "BatchReleasedConditionally": "Batch released conditionally with {materials}",
    "OutOfSpecificationRequested": "Release outside specification of {materials} asked for",
    "RiskEvaluated": "Risk evaluated for request {request}",
    "PatientInformed": "Patient informed for request {request}",
    "AuthorityNotified": "{authority} notified for request {request}",
    "OutOfSpecificationReleased": "Released outside specification: {materials}",
    "BatchRejected": "Batch rejected",
    "BatchTerminated": "Batch terminated: {cause}",
    "DosePlanned": "Dose planned: {bags}",
    "LotRegistered": "Lot {lot_number} ({kind}) registered",
    "LotStatusChanged": "Lot became {status}",
    "MaterialIssued": "{material} issued by {releaser} to {receiver}",
    "MaterialThawed": "{material} thawed at {unit}",
    "BedsideChecked": "{material} checked at the bedside[, identifier read {coi_read}]",
    "InfusionStarted": "Infusion of {material} started at {unit}",
    "InfusionStopped": "Infusion of {material} ended: {outcome}[, remainder {remainder}]",
    "ReactionObserved": "Reaction observed after {materials}",
    "MaterialDestroyed": "{material} destroyed at {unit} by {method}",
    "MaterialConsumed": "{material} used up at {unit}",
    "MaterialArchived": "{material} archived at {position}",
    "FollowUpRecorded": "Follow-up recorded: {visit}",
    "TherapyClosed": "Therapy closed",
    "DeviationRaised": "Deviation {reference} raised on {scope}",
    "HoldPlaced": "Hold placed on {scope}[: {grounds}]",
    "HoldLifted": "Hold {holds} lifted",
    "IdentityRestored": "Identity restored by {reidentification}",
    "GateOverridden": "Gate {gate} overridden for {scope}",
    "StatementCorrected": "{corrected} corrected by {replacement}",
    "StatementRetracted": "{retracted} retracted",
    "EligibilityAssessed": "Eligibility assessed: {outcome}",
    "TrialEnrolled": "Enrolled in study {study}, protocol {protocol}, at {unit}",
    "DonorScreened": "Donor screened: {markers}, {biohazard}[, {label_reason}]",
    "SlotReserved": "Slot {slot} reserved at {unit}, attempt {attempt}",
    "SlotMoved": "Slot moved that {reserved} reserved",
    "SlotReleased": "Slot released that {reserved} reserved",
    "KitReceived": "Kit {kit_serial} received by {unit} with {labels_counted} labels",
    "ReidentificationPerformed": "Re-identified, identifier read {coi_read}[: {materials}]",
    "CourseLinked": "Linked with another course of the same patient as {relation}",
    "FreshHoldStarted": "Fresh hold of {materials} started at {position}[, {temperature}]",
    "CryopreservationStarted": "Cryopreservation of {materials} started by {unit}",
    "CryopreservationCompleted": "Cryopreservation completed[ at {position}][, failed: {failed}]",
    "LabelsPrinted": "Labels printed by {unit} for donation {din}: {serials}",
    "LabelReadBack": "Label read back that {applied} applied",
    "LabelsReturned": "Labels returned by {unit}: {serials}",
    "LabelsReconciled": "Labels reconciled by {unit}: {printed} printed, {applied} applied, {voided} voided, "
    "{returned} returned",
    "CoolantReplenished": "Coolant {coolant} of {container} replenished[ at {place}]",
    "CustomsHeld": "{containers} held by customs[ at {place}]",
    "CustomsCleared": "Cleared by customs",
    "ShockRecorded": "Logger {logger} in {container} recorded {kind} of {reading}[, limit {limit}]",
    "ContainersLost": "{containers} lost[, last known at {last_place}]",
    "MaterialReturned": "{material} returned by {unit}: {reason}",
    "ConditionDisposed": "Condition of {materials} decided: {decision}[, study {study_reference}]",
    "DowntimeDeclared": "Downtime {reference} of {system} declared",
    "DowntimeEnded": "Downtime ended that {declared} declared",
    "LymphodepletionStarted": "Lymphodepletion course {course} started at {unit}",
    "LymphodepletionStopped": "Lymphodepletion ended that {started} started",
    "PremedicationGiven": "Premedication given at {unit}",
    "MaterialReconstituted": "{material} reconstituted at {unit}: {reconstitution}[, {outputs}]",
    "BreachDecided": "Breach found by {thawed} decided: {decision}",
    "ToxicityGraded": "Toxicity graded on day {day}",
    "AdverseEventReported": "Adverse event reported on day {day}",
    "PatientMonitored": "Patient monitored at {unit} on day {day}",
    "ResultNotified": "{told} told of result {result}",
    "ResultAcknowledged": "{unit} acknowledged notice {notification}",
    "RemainderRetained": "Remainder of {material} retained at {position}[ for {study}]",
    "TherapyReopened": "Therapy reopened that {closed} closed",
    "CustodianOfRecordChanged": "Record passed to another site, with a copy up to entry {checkpoint_size}",
    "DeviationClosed": "Deviation {deviation} closed: {outcome}",
    "ComplaintRecorded": "Complaint {reference} recorded on {scope}",
    "CoSignatureDeclined": "Co-signature of {declined} declined: {grounds}",
    "EquipmentRegistered": "Equipment {asset} ({kind}) registered for {owner}",
    "QualificationRecorded": "Qualification recorded: {kind}, {reference}",
    "QualificationWithdrawn": "Qualification {qualification} withdrawn",
    "EquipmentTakenOutOfService": "Taken out of service: {grounds}",
    "EquipmentReturnedToService": "Returned to service: {grounds}",
    "RecallActionTaken": "Recall of lot {lot} acted on: {action} of {materials} by {unit}",
    "DonationNumberSettled": "Donation number {din} settled for claim {claim}",
    "EmergencyUseReviewed": "Emergency use under {grant} reviewed",
    "JudgementsRevised": "Judgements of earlier statements revised",
}
"""What each body says, by its short name."""


class Summary:
    """Tells acts to one reader."""

    def __init__(self, classes: frozenset[DisclosureClass], site_name: SiteName) -> None:
        self._classes = classes - SHREDDABLE
        self._site_name = site_name

    def of(self, act: Act) -> str:
        """Returns what an act says in one line."""
        if act.joins is not None:
            return f"{self._site_name(act.site)} co-signed {_short(act.joins)} as {act.role}"
        found = body_type(act.body_type)
        if found is None or act.body is None:
            return act.body_type
        template = TEMPLATES.get(found.short_name)
        if template is None:
            return found.short_name
        return "".join(
            self._part(act.body, found, part, is_optional=bool(index % 2))
            for index, part in enumerate(_OPTIONAL.split(template))
        )

    def _part(self, body: Message, found: BodyType, part: str, *, is_optional: bool) -> str:
        """Returns one part of a template filled in; an optional one whose fields are all empty is left out."""
        shown: list[str] = []
        said: list[str] = []
        for text, name, _, _ in Formatter().parse(part):
            shown.append(text)
            if name:
                field = found.descriptor.fields_by_name[name]
                told = found.classes[field.number] in self._classes
                said.append(self._field(body, field) if told else _WITHHELD)
                shown.append(said[-1])
        if is_optional and all(one == _NONE for one in said):
            return ""
        return "".join(shown)

    def _field(self, body: Message, field: FieldDescriptor) -> str:
        value: object = getattr(body, field.name)
        if field.is_repeated:
            shown = [self._value(one, field) for one in value] if isinstance(value, Iterable) else []
            more = [f"and {len(shown) - SHOWN_MAX} more"] if len(shown) > SHOWN_MAX else []
            return ", ".join([*shown[:SHOWN_MAX], *more]) or _NONE
        if field.message_type is not None and not body.HasField(field.name):
            return _NONE
        return self._value(value, field) or _NONE

    def _value(self, value: object, field: FieldDescriptor) -> str:
        match value:
            case Message():
                return self._message(value)
            case bytes():
                return _short(value)
            case int() if field.enum_type is not None:
                return _word(field, value)
            case _:
                return str(value)

    def _message(self, value: Message) -> str:
        match value:
            case common_pb2.Unit():
                name = self._site_name(value.site)
                return f"{name}/{value.unit}" if value.unit else name
            case common_pb2.Position():
                return f"{self._message(value.unit)} {value.place}"
            case common_pb2.Quantity():
                return _number(value)
            case common_pb2.Alias():
                return f"{value.scheme} {value.value}"
            case common_pb2.NewMaterial():
                return _short(value.material)
            case common_pb2.Container():
                return value.container
            case harvest_pb2.MarkerTested():
                return value.marker if value.evaluated else f"{value.marker} not evaluated"
            case common_pb2.HandoffLine():
                outcome = common_pb2.LineOutcome.Name(value.outcome).removeprefix("LINE_OUTCOME_")
                return f"{value.container} {outcome.lower().replace('_', ' ')}"
            case common_pb2.LotUse():
                return value.lot_number
            case modification_pb2.PlannedBag():
                return f"{value.order}: {_short(value.material)}"
            case common_pb2.LoggerSummary():
                shown = common_pb2.Condition.Name(value.condition).removeprefix("CONDITION_")
                return f"{value.logger} {shown.lower().replace('_', ' ')}"
            case quality_pb2.Scope():
                kind = quality_pb2.ScopeKind.Name(value.kind).removeprefix("SCOPE_KIND_").lower()
                named = [*map(_short, value.ids), *value.containers]
                return " ".join([kind, *named])
            case _:
                return value.DESCRIPTOR.name


def _short(value: bytes) -> str:
    return value.hex()[:_SHORT]


def _word(field: FieldDescriptor, value: int) -> str:
    enum = field.enum_type
    known = None if enum is None else enum.values_by_number.get(value)
    if enum is None or known is None:
        return str(value)
    name: str = known.name
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return name.removeprefix(prefix).lower().replace("_", " ")


def _number(value: common_pb2.Quantity) -> str:
    if abs(value.exponent) > _EXPONENT_SHOWN_MAX:
        return f"{value.mantissa}e{value.exponent} {value.unit}"
    return f"{Decimal(value.mantissa).scaleb(value.exponent):f} {value.unit}"
