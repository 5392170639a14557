"""What has ended in an engine's hands and is not written down yet: kept where it outlives the engine's process."""

import threading
from collections.abc import Iterable, Mapping

import structlog
from redis import Redis
from redis.connection import Connection
from redis.exceptions import RedisError

from shared import keys
from workers.marks import Mark
from workers.taken import Taken

#: Separates the parts of a note; no name of a handler and no mark has it.
SEPARATOR = b"\n"


class Journal:
    """Notes in the hash ``keys.done``, sent ahead of the code that may end the process and never waited for.

    A batch is written down at its end. When a handler ends the process before, the janitor finds here which others had
    ended (``rescue.lua``), and they do not run a second time. What was handed to the kernel reaches Redis even when
    this process is killed at once; so a note costs one call of the kernel, not a round trip. Redis answers nothing on
    this connection (``CLIENT REPLY OFF``). A note that gets lost with an outage costs a repetition, no more.

    Notes wait until ``flush``: what is settled before that is never sent. Any thread may call any method.
    """

    def __init__(self, redis: Redis, *, engine: str) -> None:
        self._pool = redis.connection_pool
        self._key = keys.done(engine)
        self._log = structlog.get_logger("workers")
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_broken = False
        self._unsent: dict[str, bytes] = {}
        self._sent: set[str] = set()
        self._obsolete: list[str] = []

    def note(self, job: Taken, marks: Mapping[str, Mark], *, is_over: bool, keep: int) -> None:
        """Handlers of a job have ended, all of this pass when it ``is_over``; ``keep`` seconds their marks stay."""
        parts = [f"{job.execution_id} {int(is_over)} {keep}".encode()]
        for handler, mark in marks.items():
            parts += (handler.encode(), mark.encode())
        with self._lock:
            self._unsent[job.job_id] = SEPARATOR.join(parts)

    def forget(self, job_ids: Iterable[str]) -> None:
        """These jobs are settled, or in nobody's hands any more."""
        with self._lock:
            self._is_broken = False  # Redis has just answered
            for job_id in job_ids:
                self._unsent.pop(job_id, None)
                if job_id in self._sent:
                    self._sent.remove(job_id)
                    self._obsolete.append(job_id)
            if self._obsolete and not self._sent:
                self._send()

    def flush(self) -> None:
        """Send what is noted, before code runs that may end the process."""
        if self._unsent:
            with self._lock:
                self._send()

    def close(self) -> None:
        """Let go of the connection; nothing that is noted is taken back."""
        with self._lock:
            self._hang_up()

    def _send(self) -> None:
        commands: list[tuple[str | bytes, ...]] = []
        if self._obsolete:
            commands.append(("HDEL", self._key, *self._obsolete) if self._sent else ("DEL", self._key))
        if self._unsent:
            commands.append(("HSET", self._key, *(part for pair in self._unsent.items() for part in pair)))
        if self._is_broken or not self._write(commands):
            self._obsolete += (*self._sent, *self._unsent)
            self._sent.clear()
        else:
            self._obsolete.clear()
            self._sent.update(self._unsent)
        self._unsent.clear()

    # redis-py has no types for what it does below its commands.
    def _write(self, commands: list[tuple[str | bytes, ...]]) -> bool:
        try:
            connection = self._connected()
            packed = b"".join(part for command in commands for part in connection.pack_command(*command))  # type: ignore[no-untyped-call]
            connection.send_packed_command([packed], check_health=False)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            self._is_broken = True  # until Redis has answered something else: never wait for it here
            self._hang_up()
            self._log.debug("journal.lost", error=repr(error))
            return False
        return True

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._pool.get_connection()
            self._connection.send_command("CLIENT", "REPLY", "OFF")  # type: ignore[no-untyped-call]
        return self._connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(connection)
