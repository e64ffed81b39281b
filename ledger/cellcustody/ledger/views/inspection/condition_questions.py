"""How it fared: temperatures of each leg, time budgets, and what was qualified on the day.

The rules:

* A leg is one logger in one container; what it showed is what receipts read from its file, named by digest. A leg
  without a file, or with one that stops or has no mean, is unknown and never in range. Beside the band that the logger
  was started with stands the one of the therapy's pack, for each material that travelled in the container.
* A budget runs from one recorded moment to another, against the pack that the therapy is pinned to. One that still
  runs is counted up to the time of asking.
* A qualification is asked for on the day of its use, as the ledger knows it now; training as the registry had it at
  the leaf of the statement signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cellcustody.ledger.contract import body_type
from cellcustody.ledger.custody.consignment_touch import containers_found, containers_touched
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.leg_conditions import band_of, way_condition
from cellcustody.ledger.custody.therapy_state import Packed
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.inspection.remarked import fill_disposition
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare, equipment_in
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.ledger.views.time_budgets import budgets_of
from cellcustody.v1 import common_pb2, custody_query_service_pb2, quality_pb2
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["budgets", "conditions", "qualifications"]

_MICROS: Final = 1_000_000
_DAY_MICROS: Final = 86_400 * _MICROS


def conditions(answer: pb.InspectConditionsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the temperature record of every leg."""
    for stream, consignment in account.consignments.items():
        carried = [one for one in account.in_time() if one.act.stream == stream]
        for label, container in sorted(consignment.containers.items()):
            if scope.shipper and scope.shipper not in (label, container.asset):
                continue
            if scope.material and scope.material not in _carried_in(account, stream, label):
                continue
            legs = _legs(stream, label, carried, container.declared_logger)
            for logger, leg in legs.items():
                if scope.logger and scope.logger != logger:
                    continue
                leg.condition = container.condition or common_pb2.CONDITION_UNKNOWN
                leg.limits.extend(_limits(account, stream, label))
                _add_dispositions(leg, account, stream, label, teller)
                if any(
                    scope.is_in_time(account.told[item.statement_digest].act.occurred_start) for item in _items(leg)
                ):
                    answer.legs.append(leg)


def _items(leg: pb.LegRecord) -> Iterator[custody_query_service_pb2.HistoryItem]:
    if leg.HasField("started"):
        yield leg.started
    yield from leg.inspections
    yield from leg.excursions


def _carried_in(account: Account, stream: bytes, label: str) -> set[bytes]:
    state = account.therapy
    if state is None:
        return set()
    return {
        material.material
        for material in state.materials.values()
        if any(journey.consignment == stream and journey.container == label for journey in material.journeys)
    }


def _limits(account: Account, stream: bytes, label: str) -> Iterator[pb.LimitInForce]:
    """Yields what a therapy's pack asks of each of its materials that travelled in a container."""
    state, pack = account.therapy, account.pack
    if state is None:
        return
    way = Packed(stream, label)
    for material in state.materials.values():
        band = band_of(pack, material)
        if way not in material.journeys or band is None:
            continue
        limit = pb.LimitInForce(
            material=material.material,
            grace_seconds=pack.excursion.grace_seconds if band.grace_seconds is None else band.grace_seconds,
            gap_seconds_max=pack.excursion.gap_seconds_max,
            condition=way_condition(state, pack, material, way) or common_pb2.CONDITION_UNSPECIFIED,
            policy_digest=pack.digest,
        )
        for stated, place in (
            (band.millicelsius_min, limit.band_min),
            (band.millicelsius_max, limit.band_max),
            (band.mean_kinetic_millicelsius_max, limit.mean_kinetic_max),
        ):
            if stated is not None:
                place.CopyFrom(_celsius(stated))
        yield limit


def _celsius(millicelsius: int) -> common_pb2.Quantity:
    return common_pb2.Quantity(mantissa=millicelsius, exponent=-3, unit="Cel", comparator=common_pb2.COMPARATOR_EQUAL)


def _legs(stream: bytes, label: str, carried: list[Told], declared: str) -> dict[str, pb.LegRecord]:
    legs: dict[str, pb.LegRecord] = {}

    def leg_of(logger: str) -> pb.LegRecord:
        return legs.setdefault(logger, pb.LegRecord(consignment=stream, container=label, logger=logger))

    if declared:
        leg_of(declared)
    for told in carried:
        body = told.act.body
        match body:
            case transport.LoggerStarted() if body.container == label:
                leg = leg_of(body.logger)
                leg.started.CopyFrom(bare(told))
                if body.HasField("band_min"):
                    leg.band_min.CopyFrom(body.band_min)
                if body.HasField("band_max"):
                    leg.band_max.CopyFrom(body.band_max)
                if body.calibrated_until_unix_micros:
                    leg.calibrated_until_unix_micros = body.calibrated_until_unix_micros
            case transport.ReceiptInspected() if label in body.containers:
                for summary in body.loggers:
                    if summary.logger in legs or len(body.containers) == 1:
                        leg = leg_of(summary.logger)
                        leg.summaries.append(summary)
                        leg.inspections.append(bare(told))
                        if summary.condition == common_pb2.CONDITION_OUT_OF_RANGE:
                            leg.excursions.append(bare(told))
            case transport.ExcursionAlarmed() if body.container == label:
                leg_of(body.logger).excursions.append(bare(told))
            case _:
                pass
    return legs


def _add_dispositions(leg: pb.LegRecord, account: Account, stream: bytes, label: str, teller: Teller) -> None:
    """Adds what quality decided of the container, or of what was carried in it."""
    inspected = {item.statement_digest for item in leg.inspections}
    carried = _carried_in(account, stream, label)
    for told in account.standing():
        body = told.act.body
        match body:
            case transport.ConditionDisposed():
                if body.inspection not in inspected and not carried & set(body.materials):
                    continue
                record = leg.dispositions.add(statement=bare(told), holds=body.holds)
                fill_disposition(record, told, teller)
            case quality_pb2.HoldLifted() if _is_lifted_of(account, stream, label, told, body.holds):
                record = leg.dispositions.add(statement=bare(told), holds=body.holds)
                fill_disposition(record, told, teller)
            case _:
                pass


def _is_lifted_of(account: Account, stream: bytes, label: str, lifted: Told, holds: Iterable[bytes]) -> bool:
    """Tells whether a hold that was lifted in a consignment stood on this container.

    A lifted hold is known by its id alone, which anyone can compute from the statement that opened it.
    """
    consignment = account.consignments.get(stream)
    if lifted.act.stream != stream or consignment is None:
        return False
    wanted = set(holds)
    for told in account.told.values():
        if told.act.stream != stream:
            continue
        if hold_id(told.act.digest, "HOLD_PLACED") in wanted and _names(
            containers_touched(consignment, told.act), label
        ):
            return True
        for finding in account.latest[told.act.digest].judged.findings:
            if hold_id(told.act.digest, finding.code) in wanted and _names(
                containers_found(consignment, told.act, finding), label
            ):
                return True
    return False


def _names(labels: frozenset[str], label: str) -> bool:
    return not labels or label in labels


def budgets(answer: pb.InspectBudgetsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every time budget of a therapy's materials."""
    if account.therapy is None:
        return
    for one in budgets_of(account.therapy, account.pack, now):
        if scope.material and one.material != scope.material:
            continue
        if not scope.is_in_time(one.start):
            continue
        record = answer.budgets.add(
            budget=one.budget,
            therapy=account.stream,
            material=one.material,
            start_unix_micros=one.start,
            end_unix_micros=one.end,
            used_seconds=one.used_seconds,
            limit_seconds=one.limit_seconds,
            state=one.state,
            policy_digest=account.therapy.policy_digest,
        )
        record.statements.extend(bare(account.told[digest]) for digest in one.statements if digest in account.told)


def qualifications(
    answer: pb.InspectQualificationsResponse, account: Account, scope: Scope, teller: Teller, now: int
) -> None:
    """Adds what was qualified when it was used: sites, people, shippers, loggers, couriers, lanes, equipment."""
    seen: set[tuple[str, str, bytes, int]] = set()
    for told in account.standing(alone=scope.alone):
        if not scope.is_in_time(told.act.occurred_start) or (scope.person and told.act.signer != scope.person):
            continue
        for record in _used_in(told, account, teller):
            key = (record.kind, record.name, record.holder, record.used_unix_micros // _DAY_MICROS)
            if key in seen or (scope.site and scope.site != record.holder and told.act.site != scope.site):
                continue
            if scope.shipper and record.kind == "shipper" and scope.shipper != record.name:
                continue
            seen.add(key)
            record.used_by.CopyFrom(bare(told))
            answer.qualifications.append(record)


def _used_in(told: Told, account: Account, teller: Teller) -> Iterator[pb.QualificationRecord]:
    act = told.act
    at = act.occurred_start
    registry = teller.registry.as_of(act.leaf_index)
    if act.site:
        known = teller.qualification("site", "", act.site, b"", b"", at)
        yield _record("site", teller.site_name(act.site), act.site, at, known)
    person = registry.person(act.signer)
    grant = None if person is None else person.grant_of(act.role)
    if grant is not None:
        state = "in_force" if grant.trained_until is None or grant.trained_until >= at else "lapsed"
        yield pb.QualificationRecord(
            kind="training",
            name=act.role,
            holder=act.signer,
            used_unix_micros=at,
            valid_until_unix_micros=grant.trained_until,
            state=state,
        )
    match act.body:
        case transport.ConsignmentOpened() as body:
            for container in body.containers:
                name = container.asset or container.container
                known = teller.qualification("equipment", name, b"", b"", b"", at)
                if known is None and container.qualified_until_unix_micros:
                    yield _stated("shipper", name, at, container.qualified_until_unix_micros)
                else:
                    yield _record("shipper", name, b"", at, known)
            origin, destination = body.unit.site, body.destination.site
            lane = f"{teller.site_name(origin)} - {teller.site_name(destination)}"
            yield _record(
                "lane", lane, body.carrier, at, teller.qualification("lane", "", b"", origin, destination, at)
            )
            if body.carrier:
                known = teller.qualification("courier", "", body.carrier, b"", b"", at)
                yield _record("courier", teller.site_name(body.carrier), body.carrier, at, known)
        case transport.LoggerStarted() as body:
            known = teller.qualification("calibration", body.logger, b"", b"", b"", at)
            if known is None and body.calibrated_until_unix_micros:
                yield _stated("logger", body.logger, at, body.calibrated_until_unix_micros)
            else:
                yield _record("logger", body.logger, b"", at, known)
        case None:
            return
        case body:
            if body_type(act.body_type) is None:
                return
            for equipment in equipment_in(body):
                known = teller.qualification("equipment", equipment, b"", b"", b"", at)
                yield _record("equipment", equipment, b"", at, known)


def _stated(kind: str, name: str, at: int, valid_until: int) -> pb.QualificationRecord:
    """Returns what the statement of use itself says of it."""
    return pb.QualificationRecord(
        kind=kind,
        name=name,
        used_unix_micros=at,
        valid_until_unix_micros=valid_until,
        state="in_force" if valid_until >= at else "lapsed",
    )


def _record(
    kind: str, name: str, holder: bytes, at: int, known: pb.QualificationRecord | None
) -> pb.QualificationRecord:
    record = pb.QualificationRecord(kind=kind, name=name, holder=holder, used_unix_micros=at, state="unknown")
    if known is not None:
        record.state = known.state
        record.shown_by.CopyFrom(known.shown_by)
        if known.HasField("valid_until_unix_micros"):
            record.valid_until_unix_micros = known.valid_until_unix_micros
    return record
