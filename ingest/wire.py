"""Answers as HTTP: as aiohttp's responses, and as the bytes that aiohttp would make of them."""

from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from ackfirst.ingest.http import Answer

#: What answers: not which version of which library, as aiohttp would tell strangers.
NAME: Final = "ackfirst"

_JSON: Final = "application/json"

Reply = Callable[[bytes, bool], None]
"""Sends an answer; True when it is the last one of its connection."""


def as_response(answer: Answer) -> web.Response:
    """The answer for aiohttp to send."""
    if answer.error is None:
        return web.Response(status=answer.status)
    headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
    return web.Response(status=answer.status, body=_body(answer.error), content_type=_JSON, headers=headers)


def on_the_wire(answer: Answer, *, now: float, last: bool) -> bytes:
    """The same as bytes, HTTP/1.1: at Unix time ``now``, and whether it is the last one of its connection."""
    return _bytes(answer.status, answer.error, answer.retry_after, int(now), last)


@lru_cache(maxsize=64)
def _bytes(status: int, error: str | None, retry_after: int | None, second: int, last: bool) -> bytes:  # noqa: FBT001 - by position, for the cache
    body = b"" if error is None else _body(error)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *([] if retry_after is None else [f"Retry-After: {retry_after}"]),
        *([f"Content-Type: {_JSON}"] if body else []),
        f"Content-Length: {len(body)}",
        f"Date: {formatdate(second, usegmt=True)}",
        f"Server: {NAME}",
        *(["Connection: close"] if last else []),
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def _body(error: str) -> bytes:
    return orjson.dumps({"error": error})
