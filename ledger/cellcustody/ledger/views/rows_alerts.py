"""The rows of alerts: what will want attention, and from what time on, as a stream's own fold tells it.

The rules:

* No clock is read: each alert says since when it warns and when it is due, and stands from then until an entry ends it.
  Whether it stands at a time is settled when that time is asked about (`alerts`).
* An acceptance is overdue when nobody answers a release; a budget, when it runs out while it still runs; an excursion
  wants a disposition from the moment it is known; a qualification, renewal before it lapses; a failing result that came
  after an infusion, acknowledgement by the site that infused; a day of monitoring, and a visit of the follow-up, a
  record.
* An alert is addressed to whoever has to act: releaser and receiver, the custodian, the treating site, the owner.
* Its id is SHA-256 over what it is about, so that the same reason has the same id wherever and whenever it is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.after_infusion import DueState, late_results, monitoring_days, visits
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.policy_members import Budget
from cellcustody.ledger.custody.therapy_state import TherapyState, custody_of
from cellcustody.ledger.views import tables
from cellcustody.ledger.views.messages import unit_message
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.row_writing import RowWriter, serialised
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.time_budgets import Counted, budgets_of
from cellcustody.v1 import custody_query_service_pb2
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = [
    "DAY_MICROS",
    "NEVER",
    "alert_id",
    "write_consignment_alerts",
    "write_qualification_alerts",
    "write_therapy_alerts",
]

NEVER: Final = 2**62  # Later than every time that a ledger knows.
EXCURSIONS: Final = frozenset(
    {"EXCURSION", "EXCURSION_ALARMED", "CONDITION_UNKNOWN", "GRACE_EXCEEDED", "STORE_OUT_OF_BAND"}
)
_MICROS: Final = 1_000_000
DAY_MICROS: Final = 86_400 * _MICROS


def alert_id(kind: str, stream: bytes, *about: bytes | str) -> bytes:
    """Returns the id of an alert: the same for the same reason."""
    parts = [kind.encode(), stream, *(one.encode() if isinstance(one, str) else one for one in about)]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def _write(writer: RowWriter, alert: pb.Alert, units: Iterable[UnitRef]) -> None:
    addressed = sorted(set(units))
    alert.stream = writer.stream
    alert.addressees.extend(message for one in addressed if (message := unit_message(one)) is not None)
    due = alert.due_unix_micros if alert.HasField("due_unix_micros") else NEVER
    answer = serialised(alert)
    for site in sorted({one.site for one in addressed}) or [b""]:
        writer.write(tables.ALERT, alert.alert, site, alert.warns_unix_micros, due, answer)


def write_consignment_alerts(writer: RowWriter, state: ConsignmentState, told: Sequence[Told]) -> None:
    """Adds the alerts of a consignment."""
    by_digest = {one.act.digest: one for one in told}
    limit = DEFAULT_PACK.budgets.handoff_acceptance_seconds * _MICROS
    notice = DEFAULT_PACK.alerts.acceptance_warning_seconds * _MICROS
    for release in state.open_releases():
        due = release.released_at + limit
        alert = pb.Alert(
            alert=alert_id("acceptance", writer.stream, release.digest),
            kind="acceptance",
            subject=f"release of {', '.join(release.containers)}",
            warns_unix_micros=max(release.released_at, due - notice),
            due_unix_micros=due,
            action="accept, refuse or withdraw",
            statements=_places(by_digest, release.digest),
        )
        _write(writer, alert, (release.releaser, release.receiver))
    for hold in state.holds.values():
        if hold.code not in EXCURSIONS or state.closed:  # What was taken out is held, and told of, by its therapy.
            continue
        labels = hold.containers or frozenset(state.containers)
        units = [one.custodian for label in labels if (one := state.containers.get(label)) and one.custodian]
        alert = pb.Alert(
            alert=alert_id("excursion", writer.stream, hold.hold),
            kind="excursion",
            subject=f"{hold.code.lower().replace('_', ' ')} in {', '.join(sorted(labels))}",
            warns_unix_micros=hold.since,
            due_unix_micros=hold.since,
            action="decide on what was carried, citing the study",
            statements=_places(by_digest, hold.statement_digest),
        )
        _write(writer, alert, units)
    if not state.closed:
        _write_lapsing(writer, state, by_digest)


def _write_lapsing(writer: RowWriter, state: ConsignmentState, by_digest: dict[bytes, Told]) -> None:
    """Adds what lapses on the way: shippers' qualification and loggers' calibration."""
    notice = DEFAULT_PACK.alerts.qualification_warning_days * DAY_MICROS
    for label, container in state.containers.items():
        lapsing = [("shipper", container.asset or label, container.qualified_until)]
        lapsing += [("logger", one.logger, one.calibrated_until) for one in container.loggers.values()]
        for kind, name, until in lapsing:
            if until <= 0:
                continue
            alert = pb.Alert(
                alert=alert_id("qualification", writer.stream, kind, name),
                kind="qualification",
                subject=f"{kind} {name} in use",
                warns_unix_micros=until - notice,
                due_unix_micros=until,
                action="qualify again, or take another",
                statements=_places(by_digest, state.opened_by or b""),
            )
            _write(writer, alert, [container.custodian] if container.custodian else [])


def write_therapy_alerts(writer: RowWriter, case: TherapyCase, told: Sequence[Told]) -> None:
    """Adds the alerts of a therapy."""
    state, pack = case.state, case.pack
    by_digest = {one.act.digest: one for one in told}
    last = max((one.act.occurred_start for one in told), default=0)
    # Results, recalls and follow-up go on after a therapy is closed; every material has ended by then.
    for counted in () if state.closed else budgets_of(state, pack, last):
        if counted.end is None and counted.limit_seconds is not None:
            _write_budget(writer, state, pack, counted, last, by_digest)
    for hold in state.holds.values():
        if hold.code in EXCURSIONS:
            alert = pb.Alert(
                alert=alert_id("excursion", writer.stream, hold.hold),
                kind="excursion",
                subject=hold.code.lower().replace("_", " "),
                materials=sorted(hold.materials),
                warns_unix_micros=hold.since,
                due_unix_micros=hold.since,
                action="decide on the material, citing the study",
                statements=_places(by_digest, hold.statement_digest),
            )
            _write(writer, alert, _custodians(state, hold.materials))
    _write_late_results(writer, state, pack, by_digest)
    if not state.closed:
        _write_monitoring(writer, state, pack, by_digest)
    _write_follow_up(writer, state, pack, by_digest)


def _custodians(state: TherapyState, materials: Iterable[bytes]) -> Iterator[UnitRef]:
    for material in materials:
        custodian, _ = custody_of(state, material)
        if custodian is not None:
            yield custodian


def _write_budget(
    writer: RowWriter, state: TherapyState, pack: PolicyPack, counted: Counted, last: int, by_digest: dict[bytes, Told]
) -> None:
    limit = counted.limit_seconds or 0
    due = counted.start + limit * _MICROS
    if counted.budget == Budget.OUT_OF_CRYO:
        # It adds up: only while the bag is out does it come nearer.
        later = [one for one in budgets_of(state, pack, last + limit * _MICROS) if one.budget == counted.budget]
        grown = next((one for one in later if one.material == counted.material), counted)
        if grown.used_seconds == counted.used_seconds:
            return
        due = last + (limit - counted.used_seconds) * _MICROS
    notice = int(limit * _MICROS * (1 - pack.alerts.budget_warning_fraction))
    alert = pb.Alert(
        alert=alert_id("budget", writer.stream, counted.budget, counted.material),
        kind="budget",
        subject=counted.budget.removesuffix("_seconds").replace("_", " "),
        materials=[counted.material],
        warns_unix_micros=due - notice,
        due_unix_micros=due,
        action="go on before it runs out, or hold the material",
        statements=_places(by_digest, *counted.statements),
    )
    _write(writer, alert, _custodians(state, [counted.material]))


def _write_late_results(writer: RowWriter, state: TherapyState, pack: PolicyPack, by_digest: dict[bytes, Told]) -> None:
    within = pack.alerts.late_result_acknowledgement_seconds * _MICROS
    for late in late_results(state):
        if late.is_acknowledged:
            continue
        notice = b"" if late.notice is None else late.notice.notified_by
        alert = pb.Alert(
            alert=alert_id("late_result", writer.stream, late.result, late.site),
            kind="late_result",
            subject="a result that fails, reported after infusion",
            materials=late.infused,
            warns_unix_micros=late.reported_at,
            due_unix_micros=late.reported_at + within,
            action="tell the physician and acknowledge",
            statements=_places(by_digest, late.result, notice),
        )
        units = {one.unit for one in state.infusions.values() if one.unit.site == late.site}
        _write(writer, alert, units or {UnitRef(late.site)})


def _write_monitoring(writer: RowWriter, state: TherapyState, pack: PolicyPack, by_digest: dict[bytes, Told]) -> None:
    """Adds the first day of monitoring that nobody told of, until the patient was seen in the last of its time."""
    days = monitoring_days(state, pack, NEVER)
    first = min(state.infusions.values(), key=lambda one: one.started_at, default=None)
    if first is None or not days or days[-1].state is DueState.DONE:
        return
    missing = next((one for one in days if one.state not in (DueState.DONE, DueState.FALLEN_AWAY)), None)
    if missing is None:
        return
    alert = pb.Alert(
        alert=alert_id("monitoring", writer.stream, str(missing.day)),
        kind="monitoring",
        subject=f"monitoring of day {missing.day} after infusion",
        warns_unix_micros=missing.starts_at,
        due_unix_micros=missing.ends_at,
        action="see the patient and record it",
        statements=_places(by_digest, first.started_by),
    )
    _write(writer, alert, [state.treating_unit] if state.treating_unit is not None else [first.unit])


def _write_follow_up(writer: RowWriter, state: TherapyState, pack: PolicyPack, by_digest: dict[bytes, Told]) -> None:
    notice = pack.alerts.follow_up_warning_days * DAY_MICROS
    first = min(state.infusions.values(), key=lambda one: one.started_at, default=None)
    for visit in visits(state, pack, NEVER):
        if visit.state in (DueState.DONE, DueState.FALLEN_AWAY) or first is None:
            continue
        alert = pb.Alert(
            alert=alert_id("follow_up", writer.stream, visit.visit),
            kind="follow_up",
            subject=f"follow-up {visit.visit}",
            warns_unix_micros=visit.due_at - notice,
            due_unix_micros=visit.due_at,
            action="see the patient and record it",
            statements=_places(by_digest, first.started_by),
        )
        _write(writer, alert, [state.treating_unit] if state.treating_unit is not None else [first.unit])


def write_qualification_alerts(writer: RowWriter, told: Sequence[Told]) -> None:
    """Adds the alerts of equipment and sites: what was found fit and will lapse, unless found fit again."""
    notice = DEFAULT_PACK.alerts.qualification_warning_days * DAY_MICROS
    last: dict[tuple[int, bytes, bytes], Told] = {}
    for one in told:
        body = one.act.body
        if not isinstance(body, facilities.QualificationRecorded):
            continue
        key = (body.kind, body.lane.origin, body.lane.destination)
        before = last.get(key)
        if before is None or _until(before) < body.valid_until_unix_micros:
            last[key] = one
    owner = next((one.act.site for one in told if one.act.site), b"")
    for (kind, origin, destination), one in last.items():
        body = one.act.body
        name = facilities.QualificationKind.Name(facilities.QualificationKind.ValueType(kind))
        alert = pb.Alert(
            alert=alert_id("qualification", writer.stream, name, origin, destination),
            kind="qualification",
            subject=name.removeprefix("QUALIFICATION_KIND_").lower(),
            warns_unix_micros=_until(one) - notice,
            due_unix_micros=_until(one),
            action="qualify again",
            statements=[bare(one)],
        )
        _write(writer, alert, [UnitRef(one.act.site or owner)])


def _until(told: Told) -> int:
    body = told.act.body
    return body.valid_until_unix_micros if isinstance(body, facilities.QualificationRecorded) else 0


def _places(by_digest: dict[bytes, Told], *digests: bytes) -> Iterator[custody_query_service_pb2.HistoryItem]:
    for digest in dict.fromkeys(digests):
        if digest in by_digest:
            yield bare(by_digest[digest])
