"""Write a count with its noun."""


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write ``1 event`` or ``1,234 events``; ``many`` where the plural of ``one`` does not end in a mere ``s``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
