"""Judge the registry's own acts: who may do them, who must join, and what they may say.

The rules, in the order they are checked:

1. The founding comes first, whole and in order: LedgerFounded by the first registrar, the co-signatures of all other
   registrars, the first SchemaPublished by the first registrar. Until then nothing else is accepted.
2. Every statement names this ledger; the founding one names none.
3. The signer may do the act in the role they sign in (`authority`): as one of a quorum of registrars, or as an
   administrator, in training, of the site concerned.
4. The act says nothing that it may not say (`contents`).
5. It is PENDING until enough other persons of the same authority have joined it, each once. With the last it is judged
   again, as of that position; if it then fails, that co-signature is refused and it stays pending. Co-signers who have
   lost their authority or whose key was suspended or revoked meanwhile no longer count.

Refusals are errors. This module reads no clock, no network and no database: everything it needs is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry.authority import Authority, authority_of, check_authority, check_co_signer
from cellcustody.ledger.registry.contents import check_contents
from cellcustody.ledger.registry.errors import (
    AlreadyFoundedError,
    CoSignatureRepeatedError,
    CoSignerNotPermittedError,
    DifferentPersonNeededError,
    FoundingIncompleteError,
    JoinedStatementUnknownError,
    KeyRevokedError,
    KeySuspendedError,
    LedgerMismatchError,
    NotPendingError,
    RegistryFieldInvalidError,
)
from cellcustody.ledger.registry.founding import check_founding, check_founding_co_signer, check_founding_schema
from cellcustody.ledger.registry.records import KeyState, RegistryJudgement
from cellcustody.ledger.registry.state import Joined, RegistryState, RegistryView
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.ledger.statements import PayloadType
from cellcustody.v1 import registry_pb2

__all__ = ["PackCheck", "judge", "judge_co_signature"]

PackCheck = Callable[[bytes], object]
"""Raises a CellcustodyError for a policy pack that the rules could not run under."""

_IN_EFFECT: Final = RegistryJudgement(Status.IN_EFFECT)


def judge(
    state: RegistryState, statement: RegistryStatement, position: int, *, check_pack: PackCheck | None = None
) -> RegistryJudgement:
    """Returns what becomes of an act of the registry, policies or schemas as the entry at leaf index `position`.

    The signer has been admitted (`admission.admit_signer`) or, for the founding, verified with the body's own keys.

    Raises:
        RefusedError: a rule fails; the leaf class says which and carries the values.
    """
    view = state.as_of(position)
    _check_kind(statement)
    if isinstance(statement.body, registry_pb2.LedgerFounded):
        # (1) and (2): It is the first entry of all, and it alone names no ledger.
        if position != 0 or view.founding is not None:
            raise AlreadyFoundedError("a ledger is founded once, at leaf 0", position=position)
        needed = check_founding(statement, statement.body)
        return RegistryJudgement(Status.PENDING, needed) if needed else _IN_EFFECT
    _check_ledger(view, statement)
    if not view.is_founded:
        _check_founding_joined(state, position)
        check_founding_schema(view, statement)
        return _IN_EFFECT
    authority = _check_act(view, statement, check_pack)
    needed = authority.co_signers_needed
    return RegistryJudgement(Status.PENDING, needed) if needed else _IN_EFFECT


def judge_co_signature(
    state: RegistryState, co_signature: RegistryStatement, position: int, *, check_pack: PackCheck | None = None
) -> RegistryJudgement:
    """Returns what becomes of a co-signature on an act of the registry as the entry at leaf index `position`.

    Raises:
        RefusedError: it joins nothing that is pending, or its signer does not count, or the act fails by now.
    """
    view = state.as_of(position)
    _check_ledger(view, co_signature)
    joined = state.acts.get(co_signature.joins or b"")
    if joined is None or joined.leaf_index >= position:
        raise JoinedStatementUnknownError("the statement joined is not recorded yet", joins=co_signature.joins)
    if joined.in_effect_at is not None and joined.in_effect_at < position:
        raise NotPendingError("the authorisation is in effect already", in_effect_at=joined.in_effect_at)
    if co_signature.signer == joined.statement.signer:
        raise DifferentPersonNeededError("a signer does not join their own act", signer=co_signature.signer)
    earlier = [joining for leaf, joining in joined.co_signatures if leaf < position]
    if any(joining.signer == co_signature.signer for joining in earlier):
        raise CoSignatureRepeatedError("a person joins once", signer=co_signature.signer)

    body = joined.statement.body
    if isinstance(body, registry_pb2.LedgerFounded):
        check_founding_co_signer(body, co_signature)
        return _judgement(joined, len(body.registrars) - 1, [*earlier, co_signature])

    if not view.is_founded:
        raise FoundingIncompleteError("only the founding is joined before the first schema", joins=co_signature.joins)
    authority = authority_of(view, joined.statement)
    check_co_signer(view, authority, co_signature)
    if isinstance(body, registry_pb2.EmergencyCredentialGranted) and co_signature.signer == body.person:
        raise CoSignerNotPermittedError("nobody grants themselves a credential", signer=co_signature.signer)
    counting = [joining for joining in earlier if _still_counts(view, authority, joining)]
    judgement = _judgement(joined, authority.co_signers_needed, [*counting, co_signature])
    if judgement.puts_in_effect is not None:
        # The act is judged again where it takes effect, with the registry as it is there.
        _check_keys_usable(view, joined.statement)
        _check_act(view, joined.statement, check_pack)
    return judgement


def _judgement(joined: Joined, needed: int, co_signers: Sequence[RegistryStatement]) -> RegistryJudgement:
    lacking = max(0, needed - len(co_signers))
    return RegistryJudgement(Status.RECORDED, lacking, puts_in_effect=None if lacking else joined.statement.digest)


def _check_act(view: RegistryView, statement: RegistryStatement, check_pack: PackCheck | None) -> Authority:
    authority = authority_of(view, statement)
    check_authority(view, authority, statement)
    check_contents(view, statement, check_pack)
    return authority


def _check_ledger(view: RegistryView, statement: RegistryStatement) -> None:
    if view.founding is None:
        raise FoundingIncompleteError("no ledger is founded", body_type=statement.body_type)
    if statement.ledger_id != view.ledger_id:
        raise LedgerMismatchError("the statement names another ledger", ledger_id=statement.ledger_id)


def _check_kind(statement: RegistryStatement) -> None:
    """Checks that the payload type, which readers sort statements by, is that of the body."""
    match statement.body:
        case registry_pb2.PolicyPublished():
            expected = PayloadType.POLICY
        case registry_pb2.SchemaPublished():
            expected = PayloadType.SCHEMA
        case _:
            expected = PayloadType.REGISTRY
    if statement.payload_kind is not expected:
        raise RegistryFieldInvalidError(
            "the body has another payload type", field="payload_type", expected=expected.value
        )


def _check_founding_joined(state: RegistryState, position: int) -> None:
    founding = state.as_of(position).founding
    joined = state.acts.get(founding.statement_digest) if founding else None
    if joined is None or joined.in_effect_at is None or joined.in_effect_at >= position:
        raise FoundingIncompleteError("not every registrar has joined the founding", position=position)


def _still_counts(view: RegistryView, authority: Authority, co_signature: RegistryStatement) -> bool:
    try:
        check_co_signer(view, authority, co_signature)
        _check_keys_usable(view, co_signature)
    except (CoSignerNotPermittedError, KeyRevokedError, KeySuspendedError):
        return False
    return True


def _check_keys_usable(view: RegistryView, statement: RegistryStatement) -> None:
    for key_id in statement.key_ids:
        state = view.key(key_id).state
        if state is KeyState.REVOKED:
            raise KeyRevokedError("a key that signed the act is revoked", key_id=key_id)
        if state is KeyState.SUSPENDED:
            raise KeySuspendedError("a key that signed the act is suspended", key_id=key_id)
