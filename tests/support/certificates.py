"""A certificate authority of a test's own, made by ``openssl``."""

import shutil
import subprocess
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*args: str, cwd: Path) -> None:
    """Run it; its complaint when it fails."""
    if not shutil.which("openssl"):
        pytest.skip("makes certificates: install openssl")
    done = subprocess.run(["openssl", *args], cwd=cwd, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    """Signs certificates for 127.0.0.1 in a folder of its own, which is made; ``file`` is what clients trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.file = folder / "ca.pem"
        openssl(
            "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test", cwd=folder
        )
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")

    def certificate(self, name: str = "server", *, days: int = 2) -> tuple[Path, Path]:
        """Certificate and key of a server, good for so many days; fewer than none: it has expired."""
        return self._signed(name, by="ca", extensions="names", days=days)

    def certificate_by_intermediate(self) -> tuple[Path, Path, Path]:
        """Certificate and key of a server whose authority we have signed, and that authority's own certificate."""
        (self._folder / "authority").write_text("basicConstraints=critical,CA:TRUE\n")
        intermediate, _ = self._signed("intermediate", by="ca", extensions="authority", days=30)
        return *self._signed("leaf", by="intermediate", extensions="names", days=30), intermediate

    def _signed(self, name: str, *, by: str, extensions: str, days: int) -> tuple[Path, Path]:
        openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=self._folder)
        signer = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-extfile", extensions)
        request, result = ("-req", "-in", f"{name}.csr"), ("-out", f"{name}.pem", "-days", str(days))
        openssl("x509", *request, *signer, *result, cwd=self._folder)
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"
