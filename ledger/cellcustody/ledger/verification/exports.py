"""Verify any number of entries against a registry, in chunks that can run side by side.

The rules:

* `entries` are in the order of the log. Each is verified by itself in its chunk; chains, co-signatures and references
  are then checked across all of them, in order, as the chunks come back.
* The first broken entry ends it, whichever chunk finishes first: what comes before it in its chunk is still held to
  the checks across entries, so that what is told does not depend on the number of cores.
* How chunks are run is the caller's: one after the other here, on threads or in processes in `cellcustody.clients`.
* Where all entries of the log from leaf 0 are given, their root is computed too and can be held to a checkpoint. Their
  tiles are made on the way, for whoever watches: what a log serves can be held to them.
* What was verified before need not have its signatures verified again, if whoever says so holds the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from cellcustody.ledger.transparency import RightEdge, TileWrite
from cellcustody.ledger.verification.container import EntryToVerify
from cellcustody.ledger.verification.crossing import Crossing, check_streams
from cellcustody.ledger.verification.errors import DossierError, InclusionInvalidError, NothingCheckedError
from cellcustody.ledger.verification.registry_replay import ReplayedRegistry
from cellcustody.ledger.verification.statements import CheckedStatement, StatementVerifier

__all__ = [
    "CHUNK_ENTRIES",
    "ChunkRunner",
    "ExportReport",
    "SoFar",
    "VerifiedChunk",
    "VerifyChunk",
    "run_in_order",
    "verify_chunk",
    "verify_entries",
]

CHUNK_ENTRIES: Final = 128  # Some 20 ms of work: enough to hide the handing over, little enough to share evenly.


class VerifiedChunk(NamedTuple):
    """The entries of a chunk that passed by themselves, and what ended it, if anything did."""

    statements: Sequence[CheckedStatement]
    defect: DossierError | None = None


VerifyChunk = Callable[[Sequence[EntryToVerify]], VerifiedChunk]
ChunkRunner = Callable[[VerifyChunk, Iterable[Sequence[EntryToVerify]]], Iterator[VerifiedChunk]]
"""Runs a function over chunks and yields its results in the order of the chunks."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was verified of an export; `root` is that of all leaves where the export is the whole log, else None."""

    entries: int
    signatures: int
    co_signatures: int
    revisions: int
    records_closed: int
    bodies_not_shown: int
    suspect: int
    streams: int
    root: bytes | None


class SoFar(NamedTuple):
    """How far a verification has come: entries and signatures verified, tiles and root of a log given whole."""

    entries: int
    signatures: int
    tiles: Sequence[TileWrite]
    edge: RightEdge | None


def run_in_order(verify: VerifyChunk, chunks: Iterable[Sequence[EntryToVerify]]) -> Iterator[VerifiedChunk]:
    """Runs the chunks one after the other."""
    return map(verify, chunks)


def verify_chunk(verifier: StatementVerifier, chunk: Sequence[EntryToVerify]) -> VerifiedChunk:
    """Returns what was verified of a chunk, up to its first broken entry."""
    statements: list[CheckedStatement] = []
    try:
        for given in chunk:
            statements.append(verifier.verify(given))
    except DossierError as defect:
        return VerifiedChunk(statements, defect)
    return VerifiedChunk(statements)


def verify_entries(
    entries: Iterable[EntryToVerify],
    registry: ReplayedRegistry,
    *,
    run: ChunkRunner = run_in_order,
    root: bytes | None = None,
    signed_before: int = 0,
    watch: Callable[[SoFar], None] | None = None,
) -> ExportReport:
    """Returns what was verified, after every entry held by itself and with the others.

    `root` may be given where the entries are the whole log: the 32-byte root that a verified checkpoint names. The
    signatures below leaf `signed_before` were verified before. `watch` is told after each chunk.

    Raises:
        NothingCheckedError: there was no entry.
        DossierError: the first broken link, by its class; `leaf_index` says where.
    """
    verifier = StatementVerifier(registry.state, registry.leaf_indexes, keeps_bodies=False, signed_before=signed_before)
    crossing = Crossing(registry.state, verifier)
    heads: dict[bytes, tuple[int, bytes]] = {}
    edge: RightEdge | None = RightEdge()
    count = signatures = closed = hidden = suspect = 0

    for statements, defect in run(partial(verify_chunk, verifier), _chunks(entries)):
        for one in statements:
            check_streams((one,), heads)
            crossing.take(one)
            if edge is not None:
                edge = edge if one.leaf_index == count else None
            count += 1
            signatures += one.signatures
            closed += one.records_closed
            hidden += not one.is_shown
            suspect += one.is_suspect
        if defect is not None:
            raise defect
        tiles: Sequence[TileWrite] = () if edge is None else edge.extend([one.leaf_hash for one in statements])
        if watch is not None:
            watch(SoFar(count, signatures, tiles, edge))

    if not count:
        raise NothingCheckedError("there was no entry to check")
    computed = None if edge is None else edge.root()
    if root is not None and computed != root:
        raise InclusionInvalidError("the entries are not the tree that the checkpoint names", root=root)
    return ExportReport(
        entries=count,
        signatures=signatures,
        co_signatures=sum(map(len, crossing.co_signers.values())),
        revisions=crossing.revisions,
        records_closed=closed,
        bodies_not_shown=hidden,
        suspect=suspect,
        streams=len(heads),
        root=computed,
    )


def _chunks(entries: Iterable[EntryToVerify]) -> Iterator[list[EntryToVerify]]:
    waiting = iter(entries)
    while chunk := list(islice(waiting, CHUNK_ENTRIES)):
        yield chunk
