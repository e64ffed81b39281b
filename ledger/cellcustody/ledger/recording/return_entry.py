"""Check at entry what is said of the treatment of a patient: grades, plans, readiness certificates.

The rules:

* A grade of toxicity is held against its criteria (`toxicity`); both are clinical, so that nobody compares them again.
* An adverse event is graded 1 to 5, toxicity 0 to 5.
* Whoever acknowledges a late result says what will be done, in words or by a document of kind `plan`.
* A readiness certificate is of this ledger, and signed by a key that was its service key at the size of log that the
  certificate names, or has been since.
"""

from __future__ import annotations

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.toxicity import GRADE_MAX, stated_and_computed
from cellcustody.ledger.errors import VerificationError
from cellcustody.ledger.readiness_certificates import read_certificate, verify_certificate
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import KeyId, PublicKey
from cellcustody.v1 import return_pb2

__all__ = ["certificate_findings", "treatment_findings"]

_PLAN = "plan"  # The kind of a document that carries the plan.


def treatment_findings(body: Message, field_numbers: tuple[int, ...]) -> list[Finding]:
    """Returns what a body about the treatment says that none may say, whatever the state."""
    match body:
        case return_pb2.ReactionObserved() | return_pb2.AdverseEventReported():
            is_graded = 1 <= body.grade <= GRADE_MAX
            return [] if is_graded else [_finding("GRADE_OUT_OF_RANGE", body, field_numbers, "grade")]
        case return_pb2.ToxicityGraded():
            return _toxicity_findings(body, field_numbers)
        case return_pb2.ResultAcknowledged():
            has_plan = bool(body.plan) or any(one.kind == _PLAN and one.sha256 for one in body.documents)
            return [] if has_plan else [Finding("PLAN_MISSING")]
        case _:
            return []


def _toxicity_findings(body: return_pb2.ToxicityGraded, field_numbers: tuple[int, ...]) -> list[Finding]:
    if body.grade > GRADE_MAX:
        return [_finding("GRADE_OUT_OF_RANGE", body, field_numbers, "grade")]
    stated, computed = stated_and_computed(body)
    if computed is None:
        return [_finding("GRADE_NOT_COMPUTABLE", body, field_numbers, "crs", "icans")]
    if stated != computed:
        return [_finding("GRADE_DISAGREES", body, field_numbers, "grade", "crs", "icans")]
    return []


def certificate_findings(
    body: Message, field_numbers: tuple[int, ...], registry: RegistryState, *, leaf_index: int
) -> list[Finding]:
    """Returns what stands against the readiness certificate of a check, as of the entry's own leaf index."""
    if not isinstance(body, return_pb2.BedsideChecked) or not body.readiness_certificate:
        return []
    try:
        certificate = read_certificate(body.readiness_certificate)
        if certificate.position > leaf_index:
            raise VerificationError("the certificate rests on a log that is not there yet")
        held = service_keys_since(registry, certificate.position, leaf_index)

        def key_of(key_id: KeyId) -> PublicKey | None:
            return registry.public_key(key_id) if key_id in held else None

        # Bag and time are the fold's to judge: here only whose word it is.
        verify_certificate(
            body.readiness_certificate,
            key_of,
            ledger_id=registry.as_of(leaf_index).ledger_id,
            material=certificate.material,
            at=certificate.issued_at,
        )
    except VerificationError:
        return [_finding("CERTIFICATE_NOT_GENUINE", body, field_numbers, "readiness_certificate")]
    return []


def service_keys_since(registry: RegistryState, position: int, until: int) -> frozenset[bytes]:
    """Returns the ids of the keys that were the ledger's service key at any size from `position` to `until`."""
    return frozenset(key for size in (position, until) if (key := registry.as_of(size).service_key_id) is not None)


def _finding(code: str, body: Message, field_numbers: tuple[int, ...], *fields: str) -> Finding:
    wanted = {body.DESCRIPTOR.fields_by_name[field].number for field in fields}
    return Finding(code, tuple(leaf for leaf, number in enumerate(field_numbers) if number in wanted))
