"""The ``sig`` parameter of SMS API callbacks: five digests over the sorted parameters.

Source: Vonage, "Signing messages", and the vendor's SDKs where that guide is silent. The scheme is weak by design: in
values ``&``, ``=`` and ``_`` become one character, so parameters that differ only in those share a signature.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

SmsMethod = Literal["md5hash", "md5", "sha1", "sha256", "sha512"]
"""The account's setting at Nexmo. ``md5hash`` is a plain MD5 with the secret appended; the other four are HMACs."""

METHODS: Final[tuple[SmsMethod, ...]] = get_args(SmsMethod)

_HEX_DIGITS: Final[Mapping[SmsMethod, int]] = {"md5hash": 32, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_DELIMITERS: Final = str.maketrans("&=", "__")


def sign_parameters(parameters: Mapping[str, str], *, secret: bytes, method: SmsMethod) -> str:
    """The ``sig`` of decoded parameters: hex, in the case usual on the wire (``md5hash`` lower, the rest upper).

    A ``sig`` among the parameters is left out of what is signed; everything else counts, known or not.

    Raises:
        ValueError: The secret is empty.
    """
    if not secret:
        raise ValueError("the secret of an SMS signature must not be empty")
    digest = _digest(base_string(parameters), secret, method)
    return digest if method == "md5hash" else digest.upper()


def matches(parameters: Mapping[str, str], sig: str, *, secret: bytes, method: SmsMethod) -> bool:
    """Whether ``sig``, in either case, signs ``parameters``. Constant time; an empty secret confirms nothing."""
    return is_well_formed(sig) and base_matches(base_string(parameters), sig, secret=secret, method=method)


def base_matches(base: bytes, sig: str, *, secret: bytes, method: SmsMethod) -> bool:
    """``matches`` for who tries several secrets on one ``base_string``; ``sig`` must be well formed."""
    return bool(secret) and fits(sig, method) and hmac.compare_digest(sig.lower(), _digest(base, secret, method))


def is_well_formed(sig: object) -> bool:
    """Whether ``sig`` could have come from one of the methods: text of 32, 40, 64 or 128 hex digits."""
    return isinstance(sig, str) and len(sig) in _HEX_DIGITS.values() and _HEX.fullmatch(sig) is not None


def fits(sig: str, method: SmsMethod) -> bool:
    """Whether ``sig`` has the length of that method: if not, the account signs with another one."""
    return len(sig) == _HEX_DIGITS[method]


def base_string(parameters: Mapping[str, str]) -> bytes:
    """What is signed: ``&key=value`` of each parameter in the byte order of the keys, nothing percent-encoded.

    In values, not in keys, ``&`` and ``=`` become ``_``. A ``sig`` is left out.
    """
    pairs = sorted(
        (_bytes(key), _bytes(value.translate(_DELIMITERS))) for key, value in parameters.items() if key != "sig"
    )
    return b"".join(b"&%b=%b" % pair for pair in pairs)


def _digest(base: bytes, secret: bytes, method: SmsMethod) -> str:
    if method == "md5hash":
        return hashlib.md5(base + secret, usedforsecurity=False).hexdigest()
    return hmac.digest(secret, base, method).hex()


def _bytes(text: str) -> bytes:
    """The bytes on the wire: undecodable ones were read as surrogate escapes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, which only JSON can spell: no signer agrees on its bytes
        return text.encode("utf-8", "surrogatepass")
