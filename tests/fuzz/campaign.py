"""Feed bent inputs to every reader: `python -m tests.fuzz.campaign SEED COUNT`, COUNT inputs in all.

Prints one JSON object: how many inputs each reader took and refused, and what it did that it may not.
"""

from __future__ import annotations

import json
import sys
import time
from random import Random

from tests.fuzz.bending import bent
from tests.fuzz.targets import Target, single_file, targets

from cellcustody.ledger.errors import CellcustodyError

SECONDS_MAX = 2.0  # For one input; a reader that takes longer can be made to hang.
DEFECTS_KEPT_MAX = 20


def campaign(seed: int, count: int) -> dict[str, object]:
    """Feeds `count` inputs, shared evenly among all readers, and returns what came of them."""
    readers = targets()
    taken: dict[str, int] = {}
    defects: list[str] = []
    for reader in readers:
        random = Random(f"{seed}/{reader.name}")
        taken[reader.name] = 0
        for seed_input in reader.seeds:
            _feed(reader, seed_input, defects)
        for _ in range(count // len(readers)):
            started = time.perf_counter()
            raw = bent(random, reader.seeds)
            taken[reader.name] += _feed(reader, raw, defects)
            if time.perf_counter() - started > SECONDS_MAX:
                defects.append(f"{reader.name}: slow: {raw[:200]!r}")
    return {
        "inputs": count // len(readers) * len(readers),
        "taken": taken,
        "defects": len(defects),
        "first": defects[:DEFECTS_KEPT_MAX],
    }


def _feed(reader: Target, raw: bytes, defects: list[str]) -> bool:
    """Returns whether it was taken; notes what must not be."""
    try:
        found = reader.reads(raw)
    except (CellcustodyError, *reader.refuses):
        is_taken, found = False, None
    except Exception as crash:
        defects.append(f"{reader.name}: {type(crash).__name__}: {crash}: {raw[:300]!r}")
        return False
    else:
        is_taken = True
    if is_taken and reader.again is not None and (written := reader.again(found)) != raw:
        defects.append(f"{reader.name}: two spellings: {raw[:200]!r} and {written[:200]!r}")
    if reader.other is not None and is_taken is not _other_takes(reader, raw, defects):
        defects.append(f"{reader.name}: {'taken' if is_taken else 'refused'} here, and not by the other: {raw[:300]!r}")
    return is_taken


def _other_takes(reader: Target, raw: bytes, defects: list[str]) -> bool:
    single = single_file()
    assert reader.other is not None
    try:
        reader.other(raw)
    except (single.Defect, single.Broken, single.UnverifiableError):
        return False
    except Exception as crash:
        defects.append(f"{reader.name}, single file: {type(crash).__name__}: {crash}: {raw[:300]!r}")
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(campaign(int(sys.argv[1]), int(sys.argv[2])), indent=1))
