"""rq-dashboard 0.9.0 behind a password: JSON jobs only, no personal data, and reading never changes anything.

Upstream's Flask blueprint draws the pages. What it gets wrong or leaves open is put right here, one idea a module:
``reading`` (what it reads), ``actions`` (what its buttons do), ``pages`` (its templates), ``guard`` (who may ask),
``faults`` (what is said when something fails). ``app`` puts them together, ``server`` serves the result.
"""
