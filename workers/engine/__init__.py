"""The engine: a worker process that fetches jobs in batches, runs handlers and settles what has ended."""
