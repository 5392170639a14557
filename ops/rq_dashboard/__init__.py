"""Serve rq-dashboard 0.9.0 behind a password: JSON jobs only, personal data masked, and no GET changes anything.

Upstream's Flask blueprint draws the pages. ``app`` mounts it and replaces the parts that are unsafe here, ``reading``
reads Redis for it, ``actions`` does what its buttons say, ``access`` decides which requests are answered, ``personal``
masks what a job quotes, and ``command`` starts the server. ``docs/architecture.md`` says why.
"""
