"""Sign with a key on a card, a token or a hardware security module, through PKCS #11.

The rules:

* The private key never leaves the token; what is read from it is the public key, which the token has to hold beside
  it as a public key or a certificate with the same id.
* P-256: the token signs SHA-256 of the message, hashed here (CKM_ECDSA); what it returns is raw r || s, of which s is
  put into the lower half. Ed25519: the token signs the message (CKM_EDDSA). No token known here has ML-DSA.
* Every signature is verified with the public key before it leaves: a token that fails, or holds another public key
  beside the private one, signs nothing.
* One session, one signature at a time. The PIN is given once, on opening; a wrong one is said to be wrong and never
  tried again, for tokens count.

It needs the extra `pkcs11`, which nothing else does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, cast

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.ledger.statements.ids import KeyId
from cellcustody.ledger.statements.keys import P256_ORDER, KeyAlgorithm, PublicKey, parse_public_key
from cellcustody.ledger.statements.pkcs11_uris import Pkcs11Uri
from cellcustody.ledger.statements.signatures import SignatureInvalidError, verify

if TYPE_CHECKING:
    import pkcs11

__all__ = ["PinWrongError", "Pkcs11Signer", "TokenError", "open_pkcs11_signer"]

# DER of named curves as tokens write them; the last two are Ed25519 by name (PKCS #11 v3.0) and by its OID (RFC 8410).
_P256_PARAMETERS: Final = bytes.fromhex("06082a8648ce3d030107")
_ED25519_PARAMETERS: Final = frozenset({bytes.fromhex("130c656477617264733235353139"), bytes.fromhex("06032b6570")})


class TokenError(ConfigurationError):
    """Raised when a token is not there, holds no such key, or does not sign; `cause` says why."""

    reason = "TOKEN_UNUSABLE"


class PinWrongError(TokenError):
    """Raised when a token does not take the PIN; it may be locked after a few of these."""

    reason = "PIN_WRONG"


class _SigningKey(Protocol):
    """A private key as the library gives it; its types say less than it can do."""

    id: bytes

    def sign(self, data: bytes, *, mechanism: pkcs11.Mechanism) -> bytes: ...


@dataclass(slots=True)
class Pkcs11Signer:
    """Signs with a key that stays on a token; a context manager, or `close` it."""

    public_key: PublicKey
    _session: pkcs11.Session
    _private_key: _SigningKey
    _lock: Lock

    @property
    def key_id(self) -> KeyId:
        """SHA-256 of the public key's SubjectPublicKeyInfo."""
        return self.public_key.key_id

    @property
    def public_key_spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo in DER."""
        return self.public_key.spki

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def sign(self, message: bytes) -> bytes:
        """Returns a signature over exactly `message`, in the form of the signature profile.

        Raises:
            TokenError: the token does not sign, or what it returns does not verify.
        """
        from pkcs11 import Mechanism, PKCS11Error

        is_p256 = self.public_key.algorithm is KeyAlgorithm.P256
        try:
            with self._lock:
                raw = bytes(
                    self._private_key.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA)
                    if is_p256
                    else self._private_key.sign(message, mechanism=Mechanism.EDDSA)
                )
        except PKCS11Error as defect:
            raise TokenError("the token does not sign", key_id=self.key_id, cause=type(defect).__name__) from defect
        signature = _with_low_s(raw) if is_p256 else raw
        try:
            verify(self.public_key, signature, message)
        except SignatureInvalidError as defect:
            raise TokenError(
                "what the token signed does not verify", key_id=self.key_id, cause=defect.message
            ) from defect
        return signature

    def close(self) -> None:
        """Ends the session with the token."""
        with self._lock:
            self._session.close()


def open_pkcs11_signer(uri: Pkcs11Uri, pin: str) -> Pkcs11Signer:
    """Returns the signer of the one key that the URI names.

    Raises:
        TokenError: library, token or key is not there, or more than one fits, or its public half is not.
        PinWrongError: the token does not take the PIN.
    """
    try:
        import pkcs11
    except ImportError as defect:
        raise TokenError("a key on a token needs the extra `pkcs11`", cause=str(defect)) from defect
    token = _token(uri)
    try:
        session = _opened(token, pin)
    except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLenRange, pkcs11.exceptions.PinInvalid) as defect:
        raise PinWrongError("the token does not take the PIN", token=token.label) from defect
    except pkcs11.PKCS11Error as defect:
        raise TokenError("the token does not open", token=token.label, cause=type(defect).__name__) from defect
    try:
        private_key = _private_key(session, uri)
        public_key = _public_key(session, private_key)
    except pkcs11.PKCS11Error as defect:
        session.close()
        raise TokenError("the key cannot be read", token=token.label, cause=type(defect).__name__) from defect
    except BaseException:
        session.close()
        raise
    return Pkcs11Signer(public_key, session, private_key, Lock())


def _token(uri: Pkcs11Uri) -> pkcs11.Token:
    import pkcs11

    try:
        library = pkcs11.lib(uri.module_path)
    except (pkcs11.PKCS11Error, RuntimeError) as defect:
        raise TokenError("the token's library cannot be used", module=uri.module_path, cause=str(defect)) from defect
    found = [token for token in library.get_tokens() if _fits(token, uri)]
    if len(found) != 1:
        raise TokenError("not one token has this name", count=len(found), token=uri.token, serial=uri.serial)
    return found[0]


def _fits(token: pkcs11.Token, uri: Pkcs11Uri) -> bool:
    asked = (
        (uri.token, token.label),
        (uri.serial, token.serial.decode("utf-8", "replace").rstrip()),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    return all(wanted is None or wanted == found.rstrip() for wanted, found in asked)


def _opened(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    import pkcs11

    try:
        return token.open(user_pin=pin)
    except pkcs11.exceptions.UserAlreadyLoggedIn:
        return token.open()  # Logging in is the token's affair with this process, not the session's.


def _private_key(session: pkcs11.Session, uri: Pkcs11Uri) -> _SigningKey:
    import pkcs11

    wanted: dict[pkcs11.Attribute, object] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
    if uri.object_label is not None:
        wanted[pkcs11.Attribute.LABEL] = uri.object_label
    if uri.object_id is not None:
        wanted[pkcs11.Attribute.ID] = uri.object_id
    found = [one for one in session.get_objects(wanted) if isinstance(one, pkcs11.PrivateKey)]
    if len(found) != 1:
        raise TokenError("not one private key has this name", count=len(found), object=uri.object_label)
    return cast(_SigningKey, found[0])


def _public_key(session: pkcs11.Session, private_key: _SigningKey) -> PublicKey:
    """Returns the public half: the public key with the same id, or that of the certificate with the same id."""
    import pkcs11

    beside = {pkcs11.Attribute.ID: private_key.id}
    for wanted, read in (
        (pkcs11.ObjectClass.PUBLIC_KEY, _spki_of_object),
        (pkcs11.ObjectClass.CERTIFICATE, _spki_of_certificate),
    ):
        for one in session.get_objects({pkcs11.Attribute.CLASS: wanted, **beside}):
            try:
                return parse_public_key(read(one))
            except PublicKeyMalformedError as defect:
                raise TokenError("the token's key is not of the signature profile", cause=defect.message) from defect
    raise TokenError("the token has no public key or certificate beside the private key", id=private_key.id)


def _spki_of_object(public_key: pkcs11.Object) -> bytes:
    import pkcs11

    parameters = bytes(public_key[pkcs11.Attribute.EC_PARAMS])
    point = bytes(public_key[pkcs11.Attribute.EC_POINT])
    if parameters == _P256_PARAMETERS:
        algorithm = KeyAlgorithm.P256
    elif parameters in _ED25519_PARAMETERS:
        algorithm = KeyAlgorithm.ED25519
    else:
        raise PublicKeyMalformedError("a token's key is P-256 or Ed25519", parameters=parameters)
    if len(point) == algorithm.raw_key_bytes + 2 and point[:2] == bytes((0x04, algorithm.raw_key_bytes)):
        point = point[2:]  # The standard's OCTET STRING; some tokens leave it out.
    return algorithm.value + point


def _spki_of_certificate(certificate: pkcs11.Object) -> bytes:
    import pkcs11
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        parsed = x509.load_der_x509_certificate(bytes(certificate[pkcs11.Attribute.VALUE]))
        return parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as defect:
        raise PublicKeyMalformedError("a token's certificate cannot be read", cause=str(defect)) from defect


def _with_low_s(raw: bytes) -> bytes:
    """Returns raw r || s of a token with s in the lower half of the order."""
    if len(raw) != 64:
        raise TokenError("what the token signed has another length", length=len(raw))
    s = int.from_bytes(raw[32:], "big")
    return raw[:32] + min(s, P256_ORDER - s).to_bytes(32, "big")
