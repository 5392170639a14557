"""Decide whether a callback is genuine, from the accounts, the callback and the time.

Three things can prove it: a token that covers the body, a ``sig`` that covers the parameters, or an account that
allows a family to be unsigned.
"""

from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import URL_TOKEN
from ackfirst.shared.verification.token_path import FROM_THE_FUTURE
from ackfirst.shared.verification.verifier import Verifier

__all__ = ["FROM_THE_FUTURE", "URL_TOKEN", "Verification", "Verifier"]
