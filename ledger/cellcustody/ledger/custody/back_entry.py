"""Say what a fact that was entered from paper asks for: its form, and a second person who attests to the copy.

The rules:

* What is entered from paper is copied: whoever enters it says which form it stands on, and another person co-signs that
  the entry is what the form says, beside whomever the pack asks for the act itself.
* A back-entry has its effect at once, like any fact, with its co-signature outstanding. While one of a therapy is not
  attested to, none of its batches is released and it is not closed.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.fold_state import FoldState
from cellcustody.ledger.custody.policy import CoSigning, PolicyPack
from cellcustody.v1.common_pb2 import ENTRY_MODE_FROM_PAPER, Circumstances

__all__ = ["circumstances_of", "co_signing_of", "is_back_entry", "unattested"]

_CIRCUMSTANCES = "circumstances"


def circumstances_of(body: Message | None) -> Circumstances | None:
    """Returns how a body says that it came to be written; None where it says nothing."""
    if body is None or _CIRCUMSTANCES not in body.DESCRIPTOR.fields_by_name or not body.HasField(_CIRCUMSTANCES):
        return None
    found: object = getattr(body, _CIRCUMSTANCES)
    return found if isinstance(found, Circumstances) else None


def is_back_entry(body: Message | None) -> bool:
    """Tells whether a body was entered from paper."""
    found = circumstances_of(body)
    return found is not None and found.mode == ENTRY_MODE_FROM_PAPER


def co_signing_of(pack: PolicyPack, body_type: str, body: Message | None, co_signers_min: int) -> CoSigning:
    """Returns who must join a statement: whom the pack asks for, and at least one where it was entered from paper."""
    asked = pack.co_signing_for(body_type, co_signers_min)
    if asked.number or not is_back_entry(body):
        return asked
    return CoSigning(1, asked.roles, asked.window_seconds)


def unattested(state: FoldState, stream: bytes) -> Iterator[Act]:
    """Yields the back-entries of a stream that nobody else has joined, corrected and retracted ones left out."""
    for act in state.placed.values():
        if (
            act.stream == stream
            and not act.is_authorisation
            and act.digest not in state.replaced_by
            and act.digest not in state.retracted
            and is_back_entry(act.body)
            and not state.others_who_signed(act)
        ):
            yield act
