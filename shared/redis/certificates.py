"""Explain what is wrong with a server's certificate, or with our own files for TLS, in words for an operator."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

#: Options of a Redis URL that name files of ours.
_OWN: Final = ("ssl_certfile", "ssl_keyfile")

#: OpenSSL's ``X509_V_ERR_CERT_NOT_YET_VALID`` and ``…_HAS_EXPIRED``: a renewal or the right clock ends them.
_OF_TIME: Final = (9, 10)


def unusable_file(options: Mapping[str, Any]) -> str | None:
    """Describe the first unusable file among those that a connection's options name; None if all can be used."""
    authority: str | None = options.get("ssl_ca_certs")
    if authority:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
        except ssl.SSLError as error:
            return f"ssl_ca_certs={authority} holds no certificate ({_words(error)})"
        except OSError as error:
            return f"ssl_ca_certs={authority} cannot be read: {error.strerror}"
    for name in _OWN:
        if path := options.get(name):
            try:
                Path(path).open("rb").close()
            except OSError as error:
                return f"{name}={path} cannot be read: {error.strerror}"
    return None


def refusal(error: BaseException) -> tuple[str, bool] | None:
    """Return why TLS refused the server, and whether that may end by itself; None if the error is not of TLS."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}", cause.verify_code in _OF_TIME
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "unknown").lower().replace("_", " ")
