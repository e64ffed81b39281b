"""Errors as statuses: every class of the tree has a code, and the details fit."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

import cellcustody.ledger.custody.policy
import cellcustody.ledger.recording.ledger
import cellcustody.ledger.registry.errors
import cellcustody.ledger.statements.errors
import cellcustody.ledger.store.errors
import cellcustody.ledger.views.errors  # noqa: F401  # Imported for their classes, which the first test lists.
from cellcustody.ledger.errors import (
    AuthorisationRefusedError,
    CellcustodyError,
    ClientError,
    ConfigurationError,
    FatalStoreError,
    RefusedError,
    RetryableRefusedError,
    VerificationError,
)
from cellcustody.ledger.recording.ledger import OutcomeUnknownError
from cellcustody.ledger.recording.planning import Explained, RuleRefusedError
from cellcustody.ledger.recording.writer import LedgerBusyError, LedgerStoppedError
from cellcustody.ledger.statements.errors import OversizeError
from cellcustody.ledger.store import StoreUnavailableError
from cellcustody.ledger.views.errors import ViewBehindError
from cellcustody.services.error_status import DETAILS_BYTES_MAX, status_code_of, status_details_of


def classes(root: type[CellcustodyError]) -> Iterator[type[CellcustodyError]]:
    """A class and all below it."""
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def test_whatever_refuses_a_statement_is_told_with_a_code_of_its_own() -> None:
    told = {each.reason: status_code_of(each.__new__(each)) for each in classes(RefusedError)}

    assert grpc.StatusCode.INTERNAL not in told.values()
    assert len(told) > 30


def test_a_reason_that_two_stages_share_is_told_with_one_code() -> None:
    codes: dict[str, set[grpc.StatusCode]] = {}
    for each in classes(RefusedError):
        codes.setdefault(each.reason, set()).add(status_code_of(each.__new__(each)))

    assert {reason: found for reason, found in codes.items() if len(found) > 1} == {}


@pytest.mark.parametrize("outside", [ConfigurationError, ClientError, VerificationError])
def test_what_a_caller_cannot_act_on_is_internal(outside: type[CellcustodyError]) -> None:
    assert status_code_of(outside("said")) is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutcomeUnknownError("late"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (LedgerStoppedError("stopped"), grpc.StatusCode.UNAVAILABLE),
        (LedgerBusyError("busy"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (FatalStoreError("fatal"), grpc.StatusCode.UNAVAILABLE),
        (AuthorisationRefusedError("no"), grpc.StatusCode.FAILED_PRECONDITION),
        (OversizeError("large"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_code_tells_what_to_do(error: CellcustodyError, code: grpc.StatusCode) -> None:
    assert status_code_of(error) is code


def test_details_carry_reason_values_and_findings() -> None:
    refusal = RuleRefusedError(
        "refused", [Explained("HOLD_OPEN", "GATE", "A hold stands.", (("hold", "ab"),))], bag="7"
    )

    details = status_details_of(refusal)

    status = status_pb2.Status.FromString(details.serialised)
    information, failure = error_details_pb2.ErrorInfo(), error_details_pb2.PreconditionFailure()
    assert status.details[0].Unpack(information) and status.details[1].Unpack(failure)
    assert status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert (information.reason, information.domain) == ("RULES_REFUSED", "cellcustody")
    assert dict(information.metadata) == {"codes": "HOLD_OPEN", "bag": "7"}
    assert [(one.type, one.subject, one.description) for one in failure.violations] == [
        ("HOLD_OPEN", "GATE", "A hold stands. (hold: ab)")
    ]


def test_details_too_long_for_a_client_are_cut_and_say_so() -> None:
    findings = [Explained(f"CODE_{number}", "GATE", "words " * 40) for number in range(100)]

    details = status_details_of(RuleRefusedError("refused", findings, note="x" * 5000))

    information = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details.serialised).details[0].Unpack(information)
    assert information.metadata["truncated"] == "true"
    assert len(details.serialised) < DETAILS_BYTES_MAX + 300


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknownError("late"),
        LedgerBusyError("busy"),
        StoreUnavailableError("no answer"),
        ViewBehindError("behind"),
        RetryableRefusedError("later"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_be_sent_again_says_so(error: CellcustodyError) -> None:
    information = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(status_details_of(error).serialised)

    assert status.details[0].Unpack(information)
    assert information.metadata["retryable"] == "true"


@pytest.mark.parametrize("error", [LedgerStoppedError("stopped"), AuthorisationRefusedError("no")])
def test_what_will_not_go_better_does_not(error: CellcustodyError) -> None:
    information = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(status_details_of(error).serialised)

    assert status.details[0].Unpack(information)
    assert "retryable" not in information.metadata
