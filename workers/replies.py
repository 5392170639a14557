"""Text out of Redis, which may hold any bytes, and into it, which may hold no lone surrogates."""


def text(reply: bytes | str) -> str:
    """The reply as text; bytes that are not UTF-8 are replaced."""
    return reply if isinstance(reply, str) else reply.decode(errors="replace")


def printable(words: str) -> str:
    """The words with escapes in place of what UTF-8 cannot hold."""
    return words.encode(errors="backslashreplace").decode()
