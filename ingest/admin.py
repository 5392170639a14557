"""The operator's HTTP side: ``/healthz``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import web

from ackfirst.ingest.metrics import Exposition
from ackfirst.ingest.snapshot import QueueSnapshot, Snapshots
from ackfirst.ingest.spool.keeper import Spool
from ackfirst.shared.policy import Policy

_METRICS_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"


class Admin:
    """Routes of the admin port.

    Args:
        snapshots: Snapshots of the queue in Redis.
        exposition: The metrics.
        policy: Shown by ``/readyz``.
        accounts: How many accounts are configured.
        suspects: Returns the accounts whose callbacks are all unconfirmed.
        data_lost: Returns what is known of lost data in Redis; empty when none was lost.
        spool: Shown by ``/readyz``; with it, ingest does its work also without Redis.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        exposition: Exposition,
        *,
        policy: Policy,
        accounts: int,
        suspects: Callable[[], list[dict[str, Any]]],
        spool: Spool,
        data_lost: Callable[[], dict[str, Any]],
    ) -> None:
        self._snapshots = snapshots
        self._exposition = exposition
        self._policy = policy
        self._accounts = accounts
        self._suspects = suspects
        self._spool = spool
        self._data_lost = data_lost

    def app(self) -> web.Application:
        """Make the aiohttp application."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        snapshot = await self._snapshots.refresh()
        readiness = self._readiness(snapshot)
        body = orjson.dumps(readiness, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(status=200 if readiness["ready"] else 503, body=body, content_type="application/json")

    def _readiness(self, snapshot: QueueSnapshot | None) -> dict[str, Any]:
        latency = self._snapshots.latency
        spool = self._spool.state()
        redis = {"ok": snapshot is not None, "latency_ms": latency and round(latency * 1000, 2), **self._data_lost()}
        return {
            "ready": snapshot is not None or spool["ok"],
            "redis": redis,
            "spool": spool,
            "policy": self._policy.value,
            "accounts": self._accounts,
            "suspect_accounts": self._suspects(),
            **({} if snapshot is None else _depths(snapshot)),
        }

    async def _metrics(self, _request: web.Request) -> web.Response:
        await self._snapshots.refresh()
        return web.Response(body=self._exposition.text(), headers={"Content-Type": _METRICS_TYPE})


def _depths(snapshot: QueueSnapshot) -> dict[str, Any]:
    return {
        "workers": snapshot.workers,
        "quarantine": {"records": snapshot.quarantine_records, "bytes": snapshot.quarantine_bytes},
        "set_aside": snapshot.set_aside,
        "lanes": {
            name: {"waiting": lane.waiting, "retries": lane.retries, "dead_letters": lane.dead_letters}
            for name, lane in snapshot.lanes.items()
        },
    }
