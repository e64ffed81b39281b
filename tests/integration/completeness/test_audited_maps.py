"""An audit of the whole log makes every logged map of heads again, and names the one that is false."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_ledger import TIMEOUT_SECONDS, ServedLedger, founded_in, served

from cellcustody.clients.auditing import audit_log, open_source
from cellcustody.ledger.completeness import HeadMapFalseError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.v1 import heads_pb2, options_pb2, transparency_service_pb2


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ServedLedger]:
    """A running ledger with a plant, whose entries are open to all."""
    with served(founded_in(tmp_path / "ledger", entries_open=True)) as running:
        running.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        running.enrol_site("auditor", options_pb2.CAPABILITY_AUDIT)
        yield running


def map_is_logged(ledger: ServedLedger) -> None:
    """Has an auditor ask for a map of the log as it is now."""
    size = ledger.server.ledger.checkpoint_size()
    registry = single_stream_id(StreamKind.REGISTRY)
    request = transparency_service_pb2.ProveHeadsRequest(streams=[registry], position_min=size)
    ledger.transparency("auditor").ProveHeads(request, timeout=TIMEOUT_SECONDS)


def maps_audited(ledger: ServedLedger) -> int:
    """Returns how many maps an audit over HTTP makes again."""
    source = open_source(f"http://127.0.0.1:{ledger.server.http_port}")
    return audit_log(source, parse_anchor(ledger.founded.anchor.read_bytes())).maps


def test_every_map_is_made_again(ledger: ServedLedger) -> None:
    """A log without maps has none to check; each one logged is checked."""
    assert maps_audited(ledger) == 0
    map_is_logged(ledger)
    map_is_logged(ledger)
    assert maps_audited(ledger) == 2


def test_an_operator_who_logs_a_false_map_is_found_out(ledger: ServedLedger) -> None:
    """The service key signs whatever the operator has it sign; the log keeps it for every auditor to see."""
    map_is_logged(ledger)
    size = ledger.server.ledger.checkpoint_size()
    false = heads_pb2.HeadsMapped(
        covered_size=size,
        streams=3,
        heads_root=bytes(31) + b"\x01",
        aliases_root=bytes(31) + b"\x02",
        alias_key_commitment=bytes(31) + b"\x03",
    )
    ledger.server.ledger.record_own(false, timeout_seconds=TIMEOUT_SECONDS)
    with pytest.raises(HeadMapFalseError) as found:
        maps_audited(ledger)
    assert found.value.values["leaf_index"] == str(size)
