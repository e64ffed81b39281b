"""The newest cosigned checkpoint: which one is kept, which is shown, and who waits for it."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cellcustody.ledger.recording.cosigned import Cosigned
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.store import Head
from cellcustody.ledger.transparency import Ed25519Cosigner, Ed25519NoteSigner, build_checkpoint_text, sign_note

ORIGIN = "shown.example/log"
LOG = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
WITNESSES = [Ed25519Cosigner(f"w{number}", Ed25519PrivateKey.generate()) for number in range(3)]


def published(size: int, witnesses: int = 0) -> Published:
    """A checkpoint that so many witnesses cosigned."""
    text = build_checkpoint_text(ORIGIN, size, bytes([size]) * 32)
    note = sign_note(text, [LOG, *WITNESSES[:witnesses]], timestamp_seconds=1)
    return Published(Head(size, bytes([size]) * 32, 0), note)


def test_a_larger_tree_or_more_signatures_take_the_place(tmp_path: Path) -> None:
    path = tmp_path / "cosigned"
    cosigned = Cosigned(path)
    for size, witnesses, kept in ((5, 2, (5, 2)), (4, 3, (5, 2)), (5, 1, (5, 2)), (5, 3, (5, 3)), (6, 2, (6, 2))):
        cosigned.offer(published(size, witnesses))
        assert cosigned.newest is not None
        assert (cosigned.size, cosigned.newest.checkpoint.count("—".encode()) - 1) == kept
        assert path.read_bytes() == cosigned.newest.checkpoint


def test_without_witnesses_the_last_is_shown() -> None:
    cosigned = Cosigned()
    assert not cosigned.is_gathering
    assert cosigned.to_show(published(7)).head.size == 7


def test_the_cosigned_one_is_shown_until_patience_ends(tmp_path: Path) -> None:
    cosigned = Cosigned(tmp_path / "cosigned")
    assert cosigned.to_show(published(3)).head.size == 3
    cosigned.offer(published(5, 2))
    assert cosigned.to_show(published(7)).head.size == 5
    cosigned.is_overdue = True
    assert cosigned.to_show(published(7)).head.size == 7
    cosigned.is_overdue = False
    assert cosigned.to_show(published(8)).head.size == 8, "never a smaller tree than was shown before"
    cosigned.offer(published(9, 2))
    assert cosigned.to_show(published(9)).checkpoint == published_in(cosigned)


def published_in(cosigned: Cosigned) -> bytes:
    """The checkpoint that is kept."""
    assert cosigned.newest is not None
    return cosigned.newest.checkpoint


def test_whoever_waits_wakes_the_gathering_and_gets_what_covers_it(tmp_path: Path) -> None:
    cosigned = Cosigned(tmp_path / "cosigned")
    asked = threading.Event()
    cosigned.wake = asked.set
    found: list[Published | None] = []
    waiting = threading.Thread(target=lambda: found.append(cosigned.wait(6, 30)))
    waiting.start()
    assert asked.wait(30)
    assert cosigned.awaited_size == 6
    cosigned.offer(published(5, 2))
    cosigned.offer(published(7, 2))
    waiting.join()
    assert [one.head.size if one else 0 for one in found] == [7]
    assert cosigned.awaited_size == 0


def test_time_that_is_up_and_a_closing_let_go(tmp_path: Path) -> None:
    cosigned = Cosigned(tmp_path / "cosigned")
    assert cosigned.wait(1, 0) is None
    cosigned.close()
    assert cosigned.wait(1, 30) is None
