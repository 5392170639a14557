"""The spool on disk: its frames, segments and folders, for ingest, which writes them, and `ackfirst spool`."""
