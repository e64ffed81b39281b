"""A log made again by somebody else: every entry verified, every judgement replayed that can be, every lie kept.

`Replica` takes entries with what its owner may read of their bodies, and says what the rules make of them.
"""

from cellcustody.ledger.replica.findings import Replayed, ReplayFinding, ReplayOutcome
from cellcustody.ledger.replica.replica import GivenEntry, Replica, ReplicaStoppedError

__all__ = ["GivenEntry", "ReplayFinding", "ReplayOutcome", "Replayed", "Replica", "ReplicaStoppedError"]
