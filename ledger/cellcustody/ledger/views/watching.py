"""Follow the log for one caller: what happens, as far as that caller may read, in the order of recording.

The rules:

* News comes after the views reflect it, so that whoever is told can ask about it.
* Who may read what is decided for each piece of news, as the caller's site stands registered at that moment.
* Each item carries the judgement of its own entry; a later re-judgement is news of its own.
* The registry's streams are no news here; they are asked for from the registry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.statements import StreamKind, parse_statement
from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import ReadNotPermittedError
from cellcustody.ledger.views.follower import Follower
from cellcustody.ledger.views.reading import LedgerSource, read_one
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as pb

__all__ = ["watch"]

READ_AT_ONCE: Final = 64  # Entries; news is small, and a caller who goes away costs no more than this.
LOOK_SECONDS: Final = 0.25  # How soon a caller who goes away is noticed.
_FOLDED: Final = frozenset(
    {StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT}
)


def watch(
    source: LedgerSource,
    follower: Follower,
    request: pb.WatchRequest,
    reader_of: Callable[[], Reader],
    teller_of: Callable[[Asked], Teller],
    stop: threading.Event,
) -> Iterator[pb.WatchResponse]:
    """Yields news until `stop` is set; `after_position` 0 means from now.

    Raises:
        ReadNotPermittedError: the caller may not read the one stream asked for.
    """
    position = request.after_position or follower.position
    if request.stream and not _sees(follower, reader_of(), request.stream):
        raise ReadNotPermittedError("this site may not watch this stream", stream=request.stream)
    while not stop.is_set():
        if not follower.wait_for(position + 1, LOOK_SECONDS):
            continue
        limit = min(READ_AT_ONCE, follower.position - position)
        for raw in source.store.entries(position, limit):
            leaf_index, position = position, position + 1
            if stop.is_set():
                return
            stream = bytes(parse_statement(read_entry(raw).envelope).stream)
            if StreamKind(stream[0]) not in _FOLDED or (request.stream and stream != request.stream):
                continue
            with follower.database.reading() as snapshot:
                asked = Asked(snapshot, reader_of())
                news = _news(source, leaf_index, raw, teller_of(asked)) if asked.sees(stream) else None
            if news is not None:
                yield news


def _sees(follower: Follower, reader: Reader, stream: bytes) -> bool:
    with follower.database.reading() as snapshot:
        return Asked(snapshot, reader).sees(stream)


def _news(source: LedgerSource, leaf_index: int, raw: bytes, teller: Teller) -> pb.WatchResponse:
    told = read_one(source, leaf_index, raw)
    return pb.WatchResponse(position=leaf_index + 1, item=teller.item(told, told.judgement))
