"""Shared by ingest and workers: the queue, Nexmo's formats, settings. Imports no other room."""
