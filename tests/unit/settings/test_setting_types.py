"""Addresses, durations and lists, as an operator writes them."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.settings.types import Address, seconds


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        (":8080", "0.0.0.0", 8080),
        ("[::]:8080", "::", 8080),
        (" [::1]:65535 ", "::1", 65535),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize(
    "text", ["", "8080", "localhost", "localhost:", "localhost:-1", "a:65536", "::1", "a:٣", "a:1:2"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|port"):
        Address.parse(text)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_is_written_as_it_is_read(host: IPv4Address | IPv6Address, port: int) -> None:
    address = Address(str(host), port)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("0.25", 0.25), ("250ms", 0.25), ("1.5m", 90), ("2h", 7200), ("7 d", 604800), (".5s", 0.5)],
)
def test_a_duration_may_have_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "5 minutes", "-1", "1e3", "0x10", "1,5", "٣"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use seconds"):
        seconds(text)
