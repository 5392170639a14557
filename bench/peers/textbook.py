"""Reference: the way the documentation suggests. aiohttp, ``jwt.decode``, ``Queue.enqueue`` in a thread pool."""

import asyncio
import hashlib
import hmac
import os
import sys

import jwt
import uvloop
from aiohttp import web
from redis import Redis
from rq import Queue, Retry
from rq.serializers import JSONSerializer


def build(redis_url: str, secret: str) -> web.Application:
    """One route: verify the token, check the body's hash, enqueue the body."""
    queue = Queue("textbook", connection=Redis.from_url(redis_url), serializer=JSONSerializer)

    def enqueue(body: str, message_id: str) -> None:
        queue.enqueue("math.sqrt", body, job_id=message_id, description="callback", retry=Retry(max=6, interval=5))

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return web.Response(status=401)
        if not hmac.compare_digest(claims["payload_hash"], hashlib.sha256(body).hexdigest()):
            return web.Response(status=401)
        message_id = (await request.json())["message_uuid"]
        await asyncio.to_thread(enqueue, body.decode(), message_id)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", receive)
    return app


def main(port: int) -> None:
    """Serve on loopback until killed."""
    uvloop.install()
    app = build(os.environ["BENCH_REDIS_URL"], os.environ["BENCH_SECRET"])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
