"""Judge and evolve the check at the bedside, with the readiness certificate that one without a network rests on.

The rules:

* The bag's identifiers are those of the therapy and of its label, enough identifiers of the patient match and none
  mismatches or is unreadable, the patient is there, the bag is in date. There is no override.
* What else of the label the pack asks for is read: expiry and MPHO unique identifier are the label's, the certificate
  that releases for infusion is the one that quality released with. Medicines against reactions are at hand, as many as
  the pack asks for.
* A readiness certificate is of that bag and holds at the time of the check. Whether the ledger made it is judged at
  entry. What came between its issue and the check, in the order of the fold, is found: a hold, a release taken back, a
  consent withdrawn.

What nonconforming facts do: a check that broke a rule is no check to rely on; a mismatch breaks the chain of identity.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.custody.references import din_number
from cellcustody.ledger.custody.return_checks import in_date
from cellcustody.ledger.custody.therapy_evolution import end_of
from cellcustody.ledger.custody.therapy_judging import Judging, compared_well
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_rules_harvest import break_on_comparison
from cellcustody.ledger.custody.therapy_rules_transport import check_bag_read
from cellcustody.ledger.custody.therapy_state import BedsideCheck, MaterialState, TherapyState
from cellcustody.ledger.readiness_certificates import CertificateInvalidError, read_certificate
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS", "release_certificate"]

_MPHO_CHARACTERS: Final = 29  # ISBT 128 ST-026: facility 5, description code 5, donation number 13, division 6.
_DESCRIPTION: Final = slice(5, 10)
_DONATION: Final = slice(10, 23)
_DESCRIPTION_CHARACTERS: Final = 5


def _check_bedside(judging: Judging, body: returned.BedsideChecked) -> None:
    if not judging.enrolled():
        return
    judging.identity_intact()
    if not body.patient_present:
        judging.find("PATIENT_NOT_PRESENT")
    if not compared_well(judging.act.comparisons, judging.pack.patient_identifiers_min):
        judging.find("IDENTITY_NOT_CHECKED", 2)
    if not body.coi_read:
        judging.find("BAG_NOT_IDENTIFIED")
    _check_rescue_medicines(judging, body)
    material = judging.material(body.material, 1)
    if material is None:
        return
    if body.coi_read or body.din_read:
        check_bag_read(judging, material, body.coi_read, body.din_read, coi_field=3, din_field=4)
    if not body.din_read and material.label is not None and material.label.din:
        judging.find("BAG_NOT_IDENTIFIED")
    _check_label(judging, body, material)
    _check_release_certificate(judging, body, material)
    judging.answered_by(material, UnitRef(judging.act.site), 1)
    in_date(judging, material, 1)
    if body.readiness_certificate:
        _check_readiness_certificate(judging, body, material)


def _check_label(judging: Judging, body: returned.BedsideChecked, material: MaterialState) -> None:
    """Finds expiry and MPHO unique identifier where they were not read though asked for, or are not the label's."""
    asked = judging.pack.bedside.must_read
    if body.HasField("expires_read_unix_micros"):
        stated = None if material.label is None else material.label.expires_at
        if body.expires_read_unix_micros != stated:
            judging.find("EXPIRY_MISMATCH", 7)
        if body.expires_read_unix_micros < judging.act.occurred_start:
            judging.find("EXPIRED", 7)
    elif "expiry" in asked:
        judging.find("BAG_NOT_IDENTIFIED")
    if body.mpho_ui_read:
        _check_mpho(judging, body.mpho_ui_read, material)
    elif "mpho_ui" in asked:
        judging.find("BAG_NOT_IDENTIFIED")


def _check_mpho(judging: Judging, read: str, material: MaterialState) -> None:
    content = "".join(read.split())
    if len(content) != _MPHO_CHARACTERS:
        judging.find("BAG_UNREADABLE", 6)
        return
    donation = din_number(content[_DONATION])
    if material.label is not None and material.label.din:
        is_its_donation = donation == din_number(material.label.din)
    else:
        is_its_donation = donation in donation_numbers(judging.state, material)
    code = material.product_code if material.label is None else material.label.product_code
    is_its_product = not code or content[_DESCRIPTION] == code[:_DESCRIPTION_CHARACTERS]
    if not (is_its_donation and is_its_product):
        judging.find("IDENTITY_MISMATCH", 6)


def release_certificate(released: Message | None) -> bytes:
    """Returns the digest of the certificate for infusion that quality released with; empty if it named none."""
    match released:
        case (
            modification.BatchReleased()
            | modification.BatchReleasedConditionally()
            | modification.OutOfSpecificationReleased()
        ) as body:
            return body.release_for_infusion.sha256
        case _:
            return b""


def _check_release_certificate(judging: Judging, body: returned.BedsideChecked, material: MaterialState) -> None:
    """Finds the certificate for infusion missing where the pack asks for it, or another than quality's."""
    shown = body.release_certificate.sha256
    if not shown:
        if "release_certificate" in judging.pack.bedside.must_read:
            judging.find("RELEASE_CERTIFICATE_MISSING")
        return
    released_by = judging.state.placed.get(material.released_by)
    if released_by is None or shown != release_certificate(released_by.body):
        judging.find("RELEASE_CERTIFICATE_MISMATCH", 8)


def _check_rescue_medicines(judging: Judging, body: returned.BedsideChecked) -> None:
    asked = judging.pack.bedside.rescue_medicines
    if not asked:
        return
    at_hand: Counter[str] = Counter()
    for one in body.rescue_medicines:
        at_hand[one.medicine.casefold()] += one.doses
    if any(at_hand[medicine.casefold()] < doses for medicine, doses in asked.items()):
        judging.find("RESCUE_MEDICINE_MISSING", 9)


def _check_readiness_certificate(judging: Judging, body: returned.BedsideChecked, material: MaterialState) -> None:
    """Finds a certificate of another bag, one that does not hold then, and what came between it and the check."""
    state, act = judging.state, judging.act
    try:
        certificate = read_certificate(body.readiness_certificate)
    except CertificateInvalidError:
        return  # Found at entry, where its signature is verified too.
    if certificate.material != body.material or certificate.therapy != act.stream:
        judging.find("CERTIFICATE_OF_ANOTHER_BAG", 1, 10)
        return
    if not certificate.holds_at(act.occurred_start):
        judging.find("CERTIFICATE_EXPIRED", 10)
    if (
        state.holds_on(material.material)
        or material.released_by != certificate.released_by
        or not state.consent_in_force(harvest.CONSENT_SCOPE_INFUSION, act.occurred_start)
    ):
        judging.find("CERTIFICATE_OVERTAKEN", 10)


def _evolve_bedside(state: TherapyState, act: Act, body: returned.BedsideChecked, judged: Judged) -> None:
    state.bedside_checks[act.digest] = BedsideCheck(
        act.digest, body.material, end_of(act), act.site, judged.status is Status.CONFORMING
    )
    break_on_comparison(state, act, judged)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        returned.BedsideChecked,
        check=_check_bedside,
        evolve=_evolve_bedside,
        materials=lambda body: (body.material,),
    ),
)
