"""The store's public names are pinned: adding one is a decision, losing one breaks callers."""

from __future__ import annotations

import subprocess
import sys

from cellcustody.ledger import store
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.store import LedgerApplication, LedgerStore
from cellcustody.ledger.store import errors as store_errors

PUBLIC_NAMES = {
    "EMPTY_ROOT",
    "Claim",
    "ClaimTakenError",
    "Commit",
    "CommitFailedError",
    "CommitOutcomeUnknownError",
    "DisclosureClass",
    "DurabilityRefusedError",
    "EntryNotFoundError",
    "EntryRecorded",
    "GroupInvalidError",
    "Head",
    "HeadJournal",
    "HeadMovedError",
    "IdentityMac",
    "JournalCorruptError",
    "JournalInUseError",
    "JournalMissingError",
    "JournalWriteError",
    "KeyStore",
    "KeyStoreMismatchError",
    "LedgerApplication",
    "LedgerStore",
    "MasterKey",
    "OperationalFinding",
    "PendingEntry",
    "ShreddedError",
    "SqliteLedger",
    "StatementPosition",
    "StoreForkedError",
    "StoreRolledBackError",
    "StoreUnavailableError",
    "StreamEntry",
    "StreamHead",
    "StreamLink",
    "SubjectNotFoundError",
    "TileRewrittenError",
    "TileWrite",
    "UnknownTopicError",
    "Vault",
    "VaultDamagedError",
    "VaultRow",
    "WitnessedHead",
    "WriterBusyError",
    "WriterLockedError",
    "WriterNotStartedError",
    "back_up_key_store",
    "back_up_sqlite",
    "check_head_against_journal",
    "check_head_against_witnesses",
    "master_key_from_environment",
    "open_sqlite",
    "read_master_key",
    "write_new_master_key",
}


def as_port(application: LedgerApplication) -> LedgerStore:
    """Returns the application as the port; the type checker holds that it is one."""
    return application


def test_the_public_names() -> None:
    """What the package exports is what is listed here."""
    assert set(store.__all__) == PUBLIC_NAMES


def test_every_method_of_the_port_is_there() -> None:
    """The application has every method that the port names."""
    methods = {name for name in vars(LedgerStore) if not name.startswith("_")}
    assert methods
    assert all(callable(getattr(LedgerApplication, name)) for name in methods)
    assert as_port.__annotations__["return"] == "LedgerStore"


def test_every_condition_has_a_reason_of_its_own() -> None:
    """Reasons are sent over the wire: each is upper snake case and belongs to one class."""
    conditions = [getattr(store_errors, name) for name in store_errors.__all__]
    assert all(issubclass(condition, CellcustodyError) and "reason" in vars(condition) for condition in conditions)
    reasons = [condition.reason for condition in conditions]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.replace("_", "").isalpha() and reason.isupper() for reason in reasons)


def test_the_embedded_store_needs_no_postgres_driver() -> None:
    """Importing the package does not import psycopg."""
    checks = "import sys, cellcustody.ledger.store; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", checks], check=False).returncode == 0
