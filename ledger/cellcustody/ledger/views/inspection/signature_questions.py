"""Who signed: checks of two persons, the manifest of signatures, versions, and clocks of one stream.

The rules:

* Two persons are two when the registry has them as two persons; their keys and devices are shown beside.
* A key's state is told as it was when the statement was recorded; its verdict by all that is known now.
* The chain of a key is who enrolled its holder, and who enrolled those, up to the founding.
* Versions are those that the entry itself names: rules, pack, schema, format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.custody.common_acts import co_signers_min
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND
from cellcustody.ledger.entries import FORMAT_VERSION
from cellcustody.ledger.registry import RegistryState
from cellcustody.ledger.registry.state import Joined
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import quality_pb2, registry_pb2, statement_pb2

__all__ = ["clocks", "pairs", "signatures", "versions"]

CHAIN_LENGTH_MAX: Final = 16  # Holder, administrator, registrars: a chain is three or four long.
_AUTHENTICATION: Final = {
    value.number: value.name.removeprefix("AUTHENTICATION_METHOD_").lower()
    for value in statement_pb2.AuthenticationMethod.DESCRIPTOR.values
}
_CLOCKS: Final = {
    value.number: value.name.removeprefix("CLOCK_SOURCE_").lower()
    for value in statement_pb2.ClockSource.DESCRIPTOR.values
}


def pairs(answer: pb.InspectPairsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every statement that needs another person, or was joined by one."""
    joined: dict[bytes, list[Told]] = {}
    for told in account.in_time():
        if told.act.joins is not None:
            joined.setdefault(told.act.joins, []).append(told)
    for told in account.in_time(alone=scope.alone):
        act = told.act
        if act.joins is not None or not scope.is_in_time(act.occurred_start):
            continue
        others = sorted(joined.get(act.digest, ()), key=lambda one: (one.act.signed_at, one.act.digest))
        needed = account.pack.co_signing_for(act.body_type, co_signers_min(act.body_type))
        if not needed.number and not others:
            continue
        persons = {act.signer, *(one.act.signer for one in others)}
        if scope.person and scope.person not in persons:
            continue
        if scope.material and scope.material not in teller.materials_of(told):
            continue
        window = needed.window_seconds * MICROS_PER_SECOND
        in_window = {
            one.act.signer
            for one in others
            if one.act.signer != act.signer
            and (act.is_authorisation or abs(one.act.signed_at - act.signed_at) <= window)
        }
        signed = [act.signed_at, *(one.act.signed_at for one in others)]
        answer.pairs.add(
            statement=bare(told),
            co_signatures=map(bare, others),
            needed=needed.number,
            different_persons=len(persons) == 1 + len(others),
            complete=len(in_window) >= needed.number,
            interval_seconds=(max(signed) - min(signed)) // MICROS_PER_SECOND,
            window_seconds=needed.window_seconds,
        )


def signatures(answer: pb.InspectSignaturesResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every signature, with the standing of its keys."""
    chains = _Chains.of(teller)
    for told in account.in_time(alone=scope.alone):
        if not scope.admits(told) or isinstance(told.act.body, quality_pb2.JudgementsRevised):
            continue
        if scope.material and scope.material not in teller.materials_of(told):
            continue
        record = answer.signatures.add(
            statement=bare(told),
            signed_unix_micros=told.act.signed_at,
            authentication=_AUTHENTICATION.get(told.authentication, ""),
            clock_source=_CLOCKS.get(told.clock_source, ""),
            device=told.device,
        )
        for key_id in told.key_ids:
            record.keys.append(chains.key_use(key_id, told))


@dataclass(slots=True)
class _Chains:
    """Who enrolled whom, as far as one answer asks."""

    registry: RegistryState
    teller: Teller
    by_leaf: Mapping[int, Joined]
    known: dict[bytes, pb.KeyUse]

    @classmethod
    def of(cls, teller: Teller) -> _Chains:
        registry = teller.registry
        acts = tuple(registry.acts.values())
        by_leaf = {one.in_effect_at: one for one in acts if one.in_effect_at is not None}
        # The founding enrols keys at its own leaf, so that they can sign it into effect.
        by_leaf.update(
            (one.leaf_index, one) for one in acts if isinstance(one.statement.body, registry_pb2.LedgerFounded)
        )
        return cls(registry, teller, by_leaf, {})

    def key_use(self, key_id: bytes, told: Told) -> pb.KeyUse:
        """Returns a key as it stood at a statement."""
        known = self.known.get(key_id)
        if known is None:
            known = self.known[key_id] = self._lasting(key_id)
        use = pb.KeyUse()
        use.CopyFrom(known)
        standing = self.registry.key_at(key_id, told.act.leaf_index)
        use.state_then = standing.state.name.lower()
        use.verdict = self.registry.verdict(
            key_id, told.act.leaf_index, signed_at=told.act.signed_at, recorded_at=told.recorded_at
        ).value
        return use

    def _lasting(self, key_id: bytes) -> pb.KeyUse:
        key = self.registry.public_key(key_id)
        record = self.registry.latest.key_record(key_id)
        use = pb.KeyUse(key_id=key_id, algorithm="" if key is None else key.algorithm.name.lower())
        if record is not None:
            use.enrolled_leaf = record.enrolled_leaf
            use.chain.extend(self._chain(record.enrolled_leaf))
        return use

    def _chain(self, leaf_index: int) -> list[str]:
        lines: list[str] = []
        while len(lines) < CHAIN_LENGTH_MAX:
            act = self.by_leaf.get(leaf_index)
            if act is None:
                break
            signer = act.statement.signer
            body = act.statement.body_type.rpartition(".")[2]
            signers = [signer, *(one.signer for _, one in act.co_signatures)]
            who = ", ".join(self._who(one, leaf_index) for one in signers)
            lines.append(f"{body} in effect at leaf {leaf_index}, signed by {who}")
            if isinstance(act.statement.body, registry_pb2.LedgerFounded):
                break
            keys = self.registry.as_of(leaf_index).keys_of(signer)
            before = [one.enrolled_leaf for one in keys if one.enrolled_leaf < leaf_index]
            if not before:
                break
            leaf_index = before[0]
        return lines

    def _who(self, person: bytes, leaf_index: int) -> str:
        site = self.registry.as_of(leaf_index).site_of_signer(person)
        organisation = self.teller.site_name(site) if site else "registrar"
        return f"{self.teller.name(person) or person.hex()[:8]} ({organisation})"


def versions(answer: pb.InspectVersionsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the versions that judged every statement."""
    for told in account.in_time(alone=scope.alone):
        if not scope.admits(told):
            continue
        judgement = account.latest[told.act.digest]
        answer.versions.add(
            statement=bare(told),
            rule_set=judgement.rule_set,
            policy_digest=judgement.policy_digest,
            policy=teller.policy_name(judgement.policy_digest),
            schema_digest=told.schema_digest,
            entry_format=FORMAT_VERSION,
        )


def clocks(answer: pb.InspectClocksResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the clock of every statement that the network did not set, or that was ahead of the ledger."""
    for told in account.in_time(alone=scope.alone):
        if not scope.admits(told):
            continue
        answer.statements_count += 1
        source = told.clock_source
        disagreed = any(finding.code == "CLOCK_AHEAD" for finding in told.judgement.judged.findings)
        if source == statement_pb2.CLOCK_SOURCE_NETWORK and not disagreed:
            continue
        answer.clocks.add(
            statement=bare(told),
            clock_source=_CLOCKS.get(source, ""),
            signed_unix_micros=told.act.signed_at,
            behind_seconds=(told.recorded_at - told.act.signed_at) // MICROS_PER_SECOND,
            disagreed=disagreed,
        )
