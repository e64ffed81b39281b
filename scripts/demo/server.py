"""Serve a ledger as the operator's command does, but by the clock that a story moves on.

`python -m demo.server CONFIGURATION READY-FILE CLOCK-FILE`
"""

from __future__ import annotations

import sys
from pathlib import Path

from cellcustody.services.configuration import load_configuration
from cellcustody.services.server import run_server
from demo.clock import StoryClock


def main() -> None:
    """Serves until SIGTERM."""
    configuration, ready_file, clock_file = map(Path, sys.argv[1:])
    run_server(load_configuration(configuration), ready_file=ready_file, now=StoryClock(clock_file))


if __name__ == "__main__":  # The process that records imports this module too.
    main()
