"""Keep verified events on this machine's disk while Redis cannot take them, and move them to Redis afterwards."""
