"""FastAPI on uvicorn (uvloop, httptools), the event handed to Celery in FastAPI's thread pool."""

import hashlib
import hmac
import os
import sys

import jwt
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from bench.peers.celery_app import job

SECRET = os.environ["BENCH_SECRET"]
app = FastAPI()


@app.post("/{path:path}")
async def receive(request: Request) -> Response:
    """Verify the token, check the body's hash, hand it over."""
    body = await request.body()
    token = request.headers["Authorization"].removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return Response(status_code=401)
    if not hmac.compare_digest(claims["payload_hash"], hashlib.sha256(body).hexdigest()):
        return Response(status_code=401)
    await run_in_threadpool(job.delay, body.decode())
    return Response()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
