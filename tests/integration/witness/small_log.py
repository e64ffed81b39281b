"""A log of a few leaves that anybody can grow, fork or roll back, and ways to ask a witness to cosign it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cellcustody.ledger.transparency import (
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSigner,
    build_add_checkpoint,
    prove_consistency,
    root_of,
    sign_checkpoint,
)
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.configuration import load_witness_configuration
from cellcustody.services.witness.running import RunningWitness, make_witness, witnessing

ORIGIN = "small.example/log"
NAME = "witness.example/w1"
NOW_SECONDS = 1_767_225_600


def leaf(number: int, word: str = "leaf") -> bytes:
    """The hash of a leaf."""
    return sha256(f"{word} {number}".encode()).digest()


@dataclass
class SmallLog:
    """A log with both of its keys; `leaves` are hashes."""

    origin: str = ORIGIN
    leaves: list[bytes] = field(default_factory=list)

    @property
    def signers(self) -> list[NoteSigner]:
        """The log's keys; the same for every log of one origin."""
        seed = sha256(self.origin.encode()).digest()
        return [
            Ed25519NoteSigner(self.origin, Ed25519PrivateKey.from_private_bytes(seed)),
            MlDsa44NoteSigner(self.origin, MLDSA44PrivateKey.from_seed_bytes(seed)),
        ]

    def vkeys(self) -> list[str]:
        """Its verifier keys."""
        return [signer.vkey for signer in self.signers]

    def grow(self, count: int, word: str = "leaf") -> SmallLog:
        """Adds leaves; other words make another history."""
        self.leaves += [leaf(len(self.leaves) + more, word) for more in range(count)]
        return self

    def checkpoint(self, size: int | None = None, signers: Sequence[NoteSigner] | None = None) -> bytes:
        """The signed checkpoint of the first so many leaves."""
        leaves = self.leaves if size is None else self.leaves[:size]
        used = self.signers if signers is None else signers
        return sign_checkpoint(self.origin, len(leaves), root_of(leaves), used, timestamp_seconds=NOW_SECONDS)

    def request(self, old: int, size: int | None = None, checkpoint: bytes | None = None) -> bytes:
        """What is sent to a witness that cosigned `old` last."""
        leaves = self.leaves if size is None else self.leaves[:size]
        proof = prove_consistency(old, leaves) if 0 < old <= len(leaves) else []
        return build_add_checkpoint(old, proof, checkpoint or self.checkpoint(size))


def configuration_of(folder: Path, *logs: SmallLog, name: str = NAME) -> Path:
    """Makes a witness of these logs; returns its configuration."""
    path = make_witness(folder, name, listen="127.0.0.1:0").configuration
    with path.open("a", encoding="utf-8") as stream:
        for log in logs:
            keys = ", ".join(f'"{vkey}"' for vkey in log.vkeys())
            stream.write(f'\n[[log]]\norigin = "{log.origin}"\nkeys = [{keys}]\n')
    return path


@contextmanager
def running(configuration: Path, log: StructuredLog, *, now: int = NOW_SECONDS) -> Iterator[RunningWitness]:
    """Yields the witness, answering; its clock stands still."""
    with witnessing(load_witness_configuration(configuration), environment={}, log=log, now=lambda: now) as witness:
        yield witness


@dataclass(frozen=True)
class Told:
    """What a witness answered."""

    status: int
    content_type: str
    content: bytes


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Told:
    """Sends one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Told(answer.status, answer.headers.get("Content-Type", ""), answer.read())
    finally:
        connection.close()


def submit(port: int, body: bytes) -> Told:
    """Asks for a cosignature."""
    return ask(port, "POST", "/add-checkpoint", body)
