"""A pytest plugin for tests of handlers: signed callbacks of a simulated Nexmo, without Redis, ports or processes.

It combines two rooms that never import each other: ``simulator`` makes and signs a callback, ``workers`` runs the
handlers. Only pytest imports it, by its entry point.
"""
