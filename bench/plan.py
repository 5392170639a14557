"""How much a run measures."""

from dataclasses import dataclass

from bench.peers.install import Peers


@dataclass(frozen=True, slots=True)
class Plan:
    """The same for all sections."""

    rounds: int
    """Times that each pair is measured, in turns."""
    count: int
    """Callbacks or jobs a round; what is slow gets fewer."""
    peers: Peers | None
    """Other people's queues; None where they are left out."""
