"""``ackfirst quarantine``: callbacks that could not be verified, and their way back to the queue."""
