"""Read and check all settings: the environment, and the file of accounts."""

from ackfirst.shared.settings.model import SECRETS, Address, Settings, load_settings

__all__ = ["SECRETS", "Address", "Settings", "load_settings"]
