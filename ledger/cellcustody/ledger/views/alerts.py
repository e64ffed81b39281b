"""Say what wants attention at a time, for one reader; and follow it as time goes by.

The rules:

* What stands at a time is a function of the ledger and that time alone: rows whose warning has begun, training that
  lapses as the registry has it, and materials of stopped lots on which nobody has acted.
* It is a warning until it is due, and due from then on; an entry ends it, never the reading of it.
* Who sees a stream sees its alerts; of training, a site sees that of its own people.
* Followed, each alert is told when it begins, when it becomes due and when it is over; time alone is reason enough, so
  that an alert comes though nothing was recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.views.access import Reach
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.follower import Follower
from cellcustody.ledger.views.inspection.recall_questions import action_open, state_of, who_acts
from cellcustody.ledger.views.paging import Pages
from cellcustody.ledger.views.rows_alerts import DAY_MICROS, NEVER, alert_id
from cellcustody.ledger.views.tables import Value
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["alerts_at", "watch_alerts"]

LOOK_SECONDS: Final = 0.25  # How soon somebody who goes away, or an alert that time brings, is noticed.
_DUE: Final = "due"
_WARNING: Final = "warning"
_KEYS: Final = ("due", "stream", "alert")
_RECALL_KEYS: Final = ("lot_use.lot", "lot_material.stream", "lot_material.material")


def alerts_at(
    asked: Asked, request: pb.ListAlertsRequest, pages: Pages, teller: Teller, now: int
) -> Iterator[pb.Alert]:
    """Yields the alerts that stand at `now` (microseconds) and that the caller may see; places are not filled in."""
    yield from _of_rows(asked, request, pages, now)
    yield from _of_recalls(asked, request, pages, now)
    lapsing = {one.alert: one for one in _of_training(asked, request, teller, now)}
    yield from pages.of_memory(2, lapsing)


def _of_rows(asked: Asked, request: pb.ListAlertsRequest, pages: Pages, now: int) -> Iterator[pb.Alert]:
    conditions, parameters = ["warns <= ?"], list[Value]([now])
    if request.site:
        conditions.append("site = ?")
        parameters.append(request.site)
    if request.stream:
        conditions.append("stream = ?")
        parameters.append(request.stream)
    therapies, of_therapies = asked.visible("alert", asked.reader.therapies)
    consignments, of_consignments = asked.visible("alert", asked.reader.consignments)
    conditions.append(
        f"CASE substr(stream, 1, 1) WHEN x'01' THEN {therapies} WHEN x'02' THEN {consignments} OR site = ? "
        f"ELSE {int(asked.reader.therapies is Reach.ALL)} OR site = ? END"
    )
    parameters += [*of_therapies, *of_consignments, asked.reader.site, asked.reader.site]
    sql = f"SELECT DISTINCT answer, {', '.join(_KEYS)} FROM alert WHERE {' AND '.join(conditions)}"
    for row in pages.rows(0, sql, parameters, _KEYS):
        if isinstance(row[0], bytes) and isinstance(row[1], int):
            alert = pb.Alert.FromString(row[0])
            if alert.kind == "late_result" and not asked.reader.may_read(DisclosureClass.QUALITY):
                continue
            alert.state = _DUE if row[1] <= now and row[1] != NEVER else _WARNING
            yield alert


def _of_recalls(asked: Asked, request: pb.ListAlertsRequest, pages: Pages, now: int) -> Iterator[pb.Alert]:
    """Yields materials of recalled lots on which nobody has acted."""
    if asked.reader.therapies is Reach.NONE:
        return
    visible, of_reader = asked.visible("lot_use", asked.reader.therapies)
    sql = (
        f"SELECT lot_use.lot_number, lot.recalled_leaf, material.answer, {', '.join(_RECALL_KEYS)} FROM lot "
        "CROSS JOIN lot_use ON lot_use.lot = lot.stream "  # From the few recalled lots outwards.
        "JOIN lot_material ON lot_material.stream = lot_use.stream "
        "AND lot_material.statement_digest = lot_use.statement_digest AND lot_material.ordinal = lot_use.ordinal "
        "JOIN material ON material.stream = lot_material.stream AND material.material = lot_material.material "
        f"WHERE lot.standing = 'recalled' AND {visible}"
    )
    parameters: list[Value] = list(of_reader)
    if request.stream:
        sql += " AND lot_use.stream = ?"
        parameters.append(request.stream)
    if request.site:
        sql += " AND material.custodian_site = ?"
        parameters.append(request.site)
    for number, leaf, raw, lot, stream, _ in pages.rows(1, sql, parameters, _RECALL_KEYS):
        if not (
            isinstance(number, str) and isinstance(raw, bytes) and isinstance(lot, bytes) and isinstance(stream, bytes)
        ):
            continue
        material = custody.MaterialCustody.FromString(raw)
        state = state_of(material)
        action = action_open(asked, lot, stream, material)
        if not action:
            continue
        unit = who_acts(asked, material)
        alert = pb.Alert(
            alert=alert_id("recall", stream, lot, material.material),
            kind="recall",
            state=_DUE,
            stream=stream,
            subject=f"lot {number} recalled, {state.replace('_', ' ')}",
            materials=[material.material],
            addressees=[] if unit is None else [unit],
            action=action,
        )
        if isinstance(leaf, int) and leaf >= 0:
            alert.statements.add(leaf_index=leaf)
        yield alert


def _of_training(asked: Asked, request: pb.ListAlertsRequest, teller: Teller, now: int) -> Iterator[pb.Alert]:
    """Yields roles whose training lapses, of the caller's own people or, for who sees all, of everybody."""
    if request.stream:
        return
    notice = DEFAULT_PACK.alerts.qualification_warning_days * DAY_MICROS
    for person in teller.registry.latest.persons():
        if person.site != asked.reader.site and asked.reader.therapies is not Reach.ALL:
            continue
        if request.site not in (b"", person.site):
            continue
        for grant in person.roles:
            if grant.trained_until is None or grant.trained_until - notice > now:
                continue
            alert = pb.Alert(
                alert=alert_id("training", person.person, grant.role),
                kind="training",
                state=_DUE if grant.trained_until <= now else _WARNING,
                subject=f"training of {teller.name(person.person) or person.person.hex()[:8]} as {grant.role}",
                warns_unix_micros=grant.trained_until - notice,
                due_unix_micros=grant.trained_until,
                action="train again, or change the role",
            )
            if person.site:
                alert.addressees.add(site=person.site)
            yield alert


def watch_alerts(
    follower: Follower,
    list_now: Callable[[], tuple[int, int, list[pb.Alert]]],
    stop: threading.Event,
) -> Iterator[pb.WatchAlertsResponse]:
    """Yields alerts as they begin, become due and end, until `stop` is set.

    `list_now` returns position, time and the alerts that stand then, filled in for whoever watches.
    """
    standing: dict[bytes, pb.Alert] = {}
    while not stop.is_set():
        position, now, alerts = list_now()
        found = {one.alert: one for one in alerts}
        for identity, alert in found.items():
            before = standing.get(identity)
            if before is None or before.state != alert.state:
                yield pb.WatchAlertsResponse(position=position, at_unix_micros=now, alert=alert)
        for identity in standing.keys() - found.keys():
            yield pb.WatchAlertsResponse(position=position, at_unix_micros=now, alert=standing[identity], ended=True)
        standing = found
        follower.wait_for(position + 1, LOOK_SECONDS)
        if stop.is_set():
            return
