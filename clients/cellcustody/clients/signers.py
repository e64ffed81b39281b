"""Make, keep and open signing keys in files under a passphrase.

The rules:

* Key files are those of `cellcustody.ledger.statements.key_files`: one secret, sealed under a passphrase, with the
  public key and the holder's id readable beside it and authenticated.
* No function returns or prints a private key: opening a file gives a signer.
* A passphrase comes from whoever calls, from the environment, or from a prompt that does not echo; never from a
  command line, which other users of a machine can read.

* A key is named by the path of its file or by a PKCS #11 URI; what opens it is a passphrase or a PIN, from the file
  that the URI names, from the environment, or from a prompt.

A service is used by giving any object of the `Signer` protocol instead.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import key_files
from cellcustody.ledger.statements.key_files import COST_DEFAULT, COST_LIGHT, Cost, KeyFileError, KeyKind
from cellcustody.ledger.statements.keys import Signer
from cellcustody.ledger.statements.pkcs11_signers import open_pkcs11_signer
from cellcustody.ledger.statements.pkcs11_uris import is_pkcs11_uri, parse_pkcs11_uri

__all__ = [
    "COST_DEFAULT",
    "COST_LIGHT",
    "PASSPHRASE_VARIABLE",
    "PIN_VARIABLE",
    "Cost",
    "KeyKind",
    "Signer",
    "create_key_file",
    "draw_signer",
    "enrolled_key",
    "holder_of_file",
    "open_key_file",
    "open_signer",
    "public_key_of_file",
    "read_passphrase",
]

PASSPHRASE_VARIABLE: Final = "CELLCUSTODY_PASSPHRASE"
PIN_VARIABLE: Final = "CELLCUSTODY_PIN"


def create_key_file(
    path: Path,
    passphrase: str,
    *,
    kind: KeyKind = KeyKind.ED25519,
    name: str = "",
    holder: bytes = b"",
    cost: Cost = COST_DEFAULT,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Signer:
    """Draws a key, writes it sealed to a new file, and returns its signer.

    `holder` is the person or device the key will belong to, 16 bytes, or empty.

    Raises:
        KeyFileError: the file exists, or keys of this kind sign no statements.
    """
    secret = key_files.new_secret(random_bytes)
    signer = key_files.signer_of(kind, secret)
    key_files.create_key_file(
        path, kind, secret, passphrase, name=name, holder=holder, cost=cost, random_bytes=random_bytes
    )
    return signer


def open_key_file(path: Path, passphrase: str) -> Signer:
    """Returns the signer of a key file.

    Raises:
        KeyFileError: it cannot be read, is open to others, or is no key file.
        PassphraseWrongError: the passphrase does not open it, or something in it was altered.
    """
    return key_files.load_signer(path, passphrase)


def open_signer(
    locator: Path | str,
    *,
    environment: Mapping[str, str] = os.environ,
    prompt: str = "Passphrase: ",
    ask: Callable[[str], str] = getpass.getpass,
) -> Signer:
    """Returns the signer of a key in a file or on a token, after its passphrase or PIN was had.

    Raises:
        KeyFileError, PassphraseWrongError: the file is none, or does not open.
        Pkcs11UriError, TokenError, PinWrongError: the URI is none, or the token does not open, or has no such key.
    """
    if isinstance(locator, Path) or not is_pkcs11_uri(locator):
        return open_key_file(Path(locator), read_passphrase(environment=environment, prompt=prompt, ask=ask))
    uri = parse_pkcs11_uri(locator)
    pin = uri.read_pin() or read_passphrase(
        variable=PIN_VARIABLE, environment=environment, prompt=f"PIN of {uri.token or uri.serial}: ", ask=ask
    )
    return open_pkcs11_signer(uri, pin)


def public_key_of_file(path: Path) -> bytes:
    """Returns the public key that a key file shows, as SubjectPublicKeyInfo; nothing has been authenticated."""
    file = key_files.read_key_file(path)
    if file.kind.signs_notes:
        raise KeyFileError("a key of this kind signs notes, not statements", path=path, kind=file.kind)
    return bytes.fromhex(file.public_key)


def holder_of_file(path: Path) -> bytes:
    """Returns the person or device that a key file names, 16 bytes, or empty; nothing has been authenticated."""
    return key_files.read_key_file(path).holder


def draw_signer(kind: KeyKind = KeyKind.ED25519, random_bytes: Callable[[int], bytes] = os.urandom) -> Signer:
    """Returns a signer with a key drawn now and kept nowhere, for a session or a test."""
    return key_files.signer_of(kind, key_files.new_secret(random_bytes))


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
        KeyFileError: the two answers differ, the passphrase is empty, or nobody is there to answer.
    """
    if given := environment.get(variable):
        return given
    try:
        answer = ask(prompt)
        again = ask("Once more: ") if confirm and answer else answer
    except EOFError as absence:
        raise KeyFileError("a passphrase is asked for, and nobody answers", variable=variable) from absence
    if not answer:
        raise KeyFileError("a passphrase is empty", variable=variable)
    if again != answer:
        raise KeyFileError("the two passphrases differ")
    return answer
