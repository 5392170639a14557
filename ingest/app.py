"""Wire up one ingest process, start it, and stop it so that nothing it has read goes unanswered."""

import asyncio
import os
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ackfirst.ingest.admin import Admin
from ackfirst.ingest.alarm import Alarm
from ackfirst.ingest.body import BodyReader
from ackfirst.ingest.cancellation import cancel_all
from ackfirst.ingest.connections import (
    HEAD_TIMEOUT_SECONDS,
    ConnectionGuard,
    room_for_connections,
)
from ackfirst.ingest.durable import ABANDON_SECONDS, Durability
from ackfirst.ingest.figures import FiguresPublisher
from ackfirst.ingest.http import Edge
from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.listener import Listener
from ackfirst.ingest.metrics import Exposition, IngestMetrics
from ackfirst.ingest.quarantine import BoundedQuarantine
from ackfirst.ingest.receiver import Receiver
from ackfirst.ingest.refusals import Refusals
from ackfirst.ingest.request_log import Log, RequestLog
from ackfirst.ingest.server import GuardedServer, sender_of
from ackfirst.ingest.snapshot import Snapshots
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.quarantine.stream import Quarantine
from ackfirst.shared.redis.client import async_redis
from ackfirst.shared.settings import Address, Settings
from ackfirst.shared.verification import Verifier

#: Seconds until a connection to Redis that does not answer is given up. Callbacks have their own, shorter deadline.
REDIS_TIMEOUT_SECONDS: Final = 2.0

#: Connections for the quarantine and for the admin port.
SIDE_CONNECTIONS: Final = 4

#: Seconds that idle connections have to close.
CLOSING_SECONDS: Final = 1.0


class IngestServer:
    """All parts of one ingest process.

    Args:
        settings: Limits, addresses, policy.
        accounts: The accounts whose callbacks we accept.
        log: A structlog logger.
        lines: Takes the line of each callback, if that is another logger.
        limits: Bounds of memory, time and rate.
        shared_folder: Where a group of processes keeps its counts; None for a process on its own. Processes of a group
            share their ports (``SO_REUSEPORT``).
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        *,
        log: Log,
        lines: Log | None = None,
        limits: IngestLimits | None = None,
        shared_folder: Path | None = None,
    ) -> None:
        self._settings = settings
        self._limits = limits or IngestLimits()
        self._accounts = accounts
        self._log = log
        self._lines = lines
        self._shared_folder = shared_folder
        self._cleanup = AsyncExitStack()
        self.addresses: dict[str, list[Address]] = {}
        """The addresses that it listens on once it is started: ``listen`` and ``admin_listen``."""
        self.edge: Edge | None = None
        """The public side, once it is started."""

    async def start(self) -> None:
        """Start all parts and listen.

        Raises:
            ConfigurationError: An address is in use or not ours, the Redis URL or a secret cannot be used.
        """
        try:
            await self._start()
        except BaseException:
            await self._cleanup.aclose()
            raise
        self._log.info(
            "ingest.listening", **{name: ",".join(map(str, places)) for name, places in self.addresses.items()}
        )

    async def _start(self) -> None:
        snapshots = Snapshots(self._redis(SIDE_CONNECTIONS), clock=time.time, failure_ttl=self._settings.failure_ttl)
        exposition = Exposition(lambda: snapshots.latest, shared_folder=self._shared_folder)
        refusals = Refusals(self._redis(1), is_recorded=self._settings.is_recorded, clock=time.time)
        refusals.start()
        self._cleanup.push_async_callback(refusals.close)
        request_log = RequestLog(
            self._log,
            exposition.metrics,
            lines=self._lines,
            on_refused=refusals.note,
            soon=asyncio.get_running_loop().call_soon,
        )
        self._cleanup.callback(request_log.close)
        alarm, durability = self._alarm(exposition), self._durability(exposition)
        self.edge = edge = self._edge(exposition, alarm, durability, request_log)
        guard = self._guard(exposition, request_log)
        admin = Admin(
            snapshots,
            exposition,
            policy=self._settings.policy,
            accounts=len(self._accounts),
            limits=self._limits,
            suspects=alarm.shown,
            spool=durability.spool,
            data_lost=durability.generation.shown,
        )
        await self._publish_figures(exposition, admin)
        await self._listen_admin(admin)
        await self._listen_public(edge, GuardedServer(edge.handle, guard))

    async def stop(self) -> None:
        """Stop listening, answer what was read, flush, close. Takes at most about ``stop_grace`` seconds."""
        await self._cleanup.aclose()

    def _redis(self, connections: int, **options: Any) -> Any:
        url = self._settings.redis_url.get_secret_value()
        client = async_redis(url, timeout=REDIS_TIMEOUT_SECONDS, max_connections=connections, **options)
        self._cleanup.push_async_callback(client.aclose)
        return client

    def _guard(self, exposition: Exposition, request_log: RequestLog) -> ConnectionGuard:
        wanted = self._limits.connections
        limit = room_for_connections(wanted)
        if limit < wanted:
            self._log.warning("ingest.few-open-files", max_connections=limit, wanted=wanted, check="ulimit -n")
        return ConnectionGuard(
            limit=limit,
            head_timeout=HEAD_TIMEOUT_SECONDS,
            on_change=exposition.metrics.connections.set,
            on_refuse=request_log.refuse,
        )

    def _alarm(self, exposition: Exposition) -> Alarm:
        verifier = Verifier(self._accounts, max_age=self._settings.max_age, clock=time.perf_counter)
        ours = (account.api_key for account in self._accounts)
        return Alarm(verifier, ours, log=self._log, metrics=exposition.metrics)

    def _durability(self, exposition: Exposition) -> Durability:
        durability = Durability(self._settings, self._limits, self._redis, exposition, self._log)
        durability.start()
        self._cleanup.push_async_callback(durability.close)
        return durability

    def _edge(self, exposition: Exposition, alarm: Alarm, durability: Durability, request_log: RequestLog) -> Edge:
        settings, metrics = self._settings, exposition.metrics
        receiver = Receiver(
            accounts=self._accounts,
            verifier=alarm,
            sink=durability.sink,
            quarantine=self._quarantine(metrics),
            policy=settings.policy,
            request_log=request_log,
            clock=time.monotonic,
        )
        bodies = BodyReader(max_bytes=self._limits.body_bytes, timeout=self._limits.body_seconds)
        return Edge(
            receiver,
            bodies,
            clock=time.time,
            on_refuse=request_log.refuse,
            sender_of=sender_of,
            base_path=settings.base_path,
        )

    def _quarantine(self, metrics: IngestMetrics) -> BoundedQuarantine:
        limits = self._limits
        quarantine = Quarantine(
            self._redis(SIDE_CONNECTIONS),
            max_records=limits.quarantine_records,
            max_bytes=limits.quarantine_bytes,
            replicas=self._settings.replicas,
            is_recorded=self._settings.is_recorded,
        )
        metrics.limit_quarantine(limits.quarantine_records, limits.quarantine_bytes)
        rate, deadline = limits.quarantine_per_second, self._settings.ack_deadline
        bounded = BoundedQuarantine(quarantine, rate=rate, deadline=deadline, clock=time.monotonic)
        self._cleanup.push_async_callback(bounded.close, within=ABANDON_SECONDS)
        return bounded

    async def _publish_figures(self, exposition: Exposition, admin: Admin) -> None:
        publisher = FiguresPublisher(self._redis(1), exposition.registry, findings=admin.own_findings, clock=time.time)
        task = asyncio.create_task(publisher.run())
        self._cleanup.push_async_callback(cancel_all, [task], within=CLOSING_SECONDS)

    async def _listen_admin(self, admin: Admin) -> None:
        runner = web.AppRunner(admin.app(), access_log=None, shutdown_timeout=CLOSING_SECONDS)
        await runner.setup()
        self._cleanup.push_async_callback(runner.cleanup)
        await self._listen("admin_listen", self._settings.admin_listen, runner.server)

    async def _listen_public(self, edge: Edge, server: GuardedServer) -> None:
        self._cleanup.push_async_callback(server.shutdown, CLOSING_SECONDS)
        self._cleanup.callback(server.pre_shutdown)
        self._cleanup.push_async_callback(_within, self._settings.stop_grace, edge.drain)
        for address in self._settings.listen:
            await self._listen("listen", address, server)

    async def _listen(self, setting: str, address: Address, protocol_factory: Any) -> None:
        listener = Listener(protocol_factory)
        try:
            await listener.start(address.host, address.port, reuse_port=self._shared_folder is not None)
        except OSError as error:
            raise cannot_listen(setting, address, error) from error
        self._cleanup.push_async_callback(_let_accepted_begin, listener)
        self._cleanup.callback(listener.close)
        self.addresses.setdefault(setting, []).append(Address(*listener.sockets[0].getsockname()[:2]))


def cannot_listen(setting: str, address: Address, error: OSError) -> ConfigurationError:
    """Name the address that cannot be listened on, and why."""
    # asyncio wraps the system's words in its own; a host name that cannot be resolved has a negative number.
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return ConfigurationError(f"cannot listen on {address}: {why.lower()}, check ACKFIRST_{setting.upper()}")


async def _let_accepted_begin(listener: Listener) -> None:
    """Wait until accepted connections have their protocol, and requests that were read already their handler."""
    await listener.begun()
    await asyncio.sleep(0)


async def _within(seconds: float, work: Any) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work()
