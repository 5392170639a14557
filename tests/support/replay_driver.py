"""Drive replays until killed: ``python -m tests.support.replay_driver <redis url> <store url>``."""

import sys
import time
from dataclasses import replace

import redis
import structlog

from ackfirst.shared.store import open_store
from ackfirst.workers.replay.runner import ReplayRunner
from tests.support.jobs import OPTIONS

if __name__ == "__main__":
    client = redis.Redis.from_url(sys.argv[1])
    runner = ReplayRunner(
        client, open_store(sys.argv[2]), replace(OPTIONS, is_recorded=True), log=structlog.get_logger()
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in range(20_000):  # bounded, should the test be killed
        runner.step(time.time())
        time.sleep(0.005)
