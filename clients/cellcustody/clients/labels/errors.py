"""Why something was not drawn or not read back.

LabelsNotInstalled   the extra `labels` is missing
LabelRefused         what the label would say contradicts itself, or is not for an autologous therapy
LabelTooSmall        what the label must say does not fit its size
FormCodeMalformed    a scanned code is not that of a downtime form, or is damaged
"""

from __future__ import annotations

from cellcustody.ledger.errors import ConfigurationError, MalformedError

__all__ = ["FormCodeMalformed", "LabelRefused", "LabelTooSmall", "LabelsNotInstalled"]


class LabelsNotInstalled(ConfigurationError):
    """Raised when drawing needs a package that only the extra `labels` installs."""

    reason = "LABELS_NOT_INSTALLED"

    def __init__(self, package: str) -> None:
        super().__init__("drawing needs the extra: install cellcustody[labels]", package=package)


class LabelRefused(MalformedError):
    """Raised when a label would contradict itself or say what no autologous therapy's label may say."""

    reason = "LABEL_REFUSED"


class LabelTooSmall(MalformedError):
    """Raised when what must be on a label or form does not fit it; values say what is needed."""

    reason = "LABEL_TOO_SMALL"


class FormCodeMalformed(MalformedError):
    """Raised when a scanned text is not the code of a downtime form; `offset` counts its characters from 0."""

    reason = "FORM_CODE_MALFORMED"

    def __init__(self, rule: str, *, offset: int, value: str = "") -> None:
        super().__init__("not the code of a downtime form", offset=offset, rule=rule, value=value)
        self.offset = offset
        self.rule = rule
        self.value = value
