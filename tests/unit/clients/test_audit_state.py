"""What an audit remembers is of one ledger, and told apart from that of another by the founding."""

from pathlib import Path

import pytest

from cellcustody.clients.auditing.audit_state import AuditState, read_state, write_state
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import Anchor

ORIGIN = "r1.example/log"
KEY = "r1.example/log+5d8f4f94+AaM6T4lN79bEQ7X/OXmP5u19Tg2Us021nCAgI4rf3daJ"
OURS, THEIRS = b"\x01" * 32, b"\x02" * 32


def test_two_ledgers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """The refusal names both foundings: the names alone are equal."""
    path = tmp_path / "audit.json"
    write_state(path, AuditState(ORIGIN, OURS))
    with pytest.raises(ConfigurationError) as refusal:
        read_state(path, Anchor(THEIRS, ORIGIN, (KEY,)))
    assert OURS.hex() in str(refusal.value)
    assert THEIRS.hex() in str(refusal.value)
