"""Serve rq-dashboard 0.9.0 under ``/rq/``: JSON jobs only, personal data masked, and no GET changes anything.

Upstream's Flask blueprint draws the pages. ``app`` mounts it and replaces the parts that are unsafe here, ``reading``
reads Redis for it, ``actions`` does what its buttons say, ``personal`` masks what a job quotes.
``ackfirst.ops.web`` is the server, and decides which requests are answered. ``docs/architecture.md`` says why.
"""
