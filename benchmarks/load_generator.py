"""Send requests made beforehand, from a process of its own: `python -m benchmarks.load_generator SPECIFICATION`.

The rules:

* The specification is a JSON object (`Specification`); the answer, on standard output, is one JSON object (`Answer`).
* Caller n of N sends requests n, n + N, n + 2N and so on, each after the answer to the one before, over a connection
  of its own. So the facts of one therapy, which stand a multiple of N apart, go in order.
* Requests go as the bytes that they are, and answers are kept as bytes until the clock has stopped: a client's parsing
  is no part of what is measured. Then each answer is read; what is not a record, has no receipt or does not conform is
  counted as refused.
* Each connection is up before the clock starts.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import grpc

from benchmarks.frames import read_frames
from benchmarks.timing import Latencies, latencies_of
from cellcustody.v1 import entry_pb2, ledger_service_pb2

__all__ = ["APPEND", "APPEND_BATCH", "ECHO", "Answer", "Specification"]

ECHO: Final = "/benchmarks.Echo/Echo"
APPEND: Final = "/cellcustody.v1.LedgerService/Append"
APPEND_BATCH: Final = "/cellcustody.v1.LedgerService/AppendBatch"
TIMEOUT_SECONDS: Final = 120.0
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024  # A batch's answer with receipts is larger than gRPC's default of 4 MiB.


@dataclass(frozen=True, slots=True)
class Specification:
    """What to send, where to, and how."""

    target: str
    method: str
    requests: str
    callers: int
    authority: str
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `statements` counts what was recorded; `refused` the rest; `first_refusal` says why."""

    calls: Latencies
    statements: int
    refused: int
    first_refusal: str

    @staticmethod
    def read(text: str) -> Answer:
        """Returns the answer that a load generator printed."""
        fields = json.loads(text)
        return Answer(Latencies(**fields["calls"]), fields["statements"], fields["refused"], fields["first_refusal"])


def run(specification: Specification) -> Answer:
    """Sends everything and returns what came of it."""
    requests = read_frames(Path(specification.requests))
    credentials = grpc.ssl_channel_credentials(
        Path(specification.authority).read_bytes(),
        Path(specification.key).read_bytes(),
        Path(specification.certificate).read_bytes(),
    )
    callers = [
        _Caller(specification, credentials, requests[number :: specification.callers])
        for number in range(specification.callers)
    ]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    gate = threading.Barrier(len(threads) + 1)
    for caller, thread in zip(callers, threads, strict=True):
        caller.gate = gate
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started

    recorded, refusals = 0, [failure for caller in callers for failure in caller.failures]
    for caller in callers:
        for raw in caller.answers:
            count, reasons = _outcomes(specification.method, raw)
            recorded += count
            refusals.extend(reasons)
    seconds = [one for caller in callers for one in caller.seconds]
    return Answer(latencies_of(seconds, elapsed), recorded, len(refusals), refusals[0] if refusals else "")


class _Caller:
    """One caller with a connection of its own."""

    def __init__(
        self, specification: Specification, credentials: grpc.ChannelCredentials, requests: list[bytes]
    ) -> None:
        self._requests = requests
        self._channel = grpc.secure_channel(
            specification.target,
            credentials,
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ],
        )
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(specification.method)
        self.gate: threading.Barrier | None = None
        self.seconds: list[float] = []
        self.answers: list[bytes] = []
        self.failures: list[str] = []

    def run(self) -> None:
        """Sends the requests of this caller, one after the other."""
        grpc.channel_ready_future(self._channel).result(timeout=TIMEOUT_SECONDS)
        if self.gate is not None:
            self.gate.wait()
        for request in self._requests:
            started = time.perf_counter()
            try:
                self.answers.append(self._call(request, timeout=TIMEOUT_SECONDS))
            except grpc.RpcError as failure:
                self.failures.append(str(failure))
            self.seconds.append(time.perf_counter() - started)
        self._channel.close()


def _outcomes(method: str, raw: bytes) -> tuple[int, list[str]]:
    """Returns how many statements an answer records, and why others were refused."""
    if method == ECHO:
        return 0, []
    if method == APPEND:
        recorded = ledger_service_pb2.SubmitResponse.FromString(raw)
        reasons = [] if recorded.receipt else ["no receipt"]
        return (0, reasons) if reasons else _conforming([recorded])
    results = ledger_service_pb2.AppendBatchResponse.FromString(raw).results
    reasons = [one.refused.reason for one in results if one.HasField("refused")]
    count, others = _conforming(one.recorded for one in results if one.HasField("recorded"))
    return count, reasons + others


def _conforming(recorded: Iterable[ledger_service_pb2.SubmitResponse]) -> tuple[int, list[str]]:
    """Returns how many of these conform, and what was found of others: what opens a hold is not what is measured."""
    found = [
        " ".join(finding.code for finding in one.judgement.findings)
        if one.judgement.status != entry_pb2.JUDGEMENT_STATUS_CONFORMING
        else ""
        for one in recorded
    ]
    others = [codes for codes in found if codes]
    return len(found) - len(others), others


def main() -> None:
    """Runs the specification named on the command line."""
    specification = Specification(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(asdict(run(specification))))


if __name__ == "__main__":
    main()
