"""ExportService: the dossier of a therapy, given out in pieces and closed with its digest.

The rules:

* An export is itself an entry of the log, signed by the ledger, recorded before the first byte is given out; the
  dossier stands under a checkpoint that covers it, and so does the map of stream heads that it carries.
* Who audits or regulates may export any therapy; another site those in which it takes part. The records open are those
  that the site may read.
* Its position travels in the initial metadata. A stream that broke off is resumed at a byte of the same export by the
  same site. The last exports are kept for that in memory, for the log's ML-DSA signature is drawn anew each time, so
  that a checkpoint cannot be made a second time in the same bytes; what is kept no longer is exported anew.
* As many exports run at once as the configuration says; more are told to come again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import grpc

from cellcustody.ledger.dossier import build_dossier, streams_given
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import AccessDeniedError, NotFoundError
from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.registry import Site
from cellcustody.ledger.scitt import build_scitt
from cellcustody.ledger.statements import Opening, Signer, StreamKind, parse_statement, partial_body
from cellcustody.ledger.transparency import TileTree, parse_checkpoint
from cellcustody.services.access import Gate
from cellcustody.services.disclosure import classes_open_to
from cellcustody.services.error_status import RequestInvalidError, ServerBusyError
from cellcustody.services.heads_giving import HeadsGiver
from cellcustody.services.stamping import TimeStamper
from cellcustody.v1 import export_service_pb2, harvest_pb2, options_pb2, registry_pb2
from cellcustody.v1.export_service_pb2_grpc import ExportServiceServicer

__all__ = ["EXPORT_POSITION_KEY", "ExportGoneError", "ExportServicer"]

EXPORT_POSITION_KEY: Final = "cellcustody-export-position"
CHUNK_BYTES: Final = 64 * 1024  # Well under every message limit; a megabyte of dossier is sixteen of them.
KEPT_BYTES_MAX: Final = 64 * 1024 * 1024  # Some sixty dossiers for whoever's connection broke.
PURPOSE_LENGTH_MAX: Final = 1_000
WITNESS_WAIT_SECONDS: Final = 15.0  # Longer than a round of requests; then the dossier says itself who is lacking.
RECORD_TIMEOUT_SECONDS: Final = 30.0
_STREAM_BYTES: Final = 17
_COI: Final = "coi"  # The kind of claim under which an enrolment holds its chain of identity identifier.
_OVERSEEING: Final = frozenset({options_pb2.CAPABILITY_AUDIT, options_pb2.CAPABILITY_REGULATE})


class ExportGoneError(NotFoundError):
    """Raised when an export to be resumed is not kept any more; a new one is to be asked for."""

    reason = "EXPORT_NOT_RESUMABLE"


class NoPartInTherapyError(AccessDeniedError):
    """Raised when a site asks for the history of a therapy in which it takes no part."""

    reason = "NO_PART_IN_THERAPY"


@dataclass(frozen=True, slots=True)
class _Made:
    """An export as it was made, for one site."""

    therapy: bytes
    data: bytes
    statements: int
    checkpoint: bytes
    position: int


class ExportServicer(ExportServiceServicer):
    """ExportService over one ledger; `service_signer` is the ledger's own, which seals manifests."""

    def __init__(
        self,
        ledger: LedgerFace,
        gate: Gate,
        service_signer: Signer,
        heads: HeadsGiver,
        *,
        concurrent_max: int,
        stamper: TimeStamper | None = None,
    ) -> None:
        self._ledger = ledger
        self._heads = heads
        self._gate = gate
        self._service_signer = service_signer
        self._stamper = stamper
        self._running = threading.BoundedSemaphore(concurrent_max)
        self._kept: OrderedDict[tuple[bytes, int], _Made] = OrderedDict()
        self._kept_lock = threading.Lock()

    def ExportTherapy(
        self, request: export_service_pb2.ExportTherapyRequest, context: grpc.ServicerContext
    ) -> Iterator[export_service_pb2.ExportTherapyResponse]:
        site = self._gate.caller_of(context).site
        if site is None:
            raise AccessDeniedError("an export is given to a site")
        therapy = self._therapy_of(request)
        if not self._running.acquire(blocking=False):
            raise ServerBusyError("as many exports run as may; come again")
        try:
            made = (
                self._resumed(request, therapy, site) if request.resume_position else self._made(request, therapy, site)
            )
            context.send_initial_metadata(((EXPORT_POSITION_KEY, str(made.position)),))
            for start in range(request.resume_offset, len(made.data), CHUNK_BYTES):
                if not context.is_active():
                    return
                yield export_service_pb2.ExportTherapyResponse(chunk=made.data[start : start + CHUNK_BYTES])
            yield export_service_pb2.ExportTherapyResponse(
                closing=export_service_pb2.ExportClosing(
                    statements=made.statements,
                    sha256=hashlib.sha256(made.data).digest(),
                    checkpoint=made.checkpoint,
                    length_bytes=len(made.data),
                )
            )
        finally:
            self._running.release()

    def _therapy_of(self, request: export_service_pb2.ExportTherapyRequest) -> bytes:
        match request.WhichOneof("therapy"):
            case "stream":
                stream = request.stream
                if len(stream) != _STREAM_BYTES or stream[0] != StreamKind.THERAPY:
                    raise RequestInvalidError("a therapy's stream has 17 bytes, the first 01", field="stream")
                return stream
            case "coi":
                # With its check character, so that a slip of the pen names nobody.
                content = ChainOfIdentity.parse_printed(request.coi).content
                digest = self._ledger.store.claim(_COI, content.encode())
                found = None if digest is None else self._ledger.store.find_statement(digest)
                if found is None:
                    raise NotFoundError("no therapy is enrolled under this identifier", coi=request.coi)
                return found.stream
            case _:
                raise RequestInvalidError("a therapy is named in one of two ways", field="therapy")

    def _made(self, request: export_service_pb2.ExportTherapyRequest, therapy: bytes, site: Site) -> _Made:
        if request.resume_offset:
            raise RequestInvalidError("a new export begins at its first byte", field="resume_offset")
        if not request.purpose or len(request.purpose) > PURPOSE_LENGTH_MAX:
            raise RequestInvalidError("an export has a purpose, in a few words", field="purpose")
        source = StoreSource(self._ledger.store, self._ledger.vault)

        # (1): What would be given, and whether to this site.
        streams = streams_given(source, therapy, self._ledger.checkpoint_size())
        if not _OVERSEEING & site.capabilities and not self._takes_part(source, therapy, site):
            raise NoPartInTherapyError("the site takes no part in this therapy", therapy=therapy, site=site.site)

        # (2): On record before it is given.
        exported = registry_pb2.ExportMade(
            streams=[stream for stream in streams if not StreamKind(stream[0]).has_one_stream],
            requester=site.site,
            purpose=request.purpose,
        )
        recorded = self._ledger.record_own(exported, timeout_seconds=RECORD_TIMEOUT_SECONDS)

        # (3): Under a checkpoint that covers that record, cosigned if witnesses are asked and answer in time; with the
        # log's own word, made after that record, on where the streams end.
        checkpoint, heads = self._heads.for_dossier(
            source,
            therapy,
            recorded.position,
            has_aliases=bool(_OVERSEEING & site.capabilities),
            wait_seconds=WITNESS_WAIT_SECONDS,
        )
        if request.format == export_service_pb2.EXPORT_FORMAT_SCITT:
            return self._made_as_scitt(source, therapy, site, checkpoint)
        if self._stamper is not None:
            self._stamper.at_export(checkpoint)
        built = build_dossier(
            source,
            therapy,
            checkpoint=checkpoint,
            ledger_id=self._ledger.registry.latest.ledger_id,
            service_signer=self._service_signer,
            open_classes=classes_open_to(site, therapy),
            timestamps=None if self._stamper is None else self._stamper.timestamps_for,
            heads=heads,
        )
        made = _Made(therapy, built.data, built.statements, checkpoint, built.position)
        self._keep(site.site, made)
        return made

    def _made_as_scitt(self, source: StoreSource, therapy: bytes, site: Site, checkpoint: bytes) -> _Made:
        size = parse_checkpoint(checkpoint).size
        tree = TileTree(TilesOfStore(self._ledger.store))
        built = build_scitt(
            [given for stream in streams_given(source, therapy, size) for given in source.stream_entries(stream, size)],
            checkpoint=checkpoint,
            ledger_id=self._ledger.registry.latest.ledger_id,
            signer=self._service_signer,
            path_of=tree.inclusion_proof,
        )
        made = _Made(therapy, built.data, built.statements, checkpoint, size)
        self._keep(site.site, made)
        return made

    def _resumed(self, request: export_service_pb2.ExportTherapyRequest, therapy: bytes, site: Site) -> _Made:
        with self._kept_lock:
            made = self._kept.get((site.site, request.resume_position))
        if made is None or made.therapy != therapy:
            raise ExportGoneError(
                "this export is not kept any more; ask for a new one", resume_position=request.resume_position
            )
        if request.resume_offset > len(made.data):
            raise RequestInvalidError(
                "the export is shorter", field="resume_offset", offset=request.resume_offset, length=len(made.data)
            )
        return made

    def _keep(self, site: bytes, made: _Made) -> None:
        with self._kept_lock:
            self._kept[(site, made.position)] = made
            while len(self._kept) > 1 and sum(len(one.data) for one in self._kept.values()) > KEPT_BYTES_MAX:
                self._kept.popitem(last=False)

    def _takes_part(self, source: StoreSource, therapy: bytes, site: Site) -> bool:
        """Tells whether the site's own signed something in the therapy, or its enrolment names it."""
        for given in source.stream_entries(therapy, self._ledger.checkpoint_size()):
            header = parse_statement(read_entry(given.entry).envelope)
            signer = header.header.signer.signer_id
            if self._ledger.registry.as_of(given.leaf_index).site_of_signer(signer) == site.site:
                return True
            if header.header.body_type == harvest_pb2.TherapyEnrolled.DESCRIPTOR.full_name:
                openings: list[Opening] = list(source.openings(header.digest))
                body = partial_body(harvest_pb2.TherapyEnrolled, openings)
                if site.site in (*body.participants, body.treating_unit.site, body.custodian_of_record):
                    return True
        return False
