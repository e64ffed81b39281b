"""Ask a witness: send a checkpoint, or read the last one that it cosigned (C2SP tlog-witness, as a log speaks it).

The rules:

* One connection for each witness, kept and opened again when it breaks; a time limit on everything; no redirect is
  followed; an answer above the limit is none.
* What comes back is nobody's word until its signatures are verified, by whoever called.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cellcustody.ledger.errors import ClientError, ConfigurationError, MalformedError
from cellcustody.ledger.transparency import Policy, origin_hash, parse_size
from cellcustody.ledger.transparency.witnessing import SIZE_CONTENT_TYPE

__all__ = ["WitnessAddress", "WitnessClient", "WitnessElsewhereError", "WitnessFailedError", "addresses_in"]

ANSWER_BYTES_MAX: Final = 262_144


class WitnessFailedError(ClientError):
    """Raised when a witness does not answer, or answers that it does not cosign."""

    reason = "WITNESS_FAILED"


class WitnessElsewhereError(ClientError):
    """Raised when a witness has cosigned another size last than it was asked to go on from; `size` is that."""

    reason = "WITNESS_ELSEWHERE"

    def __init__(self, size: int) -> None:
        super().__init__("the witness has cosigned another size last", size=size)
        self.size = size


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """Where a witness is asked, and by which names and keys of the policy it is believed."""

    url: str
    vkeys: Mapping[bytes, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Its names in the policy, as text."""
        return tuple(name.decode(errors="replace") for name in self.vkeys)


def addresses_in(policy: Policy) -> tuple[WitnessAddress, ...]:
    """Returns the witnesses of a policy that have an address, one for each address.

    Raises:
        ConfigurationError: an address is none.
    """
    by_url: dict[str, dict[bytes, str]] = {}
    for name, url in policy.urls.items():
        by_url.setdefault(url.rstrip("/"), {})[name] = policy.witnesses[name]
    for url in by_url:
        _split(url)
    return tuple(WitnessAddress(url, vkeys) for url, vkeys in by_url.items())


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_right = False
    if not is_right or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError("a witness is asked at an http or https address", value=url)
    return parts


class WitnessClient:
    """One witness, asked from one thread."""

    def __init__(
        self, address: WitnessAddress, *, timeout_seconds: float, context: ssl.SSLContext | None = None
    ) -> None:
        """`context` says whose certificates are believed; None: those that the machine believes."""
        self.address = address
        self._parts = _split(address.url)
        self._timeout_seconds = timeout_seconds
        self._context = context
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def add_checkpoint(self, request: bytes) -> bytes:
        """Returns the signature lines that the witness answers, unverified.

        Raises:
            WitnessElsewhereError: it has cosigned another size last.
            WitnessFailedError: it did not answer, or refused.
        """
        status, content_type, content = self._ask("POST", "add-checkpoint", request)
        if status == http.HTTPStatus.CONFLICT and content_type.partition(";")[0].strip() == SIZE_CONTENT_TYPE:
            try:
                size = parse_size(content)
            except MalformedError as defect:
                raise WitnessFailedError("a witness told a size that is none", url=self.address.url) from defect
            raise WitnessElsewhereError(size)
        if status != http.HTTPStatus.OK:
            raise WitnessFailedError("the witness does not cosign", url=self.address.url, status=status)
        return content

    def latest(self, origin: str) -> bytes | None:
        """Returns the last checkpoint of a log that the witness cosigned, unverified; None where it has none to show.

        Raises:
            WitnessFailedError: it did not answer.
        """
        status, _, content = self._ask("GET", f"{origin_hash(origin)}/checkpoint", None)
        return content if status == http.HTTPStatus.OK else None

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        # A kept connection may have been closed by the other end meanwhile; that is found out by using it.
        for is_last in (self._connection is None, True):
            try:
                return self._ask_once(method, path, body)
            except (OSError, http.client.HTTPException) as failure:
                self.close()
                if is_last:
                    raise WitnessFailedError(
                        "the witness does not answer", url=self.address.url, cause=type(failure).__name__
                    ) from failure
        raise AssertionError("the last attempt returns or raises")

    def _ask_once(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        if self._connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            self._connection = (
                http.client.HTTPSConnection(host, port, timeout=self._timeout_seconds, context=self._context)
                if self._parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=self._timeout_seconds)
            )
        self._connection.request(method, f"{self._parts.path}/{path}", body)
        answer = self._connection.getresponse()
        content = answer.read(ANSWER_BYTES_MAX + 1)
        if len(content) > ANSWER_BYTES_MAX:
            raise http.client.HTTPException("an answer is too large")
        if answer.will_close or answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            self.close()
        return answer.status, answer.headers.get("Content-Type", ""), content
