"""A web application that processes each callback before it answers, as is often done.

An exception in its code becomes a 500, as in any web framework. ``ackfirst simulate stall-demo`` shows the effect of
that; ``stall_handlers.py`` does the same work behind ackfirst. Run it with ``python -m examples.plain_app PORT``.
"""

import os
import sys

import jwt
from aiohttp import web

from examples.harbour import work


async def callback(request: web.Request) -> web.Response:
    """Handle a callback of the Messages API: verify, process, answer."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, os.environ["HARBOUR_SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return web.Response(status=401)
    message = await request.json()
    work(claims.get("application_id"), f"{message['message_uuid']} {message.get('status', 'inbound')}")
    return web.Response()


def main() -> None:
    """Serve on the loopback port that the command line names."""
    app = web.Application()
    app.router.add_get("/{path:.*}", lambda _request: web.Response())  # Nexmo checks the URL with an empty GET
    app.router.add_post("/{path:.*}", callback)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
