"""dramatiq: one process with threads. With ``BENCH_SLEEP`` its tasks sleep instead of counting in Redis."""

import os
import sys
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

URL = os.environ["BENCH_REDIS_URL"]
SECONDS = float(os.environ.get("BENCH_SLEEP", "0"))
DONE = os.open(os.environ["BENCH_DONE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
dramatiq.set_broker(RedisBroker(url=URL))
client = redis.Redis.from_url(URL)


@dramatiq.actor
def job(body: str) -> None:
    """Count, or sleep and count."""
    if SECONDS:
        time.sleep(SECONDS)
        os.write(DONE, b".")
    else:
        client.incr("bench:done")


if __name__ == "__main__":
    for body in sys.stdin:
        job.send(body.rstrip("\n"))
