"""Write every generated part of the documentation: ``make docs``, or ``python -m tools.docs``.

Nothing but a Python installation is needed: the metrics come from an ingest on an embedded server.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from ackfirst.shared.embedded import EmbeddedServer
from tools import env_example, findings_table, metrics_table, settings_table
from tools.exposition import exposition

ROOT: Final = Path(__file__).resolve().parents[1]


def stale(metrics: str) -> dict[Path, str]:
    """Return the path and new text of each file whose generated part is not up to date.

    Args:
        metrics: An answer of ``/metrics``.
    """
    fresh = {
        ROOT / ".env.example": env_example.example(),
        **_with_tables("docs/settings.md", settings_table.table()),
        **_with_tables("docs/operating.md", findings_table.table(), metrics_table.table(metrics)),
    }
    return {path: text for path, text in fresh.items() if path.read_text() != text}


def _with_tables(page: str, *tables: str) -> dict[Path, str]:
    """Put each table into the page, in place of the one that has the same head."""
    path = ROOT / page
    text = path.read_text()
    for table in tables:
        before, head, after = text.partition(table.partition("\n")[0])
        if not head:
            raise SystemExit(f"{page} has no table with the head {table.partition(chr(10))[0]}")
        text = f"{before}{table}\n\n{after.partition(chr(10) * 2)[2]}"
    return {path: text}


def main() -> None:
    """Bring all files up to date."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        metrics = asyncio.run(exposition(server.url))
    for path, text in stale(metrics).items():
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(ROOT)} is written anew\n")


if __name__ == "__main__":
    main()
