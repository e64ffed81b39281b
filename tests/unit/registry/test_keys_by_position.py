"""Stories of keys: who may sign at which position, and what a signature is worth later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.registry import (
    Admission,
    KeyState,
    KeyVerdict,
    RegistryEntry,
    RegistryJudgement,
    RegistryState,
    SignerFacts,
    admit_signer,
    apply,
    replay,
)
from cellcustody.ledger.registry.errors import (
    DeviceUnknownError,
    KeyRetiredError,
    KeyRevokedError,
    KeyStateError,
    KeySuspendedError,
    KeyUnknownError,
    LedgerOnlyError,
    PersonNeededError,
    RegistryFieldInvalidError,
    ServiceKeyNotPermittedError,
    SignerMismatchError,
)
from cellcustody.ledger.statements import PayloadType
from cellcustody.v1 import registry_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import Party, RegistryWorld


@pytest.fixture
def nurse(hospital: RegistryWorld) -> Party:
    """A collection nurse of the hospital."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    return nurse


def admitted(
    world: RegistryWorld,
    party: Party,
    *,
    signed_at: int | None = None,
    position: int | None = None,
    kind: PayloadType = PayloadType.CUSTODY,
    device: bytes | None = None,
    key_ids: tuple[bytes, ...] | None = None,
    is_authorisation: bool = False,
    is_handoff: bool = False,
) -> Admission:
    facts = SignerFacts(
        signer=party.id,
        key_ids=key_ids if key_ids is not None else (party.key_id,),
        device=device or party.id,
        signed_at=signed_at if signed_at is not None else world.now,
        payload_kind=kind,
        is_authorisation=is_authorisation,
        is_handoff=is_handoff,
    )
    return admit_signer(
        world.state, facts, position=position if position is not None else world.position, now=world.now
    )


def test_a_key_signs_from_the_entry_after_its_enrolment(hospital: RegistryWorld, nurse: Party) -> None:
    """At the position of the enrolment itself it is unknown."""
    enrolled = hospital.position - 1

    assert admitted(hospital, nurse) == Admission(hospital.site)
    with pytest.raises(KeyUnknownError):
        admitted(hospital, nurse, position=enrolled)
    assert hospital.state.key_at(nurse.key_id, enrolled).state is KeyState.UNKNOWN
    assert hospital.state.key_at(nurse.key_id, enrolled + 1).state is KeyState.ACTIVE
    assert _verdict(hospital, nurse, enrolled) is KeyVerdict.INVALID
    assert _verdict(hospital, nurse, enrolled + 1) is KeyVerdict.VALID


def test_what_was_signed_before_a_retirement_arrives_within_the_grace(hospital: RegistryWorld, nurse: Party) -> None:
    """An outbox is delivered after the card was replaced: taken and flagged late; after the grace it is refused."""
    signed_at = hospital.now
    hospital.passes(hospital.HOUR)
    retired_at = hospital.now
    hospital.does(registry_pb2.KeyRetired(key_id=nurse.key_id, grace_seconds=3600), hospital.administrators[0])
    leaf = hospital.position

    late = admitted(hospital, nurse, signed_at=signed_at)
    assert late.findings == (Finding("LATE_AFTER_RETIREMENT"),)
    with pytest.raises(KeyRetiredError):
        admitted(hospital, nurse, signed_at=retired_at)  # At that very moment is not before it.
    verdict = hospital.state.verdict
    assert verdict(nurse.key_id, leaf, signed_at=signed_at, recorded_at=hospital.now) is KeyVerdict.VALID
    assert verdict(nurse.key_id, leaf, signed_at=retired_at, recorded_at=hospital.now) is KeyVerdict.INVALID

    hospital.now = retired_at + 3600 * hospital.SECOND
    assert admitted(hospital, nurse, signed_at=signed_at).findings == (Finding("LATE_AFTER_RETIREMENT"),)
    hospital.passes(1)
    with pytest.raises(KeyRetiredError):
        admitted(hospital, nurse, signed_at=signed_at)
    assert verdict(nurse.key_id, leaf, signed_at=signed_at, recorded_at=hospital.now) is KeyVerdict.INVALID
    # Judged as of before the retirement, the same statement is simply in time.
    assert admitted(hospital, nurse, signed_at=signed_at, position=leaf - 1).findings == ()


def test_a_key_is_rotated_by_adding_one_and_retiring_the_other(hospital: RegistryWorld, nurse: Party) -> None:
    """In between both are good; a hybrid of the two is one signer with two keys."""
    card = hospital.card("nurse")
    old = nurse.key_id
    hospital.does(registry_pb2.KeyAdded(holder=nurse.id, key=hospital.key(nurse, card)), hospital.administrators[0])
    assert admitted(hospital, nurse, key_ids=tuple(sorted((old, card.key_id)))).findings == ()

    hospital.does(registry_pb2.KeyRetired(key_id=old), hospital.administrators[0])

    assert admitted(hospital, nurse, key_ids=(card.key_id,)).findings == ()
    with pytest.raises(KeyRetiredError):
        admitted(hospital, nurse, key_ids=tuple(sorted((old, card.key_id))))
    assert [record.key_id for record in hospital.state.latest.keys_of(nurse.id)] == [old, card.key_id]
    assert hospital.state.latest.has_usable_key(nurse.id)


def test_a_suspended_key_signs_nothing_until_it_is_reinstated(hospital: RegistryWorld, nurse: Party) -> None:
    """And what it would have signed in between stays invalid."""
    suspended = hospital.does(registry_pb2.KeySuspended(key_id=nurse.key_id), hospital.administrators[0])
    with pytest.raises(KeySuspendedError):
        admitted(hospital, nurse)
    hospital.other_entries(5)
    reinstated = hospital.does(registry_pb2.KeyReinstated(key_id=nurse.key_id), hospital.administrators[0])

    assert admitted(hospital, nurse).findings == ()
    assert _verdict(hospital, nurse, suspended.leaf_index) is KeyVerdict.VALID
    assert _verdict(hospital, nurse, suspended.leaf_index + 1) is KeyVerdict.INVALID
    assert _verdict(hospital, nurse, reinstated.leaf_index) is KeyVerdict.INVALID
    assert _verdict(hospital, nurse, reinstated.leaf_index + 1) is KeyVerdict.VALID


def test_a_compromised_key_is_valid_then_suspect_then_invalid(hospital: RegistryWorld, nurse: Party) -> None:
    """Before j valid, from j to the revocation suspect, after it refused and invalid."""
    before = hospital.position
    hospital.other_entries(4)
    since = hospital.position
    hospital.other_entries(4)
    revoked = hospital.does(
        registry_pb2.KeyRevoked(key_id=nurse.key_id, compromised_since_leaf=since), hospital.administrators[0]
    )

    assert _verdict(hospital, nurse, before) is KeyVerdict.VALID
    assert _verdict(hospital, nurse, since - 1) is KeyVerdict.VALID
    assert _verdict(hospital, nurse, since) is KeyVerdict.SUSPECT
    assert _verdict(hospital, nurse, revoked.leaf_index) is KeyVerdict.SUSPECT
    assert _verdict(hospital, nurse, revoked.leaf_index + 1) is KeyVerdict.INVALID
    with pytest.raises(KeyRevokedError):
        admitted(hospital, nurse)


def test_a_key_revoked_without_compromise_keeps_what_it_signed(hospital: RegistryWorld, nurse: Party) -> None:
    """Someone has left: nothing they signed is in doubt. Later it may turn out that it is."""
    first = hospital.position
    hospital.other_entries(9)
    revoked = hospital.does(registry_pb2.KeyRevoked(key_id=nurse.key_id), hospital.administrators[0])
    assert _verdict(hospital, nurse, revoked.leaf_index) is KeyVerdict.VALID
    with pytest.raises(KeyStateError):
        hospital.does(registry_pb2.KeyRevoked(key_id=nurse.key_id), hospital.administrators[0])

    # Found out afterwards; then even earlier; never later again.
    for since in (first + 5, first + 2):
        hospital.does(
            registry_pb2.KeyRevoked(key_id=nurse.key_id, compromised_since_leaf=since), hospital.administrators[0]
        )
        assert _verdict(hospital, nurse, since - 1) is KeyVerdict.VALID
        assert _verdict(hospital, nurse, since) is KeyVerdict.SUSPECT
    with pytest.raises(KeyStateError):
        hospital.does(
            registry_pb2.KeyRevoked(key_id=nurse.key_id, compromised_since_leaf=first + 4), hospital.administrators[0]
        )
    assert _verdict(hospital, nurse, revoked.leaf_index + 1) is KeyVerdict.INVALID


def test_nothing_is_compromised_since_an_entry_to_come(hospital: RegistryWorld, nurse: Party) -> None:
    """The leaf index that a revocation names is one of the past."""
    body = registry_pb2.KeyRevoked(key_id=nurse.key_id, compromised_since_leaf=hospital.position)

    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(body, hospital.administrators[0])


def test_a_key_goes_from_state_to_state_as_the_rules_say(hospital: RegistryWorld, nurse: Party) -> None:
    """Reinstated from suspended alone, retired and suspended from active alone, and from revoked there is no way."""
    administrator = hospital.administrators[0]
    reinstated = registry_pb2.KeyReinstated(key_id=nurse.key_id)
    retired = registry_pb2.KeyRetired(key_id=nurse.key_id)
    suspended = registry_pb2.KeySuspended(key_id=nurse.key_id)
    with pytest.raises(KeyStateError):
        hospital.does(reinstated, administrator)
    hospital.does(suspended, administrator)
    for refused in (suspended, retired):
        with pytest.raises(KeyStateError):
            hospital.does(refused, administrator)
    hospital.does(registry_pb2.KeyRevoked(key_id=nurse.key_id), administrator)
    for refused_too in (suspended, retired, reinstated):
        with pytest.raises(KeyStateError):
            hospital.does(refused_too, administrator)
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(
            registry_pb2.KeyRetired(key_id=hospital.administrators[1].key_id, grace_seconds=2**32 - 1), administrator
        )


def test_a_signer_signs_with_own_keys(hospital: RegistryWorld, nurse: Party) -> None:
    """The signature was good, and the header names somebody else."""
    with pytest.raises(SignerMismatchError):
        admitted(hospital, nurse, key_ids=(hospital.administrators[0].key_id,))
    with pytest.raises(KeyUnknownError):
        admitted(hospital, nurse, key_ids=(bytes(32),))
    assert hospital.state.verdict(bytes(32), 5, signed_at=0, recorded_at=0) is KeyVerdict.INVALID


def test_the_device_is_of_the_signers_site(hospital: RegistryWorld, nurse: Party) -> None:
    """A fact signed elsewhere is recorded with a finding; an authorisation is refused."""
    tablet = hospital.party("tablet", "device")
    with pytest.raises(DeviceUnknownError):
        admitted(hospital, nurse, device=tablet.id, is_authorisation=True)
    assert admitted(hospital, nurse, device=tablet.id).findings == (Finding("DEVICE_UNKNOWN"),)

    hospital.does(hospital.device_enrolled(tablet), hospital.administrators[0])

    assert admitted(hospital, nurse, device=tablet.id, is_authorisation=True) == Admission(hospital.site)
    assert admitted(hospital, nurse, device=hospital.service.id).findings == (Finding("DEVICE_UNKNOWN"),)
    registrar = hospital.registrars[0]
    assert admitted(hospital, registrar, device=tablet.id).findings == (Finding("DEVICE_UNKNOWN"),)
    assert admitted(hospital, registrar, is_authorisation=True) == Admission(b"")


def test_at_a_handoff_the_device_may_be_the_others(hospital: RegistryWorld, nurse: Party) -> None:
    """A registered device of another site is shown; one that nobody registered is not excused."""
    tablet = hospital.party("tablet", "device")
    stranger = hospital.registrars[0]
    assert admitted(hospital, stranger, device=tablet.id, is_handoff=True).findings == (Finding("DEVICE_UNKNOWN"),)
    hospital.does(hospital.device_enrolled(tablet), hospital.administrators[0])
    shown = (Finding("DEVICE_OF_COUNTERPARTY"),)
    assert admitted(hospital, stranger, device=tablet.id, is_handoff=True).findings == shown
    assert admitted(hospital, nurse, device=tablet.id, is_handoff=True) == Admission(hospital.site)


def test_devices_measure_and_persons_permit(hospital: RegistryWorld) -> None:
    """A device signs facts; never an authorisation, and it is nobody's second person."""
    logger = hospital.party("logger", "device")
    hospital.does(hospital.device_enrolled(logger), hospital.administrators[0])

    assert admitted(hospital, logger) == Admission(hospital.site)
    with pytest.raises(PersonNeededError):
        admitted(hospital, logger, is_authorisation=True)
    with pytest.raises(PersonNeededError):
        admitted(hospital, logger, kind=PayloadType.CO_SIGNATURE)


def test_the_ledger_says_its_own_things_and_no_others(hospital: RegistryWorld, nurse: Party) -> None:
    """A judgement under a nurse's key is refused, and so is custody under the service key."""
    assert admitted(hospital, hospital.service, kind=PayloadType.JUDGEMENT) == Admission(b"")
    for kind in (PayloadType.CUSTODY, PayloadType.REGISTRY, PayloadType.CO_SIGNATURE):
        with pytest.raises(ServiceKeyNotPermittedError):
            admitted(hospital, hospital.service, kind=kind)
    for kind in (PayloadType.JUDGEMENT, PayloadType.EXPORT, PayloadType.HEAD_MAP):
        with pytest.raises(LedgerOnlyError):
            admitted(hospital, nurse, kind=kind)


def test_the_ledger_speaks_with_the_service_key_in_use(hospital: RegistryWorld) -> None:
    """From the entry after the rotation the former one is of no use, at once."""
    new = hospital.file_key("service, next")
    body = registry_pb2.ServiceKeyRotated(service_key=hospital.key(hospital.service, new))
    signed_before = hospital.now - 1
    rotated = hospital.quorum_does(body)

    with pytest.raises(KeyRetiredError):
        admitted(hospital, hospital.service, kind=PayloadType.JUDGEMENT, signed_at=hospital.now)
    then = admitted(hospital, hospital.service, kind=PayloadType.JUDGEMENT, position=rotated.leaf_index)
    assert then == Admission(b"")
    hospital.now = signed_before
    with pytest.raises(LedgerOnlyError):  # Even with what came before the retirement, only the one in use speaks.
        admitted(hospital, hospital.service, kind=PayloadType.JUDGEMENT)
    assert admitted(hospital, hospital.service, kind=PayloadType.JUDGEMENT, key_ids=(new.key_id,)) == Admission(b"")


def test_what_was_not_committed_is_taken_back(hospital: RegistryWorld, nurse: Party) -> None:
    """A group of entries fails to commit: the registry is again what it was, and goes on from there."""
    position, now = hospital.position, hospital.now
    entries, shown = list(hospital.entries), hospital.shown(hospital.state, 1 << 64)
    change = hospital.does(registry_pb2.KeySuspended(key_id=hospital.registrars[2].key_id), hospital.registrars[0])
    between = hospital.position
    hospital.joins(change, hospital.registrars[1])
    tablet = hospital.party("tablet", "device")
    hospital.does(hospital.device_enrolled(tablet), hospital.administrators[0])
    hospital.does(registry_pb2.KeyRevoked(key_id=nurse.key_id), hospital.administrators[0])

    # Back to where the suspension was pending, then to before it.
    hospital.state.rewind(between)
    assert [joined.statement.digest for joined in hospital.state.pending()] == [change.digest]
    assert hospital.state.acts[change.digest].co_signatures == []
    assert hospital.state.latest.device(tablet.id) is None
    assert hospital.state.public_key(tablet.key_id) is None
    hospital.state.rewind(position)
    assert hospital.shown(hospital.state, 1 << 64) == shown
    assert hospital.state.acts == replay(entries).acts

    hospital.position, hospital.now, hospital.entries = position, now, entries
    del hospital.snapshots[position + 1 :]
    hospital.does(hospital.device_enrolled(tablet), hospital.administrators[0])
    hospital.state.rewind(0)
    assert hospital.state.latest.founding is None
    assert not hospital.state.keys


def test_evolution_takes_whatever_was_recorded(hospital: RegistryWorld) -> None:
    """Applied without any judgement, acts that name nothing known change nothing and raise nothing."""
    state = RegistryState()
    effect = RegistryJudgement(hospital.entries[-1].judged.status, puts_in_effect=bytes(32))
    in_effect = hospital.entries[3].judged
    bodies = (
        registry_pb2.SiteChanged(site=bytes(16)),
        registry_pb2.PersonChanged(person=bytes(16)),
        registry_pb2.KeyRevoked(key_id=bytes(32)),
        registry_pb2.KeyAdded(holder=bytes(16), key=registry_pb2.EnrolledKey(spki=b"no key")),
        registry_pb2.ServiceKeyRotated(),
        registry_pb2.ExportMade(purpose="none"),
    )
    for leaf, body in enumerate(bodies):
        entry = RegistryEntry(hospital.statement(body, hospital.registrars[0]), leaf, hospital.now, in_effect)
        apply(state, entry.statement, entry.judged, leaf)
    apply(state, hospital.statement(None, hospital.registrars[0], joins=bytes(32)), effect, 9)

    assert state.latest.sites() == ()
    (key_id,) = state.keys
    assert state.public_key(key_id) is None


def _verdict(world: RegistryWorld, party: Party, leaf_index: int) -> KeyVerdict:
    return world.state.verdict(party.key_id, leaf_index, signed_at=world.START, recorded_at=world.START)
