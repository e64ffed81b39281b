"""Ask, before a ledger opens, what its witnesses have seen of it.

The rules:

* All are asked at once, for a few seconds; one that is silent says nothing, and is told in the log.
* A checkpoint counts if a key of the log signed it: then the log has signed that tree, whatever its database says.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.store import WitnessedHead
from cellcustody.ledger.transparency import Policy, parse_policy, verify_checkpoint
from cellcustody.services.configuration import Configuration, WitnessSettings
from cellcustody.services.witness.client import WitnessAddress, WitnessClient, WitnessFailedError, addresses_in

__all__ = ["ask_witnesses", "policy_of", "witness_tls"]

ASK_SECONDS: Final = 3.0  # A start waits this long for a silent witness, once.


def policy_of(configuration: Configuration, anchor_policy: str) -> Policy | None:
    """Returns the policy that says which witnesses are asked: that of the configuration, else the anchor's.

    Raises:
        ConfigurationError: it is not one.
    """
    path = configuration.witnesses.policy
    try:
        raw = anchor_policy.encode() if path is None else path.read_bytes()
        return parse_policy(raw) if raw else None
    except OSError as defect:
        raise ConfigurationError("the policy cannot be read", key="witnesses.policy", value=path) from defect
    except CellcustodyError as defect:
        raise ConfigurationError("the policy is none", key="witnesses.policy", value=path, cause=defect) from defect


def witness_tls(settings: WitnessSettings) -> ssl.SSLContext:
    """Returns whose certificates of witnesses are believed.

    Raises:
        ConfigurationError: the file with authorities cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as defect:
        raise ConfigurationError("the authorities cannot be read", key="witnesses.ca", value=settings.ca) from defect


def ask_witnesses(
    policy: Policy, origin: str, log_vkeys: Sequence[str], settings: WitnessSettings
) -> tuple[WitnessedHead, ...]:
    """Returns the last tree of this log that each witness shows under a signature of the log."""
    addresses = addresses_in(policy)
    if not addresses:
        return ()
    context = witness_tls(settings)

    def ask(address: WitnessAddress) -> WitnessedHead | None:
        client = WitnessClient(address, timeout_seconds=min(ASK_SECONDS, settings.timeout_seconds), context=context)
        try:
            note = client.latest(origin)
            if note is None:
                return None
            checkpoint = verify_checkpoint(note, origin, log_vkeys)
        except WitnessFailedError:
            return None
        except CellcustodyError:
            return None  # What the log did not sign is nobody's word about it.
        finally:
            client.close()
        return WitnessedHead(", ".join(address.names), checkpoint.size, checkpoint.root)

    with ThreadPoolExecutor(len(addresses), thread_name_prefix="cellcustody-ask") as threads:
        return tuple(head for head in threads.map(ask, addresses) if head is not None)
