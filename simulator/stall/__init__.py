"""``ackfirst simulate stall-demo``: what a broken test application does to production, with and without ackfirst.

``story`` is what happens when, ``stage`` the two receivers, ``play`` sends the same callbacks to both, ``text`` and
``command`` show what came of it.
"""
