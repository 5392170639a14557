"""Scripts that run in Redis while handlers run here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.connection import Connection

#: A script with its keys and its arguments.
Call = tuple[Script, Sequence[str], Sequence[str | int | float]]

#: What was sent and has no answer yet is not known to be done, whatever ends the wait.
_BROKEN: Final = "the connection was given up before an answer came"


class Ahead:
    """Some calls of scripts that are under way, on a connection of their own; Redis runs them in the given order.

    All errors are ``RedisError``: then none, some or all of the calls were carried out, and the connection is gone. So
    calls must bear repetition. For one thread at a time.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._connection: Connection | None = None
        self._expected = 0

    @property
    def is_under_way(self) -> bool:
        """Whether answers are owed."""
        return self._expected > 0

    def send(self, calls: Sequence[Call]) -> None:
        """Hand calls over to Redis. Nothing may be under way."""
        done = False
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
            pack = self._connection.pack_command
            packed = [pack("EVALSHA", one.sha, len(keys), *keys, *args) for one, keys, args in calls]  # type: ignore[no-untyped-call]
            self._connection.send_packed_command([b"".join(part) for part in packed])  # type: ignore[no-untyped-call]
            self._expected = len(calls)
            done = True
        except OSError as error:
            raise RedisError(str(error)) from error
        finally:
            if not done:
                self.close()

    def answers(self) -> list[Any]:
        """Wait for the answers of all that was sent.

        Raises:
            RedisError: One of them is an error, or did not come.
        """
        connection, expected, found = self._connection, self._expected, []
        if connection is None:
            raise RedisError(_BROKEN)
        done = False
        try:
            found = [connection.read_response() for _ in range(expected)]
            self._expected = 0
            done = True
        except OSError as error:
            raise RedisError(str(error)) from error
        finally:
            if not done:  # also when a signal's exception strikes in the middle of an answer
                self.close()
        return found

    def close(self) -> None:
        """Give the connection up, with what is under way."""
        self._expected = 0
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(connection)
