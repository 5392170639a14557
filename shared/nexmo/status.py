"""Order the statuses of a message, so that a late or repeated one never overwrites a better one.

The order is that of the lifecycle (Messages API: submitted, delivered, read; SMS API: accepted, buffered, delivered).
Failures are final and rank highest: the first one stays. Two statuses of the same rank do not replace each other.
"""

from typing import Final

#: Rank of no status at all, such as that of an inbound message.
NO_STATUS: Final = 0
#: Rank of a status that is not listed: the provider may add some. Any listed one replaces it.
UNKNOWN_STATUS: Final = 1

_RANKS: Final = {
    **dict.fromkeys(("submitted", "accepted"), 10),
    "buffered": 15,
    "delivered": 20,
    # ``seen`` is mentioned in the API's guides and is in no list of its statuses.
    **dict.fromkeys(("read", "seen"), 30),
    # ``unknown`` is a final receipt too: the Messages API reports it as rejected.
    **dict.fromkeys(("rejected", "undeliverable", "failed", "expired", "unknown"), 40),
}


def status_rank(status: str | None) -> int:
    """Return the rank of a status in any case; a higher one replaces a lower one."""
    return _RANKS.get(status.strip().lower(), UNKNOWN_STATUS) if status and status.strip() else NO_STATUS
