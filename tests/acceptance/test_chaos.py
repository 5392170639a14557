"""One fault of each part of the system: nothing acknowledged is missing. ``make chaos`` runs the whole matrix."""

import sys

import pytest

from tests.chaos.fault import Fault
from tests.chaos.load import QUICK, Kind
from tests.chaos.matrix import FAULTS
from tests.chaos.play import play
from tests.chaos.table import plain
from tests.support.small_disk import cannot_mount

ROWS = [
    pytest.param(fault, (Kind.STEADY, Kind.BURST)[number % 2], id=fault.name)
    for number, fault in enumerate(fault for fault in FAULTS if fault.quick)
]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize(("fault", "kind"), ROWS)
def test_nothing_acknowledged_is_lost_by(fault: Fault, kind: Kind) -> None:
    if fault.disk and (reason := cannot_mount()):
        pytest.skip(reason)
    ledger = play(fault, kind, QUICK[kind], seed=7, timed=False)
    assert ledger.holds, plain(ledger)
