"""Is a callback genuine? Pure: the answer depends on the accounts, the callback and the time.

Three ways to tell: a token that covers the body, a ``sig`` that covers the parameters, or an account that allows a
family to come unsigned.
"""

from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import URL_TOKEN
from ackfirst.shared.verification.token_path import FROM_THE_FUTURE
from ackfirst.shared.verification.verifier import Verifier

__all__ = ["FROM_THE_FUTURE", "URL_TOKEN", "Verification", "Verifier"]
