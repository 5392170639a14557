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
from ackfirst.workers.processing.processor import Processor
from ackfirst.workers.runtime import build_processor, load_handlers
from ackfirst.workers.unavailable import try_once


def process(envelope_text: str) -> str:
    """Run the handlers that are due; see ``Processor.process``.

    Raises:
        RuntimeError: No RQ worker is running this.
    """
    job = get_current_job()
    if job is None:
        raise RuntimeError("ackfirst.workers.jobs.process runs only as an RQ job")
    return _processor().process(envelope_text, job)


@functools.cache
def _processor() -> Processor:
    """Make the processor of this process from the environment: a stock worker cannot pass arguments."""
    settings = load_settings(os.environ)
    # Unasked, structlog would print a handler's local variables: a person's number and text.
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal, libraries=False)
    redis = sync_redis(settings.redis_url.get_secret_value())
    return build_processor(settings, load_handlers(settings), redis, retry=try_once)
