"""A real ledger whose checkpoints real authorities stamp, over HTTP, by one clock that stories move."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from ledger_harness import ORIGIN, LedgerHarness, Signing

from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import StreamKind, parse_statement
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.timestamps import HASHES_BY_NAME, EvidenceItem, TimeAuthority
from cellcustody.ledger.timestamps.issuing import AuthorityKeys, make_authority
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.stamping import TimeStamper
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_authority import TimeAuthorityServer
from cellcustody.services.timestamp_settings import AuthoritySection, TimestampSettings
from cellcustody.v1 import options_pb2, quality_pb2

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Changed: TypeAlias = Callable[[bytes], bytes]
"""Changes the content of timestamps.binpb."""


@dataclass
class Authority:
    """An authority that answers, whose clock may be wrong by some seconds."""

    name: str
    keys: AuthorityKeys
    server: TimeAuthorityServer
    section: AuthoritySection
    ahead_seconds: float = 0.0

    @property
    def believed(self) -> TimeAuthority:
        """The authority as an anchor names it."""
        return TimeAuthority(self.name, (self.keys.root_der,))


@dataclass
class StampedLedger:
    """A ledger with one therapy; `now` is the one clock of ledger and authorities."""

    folder: Path
    harness: LedgerHarness
    therapy: bytes
    nurse: Signing
    evidence: TimeEvidenceFile
    opened: ExitStack
    lines: io.StringIO = field(default_factory=io.StringIO)
    authorities: list[Authority] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """What time it is for everybody."""
        return EPOCH + timedelta(microseconds=self.harness.clock)

    @property
    def position(self) -> int:
        """The tree size."""
        return self.harness.store.head().size

    def goes_on(self, span: timedelta) -> None:
        """Lets time pass."""
        self.harness.tick(span.total_seconds())

    def is_year(self, year: int) -> None:
        """Lets time pass until a year begins."""
        self.goes_on(datetime(year, 1, 1, tzinfo=UTC) - self.now)

    def trusts(self, name: str, *, years: int = 10, hash_name: str = "sha256") -> Authority:
        """Opens an authority whose certificates, signed over this hash, are valid from today for so many years."""
        keys = make_authority(
            name,
            key=ec.generate_private_key(ec.SECP256R1()),
            root_key=ec.generate_private_key(ec.SECP256R1()),
            not_before=self.now.replace(microsecond=0),
            not_after=self.now.replace(microsecond=0) + years * 365 * DAY,
            certificate_hash=HASHES_BY_NAME[hash_name],
            digest=HASHES_BY_NAME["sha512" if hash_name == "sha256" else hash_name],
        )
        path = self.folder / f"{name}.pem"
        path.write_bytes(keys.root.public_bytes(Encoding.PEM))
        authority: Authority
        server = TimeAuthorityServer(
            keys,
            ListenAddress("127.0.0.1", 0),
            lambda: self.now + timedelta(seconds=authority.ahead_seconds),
            StructuredLog(self.lines),
        )
        authority = Authority(name, keys, server, AuthoritySection(name, server.url, (path,)))
        server.start()
        self.opened.callback(server.stop)
        self.authorities.append(authority)
        return authority

    def stamper(
        self, *authorities: Authority, timeout_seconds: float = 5.0, interval_seconds: float = 3600.0
    ) -> TimeStamper:
        """Returns what stamps with these authorities (none: with all)."""
        sections = tuple(one.section for one in authorities or self.authorities)
        settings = TimestampSettings(sections, interval_seconds, timeout_seconds)
        return TimeStamper(
            self.harness.ledger,
            self.evidence,
            settings,
            StructuredLog(self.lines),
            origin=ORIGIN,
            now=lambda: self.harness.clock,
        )

    def stamps(self, *authorities: Authority) -> EvidenceItem:
        """Stamps the last checkpoint and returns the item."""
        item = self.stamper(*authorities).stamp(self.harness.ledger.checkpoint())
        assert item is not None, self.lines.getvalue()
        return item

    def renews(self, hash_name: str, *authorities: Authority) -> EvidenceItem:
        """Renews everything and returns the item."""
        item = self.stamper(*authorities).renew(hash_name)
        assert item is not None, self.lines.getvalue()
        return item

    def says(self, words: str = "something", **details: int) -> Recorded:
        """Records a fact in the therapy, a minute later."""
        return self.harness.say(self.nurse, self.therapy, quality_pb2.DeviationRaised(description=words), **details)  # type: ignore[arg-type]

    def anchor(self, *authorities: Authority, minimum: int = 1) -> Anchor:
        """Returns the anchor of somebody who believes these authorities."""
        founding = parse_statement(read_entry(self.harness.store.entry(0)).envelope)
        return Anchor(
            founding.digest,
            ORIGIN,
            tuple(one.vkey for one in self.harness.log_signers),
            time_authorities=tuple(one.believed for one in authorities),
            time_authorities_min=minimum,
        )

    def dossier(self) -> bytes:
        """Returns the therapy's dossier under the last checkpoint, with the time evidence there is."""
        return self.dossier_under(self.harness.ledger.checkpoint())

    def dossier_under(self, checkpoint: bytes, changed: Changed | None = None) -> bytes:
        """Returns the therapy's dossier under a checkpoint that was signed before; `changed` forges its evidence."""
        honest = self.stamper().timestamps_for

        def given(leaves: Sequence[int], size: int) -> bytes:
            raw = honest(leaves, size)
            return raw if changed is None else changed(raw)

        return build_dossier(
            StoreSource(self.harness.store, self.harness.vault),
            self.therapy,
            checkpoint=checkpoint,
            ledger_id=self.harness.ledger_id,
            service_signer=self.harness.service,
            timestamps=given,
        ).data

    def logged(self, event: str) -> list[str]:
        """Returns the lines of the log of the process that tell of an event."""
        return [line for line in self.lines.getvalue().splitlines() if f'"{event}"' in line]


@contextmanager
def stamped_ledger(folder: Path) -> Iterator[StampedLedger]:
    """Yields a ledger with a therapy that nobody has stamped yet; its year is 2027."""
    with ExitStack() as opened:
        harness = LedgerHarness(folder)
        opened.callback(harness.close)
        harness.found()
        site, administrators = harness.site("hospital", options_pb2.CAPABILITY_COLLECT, units=("apheresis",))
        nurse = harness.enrol("collection_nurse", site, administrators[0])
        evidence = opened.enter_context(TimeEvidenceFile(folder))
        ledger = StampedLedger(folder, harness, harness.new_stream(StreamKind.THERAPY), nurse, evidence, opened)
        ledger.says("the first of all")
        yield ledger
        harness.check()
