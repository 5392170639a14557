"""What the example handlers have stored: the other side of the ledger."""

import sqlite3
from pathlib import Path
from urllib.parse import quote


def handled(folder: Path) -> dict[str, int]:
    """Event id → how many times the handler ``store`` of ``examples/handlers.py`` was given the event.

    ``folder`` is the data folder of the worker; nothing was handled while the handler has not made its table.
    """
    file = folder / "events.db"
    if not file.exists():
        return {}
    database = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=30)
    try:
        return dict(database.execute("SELECT id, deliveries FROM events"))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return {}
        raise
    finally:
        database.close()
