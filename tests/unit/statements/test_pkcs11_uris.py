"""PKCS #11 URIs: what they name, and what is refused before any token is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellcustody.ledger.statements.pkcs11_uris import Pkcs11UriError, parse_pkcs11_uri

LIBRARY = "module-path=/usr/lib/token.so"


def test_a_uri_names_token_key_and_library() -> None:
    uri = parse_pkcs11_uri(f"pkcs11:token=Ward%20card;object=sign;id=%01%fF;type=private?{LIBRARY}")
    assert (uri.token, uri.object_label, uri.object_id, uri.module_path) == (
        "Ward card",
        "sign",
        b"\x01\xff",
        "/usr/lib/token.so",
    )
    assert uri.read_pin() is None


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("file:/key.json", "scheme"),
        (f"PKCS11:token=a;object=b?{LIBRARY}", "scheme"),
        (f"pkcs11:token=a b;object=b?{LIBRARY}", "scheme"),
        (f"pkcs11:token=å;object=b?{LIBRARY}", "scheme"),
        ("pkcs11:token=a;object=b", "module-path"),
        (f"pkcs11:object=b?{LIBRARY}", "token"),
        (f"pkcs11:token=a?{LIBRARY}", "object"),
        (f"pkcs11:token=a;token=b;object=c?{LIBRARY}", "token"),
        (f"pkcs11:token=a;object=?{LIBRARY}", "object"),
        (f"pkcs11:token=a;object=b;slot-id=1?{LIBRARY}", "slot-id"),
        (f"pkcs11:token=a;object=b;type=public?{LIBRARY}", "type"),
        (f"pkcs11:token=a;object=b?{LIBRARY}&pin-value=1234", "pin-value"),
        (f"pkcs11:token=a;pin-value=1234;object=b?{LIBRARY}", "pin-value"),
        (f"pkcs11:token=%zz;object=b?{LIBRARY}", "token"),
        (f"pkcs11:token=%4;object=b?{LIBRARY}", "token"),
        (f"pkcs11:token=%ff;object=b?{LIBRARY}", "token"),
        (f"pkcs11:token=a;object=b?{LIBRARY}&pin-source=pin.txt", "pin-source"),
        (f"pkcs11:token=a;object=b?{LIBRARY}&pin-source=https://host/pin", "pin-source"),
    ],
)
def test_what_names_no_key_is_refused(text: str, attribute: str) -> None:
    with pytest.raises(Pkcs11UriError) as refused:
        parse_pkcs11_uri(text)
    assert refused.value.values["attribute"] == attribute


def test_a_pin_comes_from_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text("123456\n")
    pin.chmod(0o600)
    uri = parse_pkcs11_uri(f"pkcs11:token=a;object=b?{LIBRARY}&pin-source=file://{pin}")
    assert uri.read_pin() == "123456"
    pin.chmod(0o640)
    with pytest.raises(Pkcs11UriError):
        uri.read_pin()


def test_an_empty_or_absent_pin_file_is_refused(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    uri = parse_pkcs11_uri(f"pkcs11:token=a;object=b?{LIBRARY}&pin-source={pin}")
    with pytest.raises(Pkcs11UriError):
        uri.read_pin()
    pin.write_text("\n")
    pin.chmod(0o600)
    with pytest.raises(Pkcs11UriError):
        uri.read_pin()
