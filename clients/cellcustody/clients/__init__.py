"""The clients of cellcustody: sites, auditors and regulators, their signers, outbox and command line.

Names are loaded when they are first used, so that importing this package costs a site's program nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cellcustody.clients.acts import Acts
    from cellcustody.clients.answers import Recorded
    from cellcustody.clients.auditor import AuditorClient
    from cellcustody.clients.connection import Connection, TlsFiles, connect
    from cellcustody.clients.errors import (
        AccessDenied,
        Busy,
        ExplainedFinding,
        ExportMismatched,
        ExportTruncated,
        LedgerStopped,
        LogInconsistent,
        MessageTooLarge,
        NotFound,
        OutboxUnusable,
        OutcomeUnknown,
        RequestInvalid,
        ServerFailed,
        ServerUnavailable,
        SigningDeclined,
        StatementRefused,
    )
    from cellcustody.clients.local_store import LocalStore
    from cellcustody.clients.outbox import Outbox, Queued, QueuedActs, deliver_statements, read_relay
    from cellcustody.clients.readiness import BedsideCertificates, KeptCertificate, ServiceKeys
    from cellcustody.clients.registrar import Quorum, new_person
    from cellcustody.clients.regulator import Export, RegulatorClient
    from cellcustody.clients.session import Identity, Session, SignedStatement
    from cellcustody.clients.showing import Showing
    from cellcustody.clients.signers import create_key_file, draw_signer, enrolled_key, open_key_file, read_passphrase
    from cellcustody.clients.site import Assessment, SiteClient

__all__ = [
    "AccessDenied",
    "Acts",
    "Assessment",
    "AuditorClient",
    "BedsideCertificates",
    "Busy",
    "Connection",
    "ExplainedFinding",
    "Export",
    "ExportMismatched",
    "ExportTruncated",
    "Identity",
    "KeptCertificate",
    "LedgerStopped",
    "LocalStore",
    "LogInconsistent",
    "MessageTooLarge",
    "NotFound",
    "Outbox",
    "OutboxUnusable",
    "OutcomeUnknown",
    "Queued",
    "QueuedActs",
    "Quorum",
    "Recorded",
    "RegulatorClient",
    "RequestInvalid",
    "ServerFailed",
    "ServerUnavailable",
    "ServiceKeys",
    "Session",
    "Showing",
    "SignedStatement",
    "SigningDeclined",
    "SiteClient",
    "StatementRefused",
    "TlsFiles",
    "connect",
    "create_key_file",
    "deliver_statements",
    "draw_signer",
    "enrolled_key",
    "new_person",
    "open_key_file",
    "read_passphrase",
    "read_relay",
]

_HOMES: Final = {
    "acts": ("Acts",),
    "answers": ("Recorded",),
    "auditor": ("AuditorClient",),
    "connection": ("Connection", "TlsFiles", "connect"),
    "errors": (
        "AccessDenied",
        "Busy",
        "ExplainedFinding",
        "ExportMismatched",
        "ExportTruncated",
        "LedgerStopped",
        "LogInconsistent",
        "MessageTooLarge",
        "NotFound",
        "OutboxUnusable",
        "OutcomeUnknown",
        "RequestInvalid",
        "ServerFailed",
        "ServerUnavailable",
        "SigningDeclined",
        "StatementRefused",
    ),
    "local_store": ("LocalStore",),
    "outbox": ("Outbox", "Queued", "QueuedActs", "deliver_statements", "read_relay"),
    "readiness": ("BedsideCertificates", "KeptCertificate", "ServiceKeys"),
    "registrar": ("Quorum", "new_person"),
    "regulator": ("Export", "RegulatorClient"),
    "session": ("Identity", "Session", "SignedStatement"),
    "showing": ("Showing",),
    "signers": ("create_key_file", "draw_signer", "enrolled_key", "open_key_file", "read_passphrase"),
    "site": ("Assessment", "SiteClient"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
