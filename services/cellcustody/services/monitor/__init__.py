"""The monitor: follow a ledger's log, judge it again, compare it with what others were shown, and prove a fork."""
