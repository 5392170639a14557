"""Describe rejects: entries of lanes that no worker can run, kept in a stream for the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

#: Most entries in the stream; the oldest goes first.
LIMIT: Final = 5_000
#: Bytes of an entry that are kept. A job id has 34.
LONGEST_ENTRY: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One rejected entry."""

    id: str
    """Id in the stream, ``<milliseconds>-<number>``."""
    lane: str
    place: str
    """The list or set that held it: waiting, taken, scheduled or running."""
    entry: bytes
    """Its first ``LONGEST_ENTRY`` bytes: usually a job id."""
    reason: str

    @property
    def at(self) -> float:
        """Unix seconds at which it was rejected."""
        return int(self.id.partition("-")[0]) / 1000

    @property
    def shown(self) -> str:
        """The entry as printable text."""
        words = self.entry.decode(errors="backslashreplace")
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in words)

    @property
    def job_id(self) -> str | None:
        """Id of the job that it names; None if it cannot be one."""
        text = self.entry.decode(errors="replace")
        job = text.partition(":")[0] if self.place == "running" else text
        return job if job and "\ufffd" not in job and len(self.entry) < LONGEST_ENTRY else None

    @classmethod
    def decode(cls, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Self:
        """Decode a stream entry; a missing field is empty."""
        texts = {name: fields.get(name.encode(), b"").decode(errors="replace") for name in ("lane", "place", "reason")}
        return cls(id=entry_id.decode(), entry=fields.get(b"entry", b""), **texts)
