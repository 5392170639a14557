"""Make texts and queries fit for every engine, and read them back."""

from typing import Final

from ackfirst.shared.nexmo.values import with_replacements

#: Characters of a text in an index. PostgreSQL refuses index entries above 2,700 bytes: an entry has up to three
#: texts, and a character up to four bytes.
LONGEST_KEY: Final = 200
#: Characters of any other text.
LONGEST_TEXT: Final = 4_000


def clean(value: str, longest: int = LONGEST_TEXT) -> str:
    """Cut a text, and put U+FFFD where it holds what PostgreSQL refuses: NUL, or halves of a surrogate pair."""
    if value.isascii() and len(value) <= longest and "\0" not in value:
        return value
    return with_replacements(value[:longest]).replace("\0", "\ufffd")


def clean_or_none(value: str | None, longest: int = LONGEST_KEY) -> str | None:
    """Clean a text; None stays None."""
    return value if value is None else clean(value, longest)


def query_bytes(query: str) -> bytes:
    """Encode a query string so that ``query_text`` gives back exactly the same."""
    return query.encode("utf-8", "surrogatepass")


def query_text(encoded: bytes | None) -> str:
    """Decode what ``query_bytes`` encoded."""
    return encoded.decode("utf-8", "surrogatepass") if encoded else ""
