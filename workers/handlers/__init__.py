"""Handlers: how users declare them, how they are loaded, matched to events, and called."""
