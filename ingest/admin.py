"""The operator's HTTP side: ``/healthz``, ``/readyz`` and ``/metrics``."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from aiohttp import web

from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.metrics import Exposition
from ackfirst.ingest.snapshot import Snapshots
from ackfirst.ingest.spool.keeper import Spool
from ackfirst.shared.findings import Finding, SpoolState, SystemState, UnconfirmedAccount, judge
from ackfirst.shared.findings.judge import record_state
from ackfirst.shared.policy import Policy
from ackfirst.shared.queue.snapshot import QueueSnapshot
from ackfirst.shared.version import installed_version

_METRICS_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"


class Admin:
    """Routes of the admin port.

    Args:
        snapshots: Snapshots of the queue in Redis.
        exposition: The metrics.
        policy: Shown by ``/readyz``.
        accounts: How many accounts are configured.
        limits: How much the quarantine holds.
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
        limits: IngestLimits,
        suspects: Callable[[], list[dict[str, Any]]],
        spool: Spool,
        data_lost: Callable[[], dict[str, Any]],
    ) -> None:
        self._snapshots = snapshots
        self._exposition = exposition
        self._policy = policy
        self._accounts = accounts
        self._limits = limits
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

    def own_findings(self) -> list[Finding]:
        """Return what is wrong with this process, for the operator's page, which judges the queue itself."""
        return judge(self._state(QueueSnapshot(workers=1), self._spool.state()))

    def _state(self, snapshot: QueueSnapshot | None, spool: Mapping[str, Any]) -> SystemState:
        lost = self._data_lost()
        return SystemState(
            queue=snapshot,
            redis_trouble=None if spool["circuit"] == "closed" else spool["circuit"],
            data_lost=lost.get("data_lost"),
            data_lost_seconds=_seconds_since(lost.get("data_lost_at")),
            quarantine_max_records=self._limits.quarantine_records,
            quarantine_max_bytes=self._limits.quarantine_bytes,
            spool=SpoolState(
                records=spool["records"],
                set_aside=spool["set_aside"],
                used_ratio=spool["used_ratio"],
                is_over_age=spool["over_age"],
                trouble=spool["trouble"],
            ),
            record=None if snapshot is None else record_state(snapshot),
            unconfirmed=tuple(map(_unconfirmed, self._suspects())),
        )

    def _readiness(self, snapshot: QueueSnapshot | None) -> dict[str, Any]:
        latency = self._snapshots.latency
        spool, lost = self._spool.state(), self._data_lost()
        return {
            "ready": snapshot is not None or spool["ok"],
            "version": installed_version(),
            "reasons": [finding.as_dict() for finding in judge(self._state(snapshot, spool))],
            "redis": {"ok": snapshot is not None, "latency_ms": latency and round(latency * 1000, 2), **lost},
            "spool": spool,
            "policy": self._policy.value,
            "accounts": self._accounts,
            "suspect_accounts": self._suspects(),
            **({} if snapshot is None else _depths(snapshot)),
        }

    async def _metrics(self, _request: web.Request) -> web.Response:
        await self._snapshots.refresh()
        return web.Response(body=self._exposition.text(), headers={"Content-Type": _METRICS_TYPE})


def _seconds_since(moment: str | None) -> float:
    return 0.0 if moment is None else time.time() - datetime.fromisoformat(moment).timestamp()


def _unconfirmed(suspect: Mapping[str, Any]) -> UnconfirmedAccount:
    if suspect["account"] is None:
        return UnconfirmedAccount(account=str(suspect["claimed_account"]), is_ours=False)
    return UnconfirmedAccount(account=suspect["account"], is_ours=True)


def _depths(snapshot: QueueSnapshot) -> dict[str, Any]:
    return {
        "workers": snapshot.workers,
        "quarantine": {"records": snapshot.quarantine_records, "bytes": snapshot.quarantine_bytes},
        "rejects": snapshot.rejects,
        "lanes": {
            name: {"waiting": lane.waiting, "retries": lane.retries, "dead_letters": lane.dead_letters}
            for name, lane in snapshot.lanes.items()
        },
    }
