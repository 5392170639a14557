"""Reference: the least that an aiohttp server can do with a callback. Reads the body, answers 200."""

import sys

import uvloop
from aiohttp import web


async def receive(request: web.Request) -> web.Response:
    """Read, answer, forget."""
    await request.read()
    return web.Response()


def main(port: int) -> None:
    """Serve on loopback until killed."""
    app = web.Application()
    app.router.add_post("/{path:.*}", receive)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
