"""Every act that a client can sign, as a typed method. Made by `scripts/client_acts.py`; do not edit.

`Acts` is what a connected site client and its outbox have in common: the first sends what was signed, the second
keeps it, and `ResultT` is what they return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar, Unpack

from cellcustody.ledger.statements.ids import StreamKind, single_stream_id

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cellcustody.clients.session import ActOptions
    from cellcustody.v1 import (
        facilities_pb2,
        harvest_pb2,
        labels_pb2,
        modification_pb2,
        policy_pb2,
        quality_pb2,
        registry_pb2,
        return_pb2,
        transport_pb2,
    )

__all__ = ["Acts"]

ResultT = TypeVar("ResultT")
_REGISTRY: Final = single_stream_id(StreamKind.REGISTRY)
_POLICY: Final = single_stream_id(StreamKind.POLICY)
_SCHEMA: Final = single_stream_id(StreamKind.SCHEMA)


class Acts(ABC, Generic[ResultT]):
    """One method for each act; each shows the statement, has it confirmed, signs it, and sends or keeps it."""

    @abstractmethod
    def act(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> ResultT:
        """Signs `body` as a statement of `stream`, 17 bytes."""

    def enrol_therapy(self, stream: bytes, body: harvest_pb2.TherapyEnrolled, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that opens a therapy."""
        return self.act(stream, body, **options)

    def repin_therapy(self, stream: bytes, body: policy_pb2.TherapyRepinned, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that moves a therapy to another policy pack.

        What stands after it is judged by the new one, the rest is not judged again.
        """
        return self.act(stream, body, **options)

    def record_consent(
        self, stream: bytes, body: harvest_pb2.ConsentRecorded, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells what the patient consented to."""
        return self.act(stream, body, **options)

    def withdraw_consent(
        self, stream: bytes, body: harvest_pb2.ConsentWithdrawn, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells what the patient no longer consents to; it opens a hold."""
        return self.act(stream, body, **options)

    def check_identity(
        self, stream: bytes, body: harvest_pb2.IdentityChecked, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is a comparison of identifiers by two persons.

        Match, mismatch and unreadable can all be recorded.
        """
        return self.act(stream, body, **options)

    def start_collection(
        self, stream: bytes, body: harvest_pb2.CollectionStarted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that opens one collection; each day has its own donation number."""
        return self.act(stream, body, **options)

    def complete_collection(
        self, stream: bytes, body: harvest_pb2.CollectionCompleted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that creates the collected bags."""
        return self.act(stream, body, **options)

    def apply_label(self, stream: bytes, body: harvest_pb2.LabelApplied, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that joins a printed label to a material."""
        return self.act(stream, body, **options)

    def void_label(self, stream: bytes, body: harvest_pb2.LabelVoided, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that takes a label out of use."""
        return self.act(stream, body, **options)

    def store_material(self, stream: bytes, body: harvest_pb2.MaterialStored, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that puts a material into storage."""
        return self.act(stream, body, **options)

    def move_material(self, stream: bytes, body: harvest_pb2.MaterialMoved, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that moves a material within its unit."""
        return self.act(stream, body, **options)

    def transfer_between_units(
        self, stream: bytes, body: harvest_pb2.UnitTransferred, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that moves accountability between two units of one site.

        The receiving unit's person co-signs.
        """
        return self.act(stream, body, **options)

    def pack_material(self, stream: bytes, body: harvest_pb2.MaterialPacked, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that puts a material into a container of a consignment."""
        return self.act(stream, body, **options)

    def assess_eligibility(
        self, stream: bytes, body: harvest_pb2.EligibilityAssessed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells whether the patient may be treated; the last one counts."""
        return self.act(stream, body, **options)

    def enrol_in_trial(self, stream: bytes, body: harvest_pb2.TrialEnrolled, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that takes the patient into a study; the therapy is enrolled and the patient eligible."""
        return self.act(stream, body, **options)

    def screen_donor(self, stream: bytes, body: harvest_pb2.DonorScreened, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells which infectious markers of the patient were tested on one sample."""
        return self.act(stream, body, **options)

    def reserve_slot(self, stream: bytes, body: harvest_pb2.SlotReserved, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that books a place in manufacture for one attempt."""
        return self.act(stream, body, **options)

    def move_slot(self, stream: bytes, body: harvest_pb2.SlotMoved, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that puts a slot at other times."""
        return self.act(stream, body, **options)

    def release_slot(self, stream: bytes, body: harvest_pb2.SlotReleased, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that gives a slot back."""
        return self.act(stream, body, **options)

    def receive_kit(self, stream: bytes, body: harvest_pb2.KitReceived, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells that a collection kit came, and counts its labels in."""
        return self.act(stream, body, **options)

    def perform_reidentification(
        self, stream: bytes, body: harvest_pb2.ReidentificationPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the identification anew, by two persons, from the source record, after a break."""
        return self.act(stream, body, **options)

    def link_course(self, stream: bytes, body: harvest_pb2.CourseLinked, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that joins another course of the same patient to this one; identity is never merged."""
        return self.act(stream, body, **options)

    def print_labels(self, stream: bytes, body: labels_pb2.LabelsPrinted, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells which labels were printed and what they bear."""
        return self.act(stream, body, **options)

    def read_back_label(self, stream: bytes, body: labels_pb2.LabelReadBack, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells that a second person scanned a label on its material and read what it
        should bear.
        """
        return self.act(stream, body, **options)

    def return_labels(self, stream: bytes, body: labels_pb2.LabelsReturned, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells that labels were given back unused."""
        return self.act(stream, body, **options)

    def reconcile_labels(
        self, stream: bytes, body: labels_pb2.LabelsReconciled, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that counts a unit's labels: printed is applied, voided and returned."""
        return self.act(stream, body, **options)

    def start_fresh_hold(
        self, stream: bytes, body: harvest_pb2.FreshHoldStarted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells from when materials wait fresh for preservation, dispatch or manufacture."""
        return self.act(stream, body, **options)

    def start_cryopreservation(
        self, stream: bytes, body: harvest_pb2.CryopreservationStarted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells that materials begin to be frozen."""
        return self.act(stream, body, **options)

    def complete_cryopreservation(
        self, stream: bytes, body: harvest_pb2.CryopreservationCompleted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells that materials are frozen."""
        return self.act(stream, body, **options)

    def open_consignment(
        self, stream: bytes, body: transport_pb2.ConsignmentOpened, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that opens a consignment; its unit is the first custodian."""
        return self.act(stream, body, **options)

    def start_logger(self, stream: bytes, body: transport_pb2.LoggerStarted, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that starts a data logger in a container."""
        return self.act(stream, body, **options)

    def apply_seal(self, stream: bytes, body: transport_pb2.SealApplied, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that seals a container."""
        return self.act(stream, body, **options)

    def release_custody(
        self, stream: bytes, body: transport_pb2.CustodyReleased, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the custodian's half of a handoff."""
        return self.act(stream, body, **options)

    def withdraw_release(
        self, stream: bytes, body: transport_pb2.ReleaseWithdrawn, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that takes a release back before it is accepted."""
        return self.act(stream, body, **options)

    def rename_receiver(
        self, stream: bytes, body: transport_pb2.ReceiverRenamed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that names another receiver for an open release."""
        return self.act(stream, body, **options)

    def accept_custody(
        self, stream: bytes, body: transport_pb2.CustodyAccepted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the receiver's half of a handoff, line by line."""
        return self.act(stream, body, **options)

    def refuse_custody(
        self, stream: bytes, body: transport_pb2.CustodyRefused, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that refuses a release as a whole; custody stays with the releaser."""
        return self.act(stream, body, **options)

    def report_possession(
        self, stream: bytes, body: transport_pb2.PossessionReported, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says who physically has something; whoever has it may say so."""
        return self.act(stream, body, **options)

    def establish_custody(
        self, stream: bytes, body: transport_pb2.CustodyEstablished, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that settles who answers for something after custody was lost or disputed."""
        return self.act(stream, body, **options)

    def pass_checkpoint(
        self, stream: bytes, body: transport_pb2.TransitCheckpointPassed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that records a point on the way."""
        return self.act(stream, body, **options)

    def report_delay(self, stream: bytes, body: transport_pb2.DelayReported, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells of a delay on the way."""
        return self.act(stream, body, **options)

    def alarm_excursion(
        self, stream: bytes, body: transport_pb2.ExcursionAlarmed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells of a logger's alarm on the way."""
        return self.act(stream, body, **options)

    def inspect_receipt(
        self, stream: bytes, body: transport_pb2.ReceiptInspected, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the inspection of a consignment on receipt, with its loggers' summaries."""
        return self.act(stream, body, **options)

    def receive_material(
        self, stream: bytes, body: harvest_pb2.MaterialReceived, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that takes a material out of a container into a unit that holds the consignment."""
        return self.act(stream, body, **options)

    def close_consignment(
        self, stream: bytes, body: transport_pb2.ConsignmentClosed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that closes a consignment from which everything has been taken."""
        return self.act(stream, body, **options)

    def replenish_coolant(
        self, stream: bytes, body: transport_pb2.CoolantReplenished, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells that a container was filled again on the way."""
        return self.act(stream, body, **options)

    def hold_at_customs(self, stream: bytes, body: transport_pb2.CustomsHeld, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells that an authority keeps containers on the way."""
        return self.act(stream, body, **options)

    def clear_customs(
        self, stream: bytes, body: transport_pb2.CustomsCleared, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells that an authority let the containers of a CustomsHeld go."""
        return self.act(stream, body, **options)

    def record_shock(self, stream: bytes, body: transport_pb2.ShockRecorded, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells of an impact or a tilt that a sensor in a container recorded."""
        return self.act(stream, body, **options)

    def report_loss(self, stream: bytes, body: transport_pb2.ContainersLost, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells that the custodian cannot find containers."""
        return self.act(stream, body, **options)

    def return_material(
        self, stream: bytes, body: transport_pb2.MaterialReturned, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends the way of a material that came back to whoever takes it back.

        It is not used again.
        """
        return self.act(stream, body, **options)

    def dispose_condition(
        self, stream: bytes, body: transport_pb2.ConditionDisposed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that decides about materials that are held for their condition, on a study that was
        there before.
        """
        return self.act(stream, body, **options)

    def declare_downtime(
        self, stream: bytes, body: transport_pb2.DowntimeDeclared, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that opens a time in which a site works on paper; filed in the site's stream."""
        return self.act(stream, body, **options)

    def end_downtime(self, stream: bytes, body: transport_pb2.DowntimeEnded, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that closes a time in which a site worked on paper."""
        return self.act(stream, body, **options)

    def accession_material(
        self, stream: bytes, body: modification_pb2.MaterialAccessioned, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that takes materials into a batch; the first one opens it."""
        return self.act(stream, body, **options)

    def perform_selection(
        self, stream: bytes, body: modification_pb2.SelectionPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that enriches or washes cells."""
        return self.act(stream, body, **options)

    def perform_activation(
        self, stream: bytes, body: modification_pb2.ActivationPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that activates cells."""
        return self.act(stream, body, **options)

    def perform_modification(
        self, stream: bytes, body: modification_pb2.ModificationPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that teaches cells to recognise an antigen."""
        return self.act(stream, body, **options)

    def perform_expansion(
        self, stream: bytes, body: modification_pb2.ExpansionPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that grows cells."""
        return self.act(stream, body, **options)

    def perform_formulation(
        self, stream: bytes, body: modification_pb2.FormulationPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that brings washed cells into what they are given or frozen in."""
        return self.act(stream, body, **options)

    def divide_material(
        self, stream: bytes, body: modification_pb2.MaterialDivided, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that divides one material into bags, samples and retains.

        Volume is conserved within the pack's tolerance.
        """
        return self.act(stream, body, **options)

    def report_result(
        self, stream: bytes, body: modification_pb2.ResultReported, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that reports one test of one sample."""
        return self.act(stream, body, **options)

    def release_batch(
        self, stream: bytes, body: modification_pb2.BatchReleased, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's release of a batch and its bags; two persons."""
        return self.act(stream, body, **options)

    def reject_batch(
        self, stream: bytes, body: modification_pb2.BatchRejected, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's rejection of a batch."""
        return self.act(stream, body, **options)

    def clear_line(self, stream: bytes, body: modification_pb2.LineCleared, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that says that nothing of another batch is in a process area or on its equipment."""
        return self.act(stream, body, **options)

    def start_manufacturing(
        self, stream: bytes, body: modification_pb2.ManufacturingStarted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that a batch is begun in a cleared process area; the second operator joins it."""
        return self.act(stream, body, **options)

    def transfer_culture(
        self, stream: bytes, body: modification_pb2.CultureTransferred, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that moves a culture from one bag or bioreactor to others.

        Volume is conserved within the pack's tolerance.
        """
        return self.act(stream, body, **options)

    def harvest_culture(
        self, stream: bytes, body: modification_pb2.CultureHarvested, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that harvests and washes a culture."""
        return self.act(stream, body, **options)

    def fill_product(
        self, stream: bytes, body: modification_pb2.FillPerformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that fills the bags or vials of the product, each with its dose.

        Volume and containers are conserved within the pack's tolerance.
        """
        return self.act(stream, body, **options)

    def pool_materials(
        self, stream: bytes, body: modification_pb2.MaterialPooled, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that puts several materials of one patient together into one.

        Volume is conserved within the pack's tolerance.
        """
        return self.act(stream, body, **options)

    def review_batch(
        self, stream: bytes, body: modification_pb2.BatchReviewed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's review of a batch record, before any release."""
        return self.act(stream, body, **options)

    def terminate_batch(
        self, stream: bytes, body: modification_pb2.BatchTerminated, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that gives a batch up, so that another attempt may begin."""
        return self.act(stream, body, **options)

    def release_batch_conditionally(
        self, stream: bytes, body: modification_pb2.BatchReleasedConditionally, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's release of a batch with open items; two persons."""
        return self.act(stream, body, **options)

    def request_out_of_specification(
        self, stream: bytes, body: modification_pb2.OutOfSpecificationRequested, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is a physician's request for a batch outside its specification, there being no
        other way.
        """
        return self.act(stream, body, **options)

    def evaluate_risk(
        self, stream: bytes, body: modification_pb2.RiskEvaluated, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the manufacturer's evaluation of the risk of giving a batch outside its
        specification.
        """
        return self.act(stream, body, **options)

    def inform_patient(
        self, stream: bytes, body: modification_pb2.PatientInformed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that the patient knows that the batch is outside its specification, and
        agrees.
        """
        return self.act(stream, body, **options)

    def notify_authority(
        self, stream: bytes, body: modification_pb2.AuthorityNotified, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that the competent authority was told."""
        return self.act(stream, body, **options)

    def release_out_of_specification(
        self, stream: bytes, body: modification_pb2.OutOfSpecificationReleased, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that releases bags outside their specification for the one patient; two persons."""
        return self.act(stream, body, **options)

    def plan_dose(self, stream: bytes, body: modification_pb2.DosePlanned, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that says which bags make the dose, in which order.

        A later plan takes the place of an earlier one.
        """
        return self.act(stream, body, **options)

    def accept_material(
        self, stream: bytes, body: modification_pb2.MaterialAccepted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's acceptance of what came in to be worked on.

        Until then it lies in quarantine.
        """
        return self.act(stream, body, **options)

    def register_lot(
        self, stream: bytes, body: modification_pb2.LotRegistered, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that opens the stream of a lot."""
        return self.act(stream, body, **options)

    def change_lot_status(
        self, stream: bytes, body: modification_pb2.LotStatusChanged, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's word on a lot."""
        return self.act(stream, body, **options)

    def raise_deviation(
        self, stream: bytes, body: quality_pb2.DeviationRaised, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that records that something went otherwise than written."""
        return self.act(stream, body, **options)

    def place_hold(self, stream: bytes, body: quality_pb2.HoldPlaced, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that puts a hold; its id is SHA-256(statement digest || "HOLD_PLACED")."""
        return self.act(stream, body, **options)

    def lift_hold(self, stream: bytes, body: quality_pb2.HoldLifted, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that lifts holds, with what it rests on."""
        return self.act(stream, body, **options)

    def restore_identity(
        self, stream: bytes, body: quality_pb2.IdentityRestored, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that restores a broken chain of identity after re-identification by two persons."""
        return self.act(stream, body, **options)

    def override_gate(self, stream: bytes, body: quality_pb2.GateOverridden, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that permits one gate of the pack to be passed, beforehand."""
        return self.act(stream, body, **options)

    def correct_statement(
        self, stream: bytes, body: quality_pb2.StatementCorrected, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that puts a replacement in the place of a statement; both stay in the log."""
        return self.act(stream, body, **options)

    def retract_statement(
        self, stream: bytes, body: quality_pb2.StatementRetracted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that what a fact told did not happen; it stays in the log."""
        return self.act(stream, body, **options)

    def issue_material(self, stream: bytes, body: return_pb2.MaterialIssued, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that issues a bag from the cell laboratory to the ward; the ward's person co-signs."""
        return self.act(stream, body, **options)

    def thaw_material(self, stream: bytes, body: return_pb2.MaterialThawed, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells of a thaw; occurred_at is the interval of thawing."""
        return self.act(stream, body, **options)

    def check_at_bedside(
        self, stream: bytes, body: return_pb2.BedsideChecked, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the comparison of patient and bag at the bedside by two persons."""
        return self.act(stream, body, **options)

    def start_infusion(self, stream: bytes, body: return_pb2.InfusionStarted, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that starts the infusion of one bag."""
        return self.act(stream, body, **options)

    def stop_infusion(self, stream: bytes, body: return_pb2.InfusionStopped, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that ends the infusion of one bag; a complete one is the bag's terminal act."""
        return self.act(stream, body, **options)

    def observe_reaction(
        self, stream: bytes, body: return_pb2.ReactionObserved, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that records a graded reaction."""
        return self.act(stream, body, **options)

    def destroy_material(
        self, stream: bytes, body: return_pb2.MaterialDestroyed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a material by destruction; a second person witnesses."""
        return self.act(stream, body, **options)

    def consume_material(
        self, stream: bytes, body: return_pb2.MaterialConsumed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a sample by testing, or a material wholly used up."""
        return self.act(stream, body, **options)

    def archive_material(
        self, stream: bytes, body: return_pb2.MaterialArchived, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a material's way in an archive, with a date to which it is kept."""
        return self.act(stream, body, **options)

    def record_follow_up(
        self, stream: bytes, body: return_pb2.FollowUpRecorded, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that records a visit after infusion."""
        return self.act(stream, body, **options)

    def close_therapy(self, stream: bytes, body: return_pb2.TherapyClosed, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that closes a therapy whose materials have all ended."""
        return self.act(stream, body, **options)

    def start_lymphodepletion(
        self, stream: bytes, body: return_pb2.LymphodepletionStarted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that starts a course of lymphodepletion."""
        return self.act(stream, body, **options)

    def stop_lymphodepletion(
        self, stream: bytes, body: return_pb2.LymphodepletionStopped, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a course of lymphodepletion; the time to the infusion counts from here."""
        return self.act(stream, body, **options)

    def give_premedication(
        self, stream: bytes, body: return_pb2.PremedicationGiven, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells of medicines given shortly before the infusion."""
        return self.act(stream, body, **options)

    def reconstitute_material(
        self, stream: bytes, body: return_pb2.MaterialReconstituted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells of what is done to a thawed bag before it is given.

        New bags and syringes are materials of their own and go on under the release, issue and thaw of the bag
        they were made of.
        """
        return self.act(stream, body, **options)

    def decide_breach(self, stream: bytes, body: return_pb2.BreachDecided, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that is a physician's decision about a bag that was not whole after its thaw.

        It lifts no hold: quality does, and needs this decision first.
        """
        return self.act(stream, body, **options)

    def grade_toxicity(self, stream: bytes, body: return_pb2.ToxicityGraded, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that grades cytokine release syndrome or neurotoxicity by ASTCT consensus, grades 0 to
        5; the ledger computes the grade from the criteria and compares.
        """
        return self.act(stream, body, **options)

    def report_adverse_event(
        self, stream: bytes, body: return_pb2.AdverseEventReported, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that reports any other adverse event."""
        return self.act(stream, body, **options)

    def monitor_patient(
        self, stream: bytes, body: return_pb2.PatientMonitored, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that tells that the patient was looked at on one day after the infusion."""
        return self.act(stream, body, **options)

    def notify_result(self, stream: bytes, body: return_pb2.ResultNotified, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that tells the infusing site of a result that came after the infusion."""
        return self.act(stream, body, **options)

    def acknowledge_result(
        self, stream: bytes, body: return_pb2.ResultAcknowledged, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is the infusing site's word that it knows of a late result, and what it will do."""
        return self.act(stream, body, **options)

    def retain_remainder(
        self, stream: bytes, body: return_pb2.RemainderRetained, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a material's way by keeping it for a study, with the patient's consent."""
        return self.act(stream, body, **options)

    def reopen_therapy(self, stream: bytes, body: return_pb2.TherapyReopened, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that reopens a closed therapy."""
        return self.act(stream, body, **options)

    def change_custodian_of_record(
        self, stream: bytes, body: return_pb2.CustodianOfRecordChanged, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that passes the record of a therapy to another site, whose person co-signs."""
        return self.act(stream, body, **options)

    def register_equipment(
        self, stream: bytes, body: facilities_pb2.EquipmentRegistered, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that opens the stream of one piece of equipment: plant device, shipper, logger, freezer."""
        return self.act(stream, body, **options)

    def record_qualification(
        self, stream: bytes, body: facilities_pb2.QualificationRecorded, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says until when equipment, a carrier, a lane or a site is qualified."""
        return self.act(stream, body, **options)

    def withdraw_qualification(
        self, stream: bytes, body: facilities_pb2.QualificationWithdrawn, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that ends a qualification before its time.

        What was done under it stays as it was judged.
        """
        return self.act(stream, body, **options)

    def take_equipment_out_of_service(
        self, stream: bytes, body: facilities_pb2.EquipmentTakenOutOfService, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that equipment is not to be used."""
        return self.act(stream, body, **options)

    def return_equipment_to_service(
        self, stream: bytes, body: facilities_pb2.EquipmentReturnedToService, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that lets equipment be used again that is qualified at the time."""
        return self.act(stream, body, **options)

    def take_recall_action(
        self, stream: bytes, body: facilities_pb2.RecallActionTaken, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says what was done about material into which a recalled lot went."""
        return self.act(stream, body, **options)

    def settle_donation_number(
        self, stream: bytes, body: facilities_pb2.DonationNumberSettled, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says, of a donation number that two therapies claim, that it is this therapy's.

        Two persons of quality.
        """
        return self.act(stream, body, **options)

    def review_emergency_use(
        self, stream: bytes, body: facilities_pb2.EmergencyUseReviewed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that is quality's word on what was done under an emergency credential, in the stream
        of its site.
        """
        return self.act(stream, body, **options)

    def decline_co_signature(
        self, stream: bytes, body: quality_pb2.CoSignatureDeclined, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that says that a person will not join a statement of this stream.

        A pending authorisation ends with it.
        """
        return self.act(stream, body, **options)

    def close_deviation(
        self, stream: bytes, body: quality_pb2.DeviationClosed, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that closes a deviation, with what it led to."""
        return self.act(stream, body, **options)

    def record_complaint(
        self, stream: bytes, body: quality_pb2.ComplaintRecorded, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that records a complaint about a product, a service or a site."""
        return self.act(stream, body, **options)

    def enrol_site(self, body: registry_pb2.SiteEnrolled, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that enrols a site with its capabilities and two administrators; a quorum of registrars."""
        return self.act(_REGISTRY, body, **options)

    def change_site(self, body: registry_pb2.SiteChanged, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that replaces what a site may do and the keys that speak for it; a quorum of registrars."""
        return self.act(_REGISTRY, body, **options)

    def enrol_person(self, body: registry_pb2.PersonEnrolled, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that enrols a person of a site; an administrator of that site."""
        return self.act(_REGISTRY, body, **options)

    def change_person(self, body: registry_pb2.PersonChanged, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that replaces the roles and units of a person; an administrator of the site."""
        return self.act(_REGISTRY, body, **options)

    def enrol_device(self, body: registry_pb2.DeviceEnrolled, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that enrols a device of a site; an administrator of that site."""
        return self.act(_REGISTRY, body, **options)

    def add_key(self, body: registry_pb2.KeyAdded, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that gives a person or device a further key, to rotate or to hold two for a hybrid."""
        return self.act(_REGISTRY, body, **options)

    def retire_key(self, body: registry_pb2.KeyRetired, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that retires a key; statements signed before may still arrive within the grace."""
        return self.act(_REGISTRY, body, **options)

    def suspend_key(self, body: registry_pb2.KeySuspended, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that suspends a key until it is reinstated."""
        return self.act(_REGISTRY, body, **options)

    def reinstate_key(self, body: registry_pb2.KeyReinstated, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that ends a suspension."""
        return self.act(_REGISTRY, body, **options)

    def revoke_key(self, body: registry_pb2.KeyRevoked, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that revokes a key for good."""
        return self.act(_REGISTRY, body, **options)

    def affirm_statements(self, body: registry_pb2.StatementsAffirmed, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that says of statements signed with a key since it was compromised that they are the
        holder's own: by the holder with another key, by two administrators of the holder's site, or by a quorum
        of registrars.
        """
        return self.act(_REGISTRY, body, **options)

    def grant_emergency_credential(
        self, body: registry_pb2.EmergencyCredentialGranted, **options: Unpack[ActOptions]
    ) -> ResultT:
        """Signs a statement that lets a person of a site act in further roles for a day at most.

        Two administrators of it.
        """
        return self.act(_REGISTRY, body, **options)

    def rotate_log_keys(self, body: registry_pb2.LogKeysRotated, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that replaces the log's keys.

        A quorum of registrars. Checkpoints are doubly signed during the overlap. A key that is lost is replaced
        without its own signature.
        """
        return self.act(_REGISTRY, body, **options)

    def rotate_service_key(self, body: registry_pb2.ServiceKeyRotated, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that replaces the ledger's service key; a quorum of registrars."""
        return self.act(_REGISTRY, body, **options)

    def change_registrars(self, body: registry_pb2.RegistrarsChanged, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that replaces the registrars; a quorum of the old ones."""
        return self.act(_REGISTRY, body, **options)

    def publish_policy(self, body: registry_pb2.PolicyPublished, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that publishes a policy pack; a quorum of registrars. Its digest is SHA-256 of `pack`."""
        return self.act(_POLICY, body, **options)

    def publish_schema(self, body: registry_pb2.SchemaPublished, **options: Unpack[ActOptions]) -> ResultT:
        """Signs a statement that publishes a schema; the first registrar founds, a quorum thereafter."""
        return self.act(_SCHEMA, body, **options)
