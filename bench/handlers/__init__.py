"""Handler modules for the measured workers, and the same functions without any queue."""
