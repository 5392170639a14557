"""What is looked at before ingest begins: is there a Redis, could it lose events, is there an account at all."""

from contextlib import closing

from ingest.ack_log import Log
from shared.accounts import Accounts
from shared.errors import ConfigurationError
from shared.preflight import inspect
from shared.redis_client import reachable, sync_redis
from shared.settings import Settings


def check_redis(settings: Settings, log: Log, *, may_be_away: bool) -> None:
    """Warn of a Redis that could lose events, and refuse one that does not answer unless it ``may_be_away``.

    A supervisor restarts ingest also while Redis is away: then events go to the spool until Redis is back.

    Raises:
        ConfigurationError: Redis does not answer, or it is not safe and ``ACKFIRST_REQUIRE_SAFE_REDIS`` is set.
    """
    url = settings.redis_url.get_secret_value()
    try:
        reachable(url)
    except ConfigurationError:
        if may_be_away:
            return
        raise
    with closing(sync_redis(url)) as client:
        findings = inspect(client)
    if findings and settings.require_safe_redis:
        reasons = "; ".join(str(finding) for finding in findings)
        raise ConfigurationError(f"ACKFIRST_REQUIRE_SAFE_REDIS is set, and this Redis is not safe: {reasons}")
    for finding in findings:
        log.warning(
            "redis.unsafe",
            setting=finding.setting,
            found=finding.found,
            wanted=finding.wanted,
            consequence=finding.consequence,
        )


def check_accounts(accounts: Accounts, log: Log) -> None:
    """Warn when nothing can be verified."""
    if not accounts:
        log.warning(
            "accounts.none",
            consequence="no callback can be verified: whatever is signed is parked in quarantine as suspect",
            check="ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET, or ACKFIRST_CONFIG",
        )
