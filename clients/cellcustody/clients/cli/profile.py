"""Read a profile: which server, which keys, who signs.

A profile is a TOML file, named by `--profile` or the environment variable CELLCUSTODY_PROFILE. Relative paths in it are
relative to the file. Unknown members are refused, for a misspelt one would go unnoticed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.clients.connection import TIMEOUT_SECONDS, Connection, TlsFiles, connect
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.outbox import Outbox
from cellcustody.clients.session import Confirm, Identity, Session
from cellcustody.clients.signers import open_signer, read_passphrase
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import statement_pb2

__all__ = ["PROFILE_VARIABLE", "Profile", "id_from_text", "read_profile"]

PROFILE_VARIABLE: Final = "CELLCUSTODY_PROFILE"
OUTBOX_VARIABLE: Final = "CELLCUSTODY_OUTBOX_PASSPHRASE"
_TEXTS: Final = frozenset(
    {"target", "server_name", "ledger", "site", "person", "device", "role", "name", "unit", "zone", "key", "second_key"}
)
_PATHS: Final = frozenset({"key_file", "second_key_file", "store", "anchor", "audit_memory"})
_TLS: Final = frozenset({"ca", "certificate", "key"})


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile file says; members it leaves out are empty."""

    path: Path
    texts: dict[str, str]
    paths: dict[str, Path]
    tls: TlsFiles | None
    timeout_seconds: float

    def text(self, name: str) -> str:
        """Returns a member that this command needs.

        Raises:
            ConfigurationError: the profile leaves it out.
        """
        value = self.texts.get(name, "")
        if not value:
            raise ConfigurationError("the profile lacks a member", profile=self.path, member=name)
        return value

    def id(self, name: str) -> bytes:
        """Returns an id of 16 bytes that this command needs."""
        return id_from_text(self.text(name), name)

    def connect(self) -> Connection:
        """Returns a connection to the profile's server."""
        if self.tls is None:
            raise ConfigurationError("the profile has no [tls]", profile=self.path)
        return connect(
            target=self.text("target"),
            tls=self.tls,
            timeout_seconds=self.timeout_seconds,
            server_name=self.texts.get("server_name") or None,
        )

    def open_store(self) -> LocalStore:
        """Returns the device's own file."""
        return LocalStore(self.paths.get("store", self.path.with_name("device.sqlite")))

    def open_session(self, *, confirm: Confirm | None) -> Session:
        """Returns the signer of this profile, after asking for the passphrase of the key file, or the token's PIN.

        With a second key, such as one of ML-DSA-65, both sign.
        """
        first, second = self._locator("key"), self._locator("second_key")
        if first is None:
            raise ConfigurationError("the profile lacks a member", profile=self.path, member="key_file")
        identity = Identity(
            ledger_id=self.id("ledger"),
            signer=self.id("person"),
            device=self.id("device"),
            role=self.text("role"),
            name=self.text("name"),
            site=self.id("site") if self.texts.get("site") else b"",
            unit=self.texts.get("unit", ""),
            authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN
            if isinstance(first, str)
            else statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
        )
        prompt = f"Passphrase of {identity.name}: "
        signers = [open_signer(each, prompt=prompt) for each in (first, second) if each is not None]
        zone = self.texts.get("zone", "UTC")
        return Session(identity, signers, zone, self.open_store(), confirm=confirm)

    def _locator(self, name: str) -> Path | str | None:
        """Returns where a key is: a file, or the URI of one on a token."""
        file, uri = self.paths.get(f"{name}_file"), self.texts.get(name)
        if file is not None and uri is not None:
            raise ConfigurationError("a key is in a file or on a token", profile=self.path, member=name)
        return file if file is not None else uri

    def open_outbox(self, store: LocalStore) -> Outbox:
        """Returns the device's outbox, after asking for its passphrase."""
        return Outbox(store, read_passphrase(variable=OUTBOX_VARIABLE, prompt="Passphrase of the outbox: "))

    def open_site(self, *, confirm: Confirm | None) -> SiteClient:
        """Returns a connected client that signs as this profile says."""
        return SiteClient(self.connect(), self.open_session(confirm=confirm))


def read_profile(path: Path | None) -> Profile:
    """Returns the profile in a file.

    Raises:
        ConfigurationError: there is none, or it says what no profile may say.
    """
    if path is None:
        raise ConfigurationError("no profile: give --profile or set the variable", variable=PROFILE_VARIABLE)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as refusal:
        raise ConfigurationError("the profile cannot be read", profile=path, because=refusal.strerror) from refusal
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as refusal:
        raise ConfigurationError("the profile is no TOML", profile=path, because=refusal) from refusal
    tls = content.pop("tls", None)
    timeout = content.pop("timeout_seconds", TIMEOUT_SECONDS)
    if unknown := sorted(set(content) - _TEXTS - _PATHS):
        raise ConfigurationError("the profile has members that no profile has", profile=path, members=unknown)
    if not isinstance(timeout, int | float) or not 0 < timeout <= 3600:
        raise ConfigurationError("a timeout is between 0 and 3,600 seconds", profile=path)
    if wrong := sorted(name for name, value in content.items() if not isinstance(value, str)):
        raise ConfigurationError("a member is a text", profile=path, members=wrong)
    return Profile(
        path=path,
        texts={name: value for name, value in content.items() if name in _TEXTS},
        paths={name: path.parent / value for name, value in content.items() if name in _PATHS},
        tls=None if tls is None else _tls(tls, path),
        timeout_seconds=float(timeout),
    )


def id_from_text(text: str, name: str, length: int = 16) -> bytes:
    """Returns an id that `text` writes in hexadecimal.

    Raises:
        ConfigurationError: it is not hexadecimal of this many bytes.
    """
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != length:
        raise ConfigurationError("an id is hexadecimal", name=name, text=text, length_bytes=length)
    return raw


def _tls(content: object, path: Path) -> TlsFiles:
    if not isinstance(content, dict) or set(content) != _TLS or not all(isinstance(v, str) for v in content.values()):
        raise ConfigurationError("[tls] has ca, certificate and key", profile=path)
    return TlsFiles(*(path.parent / content[name] for name in ("ca", "certificate", "key")))
