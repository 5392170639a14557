"""Know the callback that ``ackfirst doctor`` sends through the whole installation."""

from collections.abc import Mapping
from typing import Any, Final

#: The only field of its body; the value is made by chance.
FIELD: Final = "ackfirst_self_test"


def is_self_test(family: str, payload: Mapping[str, Any]) -> bool:
    """Return True for a self-test: a confirmed callback of no known family with our field and no other."""
    return family == "other" and payload.keys() == {FIELD}
