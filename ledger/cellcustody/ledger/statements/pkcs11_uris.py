"""Read a PKCS #11 URI: which key on which token (RFC 7512).

The rules:

* `pkcs11:` and attributes apart by `;`, then `?` and query attributes apart by `&`. Each stands once. Values are
  percent-encoded UTF-8, `id` percent-encoded bytes.
* What selects: `token`, `serial`, `manufacturer`, `model`, `object`, `id`, and `type`, which is `private` if it stands.
  An attribute that this module does not know is refused: it would select another key than was meant.
* `module-path` names the library of the token and must stand. `pin-source` is a `file:` URI or a path, readable by its
  owner alone. A PIN in the URI itself (`pin-value`) is refused: addresses are shown, logged and left in shells.
* One of `token` and `serial`, and one of `object` and `id`, say what is meant.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from cellcustody.ledger.errors import ConfigurationError

__all__ = ["SCHEME", "Pkcs11Uri", "Pkcs11UriError", "is_pkcs11_uri", "parse_pkcs11_uri"]

SCHEME: Final = "pkcs11:"
_TEXTS: Final = frozenset({"token", "serial", "manufacturer", "model", "object"})
_PATH: Final = _TEXTS | {"id", "type"}
_QUERY: Final = frozenset({"module-path", "pin-source"})
_URI_LENGTH_MAX: Final = 4_096
_PIN_BYTES_MAX: Final = 256  # Tokens take far fewer.
_FORBIDDEN: Final = frozenset(' "<>\\^`{|}')
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class Pkcs11UriError(ConfigurationError):
    """Raised when a text is no PKCS #11 URI that names one key; `attribute` says what is wrong."""

    reason = "PKCS11_URI_INVALID"


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """Which key on which token; what is None selects nothing."""

    module_path: str
    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object_label: str | None = None
    object_id: bytes | None = None
    pin_source: Path | None = None

    def read_pin(self) -> str | None:
        """Returns the PIN in the file that the URI names; None if it names none.

        Raises:
            Pkcs11UriError: the file cannot be read, or others may read it.
        """
        if self.pin_source is None:
            return None
        try:
            with self.pin_source.open("rb") as stream:
                mode = stat.S_IMODE(self.pin_source.stat().st_mode)
                raw = stream.read(_PIN_BYTES_MAX + 1)
        except OSError as defect:
            raise Pkcs11UriError(
                "the PIN's file cannot be read", attribute="pin-source", cause=defect.strerror
            ) from defect
        if mode & 0o077:
            raise Pkcs11UriError("the PIN's file is open to others; set its mode to 0600", attribute="pin-source")
        try:
            pin = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as defect:
            raise Pkcs11UriError("the PIN's file is not text", attribute="pin-source") from defect
        if not pin or len(raw) > _PIN_BYTES_MAX:
            raise Pkcs11UriError("the PIN's file holds no PIN", attribute="pin-source")
        return pin


def is_pkcs11_uri(text: str) -> bool:
    """Tells whether a text names a key on a token and not a file."""
    return text.startswith(SCHEME)


def parse_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Returns what a PKCS #11 URI names.

    Raises:
        Pkcs11UriError: it is none, says too little, or holds a PIN.
    """
    if not is_pkcs11_uri(text) or len(text) > _URI_LENGTH_MAX:
        raise Pkcs11UriError("not a PKCS #11 URI", attribute="scheme")
    if not text.isascii() or not text.isprintable() or not _FORBIDDEN.isdisjoint(text):
        raise Pkcs11UriError("a URI is printable ASCII, the rest percent-encoded", attribute="scheme")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    selecting = _attributes(path, ";", _PATH)
    asked = _attributes(query, "&", _QUERY)
    if selecting.get("type", "private") != "private":
        raise Pkcs11UriError("a signer is a private key", attribute="type")
    if "module-path" not in asked:
        raise Pkcs11UriError("the library of the token is not named", attribute="module-path")
    if not selecting.keys() & {"token", "serial"}:
        raise Pkcs11UriError("no token is named", attribute="token")
    if not selecting.keys() & {"object", "id"}:
        raise Pkcs11UriError("no key is named", attribute="object")
    texts = {name: _text(name, selecting[name]) for name in _TEXTS & selecting.keys()}
    pin_source = asked.get("pin-source")
    return Pkcs11Uri(
        module_path=_text("module-path", asked["module-path"]),
        token=texts.get("token"),
        serial=texts.get("serial"),
        manufacturer=texts.get("manufacturer"),
        model=texts.get("model"),
        object_label=texts.get("object"),
        object_id=unquote_to_bytes(selecting["id"]) if "id" in selecting else None,
        pin_source=None if pin_source is None else _pin_path(_text("pin-source", pin_source)),
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise Pkcs11UriError("a PIN does not stand in an address; use pin-source", attribute=name)
        if not equals or name not in known or name in found or not value:
            raise Pkcs11UriError("an attribute is unknown here, repeated or empty", attribute=name)
        _check_encoding(name, value)
        found[name] = value
    return found


def _check_encoding(name: str, value: str) -> None:
    for part in value.split("%")[1:]:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise Pkcs11UriError("a value is not percent-encoded", attribute=name)


def _text(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as defect:
        raise Pkcs11UriError("a value is not UTF-8", attribute=name) from defect


def _pin_path(source: str) -> Path:
    if source.startswith("file:"):
        source = source.removeprefix("file:").removeprefix("//")
    if not source.startswith("/"):
        raise Pkcs11UriError("the PIN's file is named by its whole path", attribute="pin-source")
    return Path(source)
