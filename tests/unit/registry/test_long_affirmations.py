"""Affirmations of affirmations are followed however long the chain is, each looked at a few times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from cellcustody.ledger.registry.history import History
from cellcustody.ledger.registry.keys import KeyHistory
from cellcustody.ledger.registry.records import Affirmation
from cellcustody.ledger.registry.state import Joined, RegistryState
from cellcustody.ledger.registry.statement import RegistryStatement

STOLEN, SOUND = b"stolen", b"sound"
LENGTH = 1_500  # More than Python's own stack takes.


def _digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _chained(last_key: bytes) -> RegistryState:
    """Statement 0 is suspect; each act affirms the one before it, signed with the stolen key, but for the last."""
    state = RegistryState()
    for key_id in (STOLEN, SOUND):
        state.keys[key_id] = cast(
            KeyHistory, SimpleNamespace(is_compromised_at=lambda leaf, key_id=key_id: key_id == STOLEN)
        )
    for number in range(1, LENGTH):
        signed = SimpleNamespace(digest=_digest(number), key_ids=(last_key if number == LENGTH - 1 else STOLEN,))
        state.acts[_digest(number)] = Joined(cast(RegistryStatement, signed), number, number)
        named = Affirmation(_digest(number), number, STOLEN, frozenset({_digest(number - 1)}))
        history: History[tuple[Affirmation, ...]] = History()
        history.add(number, (named,))
        state.affirmations[_digest(number - 1)] = history
    return state


@pytest.mark.parametrize(("last_key", "is_suspect"), [(SOUND, False), (STOLEN, True)])
def test_a_long_chain_ends_where_its_last_signer_stands(last_key: bytes, is_suspect: bool) -> None:
    state = _chained(last_key)

    assert state.is_suspect(_digest(0), [STOLEN], 0) is is_suspect
    assert state.is_suspect(_digest(LENGTH - 2), [STOLEN], LENGTH - 2) is is_suspect
