"""Make the findings of entry: what is judged once, at this entry's own leaf index, and never again.

The rules:

* Competence comes from the registry as of this position: capability of the site, role held, training, unit.
* The policy pack names who may sign an act; a therapy's own pack counts, and the default where no pack is pinned.
* Only sites that take part in a therapy act on it; whoever has a material may always say so.
* Lots used, lots inside what is used, and the site itself are read as they stand at this position.
* Lateness and clocks ahead are flagged for facts; `authorisations` refuses the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES, BodyType
from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.lots import LotStanding, LotState
from cellcustody.ledger.custody.manufacturing_acts import is_work
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.sites import SiteState
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.custody.uses import lots_used
from cellcustody.ledger.recording.back_entries import back_entry_findings
from cellcustody.ledger.recording.cases import Case, Cases
from cellcustody.ledger.recording.entry_checks import body_findings, clock_is_ahead, is_late
from cellcustody.ledger.recording.lots_inside import lot_findings
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.qualified_use import qualification_findings
from cellcustody.ledger.recording.return_entry import certificate_findings
from cellcustody.ledger.registry.admission import Admission, asked_by, competence, emergency_grant
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import common_pb2, facilities_pb2, harvest_pb2, modification_pb2, transport_pb2

__all__ = ["EntryBench"]

_STREAM_BYTES = 17
# Where a body names the unit that its signer acts for, in the order in which it is looked for.
_UNIT_FIELDS = ("unit", "releaser", "receiver", "possessor")


@cache
def _unit_fields(body_type: str) -> tuple[str, ...]:
    """Returns those of the fields that a body has."""
    return tuple(field for field in _UNIT_FIELDS if field in BODIES[body_type].descriptor.fields_by_name)


class EntryBench:
    """Makes the findings of entry for one writer."""

    def __init__(self, registry: RegistryState, cases: Cases, pack_of: Callable[[bytes], PolicyPack | None]) -> None:
        self._registry = registry
        self._cases = cases
        self._pack_of = pack_of

    def pack_of_case(self, case: Case) -> PolicyPack:
        """Returns the pack that a stream is judged under."""
        state = case.state
        if isinstance(state, TherapyState) and state.policy_digest:
            return self._pack_of(state.policy_digest) or DEFAULT_PACK
        return DEFAULT_PACK

    def pack_for(self, prepared: Prepared, case: Case) -> PolicyPack:
        """Returns the pack that a statement is judged under: an enrolment brings its own, a fact its time's."""
        if isinstance(prepared.body, harvest_pb2.TherapyEnrolled):
            return self._pack_of(prepared.body.policy_digest) or DEFAULT_PACK
        state = case.state
        found = prepared.body_type
        if isinstance(state, TherapyState) and state.pins and found is not None and not found.is_authorisation:
            occurred = prepared.statement.header.occurred_at.start_unix_micros
            return self._pack_of(state.pins.at(occurred, state.policy_digest)) or DEFAULT_PACK
        return self.pack_of_case(case)

    def findings(
        self,
        prepared: Prepared,
        found: BodyType,
        case: Case,
        pack: PolicyPack,
        admission: Admission,
        *,
        leaf_index: int,
        now: int,
    ) -> tuple[Finding, ...]:
        """Returns the findings of entry of a fact or an authorisation, in order of code."""
        body = prepared.body
        if body is None:
            raise TypeError("a co-signature has no body")
        header = prepared.statement.header
        numbers = prepared.statement.commitment.field_numbers
        result: set[Finding] = set(admission.findings)
        result.update(
            competence(
                self._registry,
                signer=header.signer.signer_id,
                body_type=found.name,
                role=header.signer.role,
                signed_at=header.signed_at.unix_micros,
                position=leaf_index,
                key_ids=prepared.statement.key_ids,
                unit=self._unit_acted_for(body, admission.site, header.signer.signer_id, leaf_index),
                asked=asked_by(pack),
            )
        )
        if not pack.may_sign(found.name, header.signer.role):
            result.add(Finding("ROLE_NOT_PERMITTED"))
        result.update(self._policy_findings(header.policy_digest, pack))
        result.update(body_findings(body, numbers))
        result.update(certificate_findings(body, numbers, self._registry, leaf_index=leaf_index))
        if clock_is_ahead(header, now):
            result.add(Finding("CLOCK_AHEAD"))
        elif not found.is_authorisation and is_late(header, now, pack):
            result.add(Finding("LATE"))
        if prepared.depends_on_refused and not found.is_authorisation:
            result.add(Finding("DEPENDS_ON_REFUSED"))
        occurred = header.occurred_at.start_unix_micros
        result.update(back_entry_findings(self._cases, body, numbers, site=admission.site, occurred_at=occurred))
        if self.is_out_of_scope(case, admission.site, body):
            result.add(Finding("OUT_OF_SCOPE"))
        at = header.occurred_at.start_unix_micros
        result.update(qualification_findings(self._cases, case.state, body, numbers, at, pack))
        match body:
            case facilities_pb2.RecallActionTaken() if not self._is_recalled(body.lot):
                result.add(Finding("LOT_NOT_RECALLED", _leaves(numbers, {1})))
            case facilities_pb2.EmergencyUseReviewed():
                result.update(self._review_findings(prepared, body.grant, numbers, leaf_index))
            case _:
                pass
        if StreamKind(prepared.statement.stream[0]) is StreamKind.THERAPY:
            result.update(self._lot_findings((*lots_used(body), *_lots_of_kit(case.state, body)), numbers, at))
            if isinstance(case.state, TherapyState) and not found.is_authorisation:
                result.update(lot_findings(self._cases, case.state, body, numbers))
            if found.capabilities and modification_body(body) and self._site_is_on_hold(admission.site):
                result.add(Finding("SITE_ON_HOLD"))
        return tuple(sorted(result))

    def co_signer_findings(
        self,
        prepared: Prepared,
        joined: BodyType,
        pack: PolicyPack,
        admission: Admission,
        *,
        leaf_index: int,
        now: int,
    ) -> tuple[Finding, ...]:
        """Returns the findings of entry of a co-signature on a body of type `joined`."""
        header = prepared.statement.header
        result: set[Finding] = set(admission.findings)
        result.update(
            competence(
                self._registry,
                signer=header.signer.signer_id,
                body_type=joined.name,
                role=header.signer.role,
                signed_at=header.signed_at.unix_micros,
                position=leaf_index,
                key_ids=prepared.statement.key_ids,
                asked=asked_by(pack),
            )
        )
        if clock_is_ahead(header, now):
            result.add(Finding("CLOCK_AHEAD"))
        return tuple(sorted(result))

    def _policy_findings(self, relied_on: bytes, pack: PolicyPack) -> list[Finding]:
        if not relied_on or relied_on == pack.digest:
            return []
        if self._registry.latest.policy(relied_on) is None:
            return [Finding("POLICY_UNKNOWN")]
        return [Finding("POLICY_NOT_PINNED")]

    def _unit_acted_for(self, body: Message, site: bytes, signer: bytes, leaf_index: int) -> str:
        """Returns the unit of the signer's own site that the body names; one that the signer works in, if any."""
        named: list[str] = []
        for field in _unit_fields(body.DESCRIPTOR.full_name):
            unit: object = getattr(body, field)
            if isinstance(unit, common_pb2.Unit) and unit.site == site and unit.unit:
                named.append(unit.unit)
        if not named:
            return ""
        person = self._registry.as_of(leaf_index).person(signer)
        held = () if person is None else person.units
        return next((unit for unit in named if unit in held), named[0])

    def is_out_of_scope(self, case: Case, site: bytes, body: Message) -> bool:
        """Tells whether a site that takes no part in a therapy speaks in it."""
        state = case.state
        if not isinstance(state, TherapyState) or not state.is_enrolled:
            return False
        if isinstance(body, transport_pb2.PossessionReported):
            return False
        treating = state.treating_unit
        if site in state.participants or site == state.custodian_of_record:
            return False
        return treating is None or site != treating.site

    def _lot_findings(
        self, lots: Iterable[tuple[int, common_pb2.LotUse]], numbers: tuple[int, ...], at: int
    ) -> list[Finding]:
        unknown: set[int] = set()
        unusable: set[int] = set()
        for number, lot in lots:
            state = self._lot_state(lot.lot)
            if state is None or state.registered_by is None:
                unknown.add(number)
            elif not state.is_usable(at):
                unusable.add(number)
        result = [Finding("LOT_UNKNOWN", _leaves(numbers, unknown))] if unknown else []
        if unusable:
            result.append(Finding("LOT_NOT_USABLE", _leaves(numbers, unusable)))
        return result

    def _is_recalled(self, lot: bytes) -> bool:
        state = self._lot_state(lot)
        return state is not None and state.standing is LotStanding.RECALLED

    def _review_findings(
        self, prepared: Prepared, grant: bytes, numbers: tuple[int, ...], leaf_index: int
    ) -> list[Finding]:
        """Returns what stands against the review of an emergency credential by this signer, in this site's stream."""
        granted = self._registry.as_of(leaf_index).emergency_grant(grant)
        if granted is None or prepared.statement.stream[1:] != granted.site:
            return [Finding("EMERGENCY_GRANT_UNKNOWN", _leaves(numbers, {1}))]
        if prepared.statement.header.signer.signer_id in (granted.person, *granted.granted_by):
            return [Finding("REVIEWER_CONCERNED", _leaves(numbers, {1}))]
        return []

    def grants_used(self, prepared: Prepared, pack: PolicyPack, *, leaf_index: int) -> tuple[tuple[str, str], ...]:
        """Returns the emergency credential that a statement was signed under, as a value to show."""
        header = prepared.statement.header
        found = emergency_grant(
            self._registry,
            signer=header.signer.signer_id,
            role=header.signer.role,
            signed_at=header.signed_at.unix_micros,
            position=leaf_index,
            seconds_max=pack.emergency_seconds,
        )
        return () if found is None else (("grant", found.digest.hex()),)

    def _lot_state(self, stream: bytes) -> LotState | None:
        if len(stream) != _STREAM_BYTES or stream[0] != StreamKind.LOT:
            return None
        state = self._cases.case(stream).state
        return state if isinstance(state, LotState) else None

    def _site_is_on_hold(self, site: bytes) -> bool:
        if not site:
            return False
        state = self._cases.case(bytes([StreamKind.SITE]) + site).state
        return isinstance(state, SiteState) and state.on_hold


def _lots_of_kit(state: object, body: Message) -> tuple[tuple[int, common_pb2.LotUse], ...]:
    """Returns the lot of the kit that a collection opens, which may have been stopped since the kit was received."""
    if not isinstance(body, harvest_pb2.CollectionStarted) or not body.kit or not isinstance(state, TherapyState):
        return ()
    kit = state.harvest.kits.get(state.current(body.kit))
    return () if kit is None or not kit.lot else ((9, common_pb2.LotUse(lot=kit.lot, lot_number=kit.lot_number)),)


def modification_body(body: Message) -> bool:
    """Tells whether a body is a piece of work that a hold on the site stops."""
    return type(body) in _STOPPED_BY_HOLDS or is_work(body)


_STOPPED_BY_HOLDS = frozenset(
    {
        modification_pb2.MaterialAccessioned,
        modification_pb2.MaterialAccepted,
        modification_pb2.ManufacturingStarted,
        modification_pb2.MaterialPooled,
        modification_pb2.BatchReleased,
        modification_pb2.BatchReleasedConditionally,
        modification_pb2.OutOfSpecificationReleased,
    }
)


def _leaves(numbers: tuple[int, ...], wanted: set[int]) -> tuple[int, ...]:
    return tuple(leaf for leaf, number in enumerate(numbers) if number in wanted)
