"""Who opens the project finds any file, and any step of a callback's path, in the architecture page."""

import re
import shutil

import pytest

from tests.support import file_listing

_IN_GIT = shutil.which("git") is not None and (file_listing.ROOT / ".git").exists()


@pytest.mark.skipif(not _IN_GIT, reason="the listing follows git, and this is no checkout")
def test_the_page_lists_every_file_with_what_it_is() -> None:
    assert file_listing.written() == file_listing.listing(), "run: python -m tests.support.file_listing"


@pytest.mark.skipif(not _IN_GIT, reason="the listing follows git, and this is no checkout")
def test_every_file_says_what_it_is() -> None:
    assert [name for name in file_listing.files() if not file_listing.purpose(name)] == []


def test_every_function_on_the_path_of_a_callback_exists() -> None:
    path = file_listing.PAGE.read_text().partition("## The path of a callback")[2].partition("## Rooms")[0]
    rows = [line.split("|")[2] for line in path.splitlines() if line.startswith("| ") and "---" not in line]
    names = {name.rpartition(".")[2] for row in rows[1:] for name in re.findall(r"`([\w.]+)`", row)}
    source = "\n".join(file.read_text() for file in file_listing.ROOT.glob("*/**/*.py") if ".venv" not in file.parts)
    defined = set(re.findall(r"^\s*(?:async )?(?:def|class) (\w+)", source, re.MULTILINE))
    modules = {"steering"}
    assert names - defined - modules == set()
    assert names, "the page has a path"
