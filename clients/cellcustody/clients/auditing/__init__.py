"""Audit a whole log: read all of it by tiles, believe nothing of it, and say what was found.

`sources` reads a log from its address or from a folder, `mirror` keeps what was read, `whole_log` verifies it all.
"""

from cellcustody.clients.auditing.mirror import Mirror
from cellcustody.clients.auditing.sources import FolderLog, HttpLog, LogSource, LogSourceUnavailable, open_source
from cellcustody.clients.auditing.whole_log import AuditProgress, AuditReport, audit_log

__all__ = [
    "AuditProgress",
    "AuditReport",
    "FolderLog",
    "HttpLog",
    "LogSource",
    "LogSourceUnavailable",
    "Mirror",
    "audit_log",
    "open_source",
]
