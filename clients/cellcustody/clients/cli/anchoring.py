"""The command that says whom an auditor believes: add a time authority to an anchor, or show what an anchor names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cellcustody.clients.cli.context import AsJson
from cellcustody.clients.cli.plain import as_json
from cellcustody.clients.cli.screen import print_table, say
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.anchor import Anchor, encode_anchor, parse_anchor
from cellcustody.ledger.timestamps import TimeAuthority, load_certificate

__all__ = ["register"]

AnchorFile = Annotated[Path, typer.Argument(help="The anchor file.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    anchor = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What an auditor believes beforehand.")
    anchor.command("show")(show)
    anchor.command("authority")(add_authority)
    app.add_typer(anchor, name="anchor")


def show(file: AnchorFile, json: AsJson = False) -> None:
    """Show what an anchor names: the founding, the log and its keys, witnesses, time authorities."""
    anchor = _read(file)
    if json:
        typer.echo(
            as_json(
                {
                    "founding_digest": anchor.founding_digest.hex(),
                    "log_origin": anchor.log_origin,
                    "log_keys": list(anchor.log_keys),
                    "witness_policy": anchor.witness_policy,
                    "time_authorities": [
                        {
                            "name": authority.name,
                            "certificates": [_subject(der) for der in authority.certificates],
                            "policies": list(authority.policies),
                        }
                        for authority in anchor.time_authorities
                    ],
                    "time_authorities_min": anchor.time_authorities_min,
                }
            )
        )
        return
    say(f"{anchor.log_origin}: founding {anchor.founding_digest.hex()}, {len(anchor.log_keys)} keys")
    say("witnesses are asked for" if anchor.witness_policy else "no witness is asked for")
    print_table(
        "Time authorities",
        ("name", "certificate", "until"),
        (
            (authority.name, _subject(der), load_certificate(der).not_valid_after_utc.date().isoformat())
            for authority in anchor.time_authorities
            for der in authority.certificates
        ),
    )


def add_authority(
    file: AnchorFile,
    name: Annotated[str, typer.Argument(help="A name for reports: a-z, 0-9, dot and hyphen.")],
    certificates: Annotated[list[Path], typer.Argument(help="PEM or DER: a root, or the signing certificate itself.")],
    policy: Annotated[list[str] | None, typer.Option(help="Object identifier of a policy; none: any.")] = None,
    minimum: Annotated[int, typer.Option("--min", help="How many authorities must have stamped; 0: as before.")] = 0,
) -> None:
    """Believe a time authority from now on, or with other certificates than before: the anchor is written anew."""
    anchor = _read(file)
    authority = TimeAuthority(name, tuple(der for path in certificates for der in _load(path)), tuple(policy or ()))
    others = tuple(one for one in anchor.time_authorities if one.name != name)
    changed = replace(
        anchor,
        time_authorities=(*others, authority),
        time_authorities_min=minimum or anchor.time_authorities_min,
    )
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(encode_anchor(changed))
    os.replace(part, file)
    say(f"{file}: believes {', '.join(one.name for one in changed.time_authorities)}")


def _read(file: Path) -> Anchor:
    try:
        return parse_anchor(file.read_bytes())
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=file, because=refusal.strerror) from refusal


def _load(path: Path) -> tuple[bytes, ...]:
    try:
        raw = path.read_bytes()
        found = x509.load_pem_x509_certificates(raw) if b"-----BEGIN" in raw else [x509.load_der_x509_certificate(raw)]
    except (OSError, ValueError) as defect:
        raise ConfigurationError("the file holds no certificate", path=path) from defect
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def _subject(der: bytes) -> str:
    return load_certificate(der).subject.rfc4514_string()
