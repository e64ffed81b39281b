"""Tell statements to one reader: summary, names, reasons and documents, each as far as that reader may read it.

The rules:

* What a reader sees of a stream is what the access table opens there for the roles that its site has in it, not the
  union of all that it may read anywhere. What a site's own people said, the site reads back whole.
* Answers are made of statements' places (leaf, stream, digest); here each place is filled in, at any depth, so that
  no question decides by itself what may be told.
* CLINICAL fields are opened from the vault for whoever may read them, each time; nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import DisclosureClass, body_type
from cellcustody.ledger.entries import JudgedEntry, read_judgement
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry import KeyVerdict, RegistryState
from cellcustody.ledger.statements import partial_body
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.messages import history_item
from cellcustody.ledger.views.reading import LedgerSource, Told, read_one
from cellcustody.ledger.views.rows_therapy import materials_of
from cellcustody.ledger.views.staff_names import StaffNames
from cellcustody.ledger.views.summaries import SiteName, Summary
from cellcustody.ledger.views.tables import Value
from cellcustody.v1 import common_pb2, custody_query_service_pb2
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["Teller"]

_CLASSES: Final = {number: DisclosureClass(number) for number in (1, 2, 3, 4, 5, 6)}
_VERDICTS: Final = {
    KeyVerdict.VALID: custody_query_service_pb2.KEY_VERDICT_VALID,
    KeyVerdict.SUSPECT: custody_query_service_pb2.KEY_VERDICT_SUSPECT,
    KeyVerdict.INVALID: custody_query_service_pb2.KEY_VERDICT_INVALID,
}
_ITEM: Final = custody_query_service_pb2.HistoryItem.DESCRIPTOR.full_name


class Teller:
    """Tells one answer's statements to one reader."""

    def __init__(self, source: LedgerSource, asked: Asked, site_name: SiteName, staff: StaffNames) -> None:
        self._source = source
        self._asked = asked
        self._site_name = site_name
        self._staff = staff
        self._accounts: list[Account] = []
        self._classes: dict[bytes, frozenset[DisclosureClass]] = {}
        self._summaries: dict[frozenset[DisclosureClass], Summary] = {}
        self._names: dict[bytes, str] = {}
        self._read: dict[int, Told] = {}

    @property
    def reader(self) -> Reader:
        """Who asks."""
        return self._asked.reader

    @property
    def registry(self) -> RegistryState:
        """The registry, live."""
        return self._source.registry

    def policy_name(self, digest: bytes) -> str:
        """Returns product, jurisdiction and version of a pack; the built-in one has none."""
        found = self._source.registry.latest.policy(digest) if digest else None
        return "" if found is None else f"{found.product} {found.jurisdiction} {found.version}"

    def qualification(
        self, kind: str, name: str, holder: bytes, origin: bytes, destination: bytes, at: int
    ) -> pb.QualificationRecord | None:
        """Returns the qualification of something that counts at a time (microseconds), or the last one known."""
        parameters: list[Value]
        if name:
            condition, parameters = "kind = ? AND name = ?", [kind, name]
        elif origin:
            condition, parameters = "kind = ? AND origin = ? AND destination = ?", [kind, origin, destination]
        else:
            condition, parameters = "kind = ? AND holder = ?", [kind, holder]
        sql = (
            "SELECT leaf_index, statement_digest, min(valid_until, withdrawn_from), "
            f"valid_from <= ? AND valid_until >= ? AND withdrawn_from > ? FROM qualified WHERE {condition} "
            "ORDER BY 4 DESC, valid_until DESC LIMIT 1"
        )
        for leaf, digest, until, holds in self._asked.snapshot.rows(sql, [at, at, at, *parameters]):
            if isinstance(leaf, int) and isinstance(digest, bytes) and isinstance(until, int):
                return pb.QualificationRecord(
                    kind=kind,
                    state="in_force" if holds else "lapsed",
                    valid_until_unix_micros=until,
                    shown_by=custody_query_service_pb2.HistoryItem(leaf_index=leaf, statement_digest=digest),
                )
        return None

    def knows(self, account: Account) -> None:
        """Takes statements from this account rather than from the log."""
        if not any(one is account for one in self._accounts):
            self._accounts.append(account)

    def classes_in(self, stream: bytes) -> frozenset[DisclosureClass]:
        """Returns what the reader sees of a stream."""
        found = self._classes.get(stream)
        if found is None:
            takes_part = self.reader.needs_part_in(stream) and self._asked.takes_part(stream)
            found = self._classes[stream] = self.reader.classes_in(stream, takes_part=takes_part)
        return found

    def may_read(self, told: Told, disclosed: DisclosureClass) -> bool:
        """Tells whether the reader sees fields of this class in a statement."""
        if told.act.site and told.act.site == self.reader.site:
            return True
        return disclosed in self.classes_in(told.act.stream)

    def name(self, person: bytes) -> str:
        """Returns the printed name of a person, where the reader may read it."""
        found = self._names.get(person)
        if found is None:
            found = self._names[person] = self._staff.of(person, self.reader)
        return found

    def site_name(self, site: bytes) -> str:
        """Returns the registered name of a site."""
        return self._site_name(site) if site else ""

    def told_at(self, leaf_index: int) -> Told:
        """Returns a statement by its leaf."""
        found = self._read.get(leaf_index)
        if found is None:
            found = read_one(self._source, leaf_index, self._source.store.entry(leaf_index))
            self._read[leaf_index] = found
        return found

    def opened(self, told: Told) -> Message | None:
        """Returns a body with its CLINICAL fields where the reader may read them and they are still there."""
        found = body_type(told.act.body_type)
        if found is None or not self.may_read(told, DisclosureClass.CLINICAL):
            return told.act.body
        classes = frozenset(
            int(disclosed)
            for disclosed in (DisclosureClass.PUBLIC, DisclosureClass.CUSTODY, DisclosureClass.CLINICAL)
            if self.may_read(told, disclosed)
        )
        openings = openings_of(self._source.store, self._source.vault, told.act.digest, classes)
        return partial_body(found.message_class, openings)

    def item(self, told: Told, judgement: JudgedEntry) -> custody_query_service_pb2.HistoryItem:
        """Returns a statement told in full."""
        act = told.act
        item = history_item(told, judgement, summary=self._summary(told).of(act), materials=materials_of(act))
        item.key_verdict = self._verdict_on(told)
        item.signer_name = self.name(act.signer)
        item.site_name = self.site_name(act.site)
        body = act.body
        circumstances: object = getattr(body, "circumstances", None)
        if isinstance(circumstances, common_pb2.Circumstances):
            item.entry_mode = circumstances.mode
            if circumstances.reason and self.may_read(told, DisclosureClass.OPERATIONAL):
                item.reason = circumstances.reason
        documents: object = getattr(body, "documents", None)
        if isinstance(documents, Iterable) and self.may_read(told, DisclosureClass.QUALITY):
            item.documents.extend(one for one in documents if isinstance(one, common_pb2.Document))
        return item

    def _verdict_on(self, told: Told) -> custody_query_service_pb2.KeyVerdict.ValueType:
        """Returns what a statement's signatures are worth by what the registry knows now, not as of the position."""
        verdict = self._source.registry.verdict_on(
            told.act.digest,
            told.key_ids,
            told.act.leaf_index,
            signed_at=told.act.signed_at,
            recorded_at=told.recorded_at,
        )
        return _VERDICTS[verdict]

    @staticmethod
    def materials_of(told: Told) -> tuple[bytes, ...]:
        """Returns the materials that a statement of a therapy concerns."""
        return materials_of(told.act)

    def reason_of(self, told: Told) -> str:
        """Returns why something was said late, from paper or beforehand, where the reader may read it."""
        circumstances: object = getattr(told.act.body, "circumstances", None)
        if not isinstance(circumstances, common_pb2.Circumstances):
            return ""
        return circumstances.reason if self.may_read(told, DisclosureClass.OPERATIONAL) else ""

    def fill(self, message: Message) -> None:
        """Fills in every statement's place in an answer, at any depth."""
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            for part in value if field.is_repeated else (value,):
                if field.message_type.full_name == _ITEM:
                    self._fill_item(part)
                else:
                    self.fill(part)

    def tell_again(self, item: custody_query_service_pb2.HistoryItem) -> None:
        """Fills in what an item kept in a row leaves to whoever asks: the words and the names."""
        told = self.told_at(item.leaf_index)
        materials = list(item.materials)
        item.CopyFrom(self.item(told, read_judgement(item.judgement)))
        del item.materials[:]
        item.materials.extend(materials)

    def _fill_item(self, item: custody_query_service_pb2.HistoryItem) -> None:
        if item.zone or item.role:  # It was told in full already.
            return
        superseded_by = item.superseded_by
        digest = item.statement_digest
        for account in self._accounts:
            told = account.told.get(digest)
            if told is not None:
                item.CopyFrom(self.item(told, account.latest[digest]))
                item.superseded_by = superseded_by or account.state.replaced_by.get(digest, b"")
                return
        told = self.told_at(item.leaf_index)
        judgement = read_judgement(item.judgement) if item.HasField("judgement") else told.judgement
        item.CopyFrom(self.item(told, judgement))
        item.superseded_by = superseded_by

    def _summary(self, told: Told) -> Summary:
        if told.act.site and told.act.site == self.reader.site:
            classes = frozenset(_CLASSES.values())
        else:
            classes = self.classes_in(told.act.stream)
        found = self._summaries.get(classes)
        if found is None:
            found = self._summaries[classes] = Summary(classes, self._site_name)
        return found
