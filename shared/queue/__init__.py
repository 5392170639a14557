"""The queue that ingest writes and workers read: Redis keys, the envelope, RQ's job, deduplication."""
