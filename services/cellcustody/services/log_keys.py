"""Make keys for the log, tell which sign, and take over a rotation that was signed elsewhere.

The rules:

* A new key lies sealed under the ledger's own passphrase, named by the log's origin. It signs when the registrars have
  rotated to it, and not before; until then it waits in the configuration beside the others.
* A lost key cannot sign the checkpoint under which its own replacement would be recorded. So what the registrars
  signed is recorded in one group while the server is stopped, and the first checkpoint after it is by the new keys.
* Nothing is published unless the keys in force after the group can all sign here; what was recorded stays, and the
  command can be run again with the signatures that were missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError, RefusedError
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.statements.key_files import COST_LIGHT, KeyKind, create_key_file, new_secret, note_signer_of
from cellcustody.services.configuration import Configuration
from cellcustody.services.open_ledger import load_ledger_keys, open_ledger, read_anchor
from cellcustody.v1 import ledger_service_pb2

__all__ = ["Installed", "install_log_keys", "new_log_key", "read_signed_statement"]

STATEMENT_BYTES_MAX: Final = 2 * 1024 * 1024  # A body has at most 1 MiB of openings.
SUBMIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of it: the size and checkpoint that the new keys signed, and who signs now."""

    size: int
    checkpoint: bytes
    vkeys: tuple[str, ...]
    recorded: tuple[int, ...]
    """Positions of the statements that were given."""


def new_log_key(configuration: Configuration, path: Path, kind: KeyKind, environment: Mapping[str, str]) -> str:
    """Draws a key for the log, seals it in a new file, and returns its verifier key.

    Raises:
        ConfigurationError: keys of this kind sign no checkpoints, or the file cannot be made.
    """
    if not kind.signs_notes:
        raise ConfigurationError("a log's key is note-ed25519 or note-ml-dsa-44", key="kind", value=kind)
    origin = read_anchor(configuration.ledger.anchor).log_origin
    passphrase = configuration.keys.passphrase.read(environment)
    secret = new_secret()
    # The cost is that of a passphrase drawn at random, as `init` draws it.
    create_key_file(path, kind, secret, passphrase, name=origin, cost=COST_LIGHT)
    return note_signer_of(kind, origin, secret).vkey


def read_signed_statement(path: Path) -> Submission:
    """Returns a statement that was signed into a file, with its openings.

    Raises:
        ConfigurationError: the file cannot be read, or holds none.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(STATEMENT_BYTES_MAX + 1)
        request = ledger_service_pb2.SubmitRequest.FromString(raw)
    except OSError as defect:
        raise ConfigurationError("the file cannot be read", value=path, cause=defect.strerror) from defect
    except DecodeError as defect:
        raise ConfigurationError("the file holds no signed statement", value=path) from defect
    if len(raw) > STATEMENT_BYTES_MAX or not request.envelope:
        raise ConfigurationError("the file holds no signed statement", value=path)
    openings = tuple(Opening(one.index, one.salt, one.record) for one in request.openings)
    return Submission(request.envelope, openings, b"")


def install_log_keys(
    configuration: Configuration, statements: Sequence[Path], environment: Mapping[str, str]
) -> Installed:
    """Records a rotation and the co-signatures that put it in effect, and publishes under the new keys.

    Raises:
        ConfigurationError: a file or key is missing, or the rotation is still pending.
        RefusedError: the rules do not take one of the statements; the others are recorded.
        FatalStoreError: the store is not what the journal says.
    """
    submissions = [read_signed_statement(path) for path in statements]
    origin = read_anchor(configuration.ledger.anchor).log_origin
    keys = load_ledger_keys(configuration.keys, environment, origin=origin)
    opening = open_ledger(configuration, origin=origin, keys=keys, environment=environment, replaces_log_keys=True)
    with opening as ledger:
        try:
            results = ledger.submit_many(submissions, timeout_seconds=SUBMIT_SECONDS, with_receipts=False)
        except CellcustodyError as stopped:
            raise ConfigurationError(
                "nothing was signed: after these statements a key that is not here is still in force. What is "
                "recorded stays; run this again with the signatures that are missing",
                cause=stopped,
            ) from stopped
        refused = next((one for one in results if isinstance(one, RefusedError)), None)
        if refused is not None:
            raise refused
        published = ledger.published
        in_force = ledger.registry.latest.log_keys
        if published is None or in_force is None:
            raise ConfigurationError("the ledger is not founded")
        return Installed(
            published.head.size,
            published.checkpoint,
            in_force.signing(published.head.size),
            tuple(one.position for one in results if isinstance(one, Recorded)),
        )
