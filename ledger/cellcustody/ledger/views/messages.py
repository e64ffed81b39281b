"""Put folded states into the contract's messages.

The rules:

* A packed material's custody is its container's. Nobody is an absent field, never an empty unit.
* Messages are built from states alone, so that equal states are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.consignment_state import ContainerState, Release
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.custody.signatures import Outstanding
from cellcustody.ledger.custody.therapy_state import Amount, BatchState, MaterialState, TherapyState, custody_of
from cellcustody.ledger.entries import JudgedEntry, write_judgement
from cellcustody.ledger.views.reading import Told
from cellcustody.v1 import common_pb2, custody_query_service_pb2, ledger_service_pb2
from cellcustody.v1 import modification_pb2 as modification

__all__ = [
    "batch_record",
    "container_custody",
    "history_item",
    "hold_record",
    "material_custody",
    "open_handoff",
    "outstanding_signature",
    "unit_message",
]

_RESULTS = {
    value.number: value.name.removeprefix("RESULT_OUTCOME_").lower()
    for value in modification.ResultOutcome.DESCRIPTOR.values
}


def unit_message(unit: UnitRef | None) -> common_pb2.Unit | None:
    """Returns a unit in the contract's form."""
    return None if unit is None else common_pb2.Unit(site=unit.site, unit=unit.unit)


def _quantity(amount: Amount | None) -> common_pb2.Quantity | None:
    if amount is None:
        return None
    return common_pb2.Quantity(
        mantissa=amount.mantissa,
        exponent=amount.exponent,
        unit=amount.unit,
        comparator=common_pb2.Comparator.ValueType(amount.comparator),
        basis=common_pb2.QuantityBasis.ValueType(amount.basis),
    )


def _named(pairs: Iterable[tuple[str, str]]) -> list[ledger_service_pb2.NamedValue]:
    return [ledger_service_pb2.NamedValue(name=name, value=value) for name, value in pairs if value]


def _label(material: MaterialState) -> list[ledger_service_pb2.NamedValue]:
    label = material.label
    if label is None:
        return _named((("din", material.din), ("product_code", material.product_code), ("division", material.division)))
    return _named(
        (
            ("din", label.din),
            ("coi", label.coi),
            ("product_code", label.product_code),
            ("division", label.division),
            ("expires_at_unix_micros", "" if label.expires_at is None else str(label.expires_at)),
        )
    )


def material_custody(
    state: TherapyState, stream: bytes, material: MaterialState
) -> custody_query_service_pb2.MaterialCustody:
    """Returns who answers for a material, who has it, and what it has come to."""
    custodian, possessor = custody_of(state, material.material)
    place = None
    if material.place:
        place = common_pb2.Position(unit=unit_message(material.place_unit or custodian), place=material.place)
    is_disputed = not material.life.has_ended and (
        custodian is None or possessor is None or custodian.site != possessor.site
    )
    return custody_query_service_pb2.MaterialCustody(
        material=material.material,
        kind=common_pb2.MaterialKind.ValueType(material.kind),
        therapy=stream,
        custodian=unit_message(custodian),
        possessor=unit_message(possessor),
        position=place,
        consignment=b"" if material.packed is None else material.packed.consignment,
        container="" if material.packed is None else material.packed.container,
        state=str(material.life),
        holds=[hold.hold for hold in state.holds_on(material.material)],
        disputed=is_disputed,
        label=_label(material),
        parents=material.parents,
        quantity=_quantity(material.quantity),
        batch=material.batch,
        released=material.is_released,
    )


def hold_record(hold: Hold) -> custody_query_service_pb2.HoldRecord:
    """Returns a hold that stands."""
    return custody_query_service_pb2.HoldRecord(
        hold=hold.hold,
        stream=hold.stream,
        code=hold.code,
        statement_digest=hold.statement_digest,
        materials=sorted(hold.materials),
        containers=sorted(hold.containers),
        scope=str(hold.scope),
        since_unix_micros=hold.since,
    )


def batch_record(batch: BatchState) -> custody_query_service_pb2.BatchRecord:
    """Returns a batch with the last result of each test."""
    results = []
    for test in sorted(batch.results):
        last = batch.last_result(test) or batch.results[test][-1]
        outcome = _RESULTS.get(last.verdict, "")
        results.append((test, f"{outcome} (interim)" if last.interim else outcome))
    return custody_query_service_pb2.BatchRecord(
        batch=batch.batch,
        batch_number=batch.batch_number,
        state=str(batch.status),
        attempt=batch.attempt,
        results=_named(results),
    )


def outstanding_signature(stream: bytes, waiting: Outstanding) -> custody_query_service_pb2.OutstandingSignature:
    """Returns a statement that waits for another person's signature."""
    return custody_query_service_pb2.OutstandingSignature(
        statement_digest=waiting.digest,
        stream=stream,
        body_type=waiting.body_type,
        missing=waiting.missing,
        due_unix_micros=waiting.due,
        site=waiting.site,
        signer=waiting.signer,
        roles=sorted(waiting.roles),
        said=sorted(waiting.said),
        authorisation=waiting.is_authorisation,
    )


def container_custody(container: ContainerState) -> custody_query_service_pb2.ContainerCustody:
    """Returns who answers for a container and who has it."""
    return custody_query_service_pb2.ContainerCustody(
        container=container.container,
        custodian=unit_message(container.custodian),
        possessor=unit_message(container.possessor),
        seals=sorted(container.seals),
        condition=container.condition if container.condition is not None else common_pb2.CONDITION_UNSPECIFIED,
        disputed=container.is_disputed,
    )


def open_handoff(stream: bytes, release: Release) -> custody_query_service_pb2.OpenHandoff:
    """Returns a release that waits for an answer, without its age."""
    return custody_query_service_pb2.OpenHandoff(
        release=release.digest,
        consignment=stream,
        releaser=unit_message(release.releaser),
        receiver=unit_message(release.receiver),
        containers=release.containers,
        since_unix_micros=release.released_at,
    )


def history_item(
    told: Told,
    judgement: JudgedEntry,
    *,
    summary: str = "",
    materials: Iterable[bytes] = (),
    superseded_by: bytes = b"",
) -> custody_query_service_pb2.HistoryItem:
    """Returns a statement as one item of a history."""
    act: Act = told.act
    if judgement.judged.status is Status.PENDING and act.in_effect_at is not None:
        judgement = replace(judgement, judged=replace(judgement.judged, status=Status.IN_EFFECT))
    return custody_query_service_pb2.HistoryItem(
        leaf_index=act.leaf_index,
        stream=act.stream,
        sequence=told.sequence,
        statement_digest=act.digest,
        body_type=act.body_type,
        occurred_unix_micros=act.occurred_start,
        offset_minutes=told.offset_minutes,
        zone=told.zone,
        recorded_unix_micros=told.recorded_at,
        signer=act.signer,
        site=act.site,
        role=act.role,
        meaning=told.meaning,
        judgement=write_judgement(judgement),
        summary=summary,
        superseded_by=superseded_by,
        joins=act.joins or b"",
        materials=list(materials),
        late=any(finding.code == "LATE" for finding in judgement.judged.findings),
    )
