"""Recover from crashes and keep the queue in order: heartbeats, the janitor and its tasks."""
