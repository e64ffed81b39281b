"""Hold a dossier to the form of its file; what else there is to verify is printed as UNVERIFIED."""

import struct
import sys
import zlib
from pathlib import Path

NAMES = (
    "README.txt",
    "index.html",
    "verify.py",
    "manifest.binpb",
    "checkpoint",
    "timestamps.binpb",
    "entries.bin",
    "bodies.binpb",
    "proof.bin",
    "heads.binpb",
)


def rebuilt(data: bytes) -> bytes:
    """Returns the one ZIP that the contents of this one make."""
    local, central, at = b"", b"", 0
    for name in NAMES:
        length = struct.unpack_from("<I", data, at + 22)[0]
        content = data[at + 30 + len(name) : at + 30 + len(name) + length]
        common = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, zlib.crc32(content), length, length, len(name), 0)
        central += b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<4H2I", 0, 0, 0, 0, 0, at) + name.encode()
        local += b"PK\3\4" + common + name.encode() + content
        at = len(local)
    return local + central + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 10, 10, len(central), at, 0)


if __name__ == "__main__":
    given = Path(sys.argv[1]).read_bytes()
    try:
        whole = rebuilt(given) == given
    except struct.error:
        whole = False
    print("CONTAINER", "PASSED" if whole else "FAILED")
    print("everything else UNVERIFIED")
    sys.exit(1)
