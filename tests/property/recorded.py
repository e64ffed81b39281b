"""Tell a drawn history to a real ledger: every act signed by a person with a key, submitted, judged and recorded.

The history's own ids of sites, people and statements are put into words of the ledger's. Each act happens at a moment
of its own, so that the order rests on no digest, which differs from ledger to ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.errors import RefusedError
from cellcustody.ledger.recording.ledger import Submission
from cellcustody.ledger.statements import PayloadType, draft_statement, parse_statement, sign_statement
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import return_pb2 as returned

from ..integration.recording.ledger_harness import LedgerHarness
from .delivery import Ledger
from .places import DAY, PACK, PEOPLE, START, UNITS

_CAPABILITIES = (
    options.CAPABILITY_COLLECT,
    options.CAPABILITY_TRANSPORT,
    options.CAPABILITY_STORE,
    options.CAPABILITY_PROCESS,
    options.CAPABILITY_TEST,
    options.CAPABILITY_RELEASE,
    options.CAPABILITY_INFUSE,
)
_IDENTIFIERS = (("medical_record_number", "A-4711"), ("wristband", "W-0815"))
_ROLES = ("nurse", "nurse", "quality_reviewer", "quality_reviewer")


class RecordedHistory:
    """A founded ledger to which one history is told."""

    def __init__(self, folder: Path, said: Iterable[Act]) -> None:
        self.harness = LedgerHarness(folder, clock=START - DAY)
        self.harness.found()
        assert self.harness.publish_pack().digest == PACK.digest
        self.real: dict[bytes, bytes] = {}
        self.signers = {}
        for number, (site, people) in enumerate(PEOPLE.items()):
            self.real[site], (administrator, _) = self.harness.site(
                f"site {number}", *_CAPABILITIES, units=tuple(unit for unit in UNITS[site] if unit)
            )
            for person, role in zip(people, _ROLES, strict=True):
                self.signers[person] = self.harness.enrol(role, self.real[site], administrator)
        self.submissions = {act.digest: self._sign(number, act) for number, act in enumerate(said)}
        self.harness.clock = max(self.harness.clock, START + 365 * DAY)
        self.refused: dict[bytes, RefusedError] = {}

    def close(self) -> None:
        """Ends the ledger."""
        self.harness.close()

    def deliver(self, acts: Iterable[Act]) -> None:
        """Submits acts in this order, and keeps what was refused."""
        for act in acts:
            try:
                self.harness.submit(self.submissions[act.digest])
            except RefusedError as refused:
                self.refused[act.digest] = refused

    def ledger(self) -> Ledger:
        """Returns the streams folded anew from what is stored."""
        found = Ledger()
        for stream in sorted(self.harness.last):
            case = self.harness.case(stream) if stream[0] in (1, 2) else None
            if isinstance(case, TherapyCase):
                found.cases[stream] = case
            elif isinstance(case, Fold):
                found.folds[stream] = case
        return found

    def _sign(self, number: int, act: Act) -> Submission:
        by = self.signers[act.signer]
        body = None if act.body is None else self._body(act)
        header = self.harness.header(
            by,
            act.stream,
            body,
            at=act.occurred_start + number,
            signed_at=max(act.signed_at, act.occurred_start) + number,
            seen={stream: self.real.get(digest, digest) for stream, digest in act.seen},
            joins=None if act.joins is None else self.real[act.joins],
        )
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[act.body_type].payload_type
        draft = draft_statement(header, body, os.urandom(32))
        envelope = sign_statement(draft.payload, kind, [by.signer])
        self.real[act.digest] = parse_statement(envelope).digest
        return Submission(envelope, draft.openings, by.site)

    def _body(self, act: Act) -> Message:
        assert act.body is not None
        body = type(act.body).FromString(act.body.SerializeToString())
        _translate(body, self.real)
        if isinstance(body, harvest.TherapyEnrolled):
            body.indication = "an indication"
            body.patient_identifiers.extend(_read(kind, value) for kind, value in _IDENTIFIERS)
        elif isinstance(body, harvest.IdentityChecked | returned.BedsideChecked):
            body.patient_identifiers.extend(_read(kind, value) for kind, value in _IDENTIFIERS)
        return body


def _read(kind: str, value: str) -> common.PatientIdentifier:
    return common.PatientIdentifier(kind=kind, value=value, method=common.READ_METHOD_SCANNED)


def _translate(message: Message, real: dict[bytes, bytes]) -> None:
    """Puts recorded sites and digests where the history has its own, at every level."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in value if descriptor.is_repeated else [value]:
                _translate(part, real)
        elif descriptor.type == descriptor.TYPE_BYTES:
            if descriptor.is_repeated:
                value[:] = [real.get(one, one) for one in value]
            else:
                setattr(message, descriptor.name, real.get(value, value))
