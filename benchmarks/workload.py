"""Make the load: sites and nurses who sign, therapies under way, and facts signed beforehand.

The rules:

* Every statement is made as a site's client makes it: header, commitment to a body with scans and circumstances, one
  Ed25519 signature, openings beside it. Nothing is left out for speed.
* A payload has about 600 bytes, which `measured_payload_bytes` reports: the header names what its signer had seen in
  the therapy's own stream and in three others, as a client does that follows registry, policies and a second therapy.
* Each therapy is enrolled, consented, checked and collected before anything is measured. What is measured are facts
  that keep its bag moving: stored and moved by turns, each seen from the one before, their times increasing.
* Facts go round the therapies, so that neighbours in a batch are of different patients.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.identifiers.generation import next_chain_of_identity, next_din
from cellcustody.ledger.recording.ledger import Ledger, Recorded, Submission
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import (
    Ed25519Signer,
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    new_statement_id,
    new_stream_id,
    parse_statement,
    sign_statement,
    single_stream_id,
)
from cellcustody.v1 import (
    common_pb2,
    entry_pb2,
    harvest_pb2,
    ledger_service_pb2,
    options_pb2,
    registry_pb2,
    statement_pb2,
)

__all__ = ["Party", "Scene", "SignedFact", "Therapy", "measured_payload_bytes", "to_request"]

FACILITY: Final = "A9999"  # ISBT 128 reserves it for examples; no real facility has it.
NURSES_PER_SITE: Final = 4
ENROLMENT_BATCH: Final = 250
TIMEOUT_SECONDS: Final = 120.0
ROLE: Final = "nurse"
UNIT: Final = "cell-lab"
MICROS: Final = 1_000_000


@dataclass(slots=True)
class Party:
    """Somebody who signs, and how many statements their device has counted."""

    person: bytes
    signer: Signer
    role: str
    site: bytes = b""
    counter: int = 0


@dataclass(slots=True)
class Therapy:
    """A therapy under way: its stream, who works on it, its bag, and the last statement of its stream."""

    stream: bytes
    nurse: Party
    bag: bytes
    number: int
    last: bytes = b""
    told: int = 0
    scan: str = ""


@dataclass(frozen=True, slots=True)
class SignedFact:
    """A statement signed beforehand, ready to be sent."""

    submission: Submission
    statement_digest: bytes


@dataclass
class Scene:
    """A founded ledger's sites and persons, and the therapies they have under way."""

    ledger_id: bytes
    registrars: Sequence[Party]
    schema_digest: bytes
    schema_statement: bytes
    clock: int = field(default_factory=lambda: time.time_ns() // 1000 - 3600 * MICROS)
    site: bytes = b""
    nurses: list[Party] = field(default_factory=list)
    therapies: list[Therapy] = field(default_factory=list)
    seen_elsewhere: dict[bytes, bytes] = field(default_factory=dict)
    pack: PolicyPack = field(default_factory=lambda: PolicyPack.parse(sample_pack_bytes()))

    # Statements. ---------------------------------------------------------------------------------------------------

    def sign(
        self,
        by: Party,
        stream: bytes,
        body: Message | None,
        *,
        seen: dict[bytes, bytes] | None = None,
        joins: bytes = b"",
        policy_digest: bytes = b"",
    ) -> SignedFact:
        """Returns a statement signed one hundredth of a second after the one before."""
        self.clock += MICROS // 100  # A hundred thousand of them fit between the start, an hour ago, and now.
        by.counter += 1
        network = statement_pb2.CLOCK_SOURCE_NETWORK
        header = statement_pb2.Header(
            ledger_id=self.ledger_id,
            statement_id=new_statement_id(self.clock // 1000, os.urandom),
            stream=stream,
            seen=[
                statement_pb2.Seen(stream=one, statement_digest=digest) for one, digest in sorted((seen or {}).items())
            ],
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=self.clock, offset_minutes=60, zone="Europe/Berlin", clock_source=network
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=self.clock, offset_minutes=60, zone="Europe/Berlin", clock_source=network
            ),
            device=by.person,
            device_counter=by.counter,
            signer=statement_pb2.Signer(
                signer_id=by.person,
                key_ids=[by.signer.key_id],
                role=by.role,
                meaning=statement_pb2.MEANING_PERFORMED,
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=self.schema_digest,
            policy_digest=policy_digest,
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins else None,
        )
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
        draft = draft_statement(header, body, os.urandom(32))
        envelope = sign_statement(draft.payload, kind, [by.signer])
        return SignedFact(Submission(envelope, draft.openings, by.site), parse_statement(envelope).digest)

    # The cast. -----------------------------------------------------------------------------------------------------

    def enrol_site(self, ledger: Ledger, tls_key_id: bytes) -> None:
        """Enrols one site with its nurses, and publishes the sample policy pack."""
        self.site = os.urandom(16)
        administrators = [self._new_person("administrator") for _ in range(2)]
        registry = single_stream_id(StreamKind.REGISTRY)
        enrolled = registry_pb2.SiteEnrolled(
            site=self.site,
            name="benchmark site",
            capabilities=sorted(
                (
                    options_pb2.CAPABILITY_COLLECT,
                    options_pb2.CAPABILITY_STORE,
                    options_pb2.CAPABILITY_PROCESS,
                    options_pb2.CAPABILITY_AUDIT,
                )
            ),
            units=[UNIT],
            tls_key_ids=[tls_key_id],
            administrators=[new for _, new in administrators],
            names=[
                registry_pb2.PersonName(person=one.person, printed_name=f"administrator {number}")
                for number, (one, _) in enumerate(administrators)
            ],
        )
        self._by_quorum(ledger, registry, enrolled)
        for number in range(NURSES_PER_SITE):
            nurse, new = self._new_person(ROLE)
            last = self._record(
                ledger,
                self.sign(
                    administrators[0][0],
                    registry,
                    registry_pb2.PersonEnrolled(
                        site=self.site,
                        person=new,
                        name=registry_pb2.PersonName(person=nurse.person, printed_name=f"nurse {number}"),
                    ),
                ),
            )
            self.seen_elsewhere[registry] = last
            self.nurses.append(nurse)
        self.seen_elsewhere[single_stream_id(StreamKind.SCHEMA)] = self.schema_statement
        policy = single_stream_id(StreamKind.POLICY)
        self.seen_elsewhere[policy] = self._by_quorum(
            ledger,
            policy,
            registry_pb2.PolicyPublished(
                product=self.pack.product,
                jurisdiction=self.pack.jurisdiction,
                version=self.pack.version,
                pack=sample_pack_bytes(),
            ),
        )

    def begin_therapies(self, ledger: Ledger, count: int) -> list[Therapy]:
        """Enrols therapies and brings each as far as a collected bag; returns the new ones."""
        begun: list[Therapy] = []
        year = datetime.fromtimestamp(self.clock / MICROS, UTC).year
        for start in range(0, count, ENROLMENT_BATCH):
            statements: list[SignedFact] = []
            for _ in range(min(ENROLMENT_BATCH, count - start)):
                number = len(self.therapies) + 1
                therapy = Therapy(
                    new_stream_id(StreamKind.THERAPY, os.urandom),
                    self.nurses[number % len(self.nurses)],
                    os.urandom(16),
                    number,
                )
                self.therapies.append(therapy)
                begun.append(therapy)
                statements.extend(self._beginning(therapy, year))
            self._record_all(ledger, statements)
        return begun

    def _beginning(self, therapy: Therapy, year: int) -> Iterator[SignedFact]:
        nurse = therapy.nurse
        second = next(one for one in self.nurses if one is not nurse)
        unit = common_pb2.Unit(site=self.site, unit=UNIT)
        coi = next_chain_of_identity(FACILITY, year, therapy.number).printed_compact
        donation = next_din(FACILITY, year, therapy.number)
        din = "".join(donation.format_print().split())
        therapy.scan = donation.wire()
        identifiers = [
            common_pb2.PatientIdentifier(kind=kind, value=f"{kind}-{therapy.number:08d}", method=method)
            for kind, method in (
                ("hospital-number", common_pb2.READ_METHOD_SCANNED),
                ("date-of-birth", common_pb2.READ_METHOD_MANUAL),
            )
        ]

        def say(body: Message | None, by: Party = nurse, joins: bytes = b"") -> SignedFact:
            seen = {therapy.stream: therapy.last} if therapy.last else {}
            said = self.sign(by, therapy.stream, body, seen=seen, joins=joins)
            therapy.last = said.statement_digest
            return said

        yield say(
            harvest_pb2.TherapyEnrolled(
                aliases=[common_pb2.Alias(scheme="isbt128-coi", value=coi)],
                patient_identifiers=identifiers,
                product=self.pack.product,
                jurisdiction=self.pack.jurisdiction,
                policy_digest=self.pack.digest,
                treating_unit=unit,
                custodian_of_record=self.site,
            )
        )
        yield say(
            harvest_pb2.ConsentRecorded(
                scopes=[
                    harvest_pb2.CONSENT_SCOPE_COLLECTION,
                    harvest_pb2.CONSENT_SCOPE_MANUFACTURE,
                    harvest_pb2.CONSENT_SCOPE_INFUSION,
                ],
                form_version="consent-3",
            )
        )
        check = say(
            harvest_pb2.IdentityChecked(
                point=harvest_pb2.IDENTITY_POINT_CHAIRSIDE, patient_identifiers=identifiers, coi_read=coi
            )
        )
        yield check
        yield say(None, second, joins=check.statement_digest)
        started = say(harvest_pb2.CollectionStarted(day=1, din=din, unit=unit))
        yield started
        yield say(
            harvest_pb2.CollectionCompleted(
                started=started.statement_digest,
                outputs=[
                    common_pb2.NewMaterial(
                        material=therapy.bag,
                        kind=common_pb2.MATERIAL_KIND_COLLECTION,
                        quantity=_quantity(100, "mL"),
                    )
                ],
                unit=unit,
            )
        )

    # What is measured. ---------------------------------------------------------------------------------------------

    def facts(self, therapies: Sequence[Therapy], count: int) -> list[SignedFact]:
        """Returns `count` facts, going round `therapies`; each therapy's in order."""
        signed: list[SignedFact] = []
        for turn in range(count):
            therapy = therapies[turn % len(therapies)]
            neighbour = therapies[(turn + 1) % len(therapies)]
            seen = {**self.seen_elsewhere, therapy.stream: therapy.last}
            if neighbour is not therapy:
                seen[neighbour.stream] = neighbour.last
            fact = self.sign(
                therapy.nurse, therapy.stream, self._fact(therapy), seen=seen, policy_digest=self.pack.digest
            )
            therapy.last = fact.statement_digest
            therapy.told += 1
            signed.append(fact)
        return signed

    def _fact(self, therapy: Therapy) -> Message:
        position = common_pb2.Position(
            unit=common_pb2.Unit(site=self.site, unit=UNIT), place=f"refrigerator 2, shelf {therapy.told % 40}"
        )
        scans = [common_pb2.Scan(raw=therapy.scan, method=common_pb2.READ_METHOD_SCANNED, on="bag label")]
        circumstances = common_pb2.Circumstances(mode=common_pb2.ENTRY_MODE_DIRECT)
        if therapy.told % 2:
            return harvest_pb2.MaterialMoved(
                material=therapy.bag,
                position=position,
                scans=scans,
                circumstances=circumstances,
                procedure="SOP-114 version 7",
            )
        return harvest_pb2.MaterialStored(
            material=therapy.bag,
            position=position,
            temperature=_quantity(4, "Cel"),  # Fresh cells: the pack wants 2 to 8.
            scans=scans,
            circumstances=circumstances,
            procedure="SOP-112 version 3",
        )

    # Recording, outside what is measured. --------------------------------------------------------------------------

    def _new_person(self, role: str) -> tuple[Party, registry_pb2.NewPerson]:
        one = Party(os.urandom(16), Ed25519Signer(os.urandom(32)), role, self.site)
        return one, registry_pb2.NewPerson(
            person=one.person,
            keys=[enrolled_key(one.signer, ledger_id=self.ledger_id, holder=one.person, signed_at=self.clock)],
            roles=[registry_pb2.RoleGrant(role=role)],
        )

    def _by_quorum(self, ledger: Ledger, stream: bytes, body: Message) -> bytes:
        first, second = self.registrars[:2]
        digest = self._record(ledger, self.sign(first, stream, body))
        return self._record(ledger, self.sign(second, stream, None, joins=digest))

    def _record(self, ledger: Ledger, statement: SignedFact) -> bytes:
        return ledger.submit(statement.submission, timeout_seconds=TIMEOUT_SECONDS).statement_digest

    def _record_all(self, ledger: Ledger, statements: Sequence[SignedFact]) -> None:
        for result in ledger.submit_many(
            [one.submission for one in statements], timeout_seconds=TIMEOUT_SECONDS, with_receipts=False
        ):
            if not isinstance(result, Recorded):
                raise result


def to_request(fact: SignedFact) -> ledger_service_pb2.SubmitRequest:
    """Returns what a client sends for a statement."""
    return ledger_service_pb2.SubmitRequest(
        envelope=fact.submission.envelope,
        openings=[
            entry_pb2.Opening(index=one.index, salt=one.salt, record=one.record) for one in fact.submission.openings
        ],
    )


def measured_payload_bytes(facts: Sequence[SignedFact]) -> int:
    """Returns the median length of the facts' payloads."""
    lengths = sorted(len(parse_statement(one.submission.envelope).envelope.payload) for one in facts[:200])
    return lengths[len(lengths) // 2]


def _quantity(amount: int, unit: str) -> common_pb2.Quantity:
    return common_pb2.Quantity(
        mantissa=amount,
        unit=unit,
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_MEASURED,
    )
