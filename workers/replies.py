"""Text out of Redis, which may hold any bytes."""


def text(reply: bytes | str) -> str:
    """The reply as text; bytes that are not UTF-8 are replaced."""
    return reply if isinstance(reply, str) else reply.decode(errors="replace")
