"""Say of each statement what was checked of it, with what result: one structured verdict for machines and people.

The rules:

* Every check has a result for every statement. What could not be checked is UNVERIFIED, and never PASSED.
* A check that failed ended the verification: there is no verdict then, and the first broken link is named.
* `completeness` is PASSED below the size that a map of stream heads covers. What was given from there on hangs together
  with it, and whether more followed nobody has shown: UNVERIFIED.
* The states of keys and times come from elsewhere (`standing`): SUSPECT breaks nothing, for an affirmation may still
  come; INVALID is what rests on algorithms held broken.
"""

from __future__ import annotations

from typing import NamedTuple

from cellcustody.ledger.verification.report import Check, KeyFinding, Report, Result, StatementVerdict, TimeFinding

__all__ = ["Verdict", "structured_verdicts"]


class Verdict(NamedTuple):
    """What was checked of one statement; `found` says what it is and whose."""

    found: StatementVerdict
    bytes_form: Result
    signatures: Result
    key_state: KeyFinding
    standing: Result
    commitment: Result
    chain: Result
    inclusion: Result
    completeness: Result
    quorum: Result
    issuer: Result
    replay: Result
    time_state: TimeFinding

    @property
    def results(self) -> dict[str, str]:
        """Every check by its name, with its result or the state of key or time, in the order in which they are made."""
        return {
            "bytes": self.bytes_form.value,
            "signatures": self.signatures.value,
            "key_state": self.key_state.value,
            "standing": self.standing.value,
            "commitment": self.commitment.value,
            "chain": self.chain.value,
            "inclusion": self.inclusion.value,
            "completeness": self.completeness.value,
            "quorum": self.quorum.value,
            "issuer": self.issuer.value,
            "replay": self.replay.value,
            "time_state": self.time_state.value,
        }


def structured_verdicts(report: Report) -> tuple[Verdict, ...]:
    """Returns the verdict on each statement of a report, ascending by leaf index; none where a link is broken."""
    whole = {line.check: line.result for line in report.checks}
    return tuple(
        Verdict(
            found=found,
            bytes_form=whole[Check.ENTRIES],
            signatures=whole[Check.SIGNATURES] if found.signatures else Result.UNVERIFIED,
            key_state=found.key,
            standing=whole[Check.SIGNERS],
            commitment=found.commitment,
            chain=whole[Check.STREAMS],
            inclusion=whole[Check.INCLUSION],
            completeness=_completeness(whole[Check.COMPLETENESS], found, report.complete_below),
            quorum=whole[Check.WITNESSES],
            issuer=whole[Check.ISSUER],
            replay=whole[Check.REPLAY],
            time_state=found.time,
        )
        for found in report.statements
    )


def _completeness(whole: Result, found: StatementVerdict, complete_below: int) -> Result:
    if whole is Result.PASSED and found.leaf_index >= complete_below:
        return Result.UNVERIFIED
    return whole
