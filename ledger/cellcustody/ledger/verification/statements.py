"""Verify one entry by itself: its bytes, its statement, its body, its signer, what it relies on, its judgement's form.

The rules, in the order in which they are checked; the first that fails ends it:

1. The entry is in its exact wire form.
2. Its statement is: envelope, every signature over the exact bytes, payload, key ids, header (`read_statement`).
3. It is of this ledger; body type, payload type and kind of stream agree.
4. The records shown and closed are those that were signed; a body shown whole is in the exact wire form.
5. Every key was the signer's and could sign at that position. What the signer lacked there (site, device, role,
   training, grace), the entry says, and it says nothing else of the kind; an authorisation lacks nothing.
6. The schema was published there; so was the policy relied on, or the entry says that it was not.
7. The judgement is of a kind that fits the statement, and its status follows from its findings.

Whether the unit acted for is the signer's is not checked here: bodies may be closed. This module reads no clock, no
network and no database. One verifier serves any number of threads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from cellcustody.ledger.contract import BODIES, BodyType
from cellcustody.ledger.custody.act import Finding, Status
from cellcustody.ledger.custody.findings import UnknownFindingError, rule_of, status_of
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.entries import FORMAT_VERSION, RULE_SET, JudgedEntry, leaf_hash_of, read_judgement
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import (
    HANDOFF_BODIES,
    LEDGER_KINDS,
    EmergencyGrant,
    RegistryState,
    RoleGrant,
    SignerFacts,
    admit_signer,
    competence,
)
from cellcustody.ledger.registry.admission import (
    EMERGENCY_COVERS,
    NOTHING_ASKED,
    Asked,
    asked_by,
    hybrid_lacks,
    training_ends,
    training_lacks,
)
from cellcustody.ledger.statements import (
    Commitment,
    DisclosedBody,
    KeyId,
    KeyLookup,
    Opening,
    PayloadType,
    StreamKind,
    check_wire_form,
    parse_wire_form,
    read_statement,
)
from cellcustody.ledger.verification.commitments import RecordReader
from cellcustody.ledger.verification.container import EntryToVerify, Records
from cellcustody.ledger.verification.errors import (
    CommitmentInvalidError,
    EntryInvalidError,
    JudgementInvalidError,
    ReferenceInvalidError,
    SignerInvalidError,
    StatementInvalidError,
)
from cellcustody.ledger.verification.quick_reading import QuickReader, Said, said_in
from cellcustody.v1 import entry_pb2

__all__ = [
    "SIGNER_CODES",
    "CheckedStatement",
    "StatementVerifier",
    "check_findings",
    "check_status",
    "read_given_entry",
    "verify_body",
]

SIGNER_CODES: Final = frozenset(
    {
        "CAPABILITY_MISSING",
        "ROLE_NOT_HELD",
        "TRAINING_LAPSED",
        "TRAINING_NOT_RECORDED",
        "DEVICE_OF_COUNTERPARTY",
        "DEVICE_UNKNOWN",
        "HYBRID_KEY_MISSING",
        "LATE_AFTER_RETIREMENT",
    }
)
"""What an entry says of a signer's standing that a verifier finds again from the registry alone."""

_REGISTRY_KINDS: Final = frozenset({PayloadType.REGISTRY, PayloadType.POLICY, PayloadType.SCHEMA})
_REGISTRY_STREAMS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})
_HASH_BYTES: Final = 32
_LATE: Final = "LATE_AFTER_RETIREMENT"
_EMERGENCY: Final = "EMERGENCY_CREDENTIAL"
_TRAINING: Final = frozenset({"TRAINING_LAPSED", "TRAINING_NOT_RECORDED"})
_FACTS: Final = frozenset({Status.CONFORMING, Status.NONCONFORMING, Status.AWAITING})
_AUTHORISATIONS: Final = frozenset({Status.PENDING, Status.IN_EFFECT})

_CIRCUMSTANCES_REMEMBERED_MAX: Final = 65_536  # Some ten thousand persons who do several things each.

_AdmissionKey = tuple[int, bytes, tuple[KeyId, ...], bytes, PayloadType, bool, bool]
_Circumstances = tuple[int, str, int, bytes, str, tuple[KeyId, ...], bytes, bytes, bytes, bytes]


class CheckedStatement(NamedTuple):
    """An entry that passed by itself, with what the checks across entries need. Named tuple: they come by the thousand.

    `body` is the body as far as it is open; `key_ids` name the keys whose signatures verified.
    """

    leaf_index: int
    leaf_hash: bytes
    digest: bytes
    statement_id: bytes
    stream: bytes
    sequence: int
    previous_leaf_hash: bytes
    body_type: str
    body: Message | None
    is_whole: bool
    records_open: int
    records_closed: int
    is_shown: bool
    signer: bytes
    site: bytes
    role: str
    device: bytes
    signed_at: int
    recorded_at: int
    key_ids: tuple[KeyId, ...]
    joins: bytes | None
    seen: tuple[tuple[bytes, bytes], ...]
    judgement: JudgedEntry
    kind: PayloadType
    is_suspect: bool

    @property
    def signatures(self) -> int:
        """How many signatures verified."""
        return len(self.key_ids)


class _Accepted(NamedTuple):
    """What was found of an entry without any finding, for signatures of the time in which training held."""

    site: bytes
    judgement: JudgedEntry
    trained_at: int | None
    trained_until: int | None

    def holds_at(self, signed_at: int) -> bool:
        """Tells whether training held when this was signed."""
        return (self.trained_at is None or self.trained_at <= signed_at) and (
            self.trained_until is None or signed_at <= self.trained_until
        )


class _Standing(NamedTuple):
    """What a signer has at one epoch of the registry for one kind of act; times are compared at each use."""

    site: bytes
    lacking: frozenset[str]
    grant: RoleGrant | None
    emergencies: tuple[EmergencyGrant, ...]


def read_given_entry(given: EntryToVerify) -> entry_pb2.Entry:
    """Returns the entry in its bytes.

    Raises:
        EntryInvalidError: they are not the exact wire form of an entry of this format.
    """
    try:
        message = entry_pb2.Entry.FromString(given.entry)
        # Equal bytes are in the exact wire form but for enums and text, which the judgement's own check looks at.
        message.DiscardUnknownFields()
        if message.SerializeToString(deterministic=True) != given.entry:
            check_wire_form(entry_pb2.Entry, given.entry)
            raise EntryInvalidError("an entry is not in its exact form", leaf_index=given.leaf_index)
    except (DecodeError, CellcustodyError) as defect:
        raise EntryInvalidError(
            "an entry is not in its exact form", leaf_index=given.leaf_index, defect=str(defect)
        ) from defect
    if (
        message.format_version != FORMAT_VERSION
        or not message.envelope
        or message.sequence < 1
        or len(message.previous_leaf_hash) != _HASH_BYTES
    ):
        raise EntryInvalidError("an entry lacks a part, or is of another format", leaf_index=given.leaf_index)
    return message


def verify_body(
    leaf_index: int, commitment: Commitment, records: Records | None, found: BodyType
) -> tuple[Message, int, bool]:
    """Returns the body as far as it is shown, how many records are open, and whether that is all of them.

    Raises:
        CommitmentInvalidError: a record is not what was signed, or the body is not in the exact wire form.
    """
    if records is None:
        return found.message_class(), 0, False
    try:
        DisclosedBody(records).verify(commitment)
        openings = [record for record in records if isinstance(record, Opening)]
        unknown = [number for number in commitment.field_numbers if number not in found.classes]
        if unknown:  # A closed record of such a field has no class, so that nobody could say who may see it.
            raise CommitmentInvalidError("the body has no such field", leaf_index=leaf_index, number=unknown[0])
        # Some records of a body in the exact wire form are, joined, a body in that form too.
        body = parse_wire_form(found.message_class, b"".join(opening.record for opening in openings))
        return body, len(openings), len(openings) == len(records)
    except CommitmentInvalidError:
        raise
    except CellcustodyError as defect:
        raise CommitmentInvalidError(
            "the records shown are not those that were signed",
            leaf_index=leaf_index,
            body_type=found.name,
            defect=str(defect),
        ) from defect


class StatementVerifier:
    """Verifies entries of one ledger against its registry, each by itself."""

    def __init__(
        self,
        registry: RegistryState,
        registry_leaves: Sequence[int],
        *,
        keeps_bodies: bool = True,
        signed_before: int = 0,
    ) -> None:
        """Takes a registry that has been verified, and the leaf indexes of its entries, ascending.

        Without `keeps_bodies` only re-judgements keep theirs: what a million entries say would fill the memory. The
        signatures of entries below leaf `signed_before` are known to be good: whoever says so verified them before,
        over the same bytes. All else is checked again.
        """
        self._signed_before = signed_before
        self._keeps_bodies = keeps_bodies
        self._registry = registry
        self._leaves = registry_leaves
        self._lookup: KeyLookup = registry.public_key
        known = ((key_id, registry.public_key(key_id)) for key_id in registry.keys)
        self._quick = QuickReader({key_id.hex(): key for key_id, key in known if key is not None})
        self._records = RecordReader()
        self._accepted: dict[_Circumstances, _Accepted] = {}
        self._ledger_id = registry.latest.ledger_id
        founding = registry.founding
        self._first_schema = founding.schema_digest if founding else b""
        self._standings: dict[tuple[int, bytes, str, str], _Standing] = {}
        self._admissions: dict[_AdmissionKey, tuple[bytes, frozenset[str]]] = {}
        self._published: dict[tuple[int, bytes], bool] = {}
        self._asked_by: dict[bytes, Asked] = {b"": NOTHING_ASKED, DEFAULT_PACK.digest: asked_by(DEFAULT_PACK)}
        self._has_compromise = any(
            registry.latest.key(key_id).compromised_since_leaf is not None for key_id in registry.keys
        )

    def verify(self, given: EntryToVerify) -> CheckedStatement:
        """Returns the entry after everything about it that needs no other entry has been checked.

        Raises:
            DossierError: the first broken rule, by its class; `leaf_index` says where.
        """
        leaf_index, records = given.leaf_index, given.records

        # (1): The entry's own form.
        entry = read_given_entry(given)
        recorded_at = entry.recorded_at_unix_micros

        # (2): The signatures cover these very bytes. Nothing of the statement is believed before this step.
        said = self._read(entry.envelope, leaf_index)

        # (3): It belongs here.
        found = self._check_header(said, leaf_index)

        # (4): What is shown of the body is what was signed.
        body, opened, is_whole = self._check_body(said, found, records, leaf_index)

        # What does not change from one entry to the next need not be judged again: (5), (6) and (7) held for one by the
        # same signer with the same key and device, of this type, relying on the same things, judged in the same bytes.
        epoch = bisect_right(self._leaves, leaf_index - 1)
        judgement_bytes = entry.judgement.SerializeToString()
        circumstances: _Circumstances = (
            epoch,
            said.body_type,  # It says the kind too: a co-signature alone has none.
            said.stream[0],
            said.signer,
            said.role,
            said.key_ids,
            said.device,
            said.schema_digest,
            said.policy_digest,
            judgement_bytes,
        )
        accepted = self._accepted.get(circumstances)
        if accepted is not None and accepted.holds_at(said.signed_at):
            site, judgement = accepted.site, accepted.judgement
        else:
            # (5): The signer, as of this position.
            judgement = self._judgement(entry, leaf_index)
            codes = frozenset([finding.code for finding in judgement.judged.findings])
            site = self._check_signer(said, found, codes, judgement.policy_digest, leaf_index, recorded_at)

            # (6): What it relies on.
            self._check_references(said, codes, judgement, leaf_index)

            # (7): A judgement that fits.
            _check_judgement(said, found, judgement, leaf_index)
            if not codes and leaf_index:
                self._accept(circumstances, site, judgement, said, leaf_index)

        return CheckedStatement(
            leaf_index,
            leaf_hash_of(given.entry),
            said.digest,
            said.statement_id,
            said.stream,
            entry.sequence,
            entry.previous_leaf_hash,
            said.body_type,
            body,
            is_whole,
            opened,
            len(said.field_numbers) - opened,
            records is not None or not said.field_numbers,
            said.signer,
            site,
            said.role,
            said.device,
            said.signed_at,
            recorded_at,
            said.key_ids,
            said.joins,
            said.seen,
            judgement,
            said.kind,
            self._has_compromise and self._registry.is_suspect(said.digest, said.key_ids, leaf_index),
        )

    def _read(self, envelope: bytes, leaf_index: int) -> Said:
        said = self._quick.read(envelope, is_known=leaf_index < self._signed_before)
        if said is not None:
            return said
        try:
            return said_in(read_statement(envelope, self._lookup))
        except CellcustodyError as defect:
            raise StatementInvalidError(
                "a statement is not what its signer signed", leaf_index=leaf_index, defect=str(defect)
            ) from defect

    def _check_body(
        self, said: Said, found: BodyType | None, records: Records | None, leaf_index: int
    ) -> tuple[Message | None, int, bool]:
        """Returns the body, if it is to be kept, as far as it is shown; how many records are open; whether all are."""
        if found is None:
            if records:
                raise CommitmentInvalidError("a co-signature has no body", leaf_index=leaf_index)
            return None, 0, True
        is_kept = self._keeps_bodies or said.kind is PayloadType.JUDGEMENT
        if not is_kept and records and self._records.accepts(records, said.body_root, said.field_numbers, found):
            opened = sum([isinstance(record, Opening) for record in records])
            return None, opened, opened == len(records)
        body, opened, is_whole = verify_body(leaf_index, said.commitment, records, found)
        if is_whole:
            self._records.learn(found, said.field_numbers)
        return body if is_kept else None, opened, is_whole

    def _accept(
        self, circumstances: _Circumstances, site: bytes, judgement: JudgedEntry, said: Said, leaf_index: int
    ) -> None:
        person = self._registry.as_of(leaf_index).person(said.signer)
        grant = person.grant_of(said.role) if person is not None else None
        if len(self._accepted) >= _CIRCUMSTANCES_REMEMBERED_MAX:
            self._accepted.clear()
        asked = self._asked(judgement.policy_digest, leaf_index)
        self._accepted[circumstances] = _Accepted(
            site,
            judgement,
            grant.trained_at if grant is not None else None,
            training_ends(grant, asked) if grant is not None else None,
        )

    def _check_header(self, said: Said, leaf_index: int) -> BodyType | None:
        kind = said.kind
        found = BODIES.get(said.body_type)
        if said.ledger_id != self._ledger_id and not (
            leaf_index == 0 and not said.ledger_id and kind is PayloadType.REGISTRY
        ):
            raise StatementInvalidError(
                "a statement is of another ledger", leaf_index=leaf_index, ledger_id=said.ledger_id
            )
        if kind is PayloadType.CO_SIGNATURE:
            return None
        if found is None:
            raise StatementInvalidError(
                "the contract has no such body", leaf_index=leaf_index, body_type=said.body_type
            )
        if kind is not found.payload_type or said.stream[0] not in found.stream_kinds:
            raise StatementInvalidError(
                "a body has no place under this payload type or in this stream",
                leaf_index=leaf_index,
                body_type=said.body_type,
                stream=said.stream,
            )
        return found

    def _check_signer(
        self,
        said: Said,
        found: BodyType | None,
        codes: frozenset[str],
        policy_digest: bytes,
        leaf_index: int,
        recorded_at: int,
    ) -> bytes:
        kind = said.kind
        is_authorisation = found is None or found.is_authorisation
        epoch = bisect_right(self._leaves, leaf_index - 1)
        if leaf_index == 0:
            return b""  # The founding is verified with the keys it names, by the registry's own rules.
        site, lacking = self._admitted(said, is_authorisation, epoch, leaf_index, recorded_at)
        if found is not None and kind not in _REGISTRY_KINDS and kind not in LEDGER_KINDS:
            standing = self._standing(epoch, said.signer, said.body_type, said.role, leaf_index)
            asked = self._asked(policy_digest, leaf_index)
            lacking |= _lacking_then(standing, said.role, said.signed_at, asked, codes)
            if asked.hybrid_roles:
                lacking |= hybrid_lacks(self._registry.as_of(leaf_index), said.role, said.key_ids, asked)
        told = codes & SIGNER_CODES
        if told != lacking:
            raise SignerInvalidError(
                "what the entry says of its signer is not what the registry says",
                leaf_index=leaf_index,
                signer=said.signer,
                said=" ".join(sorted(told)),
                found=" ".join(sorted(lacking)),
            )
        if is_authorisation and not lacking <= {_LATE}:
            raise SignerInvalidError(
                "somebody permitted what they may not",
                leaf_index=leaf_index,
                signer=said.signer,
                found=" ".join(sorted(lacking)),
            )
        return site

    def _admitted(
        self, said: Said, is_authorisation: bool, epoch: int, leaf_index: int, recorded_at: int
    ) -> tuple[bytes, frozenset[str]]:
        kind = said.kind
        is_handoff = said.body_type in HANDOFF_BODIES
        key = (epoch, said.signer, said.key_ids, said.device, kind, is_authorisation, is_handoff)
        known = self._admissions.get(key)
        if known is not None:
            return known
        facts = SignerFacts(
            signer=said.signer,
            key_ids=said.key_ids,
            device=said.device,
            signed_at=said.signed_at,
            payload_kind=kind,
            is_authorisation=is_authorisation,
            is_handoff=is_handoff,
        )
        try:
            admission = admit_signer(self._registry, facts, position=leaf_index, now=recorded_at)
        except CellcustodyError as refusal:
            raise SignerInvalidError(
                "a key could not sign this there",
                leaf_index=leaf_index,
                signer=said.signer,
                defect=str(refusal),
            ) from refusal
        admitted = (admission.site, frozenset([finding.code for finding in admission.findings]))
        if (
            _LATE not in admitted[1]
        ):  # Being late is of this statement's times; the rest holds until the registry moves.
            self._admissions[key] = admitted
        return admitted

    def _standing(self, epoch: int, signer: bytes, body_type: str, role: str, leaf_index: int) -> _Standing:
        key = (epoch, signer, body_type, role)
        standing = self._standings.get(key)
        if standing is None:
            # Training and emergencies are of the time of signing, and are looked at for each use.
            findings = competence(
                self._registry, signer=signer, body_type=body_type, role=role, signed_at=0, position=leaf_index
            )
            view = self._registry.as_of(leaf_index)
            person = view.person(signer)
            grant = person.grant_of(role) if person is not None else None
            standing = _Standing(
                view.site_of_signer(signer) or b"",
                frozenset([finding.code for finding in findings]) - _TRAINING,
                grant,
                view.emergency_grants(signer),
            )
            self._standings[key] = standing
        return standing

    def check_co_signer(self, checked: CheckedStatement, joined_type: str) -> frozenset[str]:
        """Returns what a co-signer lacks for joining a body of this type, as of the co-signature's position."""
        epoch = bisect_right(self._leaves, checked.leaf_index - 1)
        standing = self._standing(epoch, checked.signer, joined_type, checked.role, checked.leaf_index)
        asked = self._asked(checked.judgement.policy_digest, checked.leaf_index)
        codes = frozenset([finding.code for finding in checked.judgement.judged.findings])
        lacking = _lacking_then(standing, checked.role, checked.signed_at, asked, codes)
        return lacking | hybrid_lacks(self._registry.as_of(checked.leaf_index), checked.role, checked.key_ids, asked)

    def _asked(self, policy_digest: bytes, leaf_index: int) -> Asked:
        known = self._asked_by.get(policy_digest)
        if known is None:
            policy = self._registry.as_of(leaf_index).policy(policy_digest)
            if policy is None:
                return NOTHING_ASKED  # Found with the references: nothing is judged under what was not published.
            known = self._asked_by[policy_digest] = asked_by(PolicyPack.parse(policy.pack))
        return known

    def _check_references(self, said: Said, codes: frozenset[str], judgement: JudgedEntry, leaf_index: int) -> None:
        epoch = bisect_right(self._leaves, leaf_index - 1)
        schema = said.schema_digest
        if schema != self._first_schema and not self._is_published(epoch, schema, leaf_index):
            raise ReferenceInvalidError(
                "the schema was not published there", leaf_index=leaf_index, schema_digest=schema
            )
        if said.stream[0] in _REGISTRY_STREAMS:
            return
        relied_on = said.policy_digest
        if relied_on and relied_on != DEFAULT_PACK.digest:
            is_there = self._is_published(epoch, relied_on, leaf_index)
            if not is_there and "POLICY_UNKNOWN" not in codes and said.joins is None:
                raise ReferenceInvalidError(
                    "the policy relied on was not published there", leaf_index=leaf_index, policy_digest=relied_on
                )
        judged_under = judgement.policy_digest
        is_own = not judged_under or judged_under == DEFAULT_PACK.digest
        if not is_own and not self._is_published(epoch, judged_under, leaf_index):
            raise ReferenceInvalidError(
                "the policy judged under was not published there", leaf_index=leaf_index, policy_digest=judged_under
            )

    def _is_published(self, epoch: int, digest: bytes, leaf_index: int) -> bool:
        known = self._published.get((epoch, digest))
        if known is None:
            view = self._registry.as_of(leaf_index)
            known = view.schema_of(digest) is not None or view.policy(digest) is not None
            self._published[(epoch, digest)] = known
        return known

    def _judgement(self, entry: entry_pb2.Entry, leaf_index: int) -> JudgedEntry:
        if not entry.HasField("judgement"):
            raise JudgementInvalidError("an entry carries no judgement", leaf_index=leaf_index)
        try:
            return read_judgement(entry.judgement)
        except CellcustodyError as defect:
            raise JudgementInvalidError(
                "a judgement is not in its form", leaf_index=leaf_index, defect=str(defect)
            ) from defect


def _lacking_then(
    standing: _Standing, role: str, signed_at: int, asked: Asked, codes: frozenset[str]
) -> frozenset[str]:
    """Returns what a signer lacked at the time of signing; `codes` are those that the entry tells.

    What an entry says was done under an emergency credential is held to one that covers it. The units that a person
    works in may stand in what is closed of the body, so that an emergency may have covered nothing else.
    """
    lacking = standing.lacking
    if standing.grant is not None:
        lacking |= training_lacks(standing.grant, signed_at, asked)
    if not standing.emergencies:
        return lacking | {_EMERGENCY} if _EMERGENCY in codes else lacking
    is_covered = any(one.covers(role, signed_at, asked.emergency_seconds) for one in standing.emergencies)
    is_needed = not lacking.isdisjoint(EMERGENCY_COVERS)
    if is_covered and (is_needed or _EMERGENCY in codes):
        # Told or not, this is what it is; an entry that keeps silent about it does not agree.
        return (lacking - EMERGENCY_COVERS) | (frozenset() if _EMERGENCY in codes else frozenset((_EMERGENCY,)))
    return lacking | {_EMERGENCY} if _EMERGENCY in codes else lacking


def _check_judgement(said: Said, found: BodyType | None, judgement: JudgedEntry, leaf_index: int) -> None:
    status = judgement.judged.status
    kind = said.kind
    if found is None or kind in LEDGER_KINDS:
        fits = status is Status.RECORDED
    elif found.is_authorisation:
        fits = status in _AUTHORISATIONS
    else:
        fits = status in _FACTS
    puts_in_effect = judgement.puts_in_effect and kind is not PayloadType.CO_SIGNATURE
    if not fits or judgement.rule_set != RULE_SET or puts_in_effect:
        raise JudgementInvalidError(
            "a judgement is of another kind than its statement",
            leaf_index=leaf_index,
            status=status.name,
            rule_set=judgement.rule_set,
        )
    findings = judgement.judged.findings
    if findings:
        check_findings(findings, said.field_numbers, leaf_index)
        if found is not None and not found.is_authorisation and kind not in LEDGER_KINDS:
            check_status(status, findings, leaf_index)
    elif status in (Status.NONCONFORMING, Status.AWAITING):
        raise JudgementInvalidError("a judgement gives no finding for its status", leaf_index=leaf_index)


def check_findings(findings: Sequence[Finding], field_numbers: Sequence[int], leaf_index: int) -> None:
    """Returns if the findings are in order of code, each known and naming leaves that the body has.

    Raises:
        JudgementInvalidError: they are not.
    """
    last = ""
    for finding in findings:
        try:
            rule_of(finding.code)
        except UnknownFindingError as unknown:
            raise JudgementInvalidError("no rule has this code", leaf_index=leaf_index, code=finding.code) from unknown
        if finding.code < last:
            raise JudgementInvalidError("findings stand in order of code", leaf_index=leaf_index, code=finding.code)
        if any(leaf >= len(field_numbers) for leaf in finding.leaves):
            raise JudgementInvalidError("a finding names a leaf that is not there", leaf_index=leaf_index)
        last = finding.code


def check_status(status: Status, findings: Sequence[Finding], leaf_index: int) -> None:
    """Returns if the status of a fact follows from its findings.

    Raises:
        JudgementInvalidError: it does not.
    """
    expected = status_of(findings)
    if status is not expected:
        raise JudgementInvalidError(
            "a status does not follow from its findings",
            leaf_index=leaf_index,
            status=status.name,
            expected=expected.name,
        )
