"""``redis+sentinel://`` URLs."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.redis.sentinel_url import UrlError, parse


def test_hosts_service_and_database_are_read() -> None:
    url = parse("redis+sentinel://one:26380,two,[::1]:26381/mymaster/3")
    assert url.hosts == [("one", 26380), ("two", 26379), ("::1", 26381)]
    assert url.service == "mymaster"
    assert url.master == {"db": 3}
    assert url.sentinel == {}


def test_user_and_password_are_the_masters_and_percent_decoded() -> None:
    url = parse("redis+sentinel://app:p%40ss%2Fw@one/mymaster")
    assert url.master == {"username": "app", "password": "p@ss/w", "db": 0}
    assert url.sentinel == {}


def test_a_password_needs_no_user() -> None:
    assert parse("redis+sentinel://:secret@one/m").master == {"password": "secret", "db": 0}


def test_the_sentinels_may_have_a_password_of_their_own() -> None:
    url = parse("redis+sentinel://one/m?sentinel_username=s&sentinel_password=p%26w")
    assert url.sentinel == {"username": "s", "password": "p&w"}
    assert url.master == {"db": 0}


def test_tls_is_for_both() -> None:
    url = parse("redis+sentinel://one/m?ssl=true&ssl_ca_certs=%2Fca.pem")
    assert url.sentinel == {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert url.master == {"ssl": True, "ssl_ca_certs": "/ca.pem", "db": 0}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+sentinel://one", "names the service"),
        ("redis+sentinel://one/", "names the service"),
        ("redis+sentinel:///m", "lists its hosts"),
        ("redis+sentinel://one,,two/m", "lists its hosts"),
        ("redis+sentinel://one:port/m", "lists its hosts"),
        ("redis+sentinel://one/m/x", "must be a number"),
        ("redis+sentinel://one/m?sslx=1", "'sslx' is not an option"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, problem: str) -> None:
    with pytest.raises(UrlError, match=problem):
        parse(url)


@given(st.text())
def test_whatever_the_url_only_one_kind_of_error_comes_out(rest: str) -> None:
    with suppress(UrlError):
        assert parse("redis+sentinel://" + rest).hosts


def test_passwords_are_not_shown() -> None:
    shown = repr(parse("redis+sentinel://:orchid@one/m?sentinel_password=lantern"))
    assert "orchid" not in shown
    assert "lantern" not in shown
