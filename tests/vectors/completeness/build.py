"""Makes the golden vectors of the maps of heads and aliases: fixed keys and values, paths, and what becomes of them.

`maps.json`      maps of several sizes: their keys with their values, and their roots
`aliases.json`   an alias key, its commitment, and aliases with their blinded keys
`paths.json`     paths under roots of those maps, each named by what it shows or by what is wrong with it

Everything is hexadecimal. A verdict is `holds` or `refused`.
"""

import hashlib
import json
from pathlib import Path

from cellcustody.ledger.completeness import ALIASES, EMPTY, HEADS, AliasKey, RowsInMemory, SparseMap, blinded_alias
from cellcustody.ledger.completeness.sparse_map import MapTags, value_digest
from cellcustody.ledger.completeness.values import alias_value, head_value, stream_key

HERE = Path(__file__).parent
SIZES = (0, 1, 2, 3, 7, 100)
LEDGER_ID = bytes(range(16))
ALIAS_KEY = bytes(range(32, 64))
NAMES = (
    ("isbt128-coi", "CHA999925000001G"),
    ("isbt128-coi", "CHA9999 25 000001 G"),
    ("isbt128-coi", "CHA999925000002E"),
    ("order", "PO-17"),
    ("subject", "100-é"),
    ("", ""),
)


def drawn(label: str) -> bytes:
    """Returns bytes that stand for randomness."""
    return hashlib.sha256(f"completeness vector: {label}".encode()).digest()


def stream(number: int) -> bytes:
    """Returns a stream id."""
    return bytes([1 + number % 4]) + drawn(f"stream {number}")[:16]


def heads(size: int) -> dict[bytes, bytes]:
    """Returns a map of heads with so many streams."""
    return {stream_key(stream(n)): head_value(stream(n), 1 + n * n, drawn(f"leaf {n}")) for n in range(size)}


def names(size: int) -> dict[bytes, bytes]:
    """Returns a map of aliases with so many keys; every fifth names two therapies."""
    claimed = {n: [stream(n), stream(n + 1)] if n % 5 == 0 else [stream(n)] for n in range(size)}
    return {blinded_alias(ALIAS_KEY, "order", f"PO-{n}"): alias_value(therapies) for n, therapies in claimed.items()}


def made(tags: MapTags, items: dict[bytes, bytes]) -> SparseMap:
    """Returns a map."""
    found = SparseMap(tags, RowsInMemory())
    found.update(items)
    return found


def written(siblings: list[bytes]) -> list[str]:
    """Returns siblings as a path writes them."""
    return ["" if sibling == EMPTY else sibling.hex() for sibling in siblings]


def paths() -> list[dict[str, object]]:
    """Returns paths that hold, and what may be done to them so that they do not."""
    items = heads(100)
    tree = made(HEADS, items)
    root = tree.root
    cases: list[dict[str, object]] = []

    def case(name: str, verdict: str, key: bytes, value: bytes | None, siblings: list[str], **more: object) -> None:
        cases.append(
            {
                "name": name,
                "verdict": verdict,
                "map": more.pop("map", "heads"),
                "key": key.hex(),
                "value": None if value is None else value.hex(),
                "siblings": siblings,
                "other_key": more.pop("other_key", ""),
                "other_value_digest": more.pop("other_value_digest", ""),
                "root": more.pop("root", root.hex()),
            }
        )

    present = stream_key(stream(42))
    end = tree.prove(present)
    siblings = written(end.siblings)
    case("present", "holds", present, end.value, siblings)
    wrong = head_value(stream(42), 1 + 42 * 42 + 1, drawn("leaf 42"))
    case("present with another count", "refused", present, wrong, siblings)
    case("present with the head of another stream", "refused", present, items[stream_key(stream(41))], siblings)
    case("present under another root", "refused", present, end.value, siblings, root=made(HEADS, heads(7)).root.hex())
    case("present in a map of another kind", "refused", present, end.value, siblings, map="aliases")
    case("present with a sibling missing", "refused", present, end.value, siblings[1:])
    case("present with a sibling too many", "refused", present, end.value, [*siblings, drawn("sibling").hex()])
    case("present with siblings from the root down", "refused", present, end.value, siblings[::-1])
    case("present with another key beside it", "refused", present, end.value, siblings, other_key=drawn("x").hex())
    case("absent where it is present", "refused", present, None, siblings)
    digest = value_digest(end.value or b"").hex()
    case(
        "absent by its own leaf", "refused", present, None, siblings, other_key=present.hex(), other_value_digest=digest
    )

    beside = nothing = False
    for number in range(100, 1_000):
        absent = stream_key(stream(number))
        end = tree.prove(absent)
        siblings = written(end.siblings)
        if end.other is not None and not beside:
            beside = True
            other, digest = end.other[0].hex(), value_digest(end.other[1]).hex()
            case(
                "absent with another key there",
                "holds",
                absent,
                None,
                siblings,
                other_key=other,
                other_value_digest=digest,
            )
            case("absent with the other key unsaid", "refused", absent, None, siblings)
            case(
                "absent with a digest cut short",
                "refused",
                absent,
                None,
                siblings,
                other_key=other,
                other_value_digest=digest[:-2],
            )
            far = bytearray(end.other[0])
            far[0] ^= 0x80
            case(
                "absent by a key that is elsewhere",
                "refused",
                absent,
                None,
                siblings,
                other_key=far.hex(),
                other_value_digest=digest,
            )
            case("present where another key is", "refused", absent, end.other[1], siblings)
        if end.other is None and not nothing:
            nothing = True
            case("absent with nothing there", "holds", absent, None, siblings)
            case("absent beside nothing", "refused", absent, None, ["", *siblings])
    if not (beside and nothing):
        raise SystemExit("among so many keys both kinds of absence occur")

    far_apart = {bytes(32): b"first", bytes(31) + b"\x01": b"second"}
    tree = made(HEADS, far_apart)
    end = tree.prove(bytes(32))
    siblings = written(end.siblings)
    case("present 256 siblings deep", "holds", bytes(32), end.value, siblings, root=tree.root.hex())
    case(
        "present with an empty subtree as zero bytes",
        "refused",
        bytes(32),
        end.value,
        [*siblings[:-1], bytes(32).hex()],
        root=tree.root.hex(),
    )
    case("present 257 siblings deep", "refused", bytes(32), end.value, [*siblings, ""], root=tree.root.hex())
    case("absent from an empty map", "holds", present, None, [], root=EMPTY.hex())
    case("absent from a map of another root", "refused", present, None, [], root=drawn("root").hex())

    tree = made(ALIASES, names(100))
    for number, name in ((10, "alias of two therapies"), (11, "alias of one therapy")):
        key = blinded_alias(ALIAS_KEY, "order", f"PO-{number}")
        end = tree.prove(key)
        siblings = written(end.siblings)
        case(name, "holds", key, end.value, siblings, map="aliases", root=tree.root.hex())
        claimed = alias_value([stream(number)] if number == 10 else [stream(number), stream(number + 1)])
        case(f"{name}, told as another number", "refused", key, claimed, siblings, map="aliases", root=tree.root.hex())
    return cases


def write(name: str, content: object) -> None:
    """Writes a file beside this script."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Writes all vectors."""
    write(
        "maps.json",
        [
            {
                "map": name,
                "keys": size,
                "items": {key.hex(): value.hex() for key, value in sorted(make(size).items())},
                "root": made(tags, make(size)).root.hex(),
            }
            for name, tags, make in (("heads", HEADS, heads), ("aliases", ALIASES, names))
            for size in SIZES
        ],
    )
    write(
        "aliases.json",
        {
            "ledger_id": LEDGER_ID.hex(),
            "alias_key": ALIAS_KEY.hex(),
            "commitment": AliasKey(LEDGER_ID, ALIAS_KEY).commitment.hex(),
            "key_file": AliasKey(LEDGER_ID, ALIAS_KEY).to_file().decode(),
            "aliases": [
                {"scheme": scheme, "value": value, "key": blinded_alias(ALIAS_KEY, scheme, value).hex()}
                for scheme, value in NAMES
            ],
        },
    )
    write("paths.json", paths())


if __name__ == "__main__":
    main()
