"""What an operator looks at: the page in a browser, its JSON, and ``rq info``."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.compose.stack import Stack

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")

#: Milliseconds of a page's own clock, for its requests to come back.
_BUDGET: Final = 8000


def screenshot(stack: Stack, path: str, file: Path) -> bool:
    """A picture of a part of the page; False where there is no browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return False
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,1000"),
            *(f"--virtual-time-budget={_BUDGET}", f"--screenshot={file}", f"{stack.web_url}{path}"),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return file.exists()


def rq_info(stack: Stack) -> str:
    """RQ's own view, from inside a worker's container."""
    return stack.exec("worker", "sh", "-c", 'rq info --raw --url "$(cat /etc/ackfirst/redis-url)"')
