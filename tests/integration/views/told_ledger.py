"""Tell the stories of therapies to a real ledger: every act signed, judged, recorded, with patients to be erased."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import Message
from ledger_harness import LedgerHarness, Signing

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.custody.act import Act, Outcome
from cellcustody.ledger.identifiers.donations import Din
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.statements import PayloadType, draft_statement, parse_statement, sign_statement
from cellcustody.ledger.views.follower import Follower
from cellcustody.ledger.views.tables import TABLES
from cellcustody.v1 import common_pb2, harvest_pb2, options_pb2, return_pb2

from ...unit.custody_therapy import stories

_SCANNED = common_pb2.READ_METHOD_SCANNED
_IDENTIFIERS = (("medical_record_number", "A-4711"), ("wristband", "W-0815"))
_CAPABILITIES = {
    stories.HOSPITAL: (
        options_pb2.CAPABILITY_COLLECT,
        options_pb2.CAPABILITY_STORE,
        options_pb2.CAPABILITY_INFUSE,
    ),
    stories.COURIER: (options_pb2.CAPABILITY_TRANSPORT,),
    stories.PLANT: (
        options_pb2.CAPABILITY_STORE,
        options_pb2.CAPABILITY_PROCESS,
        options_pb2.CAPABILITY_TEST,
        options_pb2.CAPABILITY_RELEASE,
    ),
}
# The stories write donation numbers without their check character, which a ledger asks for.
_AS_PRINTED = {din: Din.of_number(din).format_print() for din in (stories.DIN, stories.OTHER_DIN)}
_NAMES = {stories.HOSPITAL: "hospital", stories.COURIER: "courier", stories.PLANT: "plant"}
_ROLES = {stories.REVIEWER: "quality_reviewer", stories.SECOND_REVIEWER: "quality_reviewer"}


class ToldLedger:
    """A founded ledger with the three sites of the stories, to which acts are told one by one."""

    def __init__(self, folder: Path) -> None:
        self.harness = LedgerHarness(folder, clock=stories.START - stories.DAY)
        self.harness.found()
        pack = self.harness.publish_pack()
        assert pack.digest == stories.PACK.digest
        self.real: dict[bytes, bytes] = {}  # Of the story -> as recorded: sites and statement digests.
        self.signed_last: dict[bytes, bytes] = {}
        self.administrators: dict[bytes, Signing] = {}  # By recorded site.
        administrators: dict[bytes, Signing] = {}
        for site, capabilities in _CAPABILITIES.items():
            self.real[site], (first, _) = self.harness.site(_NAMES[site], *capabilities)
            administrators[site] = self.administrators[self.real[site]] = first
        self.people = {
            person: self.harness.enrol(_ROLES.get(person, "nurse"), self.real[site], administrators[site])
            for person, site in stories.SITE_OF.items()
        }

    @property
    def hospital(self) -> bytes:
        return self.real[stories.HOSPITAL]

    @property
    def courier(self) -> bytes:
        return self.real[stories.COURIER]

    @property
    def plant(self) -> bytes:
        return self.real[stories.PLANT]

    def sign(self, act: Act) -> Submission:
        """Signs one act of a story, after those that it names; it may be delivered at any time."""
        by = self.people[act.signer]
        body = None if act.body is None else self._body(act)
        seen = {stream: self.real[digest] for stream, digest in act.seen}
        if act.is_authorisation:
            seen = dict(self.signed_last)
        joins = None if act.joins is None else self.real[act.joins]
        header = self.harness.header(by, act.stream, body, at=act.occurred_start, seen=seen, joins=joins)
        if act.occurred_end is not None:
            header.occurred_at.end_unix_micros = act.occurred_end
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[act.body_type].payload_type
        draft = draft_statement(header, body, os.urandom(32))
        envelope = sign_statement(draft.payload, kind, [by.signer])
        self.real[act.digest] = self.signed_last[act.stream] = parse_statement(envelope).digest
        return Submission(envelope, draft.openings, by.site)

    def deliver(self, act: Act, signed: Submission) -> Recorded:
        """Records one act that was signed, at its own time or later."""
        self.harness.clock = max(self.harness.clock, act.signed_at) + 1
        return self.harness.submit(signed)

    def tell(self, act: Act) -> Recorded:
        """Signs and records one act of a story."""
        return self.deliver(act, self.sign(act))

    def tell_all(self, story: stories.Story) -> Iterator[Recorded]:
        """Records a story act by act."""
        for act in story.acts:
            yield self.tell(act)

    def erase_patient(self, stream: bytes) -> None:
        """Shreds what identifies the patient and what is clinical."""
        for disclosed in (DisclosureClass.IDENTITY, DisclosureClass.CLINICAL):
            self.harness.ledger.vault.shred(stream, disclosed)

    def _body(self, act: Act) -> Message:
        assert act.body is not None
        body = type(act.body).FromString(act.body.SerializeToString())
        _translate(body, self.real)
        if isinstance(body, harvest_pb2.TherapyEnrolled):
            body.indication = "an indication"
            body.patient_identifiers.extend(_read(kind, value) for kind, value in _IDENTIFIERS)
        if isinstance(body, harvest_pb2.IdentityChecked | return_pb2.BedsideChecked):
            for (kind, value), one in zip(_IDENTIFIERS, act.comparisons, strict=False):
                body.patient_identifiers.append(_read(kind, value if one.outcome is Outcome.MATCH else "B-0000"))
        return body


def _read(kind: str, value: str) -> common_pb2.PatientIdentifier:
    return common_pb2.PatientIdentifier(kind=kind, value=value, method=_SCANNED)


def _translate(message: Message, real: dict[bytes, bytes]) -> None:
    """Puts recorded sites and digests where the story has its own, at every level."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                _translate(part, real)
        elif isinstance(value, str) and value in _AS_PRINTED:
            setattr(message, field.name, _AS_PRINTED[value])
        elif field.type == field.TYPE_BYTES:
            if field.is_repeated:
                value[:] = [real.get(one, one) for one in value]
            else:
                setattr(message, field.name, real.get(value, value))


def rows_of(follower: Follower) -> dict[str, list[tuple[object, ...]]]:
    """Returns every row of the views, table by table."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    with follower.database.reading() as snapshot:
        for table in TABLES:
            order = ", ".join(table.column_names[: table.key_columns])
            rows[table.name] = [tuple(row) for row in snapshot.rows(f"SELECT * FROM {table.name} ORDER BY {order}")]
    return rows


def plan_of(path: Path, sql: str, parameters: tuple[object, ...]) -> str:
    """Returns how SQLite would run a query."""
    connection = sqlite3.connect(path)
    try:
        return "\n".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))
    finally:
        connection.close()
