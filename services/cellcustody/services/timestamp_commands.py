"""The commands of time evidence: `renew-timestamps` renews it, `time-authority` is an authority for trying out."""

from __future__ import annotations

import json
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.timestamps import EvidenceItem
from cellcustody.ledger.timestamps.issuing import AuthorityKeys, make_authority
from cellcustody.services.configuration import Configuration, load_configuration
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.open_ledger import load_ledger_keys, now_micros, open_ledger, read_anchor
from cellcustody.services.stamping import TimeStamper
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_authority import TimeAuthorityServer

__all__ = ["open_authority", "renew", "renew_timestamps", "time_authority"]

TRIAL_DAYS: Final = 3650  # Ten years, as long as most authorities' certificates.


class NotRenewedError(ConfigurationError):
    """Raised when no authority answered, so that nothing was renewed."""

    reason = "NOT_RENEWED"


def renew_timestamps(
    config: Annotated[Path, typer.Option(help="The server's configuration; the server is stopped.")],
    hash_name: Annotated[str, typer.Option("--hash", help="sha512 or sha3-512; else as configured.")] = "",
) -> None:
    """Renews all time evidence now: every entry and item again under a newer hash, stamped by the authorities.

    A running server renews by itself, a year before the first certificate expires (timestamps.renew_days).
    """
    item = renew(load_configuration(config), hash_name or None)
    typer.echo(json.dumps({"number": item.number, "size": item.record.size, "tokens": len(item.tokens)}, indent=1))


def renew(configuration: Configuration, hash_name: str | None) -> EvidenceItem:
    """Returns the renewal, made with the server stopped.

    Raises:
        NotRenewedError: no authority answered.
        StoreError: the server is running.
    """
    anchor = read_anchor(configuration.ledger.anchor)
    keys = load_ledger_keys(configuration.keys, os.environ, origin=anchor.log_origin)
    opening = open_ledger(configuration, origin=anchor.log_origin, keys=keys, environment=os.environ)
    with TimeEvidenceFile(configuration.ledger.data_directory) as evidence, opening as ledger:
        return _renewed(ledger, evidence, configuration, anchor.log_origin, hash_name)


def _renewed(
    ledger: Ledger, evidence: TimeEvidenceFile, configuration: Configuration, origin: str, hash_name: str | None
) -> EvidenceItem:
    settings = configuration.timestamps
    stamper = TimeStamper(ledger, evidence, settings, StructuredLog(), origin=origin, now=now_micros)
    item = stamper.renew(hash_name)
    if item is None:
        raise NotRenewedError("no authority gave a time-stamp; the log of the process says why")
    return item


def time_authority(
    directory: Annotated[Path, typer.Option(help="Where its key and certificates lie, or are made.")] = Path("tsa"),
    name: Annotated[str, typer.Option(help="The name in its certificates.")] = "trial time authority",
    listen: Annotated[str, typer.Option(help="Where it listens; port 0 takes a free one.")] = "127.0.0.1:8491",
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when it answers: JSON with its address and root certificate.")
    ] = None,
) -> None:
    """Runs a time authority for trying out, until SIGTERM. Nobody else should believe it."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal():
        raise ConfigurationError("an address is host:port", key="--listen", value=listen)
    keys = open_authority(directory, name, datetime.now(UTC))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    address = ListenAddress(host.removeprefix("[").removesuffix("]"), int(port))
    server = TimeAuthorityServer(keys, address, lambda: datetime.now(UTC), StructuredLog())
    server.start()
    try:
        ready = json.dumps({"url": server.url, "root": str(directory / "root.pem"), "pid": os.getpid()})
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.part")
            part.write_text(f"{ready}\n", encoding="utf-8")
            part.replace(ready_file)
        typer.echo(ready)
        ended.wait()
    finally:
        server.stop()


def open_authority(directory: Path, name: str, now: datetime) -> AuthorityKeys:
    """Returns the authority in a folder, made there if there is none; `now` is aware and UTC.

    Raises:
        ConfigurationError: the folder holds something else.
    """
    key_file, certificates = directory / "tsa.key", (directory / "root.pem", directory / "tsa.pem")
    if not key_file.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        made = make_authority(
            name,
            key=key,
            root_key=ec.generate_private_key(ec.SECP256R1()),
            not_before=now.replace(microsecond=0),
            not_after=now.replace(microsecond=0) + timedelta(days=TRIAL_DAYS),
        )
        for path, certificate in zip(certificates, (made.root, made.certificate), strict=True):
            path.write_bytes(certificate.public_bytes(Encoding.PEM))
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        root, certificate = (x509.load_pem_x509_certificate(path.read_bytes()) for path in certificates)
        found = load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError) as defect:
        raise ConfigurationError("the folder holds no authority", value=directory) from defect
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ConfigurationError("the folder holds another kind of key", value=directory)
    return AuthorityKeys(root, certificate, found)
