"""The one tree of errors; every class is a condition that a caller can act on and carries values.

    CellcustodyError
    |- RefusedError                the ledger did not take a statement; nothing was written to the log
    |  |- FormRefusedError         its bytes, wire form or commitment are not what the format demands
    |  |- SignatureRefusedError    its signatures or keys are not valid for it
    |  |- AuthorisationRefusedError  it would permit something that a rule forbids
    |  |- ConflictError            it claims what another statement already holds
    |  `- RetryableRefusedError    it may be taken later, unchanged
    |- VerificationError           something shown as proof does not prove what it claims
    |- MalformedError              an input that is parsed (note, proof, identifier, file) is not in its exact form
    |- StoreError                  the store could not do what was asked
    |  `- FatalStoreError          the ledger must stop signing until someone looks
    |- ConfigurationError          a configuration, a key file or an environment is unusable
    |- NotFoundError               what was asked for is not recorded here
    |- AccessDeniedError           the caller may not call or read this
    `- ClientError                 a client could not reach or understand a server

Packages add their own leaves in their own modules. `reason` is sent over the wire and never changes.
The table from class to gRPC status lives in `cellcustody.services`.
"""

from __future__ import annotations

from typing import ClassVar


class CellcustodyError(Exception):
    """Raised for every condition this project reports; `values` names what was found, as text by name."""

    reason: ClassVar[str] = "CELLCUSTODY_ERROR"

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.values: dict[str, str] = {name: _as_text(value) for name, value in values.items()}

    def __reduce__(self) -> tuple[object, ...]:
        """Says how the error travels to another process: by its class and everything it carries."""
        return _error_again, (type(self), self.message, dict(self.__dict__))

    def __str__(self) -> str:
        if not self.values:
            return f"{self.reason}: {self.message}"
        shown = ", ".join(f"{name}={_visible(value)}" for name, value in self.values.items())
        return f"{self.reason}: {self.message} ({shown})"


def _error_again(kind: type[CellcustodyError], message: str, carried: dict[str, object]) -> CellcustodyError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(carried)
    return error


def _as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _visible(text: str) -> str:
    """Returns a text with what no screen shows, or takes for a command, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class RefusedError(CellcustodyError):
    """Raised when the ledger does not take a statement; nothing of it is in the log."""

    reason = "REFUSED"


class FormRefusedError(RefusedError):
    """Raised when a statement's bytes are not in the form that the format demands."""

    reason = "FORM_REFUSED"


class SignatureRefusedError(RefusedError):
    """Raised when a statement's signatures or keys are not valid for it."""

    reason = "SIGNATURE_REFUSED"


class AuthorisationRefusedError(RefusedError):
    """Raised when an authorisation breaks a rule; `findings` (where the rules give them) say which."""

    reason = "AUTHORISATION_REFUSED"


class ConflictError(RefusedError):
    """Raised when a statement claims what another statement already holds."""

    reason = "CONFLICT"


class RetryableRefusedError(RefusedError):
    """Raised when the same statement may be taken later, unchanged."""

    reason = "RETRYABLE_REFUSED"


class VerificationError(CellcustodyError):
    """Raised when something shown as proof does not prove what it claims."""

    reason = "VERIFICATION_FAILED"


class MalformedError(CellcustodyError):
    """Raised when an input is not in its exact form; values say where and why."""

    reason = "MALFORMED"


class StoreError(CellcustodyError):
    """Raised when the store cannot do what was asked."""

    reason = "STORE_FAILED"


class FatalStoreError(StoreError):
    """Raised when the ledger must stop signing until someone has looked; reads go on."""

    reason = "LEDGER_STOPPED"


class ConfigurationError(CellcustodyError):
    """Raised when a configuration, a key file or an environment is unusable."""

    reason = "CONFIGURATION_INVALID"


class NotFoundError(CellcustodyError):
    """Raised when what was asked for is not recorded here."""

    reason = "NOT_FOUND"


class AccessDeniedError(CellcustodyError):
    """Raised when the caller may not call or read this."""

    reason = "ACCESS_DENIED"


class ClientError(CellcustodyError):
    """Raised when a client cannot reach or understand a server."""

    reason = "CLIENT_FAILED"
