"""The commands of the registry: keys, proofs of possession, enrolling sites, persons, devices and keys, policies.

A person keeps their key: they make it with `key new`, prove it with `key prove`, and send the proof to whoever enrols
them. Who enrols never sees a private key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.clients.cli.acting import sign_and_print, text_of
from cellcustody.clients.cli.context import AsJson, Yes, context_of
from cellcustody.clients.cli.plain import as_json, body_from_json
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import say
from cellcustody.clients.registrar import POLICY, REGISTRY, policy_body, policy_digest
from cellcustody.clients.session import system_clock, unix_micros
from cellcustody.clients.signers import (
    KeyKind,
    create_key_file,
    enrolled_key,
    open_signer,
    public_key_of_file,
    read_passphrase,
)
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements import parse_public_key
from cellcustody.ledger.statements.pkcs11_uris import is_pkcs11_uri
from cellcustody.v1 import registry_pb2

__all__ = ["register"]

KeyFile = Annotated[Path, typer.Argument(help="The key file.")]
Key = Annotated[str, typer.Argument(help="The key file, or a pkcs11: URI.")]
Proofs = Annotated[list[Path], typer.Option("--key", help="Proof that `key prove` wrote; once for each key.")]


def register(app: typer.Typer) -> None:
    """Adds the groups."""
    keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Signing keys in files under a passphrase.")
    keys.command("new")(new_key)
    keys.command("show")(show_key)
    keys.command("prove")(prove_key)
    app.add_typer(keys, name="key")
    enrol = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Enrol sites, persons, devices and keys.")
    enrol.command("site")(enrol_site)
    enrol.command("person")(enrol_person)
    enrol.command("device")(enrol_device)
    enrol.command("key")(enrol_key)
    enrol.command("policy")(enrol_policy)
    app.add_typer(enrol, name="enrol")


def new_key(
    file: KeyFile,
    algorithm: Annotated[str, typer.Option(help="ed25519, p-256 or ml-dsa-65.")] = "ed25519",
    holder: Annotated[str, typer.Option(help="Person or device id that will hold it, in hexadecimal.")] = "",
) -> None:
    """Draw a key and keep it in a new file under a passphrase; print its id."""
    known = {kind.value: kind for kind in KeyKind if not kind.signs_notes}
    if algorithm not in known:
        raise ConfigurationError("no such kind of key", algorithm=algorithm, known=", ".join(known))
    holder_id = id_from_text(holder, "holder") if holder else b""
    passphrase = read_passphrase(prompt="Passphrase for the new key: ", confirm=True)
    say(create_key_file(file, passphrase, kind=known[algorithm], holder=holder_id).key_id.hex())


def show_key(key: Key, json: AsJson = False) -> None:
    """Print public key and key id of a key file, which needs no passphrase, or of a key on a token."""
    public = parse_public_key(open_signer(key).public_key_spki if is_pkcs11_uri(key) else public_key_of_file(Path(key)))
    if json:
        typer.echo(
            as_json({"key_id": public.key_id.hex(), "algorithm": public.algorithm.name, "spki": public.spki.hex()})
        )
    else:
        say(f"{public.algorithm.name} {public.key_id.hex()}")


def prove_key(
    key: Key,
    holder: Annotated[str, typer.Option(help="Person or device id that will hold the key, in hexadecimal.")],
    ledger: Annotated[str, typer.Option(help="Ledger id, in hexadecimal.")],
) -> None:
    """Print, as JSON, the public key with the proof that its holder has it; send it to whoever enrols you."""
    proof = enrolled_key(
        open_signer(key),
        ledger_id=id_from_text(ledger, "ledger"),
        holder=id_from_text(holder, "holder"),
        signed_at=unix_micros(system_clock()),
    )
    typer.echo(as_json(proof))


def enrol_site(
    context: typer.Context,
    body: Annotated[str, typer.Argument(help="SiteEnrolled as JSON, @FILE, or - for standard input.")],
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Propose a site, as a registrar; it takes effect when enough of the others have co-signed."""
    message = body_from_json(registry_pb2.SiteEnrolled, text_of(body))
    sign_and_print(context_of(context), REGISTRY, message, {}, yes=yes, json=json)


def enrol_person(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The name as printed.")],
    role: Annotated[list[str], typer.Option(help="A role, or role=TIME until which training holds; repeat for more.")],
    key: Proofs,
    person: Annotated[str, typer.Option(help="The person's id, which the proofs name, in hexadecimal.")],
    unit: Annotated[list[str] | None, typer.Option(help="A unit worked in; all of the site if left out.")] = None,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Enrol a person of the profile's site, as an administrator."""
    found = context_of(context)
    person_id = id_from_text(person, "person")
    message = registry_pb2.PersonEnrolled(
        site=found.profile.id("site"),
        person=registry_pb2.NewPerson(
            person=person_id, keys=_proofs(key), roles=[_grant(each) for each in role], units=unit or []
        ),
        name=registry_pb2.PersonName(person=person_id, printed_name=name),
    )
    sign_and_print(found, REGISTRY, message, {}, yes=yes, json=json)


def enrol_device(
    context: typer.Context,
    description: Annotated[str, typer.Option(help="What it is.")],
    device: Annotated[str, typer.Option(help="Its id in hexadecimal; drawn if left out.")] = "",
    key: Annotated[list[Path] | None, typer.Option(help="Proof of a key, if it signs by itself.")] = None,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Enrol a device of the profile's site, as an administrator."""
    found = context_of(context)
    device_id = id_from_text(device, "device") if device else os.urandom(16)
    typer.echo(f"device {device_id.hex()}", err=True)
    message = registry_pb2.DeviceEnrolled(
        site=found.profile.id("site"), device=device_id, description=description, keys=_proofs(key or [])
    )
    sign_and_print(found, REGISTRY, message, {}, yes=yes, json=json)


def enrol_key(
    context: typer.Context,
    holder: Annotated[str, typer.Option(help="Person or device id, in hexadecimal.")],
    key: Annotated[Path, typer.Option(help="Proof that `key prove` wrote.")],
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Give a person or device a further key."""
    message = registry_pb2.KeyAdded(holder=id_from_text(holder, "holder"), key=_proofs([key])[0])
    sign_and_print(context_of(context), REGISTRY, message, {}, yes=yes, json=json)


def enrol_policy(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The pack: JSON, keys sorted, no spaces.")],
    product: Annotated[str, typer.Option(help="Product it is for.")],
    jurisdiction: Annotated[str, typer.Option(help="Jurisdiction it is for.")],
    version: Annotated[int, typer.Option(min=1, max=(1 << 32) - 1, help="Its version, from 1.")],
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Propose a policy pack, as a registrar; it takes effect when enough of the others have co-signed."""
    try:
        pack = file.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=file, because=refusal.strerror) from refusal
    typer.echo(f"policy {policy_digest(pack).hex()}", err=True)
    message = policy_body(product, jurisdiction, version, pack)
    sign_and_print(context_of(context), POLICY, message, {}, yes=yes, json=json)


def _proofs(paths: list[Path]) -> list[registry_pb2.EnrolledKey]:
    proofs = []
    for path in paths:
        proof = body_from_json(registry_pb2.EnrolledKey, text_of(f"@{path}"))
        assert isinstance(proof, registry_pb2.EnrolledKey)
        proofs.append(proof)
    return proofs


def _grant(text: str) -> registry_pb2.RoleGrant:
    role, equals, until = text.partition("=")
    if not equals:
        return registry_pb2.RoleGrant(role=role)
    return registry_pb2.RoleGrant(role=role, trained_until_unix_micros=unix_micros(time_of(until)))
