"""Judge the acts of therapies, consignments, lots and sites: facts, authorisations and co-signatures.

The rules:

* A fact is recorded whatever it breaks. What its arrival changes for earlier facts, in its own stream and in those that
  rest on it, is recorded with it as one re-judgement for each stream.
* An authorisation is refused for every gate it breaks, all told at once; it may come again later if what it has seen
  or names is not here yet; it is refused too if something that bears on it stands here unseen by its signer.
* With all the persons that contract and pack ask for, it is in effect; else it is pending, and judged again at the
  entry of the co-signature that completes it.
* A co-signature joins a statement of its own stream, by a person who has not signed it, once for each person.
* Identifiers that came before the enrolment they are held against are compared when it is recorded; what comes of it is
  a re-judgement that carries the comparisons.
* Registry, lots and sites are read as of this entry's own leaf index; consignments and materials in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES, BodyType, DisclosureClass
from cellcustody.ledger.custody.act import Act, Comparison, Finding, Judged, Outcome, Status
from cellcustody.ledger.custody.back_entry import co_signing_of
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.closing import joining_site
from cellcustody.ledger.custody.fold import CoSigner
from cellcustody.ledger.custody.harvest_values import harvest_values
from cellcustody.ledger.custody.policy import CoSigning, PolicyPack
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.errors import ConflictError, FormRefusedError, RetryableRefusedError, StoreError
from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.recording.authorisations import (
    AuthorisationBench,
    CoSignatureRefusedError,
    refuse_if_blocking,
)
from cellcustody.ledger.recording.cases import Case, Cases
from cellcustody.ledger.recording.entry_checks import delay_seconds
from cellcustody.ledger.recording.entry_findings import EntryBench
from cellcustody.ledger.recording.explaining import explain
from cellcustody.ledger.recording.identity import FIELD_PATIENT_IDENTIFIERS, compare, enrolled_macs, identifiers_of
from cellcustody.ledger.recording.ledger_statements import Voice, check_map, revision
from cellcustody.ledger.recording.planning import Explained, Plan, PlannedEntry, SealedGroup
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.replaying import act_of_prepared, openings_of
from cellcustody.ledger.recording.sealing import classes_in
from cellcustody.ledger.registry.admission import Admission
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import PayloadType, StreamKind, partial_body
from cellcustody.ledger.store import Claim, IdentityMac, LedgerStore, StreamLink, Vault
from cellcustody.v1 import common_pb2, harvest_pb2

__all__ = ["CoiTakenError", "CustodyJudge", "JoinedUnknownError", "planned"]

_FOLDED = frozenset({StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT})
_CLAIM_CO_SIGNATURE = "co_signature"
_CLAIM_COI = "coi"
_IDENTITY_CODES = {"IDENTIFIER_MISMATCH": Outcome.MISMATCH, "IDENTIFIER_UNREADABLE": Outcome.UNREADABLE}
_IDENTITY_ALONE = frozenset({DisclosureClass.IDENTITY})


class CoiTakenError(ConflictError):
    """Raised when a therapy is enrolled under a chain of identity identifier that names another."""

    reason = "COI_TAKEN"


class JudgementFromOutsideError(FormRefusedError):
    """Raised when a re-judgement is submitted: the ledger makes them itself, with the entry that causes them."""

    reason = "JUDGEMENT_FROM_OUTSIDE"


class NothingFiledHereError(FormRefusedError):
    """Raised when a co-signature is filed in a stream of a kind in which nothing can be joined."""

    reason = "NOTHING_FILED_HERE"


class JoinedUnknownError(RetryableRefusedError):
    """Raised when a co-signature joins a statement that is not in its stream yet."""

    reason = "JOINED_STATEMENT_UNKNOWN"


def planned(prepared: Prepared, submitting_site: bytes, judgement: JudgedEntry) -> PlannedEntry:
    """Returns the entry of a statement with its judgement."""
    statement = prepared.statement
    return PlannedEntry(
        stream=statement.stream,
        statement_id=statement.statement_id,
        statement_digest=statement.digest,
        envelope=statement.envelope.raw,
        submitting_site=submitting_site,
        judgement=judgement,
        sealed=tuple(
            SealedGroup(subject, disclosed, tuple(openings)) for subject, disclosed, openings in classes_in(prepared)
        ),
    )


def _identity_findings(comparisons: tuple[Comparison, ...]) -> list[Finding]:
    found: list[Finding] = []
    for code, outcome in _IDENTITY_CODES.items():
        leaves = tuple(one.leaf for one in comparisons if one.outcome is outcome)
        if leaves:
            found.append(Finding(code, leaves))
    return found


class CustodyJudge:
    """Judges for one writer; owned by its thread."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        registry: RegistryState,
        cases: Cases,
        pack_of: Callable[[bytes], PolicyPack | None],
        voice: Voice | None,
        *,
        is_trial: bool = False,
    ) -> None:
        """A trial makes no keys and signs nothing: its plans say what would be found, and are not to be recorded."""
        self._is_trial = is_trial
        self._store = store
        self._vault = vault
        self._registry = registry
        self._cases = cases
        self._pack_of = pack_of
        self._voice = voice
        self._entry_bench = EntryBench(registry, cases, pack_of)
        self._authorisations = AuthorisationBench(store, cases)
        self._claims: set[tuple[str, bytes]] = set()
        # Of the group being made: what the store cannot tell yet.
        self._macs: dict[bytes, list[IdentityMac]] = {}
        self._identifiers: dict[bytes, Sequence[common_pb2.PatientIdentifier]] = {}

    def note(self, digest: bytes, stream: bytes) -> None:
        """Notes a statement of the group being made, so that later members may have seen it."""
        self._authorisations.note(digest, stream)

    def co_signers_needed(self, prepared: Prepared) -> int:
        """Returns how many other persons contract and pack ask for to join a statement."""
        found = prepared.body_type
        if found is None or StreamKind(prepared.statement.stream[0]) not in _FOLDED:
            return 0
        pack = self._entry_bench.pack_for(prepared, self._cases.case(prepared.statement.stream))
        return self._asked(pack, found, prepared.body).number

    def _asked(self, pack: PolicyPack, found: BodyType, body: Message | None) -> CoSigning:
        """Returns who must join a statement; of a fact that was copied from paper, at least one who attests to it."""
        if found.is_authorisation:
            return pack.co_signing_for(found.name, found.co_signers_min)
        return co_signing_of(pack, found.name, body, found.co_signers_min)

    def committed(self) -> None:
        """Tells that everything planned since the last call is durable."""
        self._claims.clear()
        self._macs.clear()
        self._identifiers.clear()
        self._authorisations.forget_group()

    def abandon(self) -> None:
        """Tells that nothing planned since the last call was committed."""
        self.committed()

    def judge(
        self, prepared: Prepared, submitting_site: bytes, admission: Admission, *, leaf_index: int, now: int
    ) -> Plan:
        """Returns the plan for a statement of a therapy, consignment, lot or site, or of the ledger itself.

        Raises:
            RefusedError: it is refused; the state is as before.
        """
        statement = prepared.statement
        if statement.payload_type is PayloadType.JUDGEMENT:
            # The ledger's own key could sign one; what it says would bind the rules without having been judged.
            raise JudgementFromOutsideError("a re-judgement is made in the ledger alone", stream=statement.stream)
        if statement.payload_type in (PayloadType.EXPORT, PayloadType.HEAD_MAP, PayloadType.TIME_EVIDENCE):
            check_map(prepared.body, leaf_index)
            return Plan([planned(prepared, submitting_site, JudgedEntry(Judged(Status.RECORDED)))])
        if StreamKind(statement.stream[0]) not in _FOLDED:
            raise NothingFiledHereError("nothing is filed in this kind of stream", stream=statement.stream)
        case = self._cases.case(statement.stream)
        if prepared.body_type is None:
            return self._co_signature(prepared, case, submitting_site, admission, leaf_index, now)
        return self._act(prepared, prepared.body_type, case, submitting_site, admission, leaf_index, now)

    # Facts and authorisations. -------------------------------------------------------------------------------------

    def _act(
        self,
        prepared: Prepared,
        found: BodyType,
        case: Case,
        submitting_site: bytes,
        admission: Admission,
        leaf_index: int,
        now: int,
    ) -> Plan:
        statement = prepared.statement
        stream = statement.stream
        pack = self._entry_bench.pack_for(prepared, case)
        findings = self._entry_bench.findings(prepared, found, case, pack, admission, leaf_index=leaf_index, now=now)
        comparisons = self._compare(prepared)
        findings = (*findings, *_identity_findings(comparisons))
        asked = self._asked(pack, found, prepared.body)
        if asked.number and not found.is_authorisation:
            findings = (*findings, Finding("CO_SIGNATURE_OUTSTANDING"))
        findings = tuple(sorted(findings))
        provisional = JudgedEntry(Judged(Status.CONFORMING, findings), pack.digest, comparisons)
        in_effect_at = leaf_index if found.is_authorisation and not asked.number else None
        act = act_of_prepared(
            prepared, leaf_index=leaf_index, site=admission.site, judgement=provisional, in_effect_at=in_effect_at
        )
        claims: list[Claim] = []
        macs: list[IdentityMac] = []
        if found.is_authorisation:
            # Everything that can refuse comes before anything that moves the state.
            self._authorisations.check(act, case, pack, found, prepared.openings, findings)
            if isinstance(prepared.body, harvest_pb2.TherapyEnrolled):
                claims.append(self._claim_coi(prepared.body, act.digest))
                if not self._is_trial:
                    self._vault.ensure_subjects([stream])  # The identifiers are compared under the therapy's own key.
                    macs = enrolled_macs(self._vault, stream, prepared.body.patient_identifiers)
        elif comparisons and prepared.body is not None:
            self._identifiers[act.digest] = identifiers_of(prepared.body)
        return self._recorded(prepared, act, case, submitting_site, pack, claims, macs, leaf_index, now)

    def _recorded(
        self,
        prepared: Prepared,
        act: Act,
        case: Case,
        submitting_site: bytes,
        pack: PolicyPack,
        claims: list[Claim],
        macs: list[IdentityMac],
        leaf_index: int,
        now: int,
    ) -> Plan:
        """Moves the state on by an act and returns everything to record with it."""
        links = self._cases.take_links(act)
        replacing = self._compared_by_enrolment(case, act, macs)
        changed = {act.stream: set(self._cases.append(act, links, replacing))}
        self._cases.spread(act, links, changed)
        case = self._cases.case(act.stream)
        judged = case.judged[act.digest]
        self._claims.update((claim.kind, claim.key) for claim in claims)
        if macs:
            self._macs[act.stream] = macs
        entries = [planned(prepared, submitting_site, JudgedEntry(judged, pack.digest, act.comparisons))]
        entries += self._revisions(act.digest, changed, leaf_index + 1, now)
        holds = tuple(hold.hold for hold in case.state.holds.values() if hold.statement_digest == act.digest)
        return Plan(
            entries,
            claims=claims,
            links=[StreamLink(act.stream, key) for key in sorted(links)],
            identity_macs=macs,
            explained=self._explained(prepared, act, judged, case, pack, leaf_index, now),
            holds_opened=holds,
        )

    def _explained(
        self, prepared: Prepared, act: Act, judged: Judged, case: Case, pack: PolicyPack, leaf_index: int, now: int
    ) -> tuple[Explained, ...]:
        """Returns the findings in words; most statements have none."""
        if not judged.findings:
            return ()
        return explain(
            judged.findings,
            prepared.body_type,
            prepared.openings,
            [
                *self._grant(prepared, judged, pack, leaf_index),
                *harvest_values(case.state, act, judged),
                ("LATE", (("delay_seconds", str(delay_seconds(prepared.statement.header, now))),)),
            ],
        )

    def _grant(
        self, prepared: Prepared, judged: Judged, pack: PolicyPack, leaf_index: int
    ) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """Returns the emergency credential that a statement was signed under, as values of its finding."""
        if all(one.code != "EMERGENCY_CREDENTIAL" for one in judged.findings):
            return []
        return [("EMERGENCY_CREDENTIAL", self._entry_bench.grants_used(prepared, pack, leaf_index=leaf_index))]

    def _revisions(
        self, caused_by: bytes, changed: dict[bytes, set[bytes]], leaf_index: int, now: int
    ) -> list[PlannedEntry]:
        """Returns one re-judgement for each stream in which earlier facts are judged otherwise now."""
        entries: list[PlannedEntry] = []
        if self._is_trial:
            return entries
        for stream in sorted(stream for stream, digests in changed.items() if digests):
            case = self._cases.case(stream)
            judgements = {
                digest: JudgedEntry(case.judged[digest], self._pack_digest(case, digest), case.acts[digest].comparisons)
                for digest in changed[stream]
                if digest != caused_by
                and digest in case.acts
                and case.acts[digest].stream == stream
                and case.acts[digest].joins is None
                and not case.acts[digest].is_authorisation
            }
            if not judgements:
                continue
            if self._voice is None:
                raise StoreError("the ledger has no voice to revise judgements with", stream=stream)
            view = self._registry.latest
            schema = view.schema
            said = self._voice.say(
                revision(judgements, caused_by),
                ledger_id=view.ledger_id,
                stream=stream,
                schema_digest=b"" if schema is None else schema.digest,
                leaf_index=leaf_index + len(entries),
                now=now,
            )
            judgement = JudgedEntry(Judged(Status.RECORDED))
            self._cases.touch(stream)
            case.append(
                act_of_prepared(
                    said,
                    leaf_index=leaf_index + len(entries),
                    site=b"",
                    judgement=judgement,
                    in_effect_at=None,
                )
            )
            if stream[0] == StreamKind.CONSIGNMENT:
                self._cases.retold(stream)
            self.note(said.statement.digest, stream)
            entries.append(planned(said, b"", judgement))
        return entries

    def _pack_digest(self, case: Case, digest: bytes) -> bytes:
        if isinstance(case, TherapyCase):
            return case.pack_digest_of(digest)
        return self._entry_bench.pack_of_case(case).digest

    # Identity. -----------------------------------------------------------------------------------------------------

    def _compare(self, prepared: Prepared) -> tuple[Comparison, ...]:
        body = prepared.body
        if body is None or isinstance(body, harvest_pb2.TherapyEnrolled):
            return ()
        identifiers = identifiers_of(body)
        if not identifiers:
            return ()
        stream = prepared.statement.stream
        numbers = prepared.statement.commitment.field_numbers
        leaves = [leaf for leaf, number in enumerate(numbers) if number == FIELD_PATIENT_IDENTIFIERS]
        enrolled = self._macs.get(stream)
        return compare(
            self._vault,
            stream,
            identifiers,
            leaves,
            self._store.identity_macs(stream) if enrolled is None else enrolled,
        )

    def _compared_by_enrolment(self, case: Case, act: Act, macs: list[IdentityMac]) -> Mapping[bytes, Act] | None:
        """Returns the earlier acts that compare otherwise now that `act` has enrolled identifiers, if it has."""
        return self._compared_anew(case, macs) if macs else None

    def _compared_anew(self, case: Case, enrolled: list[IdentityMac]) -> dict[bytes, Act]:
        """Returns the acts recorded before the enrolment whose identifiers compare otherwise now, by digest."""
        anew: dict[bytes, Act] = {}
        for digest, act in case.acts.items():
            if not act.comparisons:
                continue
            identifiers = self._identifiers_recorded(act)
            leaves = [one.leaf for one in act.comparisons]
            if len(identifiers) != len(leaves):
                continue  # They were shredded: what was said of them stays.
            comparisons = compare(self._vault, act.stream, identifiers, leaves, enrolled)
            if comparisons != act.comparisons:
                kept = [one for one in act.entry_findings if one.code not in _IDENTITY_CODES]
                findings = tuple(sorted((*kept, *_identity_findings(comparisons))))
                anew[digest] = replace(act, comparisons=comparisons, entry_findings=findings)
        return anew

    def _identifiers_recorded(self, act: Act) -> Sequence[common_pb2.PatientIdentifier]:
        in_group = self._identifiers.get(act.digest)
        if in_group is not None:
            return in_group
        openings = openings_of(self._store, self._vault, act.digest, _IDENTITY_ALONE)
        return identifiers_of(partial_body(BODIES[act.body_type].message_class, openings))

    def _claim_coi(self, body: harvest_pb2.TherapyEnrolled, digest: bytes) -> Claim:
        coi = next(alias.value for alias in body.aliases if alias.scheme == "isbt128-coi")
        # By its content, for the same identifier can be printed with spaces and without.
        claim = Claim(_CLAIM_COI, ChainOfIdentity.parse_printed(coi).content.encode(), digest)
        if (claim.kind, claim.key) in self._claims or self._store.claim(claim.kind, claim.key) is not None:
            raise CoiTakenError("this chain of identity identifier names another therapy", coi=coi)
        return claim

    # Co-signatures. ------------------------------------------------------------------------------------------------

    def _co_signature(
        self,
        prepared: Prepared,
        case: Case,
        submitting_site: bytes,
        admission: Admission,
        leaf_index: int,
        now: int,
    ) -> Plan:
        statement = prepared.statement
        joined = self._joined(statement.joined_digest or b"", case)
        found = BODIES[joined.body_type]
        pack = self._entry_bench.pack_of_case(case)
        asked = self._asked(pack, found, joined.body)
        signer = statement.header.signer.signer_id
        role = statement.header.signer.role
        if signer == joined.signer:
            raise CoSignatureRefusedError("DIFFERENT_PERSON_NEEDED", "a signer does not join their own act", signer)
        claim = Claim(_CLAIM_CO_SIGNATURE, joined.digest + signer, statement.digest)
        if (claim.kind, claim.key) in self._claims or self._store.claim(claim.kind, claim.key) is not None:
            raise CoSignatureRefusedError("CO_SIGNATURE_REPEATED", "a person joins a statement once", signer)
        if asked.roles and role not in asked.roles:
            raise CoSignatureRefusedError(
                "CO_SIGNER_NOT_PERMITTED", f"the policy pack asks for one of: {', '.join(sorted(asked.roles))}", signer
            )
        expected_site = joining_site(joined.body)
        if expected_site is not None and admission.site != expected_site:
            raise CoSignatureRefusedError("CO_SIGNER_OF_ANOTHER_SITE", "a person of the receiving site joins", signer)
        findings = self._entry_bench.co_signer_findings(
            prepared, found, pack, admission, leaf_index=leaf_index, now=now
        )
        # Who takes no part in the therapy is no second person of those who do.
        if (
            expected_site is None
            and joined.body is not None
            and admission.site != joined.site
            and self._entry_bench.is_out_of_scope(case, admission.site, joined.body)
        ):
            findings = (*findings, Finding("OUT_OF_SCOPE"))
        refuse_if_blocking(findings)
        window = asked.window_seconds * 1_000_000
        is_late = abs(statement.header.signed_at.unix_micros - joined.signed_at) > window
        if is_late and found.is_authorisation:
            raise CoSignatureRefusedError(
                "CO_SIGNATURE_EXPIRED", f"the time for joining it was {asked.window_seconds} s", signer
            )
        if is_late:
            findings = tuple(sorted((*findings, Finding("CO_SIGNATURE_LATE"))))
        completes = found.is_authorisation and self._completes(case, joined, asked.number, window, signer)
        if found.is_authorisation and joined.in_effect_at is not None:
            raise CoSignatureRefusedError("NOT_PENDING", "the authorisation is in effect already", signer)
        if found.is_authorisation and joined.digest in case.state.declines:
            raise CoSignatureRefusedError("CO_SIGNATURE_DECLINED", "somebody declined; it is signed anew", signer)
        if completes:
            self._authorisations.check(joined, case, pack, found, ())

        judgement = JudgedEntry(
            Judged(Status.RECORDED, findings), pack.digest, puts_in_effect=joined.digest if completes else b""
        )
        act = act_of_prepared(
            prepared, leaf_index=leaf_index, site=admission.site, judgement=judgement, in_effect_at=None
        )
        links = self._cases.take_links(act)
        changed = {act.stream: set(self._cases.append(act, links))}
        if completes:
            changed[act.stream] |= self._cases.mark_in_effect(act.stream, joined.digest, leaf_index)
        self._cases.spread(act, links, changed)
        self._claims.add((claim.kind, claim.key))
        entries = [planned(prepared, submitting_site, judgement)]
        entries += self._revisions(act.digest, changed, leaf_index + 1, now)
        return Plan(entries, claims=[claim], explained=explain(findings))

    def _joined(self, digest: bytes, case: Case) -> Act:
        joined = case.acts.get(digest)
        if joined is None:
            raise JoinedUnknownError("the statement joined is not in this stream yet", joins=digest)
        if joined.joins is not None or not joined.body_type:
            raise CoSignatureRefusedError("NOT_JOINABLE", "a co-signature is not joined itself", joined.signer)
        return joined

    def _completes(self, case: Case, joined: Act, number: int, window: int, signer: bytes) -> bool:
        if joined.in_effect_at is not None:
            return False
        others: Iterable[CoSigner] = case.state.others_who_signed(joined, within=window)
        return len({one.person for one in others} | {signer}) >= number
