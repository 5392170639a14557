"""The embedded server's configuration file."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.embedded.config import quoted, render

PATHS = st.binary(min_size=1).filter(lambda name: 0 not in name and name != b".")


def directives(text: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b" ", 1) for line in text.splitlines())  # type: ignore[arg-type]


def test_what_was_acknowledged_is_on_disk_and_is_never_evicted() -> None:
    found = directives(render(folder=Path("/data"), socket=Path("/data/s"), max_memory=1 << 30))

    assert found[b"appendonly"] == b"yes"
    assert found[b"appendfsync"] == b"always"
    assert found[b"maxmemory-policy"] == b"noeviction"
    assert found[b"maxmemory"] == b"1073741824"


def test_nobody_reaches_it_over_the_network() -> None:
    found = directives(render(folder=Path("/data"), socket=Path("/data/s"), max_memory=1))

    assert found[b"port"] == b"0"
    assert found[b"unixsocketperm"] == b"700"


def test_a_path_with_spaces_and_quotes_is_one_argument() -> None:
    assert quoted(Path('/my data/a "b" \\c')) == b'"/my data/a \\"b\\" \\\\c"'


@given(name=PATHS)
def test_any_file_name_becomes_one_printable_line_that_means_the_same(name: bytes) -> None:
    path = Path("/" + os.fsdecode(name))
    line = quoted(path)

    assert all(0x20 <= byte < 0x7F for byte in line)
    assert line.decode().startswith('"')
    assert line[1:-1].decode("unicode_escape").encode("latin-1") == os.fsencode(path)
