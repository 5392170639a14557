"""Check before the start: does Redis answer, could it lose events, is any account configured."""

from contextlib import closing

from ackfirst.ingest.request_log import Log
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError, RedisUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import reachable, sync_redis
from ackfirst.shared.redis.preflight import inspect
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import doubtful_secrets


def check_redis(settings: Settings, log: Log) -> None:
    """Warn of a Redis that could lose events, and of one that does not answer: events go to the spool until it does.

    Raises:
        ConfigurationError: Redis refuses us, or it is not safe and ``ACKFIRST_REQUIRE_SAFE_REDIS`` is set.
    """
    url = settings.redis_url.get_secret_value()
    try:
        reachable(url, spaces=keys.INGEST_SPACES)
    except RedisUnavailableError as error:
        log.warning(
            "redis.away", reason=str(error), consequence="verified events go to the spool on disk until it is back"
        )
        return
    with closing(sync_redis(url)) as client:
        findings = inspect(client)
    unsafe = [finding for finding in findings if not finding.is_safe]
    if unsafe and settings.require_safe_redis:
        reasons = "; ".join(map(str, unsafe))
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
            consequence="no callback can be verified: whatever is signed goes to quarantine as suspect",
            check="ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET, or ACKFIRST_CONFIG",
        )
    for doubt in doubtful_secrets(accounts):
        log.warning("accounts.doubtful-secret", doubt=doubt, consequence="if it is wrong, callbacks are quarantined")
