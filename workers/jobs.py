"""Run jobs under a stock RQ worker: ``rq worker --serializer json ackfirst-<lane>``.

Every job names the function ``process`` of this module. Our own worker has a processor and does not call it; the jobs
are the same.
"""

import functools
import os

from rq import get_current_job

from ackfirst.shared import log
from ackfirst.shared.redis.client import sync_redis
from ackfirst.shared.settings import load_settings
from ackfirst.workers.engine.event_job import FOR_EVER
from ackfirst.workers.processing.processor import Processor
from ackfirst.workers.runtime import build_processor, load_handlers, outcome_sink
from ackfirst.workers.unavailable import try_once


def process(envelope_text: str) -> str:
    """Run the handlers that are due; see ``Processor.process``.

    Raises:
        RuntimeError: No RQ worker is running this.
    """
    job = get_current_job()
    if job is None:
        raise RuntimeError("ackfirst.workers.jobs.process runs only as an RQ job")
    processor, is_recorded = _processor()
    if is_recorded:
        job.result_ttl = FOR_EVER  # RQ itself keeps the finished job until the recorder has read it
    return processor.process(envelope_text, job)


@functools.cache
def _processor() -> tuple[Processor, bool]:
    """Make the processor of this process from the environment, which a stock worker cannot pass as arguments.

    Second: whether the record is on.
    """
    settings = load_settings(os.environ)
    # Unasked, structlog would print a handler's local variables: a person's number and text.
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal, libraries=False)
    redis = sync_redis(settings.redis_url.get_secret_value())
    # RQ's own worker ends the job, in a transaction that cannot be added to: the outcome is recorded just before. If
    # the worker is killed in between, the job runs again, finds its handlers' marks, and is recorded as ended again.
    sink = outcome_sink(redis, is_recorded=settings.is_recorded)
    processor = build_processor(settings, load_handlers(settings), redis, retry=try_once, sink=sink)
    return processor, settings.is_recorded
