"""Free ports for the processes of tests.

Some seconds pass between the choice of a port and its use. So each pytest worker has ports of its own, and none is
given out again before all others were.
"""

import os
import random
from itertools import cycle

from ackfirst.shared.processes.free_port import PORTS, is_free

#: Most pytest workers that have ports of their own.
_SHARES = 16
_share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _SHARES
_own = PORTS[_share::_SHARES]
_turns = cycle(random.sample(_own, len(_own)))


def free_port() -> int:
    """A loopback port that no process listens on, and that no other test of this run was given lately."""
    return next(filter(is_free, _turns))
