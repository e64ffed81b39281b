"""Simulate courses of therapy through the real clients against a running server, to try a ledger out.

FOR TRYING OUT ONLY. Statement ids, salts and the people's private keys come from a seeded generator, so that the same
seed gives the same acts: whoever knows the seed can sign for everybody in such a ledger and open all that it hides.
Nothing of this package has a place in a ledger that real cells depend on.

`Ground` is where the simulated sites stand (`world`), `simulate` runs the therapies (`running`), `Summary` tells what
came of them (`summary`).
"""

from cellcustody.clients.simulation.running import Wishes, simulate
from cellcustody.clients.simulation.summary import Deviation, Summary
from cellcustody.clients.simulation.world import Ground, LedgerFolder, open_ground

__all__ = ["Deviation", "Ground", "LedgerFolder", "Summary", "Wishes", "open_ground", "simulate"]
