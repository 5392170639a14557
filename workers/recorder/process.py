"""Run the recorder's process, from the settings to its end."""

import os
import random
import signal
import socket
from typing import Final

import structlog

from ackfirst.shared.queue import keys
from ackfirst.shared.settings import Settings
from ackfirst.shared.store import open_store
from ackfirst.workers.connection import connect
from ackfirst.workers.lease import Lease
from ackfirst.workers.recorder.high_water import HighWater
from ackfirst.workers.recorder.recorder import Recorder
from ackfirst.workers.recorder.stream import RecordStream
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.replay.runner import ReplayRunner
from ackfirst.workers.unavailable import retry_while_unavailable

#: Added to the niceness of the process: engines come first, and they have 10.
NICENESS: Final = 15


def run_recorder(settings: Settings) -> None:
    """Be a recorder until a stop signal; return at once if the record is off."""
    url = settings.record_url
    if url is None:
        return
    os.nice(NICENESS)
    redis = connect(settings)
    log = structlog.get_logger("ackfirst.workers.recorder")
    token = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(64):x}"
    recorder = Recorder(
        RecordStream(redis, log=log),
        Lease(redis, keys.RECORDER_LEASE, token=token),
        lambda: open_store(url, migrate=True),
        high_water=HighWater(redis, log=log),
        replays=lambda store: ReplayRunner(redis, store, settings.job_options, log=log),
        keep=settings.store_keep,
        clock=RedisClock(redis),
        retry=retry_while_unavailable(log),
        log=log,
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: recorder.stop())
    recorder.run()
