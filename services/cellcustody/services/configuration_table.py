"""Take a configuration's tables and keys, each once and in its form; what is left over is refused.

The rules:

* Every key is taken by whoever knows it; `end` refuses what nobody took. A refusal names the key and, unless it is a
  secret, the value.
* Relative paths are relative to the folder of the configuration file.
* No secret stands in the file: it is named by file or by environment variable, exactly one of the two, and a file
  with a secret is open to its owner alone.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements.pkcs11_uris import is_pkcs11_uri

__all__ = ["ListenAddress", "Secret", "Table", "read_configuration_text"]

FILE_BYTES_MAX: Final = 65_536
SECRET_BYTES_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Host and port to listen on; port 0 takes a free one, which the ready line names."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret text is to be found: in a file, or in a variable of the environment."""

    key: str
    file: Path | None
    variable: str | None

    def read(self, environment: Mapping[str, str]) -> str:
        """Returns the secret, without the newline that ends its file.

        Raises:
            ConfigurationError: it is missing, empty, or its file is open to others.
        """
        if self.file is None:
            text = environment.get(self.variable or "", "")
            if not text:
                raise ConfigurationError("the environment lacks a secret", key=self.key, variable=self.variable)
            return text
        try:
            with open(self.file, "rb") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                raw = stream.read(SECRET_BYTES_MAX + 1)
        except OSError as defect:
            raise ConfigurationError(
                "a secret's file cannot be read", key=self.key, value=self.file, cause=defect.strerror
            ) from defect
        if mode & 0o077:
            raise ConfigurationError("a secret's file is open to others; set its mode to 0600", value=self.file)
        try:
            text = raw.decode().removesuffix("\n")
        except UnicodeDecodeError as defect:
            raise ConfigurationError("a secret is UTF-8 text", key=self.key, value=self.file) from defect
        if not text or len(raw) > SECRET_BYTES_MAX:
            raise ConfigurationError("a secret's file is empty or too long", key=self.key, value=self.file)
        return text


def read_configuration_text(path: Path | str) -> str:
    """Returns the text of a configuration file.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as defect:
        raise ConfigurationError("the configuration cannot be read", file=path, cause=defect.strerror) from defect
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigurationError("the configuration is too large", file=path, limit=FILE_BYTES_MAX)
    try:
        return raw.decode()
    except UnicodeDecodeError as defect:
        raise ConfigurationError("the configuration is UTF-8 text", file=path) from defect


class Table:
    """One table while it is read: every key is taken once, and what is left over is refused."""

    def __init__(self, name: str, content: Mapping[str, object], base: Path) -> None:
        self._name = name
        self._left = dict(content)
        self._base = base

    @classmethod
    def of_toml(cls, text: str, base: Path) -> Table:
        """Returns the top of a TOML text; relative paths in it are relative to `base`.

        Raises:
            ConfigurationError: it is not TOML.
        """
        try:
            content: dict[str, object] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as defect:
            raise ConfigurationError("the configuration is not TOML", cause=defect) from defect
        return cls("", content, base)

    def has(self, key: str) -> bool:
        """Tells whether a key is there and was not taken yet."""
        return key in self._left

    def table(self, key: str) -> Table:
        """Returns the table under a key."""
        value = self._take(key)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "a table")
        return Table(key, value, self._base)

    def tables(self, key: str) -> list[Table]:
        """Returns an array of tables, which may be missing."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self._wrong(key, value, "tables")
        return [Table(f"{key}[{number}]", one, self._base) for number, one in enumerate(value)]

    def text(self, key: str, default: str | None = None) -> str:
        """Returns text that is not empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, value, "text that is not empty")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def count(self, key: str, default: int, low: int, high: int) -> int:
        """Returns a whole number within bounds."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"a whole number from {low} to {high}")
        return value

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        """Returns seconds within bounds."""
        value = self._take(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"seconds from {low:g} to {high:g}")
        return float(value)

    def texts(self, key: str, *, default: list[str] | None = None) -> list[str]:
        """Returns a list of texts, none of them empty."""
        value = self._take(key, default)
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list of texts")
        found = [item for item in value if isinstance(item, str) and item]
        if len(found) != len(value):
            raise self._wrong(key, value, "a list of texts")
        return found

    def path(self, key: str, default: str | None = None) -> Path:
        """Returns a path."""
        return self._base / self.text(key, default)

    def key_place(self, key: str) -> Path | str:
        """Returns where a key is: the path of its file, or a PKCS #11 URI as it stands."""
        return self._place(self.text(key))

    def key_places(self, key: str) -> tuple[Path | str, ...]:
        """Returns where keys are, as `key_place` does."""
        return tuple(self._place(text) for text in self.texts(key))

    def _place(self, text: str) -> Path | str:
        return text if is_pkcs11_uri(text) else self._base / text

    def paths(self, key: str) -> tuple[Path, ...]:
        """Returns a list of paths."""
        return tuple(self._base / text for text in self.texts(key))

    def one_of(self, stem: str) -> tuple[Path | None, str | None]:
        """Returns `<stem>_file` or `<stem>_environment`, of which exactly one is given."""
        in_file, in_environment = f"{stem}_file", f"{stem}_environment"
        if self.has(in_file) == self.has(in_environment):
            raise ConfigurationError(
                "exactly one of two is given", key=f"{self._key(in_file)} or {self._key(in_environment)}"
            )
        if self.has(in_file):
            return self.path(in_file), None
        return None, self.text(in_environment)

    def secret(self, stem: str) -> Secret:
        """Returns where a secret is to be found."""
        file, variable = self.one_of(stem)
        return Secret(self._key(stem), file, variable)

    def listen(self, key: str) -> ListenAddress:
        """Returns an address to listen on."""
        value = self.text(key)
        host, _, port = value.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
            raise self._wrong(key, value, "host:port")
        return ListenAddress(host, int(port))

    def end(self) -> None:
        """Refuses what nobody took."""
        for key, value in self._left.items():
            raise ConfigurationError("there is no such key", key=self._key(key), value=value)

    def _take(self, key: str, default: object = None) -> object:
        value = self._left.pop(key, default)
        if value is None:
            raise ConfigurationError("a key is missing", key=self._key(key))
        return value

    def _key(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def _wrong(self, key: str, value: object, expected: str) -> ConfigurationError:
        return ConfigurationError(f"a value is {expected}", key=self._key(key), value=value)
