"""Policy packs: what one product asks for in one jurisdiction, as data.

The rules of a pack:

* It is JSON in UTF-8, keys sorted, no spaces, no floats; its digest is SHA-256 of exactly those bytes.
* Every member is known, present and of its type; a pack that says more or less is refused, with the path and the value.
* Bodies are named without their package, such as CustodyReleased. A body without roles may be signed in any role.
* No pack goes below the contract: the count of co-signers is the greater of the two, and hard gates stay hard.
* Nothing here is medical advice; the packs that come with this package are invented.

Temperatures are in thousandths of a degree Celsius, times in seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Final, TypeVar

from cellcustody.ledger.errors import MalformedError

__all__ = [
    "DEFAULT_PACK",
    "CoSigning",
    "PolicyMalformedError",
    "PolicyPack",
    "TemperatureBand",
    "canonical_json",
    "sample_pack_bytes",
]

PACK_BYTES_MAX = 256 * 1024  # A pack is a page or two; a statement's openings hold a megabyte.
FORMAT: Final = 1  # Raised only when a pack's members change their meaning.

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")


class PolicyMalformedError(MalformedError):
    """Raised when a pack is not in its exact form; values give the path and what was found there."""

    reason = "POLICY_MALFORMED"


@dataclass(frozen=True, slots=True)
class CoSigning:
    """How many other persons join a body, in which roles (none: any), within what time of the signing."""

    number: int
    roles: frozenset[str]
    window_seconds: int


@dataclass(frozen=True, slots=True)
class TemperatureBand:
    """The band of a kind of material (MaterialKind, lower case, no prefix) in a state such as fresh or frozen."""

    kind: str
    state: str
    millicelsius_min: int | None
    millicelsius_max: int | None


@dataclass(frozen=True, slots=True)
class PolicyPack:
    """One product in one jurisdiction, at one version."""

    digest: bytes
    product: str
    jurisdiction: str
    version: int
    roles: Mapping[str, frozenset[str]]
    co_signing: Mapping[str, CoSigning]
    co_signature_window_seconds: int
    handoff_acceptance_seconds: int
    late_after_seconds: int
    training_roles: frozenset[str]
    temperature_bands: tuple[TemperatureBand, ...]
    volume_tolerance: Fraction
    required_tests: frozenset[str]
    conditional_tests: frozenset[str]
    collection_to_start_seconds: int | None
    thaw_to_infusion_start_seconds: int | None
    infusion_seconds: int | None
    required_identity_checks: frozenset[str]
    patient_identifiers_min: int
    overridable_gates: Mapping[str, frozenset[str]]
    hold_lifting_roles: Mapping[str, frozenset[str]]
    must_have_seen: Mapping[str, frozenset[str]]
    lot_kinds: frozenset[str]

    @classmethod
    def parse(cls, pack: bytes) -> PolicyPack:
        """Returns the pack in these bytes.

        Raises:
            PolicyMalformedError: the bytes are not canonical JSON, or a member is missing, unknown or not of its type.
        """
        return _parse(pack)

    def roles_for(self, body_type: str) -> frozenset[str]:
        """Returns the roles that may sign this body (full or short name); empty: any."""
        return self.roles.get(_short(body_type), frozenset())

    def may_sign(self, body_type: str, role: str) -> bool:
        """Tells whether the role may sign this body."""
        allowed = self.roles_for(body_type)
        return not allowed or role in allowed

    def co_signing_for(self, body_type: str, co_signers_min: int = 0) -> CoSigning:
        """Returns who must join this body; `co_signers_min` is the contract's own number, which no pack goes below."""
        asked = self.co_signing.get(_short(body_type))
        if asked is None:
            return CoSigning(co_signers_min, frozenset(), self.co_signature_window_seconds)
        if asked.number >= co_signers_min:
            return asked
        return CoSigning(co_signers_min, asked.roles, asked.window_seconds)

    def must_see(self, body_type: str) -> frozenset[str]:
        """Returns the kinds of stream of which the signer of this authorisation must have seen a statement."""
        return self.must_have_seen.get(_short(body_type), frozenset())

    def may_override(self, code: str, role: str) -> bool:
        """Tells whether the role may let the gate be passed beforehand."""
        return role in self.overridable_gates.get(code, frozenset())

    def may_lift(self, code: str, role: str) -> bool:
        """Tells whether the role may lift a hold that this finding opened; `*` stands for codes not named."""
        roles = self.hold_lifting_roles.get(code, self.hold_lifting_roles.get("*", frozenset()))
        return not roles or role in roles

    def band_for(self, kind: str, state: str) -> TemperatureBand | None:
        """Returns the temperature band of this kind of material in this state, or None if the pack names none."""
        for band in self.temperature_bands:
            if (band.kind, band.state) == (kind, state):
                return band
        return None


def canonical_json(value: Json) -> bytes:
    """Returns the canonical bytes of a pack: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sample_pack_bytes(name: str = "cellcustody-demo-product-eu-1") -> bytes:
    """Returns the canonical bytes of a pack that comes with this package. Invented: not medical advice."""
    shipped: Json = json.loads((files("cellcustody.ledger.custody") / "packs" / f"{name}.json").read_text("utf-8"))
    return canonical_json(shipped)


def _short(body_type: str) -> str:
    return body_type.rpartition(".")[2]


def _refuse_float(text: str) -> Json:
    raise PolicyMalformedError("a pack has no floats", value=text)


def _refuse_twice(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise PolicyMalformedError("a member stands twice", members=", ".join(sorted(name for name, _ in pairs)))
    return members


def _parse(pack: bytes) -> PolicyPack:
    if len(pack) > PACK_BYTES_MAX:
        raise PolicyMalformedError("the pack is too long", length_bytes=len(pack), length_bytes_max=PACK_BYTES_MAX)
    try:
        value: Json = json.loads(
            pack.decode("utf-8"),
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
            object_pairs_hook=_refuse_twice,
        )
        is_canonical = canonical_json(value) == pack
    except (ValueError, RecursionError) as failure:
        raise PolicyMalformedError("the pack is not JSON in UTF-8", failure=failure) from None
    if not is_canonical:
        raise PolicyMalformedError("the pack is not in canonical form: keys sorted, no spaces, UTF-8")
    top = _Members("$", value)
    found_format = top.take("format", _integer(1))
    if found_format != FORMAT:
        raise PolicyMalformedError("the pack is of another format", path="$.format", value=found_format)
    top.take("notice", _text)
    budgets = _Members("$.budgets", top.take("budgets", _anything))
    tolerance = _Members("$.volume_tolerance", top.take("volume_tolerance", _anything))
    result = PolicyPack(
        digest=hashlib.sha256(pack).digest(),
        product=top.take("product", _text),
        jurisdiction=top.take("jurisdiction", _text),
        version=top.take("version", _integer(1)),
        roles=top.take("roles", _table(_names)),
        co_signing=top.take("co_signing", _table(_co_signing)),
        co_signature_window_seconds=top.take("co_signature_window_seconds", _integer(1)),
        handoff_acceptance_seconds=top.take("handoff_acceptance_seconds", _integer(1)),
        late_after_seconds=top.take("late_after_seconds", _integer(1)),
        training_roles=top.take("training_roles", _names),
        temperature_bands=top.take("temperature_bands", _list(_band)),
        volume_tolerance=Fraction(tolerance.take("numerator", _integer(0)), tolerance.take("denominator", _integer(1))),
        required_tests=top.take("required_tests", _names),
        conditional_tests=top.take("conditional_tests", _names),
        collection_to_start_seconds=budgets.take("collection_to_start_seconds", _optional(_integer(1))),
        thaw_to_infusion_start_seconds=budgets.take("thaw_to_infusion_start_seconds", _optional(_integer(1))),
        infusion_seconds=budgets.take("infusion_seconds", _optional(_integer(1))),
        required_identity_checks=top.take("required_identity_checks", _names),
        patient_identifiers_min=top.take("patient_identifiers_min", _integer(2)),
        overridable_gates=top.take("overridable_gates", _table(_names)),
        hold_lifting_roles=top.take("hold_lifting_roles", _table(_names)),
        must_have_seen=top.take("must_have_seen", _table(_names)),
        lot_kinds=top.take("lot_kinds", _names),
    )
    for members in (top, budgets, tolerance):
        members.end()
    if not result.conditional_tests <= result.required_tests:
        raise PolicyMalformedError("what may be conditional must be required", path="$.conditional_tests")
    return result


Reader = Callable[[str, Json], T]


class _Members:
    """The members of one JSON object, taken one by one; `end` refuses those that nobody took."""

    def __init__(self, path: str, value: Json) -> None:
        if not isinstance(value, dict):
            raise PolicyMalformedError("an object is expected", path=path, value=value)
        self._path = path
        self._left = dict(value)

    def take(self, name: str, read: Reader[T]) -> T:
        """Takes one member and reads it."""
        path = f"{self._path}.{name}"
        if name not in self._left:
            raise PolicyMalformedError("a member is missing", path=path)
        return read(path, self._left.pop(name))

    def end(self) -> None:
        """Refuses members that nobody knows."""
        for name in self._left:
            raise PolicyMalformedError("a member is unknown", path=f"{self._path}.{name}", value=self._left[name])


def _anything(path: str, value: Json) -> Json:
    return value


def _text(path: str, value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyMalformedError("a text that is not empty is expected", path=path, value=value)
    return value


def _integer(least: int | None = None) -> Reader[int]:
    def read(path: str, value: Json) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise PolicyMalformedError("a whole number is expected", path=path, value=value)
        if (least is not None and value < least) or abs(value) >= 2**53:
            raise PolicyMalformedError("the number is out of range", path=path, value=value)
        return value

    return read


def _optional(read: Reader[T]) -> Reader[T | None]:
    return lambda path, value: None if value is None else read(path, value)


def _list(read: Reader[T]) -> Reader[tuple[T, ...]]:
    def read_all(path: str, value: Json) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise PolicyMalformedError("a list is expected", path=path, value=value)
        return tuple(read(f"{path}[{index}]", one) for index, one in enumerate(value))

    return read_all


def _names(path: str, value: Json) -> frozenset[str]:
    names = _list(_text)(path, value)
    if list(names) != sorted(set(names)):
        raise PolicyMalformedError("names are expected in ascending order, each once", path=path, value=value)
    return frozenset(names)


def _table(read: Reader[T]) -> Reader[Mapping[str, T]]:
    def read_all(path: str, value: Json) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise PolicyMalformedError("an object is expected", path=path, value=value)
        return {_text(path, name): read(f"{path}.{name}", one) for name, one in value.items()}

    return read_all


def _co_signing(path: str, value: Json) -> CoSigning:
    members = _Members(path, value)
    result = CoSigning(
        number=members.take("number", _integer(1)),
        roles=members.take("roles", _names),
        window_seconds=members.take("window_seconds", _integer(1)),
    )
    members.end()
    return result


def _band(path: str, value: Json) -> TemperatureBand:
    members = _Members(path, value)
    result = TemperatureBand(
        kind=members.take("kind", _text),
        state=members.take("state", _text),
        millicelsius_min=members.take("millicelsius_min", _optional(_integer())),
        millicelsius_max=members.take("millicelsius_max", _optional(_integer())),
    )
    members.end()
    if None not in (result.millicelsius_min, result.millicelsius_max) and (
        (result.millicelsius_min or 0) > (result.millicelsius_max or 0)
    ):
        raise PolicyMalformedError("the band is empty", path=path, value=value)
    return result


# What streams without a pack of their own (consignments, lots, sites) are judged under: any role, a day to answer a
# handoff (a courier leg rarely takes longer between two signatures), a quarter of an hour to co-sign.
DEFAULT_PACK: Final = PolicyPack.parse(
    canonical_json(
        {
            "format": FORMAT,
            "notice": "Built in, for streams without a pack. Not medical advice.",
            "product": "any",
            "jurisdiction": "any",
            "version": 1,
            "roles": {},
            "co_signing": {},
            "co_signature_window_seconds": 15 * 60,
            "handoff_acceptance_seconds": 24 * 3600,
            "late_after_seconds": 24 * 3600,
            "training_roles": [],
            "temperature_bands": [],
            "volume_tolerance": {"numerator": 5, "denominator": 100},
            "required_tests": [],
            "conditional_tests": [],
            "budgets": {
                "collection_to_start_seconds": None,
                "thaw_to_infusion_start_seconds": None,
                "infusion_seconds": None,
            },
            "required_identity_checks": [],
            "patient_identifiers_min": 2,
            "overridable_gates": {},
            "hold_lifting_roles": {},
            "must_have_seen": {},
            "lot_kinds": ["activator", "cryoprotectant", "kit", "reagent", "vector"],
        }
    )
)
