"""Who may sign on any date, what was down when, and what waits for a person's signature.

The rules:

* Signers are told as the registry stood at a position, or at the position that had been reached at a time; the acts on
  each of them up to then are listed beside.
* A period of downtime runs from its declaration to its end, by the times that these claim; what was entered from paper
  names the declaration, or stands by itself.
* What a person may co-sign waits in a role that the pack lets join, and was neither signed, joined nor declined by
  them; an authorisation that nobody joined in time waits for nobody. Someone who may not sign at all waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cellcustody.ledger.custody.signatures import Outstanding, waits_for
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import RegistryState
from cellcustody.ledger.registry.records import KeyState, Person
from cellcustody.ledger.registry.state import Joined, RegistryView
from cellcustody.ledger.views.access import Reach
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import ReadNotPermittedError
from cellcustody.ledger.views.inspection.remarked import remarks
from cellcustody.ledger.views.paging import Pages
from cellcustody.ledger.views.reading import LedgerSource
from cellcustody.ledger.views.rows_found import Remark
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import common_pb2, registry_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["downtime", "position_at", "refuse_other_persons", "roles_to_join", "signers"]

_CHANGES: Final = (
    registry_pb2.PersonEnrolled,
    registry_pb2.PersonChanged,
    registry_pb2.DeviceEnrolled,
    registry_pb2.KeyAdded,
    registry_pb2.KeyRetired,
    registry_pb2.KeySuspended,
    registry_pb2.KeyReinstated,
    registry_pb2.KeyRevoked,
    registry_pb2.SiteEnrolled,
    registry_pb2.EmergencyCredentialGranted,
)


def position_at(source: LedgerSource, position: int, at: int) -> int:
    """Returns the position that the log had reached at a time, microseconds: entries stand in order of recording."""
    low, high = 0, position
    while low < high:
        middle = (low + high) // 2
        if read_entry(source.store.entry(middle)).recorded_at <= at:
            low = middle + 1
        else:
            high = middle
    return low


def signers(
    answer: pb.InspectSignersResponse,
    request: pb.InspectRequest,
    registry: RegistryState,
    position: int,
    teller: Teller,
) -> None:
    """Adds persons and devices as they stood at a position; of one person or one site, where the subject names it."""
    answer.as_of_position = position
    view = registry.as_of(position)
    by_holder = _changes_by_holder(registry, view)
    wanted_person, wanted_site = request.subject.person, request.subject.site
    for person in view.persons():
        if wanted_person not in (b"", person.person) or wanted_site not in (b"", person.site):
            continue
        standing = answer.signers.add(
            signer=person.person, printed_name=teller.name(person.person), site=person.site or b""
        )
        for grant in person.roles:
            standing.roles.add(role=grant.role, trained_until_unix_micros=grant.trained_until)
        _add_keys(standing, view, by_holder)
    for device in view.devices():
        if wanted_person not in (b"", device.device) or wanted_site not in (b"", device.site):
            continue
        standing = answer.signers.add(
            signer=device.device, printed_name=device.description, device=True, site=device.site or b""
        )
        _add_keys(standing, view, by_holder)


def _add_keys(standing: pb.SignerStanding, view: RegistryView, by_holder: dict[bytes, list[Joined]]) -> None:
    for record in view.keys_of(standing.signer):
        key = view.key(record.key_id)
        if key.state is not KeyState.UNKNOWN:
            standing.keys.add(key_id=record.key_id, state=key.state.name.lower(), since_leaf=key.since_leaf or 0)
    for act in by_holder.get(standing.signer, ()):
        standing.changes.add(leaf_index=act.leaf_index, statement_digest=act.statement.digest)


def _changes_by_holder(registry: RegistryState, view: RegistryView) -> dict[bytes, list[Joined]]:
    found: dict[bytes, list[Joined]] = {}
    for joined in tuple(registry.acts.values()):
        body = joined.statement.body
        if joined.in_effect_at is None or joined.in_effect_at >= view.position or not isinstance(body, _CHANGES):
            continue
        for holder in _holders(body, view):
            found.setdefault(holder, []).append(joined)
    return found


def _holders(body: object, view: RegistryView) -> Iterator[bytes]:
    match body:
        case registry_pb2.PersonEnrolled():
            yield body.person.person
        case registry_pb2.SiteEnrolled():
            yield from (one.person for one in body.administrators)
        case registry_pb2.PersonChanged() | registry_pb2.EmergencyCredentialGranted():
            yield body.person
        case registry_pb2.DeviceEnrolled():
            yield body.device
        case registry_pb2.KeyAdded():
            yield body.holder
        case (
            registry_pb2.KeyRetired()
            | registry_pb2.KeySuspended()
            | registry_pb2.KeyReinstated()
            | registry_pb2.KeyRevoked()
        ):
            record = view.key_record(body.key_id)
            if record is not None:
                yield record.holder
        case _:
            return


def downtime(
    answer: pb.InspectDowntimeResponse, asked: Asked, request: pb.InspectRequest, pages: Pages, teller: Teller
) -> None:
    """Adds declared periods, and what was entered from paper for each, or for none."""
    periods: dict[bytes, pb.DowntimeRecord] = {}
    ended: dict[bytes, int] = {}
    loose: list[custody.HistoryItem] = []
    for kind, raw in remarks(asked, request, pages, 1, Remark.DOWNTIME, Remark.FROM_PAPER):
        item = custody.HistoryItem.FromString(raw)
        told = teller.told_at(item.leaf_index)
        match told.act.body:
            case transport.DowntimeDeclared():
                periods[item.statement_digest] = pb.DowntimeRecord(
                    statement=item, start_unix_micros=told.act.occurred_start
                )
            case transport.DowntimeEnded() as body:
                ended[body.declared] = told.act.occurred_start
            case body if kind == Remark.FROM_PAPER:
                circumstances: object = getattr(body, "circumstances", None)
                named = circumstances.downtime if isinstance(circumstances, common_pb2.Circumstances) else b""
                if named in periods:
                    periods[named].back_entered.append(item)
                else:
                    loose.append(item)
            case _:
                pass
    for digest, period in periods.items():
        if digest in ended:
            period.end_unix_micros = ended[digest]
        answer.periods.append(period)
    answer.back_entered.extend(loose)


def roles_to_join(person: Person, waiting: custody.OutstandingSignature, now: int) -> list[str]:
    """Returns the roles in which a person may join a statement at a time, microseconds; none if it waits for others."""
    held = [grant.role for grant in person.roles]
    outstanding = Outstanding(
        waiting.statement_digest,
        waiting.body_type,
        waiting.signer,
        waiting.site,
        waiting.missing,
        waiting.due_unix_micros,
        waiting.authorisation,
        frozenset(waiting.roles),
        frozenset(waiting.said),
    )
    if not waits_for(outstanding, person.person, held, now):
        return []
    return [role for role in held if not waiting.roles or role in waiting.roles]


def refuse_other_persons(asked: Asked, person: Person | None) -> Person:
    """Returns the person if the caller may ask about them.

    Raises:
        ReadNotPermittedError: they are of another site, or there is no such person.
    """
    if person is None or (person.site != asked.reader.site and asked.reader.consignments is not Reach.ALL):
        raise ReadNotPermittedError("a site asks about its own people", site=asked.reader.site)
    return person
