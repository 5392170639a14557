"""All handlers of a worker, in the order in which their modules define them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.self_test import is_self_test
from ackfirst.workers.handlers.handler import Handler


class Registry:
    """A fixed set of handlers with different names.

    Raises:
        ConfigurationError: Two handlers have the same name: their marks would be mixed up.
    """

    def __init__(self, handlers: Iterable[Handler] = ()) -> None:
        self._handlers = tuple(handlers)
        names = Counter(handler.name for handler in self._handlers)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigurationError(f"two handlers are called {twice[0]}: give the functions different names")

    def matching(self, event: Event) -> tuple[Handler, ...]:
        """Return the handlers that match ``event``; none for the self-test of ``ackfirst doctor``."""
        if is_self_test(event.family, event.payload):
            return ()
        return tuple(handler for handler in self._handlers if handler.wants(event))

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)
