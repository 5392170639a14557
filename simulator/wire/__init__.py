"""The provider's HTTP client: prepared bytes over keep-alive connections, one request at a time on each.

A client library takes longer for one request than ingest does, and would be what a benchmark measures. ``reader`` is
pure and decides what an answer is; ``connection`` and ``wire`` move bytes.
"""

from ackfirst.simulator.wire.reader import BadAnswer, Reader
from ackfirst.simulator.wire.request import Place, encode
from ackfirst.simulator.wire.wire import Answer, Slowness, Wire

__all__ = ["Answer", "BadAnswer", "Place", "Reader", "Slowness", "Wire", "encode"]
