"""Write the table of findings in ``docs/operating.md``."""

from ackfirst.shared.findings import CATALOGUE


def table() -> str:
    """Build the table; each id is an anchor."""
    rows = ["| id | what it means | what helps |", "| --- | --- | --- |"]
    rows += [
        f'| <a id="{id_}"></a>`{id_}` | {entry.meaning} | {entry.remedy} |' for id_, entry in sorted(CATALOGUE.items())
    ]
    return "\n".join(rows)
