"""Start, supervise and stop processes."""
