"""Place the ids of seen events in small sets of integers, one for each period and bucket: 8 bytes an event.

An event id ends in 32 hexadecimal digits of a SHA-256, which are folded to 81 bits: 17 name one of 131,072 buckets, the
other 64 are the member. Redis keeps a set of up to 512 integers (``set-max-intset-entries``) as a sorted array, so a
member costs 8 bytes and its share of the key. The window is cut into three periods; a set holds what was first seen in
one of them and expires as a whole when the window has passed for its youngest member: an id is remembered for one
window at the least and for four thirds of it at the most. A bucket of a day holds about 200 members at 300 events a
second, and stays below 512 up to 700 a second; beyond that sets become hash tables: correct, but dearer.

Collisions: two ids are taken for the same when all 81 bits agree. With n ids in memory that happens at all with a
probability of n*(n-1)/2 / 2**81. At 300 events a second and four days n is 104 million, the probability 2.2e-9: less
than one false duplicate in 10**8 windows.
"""

import math
import re
from hashlib import sha256
from typing import Final

#: How long an event is remembered at the least: the longest that a provider is documented to retry.
DEDUPE_SECONDS: Final = 72 * 3600

#: Parts of the window, each with sets of its own. A look-up asks the current part, three before it, and the one after
#: it: after a clock was set back, the newest ids stand in the future.
PERIODS: Final = 3
BUCKET_BITS: Final = 17
MEMBER_BITS: Final = 64

_BITS: Final = BUCKET_BITS + MEMBER_BITS
_ALL_ONES: Final = 2**_BITS - 1
_MEMBER_ONES: Final = 2**MEMBER_BITS - 1
_MEMBER_HALF: Final = 2 ** (MEMBER_BITS - 1)
_DIGITS: Final = 32
_HEX: Final = re.compile(r"[0-9a-f]{32}").fullmatch


def period(window: int) -> int:
    """Return the seconds of one period, for a window of so many seconds."""
    return max(1, math.ceil(window / PERIODS))


def place(event_id: str) -> tuple[str, str]:
    """Return the bucket (five hexadecimal digits) and the member (a signed 64-bit integer in decimal) of an event."""
    digits = event_id[-_DIGITS:]
    if not _HEX(digits):  # an id that is not of our making
        digits = sha256(event_id.encode()).hexdigest()[:_DIGITS]
    bits = int(digits, 16)
    bits = (bits ^ (bits >> _BITS)) & _ALL_ONES
    bucket, member = bits >> MEMBER_BITS, bits & _MEMBER_ONES
    return f"{bucket:05x}", str(member - _MEMBER_HALF)
