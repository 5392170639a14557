"""``ackfirst quarantine``: what nobody could vouch for, and the way back once the configuration is mended."""
