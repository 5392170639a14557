"""A pytest plugin for who writes handlers: signed callbacks from a pretended Nexmo, without Redis, ports or processes.

It stands outside of the rooms and joins two of them, which never import each other: ``simulator`` makes and signs a
callback, ``workers`` runs the handlers. Nothing imports it but pytest, by its entry point.
"""
