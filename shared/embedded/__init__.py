"""Run a private Valkey (or Redis) in the data folder: durable, on a unix socket only, nothing to configure."""

from ackfirst.shared.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
