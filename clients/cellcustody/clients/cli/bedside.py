"""The commands for a bedside without a network: fetch readiness certificates beforehand, show them there.

The rules:

* Both rest on the anchor that the profile names. The founding entry, which names the service key, is kept beside the
  certificates, and is held to the anchor each time; nothing else is asked for its word.
* `fetch` needs the server, `show` does not. What does not verify ends with 1, and is not printed as good.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from cellcustody.clients.cli.context import AsJson, Context, context_of
from cellcustody.clients.cli.plain import Plain, as_json
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.screen import say
from cellcustody.clients.readiness import BedsideCertificates, KeptCertificate, ServiceKeys
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import Opening
from cellcustody.v1 import ledger_service_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub

__all__ = ["register"]

_FOUNDING: Final = "founding.entry"
_FOLDER: Final = "bedside-certificates"

Folder = Annotated[Path | None, typer.Option(help="Where certificates are kept; beside the profile if left out.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    bedside = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Readiness certificates for a bedside without a network."
    )
    bedside.command("fetch")(fetch)
    bedside.command("show")(show)
    app.add_typer(bedside, name="bedside")


def fetch(
    context: typer.Context,
    materials: Annotated[list[str], typer.Argument(help="The bags' ids in hexadecimal.")],
    folder: Folder = None,
    json: AsJson = False,
) -> None:
    """Fetch, verify and keep a certificate for each bag that is ready."""
    found = context_of(context)
    kept_in = _folder(found, folder)
    with found.open_reader() as reader:
        certificates = _certificates(
            found,
            kept_in,
            lambda: reader.connection.ask(
                LedgerServiceStub(reader.connection.channel).GetEntry,
                ledger_service_pb2.GetEntryRequest(leaf_index=0),
            ),
        )
        certificates.forget_expired()
        kept = certificates.preload(reader, [id_from_text(one, "material") for one in materials])
    _print(kept, json=json)


def show(
    context: typer.Context,
    material: Annotated[str, typer.Argument(help="The bag's id in hexadecimal.")],
    folder: Folder = None,
    json: AsJson = False,
) -> None:
    """Show the certificate kept for a bag, verified again; needs no network."""
    found = context_of(context)
    certificates = _certificates(found, _folder(found, folder), _never_fetched)
    _print((certificates.certificate_for(id_from_text(material, "material")),), json=json)


def _never_fetched() -> ledger_service_pb2.GetEntryResponse:
    raise ConfigurationError("no certificate was fetched into this folder yet; do it while there is a network")


def _folder(found: Context, folder: Path | None) -> Path:
    return found.profile.path.with_name(_FOLDER) if folder is None else folder


def _certificates(
    found: Context, folder: Path, founding_entry: Callable[[], ledger_service_pb2.GetEntryResponse]
) -> BedsideCertificates:
    profile = found.profile
    if "anchor" not in profile.paths:
        raise ConfigurationError("the profile lacks a member", profile=profile.path, member="anchor")
    kept = folder / _FOUNDING
    is_kept = kept.exists()
    answer = ledger_service_pb2.GetEntryResponse.FromString(kept.read_bytes()) if is_kept else founding_entry()
    keys = ServiceKeys.of_founding(
        parse_anchor(profile.paths["anchor"].read_bytes()),
        read_entry(answer.entry).envelope,
        [Opening(one.index, one.salt, one.record) for one in answer.openings],
    )
    certificates = BedsideCertificates(folder, keys, lambda: time.time_ns() // 1000)
    if not is_kept:
        kept.write_bytes(answer.SerializeToString())
    return certificates


def _print(kept: tuple[KeptCertificate, ...], *, json: bool) -> None:
    told: list[Plain] = [
        {
            "material": one.certificate.material.hex(),
            "certificate": one.digest.hex(),
            "coi": one.certificate.coi,
            "din": one.certificate.din,
            "position": one.certificate.position,
            "expires_at_unix_micros": one.certificate.expires_at,
        }
        for one in kept
    ]
    if json:
        typer.echo(as_json({"certificates": told}))
        return
    for one in kept:
        said = one.certificate
        say(f"{said.material.hex()}  VERIFIED, position {said.position}", style="bold green")
        say(f"  CoI {said.coi}  DIN {said.din or '-'}")
