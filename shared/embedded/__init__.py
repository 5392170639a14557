"""Run a private Valkey (or Redis) in the data folder: durable, on a unix socket only, nothing to configure."""

from ackfirst.shared.embedded.discovery import operator_settings, with_private_server
from ackfirst.shared.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "operator_settings", "with_private_server"]
