"""Commands of the documentation, so that they are run word for word."""

import re

from tests.compose.engine import ROOT

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shell_blocks(heading: str, page: str = "docs/deployment.md") -> list[str]:
    """The shell commands of a section, one text a block, in order.

    Raises:
        ValueError: There is no such section.
    """
    _, found, rest = (ROOT / page).read_text().partition(f"\n{heading}\n")
    if not found:
        raise ValueError(f"{page} has no section {heading}")
    section = re.split(r"^#{1,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return _BLOCK.findall(section)
