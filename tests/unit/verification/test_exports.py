"""A whole log is verified in chunks, and what is said of it does not depend on how they run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forge import Forge

from cellcustody.clients import parallel_verification
from cellcustody.clients.parallel_verification import VerificationProcessError, verify_export
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.ledger.verification import (
    DossierError,
    EntryToVerify,
    InclusionInvalidError,
    NothingCheckedError,
    SignerInvalidError,
    StatementInvalidError,
    StreamBrokenError,
    replay_registry,
    verify_entries,
)


@pytest.fixture(scope="module")
def long() -> Forge:
    """A log of some hundred statements in several chunks."""
    forge = Forge().founds().lives()
    for _ in range(600):
        forge.records_elsewhere()
    return forge


def test_a_whole_log_is_verified_to_its_root(long: Forge) -> None:
    """One after the other or side by side, the same is found, down to the root that the checkpoint names."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8], long.anchor.founding_digest)
    root = parse_checkpoint(long.checkpoint()).root

    alone = verify_entries(entries, registry, root=root)
    together = verify_export(entries, registry, root=root, threads=3)

    assert alone == together
    assert alone.entries == alone.signatures == len(long.entries)
    assert alone.root == root
    assert (alone.suspect, alone.bodies_not_shown) == (0, 0)


def test_another_root_is_refused(long: Forge) -> None:
    """A checkpoint of another tree is not this log's."""
    entries = long.to_verify()

    with pytest.raises(InclusionInvalidError):
        verify_entries(entries, replay_registry(entries[:8]), root=hashlib.sha256(b"other").digest())


def test_nothing_is_not_verified() -> None:
    """No entry, no verdict."""
    forge = Forge().founds()

    with pytest.raises(NothingCheckedError):
        verify_entries([], replay_registry(forge.to_verify()))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_broken_entry_is_named_however_many_threads_run(threads: int) -> None:
    """Two entries are broken; the one that comes first in the log is told."""
    forge = Forge().founds().lives()
    for _ in range(300):
        forge.records_elsewhere()
    forge.nurse.role = "physician"
    forge.records_elsewhere()
    forge.records_elsewhere()
    for _ in range(300):
        forge.places_hold(Judged(Status.NONCONFORMING, (Finding("ROLE_NOT_HELD"),)))
    entries = forge.to_verify()
    broken = 8 + 7 + 300

    with pytest.raises(SignerInvalidError) as refused:
        verify_export(entries, replay_registry(entries[:8]), threads=threads)

    assert refused.value.values["leaf_index"] == str(broken)


def test_a_flipped_signature_and_a_missing_entry_are_found(long: Forge) -> None:
    """What a dossier's verifier finds, an export's finds too."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])
    raw = bytearray(entries[100].entry)
    raw[raw.index(b"\x1a") + 200] ^= 1
    bent = [*entries[:100], EntryToVerify(100, bytes(raw), entries[100].records), *entries[101:]]
    without = [*entries[:11], *entries[12:]]

    with pytest.raises((StatementInvalidError, SignerInvalidError)):
        verify_entries(bent, registry)
    with pytest.raises(StreamBrokenError):
        verify_entries(without, registry)


def test_processes_find_what_threads_find(long: Forge) -> None:
    """Each core has a process of its own, and the same is told, down to the root."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8], long.anchor.founding_digest)

    together = verify_export(entries, registry, threads=2, processes_from=100)

    assert together == verify_entries(entries, registry)


def test_processes_name_the_first_broken_entry_and_what_is_wrong(long: Forge) -> None:
    """Of two broken entries, in the hands of two processes, the first in the log is told as if there were one core."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])
    for at in (300, 290):
        raw = bytearray(entries[at].entry)
        raw[raw.index(b"\x1a") + 200] ^= 1
        entries[at] = EntryToVerify(at, bytes(raw), entries[at].records)

    with pytest.raises(DossierError) as alone:
        verify_entries(entries, registry)
    with pytest.raises(DossierError) as together:
        verify_export(entries, registry, threads=2, processes_from=100)

    assert type(together.value) is type(alone.value)
    assert together.value.values == alone.value.values
    assert together.value.values["leaf_index"] == "290"


def test_a_broken_chain_is_told_before_a_broken_entry_after_it(long: Forge) -> None:
    """What is told is the first in the log, of whatever kind, also within one chunk."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])
    raw = bytearray(entries[100].entry)
    raw[raw.index(b"\x1a") + 200] ^= 1
    entries[100] = EntryToVerify(100, bytes(raw), entries[100].records)
    del entries[11]

    with pytest.raises(StreamBrokenError):
        verify_export(entries, registry, threads=2)


def test_a_process_that_ends_by_itself_is_no_verdict(long: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kills a process that verifies does not make an export verified, nor a liar of its issuer."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])
    monkeypatch.setattr(parallel_verification, "_WORKER", ("-c", "import sys; sys.stdin.buffer.read(8); sys.exit(3)"))

    with pytest.raises(VerificationProcessError) as ended:
        verify_export(entries, registry, threads=2, processes_from=100)

    assert ended.value.values["exit_code"] == "3"


def test_no_process_is_left_whatever_ends_the_verification(long: Forge) -> None:
    """Verified, broken or given up by whoever feeds it: the processes are gone, each waited for."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])

    def interrupted() -> Iterator[EntryToVerify]:
        yield from entries[:500]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_export(interrupted(), registry, threads=2, processes_from=100)

    assert not _children()


def _children() -> list[str]:
    """Returns the process ids of this process's children that verify."""
    own = str(os.getpid())
    found: list[str] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if fields[1] == own and b"verification_worker" in command:
            found.append(status.parent.name)
    return found
