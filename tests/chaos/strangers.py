"""``python -m tests.chaos.strangers PORT CONNECTIONS SECONDS [API_KEY]``: a flood of forgeries that look genuine.

A process of its own. Each connection sends one request after the other, as fast as it is answered: tokens of a wrong
secret that name the account and hold the hash of the body, tokens of other accounts, bodies that were changed.
"""

import asyncio
import json
import random
import sys
import time
from typing import cast

import uvloop

from tests.support.factories import API_KEY, inbound_message
from tests.support.nexmo import signed_headers

KINDS = 300


def requests(dice: random.Random, api_key: str) -> list[bytes]:
    """Make the requests before the clock starts: their signatures would cost more than the answers."""
    made = []
    for number in range(KINDS):
        body = json.dumps(inbound_message(message_uuid=f"forged-{number}", text=dice.randbytes(40).hex())).encode()
        key = api_key if number % 3 else dice.randbytes(4).hex()
        headers = signed_headers(body, api_key=key, secret=dice.randbytes(16).hex())
        if number % 5 == 0:
            body = body.replace(b"forged", b"change")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["POST /webhooks/inbound-message HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *lines, "", ""]
        made.append("\r\n".join(head).encode() + body)
    return made


class Stranger(asyncio.Protocol):
    """One connection."""

    answers = 0

    def __init__(self, made: list[bytes], dice: random.Random) -> None:
        self._made = made
        self._dice = dice

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._dice.choice(self._made))

    def data_received(self, data: bytes) -> None:
        Stranger.answers += 1
        if not self._transport.is_closing():
            self._transport.write(self._dice.choice(self._made))


async def flood(port: int, connections: int, seconds: float, api_key: str = API_KEY) -> None:
    dice = random.Random(0)
    made = requests(dice, api_key)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Stranger(made, dice), "127.0.0.1", port)
    began = time.monotonic()
    sys.stdout.write("flooding\n")
    sys.stdout.flush()
    await asyncio.sleep(seconds)
    sys.stdout.write(f"{Stranger.answers / (time.monotonic() - began):.0f} answers a second\n")


if __name__ == "__main__":
    uvloop.run(flood(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]))
