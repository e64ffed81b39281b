"""Make, keep and open signing keys in files under a passphrase.

The rules:

* A key file holds one private key, Ed25519 or P-256, sealed (`sealed`). What stands readable in it is its algorithm,
  its public key and its key id.
* No function returns or prints a private key: opening a file gives a signer.
* An opened key must be the one whose id the file shows.
* A passphrase comes from whoever calls, from the environment, or from a prompt that does not echo; never from a
  command line, which other users of a machine can read.

A card or a service is used by giving any object of the `Signer` protocol instead.
"""

from __future__ import annotations

import base64
import getpass
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cellcustody.clients.sealed import SCRYPT_COST_LOG2, SealedFileError, open_sealed, read_sealed, seal, write_new_file
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements.keys import P256_ORDER, Ed25519Signer, KeyAlgorithm, P256Signer, Signer

__all__ = [
    "PASSPHRASE_VARIABLE",
    "KeyAlgorithm",
    "Signer",
    "create_key_file",
    "draw_signer",
    "enrolled_key",
    "open_key_file",
    "public_key_of_file",
    "read_passphrase",
]

PASSPHRASE_VARIABLE: Final = "CELLCUSTODY_PASSPHRASE"
_FORMAT: Final = "cellcustody-key/1"
_SECRET_BYTES: Final = 32


def create_key_file(
    path: Path,
    passphrase: str,
    *,
    algorithm: KeyAlgorithm = KeyAlgorithm.ED25519,
    random_bytes: Callable[[int], bytes] = os.urandom,
    cost_log2: int = SCRYPT_COST_LOG2,
) -> Signer:
    """Draws a key, writes it sealed to a new file, and returns its signer.

    Raises:
        SealedFileError: the file exists, or the algorithm is not kept in files.
    """
    secret = _draw_secret(algorithm, random_bytes)
    signer = _signer_of(algorithm, secret)
    clear = {
        "format": _FORMAT,
        "algorithm": algorithm.name,
        "key_id": signer.key_id.hex(),
        "spki": base64.b64encode(signer.public_key_spki).decode(),
    }
    write_new_file(path, seal(secret, passphrase, clear, random_bytes=random_bytes, cost_log2=cost_log2))
    return signer


def open_key_file(path: Path, passphrase: str) -> Signer:
    """Returns the signer of a key file.

    Raises:
        SealedFileError: it cannot be read, is no key file, or the passphrase does not open it.
    """
    secret, clear = open_sealed(_read(path), passphrase)
    algorithm = _algorithm_of(clear)
    if len(secret) != _SECRET_BYTES:
        raise SealedFileError("a key file holds something else", length=len(secret))
    signer = _signer_of(algorithm, secret)
    if signer.key_id.hex() != clear.get("key_id"):
        raise SealedFileError("a key file shows another key's id", path=path)
    return signer


def public_key_of_file(path: Path) -> bytes:
    """Returns the public key that a key file shows, as SubjectPublicKeyInfo; nothing has been authenticated."""
    clear = read_sealed(_read(path))
    _algorithm_of(clear)
    return base64.b64decode(clear.get("spki", ""))


def draw_signer(algorithm: KeyAlgorithm, random_bytes: Callable[[int], bytes] = os.urandom) -> Signer:
    """Returns a signer with a key drawn now and kept nowhere, for a session or a test."""
    return _signer_of(algorithm, _draw_secret(algorithm, random_bytes))


def read_passphrase(
    *,
    variable: str = PASSPHRASE_VARIABLE,
    environment: Mapping[str, str] = os.environ,
    prompt: str = "Passphrase: ",
    confirm: bool = False,
    ask: Callable[[str], str] = getpass.getpass,
) -> str:
    """Returns the passphrase from the environment, or else asks for it without echo; twice where it is chosen.

    Raises:
        SealedFileError: the two answers differ, or the passphrase is empty.
    """
    if given := environment.get(variable):
        return given
    answer = ask(prompt)
    if not answer:
        raise SealedFileError("a passphrase is empty")
    if confirm and ask("Once more: ") != answer:
        raise SealedFileError("the two passphrases differ")
    return answer


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise SealedFileError("the file cannot be read", path=path, because=refusal.strerror) from refusal


def _algorithm_of(clear: Mapping[str, str]) -> KeyAlgorithm:
    if clear.get("format") != _FORMAT:
        raise SealedFileError("not a key file of this format", format=clear.get("format", ""))
    name = clear.get("algorithm", "")
    if name not in KeyAlgorithm.__members__:
        raise SealedFileError("a key file names another algorithm", algorithm=name)
    return KeyAlgorithm[name]


def _draw_secret(algorithm: KeyAlgorithm, random_bytes: Callable[[int], bytes]) -> bytes:
    while True:
        secret = random_bytes(_SECRET_BYTES)
        # A P-256 scalar lies between 1 and the order; drawing again keeps it uniform.
        if algorithm is not KeyAlgorithm.P256 or 0 < int.from_bytes(secret, "big") < P256_ORDER:
            return secret


def _signer_of(algorithm: KeyAlgorithm, secret: bytes) -> Signer:
    match algorithm:
        case KeyAlgorithm.ED25519:
            return Ed25519Signer(secret)
        case KeyAlgorithm.P256:
            return P256Signer(secret)
        case _:
            raise SealedFileError("keys of this algorithm are not kept in files", algorithm=algorithm.name)
