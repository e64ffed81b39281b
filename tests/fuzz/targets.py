"""Everything that reads bytes from strangers: what it is fed with, and what must be true of what it takes.

The rules:

* A reader returns, or refuses by an error of the product's own tree. Whatever else it raises is a defect.
* What is taken and can be written again is written again in the same bytes: there is one spelling of everything.
* Where the single-file verifier reads the same thing, both take it or both refuse it.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Final

from trial_authority import token

from cellcustody.clients.labels.form_code import parse_form_code
from cellcustody.clients.sealed import read_sealed
from cellcustody.ledger import dossier
from cellcustody.ledger.completeness.values import AliasKey, parse_alias_key_file
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.dossier.layout import BODIES, HEADS, PAGE, SCRIPT
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.identifiers import parse_scan
from cellcustody.ledger.readiness_certificates import read_certificate
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import parse_envelope, parse_public_key, parse_statement
from cellcustody.ledger.statements.pkcs11_uris import parse_pkcs11_uri
from cellcustody.ledger.timestamps.algorithm_policy import parse_algorithm_policy
from cellcustody.ledger.timestamps.records import Stamp, encode_item, format_record, parse_item, parse_record
from cellcustody.ledger.timestamps.tokens import parse_token
from cellcustody.ledger.transparency import (
    build_fork_proof,
    bundle_path,
    decode_bundle,
    encode_bundle,
    format_note,
    format_vkey,
    parse_add_checkpoint,
    parse_bundle_path,
    parse_checkpoint,
    parse_cosignatures,
    parse_fork_proof,
    parse_log_proof,
    parse_note,
    parse_policy,
    parse_tile_path,
    parse_vkey,
    tile_path,
    verify_checkpoint,
    verify_log_proof,
)
from cellcustody.ledger.transparency.encoding import decode_base64, decode_decimal, encode_base64
from cellcustody.ledger.verification import open_dossier
from cellcustody.ledger.verification.completeness import read_heads
from corpus.heads import mapped
from corpus.world import zipped

__all__ = ["Target", "targets"]

_VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors"
_ORIGIN: Final = "ledger.example/a9999"


@dataclass(frozen=True)
class Target:
    """One reader: `reads` takes bytes; `again` writes what it took; `other` is the single-file verifier's reader."""

    name: str
    reads: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    again: Callable[[object], bytes] | None = None
    other: Callable[[bytes], object] | None = None
    refuses: tuple[type[Exception], ...] = ()


def _text(reader: Callable[[str], object]) -> Callable[[bytes], object]:
    """Returns a reader of bytes; what is no UTF-8 is fed as text with surrogates, as some programs have it."""
    return lambda raw: reader(raw.decode("utf-8", "surrogateescape"))


@lru_cache(maxsize=1)
def single_file() -> ModuleType:
    """Returns the single-file verifier as a module."""
    path = Path(dossier.__file__).parent / "verifiers" / "verify.py"
    spec = importlib.util.spec_from_file_location("single_file_verifier", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _files(folder: str, *patterns: str) -> tuple[bytes, ...]:
    found = [path.read_bytes() for pattern in patterns for path in sorted((_VECTORS / folder).glob(pattern))]
    assert found, (folder, patterns)
    return tuple(found)


def targets() -> tuple[Target, ...]:
    """Returns every reader."""
    single = single_file()
    checkpoints = _files("transparency", "*.checkpoint")
    proofs = _files("transparency", "*.tlog-proof")
    policies = _files("transparency", "*.policy")
    keys = json.loads((_VECTORS / "transparency" / "keys.json").read_text())
    vkeys = tuple(sorted({text for text in _texts_in(keys) if text.count("+") >= 2}))
    statements = _files("statements", "*.binpb")
    entries = _files("ledger", "entry-*.binpb")
    anchor = _files("ledger", "anchor.json")
    log_keys = tuple(vkey for vkey in vkeys if vkey.startswith(_ORIGIN + "+"))
    spki = tuple(
        base64.b64decode(text)
        for text in (
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7Lt"
            "kBoN79R9Q==",
        )
    )
    bundles = tuple(encode_bundle([entry[:200], entry[200:260]]) for entry in entries)
    return (
        Target("note", parse_note, checkpoints, lambda note: format_note(note.text, note.signatures)),  # type: ignore[attr-defined]
        Target("checkpoint", parse_checkpoint, checkpoints, other=single.read_checkpoint),
        Target("signed checkpoint", partial(_verified_checkpoint, log_keys), checkpoints),
        Target("receipt", parse_log_proof, proofs),
        Target("verified receipt", partial(_verified_proof, log_keys), proofs),
        Target("witness policy", parse_policy, policies, other=single.read_policy),
        Target(
            "verifier key",
            _text(parse_vkey),
            tuple(vkey.encode() for vkey in vkeys),
            lambda key: format_vkey(key.name, key.type, key.public_key).encode(),  # type: ignore[attr-defined]
            other=_text(single.read_vkey),
        ),
        Target("request to a witness", parse_add_checkpoint, _requests(checkpoints)),
        Target("cosignatures", parse_cosignatures, tuple(one.partition(b"\n\n")[2] for one in checkpoints)),
        Target(
            "proof of a fork",
            parse_fork_proof,
            _forks(),
        ),
        Target(
            "path of a tile",
            _text(parse_tile_path),
            (b"tile/0/000", b"tile/1/x001/x234/067.p/255", b"tile/63/x999/000.p/1"),
            lambda tile: tile_path(tile.level, tile.index, tile.width).encode(),  # type: ignore[attr-defined]
        ),
        Target(
            "path of a bundle",
            _text(parse_bundle_path),
            (b"tile/entries/000", b"tile/entries/x001/x234/067.p/17"),
            lambda bundle: bundle_path(bundle.index, bundle.width).encode(),  # type: ignore[attr-defined]
        ),
        Target("bundle", lambda raw: decode_bundle(raw, 2), bundles, lambda found: encode_bundle(found)),  # type: ignore[arg-type]
        Target(
            "decimal",
            lambda raw: decode_decimal(raw.decode("utf-8", "surrogateescape")),
            (b"0", b"7", b"10", b"18446744073709551615"),
            lambda number: str(number).encode(),
            refuses=(ValueError,),
        ),
        Target(
            "base64",
            lambda raw: decode_base64(raw.decode("utf-8", "surrogateescape")),
            (b"", b"AA==", b"AAE=", b"AAEC", base64.b64encode(bytes(32))),
            lambda raw: encode_base64(raw).encode(),  # type: ignore[arg-type]
            refuses=(ValueError,),
        ),
        Target("envelope", parse_envelope, statements),
        Target("statement", parse_statement, statements),
        Target("entry", read_entry, entries),
        Target("public key", parse_public_key, spki, other=single.read_key),
        Target("anchor", parse_anchor, anchor, other=single.read_anchor),
        Target("readiness certificate", read_certificate, _files("readiness", "*.binpb")),
        Target("policy pack", PolicyPack.parse, (sample_pack_bytes(), *_files("ledger", "policy-pack.json"))),
        Target("dossier's container", open_dossier, _dossiers()),
        Target("dossier's heads", read_heads, _heads()),
        Target("record of time evidence", parse_record, (format_record(_STAMP),), format_record),  # type: ignore[arg-type]
        Target("item of time evidence", parse_item, (encode_item(1, _STAMP, _tokens()),)),
        Target("token of time", parse_token, _tokens()),
        Target("policy of algorithms", parse_algorithm_policy, (_algorithms(),)),
        Target("alias key", parse_alias_key_file, (AliasKey(bytes(16), bytes(range(32))).to_file(),), AliasKey.to_file),  # type: ignore[arg-type]
        Target(
            "token's address",
            _text(parse_pkcs11_uri),
            (_TOKEN_URI,),
        ),
        Target("scan", _text(parse_scan), _SCANS),
        Target("downtime form", _text(parse_form_code), _FORM_CODES),
        Target("sealed file", read_sealed, (b"cellcustody-sealed-1\n{}\n", *anchor)),
    )


_FORM: Final = b"CCDF1/F:0001020304050607/L:000102030405060708090A0B0C0D0E0F/P:4711/A:CUSTODY-ACCEPTED"
_FORM_CODES: Final = (_FORM + b"/K:" + hashlib.sha256(_FORM).hexdigest()[:16].upper().encode(),)
_TOKEN_URI: Final = b"pkcs11:token=Ward%20card;object=sign;id=%01%fF;type=private?module-path=/usr/lib/p11.so"
_STAMP: Final = Stamp(_ORIGIN, 300, bytes(range(32)), bytes(64))
_SCANS: Final = (
    b"=A999926123456 00",
    b"=A99992612345600",
    b"=<E1234V00",
    b"&>0261231",
    b"=+03000=A99992612345600=<E1234V00&>0261231",
    b"]C1010950600013435217261231",
    b"&,1A9999",
)


def _algorithms() -> bytes:
    row = {"algorithm": "ed25519", "from_leaf": 7, "from": "2040-01-01T00:00:00Z"}
    members = {"format": "cellcustody-algorithm-policy", "format_version": 1, "broken": [row]}
    return json.dumps(members).encode()


def _requests(checkpoints: tuple[bytes, ...]) -> tuple[bytes, ...]:
    line = base64.b64encode(bytes(32))
    return tuple(b"old 5\n" + line + b"\n" + line + b"\n\n" + one for one in checkpoints[:12])


def _texts_in(found: object) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, dict):
        return [text for value in found.values() for text in _texts_in(value)]
    if isinstance(found, list):
        return [text for value in found for text in _texts_in(value)]
    return []


def _verified_checkpoint(vkeys: tuple[str, ...], raw: bytes) -> object:
    return verify_checkpoint(raw, _ORIGIN, vkeys)


def _verified_proof(vkeys: tuple[str, ...], raw: bytes) -> object:
    return verify_log_proof(raw, bytes(32), _ORIGIN, vkeys)


def _forks() -> tuple[bytes, ...]:
    good = (_VECTORS / "transparency" / "good.checkpoint").read_bytes()
    other = (_VECTORS / "transparency" / "root-changed.checkpoint").read_bytes()
    return (build_fork_proof(good, other), build_fork_proof(good, other, prefix_root=bytes(32), proof=[bytes(32)]))


def _dossiers() -> tuple[bytes, ...]:
    """Returns small dossiers; whole ones are bent elsewhere (`corpus.fuzzing`)."""
    files = _corpus_files()
    return (zipped({**files, PAGE: b"<html>", SCRIPT: b"pass", BODIES: b""}), zipped({**files, PAGE: b"", SCRIPT: b""}))


def _heads() -> tuple[bytes, ...]:
    return (_corpus_files()[HEADS],)


@lru_cache(maxsize=1)
def _corpus_files() -> dict[str, bytes]:
    world, maps = mapped()
    return world.files(heads=maps.shows().SerializeToString(deterministic=True))


def _tokens() -> tuple[bytes, ...]:
    return (token(), token(serial=1 << 63), token(nonce=None))
