"""Read and write spool files: events on disk that wait for Redis."""
