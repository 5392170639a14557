"""Make a certificate that only its holders trust, and ask a server over TLS."""

import http.client
import ssl
import subprocess
from pathlib import Path


def certificate(folder: Path) -> Path:
    """Make ``fullchain.pem`` and ``privkey.pem`` for 127.0.0.1 in ``folder``; what to trust."""
    chain = folder / "fullchain.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "privkey.pem"), "-out", str(chain)),
        ],
        capture_output=True,
        check=True,
    )
    return chain


def https_status(port: int, path: str, authority: Path) -> int:
    """Return the answer to a GET over TLS, from a server that ``authority`` signed."""
    context = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
