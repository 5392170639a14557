"""Process one event: run the handlers that are due, decide its outcome, schedule retries."""
